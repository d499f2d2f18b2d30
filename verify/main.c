/* verify: options → dataset → every batch again → one sentence. */
#include "common/data_source.h"
#include "common/options.h"
#include "common/processors.h"
#include "common/signals.h"
#include "common/startup.h"
#include "verify/verify.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>

struct settings {
    const char *run_dir, *data, *log_level;
    int64_t hold_out, train_limit, test_limit, threads;
    bool transpose;
};

#define AT(field) offsetof(struct settings, field)
/* clang-format off */
static const struct option_row rows[] = {
    {.name = "run-dir", .letter = 'd', .kind = OPTION_TEXT, .offset = AT(run_dir), .argument = "DIR",
     .help = "folder of the run"},
    {.name = "data", .kind = OPTION_TEXT, .offset = AT(data), .argument = "SOURCE",
     .help = "the run's dataset: auto, mnist, synthetic, a path, or idx:, png:, csv: or npz: and a path (default: the run's data.json)"},
    {.name = "hold-out", .kind = OPTION_INT, .offset = AT(hold_out), .max = 10000000, .argument = "N",
     .help = "the run's number of held-out training images (default: the run's data.json)"},
    {.name = "transpose", .kind = OPTION_FLAG, .offset = AT(transpose),
     .help = "images are transposed (default: the run's data.json)"},
    {.name = "train-limit", .kind = OPTION_INT, .offset = AT(train_limit), .max = 10000000, .fallback = "0", .argument = "N",
     .help = "the loaders' --train-limit; 0 is all"},
    {.name = "test-limit", .kind = OPTION_INT, .offset = AT(test_limit), .max = 10000000, .fallback = "0", .argument = "N",
     .help = "the loaders' --test-limit; 0 is all"},
    {.name = "threads", .letter = 't', .kind = OPTION_INT, .offset = AT(threads), .min = 1, .max = 1024, .fallback = "2", .argument = "N",
     .help = "compute threads, at most one per processor"},
    {.name = "log-level", .kind = OPTION_CHOICE, .offset = AT(log_level), .choices = "debug|info|warning|error", .fallback = "warning", .argument = "LEVEL",
     .help = "min level that is logged"},
};
/* clang-format on */

static const struct options_program program = {
    .name = "verify",
    .summary =
        "Recomputes every batch of a run from the dataset and the settings, without training, "
        "compares it with what the run consumed, and checks that each pair was used exactly once.",
    .example = "verify runs/first",
    .rows = rows,
    .count = sizeof rows / sizeof rows[0],
    .positional = "[RUN-DIR]",
    .positional_offset = AT(run_dir),
};

static int verify(const struct settings *settings, const struct options *options,
                  const struct log *log, struct error *error) {
    struct verify_result result;
    char hex[SHA256_HEX];
    struct data_source source = {.data = "auto"}; /* of a run that kept nothing */
    if (!settings->run_dir)
        return error_set(error, ERROR_INVALID, "which run? verify runs/first");
    int kept = data_source_read(&source, settings->run_dir, error);
    bool told = options_given(options, "data"), held = options_given(options, "hold-out");
    if (kept < 0 && !(told && held))
        return -1;
    if (kept == 1)
        data_source_restore(&source);
    struct dataset_request request = {.data = told ? settings->data : source.data,
                                      .transpose = settings->transpose || source.transpose,
                                      .hold_out =
                                          (uint32_t)(held ? settings->hold_out : source.hold_out),
                                      .train_limit = (uint32_t)settings->train_limit,
                                      .test_limit = (uint32_t)settings->test_limit,
                                      .log = log};
    struct dataset *dataset = dataset_open(&request, error);
    if (!dataset)
        return -1;
    struct notices cut = {0};
    int threads = processors_own_threads((int)settings->threads, &cut);
    for (int i = 0; i < cut.count && options_given(options, "threads"); i++)
        log_warning(log, "%s", cut.texts[i]);
    int status = verify_run(settings->run_dir, dataset, threads, log, &result, error);
    if (status == 0) {
        sha256_hex(result.chain, hex);
        printf(
            "verified: %" PRIu64 " batches of %u pairs follow from %s, seed %" PRIu64
            " and the settings;\n"
            "          %.2f epochs, in each of which each of the %u training images was used once;"
            "\n"
            "          %d checkpoints and %" PRIu64 " recorded batches agree; chain %s\n",
            result.steps, result.batch, dataset->name, result.seed, result.epochs,
            dataset->train.count, result.checkpoints, result.recorded, hex);
        if (result.unreadable)
            printf("          %d checkpoints could not be read and were left out\n",
                   result.unreadable);
    }
    dataset_close(&dataset);
    return status;
}

int main(int argc, char **argv) {
    struct error error = {0};
    struct log log = {0};
    struct settings settings = {0};
    int status = -1;
    struct options *options = startup_prepare(&error) == 0
                                  ? options_parse(&program, argc, argv, &settings, &error)
                                  : NULL;
    if (options && signals_install(&error) == 0) {
        log_init(&log, 2, "verify", log_level_of(settings.log_level));
        status = verify(&settings, options, &log, &error);
    }
    options_destroy(&options);
    if (status != 0)
        fprintf(stderr, "verify: %s\n", error.text);
    return status == 0 ? 0 : error_exit_status(error.code);
}
