/* Feeds batches and replays recorded steps.
 *
 * A slot is a place for one batch: pinned memory that the host fills, device memory that a copy on
 * its own stream fills from it, and a recording of one whole step that reads that device memory.
 * The slots are used in turn, so copies run ahead of the steps. Small networks are held up by the
 * launches themselves: for them several slots' steps are recorded as one graph as well, and steps
 * start in such groups; what is left over when somebody waits starts one by one. Either way the
 * same kernels run in the same order.
 *
 * Three counters go through the slots, each a step's number modulo the slots: staged ≥ started ≥
 * finished. Results come back through mapped memory, so nothing waits for them. */
#include "cuda/engine_private.h"

#include <stdlib.h>
#include <string.h>

#define RESULT_RING 256      /* results that wait for collect */
#define AHEAD 8              /* slots, unless asked for otherwise */
#define SMALL_NETWORK 200000 /* parameters: below, several steps make one graph */
#define SMALL_STEPS 4        /* steps of one graph then */
#define PLACE_ALIGNMENT 256

struct slot {
    uint8_t *host, *device; /* arguments, images, labels, digits, sums */
    struct kernel_result *result;
    cudaGraphExec_t step;
    cudaGraphExec_t group; /* of this and the slots after it; only in the first of a group */
    cudaEvent_t copied, done;
    int done_at; /* the slot whose `done` tells that this one's step is over */
};

struct steps {
    struct slot *slots;
    int slot_count, group;
    size_t images, labels, digits, sums, bytes; /* places in a slot */
    uint64_t staged, started, finished;

    /* predict */
    uint8_t *host, *device;
    float *digit_logits, *sum_logits; /* device memory, f32 */
    float *digit_host, *sum_host;     /* pinned */
    cudaGraphExec_t predict;

    struct step_result results[RESULT_RING];
    int first, count;
};

static size_t aligned(size_t size) {
    return (size + PLACE_ALIGNMENT - 1) / PLACE_ALIGNMENT * PLACE_ALIGNMENT;
}

/* --- recording ------------------------------------------------------------------------------- */

static struct batch_places places_in(const struct steps *steps, const uint8_t *base,
                                     struct kernel_result *result) {
    return (struct batch_places){.arguments = (const struct step_arguments *)(const void *)base,
                                 .images = base + steps->images,
                                 .labels = base + steps->labels,
                                 .digits = base + steps->digits,
                                 .sums = base + steps->sums,
                                 .result = result};
}

/* Puts one training step on the compute stream. */
static int record_step(struct engine *engine, const struct slot *slot, struct error *error) {
    engine->training = true;
    engine->places = places_in(engine->steps, slot->device, slot->result);
    return engine_forward(engine, error) || loss_record(engine, error) ||
                   engine_backward(engine, error) || update_record(engine, error)
               ? -1
               : 0;
}

/* Puts one prediction on the compute stream, from the copy of its inputs to that of its logits. */
static int record_predict(struct engine *engine, const struct slot *unused, struct error *error) {
    struct steps *steps = engine->steps;
    const struct cuda_node *digit = &engine->nodes[engine->net->digit_output];
    const struct cuda_node *sum = &engine->nodes[engine->net->sum_output];
    size_t digits = node_count(engine, digit), sums = node_count(engine, sum);
    (void)unused;
    engine->training = false;
    engine->places = places_in(steps, steps->device, NULL);
    if (cuda_check(cudaMemcpyAsync(steps->device, steps->host, steps->bytes, cudaMemcpyHostToDevice,
                                   engine->compute),
                   "cudaMemcpyAsync", "the images to predict", error) ||
        engine_forward(engine, error))
        return -1;
    if (node_check(engine, digit,
                   kernel_copy((struct values){steps->digit_logits, ELEMENT_F32}, digit->y, digits,
                               false, engine->compute),
                   "kernel_copy", error) ||
        node_check(engine, sum,
                   kernel_copy((struct values){steps->sum_logits, ELEMENT_F32}, sum->y, sums, false,
                               engine->compute),
                   "kernel_copy", error))
        return -1;
    return cuda_check(cudaMemcpyAsync(steps->digit_host, steps->digit_logits,
                                      digits * sizeof(float), cudaMemcpyDeviceToHost,
                                      engine->compute),
                      "cudaMemcpyAsync", "the digit logits", error) ||
                   cuda_check(cudaMemcpyAsync(steps->sum_host, steps->sum_logits,
                                              sums * sizeof(float), cudaMemcpyDeviceToHost,
                                              engine->compute),
                              "cudaMemcpyAsync", "the sum logits", error)
               ? -1
               : 0;
}

