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
    {"join", 'j', OPTION_TEXT, AT(join), 0, 0, NULL, "tcp://127.0.0.1:5555", "ADDR",
     "the trainer's address", 0},
    {"data", 0, OPTION_TEXT, AT(data), 0, 0, NULL, "auto", "SOURCE",
     "auto, mnist, synthetic, or files: a path, or idx:, png:, csv: or npz: and a path; auto finds or downloads MNIST, and draws digits where it can do neither", 0},
    {"hold-out", 0, OPTION_INT, AT(hold_out), 0, 10000000, NULL, "0", "N",
     "score N training images, drawn from all over and not trained on, in place of the test split; the limits count what is left on each side", 0},
    {"transpose", 0, OPTION_FLAG, AT(transpose), 0, 0, NULL, NULL, NULL,
     "turn every image, rows to columns, as EMNIST's files need", 0},
    {"train-limit", 0, OPTION_INT, AT(train_limit), 0, 10000000, NULL, "0", "N",
     "use the first N training samples; 0 is all", 0},
    {"test-limit", 0, OPTION_INT, AT(test_limit), 0, 10000000, NULL, "0", "N",
     "use the first N test samples; 0 is all", 0},
    {"find", 0, OPTION_FLAG, AT(find), 0, 0, NULL, NULL, NULL,
     "only find or download the data, showing progress, and print what --data should say then", 0},
    {"host", 0, OPTION_TEXT, AT(host), 0, 0, NULL, NULL, "HOST",
     "own address that augmenters and evaluators reach; without it the one that faces the trainer", 0},
    {"announce", 0, OPTION_TEXT, AT(announce), 0, 0, NULL, NULL, "HOST",
     "what others are told in place of --host, where its ports are forwarded one to one", 0},
    {"patience", 0, OPTION_INT, AT(patience), 1, 86400, NULL, "60", "SECONDS",
     "give up when the trainer is silent for so long", 0},
    {"name", 'n', OPTION_TEXT, AT(name), 0, 0, NULL, NULL, "NAME",
     "of this process; without it, its role, host and number", 0},
    {"log-level", 0, OPTION_CHOICE, AT(log_level), 0, 0, "debug|info|warning|error", "info",
     "LEVEL", "least level that is logged", 0},
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
    char samples[ENDPOINT_MAXIMUM], split[ENDPOINT_MAXIMUM], trainer[ENDPOINT_MAXIMUM];
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
