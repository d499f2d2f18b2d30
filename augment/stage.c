/* See stage.h. A batch is cut into as many equal parts as there are threads; the caller works too,
 * and then waits for the others. */
#include "augment/stage.h"

#include "common/pairs.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct work {
    uint32_t count;
    const uint8_t *images, *labels;
    const uint32_t *samples, *epochs;
    uint8_t *out, *pairs;
};

struct worker {
    struct stage *stage;
    pthread_t thread;
    int part; /* 1 … threads-1; the caller's is 0 */
};

struct stage {
    uint64_t seed;
    struct warps warps;
    bool warping;
    int threads;
    struct worker *workers; /* [threads - 1] */
    int started;
    pthread_mutex_t mutex;
    pthread_cond_t begin, end;
    uint64_t round; /* counts batches: a worker begins when it changes */
    int busy;       /* workers that have not finished this round */
    bool ending;
    struct work work;
};

static void do_part(const struct stage *self, const struct work *work, int part) {
    uint32_t first = (uint32_t)((uint64_t)work->count * (uint32_t)part / (uint32_t)self->threads);
    uint32_t last =
        (uint32_t)((uint64_t)work->count * (uint32_t)(part + 1) / (uint32_t)self->threads);
    uint8_t *labels = work->pairs, *digits = labels + work->count, *sums = digits + work->count;
    for (uint32_t i = first; i < last; i++) {
        labels[i] = work->labels[i];
        digits[i] = pairs_digit(self->seed, work->epochs[i], work->samples[i]);
        sums[i] = (uint8_t)(labels[i] + digits[i]);
        const uint8_t *from = work->images + (size_t)i * IMAGE_PIXELS;
        uint8_t *to = work->out + (size_t)i * IMAGE_PIXELS;
        if (self->warping) {
            struct warp warp;
            warp_draw(&self->warps, self->seed, work->epochs[i], work->samples[i], &warp);
            warp_apply(&warp, from, to);
        } else if (to != from) {
            memcpy(to, from, IMAGE_PIXELS);
        }
    }
}

static void *run(void *argument) {
    const struct worker *worker = argument;
    struct stage *self = worker->stage;
    uint64_t seen = 0;
    pthread_mutex_lock(&self->mutex);
    for (;;) {
        while (self->round == seen && !self->ending)
            pthread_cond_wait(&self->begin, &self->mutex);
        if (self->ending)
            break;
        seen = self->round;
        struct work work = self->work;
        pthread_mutex_unlock(&self->mutex);
        do_part(self, &work, worker->part);
        pthread_mutex_lock(&self->mutex);
        if (--self->busy == 0)
            pthread_cond_signal(&self->end);
    }
    pthread_mutex_unlock(&self->mutex);
    return NULL;
}

struct stage *stage_create(uint64_t seed, const struct warps *warps, int threads,
                           struct error *error) {
    assert(threads >= 1);
    if (warps_check(warps, error) != 0)
        return NULL;
    struct stage *self = calloc(1, sizeof *self);
    struct worker *workers = calloc((size_t)threads, sizeof *workers);
    if (!self || !workers) {
        free(self);
        free(workers);
        error_set(error, ERROR_MEMORY, "no memory for %d threads", threads);
        return NULL;
    }
    self->seed = seed;
    self->warps = *warps;
    self->warping = warps_any(warps);
    self->threads = threads;
    self->workers = workers;
    pthread_mutex_init(&self->mutex, NULL);
    pthread_cond_init(&self->begin, NULL);
    pthread_cond_init(&self->end, NULL);
    for (; self->started < threads - 1; self->started++) {
        struct worker *worker = &workers[self->started];
        *worker = (struct worker){.stage = self, .part = self->started + 1};
        if (pthread_create(&worker->thread, NULL, run, worker) != 0) {
            error_set(error, ERROR_IO, "cannot start thread %d of %d", self->started + 2, threads);
            stage_destroy(&self);
            return NULL;
        }
    }
    return self;
}

void stage_run(struct stage *self, uint32_t count, const uint8_t *images, const uint8_t *labels,
               const uint32_t *samples, const uint32_t *epochs, uint8_t *out, uint8_t *pairs) {
    const struct work work = {count, images, labels, samples, epochs, out, pairs};
    if (self->threads > 1) {
        pthread_mutex_lock(&self->mutex);
        self->work = work;
        self->busy = self->threads - 1;
        self->round++;
        pthread_cond_broadcast(&self->begin);
        pthread_mutex_unlock(&self->mutex);
    }
    do_part(self, &work, 0);
    if (self->threads > 1) {
        pthread_mutex_lock(&self->mutex);
        while (self->busy > 0)
            pthread_cond_wait(&self->end, &self->mutex);
        pthread_mutex_unlock(&self->mutex);
    }
}

void stage_destroy(struct stage **pointer) {
    struct stage *self = *pointer;
    if (!self)
        return;
    pthread_mutex_lock(&self->mutex);
    self->ending = true;
    pthread_cond_broadcast(&self->begin);
    pthread_mutex_unlock(&self->mutex);
    for (int i = 0; i < self->started; i++)
        pthread_join(self->workers[i].thread, NULL);
    pthread_cond_destroy(&self->begin);
    pthread_cond_destroy(&self->end);
    pthread_mutex_destroy(&self->mutex);
    free(self->workers);
    free(self);
    *pointer = NULL;
}
