/* The folder of a run and what the launcher owns in it: its name, the logs, the sockets, and that
 * no two launchers use it at once. What the programs write into it is theirs. */
#ifndef DEPLOY_FOLDER_H
#define DEPLOY_FOLDER_H

#include "common/endpoint.h"
#include "common/error.h"

#include <limits.h>
#include <stdbool.h>
#include <time.h>

#define FOLDER_NAME 65 /* bytes of a run's name, NUL included */

enum folder_mode {
    FOLDER_NEW,    /* a name that exists is refused */
    FOLDER_RESUME, /* a name that does not exist is refused */
    FOLDER_FORCE   /* what is in a run of that name is removed first */
};

struct folder {
    char path[PATH_MAX];        /* absolute, no symbolic links */
    char logs[PATH_MAX];        /* folder */
    char sockets[PATH_MAX];     /* folder: in `path`, or a temporary one where that is too long */
    char control[ENDPOINT_MAX]; /* "ipc://…/control": what the trainer binds */
    int lock;                   /* descriptor that holds the lock; -1: not open */
    bool made, made_runs;       /* this folder, and the one of all runs, by folder_open */
    bool taken;                 /* folder_open refused: `path` is a run of that name, and idle */
};

/* Letters, digits, '.', '_', '-'; 1 to 64 of them; the first a letter or digit, so that a name is
 * never an option or a hidden file. -1 with ERROR_INVALID. */
int folder_check_name(const char *name, struct error *error);

/* "<net>-<UTC yyyymmdd-hhmmss>": the net's file name without its ending, other characters as '-'.
 */
void folder_standard_name(const char *net, time_t now, char name[static FOLDER_NAME]);

/* Makes or opens <runs>/<name> with its folders for logs and sockets, and locks it for this
 * process. Files of a socket folder that an earlier launcher left are removed. -1: ERROR_INVALID
 * for a name that is malformed; ERROR_REFUSED for one that is taken, missing, in use, or (to be
 * forced) not a run's folder; ERROR_IO. Nothing is left behind on failure, except with
 * FOLDER_FORCE. */
int folder_open(struct folder *self, const char *runs, const char *name, enum folder_mode mode,
                struct error *error);

/* Whether the folder is no longer at its path: somebody moved or removed it. `now`: where it is, or
 * "" where that is not known or it is gone. */
bool folder_moved(const struct folder *self, char now[static PATH_MAX]);

/* Whether the run has a checkpoint to go on from. */
bool folder_has_checkpoint(const struct folder *self);

/* Whether anything was trained that is worth keeping: a checkpoint, or a line of batches.txt. */
bool folder_has_begun(const struct folder *self);

/* Removes the folder that folder_open has made, and that of all runs if it made that and nothing
 * else is in it, where nothing has begun and nothing lies in it but what a run writes. True when it
 * is gone. What was there before is never touched. */
bool folder_discard(struct folder *self);

/* Removes the sockets and their folder, and unlocks. Everything else stays. Harmless twice. */
void folder_close(struct folder *self);

#endif
