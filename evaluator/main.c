/* The evaluator: options → open → loop of "wait, handle one" → close. */
#include "common/peer.h"
#include "common/signals.h"
#include "common/startup.h"
#include "evaluator/run.h"

#include <stdio.h>

int main(int argc, char **argv) {
    struct error error = {0};
    struct log log = {0};
    char name[PEER_NAME];
    struct run_settings settings = {0};
    struct run *run = NULL;
    int status = -1;
    struct options *options = startup_prepare(&error) == 0
                                  ? options_parse(&evaluator_program, argc, argv, &settings, &error)
                                  : NULL;
    if (options && signals_install(&error) == 0) {
        settings.name = peer_name(settings.name, "evaluator", name);
        log_init(&log, 2, settings.name, log_level_of(settings.log_level));
        run = run_create(&settings, &log, &error);
        if (run)
            status = run_loop(run, &error);
    }
    run_destroy(&run);
    options_destroy(&options);
    if (status != 0)
        fprintf(stderr, "evaluator: %s\n", error.text);
    return status == 0 ? 0 : error_exit_status(error.code);
}
