/* How a run ended: the table, or what went wrong, what is kept, and the command that goes on. */
#include "common/file.h"
#include "deploy/run.h"
#include "deploy/table.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* The summary's accuracies are those of the last evaluation; that one has the intervals. */
static const struct evaluation *find_last(const struct evaluations *list,
                                          const struct summary *summary) {
    for (size_t i = list->count; i-- > 0;)
        if (fabs(evaluation_digit_accuracy(&list->list[i]) - summary->digit_accuracy) < 1e-6 &&
            fabs(evaluation_sum_accuracy(&list->list[i]) - summary->sum_accuracy) < 1e-6)
            return &list->list[i];
    return NULL;
}

/* The table, from what the trainer left. -1 where it left none that can be read. */
static int report(struct run *run, struct error *error) {
    char path[PATH_MAX];
    struct summary summary;
    struct evaluations list = run_evaluations(run);
    for (size_t i = 0; i < list.count; i++) /* what was missed */
        run_show(run, &list.list[i]);
    path_join(path, run->folder.path, "summary.json", NULL);
    if (summary_read(&summary, path, error) != 0) {
        evaluations_free(&list);
        return -1;
    }
    char *table = table_text(&summary, find_last(&list, &summary), run->folder.path, run->ascii);
    evaluations_free(&list);
    view_line(run->view, "\n%s", run->interrupted ? "Stopped before the end:" : "Done:");
    view_text(run->view, table ? table : "no memory for the report");
    free(table);
    if (run->synthetic || table_is_synthetic(summary.dataset))
        run_tell_synthetic(run);
    return 0;
}

static void tell_command(const struct run *run, enum command_kind kind, const char *front) {
    const char *runs = options_given(run->options, "runs") ? run->launch.runs : NULL;
    char *command = command_text(kind, &run->origin, run->name, runs);
    if (command)
        fprintf(stderr, "%s\n  %s\n", front, command);
    free(command);
}

/* How a run that was cut short goes on, where the command that was given can lead on. */
static void tell_how_to_go_on(const struct run *run) {
    char now[PATH_MAX];
    if (folder_moved(&run->folder, now)) {
        fprintf(stderr, "  the run's folder is no longer at %s: it was %s%s\n", run->folder.path,
                now[0] ? "moved to " : "moved or removed", now);
        if (now[0])
            tell_command(run, COMMAND_RESUME, "To resume, move it back, and then:");
        return;
    }
    if (folder_has_checkpoint(&run->folder) && run->diverged)
        tell_command(run, COMMAND_KEEP_GOING, "To keep training from the last checkpoint:");
    else if (folder_has_checkpoint(&run->folder))
        tell_command(run, COMMAND_RESUME, "To resume from the last checkpoint:");
    else if (!run->diverged) /* would end the same; its sentence says what to change */
        tell_command(run, COMMAND_FORCE, "There was no checkpoint yet; to start again:");
}

/* A setting, data or a peer that refused will do so again. */
static bool is_refusal(int status) {
    return status == error_exit_status(ERROR_INVALID) ||
           status == error_exit_status(ERROR_CORRUPT) || status == error_exit_status(ERROR_REFUSED);
}

/* Removes a folder in which nothing began, so that the command works once it is mended. */
static bool discard(struct run *run) {
    if (!run->folder.made || folder_has_begun(&run->folder))
        return false;
    if (run->failure[0] && !is_refusal(run->status))
        process_show_log(run->log, stderr);
    return folder_discard(&run->folder);
}

int conclude(struct run *run) {
    struct error error = {0};
    view_clear(run->view);
    if (run->failure[0]) {
        fprintf(stderr, "pipeline: %s\n", run->failure);
        if (discard(run))
            return run->status;
        if (run->log[0])
            fprintf(stderr, "  its log: %s\n", run->log);
        if (!is_refusal(run->status))
            tell_how_to_go_on(run);
        return run->status;
    }
    if (run->interrupted && discard(run)) {
        fprintf(stderr, "pipeline: stopped before anything was trained: nothing is kept\n");
        return error_exit_status(ERROR_INTERRUPTED);
    }
    int reported = run->phase == KILLED ? 0 : report(run, &error);
    if (run->interrupted) {
        tell_how_to_go_on(run);
        return error_exit_status(ERROR_INTERRUPTED);
    }
    if (reported != 0)
        fprintf(stderr, "pipeline: the run ended well, but %s\n", error.text);
    return reported == 0 ? 0 : 1;
}

int conclude_refused(struct run *run, const struct error *error) {
    fprintf(stderr, "pipeline: %s\n", error->text);
    if (run->folder.taken) {
        if (folder_has_checkpoint(&run->folder))
            tell_command(run, COMMAND_RESUME_OTHER, "To resume it:");
        tell_command(run, COMMAND_FORCE, "To delete it and start again:");
    }
    discard(run);
    return error_exit_status(error->code);
}
