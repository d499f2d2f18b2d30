/* See inspect.h. The thresholds stand at the top; a test holds MNIST and the synthetic digits,
 * which are fine, below all of them. */
#include "loader/inspect.h"

#include "common/crc32c.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    LABELS = 10,
    RARE = 10,            /* a label is rare below 1/RARE of its share */
    RARE_FROM = 20,       /* samples of a label, on average, from which one can be rare */
    SAME_PERCENT = 90,    /* labels are nearly all the same from here on */
    SHARED_PERCENT = 1,   /* of the test images, also trained on, are too many: MNIST has none */
    VARIETY_PERCENT = 10, /* fewer images that differ than this are too few */
    VARIETY_FROM = 20,    /* images from which that can be said */
    GROUND_IMAGES = 2000, /* looked at to tell the ground, spread over the split */
    GROUND_WHITE = 127,   /* the ground of more than this, as a median, is white */
    FAINT = 15            /* the brightest pixel of a split up to which its ink is hardly there */
};

/* What one look at all images of a split finds out. */
struct look {
    const struct split *split;
    const char *name;   /* "training", "test" */
    uint32_t plain;     /* images of one value */
    int value;          /* of the first such image; -1: there is none */
    bool values_differ; /* between such images */
    bool white;         /* ground */
    int brightest;      /* pixel of all; FAINT + 1 stands for any that is brighter */
    uint32_t different; /* images that are not the same as an earlier one */
    uint32_t shared;    /* test: images that are in the training split too; plain ones left out */
};

static const uint8_t *image_at(const struct split *split, uint32_t i) {
    return split->images + (size_t)i * IMAGE_PIXELS;
}

static bool is_plain(const uint8_t *image) {
    return memcmp(image, image + 1, IMAGE_PIXELS - 1) == 0;
}

/* --- labels ----------------------------------------------------------------------------------- */

static void list_labels(char *text, size_t size, const bool listed[LABELS]) {
    size_t used = 0;
    text[0] = '\0';
    for (int label = 0; label < LABELS && used < size; label++)
        if (listed[label])
            used += (size_t)snprintf(text + used, size - used, "%s%d", used ? ", " : "", label);
}

static void inspect_labels(const struct look *look, struct notices *notices) {
    const struct split *split = look->split;
    uint32_t counts[LABELS] = {0};
    bool missing[LABELS], rare[LABELS], any_missing = false, any_rare = false;
    int most = 0;
    char list[64];
    for (uint32_t i = 0; i < split->count; i++)
        counts[split->labels[i] % LABELS]++;
    for (int label = 0; label < LABELS; label++) {
        bool enough = split->count >= RARE_FROM * LABELS;
        missing[label] = counts[label] == 0;
        rare[label] =
            enough && counts[label] > 0 && (uint64_t)counts[label] * LABELS * RARE < split->count;
        any_missing |= missing[label];
        any_rare |= rare[label];
        if (counts[label] > counts[most])
            most = label;
    }
    if (split->count > 1 && (uint64_t)counts[most] * 100 >= (uint64_t)split->count * SAME_PERCENT) {
        notices_add(notices, "%" PRIu32 " of %" PRIu32 " %s labels are %d", counts[most],
                    split->count, look->name, most);
        return;
    }
    if (any_missing) {
        list_labels(list, sizeof list, missing);
        notices_add(notices, "digits without a single image among the %s images: %s", look->name,
                    list);
    }
    if (any_rare) {
        list_labels(list, sizeof list, rare);
        notices_add(notices,
                    "digits with less than a tenth of their share of the %" PRIu32 " %s images: %s",
                    split->count, look->name, list);
    }
}

/* --- ground and ink --------------------------------------------------------------------------- */

/* The median of all pixels on the borders of images without ink left out. */
static bool has_white_ground(const struct split *split) {
    uint32_t counts[256] = {0}, seen = 0, above = 0;
    uint32_t stride = split->count / GROUND_IMAGES + 1;
    for (uint32_t i = 0; i < split->count; i += stride) {
        const uint8_t *image = image_at(split, i);
        if (is_plain(image))
            continue;
        for (int at = 0; at < IMAGE_COLUMNS; at++) {
            counts[image[at]]++;
            counts[image[IMAGE_PIXELS - 1 - at]]++;
        }
        for (int row = 1; row < IMAGE_ROWS - 1; row++) {
            counts[image[row * IMAGE_COLUMNS]]++;
            counts[image[row * IMAGE_COLUMNS + IMAGE_COLUMNS - 1]]++;
        }
    }
    for (int value = 0; value < 256; value++) {
        seen += counts[value];
        above += value > GROUND_WHITE ? counts[value] : 0;
    }
    return seen > 0 && above > seen / 2;
}

/* Stops at the first pixel that is bright enough: with the first image, as a rule. */
static int find_brightest(const struct split *split) {
    size_t pixels = (size_t)split->count * IMAGE_PIXELS;
    int brightest = 0;
    for (size_t i = 0; i < pixels && brightest <= FAINT; i++)
        if (split->images[i] > brightest)
            brightest = split->images[i];
    return brightest <= FAINT ? brightest : FAINT + 1;
}

