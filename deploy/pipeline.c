/* pipeline: a whole run on one machine. Starts the processes, shows how far they are, ends them in
 * order, and reports. What each process does is its own business; what is started and how is in
 * launch.h, what a death means in supervise.h, what people see in form.h and view.h. */
#include "common/clock.h"
#include "common/file.h"
#include "common/program.h"
#include "common/signals.h"
#include "common/startup.h"
#include "deploy/run.h"

#include <errno.h>
#include <langinfo.h>
#include <limits.h>
#include <locale.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

/* How long each way of ending may take before the next, rougher one. */
static const int64_t stop_time = 20 * CLOCK_SECOND; /* the trainer: checkpoint, STOP to all */
static const int64_t leave_time = 2 * CLOCK_SECOND; /* workers, once the trainer has ended */
static const int64_t term_time = 5 * CLOCK_SECOND;  /* after SIGTERM */
static const int64_t draw_time = 30 * CLOCK_SECOND; /* the pictures */

#define TRAINER_HINT "; to resume: "
#define DIVERGED_HINT                                                                              \
    "--keep-going" /* in its words where going on as before would end the same                     \
                    */

/* The first reason counts. The trainer says how to go on without a launcher: that is left out. */
static void fail(struct run *run, int status, const char *name, const char *what, const char *words,
                 const char *log) {
    if (run->failure[0])
        return;
    const char *hint = strstr(words, TRAINER_HINT);
    int length = hint ? (int)(hint - words) : (int)strlen(words);
    run->status = status ? status : 1;
    run->diverged = strstr(words, DIVERGED_HINT) != NULL;
    snprintf(run->failure, sizeof run->failure, "%s %s%s%.*s", name, what, words[0] ? ": " : "",
             length, words);
    snprintf(run->log, sizeof run->log, "%s", log);
}

/* --- what people see --- */

void run_tell_synthetic(struct run *run) {
    static const char *const notice[] = {
        "SYNTHETIC DIGITS: THIS IS NOT MNIST",
        "MNIST was neither found nor fetched, or synthetic data was asked for.",
        "This program drew these images; no accuracy here is MNIST accuracy.",
        "For MNIST: put its four files into data/mnist, or set MNIST_DIR.",
    };
    char *box =
        form_box(notice, sizeof notice / sizeof *notice, view_columns(run->view) - 1, run->ascii);
    view_text(run->view, box ? box : notice[0]);
    free(box);
    run->synthetic = true;
}

void run_show(struct run *run, const struct evaluation *evaluation) {
    if (evaluations_find(&run->shown, evaluation->step))
        return;
    evaluations_put(&run->shown, evaluation, NULL); /* at worst a line is printed twice */
    form_take_evaluation(&run->state, evaluation);
    if (run->phase <= STOPPING) /* so that the bar below the new line is as new */
        view_progress(run->view, &run->state, clock_now());
    view_evaluation(run->view, evaluation);
}

static void follow_telemetry(struct run *run) {
    struct wire_message message;
    struct error error = {0};
    int status = 0;
    while (run->telemetry && (status = telemetry_next(run->telemetry, &message, &error)) == 1) {
        if (message.header->type == DIGITSUM__TYPE__PROGRESS) {
            const Digitsum__Progress *progress = message.header->progress;
            if (progress->dataset && progress->dataset->synthetic && !run->synthetic)
                run_tell_synthetic(run);
            view_warnings(run->view, &run->warned, progress);
            form_take_progress(&run->state, progress);
            if (run->phase <= STOPPING)
                view_progress(run->view, &run->state, clock_now());
        } else {
            struct evaluation evaluation;
            if (evaluation_from_message(&evaluation, message.header->report, message.header->step,
                                        "trainer", &error) == 0)
                run_show(run, &evaluation);
        }
        wire_release(&message);
    }
    if (status < 0) /* the run is over for watchers; the processes themselves tell how */
        telemetry_destroy(&run->telemetry);
}

