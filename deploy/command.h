/* Commands that the launcher suggests: the one that started it, written so that it goes on with the
 * run or begins it again, ready to be pasted into a shell. One that make started is a make command.
 */
#ifndef DEPLOY_COMMAND_H
#define DEPLOY_COMMAND_H

#include "deploy/launch.h"

enum command_kind {
    COMMAND_RESUME, /* without what the run has recorded itself, unless this start went on with it
                       too */
    COMMAND_RESUME_OTHER, /* an older run of that name: also without the trainer's own options,
                             which it may have been begun without */
    COMMAND_KEEP_GOING,   /* as COMMAND_RESUME, with --keep-going */
    COMMAND_FORCE         /* all that was given, and the older run thrown away */
};

struct command_origin {
    const char *program; /* argv[0] as it was typed */
    const char *make; /* "make run-pipeline", with what make was given that is not for us; NULL: not
                         started by make */
};

/* The caller frees; NULL when memory is short. */
char *command_text(enum command_kind kind, const struct command_origin *origin, const char *run,
                   const struct launch *launch, const struct options *options);

/* The command that watches this run: the watch beside that program, or in `binaries` where how the
 * program was typed does not name it from where the user is. The caller frees; NULL when memory is
 * short. */
char *command_watch(const struct command_origin *origin, const char *binaries, const char *control);

#endif
