/* Fuzz target: control messages to a trainer, from a stranger and from a worker that has joined.
 * The trainer is real, with the engine that trains nothing; the inputs come one after the other, so
 * what it has become by then is part of what is tried. */
#include "model/init.h"
#include "tests/fuzz/input.h"
#include "trainer/coordinator_private.h"
#include "trainer/null_engine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char text[] = "name = \"small\"; nodes = ("
                           "{ name = \"d\"; kind = \"dense\"; input = \"image\"; units = 10; },"
                           "{ name = \"a\"; kind = \"onehot\"; input = \"digit\"; },"
                           "{ name = \"b\"; kind = \"concat\"; inputs = (\"d\", \"a\"); },"
                           "{ name = \"s\"; kind = \"dense\"; input = \"b\"; units = 19; });"
                           "outputs = { digit = \"d\"; sum = \"s\"; };";

static struct options *options; /* settings point into them */
static struct coordinator *trainer;
static struct log quiet;
static void *context, *stranger;

static void must(bool right, const char *what, const struct error *error) {
    if (right)
        return;
    fprintf(stderr, "%s: %s\n", what, error->text);
    abort();
}

static void open_trainer(void) {
    static struct settings settings;
    static struct checkpoint start;
    static char address[64];
    struct error error = {0};
    char *words[] = {(char *)"trainer", (char *)"--engine", (char *)"null", address, NULL};
    snprintf(address, sizeof address, "--bind=ipc:///dev/shm/fuzz-%d", (int)getpid());
    options = options_parse(&trainer_program, 4, words, &settings, &error);
    must(options != NULL, "options", &error);
    log_init(&quiet, 2, "fuzz", LOG_ERROR);
    start.net = net_parse(text, strlen(text), "fuzz", &error);
    must(start.net != NULL, "net", &error);
    struct engine_config config = {.batch = (int)settings.batch, .threads = 1, .training = true};
    settings_optimizer(&settings, &config.optimizer);
    must(state_alloc(&start.state, start.net, &config.optimizer, &error) == 0, "state", &error);
    trainer = coordinator_create(&(struct coordinator_settings){.settings = &settings,
                                                                .ops = &null_engine,
                                                                .net = start.net,
                                                                .config = config,
                                                                .start = &start,
                                                                .dataset = ""},
                                 &quiet, &error);
    must(trainer != NULL, "trainer", &error);
    context = zmq_ctx_new();
    stranger = zmq_socket(context, ZMQ_DEALER);
    must(zmq_connect(stranger, address + strlen("--bind=")) == 0, "connect", &error);
}

/* Waits for the message, lets the trainer work on it, and takes off what it answers. */
static void handle(void) {
    struct error error;
    char answer[256];
    zmq_pollitem_t item = {trainer->control, 0, ZMQ_POLLIN, 0};
    if (zmq_poll(&item, 1, 1000) != 1)
        abort(); /* a message to an open socket was lost */
    must(control_receive(trainer, &error) == 0, "control", &error);
    flow_advance(trainer);
    while (zmq_recv(stranger, answer, sizeof answer, ZMQ_DONTWAIT) >= 0)
        ;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    struct input_frames frames;
    if (!trainer)
        open_trainer();
    input_frames(bytes, size, &frames);
    if (frames.count == 0)
        return 0;
    /* The run's id is drawn at random: a header that says 7 means this one. And it is sealed. */
    Digitsum__Header *header =
        digitsum__header__unpack(NULL, frames.list[0].size, frames.list[0].bytes);
    uint8_t *packed = NULL;
    if (header) {
        header->run = header->run == 7 ? trainer->run : header->run;
        packed = malloc(digitsum__header__get_packed_size(header) + WIRE_SEAL);
        if (!packed)
            abort();
        size_t length = digitsum__header__pack(header, packed);
        wire_seal(packed, length);
        frames.list[0].size = length + WIRE_SEAL;
        frames.list[0].bytes = packed;
        digitsum__header__free_unpacked(header, NULL);
    }
    input_send(stranger, &frames);
    free(packed);
    handle();
    return 0;
}