/* --- the ends --- */

static void enter(struct run *run, enum phase phase, int64_t time) {
    run->phase = phase;
    run->deadline = clock_now() + time;
}

/* Asks the trainer, who tells all others. */
static void stop(struct run *run) {
    if (run->phase != RUNNING)
        return;
    enter(run, STOPPING, stop_time);
    supervisor_release(run->supervisor);
    supervisor_signal_essential(run->supervisor, SIGINT);
}

static void terminate(struct run *run) {
    enter(run, TERMINATING, term_time);
    supervisor_release(run->supervisor);
    supervisor_signal_all(run->supervisor, SIGTERM);
}

static void kill_all(struct run *run) {
    enter(run, KILLED, term_time);
    supervisor_release(run->supervisor);
    supervisor_signal_all(run->supervisor, SIGKILL);
}

/* Ctrl-Z on a terminal reaches only us: the children have process groups of their own. */
static void pause_all(struct run *run) {
    view_clear(run->view);
    supervisor_pause(run->supervisor);
    /* A fg that was typed before all had stopped has sent its SIGCONT already: no other comes. */
    sigset_t pending;
    if (sigpending(&pending) != 0 || !sigismember(&pending, SIGCONT))
        signals_pause();
    supervisor_go_on(run->supervisor);
}

/* A terminal that closes sends SIGHUP more than once: that asks, but never insists. */
static void ask_to_end(struct run *run, bool counts) {
    if (run->phase == DRAWING || (run->insisted && counts)) {
        view_line(run->view, "killing all processes");
        kill_all(run);
        return;
    }
    run->insisted |= counts;
    if (run->interrupted)
        return;
    run->interrupted = true;
    view_line(run->view, "stopping: the trainer writes a checkpoint and tells the others\n"
                         "(again: end everything at once)");
    stop(run);
}

static void follow_signals(struct run *run) {
    struct signalfd_siginfo info;
    while (read(run->signals, &info, sizeof info) == sizeof info) {
        if (info.ssi_signo == SIGTSTP && signals_may_pause(info.ssi_code))
            pause_all(run);
        else if (info.ssi_signo == SIGINT || info.ssi_signo == SIGTERM || info.ssi_signo == SIGHUP)
            ask_to_end(run, info.ssi_signo != SIGHUP);
    }
}

static void trainer_ended(struct run *run, const struct supervise_event *event) {
    bool asked = run->phase != RUNNING && event->status == error_exit_status(ERROR_INTERRUPTED);
    char text[PROCESS_WORDS];
    supervisor_release(run->supervisor);
    if (event->status == 0 || asked) {
        if (run->phase <= STOPPING && run->failure[0])
            terminate(run); /* it began too badly for everybody to have been told */
        else if (run->phase <= STOPPING)
            enter(run, LEAVING, leave_time);
        return;
    }
    if (run->phase != KILLED)
        fail(run, event->status, event->name, process_status_text(event->status, text),
             event->words, event->log);
    if (run->phase <= STOPPING) /* nobody has told the others */
        terminate(run);
}

static void follow_processes(struct run *run) {
    struct supervise_event event;
    char text[PROCESS_WORDS];
    while (supervisor_next(run->supervisor, clock_now(), &event)) {
        switch (event.what) {
        case SUPERVISE_DIED:
            view_line(run->view, "%s %s%s%s; restarting it in %.1f s", event.name,
                      process_status_text(event.status, text), event.words[0] ? ": " : "",
                      event.words, (double)event.delay / CLOCK_SECOND);
            break;
        case SUPERVISE_STARTED:
            view_line(run->view, "%s restarted", event.name);
            break;
        case SUPERVISE_GAVE_UP:
            fail(run, event.status, event.name, process_status_text(event.status, text),
                 event.words, event.log);
            stop(run);
            break;
        case SUPERVISE_FINISHED:
            trainer_ended(run, &event);
            break;
        case SUPERVISE_LEFT:
            if (strcmp(event.name, "report") == 0 && event.status != 0)
                view_line(run->view, "warning: the charts were not drawn: report %s: %s",
                          process_status_text(event.status, text), event.words);
            break;
        }
    }
}

