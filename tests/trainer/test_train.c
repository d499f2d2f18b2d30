/* The training thread with an engine that only takes notes: which steps, which rates, which chain,
 * which checkpoints, and how it ends. */
#include "common/chain.h"
#include "model/net.h"
#include "tests/support/scratch.h"
#include "tests/trainer/fake_engine.h"
#include "tests/trainer/tiny.h"
#include "trainer/train.h"

#include <criterion/criterion.h>
#include <math.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { BATCH = 4, SAMPLES = 20 }; /* an epoch is five steps */

/* All that surrounds a training thread. */
struct rig {
    char folder[64];
    int wake, quiet; /* of the thread; of the saver, which nobody waits for */
    struct net *net;
    struct checkpoint start;
    struct feed *feed;
    struct saver *saver;
    struct train *train;
    struct train_settings settings;
    struct train_progress sums; /* images and sums added up, the rest as seen last */
    struct error error;
};

static struct rig rig;

static void setup(void) {
    scratch_begin(rig.folder);
    rig.wake = eventfd(0, EFD_CLOEXEC);
    rig.quiet = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    rig.net = tiny_net();
    tiny_checkpoint(&rig.start, rig.net, 0, BATCH, SAMPLES);
    memset(rig.start.chain, 0, SHA256_SIZE);
    rig.feed = feed_create(3);
    rig.saver = saver_start(rig.folder, rig.quiet, &rig.error);
    cr_assert_not_null(rig.saver, "%s", rig.error.text);
    rig.settings = (struct train_settings){
        .ops = &fake_engine,
        .net = rig.net,
        .config = {.batch = BATCH, .training = true, .optimizer = tiny_optimizer},
        .schedule = {.kind = SCHEDULE_ONECYCLE,
                     .peak = 1.0f,
                     .warmup = 0.25f,
                     .final = 0.001f,
                     .steps = 10},
        .steps = 10,
        .samples = SAMPLES,
        .checkpoints = true};
    memset(rig.settings.dataset, 'e', SHA256_HEX - 1);
}

static void teardown(void) {
    if (rig.feed)
        feed_close(rig.feed);
    train_destroy(&rig.train);
    saver_destroy(&rig.saver);
    feed_destroy(&rig.feed);
    state_free(&rig.start.state);
    net_destroy(&rig.net);
    close(rig.wake);
    close(rig.quiet);
    scratch_end(rig.folder);
    cr_expect_eq(fake.created, fake.destroyed);
}

TestSuite(train, .init = setup, .fini = teardown, .timeout = 60); /* against hanging */

static void start(void) {
    rig.train = train_start(&fake_engine, rig.net, &rig.settings.config, &rig.start, rig.feed,
                            rig.saver, rig.wake, NULL, &rig.error);
    cr_assert_not_null(rig.train, "%s", rig.error.text);
}

static void look(void) {
    struct train_progress now;
    train_look(rig.train, &now);
    now.images += rig.sums.images;
    now.loss += rig.sums.loss;
    now.digit_hits += rig.sums.digit_hits;
    now.sum_hits += rig.sums.sum_hits;
    rig.sums = now;
}

static void wait_for_step(uint64_t step) {
    for (look(); rig.sums.step < step && !rig.sums.finished; look())
        tiny_wait(rig.wake);
}

static void wait_for_end(void) {
    for (look(); !rig.sums.finished; look())
        tiny_wait(rig.wake);
}

/* Feeds steps from … to-1. Stops where the thread has ended. */
static void feed_steps(uint64_t from, uint64_t to) {
    for (uint64_t step = from; step < to && !rig.sums.finished; step++) {
        struct wire_message message;
        tiny_message(&message, step, BATCH);
        while (!feed_put(rig.feed, &message) && !rig.sums.finished) {
            tiny_wait(rig.wake); /* until there is room, or an end */
            look();
        }
        wire_release(&message);
    }
}

/* That exactly these checkpoints were written, the last of them final or not. */
static void expect_saved(int count, const uint64_t *steps, bool final) {
    struct saved saved;
    for (int i = 0; i < count; i++) {
        while (!saver_take(rig.saver, &saved))
            sched_yield();
        cr_assert_not(saved.failed, "%s", saved.error.text);
        cr_expect_eq(saved.step, steps[i], "step %llu", (unsigned long long)saved.step);
        cr_expect_eq(saved.final, final && i == count - 1);
        cr_expect_eq(saved.epoch_end, saved.step % 5 == 0 || saved.final);
    }
    cr_expect(saver_idle(rig.saver), "more than %d checkpoints", count);
}
#define SAVED(final, ...)                                                                          \
    expect_saved(sizeof((uint64_t[]){__VA_ARGS__}) / sizeof(uint64_t), (uint64_t[]){__VA_ARGS__},  \
                 final)

