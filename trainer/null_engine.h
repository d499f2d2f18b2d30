/* An engine that discards every batch: what is left is the pipeline, which can then be measured.
 * Only `trainer --engine null` uses it. */
#ifndef TRAINER_NULL_ENGINE_H
#define TRAINER_NULL_ENGINE_H

#include "model/engine.h"

extern const struct engine_ops null_engine;

#endif
