/* A run as the launcher holds it, shared by pipeline.c (start, loop) and conclude.c (report, exit
 * status, which command to type next). */
#ifndef DEPLOY_RUN_H
#define DEPLOY_RUN_H

#include "common/evaluations.h"
#include "deploy/command.h"
#include "deploy/form.h"
#include "deploy/launch.h"
#include "deploy/telemetry.h"
#include "deploy/view.h"

enum phase {
    RUNNING,
    STOPPING,    /* the trainer was asked to */
    LEAVING,     /* the trainer has ended: the others have been told and leave */
    TERMINATING, /* SIGTERM was sent to all that is left */
    KILLED,
    DRAWING /* all have ended: the pictures are drawn */
};

struct run {
    struct launch launch;
    struct options *options;
    struct command_origin origin;
    char name[FOLDER_NAME];
    struct folder folder;
    struct supervisor *supervisor;
    struct view *view;
    void *context;
    struct telemetry *telemetry;
    int signals; /* descriptor that reads signals */
    bool ascii;

    enum phase phase;
    int64_t deadline;              /* of this phase */
    bool interrupted;              /* a signal asked to end */
    bool insisted;                 /* one that counts as the first of two did */
    int status;                    /* what to exit with */
    char failure[PATH_MAX + 1024]; /* what went wrong first; "" if nothing */
    char log[PATH_MAX + 64];       /* of whom; "" if of nobody */

    struct form_state state;
    struct evaluations shown; /* what stands on the screen, or did when the run was resumed */
    bool diverged;            /* what went wrong is the loss or the weights */
    bool synthetic;           /* the notice was given */
    struct notices warned;    /* warnings that stand on the screen */
};

/* Shows an evaluation, unless it stands on the screen already. */
void run_show(struct run *run, const struct evaluation *evaluation);

/* The box that says that the digits are not MNIST. */
void run_tell_synthetic(struct run *run);

/* Those in the run's folder; what is no line of an evaluation is skipped. Free them. */
struct evaluations run_evaluations(const struct run *run);

/* After all processes have ended: the table, or what went wrong and how to go on. Returns the exit
 * status. */
int conclude(struct run *run);

/* After a start that failed: its reason, and what to do where a run of that name is in the way.
 * Returns the exit status. */
int conclude_refused(struct run *run, const struct error *error);

#endif
