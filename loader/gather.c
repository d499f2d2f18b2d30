/* From a step to its samples. */
#include "loader/gather.h"
#include "loader/order.h"

#include <assert.h>
#include <string.h>

#define AHEAD                                                                                      \
    8 /* images asked for from memory before they are copied: their rows lie at random             \
       */

static void prefetch(const uint8_t *image) {
    for (int line = 0; line < IMAGE_PIXELS; line += 64)
        __builtin_prefetch(image + line);
}

void gather_batch(const struct split *split, uint64_t seed, uint64_t step, uint32_t batch,
                  uint8_t *images, uint8_t *labels, uint32_t *samples, uint32_t *epochs) {
    assert(split->count > 0 && batch > 0 && batch <= BATCH_MAX);
    struct order order;
    for (uint32_t i = 0; i < batch; i++) {
        struct batch_place place = batch_place_of(step, batch, i, split->count);
        if (i == 0 || place.epoch != epochs[i - 1])
            order_init(&order, seed, place.epoch, split->count);
        epochs[i] = place.epoch;
        samples[i] = order_sample(&order, place.index);
    }
    for (uint32_t i = 0; i < batch; i++) {
        if (i + AHEAD < batch)
            prefetch(split->images + (size_t)samples[i + AHEAD] * IMAGE_PIXELS);
        memcpy(images + (size_t)i * IMAGE_PIXELS, split->images + (size_t)samples[i] * IMAGE_PIXELS,
               IMAGE_PIXELS);
        labels[i] = split->labels[samples[i]];
    }
}
