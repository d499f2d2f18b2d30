/* The trainer: options → open → run → close. */
#include "common/clock.h"
#include "common/signals.h"
#include "trainer/start.h"

#include <malloc.h>
#include <stdio.h>

int main(int argc, char **argv) {
    double began = clock_seconds();
    struct error error = {0};
    struct log log = {0};
    struct start start = {0};
    struct summary summary = {0};
    struct coordinator *coordinator = NULL;
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
    coordinator_run(coordinator, &summary, &error);
    struct error unwritten = {0};
    if (start.settings.run_dir &&
        summary_write(&summary, start.settings.run_dir, &unwritten) != 0 &&
        error.code == ERROR_NONE)
        error = unwritten;
done:
    coordinator_destroy(&coordinator);
    start_free(&start);
    if (error.code == ERROR_DEVICE)
        fprintf(stderr,
                "trainer: %s. Checkpoints written before this are safe: go on from the newest with "
                "the same command and --resume\n",
                error.text);
    else if (error.code != ERROR_NONE)
        fprintf(stderr, "trainer: %s\n", error.text);
    return error_exit_status(error.code);
}
