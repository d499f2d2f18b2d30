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
    {"run-dir", 'd', OPTION_TEXT, AT(run_dir), 0, 0, NULL, NULL, "DIR", "folder of the run", 0},
    {"data", 0, OPTION_TEXT, AT(data), 0, 0, NULL, NULL, "SOURCE",
     "the dataset, as its loaders were told: auto, mnist, synthetic, or files: a path, or idx:, png:, csv: or npz: and a path; without it what the run's data.json says", 0},
    {"hold-out", 0, OPTION_INT, AT(hold_out), 0, 10000000, NULL, NULL, "N",
     "training images held out, as its loaders were told; without it what the run's data.json says", 0},
    {"transpose", 0, OPTION_FLAG, AT(transpose), 0, 0, NULL, NULL, NULL,
     "images turned, as its loaders were told or the run's data.json says", 0},
    {"train-limit", 0, OPTION_INT, AT(train_limit), 0, 10000000, NULL, "0", "N",
     "only the first N training samples, as its loaders were told; 0 is all", 0},
    {"test-limit", 0, OPTION_INT, AT(test_limit), 0, 10000000, NULL, "0", "N",
     "only the first N test samples, as its loaders were told; 0 is all", 0},
    {"threads", 't', OPTION_INT, AT(threads), 1, 1024, NULL, "2", "N",
     "compute threads: at most one for each processor", 0},
    {"log-level", 0, OPTION_CHOICE, AT(log_level), 0, 0, "debug|info|warning|error", "warning",
     "LEVEL", "least level that is logged", 0},
};
/* clang-format on */

static const struct options_program program = {
    .name = "verify",
    .summary = "Makes every batch that a run consumed again, from the dataset and the run's "
               "settings, without training, and says whether they are the same, and whether each "
               "pair was used exactly once.",
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