/* The chain from zeros over the steps before `end`. */
static void chain_until(uint64_t end, uint8_t head[SHA256_SIZE]) {
    memset(head, 0, SHA256_SIZE);
    for (uint64_t step = 0; step < end; step++) {
        struct wire_message message;
        struct batch batch;
        uint8_t digest[SHA256_SIZE];
        tiny_message(&message, step, rig.settings.config.batch);
        wire_view(&message, &batch);
        chain_digest(&batch, digest);
        chain_add(head, step, digest);
        wire_release(&message);
    }
}

Test(train, a_whole_run) {
    start();
    train_begin(rig.train, &rig.settings);
    feed_steps(0, 10);
    wait_for_end();
    cr_expect_not(rig.sums.failed, "%s", rig.sums.error.text);
    cr_expect_eq(rig.sums.step, 10);
    cr_expect_eq(rig.sums.images, 40);
    cr_expect_eq(rig.sums.loss, 80);
    cr_expect_eq(rig.sums.digit_hits, 20);
    cr_expect_eq(rig.sums.sum_hits, 10);
    cr_assert_eq(fake.steps, 10);
    for (uint64_t step = 0; step < 10; step++) {
        cr_expect_eq(fake.trained[step], step);
        cr_expect_eq(fake.rates[step], schedule_rate(&rig.settings.schedule, step));
    }
    SAVED(true, 5, 10);

    char path[PATH_MAX];
    uint8_t chain[SHA256_SIZE];
    saver_file(rig.folder, 10, path);
    struct checkpoint *last = checkpoint_read(path, &rig.error);
    cr_assert_not_null(last, "%s", rig.error.text);
    cr_expect_eq(last->step, 10);
    cr_expect_eq(last->samples, 40);
    cr_expect_eq(last->epoch, 2.0);
    cr_expect_eq(last->seed, rig.start.seed);
    cr_expect_str_eq(last->settings, rig.start.settings);
    cr_expect_str_eq(last->dataset, rig.settings.dataset);
    chain_until(10, chain);
    cr_expect_arr_eq(last->chain, chain, SHA256_SIZE);
    cr_expect_eq(last->state.updates, 10);
    cr_expect_eq(last->state.weights[0], fake.first_weight + 10);
    checkpoint_destroy(&last);
}

Test(train, results_that_come_late_are_all_counted) {
    fake.lag = 150; /* more than are collected at once */
    rig.settings.steps = rig.settings.schedule.steps = 200;
    rig.settings.checkpoints = false;
    start();
    train_begin(rig.train, &rig.settings);
    feed_steps(0, 200);
    wait_for_end();
    cr_expect_not(rig.sums.failed, "%s", rig.sums.error.text);
    cr_expect_eq(rig.sums.images, 800);
    cr_expect_eq(rig.sums.digit_hits, 400);
    cr_expect(saver_idle(rig.saver), "no checkpoints were asked for");
    cr_expect_eq(scratch_count(rig.folder), 0);
}

Test(train, checkpoints_every_so_many_steps) {
    rig.settings.checkpoint_every = 3;
    start();
    train_begin(rig.train, &rig.settings);
    feed_steps(0, 10);
    wait_for_end();
    SAVED(true, 3, 5, 6, 9, 10);
}

Test(train, checkpoints_every_part_of_an_epoch) {
    rig.settings.checkpoint_epochs = 0.5; /* two and a half steps */
    start();
    train_begin(rig.train, &rig.settings);
    feed_steps(0, 10);
    wait_for_end();
    SAVED(true, 3, 5, 8, 10);
}

Test(train, epochs_end_within_batches_too) {
    rig.settings.samples = 10; /* ends in steps 3 (samples 8-11), 5, 8, 10 */
    start();
    train_begin(rig.train, &rig.settings);
    feed_steps(0, 10);
    wait_for_end();
    static const uint64_t steps[] = {3, 5, 8, 10};
    for (int i = 0; i < 4; i++) {
        struct saved saved;
        while (!saver_take(rig.saver, &saved))
            sched_yield();
        cr_expect_eq(saved.step, steps[i]);
        cr_expect(saved.epoch_end);
    }
    cr_expect(saver_idle(rig.saver));
}

