/* The trainer's options: one table of rows, and what they mean to the other modules. */
#ifndef TRAINER_SETTINGS_H
#define TRAINER_SETTINGS_H

#include "common/endpoint.h"
#include "common/notices.h"
#include "common/options.h"
#include "common/warps.h"
#include "model/engine.h"
#include "trainer/schedule.h"

struct settings {
    /* where */
    const char *bind, *run_dir;
    const char *folder; /* plain argument: stands for run_dir with resume */
    bool insecure, check, resume, other_bits, tune, expect_evaluator, keep_going;
    /* what */
    const char *describe, *dot; /* NULL: train */
    const char *net, *recipe, *device, *engine, *precision;
    int64_t threads, ahead, graph_steps, seed, batch, steps;
    double epochs;
    /* how */
    const char *optimizer, *schedule;
    double rate, momentum, beta1, beta2, rho, epsilon, weight_decay, ema;
    double step_epochs, gamma;
    const char *milestones;
    double label_smoothing, digit_weight, sum_weight, warmup, final_rate;
#define SETTINGS_WARP(name, max, unit, help) double name;
    WARPS(SETTINGS_WARP)
    /* the run */
    int64_t checkpoint_every, keep, unscored, window, hedge, drain;
    double checkpoint_epochs;
    const char *until, *name, *log_level;
};

extern const struct options_program trainer_program;

/* The goal of --until "digit=99.0,sum=99.0", in percent; 0 where not named. */
struct goal {
    double digit, sum;
};

/* Puts in the optimizer's usual value where a setting was not given: rho, epsilon. */
void settings_settle(struct settings *settings);

/* Checks what single rows cannot (addresses, keys, --until, epochs against steps). -1 with one
 * sentence. */
int settings_check(const struct settings *settings, struct goal *goal, struct error *error);

/* Where the recipe of this network lies: --recipe FILE (has a '/' or ends in .recipe), --recipe
 * NAME (<net>.NAME.recipe beside the network), or the network's own <net>.recipe. `path` is empty
 * where none was asked for and there is none. -1: the one asked for is not there. */
int settings_recipe(const struct settings *settings, char *path, size_t size, struct error *error);

/* Notes each option of the command line that has no effect with the optimizer and schedule that are
 * set: one for another of them. A recipe may hold such settings, for whoever chooses otherwise. */
void settings_note_idle(const struct settings *settings, const struct options *options,
                        struct notices *notices);

void settings_optimizer(const struct settings *settings, struct optimizer *optimizer);
/* `steps`: of the whole run; `samples`: of an epoch. */
void settings_schedule(const struct settings *settings, uint64_t steps, uint32_t samples,
                       struct schedule *schedule);
struct warps settings_warps(const struct settings *settings);

#endif
