/* Which of cuDNN's suggestions is the fastest for a convolution: measured once on this kind of
 * device and then kept in a file, because another choice gives other bits. Only with
 * engine_config.tune; without it the first suggestion is taken, which needs no file to be the same
 * each time. */
#ifndef CUDA_TUNE_H
#define CUDA_TUNE_H

#include "cuda/conv_plan.h"
#include "cuda/engine_private.h"

/* Sets *choice for conv_problem.choice: what the file says for this device, cuDNN and problem, or
 * else what is measured now on these arrays (whose contents are spoiled) and added to the file.
 *
 * The file: $DIGITSUM_PLANS, else $XDG_CACHE_HOME/digitsum/cuda-plans, else ~/.cache/digitsum/…;
 * one line for each choice. -1 with ERROR_IO where it cannot be kept, ERROR_DEVICE where a call
 * fails. */
int tune_choice(struct engine *engine, const struct conv_problem *problem,
                const struct conv_arrays *arrays, const char *label, int *choice,
                struct error *error);

#endif
