/* See warps.h. */
#include "common/warps.h"

int warps_check(const struct warps *warps, struct error *error) {
#define CHECK(name, max, unit, help)                                                               \
    if (!(warps->name >= 0 && warps->name <= max))                                                 \
        return error_set(error, ERROR_CORRUPT, "a warp's %s of %g: expected 0 to %g", #name,       \
                         (double)warps->name, (double)max);
    WARPS(CHECK)
    return 0;
}

bool warps_any(const struct warps *warps) {
#define ANY(name, max, unit, help) || warps->name != 0
    return false WARPS(ANY);
}

void warps_to_message(const struct warps *warps, Digitsum__Warps *message) {
    *message = (Digitsum__Warps)DIGITSUM__WARPS__INIT;
#define TO(name, max, unit, help) message->name = warps->name;
    WARPS(TO)
}

struct warps warps_from_message(const Digitsum__Warps *message) {
    struct warps warps = {0};
#define FROM(name, max, unit, help) warps.name = message->name;
    if (message) {
        WARPS(FROM)
    }
    return warps;
}

struct warps warps_from_json(const json_t *settings) {
    struct warps warps = {0};
#define READ(name, max, unit, help)                                                                \
    warps.name = (float)json_number_value(json_object_get(settings, #name));
    WARPS(READ)
    return warps;
}