typedef int (*recorder)(struct engine *engine, const struct slot *slot, struct error *error);

/* Captures what `record` puts on the compute stream for `count` slots as one graph. A capture that
 * was begun is ended also when something in it fails. */
static int capture(struct engine *engine, recorder record, const struct slot *slots, int count,
                   cudaGraphExec_t *made, struct error *error) {
    static const char what[] = "the recording of a step";
    cudaGraph_t graph = NULL;
    if (cuda_check(cudaStreamBeginCapture(engine->compute, cudaStreamCaptureModeThreadLocal),
                   "cudaStreamBeginCapture", what, error))
        return -1;
    int status = 0;
    for (int i = 0; i < count && status == 0; i++)
        status = record(engine, slots ? &slots[i] : NULL, error);
    cudaError_t ended = cudaStreamEndCapture(engine->compute, &graph);
    if (status == 0 &&
        (cuda_check(ended, "cudaStreamEndCapture", what, error) ||
         cuda_check(cudaGraphInstantiate(made, graph, 0), "cudaGraphInstantiate", what, error)))
        status = -1;
    if (graph)
        cudaGraphDestroy(graph);
    return status;
}

/* --- life ------------------------------------------------------------------------------------ */

static void plan_slots(struct engine *engine) {
    struct steps *steps = engine->steps;
    const struct engine_config *config = &engine->config;
    size_t batch = (size_t)engine->batch;
    steps->images = aligned(sizeof(struct step_arguments));
    steps->labels = steps->images + aligned(batch * IMAGE_PIXELS);
    steps->digits = steps->labels + aligned(batch);
    steps->sums = steps->digits + aligned(batch);
    steps->bytes = steps->sums + aligned(batch);
    steps->group = config->graph_steps > 0              ? config->graph_steps
                   : engine->net->total < SMALL_NETWORK ? SMALL_STEPS
                                                        : 1;
    int ahead = config->ahead > 0 ? config->ahead : AHEAD;
    int groups = (ahead + steps->group - 1) / steps->group;
    steps->slot_count = steps->group * (groups < 2 ? 2 : groups); /* one fills, one runs */
}

static int make_slot(struct engine *engine, struct slot *slot, struct error *error) {
    struct memory *memory = &engine->memory;
    size_t bytes = engine->steps->bytes;
    slot->host = memory_alloc(memory, MEMORY_PINNED, bytes, true, "a staged batch", error);
    slot->device = memory_alloc(memory, MEMORY_BATCH, bytes, true, "a staged batch", error);
    struct kernel_result *result =
        memory_alloc(memory, MEMORY_PINNED, sizeof *result, true, "the result of a step", error);
    if (!slot->host || !slot->device || !result)
        return -1;
    slot->result = result;
    return cuda_check(cudaEventCreateWithFlags(&slot->copied, cudaEventDisableTiming),
                      "cudaEventCreateWithFlags", "the feed", error) ||
                   cuda_check(cudaEventCreateWithFlags(&slot->done, cudaEventDisableTiming),
                              "cudaEventCreateWithFlags", "the feed", error)
               ? -1
               : 0;
}

static int make_predict(struct engine *engine, struct error *error) {
    struct steps *steps = engine->steps;
    struct memory *memory = &engine->memory;
    size_t digits = sizeof(float) * node_count(engine, &engine->nodes[engine->net->digit_output]);
    size_t sums = sizeof(float) * node_count(engine, &engine->nodes[engine->net->sum_output]);
    steps->host = memory_alloc(memory, MEMORY_PINNED, steps->bytes, true, "images", error);
    steps->device = memory_alloc(memory, MEMORY_BATCH, steps->bytes, true, "images", error);
    steps->digit_host = memory_alloc(memory, MEMORY_PINNED, digits, true, "logits", error);
    steps->sum_host = memory_alloc(memory, MEMORY_PINNED, sums, true, "logits", error);
    steps->digit_logits = memory_alloc(memory, MEMORY_BATCH, digits, true, "logits", error);
    steps->sum_logits = memory_alloc(memory, MEMORY_BATCH, sums, true, "logits", error);
    return steps->host && steps->device && steps->digit_host && steps->sum_host &&
                   steps->digit_logits && steps->sum_logits
               ? 0
               : -1;
}

/* Libraries load their kernels at the first call, which must not happen while a graph is recorded:
 * so everything runs once before. The weights that this spoils are unspecified until import. */
