/* common/warps.h: one list, and nothing of it lost on any way. */
#include "common/warps.h"

#include <criterion/criterion.h>

#define COUNT_ONE(name, max, unit, help) +1
enum { COUNT = 0 WARPS(COUNT_ONE) };

/* Each field gets a value of its own. */
static struct warps distinct(void) {
    struct warps warps;
    float value = 0.0625f;
#define SET(name, max, unit, help) warps.name = value *= 1.25f;
    WARPS(SET)
    return warps;
}

static void expect_equal(const struct warps *a, const struct warps *b) {
#define EQUAL(name, max, unit, help) cr_expect_eq(a->name, b->name, #name);
    WARPS(EQUAL)
}

Test(warps, the_message_has_the_same_fields) {
    cr_expect_eq(digitsum__warps__descriptor.n_fields, COUNT);
#define NAMED(name, max, unit, help)                                                               \
    cr_expect_not_null(                                                                            \
        protobuf_c_message_descriptor_get_field_by_name(&digitsum__warps__descriptor, #name));
    WARPS(NAMED)
}

Test(warps, come_back_from_the_message_as_they_were) {
    struct warps sent = distinct();
    Digitsum__Warps message;
    warps_to_message(&sent, &message);
    uint8_t packed[256];
    size_t size = digitsum__warps__pack(&message, packed);
    Digitsum__Warps *unpacked = digitsum__warps__unpack(NULL, size, packed);
    struct warps received = warps_from_message(unpacked);
    expect_equal(&sent, &received);
    digitsum__warps__free_unpacked(unpacked, NULL);
    struct warps none = warps_from_message(NULL);
    cr_expect_not(warps_any(&none));
}

Test(warps, come_from_settings_by_name) {
    struct warps expected = distinct();
    json_t *settings = json_object();
#define PUT(name, max, unit, help) json_object_set_new(settings, #name, json_real(expected.name));
    WARPS(PUT)
    struct warps read = warps_from_json(settings);
    expect_equal(&read, &expected);
    json_object_clear(settings);
    read = warps_from_json(settings);
    cr_expect_not(warps_any(&read));
    json_decref(settings);
}

Test(warps, each_one_alone_counts) {
#define ALONE(name, max, unit, help)                                                               \
    cr_expect(warps_any(&(struct warps){.name = 0.5f}), #name);                                    \
    cr_expect_eq(warps_check(&(struct warps){.name = max}, NULL), 0, #name);
    WARPS(ALONE)
}
