/* The loader: options → dataset → join → loop of "wait, handle one" → leave. */
#include "common/link.h"
#include "common/options.h"
#include "common/peer.h"
#include "common/signals.h"
#include "common/startup.h"
#include "loader/layout.h"
#include "loader/serve.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <malloc.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct settings {
    const char *join, *data, *name, *host, *announce, *log_level;
    int64_t hold_out, train_limit, test_limit, patience;
    bool find, transpose;
};

#define AT(field) offsetof(struct settings, field)
/* clang-format off */
static const struct option_row rows[] = {
    {.name = "join", .letter = 'j', .kind = OPTION_TEXT, .offset = AT(join), .fallback = "tcp://127.0.0.1:5555", .argument = "ADDR",
     .help = "the trainer's address"},
    {.name = "data", .kind = OPTION_TEXT, .offset = AT(data), .fallback = "auto", .argument = "SOURCE",
     .help = "auto, mnist, synthetic, a path, or idx:, png:, csv: or npz: and a path; auto finds or downloads MNIST, else uses synthetic digits"},
    {.name = "hold-out", .kind = OPTION_INT, .offset = AT(hold_out), .max = 10000000, .fallback = "0", .argument = "N",
     .help = "score N held-out training images instead of the test split; the limits apply after this"},
    {.name = "transpose", .kind = OPTION_FLAG, .offset = AT(transpose),
     .help = "transpose every image, as EMNIST's files need"},
    {.name = "train-limit", .kind = OPTION_INT, .offset = AT(train_limit), .max = 10000000, .fallback = "0", .argument = "N",
     .help = "use the first N training samples; 0 is all"},
    {.name = "test-limit", .kind = OPTION_INT, .offset = AT(test_limit), .max = 10000000, .fallback = "0", .argument = "N",
     .help = "use the first N test samples; 0 is all"},
    {.name = "find", .kind = OPTION_FLAG, .offset = AT(find),
     .help = "find or download the data, print the value for --data, and exit"},
    {.name = "host", .kind = OPTION_TEXT, .offset = AT(host), .argument = "HOST",
     .help = "own address for augmenters and evaluators (default: the one that faces the trainer)"},
    {.name = "announce", .kind = OPTION_TEXT, .offset = AT(announce), .argument = "HOST",
     .help = "address to announce instead of --host, if its ports are forwarded one to one"},
    {.name = "patience", .kind = OPTION_INT, .offset = AT(patience), .min = 1, .max = 86400, .fallback = "60", .argument = "SECONDS",
     .help = "exit when the trainer has been silent for so long"},
    {.name = "name", .letter = 'n', .kind = OPTION_TEXT, .offset = AT(name), .argument = "NAME",
     .help = "name of this process (default: role, host and process id)"},
    {.name = "log-level", .kind = OPTION_CHOICE, .offset = AT(log_level), .choices = "debug|info|warning|error", .fallback = "info", .argument = "LEVEL",
     .help = "min level that is logged"},
};
/* clang-format on */

static const struct options_program program = {
    .name = "loader",
    .summary = "Decodes a dataset and makes the batches that the trainer leases to it. Start as "
               "many as you like, on any machine that has the data; kill any at any time.",
    .example = "loader --join tcp://trainer:5555 --data auto",
    .rows = rows,
    .count = sizeof rows / sizeof rows[0],
};

/* --find: makes sure that the data is there before anything is started, with a person watching, and
 * prints on standard output what --data should say from here on. */
static int find_data(const struct settings *settings, const struct log *log, struct error *error) {
    char folder[PATH_MAX];
    struct idx_files files;
    struct error reason;
    const char *data = settings->data;
    bool automatic = strcmp(data, "auto") == 0, mnist = automatic || strcmp(data, "mnist") == 0;
    struct layout layout;
    struct notices notices = {0};
    if (!mnist && strcmp(data, "synthetic") != 0 && layout_find(data, true, &layout, error) != 0)
        return -1;
    int found = mnist ? fetch_find(&notices, folder, &files, error) : 1;
    for (int i = 0; i < notices.count; i++)
        log_warning(log, "%s", notices.texts[i]);
    if (found < 0)
        return -1;
    if (!found && !fetch_find_keras(folder) && fetch_obtain(folder, log, &reason) != 0) {
        if (!automatic || reason.code == ERROR_INTERRUPTED) {
            *error = reason;
            return -1;
        }
        log_warning(log, "MNIST is unavailable: %s", reason.text);
        data = "synthetic";
    }
    printf("%s\n", data);
    return 0;
}

static struct dataset *open_dataset(const struct settings *settings, const struct log *log,
                                    struct error *error) {
    struct dataset_request request = {.data = settings->data,
                                      .transpose = settings->transpose,
                                      .hold_out = (uint32_t)settings->hold_out,
                                      .train_limit = (uint32_t)settings->train_limit,
                                      .test_limit = (uint32_t)settings->test_limit,
                                      .log = log};
    return dataset_open(&request, error);
}

