/* Commands that the launcher suggests: the one that started it, written so that it goes on with the
 * run or begins it again, ready to be pasted into a shell. One that make started is a make command.
 */
#ifndef DEPLOY_COMMAND_H
#define DEPLOY_COMMAND_H

enum command_kind {
    COMMAND_RESUME,       /* all that was given, and --resume */
    COMMAND_RESUME_OTHER, /* an older run of that name, which may have been started with anything:
                             its name and place alone, and --resume */
    COMMAND_KEEP_GOING,   /* as COMMAND_RESUME, with --keep-going */
    COMMAND_FORCE         /* all that was given, and --force */
};

struct command_origin {
    char **argv;       /* as typed */
    const char *make;  /* "make run-pipeline"; NULL: not started by make */
    const char *given; /* the variables that make was given, but RUN, RESUME and FORCE: "" or
                          " NET='tiny'" */
};

/* `run`: the run's name; `runs`: --runs where it was given, or NULL. The caller frees; NULL when
 * memory is short. */
char *command_text(enum command_kind kind, const struct command_origin *origin, const char *run,
                   const char *runs);

/* The command that watches this run: the watch beside that program, or in `binaries` where how the
 * program was typed does not name it from where the user is. The caller frees; NULL when memory is
 * short. */
char *command_watch(const struct command_origin *origin, const char *binaries, const char *control);

#endif