static void follow_deadline(struct run *run) {
    if (run->phase == RUNNING || clock_now() < run->deadline)
        return;
    if (run->phase == STOPPING) {
        fail(run, 1, "trainer", "did not stop in time", "", run->folder.logs);
        terminate(run);
    } else if (run->phase == LEAVING) {
        terminate(run);
    } else {
        kill_all(run);
    }
}

/* --- the loop --- */

static long shorter(long wait, long other) {
    return other >= 0 && other < wait ? other : wait;
}

static void wait_for_something(struct run *run) {
    int64_t now = clock_now(), due = supervisor_wait(run->supervisor, now);
    long wait = 1000;
    zmq_pollitem_t items[2] = {{.fd = run->signals, .events = ZMQ_POLLIN}};
    int count = 1;
    if (run->telemetry) {
        items[count++] = telemetry_item(run->telemetry);
        wait = shorter(wait, telemetry_wait(run->telemetry));
    }
    wait = shorter(wait, due < 0 ? -1 : (long)(due / CLOCK_MILLISECOND) + 1);
    wait = shorter(wait, view_wait(run->view, now));
    if (run->phase != RUNNING)
        wait = shorter(
            wait, run->deadline <= now ? 0 : (long)((run->deadline - now) / CLOCK_MILLISECOND) + 1);
    zmq_poll(items, count, wait);
}

static void follow(struct run *run) {
    while (supervisor_running(run->supervisor) > 0) {
        wait_for_something(run);
        follow_signals(run);
        follow_telemetry(run);
        follow_processes(run);
        follow_deadline(run);
        view_tick(run->view, clock_now());
    }
    follow_telemetry(run);
}

/* --- beginning and report --- */

/* The other programs lie beside this one. */
static int find_binaries(char path[static PATH_MAX], struct error *error) {
    if (*program_folder(path))
        return 0;
    return error_set(error, ERROR_IO, "cannot find out where this program lies: is /proc mounted?");
}

/* Signals come through a descriptor. Blocked before any thread is started, so for all of them. A
 * blocked signal would be queued even where it is ignored: what nohup, or `pipeline &` in a script,
 * has us ignore is left out. */
static int open_signals(struct error *error) {
    static const int wanted[] = {SIGINT, SIGTERM, SIGHUP, SIGTSTP, SIGCONT, SIGCHLD};
    sigset_t set;
    sigemptyset(&set);
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++)
        if (wanted[i] == SIGCHLD || wanted[i] == SIGCONT || !signals_ignored(wanted[i]))
            sigaddset(&set, wanted[i]);
    signal(SIGCHLD, SIG_DFL); /* were it ignored, no child could be waited for */
    signal(SIGPIPE, SIG_IGN); /* a write tells */
    signal(SIGTTOU, SIG_IGN); /* in the background, under `stty tostop`: the run matters more */
    sigprocmask(SIG_BLOCK, &set, NULL);
    int descriptor = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    if (descriptor < 0)
        error_set_errno(error, "cannot listen for signals");
    return descriptor;
}

static void file_of(const struct run *run, const char *name, char path[static PATH_MAX]) {
    path_join(path, run->folder.path, name, NULL); /* folder_open: it fits */
}

/* The pictures of what is kept. That they cannot be drawn, or shall not, changes nothing of the
 * run. */
