/* What the files of the CPU engine share: the engine, its nodes, and the helpers that every node
 * uses. Nothing outside cpu/ includes this.
 *
 * Memory order. Every activation and gradient is a plain array [batch][height][width][channels].
 * Weights live in one flat f32 array with the offsets of net.h, but each matrix-like parameter is
 * stored in its engine layout [height][width][in][out]; import and export permute (model/layout.h).
 * The optimizer works element by element, so gradients, moments and averages share that order.
 *
 * Precision. In bf16 mode maps (height or width above 1), the outputs of convs, and their gradients
 * are bf16; other vectors stay f32, and so do statistics, losses, weight gradients and updates. A
 * product has the type of its input, so small dense nodes on vectors are f32.
 *
 * Determinism. Work is divided by fixed rules of the shapes and the thread count; reductions add
 * fixed parts in a fixed order; nothing is atomic. */
#ifndef CPU_ENGINE_PRIVATE_H
#define CPU_ENGINE_PRIVATE_H

#include "cpu/kernel.h"
#include "cpu/loops.h"
#include "cpu/values.h"
#include "model/engine.h"
#include "model/layout.h"

#define RESULT_RING 256 /* results that wait for collect */

struct cpu_node;

/* What a kind of node does. backward reads the node's dy and sets the dy of its inputs and the
 * gradients of its parameters. Each: 0, or -1 with error filled. */
struct node_functions {
    /* Allocates state and makes primitives; called once, inputs before users. */
    int (*plan)(struct engine *engine, struct cpu_node *self, struct error *error);
    int (*forward)(struct engine *engine, struct cpu_node *self, struct error *error);
    int (*backward)(struct engine *engine, struct cpu_node *self, struct error *error);
};

struct cpu_node {
    const struct node *node;
    int index;
    const struct node_functions *functions;
    struct values y;  /* output */
    struct values dy; /* gradient of the output; data is NULL where none is needed */
    struct node_links links;
    void *state; /* of the kind; owned by the engine's arena */
};

struct result_ring {
    struct step_result results[RESULT_RING];
    int first, count;
};

struct engine {
    const struct net *net;
    struct engine_config config;
    int threads;
    int batch;
    bool bf16;
    bool amx; /* tiles may be used by our own kernels */

    struct kernel_context kernels;
    const struct loops *loops;
    struct arena *arena;
    struct cpu_node *nodes;
    struct parameter_layout *layouts; /* per parameter */

    float *weights;           /* [total], engine layout */
    uint16_t *weights16;      /* [total] bf16 shadow of weights; NULL in f32 mode */
    float *gradients;         /* [trainable] */
    float *ema;               /* [total] or NULL */
    float *moment1, *moment2; /* [trainable] or NULL */
    struct update_plan *update;
    uint64_t updates;
    uint64_t version; /* grows with every change of weights: packed copies compare it */

    void *spare; /* one gradient map, where a node adds to a dy that is there already */
    size_t spare_size;
    float *scratch; /* [threads][scratch_values] */
    size_t scratch_values;
    float *partials;      /* partial sums of reductions */
    size_t partials_size; /* floats */
    float *losses;        /* [2][batch] */
    uint8_t *hits;        /* [2][batch] */

    /* Of the pass that runs. */
    bool training;
    uint64_t step;
    uint32_t count; /* samples that are real; the rest of the batch repeats zeros */
    const uint8_t *images, *digits;

    struct result_ring ring;
};

/* plan.c: buffers, and each node's plan. */
int engine_plan(struct engine *engine, struct error *error);

/* loss.c: losses, hits and the gradients of both outputs. */
void loss_compute(struct engine *engine, const struct batch *batch, struct step_result *result);

/* update.c: one optimizer step on all parameters, the average, and the bf16 shadow. */
int update_plan(struct engine *engine, struct error *error);
void update_apply(struct engine *engine, float rate);
void update_refresh(struct engine *engine); /* the shadow, after an import */

/* Memory that lives as long as the engine: zeroed, aligned to a cache line. NULL with ERROR_MEMORY
 * that names `what` and the size. */
void *engine_alloc(struct engine *engine, size_t size, const char *what, struct error *error);

/* The node that feeds input `i`. */
static inline struct cpu_node *node_input(const struct engine *engine, const struct cpu_node *self,
                                          int i) {
    return &engine->nodes[self->node->inputs[i]];
}

/* Where backward writes the gradient of input `i`: its dy, or the spare map where something is
 * there already; data is NULL where no gradient is needed. gradient_end adds the spare map. */
struct values gradient_begin(const struct engine *engine, const struct cpu_node *self, int i);
void gradient_end(struct engine *engine, const struct cpu_node *self, int i);

/* Offset of the node's parameter with this role, or -1. */
int64_t node_parameter(const struct engine *engine, const struct cpu_node *self,
                       enum parameter_role role);

/* "conv2 (conv, 64x12x12 -> 32x8x8, batch 128)": names a node in errors. */
void node_label(const struct engine *engine, const struct cpu_node *self, char *text, size_t size);

/* Threads for a loop over this many values: waking a team costs more than a small loop, and waiting
 * for one costs much more where other processes use the same cores. */
#define TEAM_VALUES ((size_t)1 << 15)
static inline int team(const struct engine *engine, size_t values) {
    return values < TEAM_VALUES ? 1 : engine->threads;
}

/* The same for one pass over a node's values. */
static inline int node_team(const struct engine *engine, const struct cpu_node *self) {
    return team(engine, (size_t)engine->batch * (size_t)shape_values(self->node->shape));
}

/* Scratch floats of this thread: engine->scratch_values of them. */
static inline float *thread_scratch(const struct engine *engine, int thread) {
    return engine->scratch + (size_t)thread * engine->scratch_values;
}

/* Rows that one part of a reduction covers. */
size_t reduce_part_rows(size_t rows);

/* Floats of engine->partials that a reduction of this shape takes; plan adds it up beforehand. */
size_t reduce_partials(size_t rows, int channels);

/* Sum of each channel over rows of [rows][channels] into sums[channels]: partial sums over fixed
 * parts, added in order. */
void reduce_channels(struct engine *engine, struct values from, size_t rows, int channels,
                     float *sums);

extern const struct node_functions image_functions, digit_functions, conv_functions,
    dense_functions, batchnorm_functions, relu_functions, maxpool_functions, avgpool_functions,
    dropout_functions, onehot_functions, concat_functions, add_functions, outer_functions,
    softmax_functions, flatten_functions, tanh_functions, sigmoid_functions, gelu_functions;

/* The formulations that conv.c chooses from. */
extern const struct node_functions conv_direct_functions, conv_matmul_functions;

#endif
