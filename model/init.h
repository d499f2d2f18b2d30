/* Initial parameters: a pure function of network and seed. */
#ifndef MODEL_INIT_H
#define MODEL_INIT_H

#include "model/graph.h"

/* Fills flat[net->total]. Weights and biases of conv and dense: uniform in ±1/sqrt(fan_in), as
 * PyTorch does by default (He et al. 2015 with a = sqrt 5). Draws Philox numbers keyed by (seed,
 * parameter index, element), so a parameter's start depends neither on the sizes of the others nor
 * on what follows it in the net. Batchnorm's start as net.h says, whatever the seed. */
void init_parameters(const struct net *net, uint64_t seed, float *flat);

#endif
