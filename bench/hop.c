/* One raw ZeroMQ hop, for scale beside the whole pipeline: PUSH in one process, PULL in another,
 * messages of the pipeline's size (images and small frames of one batch), no checks, no copies.
 *
 *     build/bench/hop --batch 128 --messages 5000 --address ipc:///tmp/hop
 *
 * Prints images per second and GB per second. */
#include "common/batch.h"
#include "common/clock.h"
#include "common/options.h"

#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zmq.h>

struct settings {
    const char *address;
    int64_t batch, messages;
};

#define AT(field) offsetof(struct settings, field)
/* clang-format off */
static const struct option_row rows[] = {
    {"address", 'a', OPTION_TEXT, AT(address), 0, 0, NULL, "ipc:///tmp/digitsum-hop", "ADDR", "to bind", 0},
    {"batch", 'b', OPTION_INT, AT(batch), 1, BATCH_MAX, NULL, "128", "N", "images in a message", 0},
    {"messages", 'm', OPTION_INT, AT(messages), 1, 10000000, NULL, "5000", "N", "to send", 0},
};
/* clang-format on */
static const struct options_program program = {
    .name = "hop",
    .summary = "Times one raw ZeroMQ hop of the pipeline's message size between two processes.",
    .rows = rows,
    .count = sizeof rows / sizeof *rows,
};

enum { HEADER = 40, QUEUE = 8 };

static void send_all(const struct settings *settings) {
    void *context = zmq_ctx_new(), *socket = zmq_socket(context, ZMQ_PUSH);
    int queue = QUEUE;
    const size_t sizes[3] = {HEADER, (size_t)settings->batch * IMAGE_PIXELS,
                             3 * (size_t)settings->batch};
    zmq_setsockopt(socket, ZMQ_SNDHWM, &queue, sizeof queue);
    zmq_connect(socket, settings->address);
    for (int64_t i = 0; i < settings->messages; i++)
        for (int frame = 0; frame < 3; frame++) {
            zmq_msg_t message;
            zmq_msg_init_size(&message, sizes[frame]);
            memset(zmq_msg_data(&message), (int)i, sizes[frame]);
            zmq_msg_send(&message, socket, frame < 2 ? ZMQ_SNDMORE : 0);
        }
    zmq_close(socket);
    zmq_ctx_term(context);
}

static int receive_all(const struct settings *settings, void *socket) {
    double begin = 0;
    size_t bytes = 0;
    for (int64_t i = 0; i < settings->messages; i++)
        for (int frame = 0; frame < 3; frame++) {
            zmq_msg_t message;
            zmq_msg_init(&message);
            if (zmq_msg_recv(&message, socket, 0) < 0)
                return 1;
            if (begin == 0)
                begin = clock_seconds(); /* connecting does not count */
            bytes += zmq_msg_size(&message);
            zmq_msg_close(&message);
        }
    double seconds = clock_seconds() - begin;
    printf("%s batch %lld: %.0f images/s, %.2f GB/s\n", settings->address,
           (long long)settings->batch, (double)(settings->messages * settings->batch) / seconds,
           (double)bytes / seconds / 1e9);
    return 0;
}

int main(int argc, char **argv) {
    struct error error = {0};
    struct settings settings = {0};
    struct options *options = options_parse(&program, argc, argv, &settings, &error);
    if (!options) {
        fprintf(stderr, "hop: %s\n", error.text);
        return error_exit_status(error.code);
    }
    pid_t child = fork();
    if (child == 0) {
        send_all(&settings);
        _exit(0);
    }
    void *context = zmq_ctx_new(), *socket = zmq_socket(context, ZMQ_PULL);
    int queue = QUEUE, status = 1;
    zmq_setsockopt(socket, ZMQ_RCVHWM, &queue, sizeof queue);
    if (child > 0 && zmq_bind(socket, settings.address) == 0)
        status = receive_all(&settings, socket);
    else
        fprintf(stderr, "hop: cannot bind %s: %s\n", settings.address, zmq_strerror(zmq_errno()));
    zmq_close(socket);
    zmq_ctx_term(context);
    if (child > 0)
        waitpid(child, NULL, 0);
    if (strncmp(settings.address, "ipc://", 6) == 0)
        unlink(settings.address + 6);
    options_destroy(&options);
    return status;
}
