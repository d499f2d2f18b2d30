/* The CUDA engine behind model/engine.h: life, state in and out, and the door's checks. Lives in
 * its own shared object, the only thing that links NVIDIA's libraries. */
#include "cuda/engine_private.h"

#include "cuda/backend.h"
#include "model/engine_plugin.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CUDNN_MIN 90800                /* plans from device properties */
#define MEMORY_MIN ((size_t)512 << 20) /* bytes free: the libraries alone take most of it */

/* --- what the machine can do ----------------------------------------------------------------- */

static int check_config(const struct engine_config *config, struct error *error) {
    if (config->batch < 1 || config->batch > BATCH_MAX)
        return error_set(error, ERROR_INVALID, "cuda engine: batch must be 1 to %d, not %d",
                         BATCH_MAX, config->batch);
    if (config->ahead < 0 || config->ahead > 64 || config->graph_steps < 0 ||
        config->graph_steps > 32)
        return error_set(error, ERROR_INVALID,
                         "cuda engine: it stages 1 to 64 batches ahead and captures 1 to 32 steps "
                         "in a graph, not %d and %d",
                         config->ahead, config->graph_steps);
    if (config->tf32 && config->precision != PRECISION_F32)
        return error_set(error, ERROR_INVALID, "cuda engine: TF32 goes with f32 only");
    return 0;
}

static void fill_traits(const struct cudaDeviceProp *device, struct engine_traits *traits) {
    int runtime = 0;
    cudaRuntimeGetVersion(&runtime);
    size_t cudnn = cudnnGetVersion(), blas = cublasLtGetVersion();
    *traits = (struct engine_traits){0};
    snprintf(traits->instructions, sizeof traits->instructions,
             "compute capability %d.%d, %d multiprocessors", device->major, device->minor,
             device->multiProcessorCount);
    snprintf(traits->built_on, sizeof traits->built_on,
             "CUDA %d.%d, cuDNN %zu.%zu.%zu, cuBLASLt %zu", runtime / 1000, runtime / 10 % 100,
             cudnn / 10000, cudnn / 100 % 100, cudnn % 100, blas);
    snprintf(traits->processor, sizeof traits->processor, "%.80s", device->name);
    snprintf(traits->description, sizeof traits->description, "%.80s, %.0f GiB, cuDNN %zu.%zu",
             device->name, (double)device->totalGlobalMem / (double)(1 << 30), cudnn / 10000,
             cudnn / 100 % 100);
}

static int check_device(const struct engine_config *config, struct engine_traits *traits,
                        struct error *error) {
    struct cudaDeviceProp properties;
    int count = 0;
    cudaError_t status = cudaGetDeviceCount(&count);
    if (status != cudaSuccess || count < 1) {
        cudaGetLastError();
        return error_set(error, ERROR_UNSUPPORTED, "no CUDA device (%s)",
                         status == cudaSuccess ? "none found" : cudaGetErrorString(status));
    }
    if (config->device < 0 || config->device >= count)
        return error_set(error, ERROR_INVALID, "cuda engine: device %d of %d", config->device,
                         count);
    if (cudnnGetVersion() < CUDNN_MIN)
        return error_set(error, ERROR_UNSUPPORTED,
                         "cuda engine: cuDNN 9.8 or newer is needed, this is %zu",
                         cudnnGetVersion());
    if (cuda_check(cudaGetDeviceProperties(&properties, config->device), "cudaGetDeviceProperties",
                   "the device", error))
        return -1;
    if (properties.major < 8)
        return error_set(error, ERROR_UNSUPPORTED,
                         "cuda engine: %s has compute capability %d.%d; 8.0 or newer is needed",
                         properties.name, properties.major, properties.minor);
    if (traits)
        fill_traits(&properties, traits);
    return 0;
}

/* A device that others have filled is no device for `auto`. What a network really needs is known
 * only when it is planned, and said then. */
static int cuda_probe(const struct engine_config *config, struct engine_traits *traits,
                      struct error *error) {
    size_t available = 0, total = 0;
    if (check_device(config, traits, error) ||
        cuda_check(cudaSetDevice(config->device), "cudaSetDevice", "the device", error) ||
        cuda_check(cudaMemGetInfo(&available, &total), "cudaMemGetInfo", "the device", error))
        return -1;
    if (available < MEMORY_MIN)
        return error_set(error, ERROR_UNSUPPORTED,
                         "the CUDA device has %zu MiB of memory free, and at least %zu are needed",
                         available >> 20, MEMORY_MIN >> 20);
    return 0;
}

/* --- life ------------------------------------------------------------------------------------ */

