/* Small network texts that the tests of this folder share. */
#ifndef TESTS_MODEL_TEXTS_H
#define TESTS_MODEL_TEXTS_H

#include "model/net.h"

/* A dense layer and a batchnorm for the digit, an outer product for the sum: every role of a
 * parameter in a few hundred floats. */
extern const char tiny_text[];

/* Parses what must be right; fails the test with the sentence where it is not. Caller destroys. */
struct net *must_parse(const char *text);

#endif
