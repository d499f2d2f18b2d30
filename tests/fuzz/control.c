/* Fuzz target: messages to a trainer, from strangers and from workers that have joined. The low two
 * bits of the flags say who sends: one of three peers, or one that sends batches; bit 7: a minute
 * passes, and who is silent is gone. The trainer is real, with the engine that trains nothing, and
 * has a checkpoint to offer; the inputs come one after the other, so what it has become by then is
 * part of what is tried. */
#include "model/init.h"
#include "model/net.h"
#include "tests/fuzz/input.h"
#include "trainer/coordinator_private.h"
#include "trainer/null_engine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char text[] = "name = small\n"
                           "d dense image units=10\n"
                           "a onehot digit\n"
                           "b concat d a\n"
                           "s dense b units=19\n"
                           "output digit = d\noutput sum = s\n";

static struct options *options; /* settings point into them */
static struct coordinator *trainer;
static struct log quiet;
static void *context, *senders[4]; /* the last one: to where batches go */

enum { BATCHES = 3, MINUTE = 0x80, MEMBERS = 64, CHECKPOINT = 4096 };

static void must(bool right, const char *what, const struct error *error) {
    if (right)
        return;
    fprintf(stderr, "%s: %s\n", what, error->text);
    abort();
}

/* What there is to FETCH. */
static void publish(const char *folder) {
    static const uint8_t bytes[CHECKPOINT] = {1, 2, 3};
    struct saved saved = {.step = 20, .size = sizeof bytes, .epoch_end = true};
    struct error error = {0};
    snprintf(saved.path, sizeof saved.path, "%s/step", folder);
    FILE *file = fopen(saved.path, "we");
    must(file && fwrite(bytes, 1, sizeof bytes, file) == sizeof bytes && fclose(file) == 0,
         "a checkpoint", &error);
    must(publisher_add(trainer->publisher, &saved, 0, &error) != NULL, "publishing", &error);
}

static void *open_sender(int type, const char *address) {
    struct error error = {.text = "no connection"};
    void *socket = zmq_socket(context, type);
    must(zmq_connect(socket, address) == 0, address, &error);
    return socket;
}

static void open_trainer(void) {
    static struct settings settings;
    static struct checkpoint start;
    static char address[INPUT_FOLDER + 32];
    char folder[INPUT_FOLDER];
    struct error error = {0};
    char *words[] = {
        (char *)"trainer", (char *)"--engine", (char *)"null", (char *)"--batch=2", address, NULL};
    input_folder("control", folder);
    snprintf(address, sizeof address, "--bind=ipc://%s/trainer", folder);
    options = options_parse(&trainer_program, 5, words, &settings, &error);
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
    for (int i = 0; i < BATCHES; i++)
        senders[i] = open_sender(ZMQ_DEALER, trainer->control_address);
    senders[BATCHES] = open_sender(ZMQ_PUSH, trainer->data_address);
    publish(folder);
}

/* Waits for the message, lets the trainer work on it, and takes off what it answers. */
static void handle(bool batch) {
    struct error error;
    char answer[256];
    if (!input_wait(batch ? trainer->data : trainer->control, 1000))
        abort(); /* a message to an open socket was lost */
    if (batch)
        must(flow_receive(trainer, &error) == 0, "batches", &error);
    else
        must(control_receive(trainer, &error) == 0, "control", &error);
    flow_advance(trainer);
    for (int i = 0; i < BATCHES; i++)
        while (zmq_recv(senders[i], answer, sizeof answer, ZMQ_DONTWAIT) >= 0)
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
    input_send(senders[frames.flags & 3], &frames);
    free(packed);
    handle((frames.flags & 3) == BATCHES);
    /* Who has the place of a thousand others leaves nothing to try. */
    if (frames.flags & MINUTE || trainer->members->count > MEMBERS)
        control_check_silence(trainer, clock_now() + 60 * CLOCK_SECOND);
    return 0;
}
