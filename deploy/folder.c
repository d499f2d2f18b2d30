/* See folder.h. */
#include "deploy/folder.h"

#include "common/file.h"

#include "common/lock.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* A Unix socket's path has at most 107 bytes; this many are kept for
 * "/loader-12.1234567.samples".*/
enum { SOCKET_PATH = 107, SOCKET_NAME = 32 };

static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";

int folder_check_name(const char *name, struct error *error) {
    size_t length = strlen(name);
    if (length < 1 || length >= FOLDER_NAME)
        return error_set(error, ERROR_INVALID, "a run's name has 1 to %d characters, not %zu",
                         FOLDER_NAME - 1, length);
    if (strspn(name, allowed) != length || !strchr(letters, name[0]))
        return error_set(error, ERROR_INVALID,
                         "run name '%s': letters, digits, '.', '_' and '-' only, the first a "
                         "letter or digit",
                         name);
    return 0;
}

void folder_standard_name(const char *net, time_t now, char name[static FOLDER_NAME]) {
    const char *slash = strrchr(net, '/');
    const char *base = slash ? slash + 1 : net;
    size_t length = strcspn(base, ".");
    if (length > 40)
        length = 40;
    struct tm utc;
    gmtime_r(&now, &utc);
    char text[40];
    strftime(text, sizeof text, "%Y%m%d-%H%M%S", &utc);
    if (length == 0 || !strchr(letters, base[0]))
        snprintf(name, FOLDER_NAME, "run-%s", text);
    else
        snprintf(name, FOLDER_NAME, "%.*s-%.20s", (int)length, base, text);
    for (char *c = name; *c; c++)
        if (!strchr(allowed, *c))
            *c = '-';
}

static int remove_entry(const char *path, const struct stat *info, int kind, struct FTW *place) {
    (void)info;
    if (place->level == 0) /* the folder itself stays: it is locked */
        return 0;
    return kind == FTW_DP ? rmdir(path) : unlink(path);
}

/* Removes what is in a run's folder; refuses a folder that does not look like one. */
static int empty(const char *path, struct error *error) {
    char logs[PATH_MAX];
    struct stat info;
    DIR *listing = opendir(path);
    if (!listing)
        return error_set_errno(error, "cannot read %s", path);
    bool any = false;
    for (struct dirent *entry; !any && (entry = readdir(listing));)
        any = strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
    closedir(listing);
    if (!any)
        return 0;
    if (snprintf(logs, sizeof logs, "%s/logs", path) >= (int)sizeof logs ||
        lstat(logs, &info) != 0 || !S_ISDIR(info.st_mode))
        return error_set(error, ERROR_REFUSED,
                         "%s has no logs/ in it, so it is not a run's folder: not removing it",
                         path);
    if (nftw(path, remove_entry, 16, FTW_DEPTH | FTW_PHYS) != 0)
        return error_set_errno(error, "cannot remove what is in %s", path);
    return 0;
}

