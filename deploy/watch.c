/* watch: prints the evaluators' reports of a run, from anywhere that its trainer can be reached. */
#include "common/clock.h"
#include "common/options.h"
#include "common/signals.h"
#include "common/startup.h"
#include "deploy/telemetry.h"
#include "deploy/view.h"

#include <langinfo.h>
#include <limits.h>
#include <locale.h>
#include <stdio.h>
#include <string.h>

struct settings {
    const char *join;
    bool progress;
    int64_t patience;
};

static const struct option_row rows[] = {
    {.name = "join",
     .kind = OPTION_TEXT,
     .offset = offsetof(struct settings, join),
     .argument = "ADDR",
     .help = "the trainer's address: tcp://host:port or ipc://path"},
    {.name = "progress",
     .kind = OPTION_FLAG,
     .offset = offsetof(struct settings, progress),
     .help = "also show training steps"},
    {.name = "patience",
     .kind = OPTION_INT,
     .offset = offsetof(struct settings, patience),
     .min = 0,
     .max = 86400,
     .fallback = "0",
     .argument = "SECONDS",
     .help = "exit with status 5 when the trainer has been silent for so long; 0 is never"},
};

static const struct options_program program = {
    .name = "watch",
    .summary = "Prints the evaluators' reports of a run as they come, until the run ends or "
               "Ctrl-C; reconnects by itself.",
    .example = "watch --join tcp://trainer-host:5555",
    .rows = rows,
    .count = sizeof rows / sizeof *rows,
};

static void show(struct view *view, struct form_state *state, struct notices *warned,
                 const struct wire_message *message) {
    if (message->header->type == DIGITSUM__TYPE__PROGRESS) {
        view_warnings(view, warned, message->header->progress);
        form_take_progress(state, message->header->progress);
        view_progress(view, state, clock_now());
        return;
    }
    struct evaluation evaluation;
    struct error bad;
    if (evaluation_from_message(&evaluation, message->header->report, message->header->step,
                                "trainer", &bad) != 0) {
        view_line(view, "%s", bad.text);
        return;
    }
    form_take_evaluation(state, &evaluation);
    view_evaluation(view, &evaluation);
}

/* Returns when the run is over (0), or with an error (-1); a signal is ERROR_INTERRUPTED. */
static int follow(struct telemetry *telemetry, struct view *view, struct error *error) {
    struct form_state state = {.digit = -1, .sum = -1};
    struct notices warned = {0};
    while (!signals_stop()) {
        struct wire_message message;
        int status;
        while ((status = telemetry_next(telemetry, &message, error)) == 1) {
            show(view, &state, &warned, &message);
            wire_release(&message);
        }
        if (status < 0 && error->code == ERROR_CLOSED) {
            view_line(view, "%s", error->text);
            return 0;
        }
        if (status < 0)
            return -1;
        zmq_pollitem_t items[] = {telemetry_item(telemetry),
                                  {.fd = signals_descriptor(), .events = ZMQ_POLLIN}};
        long wait = telemetry_wait(telemetry), due = view_wait(view, clock_now());
        zmq_poll(items, 2, due >= 0 && due < wait ? due : wait);
        view_tick(view, clock_now());
    }
    view_clear(view);
    return error_set(error, ERROR_INTERRUPTED, "stopped by a signal");
}

int main(int argc, char **argv) {
    struct error error = {0};
    struct settings settings = {0};
    struct log log;
    char name[PEER_NAME];
    struct telemetry *telemetry = NULL;
    struct view *view = NULL;
    void *context = NULL;
    int status = -1;
    setlocale(LC_CTYPE, "");
    struct options *options = startup_prepare(&error) == 0
                                  ? options_parse(&program, argc, argv, &settings, &error)
                                  : NULL;
    if (!options)
        goto done;
    if (!settings.join) {
        error_set(&error, ERROR_INVALID, "--join is missing: the address of the trainer");
        goto done;
    }
    if (signals_install(&error) != 0)
        goto done;
    log_init(&log, 2, "watch", LOG_WARNING);
    view = view_create(1, strcmp(nl_langinfo(CODESET), "UTF-8") != 0);
    context = zmq_ctx_new();
    if (!view || !context) {
        error_set(&error, ERROR_MEMORY, "no memory to start");
        goto done;
    }
    telemetry =
        telemetry_create(context, settings.join, peer_name(NULL, "watch", name), settings.progress,
                         settings.patience > 0 ? (int)settings.patience : INT_MAX, &log, &error);
    if (telemetry)
        status = follow(telemetry, view, &error);
done:
    telemetry_destroy(&telemetry);
    view_destroy(&view);
    if (context)
        zmq_ctx_term(context);
    options_destroy(&options);
    if (status != 0)
        fprintf(stderr, "watch: %s\n", error.text);
    return status == 0 ? 0 : error_exit_status(error.code);
}