/* The device may be lost, and then every call fails: nothing is checked here. */
static void cuda_destroy(struct engine **engine) {
    if (!engine || !*engine)
        return;
    struct engine *old = *engine;
    if (old->compute)
        cudaStreamSynchronize(old->compute);
    steps_destroy(old);
    for (int i = 0; old->nodes && i < old->net->node_count; i++)
        if (old->nodes[i].functions && old->nodes[i].functions->destroy)
            old->nodes[i].functions->destroy(&old->nodes[i]);
    if (old->properties)
        cudnnBackendDestroyDescriptor(old->properties);
    if (old->cudnn)
        cudnnDestroy(old->cudnn);
    if (old->blas)
        cublasLtDestroy(old->blas);
    if (old->copy)
        cudaStreamDestroy(old->copy);
    if (old->compute)
        cudaStreamDestroy(old->compute);
    memory_close(&old->memory);
    free(old->nodes);
    free(old->layouts);
    free(old->staging);
    free(old);
    *engine = NULL;
}

static int open_device(struct engine *engine, struct error *error) {
    static const char what[] = "opening the device";
    struct cudaDeviceProp properties;
    if (cuda_check(cudaGetDeviceProperties(&properties, engine->config.device),
                   "cudaGetDeviceProperties", what, error))
        return -1;
    snprintf(engine->device_name, sizeof engine->device_name, "%s", properties.name);
    if (cuda_check(cudaSetDevice(engine->config.device), "cudaSetDevice", what, error) ||
        cuda_check(cudaStreamCreateWithFlags(&engine->compute, cudaStreamNonBlocking),
                   "cudaStreamCreateWithFlags", what, error) ||
        cuda_check(cudaStreamCreateWithFlags(&engine->copy, cudaStreamNonBlocking),
                   "cudaStreamCreateWithFlags", what, error) ||
        cudnn_check(cudnnCreate(&engine->cudnn), "cudnnCreate", what, error) ||
        cudnn_check(cudnnSetStream(engine->cudnn, engine->compute), "cudnnSetStream", what,
                    error) ||
        blas_check(cublasLtCreate(&engine->blas), "cublasLtCreate", what, error) ||
        !(engine->properties = backend_properties(engine->config.device, NULL, error)))
        return -1;
    return memory_open(&engine->memory, engine->compute, error);
}

/* Flat arrays, zeroed: what lies between parameters stays zero. */
static int allocate_state(struct engine *engine, struct error *error) {
    const struct optimizer *optimizer = &engine->config.optimizer;
    struct node_links links[NET_NODES];
    net_link(engine->net, links);
    engine->sizes =
        layout_plan(engine->net, links, ORDER_OHWI, PARAMETER_ALIGNMENT, engine->layouts);
    size_t all = engine->sizes.total * sizeof(float),
           some = engine->sizes.trainable * sizeof(float);
    engine->staging = malloc(all + sizeof(float));
    if (!engine->staging)
        return error_set(error, ERROR_MEMORY, "cuda engine: no memory for the weights: %zu bytes",
                         all);
    bool training = engine->config.training, bf16 = engine->maps == ELEMENT_BF16;
    struct {
        bool wanted;
        size_t size;
        const char *what;
        void **place;
    } arrays[] = {
        {true, all, "the weights", (void **)&engine->weights},
        {bf16, all / 2, "the bf16 weights", (void **)&engine->weights16},
        {training, some, "the weights' gradients", (void **)&engine->gradients},
        {training, some, "the first moments", (void **)&engine->moment1},
        {training && optimizer_has_squares(optimizer->kind), some, "the second moments",
         (void **)&engine->moment2},
        {training && optimizer->ema > 0, all, "the moving average", (void **)&engine->ema},
        {training, kernel_loss_scratch(engine->batch), "the losses", &engine->loss_scratch},
    };
    for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++)
        if (arrays[i].wanted && !(*arrays[i].place = engine_alloc(
                                      engine, MEMORY_FIXED, arrays[i].size, arrays[i].what, error)))
            return -1;
    return training ? update_plan(engine, error) : 0;
}

static int cuda_create(const struct net *net, const struct engine_config *config,
                       struct engine **engine, struct error *error) {
    *engine = NULL;
    if (check_config(config, error) || check_device(config, NULL, error))
        return -1;
    struct engine *made = calloc(1, sizeof *made);
    if (!made)
        return error_set(error, ERROR_MEMORY, "cuda engine: no memory for itself: %zu bytes wanted",
                         sizeof *made);
    made->net = net;
    made->config = *config;
    made->batch = config->batch;
    made->maps = config->precision == PRECISION_BF16 ? ELEMENT_BF16 : ELEMENT_F32;
    made->nodes = calloc((size_t)net->node_count, sizeof *made->nodes);
    made->layouts = calloc((size_t)net->parameter_count + 1, sizeof *made->layouts);
    int status = -1;
    if (!made->nodes || !made->layouts)
        error_set(error, ERROR_MEMORY, "cuda engine: no memory for the lists of nodes");
    else
        status = open_device(made, error) || allocate_state(made, error) ||
                         engine_plan(made, error) || steps_create(made, error)
                     ? -1
                     : 0;
    if (status) {
        cuda_destroy(&made);
        return -1;
    }
    *engine = made;
    return 0;
}

/* --- state in and out ------------------------------------------------------------------------ */

/* Everything goes through the compute stream, and is over when these return: the null stream would
 * neither wait for the others nor be waited for. */