Test(train, a_stop_saves_where_it_stands) {
    start();
    train_begin(rig.train, &rig.settings);
    feed_steps(0, 4);
    wait_for_step(4);
    train_stop(rig.train);
    feed_close(rig.feed);
    wait_for_end();
    cr_expect_not(rig.sums.failed);
    cr_expect_eq(rig.sums.step, 4);
    SAVED(false, 4);
}

Test(train, a_stop_saves_nothing_twice) {
    start();
    train_begin(rig.train, &rig.settings);
    feed_steps(0, 5);
    wait_for_step(5);
    train_stop(rig.train);
    feed_close(rig.feed);
    wait_for_end();
    SAVED(false, 5);
}

Test(train, a_stop_before_the_beginning_ends_at_once) {
    start();
    train_stop(rig.train);
    wait_for_end();
    cr_expect_not(rig.sums.failed);
    cr_expect_eq(rig.sums.step, 0);
    cr_expect(saver_idle(rig.saver));
    cr_expect_eq(fake.steps, 0);
}

/* Nobody would score it: a run that is resumed looks for evaluations after its first step. */
Test(train, a_stop_before_the_first_step_saves_nothing) {
    start();
    train_begin(rig.train, &rig.settings);
    train_stop(rig.train);
    feed_close(rig.feed);
    wait_for_end();
    cr_expect_not(rig.sums.failed);
    cr_expect_eq(rig.sums.step, 0);
    cr_expect(saver_idle(rig.saver));
    cr_expect_eq(scratch_count(rig.folder), 0);
}

Test(train, a_resumed_run_goes_on_with_steps_and_chain) {
    uint8_t chain[SHA256_SIZE];
    state_free(&rig.start.state);
    tiny_checkpoint(&rig.start, rig.net, 7, BATCH, SAMPLES);
    chain_until(7, rig.start.chain);
    start();
    look();
    cr_expect_eq(rig.sums.step, 7);
    train_begin(rig.train, &rig.settings);
    feed_steps(7, 10);
    wait_for_end();
    cr_expect_eq(fake.first_weight, rig.start.state.weights[0]);
    cr_assert_eq(fake.steps, 3);
    cr_expect_eq(fake.trained[0], 7);
    cr_expect_eq(fake.rates[0], schedule_rate(&rig.settings.schedule, 7));
    cr_expect_eq(rig.sums.images, 12);
    struct saved saved;
    while (!saver_take(rig.saver, &saved))
        sched_yield();
    chain_until(10, chain);
    cr_expect_eq(saved.step, 10);
    cr_expect(saved.final);
    cr_expect_arr_eq(saved.chain, chain, SHA256_SIZE);
}

Test(train, a_resumed_run_that_stops_at_once_saves_nothing) {
    state_free(&rig.start.state);
    tiny_checkpoint(&rig.start, rig.net, 7, BATCH, SAMPLES);
    start();
    train_begin(rig.train, &rig.settings);
    train_stop(rig.train);
    feed_close(rig.feed);
    wait_for_end();
    cr_expect_not(rig.sums.failed);
    cr_expect_eq(rig.sums.step, 7);
    cr_expect(saver_idle(rig.saver));
}

Test(train, a_run_resumed_at_its_end_is_final_again) {
    state_free(&rig.start.state);
    tiny_checkpoint(&rig.start, rig.net, 10, BATCH, SAMPLES);
    start();
    train_begin(rig.train, &rig.settings);
    wait_for_end();
    cr_expect_eq(fake.steps, 0);
    SAVED(true, 10);
}

/* Trains until the engine fails, and checks what is told. */
static void expect_failure(enum fake_call broken, const char *sentence) {
    fake.broken = broken;
    fake.broken_step = 3;
    start();
    train_begin(rig.train, &rig.settings);
    feed_steps(0, 10);
    wait_for_end();
    cr_expect(rig.sums.failed);
    cr_expect_eq(rig.sums.error.code, ERROR_DEVICE, "its exit status follows from the code");
    cr_expect_str_eq(rig.sums.error.text, sentence);
    cr_expect(saver_idle(rig.saver), "a state that may be broken is not saved");
}

Test(train, an_engine_that_cannot_be_made) {
    expect_failure(FAKE_CREATE, "fake trouble");
}