static void draw(struct run *run) {
    char binaries[PATH_MAX], program[PATH_MAX + 8], path[PATH_MAX];
    const char *argv[] = {program, run->folder.path, NULL};
    struct process_spec spec = {.name = "report", .argv = argv, .log = path};
    struct stat lines;
    struct error error;
    enum phase ended = run->phase;
    file_of(run, "evaluations.jsonl", path);
    if (ended == KILLED || stat(path, &lines) != 0 || lines.st_size == 0)
        return;
    file_of(run, "logs/report.log", path);
    if (find_binaries(binaries, &error) == 0) {
        snprintf(program, sizeof program, "%s/report", binaries);
        enter(run, DRAWING, draw_time);
        if (supervisor_start(run->supervisor, &spec, false, &error) == 0)
            follow(run);
        else
            view_line(run->view, "warning: the charts were not drawn: %s", error.text);
    }
    run->phase = ended;
}

/* What can be pasted, and what may be long, has a line of its own. */
static void tell_where(struct run *run, const char *binaries) {
    char *command = command_watch(&run->origin, binaries, run->folder.control);
    view_line(run->view, "run %s in %s/%s", run->name, run->launch.runs, run->name);
    if (command)
        view_line(run->view, "to watch it from another terminal:\n  %s", command);
    free(command);
}

struct evaluations run_evaluations(const struct run *run) {
    char path[PATH_MAX];
    struct evaluations list;
    file_of(run, "evaluations.jsonl", path);
    evaluations_read(&list, path, true, NULL);
    return list;
}

static int begin(struct run *run, struct error *error) {
    char binaries[PATH_MAX];
    struct launch *launch = &run->launch;
    if (launch->run)
        snprintf(run->name, sizeof run->name, "%s", launch->run);
    else
        folder_standard_name(launch_net(launch), time(NULL), run->name);
    enum folder_mode mode = launch->resume  ? FOLDER_RESUME
                            : launch->force ? FOLDER_FORCE
                                            : FOLDER_NEW;
    if (find_binaries(binaries, error) != 0 ||
        launch_check_trainer(launch, run->options, binaries, error) != 0 ||
        folder_open(&run->folder, launch->runs, run->name, mode, error) != 0 ||
        launch_settle_data(launch, run->options, &run->folder, error) != 0)
        return -1;
    run->signals = open_signals(error);
    run->view = view_create(1, run->ascii);
    run->context = zmq_ctx_new();
    run->supervisor = supervisor_create(error);
    if (run->signals < 0 || !run->supervisor)
        return -1;
    if (!run->view || !run->context)
        return error_set(error, ERROR_MEMORY, "no memory to start");
    tell_where(run, binaries);
    run->shown = run_evaluations(run);
    if (launch_start(run->supervisor, binaries, launch, run->options, &run->folder, error) != 0)
        return -1;
    run->telemetry =
        telemetry_create(run->context, run->folder.control, "pipeline", true, INT_MAX, NULL, error);
    return run->telemetry ? 0 : -1;
}

int main(int argc, char **argv) {
    struct error error = {0};
    struct run run = {.folder.lock = -1, .signals = -1, .state = {.digit = -1, .sum = -1}};
    int status = -1;
    setlocale(LC_CTYPE, "");
    run.ascii = strcmp(nl_langinfo(CODESET), "UTF-8") != 0;
    const char *given = getenv("DIGITSUM_MAKE_GIVEN");
    run.origin = (struct command_origin){
        .argv = argv, .make = getenv("DIGITSUM_MAKE"), .given = given ? given : ""};
    if (startup_prepare(&error) == 0)
        run.options = launch_parse(&run.launch, argc, argv, &error);
    if (run.options && launch_check(&run.launch, &error) == 0 && begin(&run, &error) == 0) {
        follow(&run);
        draw(&run);
        status = conclude(&run);
    } else {
        supervisor_destroy(&run.supervisor); /* they write into the folder */
        status = conclude_refused(&run, &error);
    }
    supervisor_destroy(&run.supervisor);
    telemetry_destroy(&run.telemetry);
    view_destroy(&run.view);
    if (run.context)
        zmq_ctx_term(run.context);
    if (run.signals >= 0)
        close(run.signals);
    folder_close(&run.folder);
    options_destroy(&run.options);
    evaluations_free(&run.shown);
    return status;
}
