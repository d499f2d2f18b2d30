/* The CPU engine behind model/engine.h: oneDNN for the large products, own OpenMP loops for the
 * rest. A step runs on the calling thread and its OpenMP team; it is over when train_step returns.
 */
#include "common/processors.h"
#include "cpu/arena.h"
#include "cpu/engine_private.h"
#include "cpu/tiles.h"

#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- what the machine can do ----------------------------------------------------------------- */

/* What oneDNN may use, which the environment can narrow (ONEDNN_MAX_CPU_ISA). */
static bool has(dnnl_cpu_isa_t isa) {
    return (dnnl_get_effective_cpu_isa() & isa) == isa;
}

/* As the environment variable spells them; a later row has all that an earlier one has. */
static const char *instructions_name(void) {
    static const struct {
        dnnl_cpu_isa_t isa;
        const char *name;
    } rows[] = {{dnnl_cpu_isa_sse41, "SSE41"},
                {dnnl_cpu_isa_avx, "AVX"},
                {dnnl_cpu_isa_avx2, "AVX2"},
                {dnnl_cpu_isa_avx2_vnni, "AVX2_VNNI"},
                {dnnl_cpu_isa_avx512_core, "AVX512_CORE"},
                {dnnl_cpu_isa_avx512_core_vnni, "AVX512_CORE_VNNI"},
                {dnnl_cpu_isa_avx512_core_bf16, "AVX512_CORE_BF16"},
                {dnnl_cpu_isa_avx512_core_amx, "AVX512_CORE_AMX"}};
    const char *name = "plain";
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (has(rows[i].isa))
            name = rows[i].name;
    return name;
}

/* The processor's name as the kernel has it. */
static void read_processor(char *name, size_t size) {
    char line[256];
    FILE *file = fopen("/proc/cpuinfo", "re");
    snprintf(name, size, "unknown");
    while (file && fgets(line, sizeof line, file)) {
        char *value = strchr(line, ':');
        if (strncmp(line, "model name", strlen("model name")) != 0 || !value)
            continue;
        line[strcspn(line, "\n")] = '\0';
        snprintf(name, size, "%s", value + 1 + strspn(value + 1, " \t"));
        break;
    }
    if (file)
        fclose(file);
}

static bool own_tiles(void) {
    return has(dnnl_cpu_isa_avx512_core_amx) && tiles_available();
}

static int threads_of(const struct engine_config *config) {
    struct processors machine;
    if (config->threads > 0)
        return config->threads;
    processors_read(&machine);
    return processors_threads(&machine, 0, NULL);
}

static void fill_traits(const struct engine_config *config, struct engine_traits *traits) {
    const dnnl_version_t *version = dnnl_version();
    bool bf16 = has(dnnl_cpu_isa_avx512_core_bf16), amx = has(dnnl_cpu_isa_avx512_core_amx);
    bool known = version->hash && version->hash[0] && strcmp(version->hash, "N/A") != 0;
    *traits = (struct engine_traits){.threads = threads_of(config)};
    snprintf(traits->instructions, sizeof traits->instructions, "%s%s", instructions_name(),
             amx && !own_tiles() ? ", no tiles of our own" : "");
    snprintf(traits->built_on, sizeof traits->built_on, "oneDNN %d.%d.%d%s%.64s%s", version->major,
             version->minor, version->patch, known ? " (" : "", known ? version->hash : "",
             known ? ")" : "");
    read_processor(traits->processor, sizeof traits->processor);
    snprintf(traits->description, sizeof traits->description, "%d thread%s, %s%s", traits->threads,
             traits->threads == 1 ? "" : "s",
             has(dnnl_cpu_isa_avx512_core) ? "AVX512" : "no AVX512",
             amx    ? ", AMX bf16"
             : bf16 ? ", AVX512 bf16"
                    : "");
}

static int cpu_probe(const struct engine_config *config, struct engine_traits *traits,
                     struct error *error) {
    if (traits)
        fill_traits(config, traits);
    if (config->tf32)
        return error_set(error, ERROR_UNSUPPORTED,
                         "cpu engine: TF32 is a format of GPUs; use f32 or bf16");
    if (config->precision == PRECISION_BF16 && !has(dnnl_cpu_isa_avx512_core_bf16))
        return error_set(error, ERROR_UNSUPPORTED,
                         "cpu engine: bf16 needs a processor with AVX512-BF16 or AMX, and this one "
                         "has neither; use f32");
    return 0;
}

/* --- life ------------------------------------------------------------------------------------ */

static void cpu_destroy(struct engine **engine) {
    if (!engine || !*engine)
        return;
    kernel_context_close(&(*engine)->kernels);
    arena_destroy(&(*engine)->arena);
    free(*engine);
    *engine = NULL;
}