static int warm_up(struct engine *engine, struct error *error) {
    if (record_predict(engine, NULL, error) ||
        (engine->config.training && record_step(engine, &engine->steps->slots[0], error)))
        return -1;
    return cuda_check(cudaStreamSynchronize(engine->compute), "cudaStreamSynchronize",
                      "the first step", error);
}

static int record_all(struct engine *engine, struct error *error) {
    struct steps *steps = engine->steps;
    if (capture(engine, record_predict, NULL, 1, &steps->predict, error))
        return -1;
    for (int i = 0; i < steps->slot_count && engine->config.training; i++) {
        struct slot *slot = &steps->slots[i];
        if (capture(engine, record_step, slot, 1, &slot->step, error))
            return -1;
        if (steps->group > 1 && i % steps->group == 0 &&
            capture(engine, record_step, slot, steps->group, &slot->group, error))
            return -1;
    }
    return 0;
}

int steps_create(struct engine *engine, struct error *error) {
    struct steps *steps = engine->steps = calloc(1, sizeof *steps);
    if (!steps)
        return error_set(error, ERROR_MEMORY, "cuda engine: no memory for its feed");
    plan_slots(engine);
    if (engine->config.training) {
        steps->slots = calloc((size_t)steps->slot_count, sizeof *steps->slots);
        if (!steps->slots)
            return error_set(error, ERROR_MEMORY, "cuda engine: no memory for its feed");
        for (int i = 0; i < steps->slot_count; i++)
            if (make_slot(engine, &steps->slots[i], error))
                return -1;
    }
    if (make_predict(engine, error) || memory_check(&engine->memory, engine->batch, error))
        return -1;
    return warm_up(engine, error) || record_all(engine, error) ? -1 : 0;
}

void steps_destroy(struct engine *engine) {
    struct steps *steps = engine->steps;
    if (!steps)
        return;
    if (steps->predict)
        cudaGraphExecDestroy(steps->predict);
    for (int i = 0; steps->slots && i < steps->slot_count; i++) {
        struct slot *slot = &steps->slots[i];
        if (slot->step)
            cudaGraphExecDestroy(slot->step);
        if (slot->group)
            cudaGraphExecDestroy(slot->group);
        if (slot->copied)
            cudaEventDestroy(slot->copied);
        if (slot->done)
            cudaEventDestroy(slot->done);
    }
    free(steps->slots);
    free(steps);
    engine->steps = NULL;
}

/* --- training -------------------------------------------------------------------------------- */

static struct slot *slot_of(struct steps *steps, uint64_t step) {
    return &steps->slots[step % (uint64_t)steps->slot_count];
}

/* Takes the result of the oldest started step, which is over. */
static void harvest(struct engine *engine) {
    struct steps *steps = engine->steps;
    const struct kernel_result *from = slot_of(steps, steps->finished)->result;
    steps->results[(steps->first + steps->count) % RESULT_RING] =
        (struct step_result){.step = from->step,
                             .count = (uint32_t)engine->batch,
                             .loss = from->loss,
                             .digit_loss = from->digit_loss,
                             .sum_loss = from->sum_loss,
                             .digit_hits = from->digit_hits,
                             .sum_hits = from->sum_hits};
    steps->count++;
    steps->finished++;
}

/* Harvests what is over; with `wait`, what is started up to (not including) `until`. */
static int advance(struct engine *engine, bool wait, uint64_t until, struct error *error) {
    struct steps *steps = engine->steps;
    while (steps->finished < steps->started) {
        cudaEvent_t done = steps->slots[slot_of(steps, steps->finished)->done_at].done;
        bool must = wait && steps->finished < until;
        cudaError_t status = must ? cudaEventSynchronize(done) : cudaEventQuery(done);
        if (status == cudaErrorNotReady)
            return 0;
        if (cuda_check(status, must ? "cudaEventSynchronize" : "cudaEventQuery", "a training step",
                       error))
            return -1;
        harvest(engine);
    }
    return 0;
}

/* Starts the next `count` staged steps with one graph, when their copies are there. */
static int start(struct engine *engine, cudaGraphExec_t graph, int count, struct error *error) {
    struct steps *steps = engine->steps;
    uint64_t last = steps->started + (uint64_t)count - 1;
    struct slot *slot = slot_of(steps, last);
    if (cuda_check(cudaStreamWaitEvent(engine->compute, slot->copied, 0), "cudaStreamWaitEvent",
                   "a training step", error) ||
        cuda_check(cudaGraphLaunch(graph, engine->compute), "cudaGraphLaunch", "a training step",
                   error) ||
        cuda_check(cudaEventRecord(slot->done, engine->compute), "cudaEventRecord",
                   "a training step", error))
        return -1;
    for (; steps->started <= last; steps->started++)
        slot_of(steps, steps->started)->done_at = (int)(slot - steps->slots);
    return 0;
}

