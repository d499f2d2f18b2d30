/* What a run was computed with, as the JSON object "computed_with" of checkpoints, settings.json
 * and summary.json: the members of struct engine_traits beside the engine's name, the precision and
 * the build of this program. */
#ifndef MODEL_TRAITS_H
#define MODEL_TRAITS_H

#include "model/engine.h"

#include <jansson.h>

/* {"engine", "precision", "threads", "instructions", "library", "processor", "program"}: texts, but
 * for the number of threads. A new reference; NULL when memory is short. */
json_t *traits_to_json(const char *engine, const char *precision,
                       const struct engine_traits *traits);

#endif