static int check_config(const struct engine_config *config, struct error *error) {
    if (config->batch < 1 || config->batch > BATCH_MAX)
        return error_set(error, ERROR_INVALID, "cpu engine: batch must be 1 to %d, not %d",
                         BATCH_MAX, config->batch);
    if (config->threads < 0 || config->threads > 4096)
        return error_set(error, ERROR_INVALID, "cpu engine: threads must be 0 to 4096, not %d",
                         config->threads);
    return cpu_probe(config, NULL, error);
}

static int allocate_state(struct engine *engine, struct error *error) {
    const struct net *net = engine->net;
    const struct optimizer *optimizer = &engine->config.optimizer;
    size_t all = net->total * sizeof(float), some = net->trainable * sizeof(float);
    size_t batch = (size_t)engine->batch;
    engine->nodes = engine_alloc(engine, sizeof *engine->nodes * (size_t)net->node_count,
                                 "the list of nodes", error);
    engine->layouts = engine_alloc(engine, sizeof *engine->layouts * (size_t)net->parameter_count,
                                   "the list of parameters", error);
    engine->weights = engine_alloc(engine, all, "the weights", error);
    engine->losses = engine_alloc(engine, sizeof(float) * batch, "the losses", error);
    engine->hits = engine_alloc(engine, batch, "the hits", error);
    if (!engine->nodes || !engine->layouts || !engine->weights || !engine->losses || !engine->hits)
        return -1;
    if (engine->bf16 &&
        !(engine->weights16 = engine_alloc(engine, all / 2, "the bf16 weights", error)))
        return -1;
    if (!engine->config.training)
        return 0;
    engine->gradients = engine_alloc(engine, some, "the weights' gradients", error);
    engine->moment1 = engine_alloc(engine, some, "the first moments", error);
    if (!engine->gradients || !engine->moment1)
        return -1;
    if (optimizer_has_squares(optimizer->kind) &&
        !(engine->moment2 = engine_alloc(engine, some, "the second moments", error)))
        return -1;
    if (optimizer->ema > 0 &&
        !(engine->ema = engine_alloc(engine, all, "the moving average", error)))
        return -1;
    return update_plan(engine, error);
}

/* oneDNN and our loops take their team from the calling thread's setting. */
static void enter(const struct engine *engine) {
    omp_set_dynamic(0);
    if (omp_get_max_active_levels() < 1) /* OMP_MAX_ACTIVE_LEVELS=0: no team at all */
        omp_set_max_active_levels(1);
    omp_set_num_threads(engine->threads);
}

/* Threads of oneDNN wait for one another, as many as were planned for: in a smaller team they would
 * wait for ever. So a team is started once, and counted. */
static int check_team(const struct engine *engine, struct error *error) {
    int given = 1;
    enter(engine);
#pragma omp parallel num_threads(engine->threads)
#pragma omp single
    given = omp_get_num_threads();
    if (given == engine->threads)
        return 0;
    return error_set(error, ERROR_UNSUPPORTED,
                     "cpu engine: OpenMP starts %d of %d threads: is OMP_THREAD_LIMIT set? Raise "
                     "it, or ask for %d",
                     given, engine->threads, given);
}

static int cpu_create(const struct net *net, const struct engine_config *config,
                      struct engine **engine, struct error *error) {
    *engine = NULL;
    if (check_config(config, error))
        return -1;
    struct engine *made = calloc(1, sizeof *made);
    if (!made)
        return error_set(error, ERROR_MEMORY, "cpu engine: no memory for itself: %zu bytes wanted",
                         sizeof *made);
    made->net = net;
    made->config = *config;
    made->batch = config->batch;
    made->threads = threads_of(config);
    made->bf16 = config->precision == PRECISION_BF16;
    made->version = 1;
    made->loops = loops_choose();
    made->amx = own_tiles();
    if (check_team(made, error) || kernel_context_open(&made->kernels, error) ||
        allocate_state(made, error) || engine_plan(made, error)) {
        cpu_destroy(&made);
        return -1;
    }
    *engine = made;
    return 0;
}

/* --- state in and out ------------------------------------------------------------------------ */

static int cpu_import(struct engine *engine, const struct engine_state *state,
                      struct error *error) {
    (void)error;
    const struct net *net = engine->net;
    layout_import(net, engine->layouts, engine->weights, state->weights, true, engine->threads);
    engine->updates = state->updates;
    if (engine->ema)
        layout_import(net, engine->layouts, engine->ema, state->ema ? state->ema : state->weights,
                      true, engine->threads);
    float *moments[] = {engine->moment1, engine->moment2};
    const float *given[] = {state->moment1, state->moment2};
    for (int i = 0; i < 2; i++)
        if (moments[i] && given[i])
            layout_import(net, engine->layouts, moments[i], given[i], false, engine->threads);
        else if (moments[i])
            memset(moments[i], 0, net->trainable * sizeof(float));
    update_refresh(engine);
    return 0;
}

