/* The trainer: options → open → run → close. */
#include "common/clock.h"
#include "common/file.h"
#include "common/shell.h"
#include "common/signals.h"
#include "common/startup.h"
#include "trainer/save.h"
#include "trainer/start.h"

#include <errno.h>
#include <inttypes.h>
#include <malloc.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* The last line: what happened, what is safe, and the command that goes on: the one that was given,
 * with --resume. `run_dir` is NULL where nothing had begun, or nothing is kept. */
static void tell(const struct error *error, const char *run_dir, char **argv) {
    char folder[PATH_MAX];
    uint64_t step;
    path_join(folder, run_dir ? run_dir : "", "checkpoints", NULL);
    fprintf(stderr, "trainer: %s", error->text);
    if (run_dir && saver_newest(folder, UINT64_MAX, &step)) {
        bool resumes = false;
        fprintf(stderr, ". Step %" PRIu64 " is safe; to resume:", step);
        for (char **word = argv; *word; word++) {
            resumes |= strcmp(*word, "--resume") == 0;
            fputc(' ', stderr);
            shell_word(stderr, *word);
        }
        fputs(resumes ? "" : " --resume", stderr);
        fputs(error->code == ERROR_DIVERGED ? " --keep-going" : "", stderr);
    } else if (run_dir && (errno == 0 || errno == ENOENT) && error->code != ERROR_DIVERGED) {
        /* what diverged would end the same */
        fputs(". There was no checkpoint yet: start again", stderr);
    }
    fputc('\n', stderr);
}

/* From the state to the end of the run. `path` is filled once there is something to go on with. The
 * summary is written in every case; that it cannot be is an error only where nothing else went
 * wrong. `stuck`: see coordinator_stuck. */
static int train(const struct start *start, double began, const struct log *log,
                 char path[static PATH_MAX], bool *stuck, struct error *error) {
    const struct settings *settings = &start->settings;
    const struct checkpoint *from = start->checkpoint;
    struct summary summary = SUMMARY_INIT, earlier = SUMMARY_INIT;
    char earlier_path[PATH_MAX];
    /* Of an earlier incarnation that was stopped in good order. */
    if (settings->resume && path_join(earlier_path, settings->run_dir, "summary.json", NULL) == 0)
        summary_read(&earlier, earlier_path, NULL);
    struct coordinator *coordinator = coordinator_create(
        &(struct coordinator_settings){.settings = settings,
                                       .goal = start->goal,
                                       .ops = start->ops,
                                       .net = from->net,
                                       .config = start->config,
                                       .start = from,
                                       .notices = &start->notices,
                                       .alone = start->lock.held,
                                       .dataset = from->step > 0 ? from->dataset : "",
                                       .seconds_to_target = earlier.seconds_to_target,
                                       .began = began - earlier.seconds},
        log, error);
    if (!coordinator) {
        start_discard(start);
        return -1;
    }
    if (settings->run_dir && strcmp(settings->engine, "null") != 0)
        snprintf(path, PATH_MAX, "%s", settings->run_dir);
    int status = coordinator_run(coordinator, &summary, error);
    struct error unwritten;
    if (settings->run_dir && summary_write(&summary, settings->run_dir, &unwritten) != 0 &&
        status == 0) {
        *error = unwritten;
        status = -1;
    }
    *stuck = coordinator_stuck(coordinator);
    coordinator_destroy(&coordinator);
    return status;
}

int main(int argc, char **argv) {
    double began = clock_seconds();
    struct error error = {0};
    struct log log = {0};
    struct start start = {0};
    char path[PATH_MAX] = "";
    bool stuck = false;
    /* Batches are freed and made anew all the time: keep their pages instead of returning them. */
    mallopt(M_MMAP_THRESHOLD, 64 << 20);
    mallopt(M_TRIM_THRESHOLD, 256 << 20);
    int status = startup_prepare(&error);
    if (status == 0)
        status = signals_install(&error);
    if (status == 0)
        status = start_prepare(&start, argc, argv, &log, &error);
    if (status == 0)
        status = train(&start, began, &log, path, &stuck, &error);
    if (status < 0)
        tell(&error, path[0] ? path : NULL, argv);
    if (stuck) /* the thread that trains still uses everything */
        _exit(error_exit_status(error.code));
    start_free(&start);
    return status < 0 ? error_exit_status(error.code) : 0;
}
