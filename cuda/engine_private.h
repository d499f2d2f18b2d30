/* What the files of the CUDA engine share: the engine, its nodes, and the helpers that every node
 * uses. Nothing outside cuda/ includes this.
 *
 * Memory order. Every activation and gradient is a plain array [batch][height][width][channels].
 * Parameters lie in one flat f32 array in the engine's own order (model/layout.h: weights
 * [out][height][width][in], each parameter aligned), and so do gradients, moments and averages.
 *
 * Precision. In bf16 mode maps (height or width above 1), the outputs of cuDNN's convolutions, and
 * their gradients are bf16; other vectors stay f32, and so do statistics, losses, gradients of
 * weights and updates. A product has the type of its input.
 *
 * Time. A node's forward and backward only put work on the stream `compute`. The whole step is
 * recorded once for each slot of the feed (steps.c) and replayed; no address ever changes.
 *
 * Determinism. cuDNN engines that may give other bits are refused; our kernels add in fixed order;
 * cuBLASLt's first suggestion is taken. */
#ifndef CUDA_ENGINE_PRIVATE_H
#define CUDA_ENGINE_PRIVATE_H

#include "cuda/check.h"
#include "cuda/kernels/kernels.h"
#include "cuda/memory.h"
#include "model/engine.h"
#include "model/layout.h"

#define PARAMETER_ALIGNMENT ((size_t)64) /* floats: 128 bytes of bf16 */
#define LABEL_SIZE 160                   /* bytes of a node's label */

struct cuda_node;
struct steps;

/* What a kind of node does. Each: 0, or -1 with error filled. */
struct node_functions {
    /* Allocates state and makes plans; called once, inputs before users. */
    int (*plan)(struct engine *engine, struct cuda_node *self, struct error *error);
    int (*forward)(struct engine *engine, struct cuda_node *self, struct error *error);
    /* Reads the node's dy; sets the dy of its inputs and the gradients of its parameters. */
    int (*backward)(struct engine *engine, struct cuda_node *self, struct error *error);
    /* Destroys what `state` holds outside the engine's memory, and state itself; may be NULL. */
    void (*destroy)(struct cuda_node *self);
};

struct cuda_node {
    const struct node *node;
    int index;
    const struct node_functions *functions;
    struct node_links links;
    struct values y;   /* output */
    struct values dy;  /* gradient of the output; data is NULL where none is needed */
    bool dy_is_masked; /* with links.relu: who wrote dy has already masked it */
    void *state;       /* of the kind */
};

/* Where the step that is being recorded finds its batch, and leaves its result. Device memory. */
struct batch_places {
    const struct step_arguments *arguments;
    const uint8_t *images, *labels, *digits, *sums;
    struct kernel_result *result; /* mapped memory of the host */
};

struct engine {
    const struct net *net;
    struct engine_config config;
    int batch;
    enum element maps; /* type of maps */
    char device_name[256];

    cudaStream_t compute, copy;
    cudnnHandle_t cudnn;
    cudnnBackendDescriptor_t properties; /* of the device, for plans */
    cublasLtHandle_t blas;
    struct memory memory;
    struct cuda_node *nodes;
    struct parameter_layout *layouts; /* per parameter */
    struct layout_sizes sizes;

    /* Device memory, flat, in engine order. */
    float *weights;           /* [sizes.total] */
    uint16_t *weights16;      /* bf16 copy of weights; NULL in f32 mode */
    float *gradients;         /* [sizes.trainable] */
    float *ema;               /* [sizes.total] or NULL */
    float *moment1, *moment2; /* [sizes.trainable] or NULL */
    struct kernel_update update;
    uint64_t updates; /* of the last step that was staged */

    struct values spare;   /* one gradient, where a node that cannot add writes beside it */
    size_t spare_size;     /* bytes */
    float *partials;       /* partial sums of reductions */
    size_t partials_size;  /* floats */
    void *workspace;       /* of cuDNN and cuBLASLt: one stream, one user at a time */
    size_t workspace_size; /* bytes */
    void *loss_scratch;
    float *staging; /* [sizes.total] host memory, for import and export */

    /* Of the pass that is being recorded. */
    bool training;
    struct batch_places places;

    struct steps *steps;
};

