/* See train.h. All that both threads see is under one mutex; the engine is the training thread's
 * alone. */
#include "trainer/train.h"

#include "common/chain.h"
#include "common/clock.h"
#include "trainer/health.h"

#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { RESULTS_AT_ONCE = 64 };

static const double notable_wait = 0.01; /* seconds */

struct train {
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t begun;
    /* set before the thread starts */
    const struct engine_ops *ops;
    const struct net *net;
    struct engine_config config;
    const struct checkpoint *start;
    struct feed *feed;
    struct saver *saver;
    const struct log *log;
    int wake;
    /* under the mutex */
    bool ready, stopping;
    struct train_settings settings;
    struct train_progress progress;
    /* the thread's own */
    struct engine *engine;
    struct health health;
    uint64_t step;
    uint8_t chain[SHA256_SIZE];
};

static void wake_reader(const struct train *self) {
    uint64_t one = 1;
    if (write(self->wake, &one, sizeof one) < 0)
        return; /* the counter is at its top: the reader is awake already */
}

/* Epochs that are complete after `steps` steps. */
static uint64_t epochs_after(const struct train_settings *settings, uint64_t steps) {
    return steps * (uint64_t)settings->config.batch / settings->samples;
}

/* Adds finished steps' results to what the socket side will see. */
static int gather_results(struct train *self, bool wait, double busy, struct error *error) {
    struct step_result results[RESULTS_AT_ONCE];
    int count;
    do {
        count = self->ops->collect(self->engine, results, RESULTS_AT_ONCE, wait, error);
        if (count < 0)
            return -1;
        pthread_mutex_lock(&self->mutex);
        for (int i = 0; i < count; i++) {
            health_note_loss(&self->health, &results[i]);
            self->progress.images += results[i].count;
            self->progress.loss += (double)results[i].loss * results[i].count;
            self->progress.digit_hits += results[i].digit_hits;
            self->progress.sum_hits += results[i].sum_hits;
        }
        memcpy(self->progress.trouble, self->health.reason, sizeof self->progress.trouble);
        self->progress.step = self->step;
        self->progress.busy += busy;
        busy = 0;
        pthread_mutex_unlock(&self->mutex);
    } while (count == RESULTS_AT_ONCE);
    wake_reader(self);
    return 0;
}

/* Whether training may go on as it is. -1 with ERROR_DIVERGED where it may not. */
static int check_health(const struct train *self, const struct train_settings *settings,
                        struct error *error) {
    if (!self->health.failed || settings->keep_going)
        return 0;
    return error_set(
        error, ERROR_DIVERGED,
        "%s; start again with a lower rate than --rate %g, or keep training with --keep-going",
        self->health.reason, (double)settings->schedule.peak);
}

bool train_checkpoint_due(const struct train_settings *settings, uint64_t step) {
    if (!settings->checkpoints || step == 0)
        return false;
    if (settings->checkpoint_every && step % settings->checkpoint_every == 0)
        return true;
    double stride = settings->checkpoint_epochs * settings->samples / settings->config.batch;
    if (stride > 0 && floor((double)step / stride) > floor((double)(step - 1) / stride))
        return true;
    return epochs_after(settings, step) > epochs_after(settings, step - 1);
}

static int snapshot(struct train *self, const struct train_settings *settings, bool final,
                    struct error *error) {
    struct checkpoint shot = *self->start; /* seed, settings, net: as at the start */
    shot.step = self->step;
    shot.samples = self->step * (uint64_t)settings->config.batch;
    shot.epoch = (double)shot.samples / settings->samples;
    memcpy(shot.dataset, settings->dataset, sizeof shot.dataset);
    memcpy(shot.chain, self->chain, sizeof shot.chain);
    shot.state = (struct engine_state){0};
    /* The record is on disk before a checkpoint that needs it. */
    if (settings->record && record_sync(settings->record, error) != 0)
        return -1;
    if (state_alloc(&shot.state, self->net, &settings->config.optimizer, error) != 0)
        return -1;
    /* All started steps are done after the export: their losses are there, and cost no wait. A
     * state that is no use never becomes a checkpoint: the last good one stays the newest. */
    int status = self->ops->export(self->engine, &shot.state, error);
    if (status == 0)
        status = gather_results(self, true, 0, error);
    if (status == 0) {
        health_note_weights(&self->health, &shot.state, self->net->total, self->step);
        status = check_health(self, settings, error);
    }
    if (status != 0) {
        state_free(&shot.state);
        return -1;
    }
    bool epoch_end = self->step > 0 &&
                     epochs_after(settings, self->step) > epochs_after(settings, self->step - 1);
    saver_give(self->saver, &shot, epoch_end || final, final);
    return 0;
}

static int train_one(struct train *self, const struct train_settings *settings,
                     struct feed_item *item, struct error *error) {
    double begin = clock_seconds();
    struct step_settings step = {self->step, schedule_rate(&settings->schedule, self->step)};
    int status = self->ops->train_step(self->engine, &item->batch, &step, error);
    if (status == 0)
        chain_add(self->chain, self->step, item->digest);
    wire_release(&item->message);
    if (status != 0)
        return error_prefix(error, "training step %llu", (unsigned long long)self->step);
    if (settings->record && record_add(settings->record, item->digest, error) != 0)
        return -1;
    self->step++;
    if (gather_results(self, false, clock_seconds() - begin, error) != 0)
        return -1;
    return check_health(self, settings, error);
}

/* Takes the next batch and keeps account of the wait for it. The first one's is the start of the
 * workers, not a stall. */