struct loader {
    struct settings settings;
    char name[PEER_NAME];
    const struct log *log;
    struct dataset *dataset;
    void *context;
    struct serve *serve;
    struct peer *peer;
};

static int open_all(struct loader *loader, struct error *error) {
    const struct settings *settings = &loader->settings;
    const struct dataset *dataset = loader->dataset;
    char samples[ENDPOINT_MAX], split[ENDPOINT_MAX], trainer[ENDPOINT_MAX];
    loader->context = zmq_ctx_new();
    if (!loader->context)
        return error_set(error, ERROR_IO, "cannot start ZeroMQ: %s", zmq_strerror(errno));
    if (link_find(settings->join, (int)settings->patience, loader->log, trainer, error) != 0 ||
        endpoint_beside(trainer, settings->name, "samples", settings->host, samples, error) != 0 ||
        endpoint_beside(trainer, settings->name, "split", settings->host, split, error) != 0)
        return -1;
    loader->serve = serve_create(loader->context, dataset, samples, split, loader->log, error);
    if (!loader->serve)
        return -1;
    Digitsum__Dataset announced = DIGITSUM__DATASET__INIT;
    serve_describe(dataset, &announced);
    if (endpoint_announce(serve_samples(loader->serve), settings->announce, trainer, samples,
                          error) != 0 ||
        endpoint_announce(serve_split(loader->serve), settings->announce, trainer, split, error) !=
            0)
        return -1;
    log_info(loader->log, "samples at %s, test split at %s", samples, split);
    struct peer_hello hello = {.trainer = settings->join,
                               .role = DIGITSUM__ROLE__LOADER,
                               .name = settings->name,
                               .endpoints = {samples, split},
                               .dataset = &announced,
                               .notices = &dataset->notices,
                               .patience = (int)settings->patience};
    loader->peer = peer_create(loader->context, &hello, loader->log, error);
    return loader->peer ? 0 : -1;
}

/* Until the run is over: 0; or a signal: ERROR_INTERRUPTED. */
static int loop(struct loader *loader, struct error *error) {
    int generation = 0;
    while (!signals_stop()) {
        zmq_pollitem_t items[4] = {{peer_socket(loader->peer), 0, ZMQ_POLLIN, 0},
                                   {NULL, signals_descriptor(), ZMQ_POLLIN, 0}};
        serve_poll_items(loader->serve, items + 2);
        if (zmq_poll(items, 4, peer_wait(loader->peer)) < 0 && errno != EINTR)
            return error_set(error, ERROR_IO, "waiting for messages: %s", zmq_strerror(errno));
        struct wire_message message;
        int status;
        while ((status = peer_receive(loader->peer, &message, error)) == 1) {
            const struct peer_run *run = peer_run(loader->peer);
            if (run && run->generation != generation) {
                generation = run->generation;
                serve_begin(loader->serve, run->run, run->seed, run->batch);
            }
            if (message.header->type == DIGITSUM__TYPE__LEASE)
                serve_lease(loader->serve, message.header->lease);
            wire_release(&message);
        }
        if (status < 0)
            return error->code == ERROR_CLOSED ? 0 : -1;
        if (serve_work(loader->serve, error) != 0)
            return -1;
    }
    return error_set(error, ERROR_INTERRUPTED, "stopped by a signal");
}

int main(int argc, char **argv) {
    struct error error = {0};
    struct log log = {0};
    struct loader loader = {.log = &log};
    int status = -1;
    mallopt(M_MMAP_THRESHOLD, 64 << 20); /* batches come and go: keep their pages */
    mallopt(M_TRIM_THRESHOLD, 256 << 20);
    struct options *options = startup_prepare(&error) == 0
                                  ? options_parse(&program, argc, argv, &loader.settings, &error)
                                  : NULL;
    if (!options || signals_install(&error) != 0)
        goto done;
    loader.settings.name = peer_name(loader.settings.name, "loader", loader.name);
    log_init(&log, 2, loader.settings.name, log_level_of(loader.settings.log_level));
    if (loader.settings.find) {
        status = find_data(&loader.settings, &log, &error);
        goto done;
    }
    loader.dataset = open_dataset(&loader.settings, &log, &error);
    if (!loader.dataset)
        goto done;
    log_info(&log, "%s: %u training and %u test images", loader.dataset->name,
             loader.dataset->train.count, loader.dataset->test.count);
    for (int i = 0; i < loader.dataset->notices.count; i++)
        log_warning(&log, "%s", loader.dataset->notices.texts[i]);
    if (open_all(&loader, &error) == 0)
        status = loop(&loader, &error);
    if (loader.serve)
        log_info(&log, "made %" PRIu64 " batches", serve_steps(loader.serve));
done:
    peer_destroy(&loader.peer);
    serve_destroy(&loader.serve);
    if (loader.context)
        zmq_ctx_term(loader.context);
    dataset_close(&loader.dataset);
    options_destroy(&options);
    if (status != 0)
        fprintf(stderr, "loader: %s\n", error.text);
    return status == 0 ? 0 : error_exit_status(error.code);
}