static int copy(struct engine *engine, void *to, const void *from, size_t size,
                enum cudaMemcpyKind kind, const char *what, struct error *error) {
    return cuda_check(cudaMemcpyAsync(to, from, size, kind, engine->compute), "cudaMemcpyAsync",
                      what, error) ||
                   cuda_check(cudaStreamSynchronize(engine->compute), "cudaStreamSynchronize", what,
                              error)
               ? -1
               : 0;
}

static int put(struct engine *engine, float *to, const float *from, bool all, struct error *error) {
    size_t count = all ? engine->sizes.total : engine->sizes.trainable;
    memset(engine->staging, 0, sizeof(float) * count);
    layout_import(engine->net, engine->layouts, engine->staging, from, all, 1);
    return copy(engine, to, engine->staging, sizeof(float) * count, cudaMemcpyHostToDevice,
                "import of the state", error);
}

static int get(struct engine *engine, float *to, const float *from, bool all, struct error *error) {
    size_t count = all ? engine->sizes.total : engine->sizes.trainable;
    if (copy(engine, engine->staging, from, sizeof(float) * count, cudaMemcpyDeviceToHost,
             "export of the state", error))
        return -1;
    layout_export(engine->net, engine->layouts, engine->staging, to, all, 1);
    return 0;
}

/* The calling thread may be another one than before. */
static int enter(struct engine *engine, struct error *error) {
    return cuda_check(cudaSetDevice(engine->config.device), "cudaSetDevice", "a call", error);
}

static int cuda_import(struct engine *engine, const struct engine_state *state,
                       struct error *error) {
    float *moments[] = {engine->moment1, engine->moment2};
    const float *given[] = {state->moment1, state->moment2};
    if (enter(engine, error) || (engine->config.training && steps_finish(engine, error)) ||
        put(engine, engine->weights, state->weights, true, error))
        return -1;
    engine->updates = state->updates;
    if (engine->ema &&
        put(engine, engine->ema, state->ema ? state->ema : state->weights, true, error))
        return -1;
    for (int i = 0; i < 2; i++) {
        if (moments[i] && given[i] && put(engine, moments[i], given[i], false, error))
            return -1;
        if (moments[i] && !given[i] &&
            cuda_check(cudaMemsetAsync(moments[i], 0, sizeof(float) * engine->sizes.trainable,
                                       engine->compute),
                       "cudaMemsetAsync", "import of the state", error))
            return -1;
    }
    if (update_refresh(engine, error))
        return -1;
    return cuda_check(cudaStreamSynchronize(engine->compute), "cudaStreamSynchronize",
                      "import of the state", error);
}

static int cuda_export(struct engine *engine, struct engine_state *state, struct error *error) {
    struct {
        float *to, *from;
        bool all;
    } arrays[] = {{state->weights, engine->weights, true},
                  {state->ema, engine->ema, true},
                  {state->moment1, engine->moment1, false},
                  {state->moment2, engine->moment2, false}};
    if (enter(engine, error) || (engine->config.training && steps_finish(engine, error)))
        return -1;
    state->updates = engine->updates;
    for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++)
        if (arrays[i].to && arrays[i].from &&
            get(engine, arrays[i].to, arrays[i].from, arrays[i].all, error))
            return -1;
    return 0;
}

/* --- passes ---------------------------------------------------------------------------------- */

static int cuda_train_step(struct engine *engine, const struct batch *batch,
                           const struct step_settings *settings, struct error *error) {
    if (!engine->config.training)
        return error_set(error, ERROR_INVALID, "cuda engine: it was made for predict only");
    if (batch->count != (uint32_t)engine->batch)
        return error_set(error, ERROR_INVALID,
                         "cuda engine: a step takes exactly %d samples, %u came", engine->batch,
                         batch->count);
    return enter(engine, error) || steps_train(engine, batch, settings, error) ? -1 : 0;
}

static int cuda_collect(struct engine *engine, struct step_result *results, int most, bool wait,
                        struct error *error) {
    if (!engine->config.training)
        return 0;
    return enter(engine, error) ? -1 : steps_collect(engine, results, most, wait, error);
}

static int cuda_predict(struct engine *engine, const uint8_t *images, const uint8_t *digits,
                        uint32_t count, float *digit_logits, float *sum_logits,
                        struct error *error) {
    if (count > (uint32_t)engine->batch)
        return error_set(error, ERROR_INVALID,
                         "cuda engine: predict takes at most %d samples, %u came", engine->batch,
                         count);
    if (enter(engine, error))
        return -1;
    return steps_predict(engine, images, digits, count, digit_logits, sum_logits, error);
}

static const struct engine_ops cuda_engine = {
    .name = "cuda",
    .probe = cuda_probe,
    .create = cuda_create,
    .import = cuda_import,
    .train_step = cuda_train_step,
    .collect = cuda_collect,
    .predict = cuda_predict,
    .export = cuda_export,
    .destroy = cuda_destroy,
};

__attribute__((visibility("default")))
const struct engine_plugin digitsum_engine = {.door = ENGINE_DOOR, .ops = &cuda_engine};
