/* The launcher's options, and the command lines of the processes that follow from them. One table
 * says which option goes to which program, another what environment each program gets. */
#ifndef DEPLOY_LAUNCH_H
#define DEPLOY_LAUNCH_H

#include "common/data_source.h"
#include "common/options.h"
#include "deploy/folder.h"
#include "deploy/supervise.h"

struct launch {
    const char *run, *runs; /* name, and the folder of all runs */
    bool resume, other_bits, force, tune, keep_going, transpose;
    const char *net, *recipe, *until, *device, *precision, *data;
    int64_t seed, steps, hold_out, ahead, graph_steps;
    double epochs;
    int64_t loaders, augmenters, evaluators;
    struct data_source begun; /* of a resumed run, where they were not given */
    const char **more_trainer, **more_loader, **more_augment, **more_evaluator;
};

extern const struct options_program launch_program;

/* What no single option can tell: --resume needs a name, and does not go with --force; the run's
 * name is well-formed. -1 with ERROR_INVALID. */
int launch_check(const struct launch *launch, struct error *error);

/* Keeps the data and the images held out in the folder of a new run; of a resumed run takes what
 * was kept where the options do not say. The trainer refuses other data than the checkpoint's.
 * `launch` must not be moved afterwards. -1 as data_source_write and data_source_read. */
int launch_settle_data(struct launch *launch, const struct options *options,
                       const struct folder *folder, struct error *error);

/* Appends the words of `program` ("trainer", "loader", "augment", "evaluator"), instance `number`
 * from 1, to an array of strings that the caller frees with launch_free_words. `binaries` is the
 * folder of the programs. NULL with ERROR_MEMORY. */
char **launch_words(const char *program, int number, const char *binaries,
                    const struct launch *launch, const struct options *options,
                    const struct folder *folder, struct error *error);
void launch_free_words(char **words);

/* Starts all processes of the run, the trainer first: it binds what the others join. -1 with the
 * first that cannot be started. */
int launch_start(struct supervisor *supervisor, const char *binaries, const struct launch *launch,
                 const struct options *options, const struct folder *folder, struct error *error);

#endif