static bool next_batch(struct train *self, struct feed_item *item) {
    double began = clock_seconds();
    if (!feed_take(self->feed, item))
        return false;
    double waited = clock_seconds() - began;
    if (self->step == self->start->step)
        return true;
    pthread_mutex_lock(&self->mutex);
    self->progress.waited += waited;
    if (waited > self->progress.longest_wait)
        self->progress.longest_wait = waited;
    pthread_mutex_unlock(&self->mutex);
    if (waited >= notable_wait)
        log_debug(self->log, "waited %.3f s for the batch of step %llu", waited,
                  (unsigned long long)self->step);
    return true;
}

static bool stopping(struct train *self) {
    pthread_mutex_lock(&self->mutex);
    bool stop = self->stopping;
    pthread_mutex_unlock(&self->mutex);
    return stop;
}

/* False when asked to stop before the dataset was known. */
static bool wait_for_begin(struct train *self, struct train_settings *settings) {
    pthread_mutex_lock(&self->mutex);
    while (!self->ready && !self->stopping)
        pthread_cond_wait(&self->begun, &self->mutex);
    bool ready = self->ready;
    *settings = self->settings;
    pthread_mutex_unlock(&self->mutex);
    return ready;
}

static int train_all(struct train *self, struct error *error) {
    struct train_settings settings;
    if (self->ops->create(self->net, &self->config, &self->engine, error) != 0)
        return -1;
    if (self->ops->import(self->engine, &self->start->state, error) != 0)
        return -1;
    if (!wait_for_begin(self, &settings))
        return 0;
    health_begin(&self->health, self->net->regression, &settings.config.optimizer);
    health_note_weights(&self->health, &self->start->state, self->net->total, self->step);
    if (check_health(self, &settings, error) != 0)
        return -1;
    const uint64_t begun = self->step;
    bool saved = true; /* what we resumed from is on disk, and step 0 follows from the seed */
    while (self->step < settings.steps && !stopping(self)) {
        struct feed_item item;
        if (!next_batch(self, &item))
            break;
        if (train_one(self, &settings, &item, error) != 0)
            return -1;
        saved = false;
        if (self->step < settings.steps && train_checkpoint_due(&settings, self->step)) {
            if (snapshot(self, &settings, false, error) != 0)
                return -1;
            saved = true;
        }
    }
    if (gather_results(self, true, 0, error) != 0)
        return -1;
    if (self->step == settings.steps)
        health_note_end(&self->health, self->step, self->step - begun);
    if (check_health(self, &settings, error) != 0)
        return -1;
    /* Stopped early: the checkpoint is not the run's final one, but where it will go on. */
    if (settings.checkpoints && (!saved || self->step == settings.steps))
        return snapshot(self, &settings, self->step == settings.steps, error);
    return 0;
}

static void *run(void *argument) {
    struct train *self = argument;
    struct error error = {0};
    int status = train_all(self, &error);
    self->ops->destroy(&self->engine);
    pthread_mutex_lock(&self->mutex);
    memcpy(self->progress.trouble, self->health.reason, sizeof self->progress.trouble);
    self->progress.finished = true;
    self->progress.failed = status != 0;
    self->progress.error = error;
    pthread_mutex_unlock(&self->mutex);
    wake_reader(self);
    return NULL;
}

struct train *train_start(const struct engine_ops *ops, const struct net *net,
                          const struct engine_config *config, const struct checkpoint *start,
                          struct feed *feed, struct saver *saver, int wake, const struct log *log,
                          struct error *error) {
    struct train *self = calloc(1, sizeof *self);
    if (!self) {
        error_set(error, ERROR_MEMORY, "no memory for the training thread");
        return NULL;
    }
    self->ops = ops;
    self->net = net;
    self->config = *config;
    self->start = start;
    self->feed = feed;
    self->saver = saver;
    self->wake = wake;
    self->log = log;
    self->step = self->progress.step = start->step;
    memcpy(self->chain, start->chain, sizeof self->chain);
    pthread_mutex_init(&self->mutex, NULL);
    pthread_cond_init(&self->begun, NULL);
    if (pthread_create(&self->thread, NULL, run, self) != 0) {
        error_set(error, ERROR_IO, "cannot start the training thread");
        pthread_cond_destroy(&self->begun);
        pthread_mutex_destroy(&self->mutex);
        free(self);
        return NULL;
    }
    return self;
}

void train_begin(struct train *self, const struct train_settings *settings) {
    pthread_mutex_lock(&self->mutex);
    self->settings = *settings;
    self->ready = true;
    pthread_cond_broadcast(&self->begun);
    pthread_mutex_unlock(&self->mutex);
}

void train_stop(struct train *self) {
    pthread_mutex_lock(&self->mutex);
    self->stopping = true;
    pthread_cond_broadcast(&self->begun);
    pthread_mutex_unlock(&self->mutex);
}

void train_look(struct train *self, struct train_progress *progress) {
    pthread_mutex_lock(&self->mutex);
    *progress = self->progress;
    self->progress.images = 0;
    self->progress.loss = self->progress.digit_hits = self->progress.sum_hits = 0;
    pthread_mutex_unlock(&self->mutex);
}

void train_destroy(struct train **pointer) {
    struct train *self = *pointer;
    if (!self)
        return;
    train_stop(self);
    pthread_join(self->thread, NULL);
    pthread_cond_destroy(&self->begun);
    pthread_mutex_destroy(&self->mutex);
    free(self);
    *pointer = NULL;
}
