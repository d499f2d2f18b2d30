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
    static char address[INPUT_FOLDER + 32];
    char folder[INPUT_FOLDER];
    struct error error = {0};
    char *words[] = {(char *)"trainer", (char *)"--engine", (char *)"null", address, NULL};
    input_folder("control", folder);
    snprintf(address, sizeof address, "--bind=ipc://%s/trainer", folder);
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
    if (!input_wait(trainer->control, 1000))
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
    /* The run's id is drawn at random: a header that says 7 means this one. */
    Digitsum__Header *header = input_header(&frames, 0);
    if (header && header->run == 7)
        header->run = trainer->run;
    uint8_t *packed = header ? input_seal(&frames, 0, header) : NULL;
    input_send(stranger, &frames);
    free(packed);
    handle();
    return 0;
}