static int cpu_export(struct engine *engine, struct engine_state *state, struct error *error) {
    (void)error;
    const struct net *net = engine->net;
    state->updates = engine->updates;
    if (state->weights)
        layout_export(net, engine->layouts, engine->weights, state->weights, true, engine->threads);
    if (state->ema && engine->ema)
        layout_export(net, engine->layouts, engine->ema, state->ema, true, engine->threads);
    if (state->moment1 && engine->moment1)
        layout_export(net, engine->layouts, engine->moment1, state->moment1, false,
                      engine->threads);
    if (state->moment2 && engine->moment2)
        layout_export(net, engine->layouts, engine->moment2, state->moment2, false,
                      engine->threads);
    return 0;
}

/* --- passes ---------------------------------------------------------------------------------- */

static int forward(struct engine *engine, struct error *error) {
    for (int i = 0; i < engine->net->node_count; i++) {
        struct cpu_node *self = &engine->nodes[i];
        if (!self->links.alias && self->functions->forward(engine, self, error))
            return -1;
    }
    return 0;
}

/* An aliased relu may still have to mask its gradient, so aliases are not skipped here. */
static int backward(struct engine *engine, struct error *error) {
    for (int i = engine->net->node_count - 1; i >= 0; i--) {
        struct cpu_node *self = &engine->nodes[i];
        if (self->dy.data && (!self->links.alias || self->node->kind == NODE_RELU) &&
            self->functions->backward(engine, self, error))
            return -1;
    }
    return 0;
}

static int cpu_train_step(struct engine *engine, const struct batch *batch,
                          const struct step_settings *settings, struct error *error) {
    struct result_ring *ring = &engine->ring;
    if (!engine->config.training)
        return error_set(error, ERROR_INVALID, "cpu engine: it was made for predict only");
    if (batch->count != (uint32_t)engine->batch)
        return error_set(error, ERROR_INVALID,
                         "cpu engine: a step takes exactly %d samples, %u came", engine->batch,
                         batch->count);
    if (ring->count == RESULT_RING)
        return error_set(error, ERROR_INVALID,
                         "cpu engine: %d results wait for collect; none may be dropped",
                         RESULT_RING);
    enter(engine);
    engine->training = true;
    engine->step = settings->step;
    engine->count = batch->count;
    engine->images = batch->images;
    engine->digits = batch->digits;
    struct step_result *result = &ring->results[(ring->first + ring->count) % RESULT_RING];
    if (forward(engine, error))
        return -1;
    loss_compute(engine, batch, result);
    result->step = settings->step;
    if (backward(engine, error))
        return -1;
    update_apply(engine, settings->rate);
    ring->count++;
    return 0;
}

static int cpu_collect(struct engine *engine, struct step_result *results, int most, bool wait,
                       struct error *error) {
    (void)wait, (void)error; /* every started step is finished */
    struct result_ring *ring = &engine->ring;
    int taken = 0;
    for (; taken < most && ring->count > 0; taken++, ring->count--) {
        results[taken] = ring->results[ring->first];
        ring->first = (ring->first + 1) % RESULT_RING;
    }
    return taken;
}

static int cpu_predict(struct engine *engine, const uint8_t *images, const uint8_t *digits,
                       uint32_t count, float *digit_logits, float *sum_logits,
                       struct error *error) {
    const struct net *net = engine->net;
    if (count > (uint32_t)engine->batch)
        return error_set(error, ERROR_INVALID,
                         "cpu engine: predict takes at most %d samples, %u came", engine->batch,
                         count);
    enter(engine);
    engine->training = false;
    engine->count = count;
    engine->images = images;
    engine->digits = digits;
    if (forward(engine, error))
        return -1;
    const struct cpu_node *digit = &engine->nodes[net->digit_output];
    const struct cpu_node *sum = &engine->nodes[net->sum_output];
    values_load(digit_logits, digit->y, 0, count * (size_t)shape_values(digit->node->shape));
    values_load(sum_logits, sum->y, 0, count * (size_t)shape_values(sum->node->shape));
    return 0;
}

const struct engine_ops cpu_engine = {
    .name = "cpu",
    .probe = cpu_probe,
    .create = cpu_create,
    .import = cpu_import,
    .train_step = cpu_train_step,
    .collect = cpu_collect,
    .predict = cpu_predict,
    .export = cpu_export,
    .destroy = cpu_destroy,
};
