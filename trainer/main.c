/* The trainer: options → open → run → close. */
#include "common/clock.h"
#include "common/shell.h"
#include "common/signals.h"
#include "trainer/save.h"
#include "trainer/start.h"

#include <inttypes.h>
#include <malloc.h>
#include <stdio.h>
#include <string.h>

/* The last line: what happened, what is safe, and the command that goes on: the one that was given,
 * with --resume. `run_dir` is NULL where nothing had begun, or nothing is kept. */
static void tell(const struct error *error, const char *run_dir, char **argv) {
    char folder[480];
    uint64_t step;
    snprintf(folder, sizeof folder, "%.460s/checkpoints", run_dir ? run_dir : "");
    fprintf(stderr, "trainer: %s", error->text);
    if (run_dir && saver_newest(folder, UINT64_MAX, &step)) {
        bool resumes = false;
        fprintf(stderr, ". Step %" PRIu64 " is safe; to go on:", step);
        for (char **word = argv; *word; word++) {
            resumes |= strcmp(*word, "--resume") == 0;
            fputc(' ', stderr);
            shell_word(stderr, *word);
        }
        fputs(resumes ? "" : " --resume", stderr);
    } else if (run_dir) {
        fputs(". There was no checkpoint yet: begin again", stderr);
    }
    fputc('\n', stderr);
}

int main(int argc, char **argv) {
    double began = clock_seconds();
    struct error error = {0};
    struct log log = {0};
    struct start start = {0};
    struct summary summary = {0};
    struct coordinator *coordinator = NULL;
    const char *run_dir = NULL; /* once the run has begun */
    char path[512];
    /* Batches are freed and made anew all the time: keep their pages instead of returning them. */
    mallopt(M_MMAP_THRESHOLD, 64 << 20);
    mallopt(M_TRIM_THRESHOLD, 256 << 20);
    if (signals_install(&error) != 0 || start_prepare(&start, argc, argv, &log, &error) != 0)
        goto done;
    const struct checkpoint *from = start.checkpoint;
    double earlier = 0, seconds_to_target = -1;
    if (start.settings.resume)
        summary_earlier(start.settings.run_dir, &earlier, &seconds_to_target);
    coordinator = coordinator_create(
        &(struct coordinator_settings){.settings = &start.settings,
                                       .goal = start.goal,
                                       .ops = start.ops,
                                       .net = from->net,
                                       .config = start.config,
                                       .start = from,
                                       .dataset = from->step > 0 ? from->dataset : "",
                                       .seconds_to_target = seconds_to_target,
                                       .began = began - earlier},
        &log, &error);
    if (!coordinator) {
        start_discard(&start);
        goto done;
    }
    if (start.settings.run_dir && strcmp(start.settings.engine, "null") != 0)
        run_dir = strcpy(path, start.settings.run_dir); /* settings_check: it fits */
    coordinator_run(coordinator, &summary, &error);
    struct error unwritten = {0};
    if (start.settings.run_dir &&
        summary_write(&summary, start.settings.run_dir, &unwritten) != 0 &&
        error.code == ERROR_NONE)
        error = unwritten;
done:
    coordinator_destroy(&coordinator);
    start_free(&start);
    if (error.code != ERROR_NONE)
        tell(&error, run_dir, argv);
    return error_exit_status(error.code);
}