Test(train, an_engine_that_refuses_the_state) {
    expect_failure(FAKE_IMPORT, "fake trouble");
}

Test(train, an_engine_that_fails_in_a_step) {
    expect_failure(FAKE_STEP, "training step 3: fake trouble");
    cr_expect_eq(rig.sums.step, 3);
    cr_expect_eq(rig.sums.images, 12);
}

Test(train, an_engine_that_fails_in_its_results) {
    expect_failure(FAKE_COLLECT, "fake trouble");
}

Test(train, an_engine_that_cannot_be_read) {
    expect_failure(FAKE_EXPORT, "fake trouble");
}

/* Trains to the end or to where it gives up, and checks what is told of the loss. */
static void train_badly(bool keep_going, int steps, const char *trouble) {
    rig.settings.keep_going = keep_going;
    rig.settings.steps = rig.settings.schedule.steps = (uint64_t)steps;
    start();
    train_begin(rig.train, &rig.settings);
    feed_steps(0, (uint64_t)steps);
    wait_for_end();
    cr_expect_eq(rig.sums.failed, !keep_going, "%s", rig.sums.error.text);
    cr_expect_str_eq(rig.sums.trouble, trouble);
}

Test(train, a_loss_that_is_not_a_number_ends_it) {
    fake.bad_from = 7;
    fake.bad_loss = NAN;
    train_badly(false, 10, "the loss is not a number since step 8");
    cr_expect_eq(rig.sums.error.code, ERROR_DIVERGED);
    cr_expect_str_eq(rig.sums.error.text,
                     "the loss is not a number since step 8; start again with a lower rate than "
                     "--rate 1, or keep training with --keep-going");
    SAVED(false, 5);
}

Test(train, a_loss_that_is_known_late_never_becomes_a_checkpoint) {
    fake.bad_from = 7;
    fake.bad_loss = INFINITY;
    fake.lag = 100; /* as a GPU: known when it is asked for all */
    train_badly(false, 10, "the loss is infinite since step 8");
    SAVED(false, 5);
}

Test(train, keeps_going_where_told_to) {
    fake.bad_from = 7;
    fake.bad_loss = NAN;
    train_badly(true, 10, "the loss is not a number since step 8");
    cr_expect_eq(rig.sums.step, 10);
    SAVED(true, 5, 10);
}

Test(train, weights_that_are_not_finite_never_become_a_checkpoint) {
    fake.bad_weights = true;
    train_badly(false, 10, "some weights are not finite numbers at step 5");
    cr_expect_eq(rig.sums.error.code, ERROR_DIVERGED);
    cr_expect(saver_idle(rig.saver));
}

Test(train, a_loss_explodes_when_it_stays_high) {
    rig.settings.checkpoints = false;
    fake.bad_from = 7;
    fake.bad_loss = 106; /* an untrained network has ln 10 + ln 19 = 5.2 */
    train_badly(false, 40,
                "the loss has exploded: over 105 since step 8, where an untrained network has 5.2");
    cr_expect_eq(rig.sums.step, 27, "20 steps of it");
}

Test(train, a_high_loss_that_comes_down_is_none) {
    rig.settings.checkpoints = false;
    fake.bad_from = 7;
    fake.bad_loss = 106;
    fake.good_from = 26; /* 19 high ones */
    rig.settings.steps = rig.settings.schedule.steps = 27;
    start();
    train_begin(rig.train, &rig.settings);
    feed_steps(0, 27);
    wait_for_end();
    cr_expect_not(rig.sums.failed, "%s", rig.sums.error.text);
    cr_expect_str_eq(rig.sums.trouble, "");
}

Test(train, a_loss_that_is_high_at_the_end_has_exploded) {
    rig.settings.checkpoints = false;
    fake.bad_from = 7;
    fake.bad_loss = 106;
    train_badly(false, 12,
                "the loss has exploded: over 105 since step 8, where an untrained network has 5.2");
    cr_expect_eq(rig.sums.error.code, ERROR_DIVERGED);
}

Test(train, four_high_losses_at_the_end_are_not_enough) {
    rig.settings.checkpoints = false;
    fake.bad_from = 7;
    fake.bad_loss = 106;
    train_badly(true, 11, "");
}

Test(train, destroyed_without_a_begin) {
    start();
    feed_close(rig.feed);
    train_destroy(&rig.train);
    cr_expect_null(rig.train);
    train_destroy(&rig.train);
}
