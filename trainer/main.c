/* The trainer: options → open → run → close. */
#include "common/clock.h"
#include "common/signals.h"
#include "trainer/save.h"
#include "trainer/start.h"

#include <inttypes.h>
#include <malloc.h>
#include <stdio.h>
#include <string.h>

/* The last line: what happened, what is safe, and how it goes on. `run_dir` is NULL where nothing
 * had begun, or nothing is kept. */
static void tell(const struct error *error, const char *run_dir) {
    char folder[480];
    uint64_t step;
    snprintf(folder, sizeof folder, "%.460s/checkpoints", run_dir ? run_dir : "");
    if (!run_dir)
        fprintf(stderr, "trainer: %s\n", error->text);
    else if (saver_newest(folder, UINT64_MAX, &step))
        fprintf(stderr, "trainer: %s. Step %" PRIu64 " is safe; to go on: trainer --resume %s%s\n",
                error->text, step, run_dir, error->code == ERROR_DIVERGED ? " --keep-going" : "");
    else
        fprintf(stderr, "trainer: %s. There was no checkpoint yet: begin again\n", error->text);
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
    if (!coordinator)
        goto done;
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
        tell(&error, run_dir);
    return error_exit_status(error.code);
}
