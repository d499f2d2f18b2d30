/* The launcher's options, and the command lines of the processes that follow from them. The
 * trainer's own options are not known here: they are handed on. */
#ifndef DEPLOY_LAUNCH_H
#define DEPLOY_LAUNCH_H

#include "common/data_source.h"
#include "common/options.h"
#include "deploy/folder.h"
#include "deploy/supervise.h"

struct launch {
    const char *run, *runs; /* name, and the folder of all runs */
    bool resume, force, transpose;
    const char *device, *data;
    int64_t hold_out, loaders, augmenters, evaluators;
    struct data_source begun; /* of a resumed run, where they were not given */
    const char **more_trainer, **more_loader, **more_augment, **more_evaluator;
    const char *misspelt, *meant; /* a word that went to the trainer, and the option of ours that is
                                     spelt like it; NULL: none */
};

extern const struct options_program launch_program;

/* Fills `launch` from the command line. A long option that is none of the launcher's goes to the
 * trainer, with the next word where that may be its value, and so does everything after "--": both
 * as if given by --trainer=WORD. As options_parse; `argv` must outlive the result. */
struct options *launch_parse(struct launch *launch, int argc, char **argv, struct error *error);

/* The network that the trainer was told to train, for the run's name. Borrowed. */
const char *launch_net(const struct launch *launch);

/* What no single option can tell: --resume needs a name, and does not go with --force; the run's
 * name is well-formed. -1 with ERROR_INVALID. */
int launch_check(const struct launch *launch, struct error *error);

/* Has the trainer check its options (trainer --check), before anything is made or started. -1 with
 * its sentence and ERROR_INVALID where it refuses them; what else may go wrong, its real start will
 * tell.
 */
int launch_check_trainer(const struct launch *launch, const struct options *options,
                         const char *binaries, struct error *error);

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
