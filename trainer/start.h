/* Where a run begins: options, recipe, network, engine, and the first state, which is step 0 or the
 * newest whole checkpoint of the run folder. */
#ifndef TRAINER_START_H
#define TRAINER_START_H

#include "common/lock.h"
#include "common/notices.h"
#include "common/processors.h"
#include "trainer/coordinator.h"

#include <jansson.h>

/* All that a run needs before its first message. */
struct start {
    struct settings settings;
    struct options *options;
    struct goal goal;
    const struct engine_ops *ops;
    struct engine_config config;
    struct checkpoint *checkpoint; /* step 0 or resumed; its net is the run's */
    struct lock lock;              /* of the run's folder, until start_free */
    char *settings_json;           /* also in checkpoint->settings */
    bool made_folder;              /* the run's folder was not there before */
    struct processors machine;
    int recorded_threads;   /* of the run that is resumed; 0: not recorded, or a new run */
    json_t *computed_with;  /* traits_to_json, and changed_at; also in checkpoint->computed; NULL
                               with the null engine */
    struct notices notices; /* threads that were cut, other bits: for the log, the table and
                               summary.json */
};

/* Parses, reads the recipe, chooses the engine, makes or reads the state, locks the run folder,
 * and writes settings.json into it. ERROR_REFUSED: another trainer uses the folder. start_free in
 * every case. `log` is set up here, since a level is an option. 1: the network was printed, as
 * asked for, and there is nothing more to do. */
int start_prepare(struct start *start, int argc, char **argv, struct log *log, struct error *error);

/* Where the run cannot begin after all: takes away the folder that start_prepare made, with what it
 * wrote into it. Anything else in it keeps it there. */
void start_discard(const struct start *start);

void start_free(struct start *start);

#endif
