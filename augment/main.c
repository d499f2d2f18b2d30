/* The augmenter: options → join → loop of "samples in, pairs out" → leave. */
#include "augment/exchange.h"
#include "common/options.h"
#include "common/peer.h"
#include "common/processors.h"
#include "common/signals.h"
#include "common/startup.h"

#include <inttypes.h>
#include <malloc.h>
#include <stddef.h>
#include <stdio.h>

struct settings {
    struct exchange_settings exchange;
    const char *log_level;
};

#define AT(field) offsetof(struct settings, field)
/* clang-format off */
static const struct option_row rows[] = {
    {.name = "join", .letter = 'j', .kind = OPTION_TEXT, .offset = AT(exchange.join), .fallback = "tcp://127.0.0.1:5555", .argument = "ADDR",
     .help = "the trainer's address"},
    {.name = "threads", .letter = 't', .kind = OPTION_INT, .offset = AT(exchange.threads), .min = 1, .max = 256, .fallback = "1", .argument = "N",
     .help = "threads that warp images, at most one per processor"},
    {.name = "patience", .kind = OPTION_INT, .offset = AT(exchange.patience), .min = 1, .max = 86400, .fallback = "60", .argument = "SECONDS",
     .help = "exit when the trainer has been silent for so long"},
    {.name = "name", .letter = 'n', .kind = OPTION_TEXT, .offset = AT(exchange.name), .argument = "NAME",
     .help = "name of this process (default: role, host and process id)"},
    {.name = "log-level", .kind = OPTION_CHOICE, .offset = AT(log_level), .choices = "debug|info|warning|error", .fallback = "info", .argument = "LEVEL",
     .help = "min level that is logged"},
};
/* clang-format on */

static const struct options_program program = {
    .name = "augment",
    .summary = "Gives each image its random digit, warps it as the run's settings say, and pushes "
               "the pairs to the trainer. Start as many as you like; kill any at any time.",
    .example = "augment --join tcp://trainer:5555 --threads 4",
    .rows = rows,
    .count = sizeof rows / sizeof rows[0],
};

int main(int argc, char **argv) {
    struct error error = {0};
    struct log log = {0};
    struct settings settings = {0};
    struct exchange *exchange = NULL;
    struct notices cut = {0};
    char name[PEER_NAME];
    int status = -1;
    mallopt(M_MMAP_THRESHOLD, 64 << 20); /* batches come and go: keep their pages */
    mallopt(M_TRIM_THRESHOLD, 256 << 20);
    struct options *options = startup_prepare(&error) == 0
                                  ? options_parse(&program, argc, argv, &settings, &error)
                                  : NULL;
    if (options && signals_install(&error) == 0) {
        settings.exchange.name = peer_name(settings.exchange.name, "augment", name);
        log_init(&log, 2, settings.exchange.name, log_level_of(settings.log_level));
        settings.exchange.threads = processors_own_threads((int)settings.exchange.threads, &cut);
        for (int i = 0; i < cut.count; i++)
            log_warning(&log, "%s", cut.texts[i]);
        exchange = exchange_create(&settings.exchange, &log, &error);
        if (exchange)
            status = exchange_loop(exchange, &error);
        if (exchange)
            log_info(&log, "made %" PRIu64 " batches of pairs", exchange_batches(exchange));
    }
    exchange_destroy(&exchange);
    options_destroy(&options);
    if (status != 0)
        fprintf(stderr, "augment: %s\n", error.text);
    return status == 0 ? 0 : error_exit_status(error.code);
}