static int lock(struct folder *self, const char *name, struct error *error) {
    self->lock = open(self->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (self->lock < 0)
        return error_set_errno(error, "cannot open %s", self->path);
    if (flock(self->lock, LOCK_EX | LOCK_NB) == 0)
        return 0;
    if (errno == EWOULDBLOCK)
        return error_set(error, ERROR_REFUSED, "run '%s' is in use: another launcher runs it",
                         name);
    return error_set_errno(error, "cannot lock %s", self->path);
}

/* Refuses a new run the name of one that is there; `taken` where that is a run and nobody runs it.
 */
static int refuse_taken(struct folder *self, const char *path, const char *name,
                        struct error *error) {
    char logs[PATH_MAX];
    int status = realpath(path, self->path) ? lock(self, name, error) : -1;
    if (status != 0 && self->lock >= 0 && error->code == ERROR_REFUSED)
        return -1; /* in use */
    self->taken = status == 0 &&
                  snprintf(logs, sizeof logs, "%s/logs", self->path) < (int)sizeof logs &&
                  access(logs, F_OK) == 0;
    return error_set(error, ERROR_REFUSED,
                     "run '%s' exists already: choose another name, resume it, or delete it", name);
}

static int make_folder(const char *path, mode_t mode, struct error *error) {
    if (mkdir(path, mode) == 0 || errno == EEXIST)
        return 0;
    return error_set_errno(error, "cannot make the folder %s", path);
}

static void remove_sockets(const char *path) {
    nftw(path, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    rmdir(path);
}

/* Socket files lie in the run's folder, or, where that path is too long for a socket, in a fresh
 * temporary folder that nobody else may enter. */
static int open_sockets(struct folder *self, struct error *error) {
    if (strlen(self->path) + sizeof "/sockets" + SOCKET_NAME <= SOCKET_PATH) {
        snprintf(self->sockets, sizeof self->sockets, "%.*s/sockets", SOCKET_PATH, self->path);
        remove_sockets(self->sockets);
        if (make_folder(self->sockets, 0700, error) != 0) {
            self->sockets[0] = '\0';
            return -1;
        }
    } else {
        const char *runtime = getenv("XDG_RUNTIME_DIR");
        bool usable = runtime && runtime[0] == '/' && strlen(runtime) < SOCKET_PATH - 64 &&
                      access(runtime, W_OK | X_OK) == 0;
        snprintf(self->sockets, sizeof self->sockets, "%s/digitsum-XXXXXX",
                 usable ? runtime : "/tmp");
        if (!mkdtemp(self->sockets)) {
            error_set_errno(error, "cannot make the temporary folder %s", self->sockets);
            self->sockets[0] = '\0';
            return -1;
        }
    }
    snprintf(self->control, sizeof self->control, "ipc://%.200s/control", self->sockets);
    return 0;
}

/* Throws away what is in the folder, unless a trainer that no launcher started works there. */
static int empty_unused(const char *path, struct error *error) {
    char file[PATH_MAX + 16];
    struct lock trainer = {0};
    struct error reason;
    snprintf(file, sizeof file, "%s/trainer.lock", path);
    if (access(file, F_OK) == 0 && lock_take(&trainer, file, 0, &reason) != 0 &&
        reason.code == ERROR_REFUSED)
        return error_set(error, ERROR_REFUSED, "a trainer uses %s: %s; stop it first", path,
                         reason.text);
    int status = empty(path, error);
    lock_release(&trainer);
    return status;
}

int folder_open(struct folder *self, const char *runs, const char *name, enum folder_mode mode,
                struct error *error) {
    *self = (struct folder){.lock = -1};
    char path[PATH_MAX];
    if (folder_check_name(name, error) != 0)
        return -1;
    if (snprintf(path, sizeof path, "%s/%s", runs, name) > PATH_MAX - 32)
        return error_set(error, ERROR_INVALID, "the path of %.200s… is too long", runs);
    if (mode != FOLDER_RESUME) {
        self->made_runs = mkdir(runs, 0755) == 0;
        if (!self->made_runs && make_folder(runs, 0755, error) != 0)
            return -1;
        if (self->made_runs && file_sync_folder(runs, error) != 0)
            return -1; /* its name must survive a power cut, as the run's does */
    }
    if (mode == FOLDER_RESUME) {
        if (access(path, F_OK) != 0)
            return error_set(error, ERROR_REFUSED, "there is no run '%s' to resume: %s is missing",
                             name, path);
    } else if (mkdir(path, 0755) == 0) {
        self->made = true;
    } else if (errno != EEXIST) {
        return error_set_errno(error, "cannot make the folder %s", path);
    } else if (mode == FOLDER_NEW) {
        int status = refuse_taken(self, path, name, error);
        folder_close(self); /* only looked */
        return status;
    }
    if (!realpath(path, self->path) || strlen(self->path) > PATH_MAX - 32) {
        error_set_errno(error, "cannot find %s", path);
        goto failed;
    }
    snprintf(self->logs, sizeof self->logs, "%.*s/logs", PATH_MAX - 32, self->path);
    if (lock(self, name, error) != 0)
        goto failed;
    if (mode == FOLDER_FORCE && empty_unused(self->path, error) != 0)
        goto failed;
    if (make_folder(self->logs, 0755, error) != 0 || open_sockets(self, error) != 0)
        goto failed;
    return 0;
failed:
    if (self->made) {
        rmdir(self->logs);
        rmdir(path);
    }
    if (self->made_runs)
        rmdir(runs);
    folder_close(self);
    return -1;
}

bool folder_moved(const struct folder *self, char now[static PATH_MAX]) {
    struct stat ours, there;
    char link[64];
    now[0] = '\0';
    if (self->lock < 0 || fstat(self->lock, &ours) != 0 ||
        (stat(self->path, &there) == 0 && ours.st_dev == there.st_dev &&
         ours.st_ino == there.st_ino))
        return false;
    snprintf(link, sizeof link, "/proc/self/fd/%d", self->lock);
    if (ours.st_nlink > 0 && !realpath(link, now))
        now[0] = '\0';
    return true;
}

bool folder_has_checkpoint(const struct folder *self) {
    char path[PATH_MAX + 16];
    bool found = false;
    snprintf(path, sizeof path, "%s/checkpoints", self->path);
    DIR *directory = opendir(path);
    for (struct dirent *entry; directory && !found && (entry = readdir(directory));)
        found = strncmp(entry->d_name, "step-", 5) == 0;
    if (directory)
        closedir(directory);
    return found;
}

bool folder_has_begun(const struct folder *self) {
    char path[PATH_MAX + 16];
    struct stat info;
    snprintf(path, sizeof path, "%s/batches.txt", self->path);
    return folder_has_checkpoint(self) || (stat(path, &info) == 0 && info.st_size > 0);
}

/* Whether a run writes a file or folder of this name; also aside, before it is renamed. */
static bool is_of_a_run(const char *name) {
    static const char *const names[] = {"logs",          "sockets",           "data.json",
                                        "settings.json", "batches.txt",       "summary.json",
                                        "checkpoints",   "evaluations.jsonl", "plots",
                                        "events",        "trainer.lock"};
    if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        return true;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        size_t length = strlen(names[i]);
        if (strncmp(name, names[i], length) == 0 && (name[length] == '\0' || name[length] == '.'))
            return true;
    }
    return false;
}

bool folder_discard(struct folder *self) {
    if (!self->made || folder_has_begun(self))
        return false;
    bool ours = true;
    DIR *listing = opendir(self->path);
    for (struct dirent *entry; listing && ours && (entry = readdir(listing));)
        ours = is_of_a_run(entry->d_name);
    if (!listing)
        return false;
    closedir(listing);
    if (!ours || nftw(self->path, remove_entry, 16, FTW_DEPTH | FTW_PHYS) != 0 ||
        rmdir(self->path) != 0)
        return false;
    char *slash = strrchr(self->path, '/');
    self->made = false;
    *slash = '\0';
    if (self->made_runs && slash > self->path)
        rmdir(self->path); /* stays where another run has been made in it since */
    *slash = '/';
    return true;
}

void folder_close(struct folder *self) {
    char now[PATH_MAX], moved[PATH_MAX + 16];
    if (self->sockets[0])
        remove_sockets(self->sockets);
    if (self->sockets[0] && folder_moved(self, now) && now[0]) {
        snprintf(moved, sizeof moved, "%s/sockets", now);
        remove_sockets(moved);
    }
    self->sockets[0] = '\0';
    if (self->lock >= 0)
        close(self->lock);
    self->lock = -1;
}
