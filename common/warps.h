/* How far a run's images may be warped: one list from which the struct, the trainer's options, the
 * WELCOME message and what `verify` reads from a checkpoint all follow. A new warp is a row here, a
 * field of Warps in proto/digitsum.proto (without it this does not compile), and its arithmetic in
 * augment/warp.c. */
#ifndef COMMON_WARPS_H
#define COMMON_WARPS_H

#include "common/error.h"
#include "proto/digitsum.pb-c.h"

#include <jansson.h>
#include <stdbool.h>

/* Name, max, unit, meaning. The value is the largest change in either direction; 0 is none. */
// clang-format off
#define WARPS(X)                                                                                   \
    X(shift,   14,   "PIXELS",   "along both axes")                                                \
    X(rotate,  45,   "DEGREES",  "around the centre")                                              \
    X(scale,   0.5f, "FRACTION", "0.1 is 0.9 to 1.1")                                              \
    X(shear,   45,   "DEGREES",  "along the rows")                                                 \
    X(elastic, 8,    "PIXELS",   "standard deviation of a smooth displacement")
// clang-format on

#define WARPS_FIELD(name, max, unit, help) float name;
struct warps {
    WARPS(WARPS_FIELD)
};

/* -1 with ERROR_CORRUPT where one is negative, above its max or not a number: the integer
 * arithmetic of augment/warp.c would overflow. */
int warps_check(const struct warps *warps, struct error *error);

/* Whether any is not 0. */
bool warps_any(const struct warps *warps);

/* All fields to and from the message; NULL as message: none. */
void warps_to_message(const struct warps *warps, Digitsum__Warps *message);
struct warps warps_from_message(const Digitsum__Warps *message);

/* From the settings in a checkpoint, where each is a member of its name; one that is missing is 0.
 */
struct warps warps_from_json(const json_t *settings);

#endif