static void look_at_images(struct look *look) {
    look->value = -1;
    for (uint32_t i = 0; i < look->split->count; i++) {
        const uint8_t *image = image_at(look->split, i);
        if (!is_plain(image))
            continue;
        look->plain++;
        look->values_differ |= look->value >= 0 && look->value != image[0];
        if (look->value < 0)
            look->value = image[0];
    }
    look->white = has_white_ground(look->split);
    look->brightest = find_brightest(look->split);
}

/* Only a PNG file has an alpha channel; it is laid on black. */
static void tell_plain(const struct look *look, bool png, struct notices *notices) {
    uint32_t count = look->split->count;
    char which[48] = "";
    if (look->plain == 0)
        return;
    if (!look->values_differ)
        snprintf(which, sizeof which, " (%d%s)", look->value, look->value == 0 ? ", black" : "");
    bool alpha = png && !look->values_differ && look->value == 0;
    const char *advice = alpha ? "the ink may be in the alpha channel, which is laid on black"
                               : "there is nothing to see in them";
    if (look->plain == count)
        notices_add(notices, "all %" PRIu32 " %s images are of one value%s: %s", count, look->name,
                    which, advice);
    else
        notices_add(notices, "%" PRIu32 " of %" PRIu32 " %s images %s of one value%s: %s",
                    look->plain, count, look->name, look->plain == 1 ? "is" : "are", which, advice);
}

static void tell_faint(const struct look *look, struct notices *notices) {
    if (look->brightest <= FAINT && look->plain < look->split->count)
        notices_add(notices,
                    "no pixel of the %s images is brighter than %d, and ink is 255: they may have "
                    "been scaled before they were saved",
                    look->name, look->brightest);
}

static void tell_ground(const struct look *train, const struct look *test,
                        struct notices *notices) {
    static const char advice[] = "seem to be dark on a white ground, and MNIST is white on black: "
                                 "invert them";
    if (train->white && test->white)
        notices_add(notices, "the images %s", advice);
    else if (train->white || test->white)
        notices_add(notices, "the %s images, but not the %s images, %s",
                    (train->white ? train : test)->name, (train->white ? test : train)->name,
                    advice);
}

/* --- images that are there more than once ----------------------------------------------------- */

/* A set of images by content: open addressing, a sample's number + 1 in each slot. */
struct set {
    uint32_t *slots;
    uint32_t mask;
};

/* The slot of an image that is the same, or a free one. */
static uint32_t *find(const struct set *set, const struct split *split, const uint8_t *image) {
    uint32_t at = crc32c(0, image, IMAGE_PIXELS);
    for (at = at * UINT32_C(2654435769) >> 7;; at++) {
        uint32_t *slot = &set->slots[at & set->mask];
        if (*slot == 0 || memcmp(image_at(split, *slot - 1), image, IMAGE_PIXELS) == 0)
            return slot;
    }
}

static int set_begin(struct set *set, uint32_t count) {
    uint32_t size = 64;
    while (size < 2 * count)
        size *= 2;
    set->mask = size - 1;
    set->slots = calloc(size, sizeof *set->slots);
    return set->slots ? 0 : -1;
}

/* Fills look->different. */
static void fill(struct set *set, struct look *look) {
    for (uint32_t i = 0; i < look->split->count; i++) {
        uint32_t *slot = find(set, look->split, image_at(look->split, i));
        look->different += *slot == 0;
        if (*slot == 0)
            *slot = i + 1;
    }
}

static void look_for_repeats(struct look *train, struct look *test) {
    struct set set, other;
    train->different = train->split->count;
    test->different = test->split->count;
    if (set_begin(&set, train->split->count) != 0)
        return;
    train->different = 0;
    fill(&set, train);
    for (uint32_t i = 0; i < test->split->count; i++) {
        const uint8_t *image = image_at(test->split, i);
        test->shared += !is_plain(image) && *find(&set, train->split, image) != 0;
    }
    free(set.slots);
    if (set_begin(&other, test->split->count) != 0)
        return;
    test->different = 0;
    fill(&other, test);
    free(other.slots);
}

static void tell_repeats(const struct look *look, struct notices *notices) {
    uint32_t count = look->split->count;
    bool few = count >= VARIETY_FROM &&
               (uint64_t)look->different * 100 < (uint64_t)count * VARIETY_PERCENT;
    if (few && look->plain < count)
        notices_add(notices, "the %" PRIu32 " %s images are copies of %" PRIu32 " different ones",
                    count, look->name, look->different);
    if ((uint64_t)look->shared * 100 > (uint64_t)count * SHARED_PERCENT)
        notices_add(notices,
                    "%" PRIu32 " of %" PRIu32 " %s images are also among the training images: "
                    "accuracy on them says nothing about new images",
                    look->shared, count, look->name);
}

void inspect_dataset(struct dataset *dataset) {
    struct look train = {.split = &dataset->train, .name = "training"};
    struct look test = {.split = &dataset->test, .name = "test"};
    struct notices *notices = &dataset->notices;
    bool png = strncmp(dataset->name, "png:", 4) == 0;
    look_at_images(&train);
    look_at_images(&test);
    look_for_repeats(&train, &test);
    inspect_labels(&train, notices);
    inspect_labels(&test, notices);
    tell_plain(&train, png, notices);
    tell_plain(&test, png, notices);
    tell_faint(&train, notices);
    tell_faint(&test, notices);
    tell_ground(&train, &test, notices);
    tell_repeats(&train, notices);
    tell_repeats(&test, notices);
}