/* plan.c: buffers, and each node's plan. */
int engine_plan(struct engine *engine, struct error *error);
/* Puts a pass on the compute stream. */
int engine_forward(struct engine *engine, struct error *error);
int engine_backward(struct engine *engine, struct error *error);

/* loss.c: puts losses, hits and the gradients of both outputs on the compute stream. */
int loss_record(struct engine *engine, struct error *error);

/* update.c: makes the list of blocks; puts one optimizer step on the compute stream; refreshes the
 * bf16 copy after an import. */
int update_plan(struct engine *engine, struct error *error);
int update_record(struct engine *engine, struct error *error);
int update_refresh(struct engine *engine, struct error *error);

/* The arguments of the step after `updates` updates. */
struct step_arguments update_arguments(const struct engine *engine,
                                       const struct step_settings *settings);

/* steps.c: feeds batches and replays recorded steps. */
int steps_create(struct engine *engine, struct error *error);
void steps_destroy(struct engine *engine);
int steps_train(struct engine *engine, const struct batch *batch,
                const struct step_settings *settings, struct error *error);
int steps_collect(struct engine *engine, struct step_result *results, int most, bool wait,
                  struct error *error);
int steps_predict(struct engine *engine, const uint8_t *images, const uint8_t *digits,
                  uint32_t count, float *digit_logits, float *sum_logits, struct error *error);
/* Starts what is staged and waits for all of it. */
int steps_finish(struct engine *engine, struct error *error);

/* Device memory of the engine: see memory.h. */
void *engine_alloc(struct engine *engine, enum memory_kind kind, size_t size, const char *what,
                   struct error *error);

/* Grows what all nodes share, while planning. */
void engine_need_workspace(struct engine *engine, size_t size);
void engine_need_partials(struct engine *engine, size_t rows, int channels);

/* The node that feeds input `i`. */
static inline struct cuda_node *node_input(const struct engine *engine,
                                           const struct cuda_node *self, int i) {
    return &engine->nodes[self->node->inputs[i]];
}

/* Values of the node's output for the whole batch. */
static inline size_t node_count(const struct engine *engine, const struct cuda_node *self) {
    return (size_t)engine->batch * (size_t)shape_values(self->node->shape);
}

/* Device place of the node's parameter with this role in one of the flat arrays, or NULL where the
 * node has none. */
float *node_parameter(const struct engine *engine, const struct cuda_node *self,
                      enum parameter_role role, float *array);
/* The weight itself in the type that a product with `type` wants. */
const void *node_weight(const struct engine *engine, const struct cuda_node *self,
                        enum element type);

/* Where a node that cannot add writes the gradient of input `i`: its dy, or the spare array where
 * something is there already; data is NULL where no gradient is needed. gradient_end adds. */
struct values gradient_begin(const struct engine *engine, const struct cuda_node *self, int i);
int gradient_end(struct engine *engine, const struct cuda_node *self, int i, struct error *error);

/* "conv2 (conv, 64x12x12 -> 32x8x8, batch 128)": names a node in errors. */
void node_label(const struct engine *engine, const struct cuda_node *self, char text[LABEL_SIZE]);

/* 0, or -1 with a sentence that names the node and the kernel. */
int node_check(const struct engine *engine, const struct cuda_node *self, cudaError_t status,
               const char *kernel, struct error *error);

extern const struct node_functions image_functions, digit_functions, conv_functions,
    dense_functions, batchnorm_functions, relu_functions, maxpool_functions, avgpool_functions,
    dropout_functions, onehot_functions, concat_functions, add_functions, outer_functions,
    softmax_functions, flatten_functions, tanh_functions, sigmoid_functions, gelu_functions;

/* pool windows, for maxpool.c and avgpool.c */
static inline struct kernel_window pool_window(const struct engine *engine,
                                               const struct cuda_node *self) {
    struct shape in = node_input(engine, self, 0)->node->shape, out = self->node->shape;
    return (struct kernel_window){.batch = engine->batch,
                                  .channels = in.channels,
                                  .in_height = in.height,
                                  .in_width = in.width,
                                  .out_height = out.height,
                                  .out_width = out.width,
                                  .size = self->node->pool.size,
                                  .stride = self->node->pool.stride};
}

#endif