static int start_staged(struct engine *engine, struct error *error) {
    struct steps *steps = engine->steps;
    while (steps->started < steps->staged)
        if (start(engine, slot_of(steps, steps->started)->step, 1, error))
            return -1;
    return 0;
}

static int stage(struct engine *engine, const struct batch *batch,
                 const struct step_settings *settings, struct error *error) {
    struct steps *steps = engine->steps;
    struct slot *slot = slot_of(steps, steps->staged);
    struct step_arguments arguments = update_arguments(engine, settings);
    memcpy(slot->host, &arguments, sizeof arguments);
    memcpy(slot->host + steps->images, batch->images, (size_t)batch->count * IMAGE_PIXELS);
    memcpy(slot->host + steps->labels, batch->labels, batch->count);
    memcpy(slot->host + steps->digits, batch->digits, batch->count);
    memcpy(slot->host + steps->sums, batch->sums, batch->count);
    if (cuda_check(cudaMemcpyAsync(slot->device, slot->host, steps->bytes, cudaMemcpyHostToDevice,
                                   engine->copy),
                   "cudaMemcpyAsync", "a batch", error) ||
        cuda_check(cudaEventRecord(slot->copied, engine->copy), "cudaEventRecord", "a batch",
                   error))
        return -1;
    engine->updates = arguments.updates;
    steps->staged++;
    return 0;
}

int steps_train(struct engine *engine, const struct batch *batch,
                const struct step_settings *settings, struct error *error) {
    struct steps *steps = engine->steps;
    uint64_t waiting = (uint64_t)steps->count + (steps->staged - steps->finished);
    if (waiting >= RESULT_RING)
        return error_set(error, ERROR_INVALID,
                         "cuda engine: %d results wait for collect; none may be dropped",
                         RESULT_RING);
    if (steps->staged >= (uint64_t)steps->slot_count &&
        advance(engine, true, steps->staged - (uint64_t)steps->slot_count + 1, error))
        return -1;
    if (stage(engine, batch, settings, error))
        return -1;
    /* A group begins at the first of its slots only: after single starts the next one does. */
    uint64_t group = (uint64_t)steps->group;
    if (group == 1 || steps->started % group != 0)
        return start_staged(engine, error);
    if (steps->staged - steps->started < group)
        return 0;
    return start(engine, slot_of(steps, steps->started)->group, (int)group, error);
}

int steps_finish(struct engine *engine, struct error *error) {
    return start_staged(engine, error) || advance(engine, true, engine->steps->started, error) ? -1
                                                                                               : 0;
}

int steps_collect(struct engine *engine, struct step_result *results, int most, bool wait,
                  struct error *error) {
    struct steps *steps = engine->steps;
    int taken = 0;
    if (wait ? steps_finish(engine, error) : advance(engine, false, 0, error))
        return -1;
    if (steps->finished == steps->started && start_staged(engine, error))
        return -1; /* the device has nothing to do: do not wait for a whole group */
    for (; taken < most && steps->count > 0; taken++, steps->count--) {
        results[taken] = steps->results[steps->first];
        steps->first = (steps->first + 1) % RESULT_RING;
    }
    return taken;
}

/* --- predicting ------------------------------------------------------------------------------ */

int steps_predict(struct engine *engine, const uint8_t *images, const uint8_t *digits,
                  uint32_t count, float *digit_logits, float *sum_logits, struct error *error) {
    struct steps *steps = engine->steps;
    const struct net *net = engine->net;
    size_t classes = (size_t)shape_values(net->nodes[net->digit_output].shape);
    size_t sums = (size_t)shape_values(net->nodes[net->sum_output].shape);
    if (start_staged(engine, error))
        return -1;
    memcpy(steps->host + steps->images, images, (size_t)count * IMAGE_PIXELS);
    memcpy(steps->host + steps->digits, digits, count);
    if (cuda_check(cudaGraphLaunch(steps->predict, engine->compute), "cudaGraphLaunch",
                   "a prediction", error) ||
        cuda_check(cudaStreamSynchronize(engine->compute), "cudaStreamSynchronize", "a prediction",
                   error))
        return -1;
    memcpy(digit_logits, steps->digit_host, sizeof(float) * count * classes);
    memcpy(sum_logits, steps->sum_host, sizeof(float) * count * sums);
    return 0;
}
