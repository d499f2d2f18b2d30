/* What our own kernels do, in plain C: all that cuDNN and cuBLASLt do not do, or not as well.
 *
 * Every function puts its kernels on `stream` and returns without waiting: cudaSuccess, or what the
 * launch answered. All pointers are device memory (`result` of the loss: mapped host memory). Maps
 * are plain arrays [batch][height][width][channels]; every array begins at a multiple of 16 bytes.
 * Counts are in values. Values are f32 or bf16 (rounded to nearest even when stored); all sums and
 * all arithmetic between load and store are f32.
 *
 * `add`: the result is added to what the target holds, instead of replacing it.
 *
 * Determinism: the grid depends on shapes alone; sums are taken over fixed parts, added in a fixed
 * order; nothing is added by atomics. */
#ifndef CUDA_KERNELS_H
#define CUDA_KERNELS_H

#include <cuda_runtime_api.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define KERNEL_INPUTS 8 /* most inputs of one kernel_add */

enum element { ELEMENT_F32, ELEMENT_BF16 };

static inline size_t element_size(enum element type) {
    return type == ELEMENT_BF16 ? 2 : 4;
}

/* An array whose element type is known only when the program runs. */
struct values {
    void *data;
    enum element type;
};

/* What of a step is not known when its graph is captured: lies in front of the step's batch, in the
 * same block of device memory, and travels with it. */
struct step_arguments {
    uint64_t step;     /* keys the dropout masks */
    uint64_t updates;  /* after this step */
    float rate;        /* learning rate */
    float ema_decay;   /* min(ema, t / (t + 9)) with t = updates */
    float first_bias;  /* Adam: 1 / (1 - β1^t); otherwise 1 */
    float second_root; /* Adam: sqrt(1 - β2^t); otherwise 1 */
};

/* --- inputs (input.cu) ------------------------------------------------------------------------ */

/* y[i] = (x[i]/255 − 0.1307) / 0.3081. */
cudaError_t kernel_normalise(struct values y, const uint8_t *x, size_t count, cudaStream_t stream);

/* y[sample][i] = 1 where i == digits[sample], else 0: f32 [batch][size]. */
cudaError_t kernel_onehot(float *y, const uint8_t *digits, int batch, int size,
                          cudaStream_t stream);

/* --- value by value (pointwise.cu) ------------------------------------------------------------ */

/* y = max(x, 0); NaN stays NaN. One type. y may be x. */
cudaError_t kernel_relu(struct values y, struct values x, size_t count, cudaStream_t stream);

/* dx (+)= dy where y > 0, else 0. One type. dx may be dy. */
cudaError_t kernel_relu_back(struct values dx, struct values dy, struct values y, size_t count,
                             bool add, cudaStream_t stream);

enum kernel_function { KERNEL_TANH, KERNEL_SIGMOID, KERNEL_GELU }; /* common/elementary.h */

/* y = f(x). One type. */
cudaError_t kernel_activate(struct values y, struct values x, enum kernel_function function,
                            size_t count, cudaStream_t stream);

/* dx (+)= dy f'(x). One type. */
cudaError_t kernel_activate_back(struct values dx, struct values dy, struct values x,
                                 enum kernel_function function, size_t count, bool add,
                                 cudaStream_t stream);

/* y[row][c] += bias[c], then rectified where `relu`; bias may be NULL. In place. */
cudaError_t kernel_bias(struct values y, const float *bias, size_t rows, int channels, bool relu,
                        cudaStream_t stream);

/* y = Σ inputs, in order; the inputs' types may differ. 1 … KERNEL_INPUTS of them. */
cudaError_t kernel_add(struct values y, const struct values *inputs, int input_count, size_t count,
                       cudaStream_t stream);

/* to (+)= from; converts where the types differ. */
cudaError_t kernel_copy(struct values to, struct values from, size_t count, bool add,
                        cudaStream_t stream);

/* --- places (places.cu) ----------------------------------------------------------------------- */

/* Where the [pixels][channels] values of one input lie in each sample of a concatenation. */
struct kernel_piece {
    int batch;
    int pixels, channels;
    int joined;                   /* values of one sample of the concatenation */
    int first;                    /* place of channel 0, pixel 0 */
    int pixel_step, channel_step; /* place of (p, c) = first + p * pixel_step + c * channel_step */
};
/* joined[piece] = own. Types may differ. */
cudaError_t kernel_join(struct values joined, struct values own, const struct kernel_piece *piece,
                        cudaStream_t stream);
/* own (+)= joined[piece]. */
cudaError_t kernel_part(struct values own, struct values joined, const struct kernel_piece *piece,
                        bool add, cudaStream_t stream);

/* Between [pixels][channels] and [channels][pixels] in each sample: to [columns][rows] (+)= the
 * transpose of from [rows][columns]. Types may differ. */
cudaError_t kernel_transpose(struct values to, struct values from, int batch, int rows, int columns,
                             bool add, cudaStream_t stream);

/* --- pools (pool.cu) -------------------------------------------------------------------------- */

struct kernel_window {
    int batch, channels;
    int in_height, in_width, out_height, out_width;
    int size, stride; /* square, no padding; windows may overlap or leave gaps */
};
/* y = maximum of each window; place (0 … size*size-1, row by row) of its first maximum. NaN wins.
 * size ≤ 28, so that a place fits 16 bits. Types may differ. */
cudaError_t kernel_maxpool(struct values y, uint16_t *place, struct values x,
                           const struct kernel_window *window, cudaStream_t stream);
/* dx (+)= for each input value, the dy of the windows whose place it is. Where `y.data` is not
 * NULL, only windows with y > 0 count: the mask of a relu that came before the pool. */
cudaError_t kernel_maxpool_back(struct values dx, struct values dy, const uint16_t *place,
                                struct values y, const struct kernel_window *window, bool add,
                                cudaStream_t stream);

/* Mean of each window, and its gradient. */
cudaError_t kernel_avgpool(struct values y, struct values x, const struct kernel_window *window,
                           cudaStream_t stream);
cudaError_t kernel_avgpool_back(struct values dx, struct values dy,
                                const struct kernel_window *window, bool add, cudaStream_t stream);

/* --- sums over rows (reduce.cu) --------------------------------------------------------------- */

/* Floats of `partials` that one of the functions below takes for [rows][channels]. */
size_t kernel_partials(size_t rows, int channels);

/* sums[c] = Σ over rows of dy[row][c]. Where y.data is not NULL, dy is first masked in place (0
 * where y is not > 0): the gradient of a relu and that of a bias in one pass. */
cudaError_t kernel_sum_rows(float *sums, struct values dy, struct values y, size_t rows,
                            int channels, float *partials, cudaStream_t stream);

/* --- batch normalisation (batchnorm.cu) ------------------------------------------------------- */

/* All [channels] f32. */
struct kernel_batchnorm {
    size_t rows; /* batch × pixels */
    int channels;
    float momentum, epsilon;
    const float *gain, *shift;              /* weights */
    float *running_mean, *running_variance; /* weights */
    float *mean, *inverse;                  /* of this batch; 1/sqrt(variance + ε) */
    float *scale, *offset;                  /* y = x scale + offset */
    float *slope, *base;                    /* backward: dx = dy scale + x slope + base */
    float *gain_gradient, *shift_gradient;
    float *partials; /* kernel_partials(rows, channels) floats */
    bool relu;       /* y is rectified, and dy masked, on the way */
};
/* Training: mean and biased variance of x over the rows, joined from the means and squared
 * deviations of small groups, so that no digits cancel; then inverse, scale, offset, and the
 * running statistics: r = (1 − momentum) r + momentum s, with the unbiased variance. rows ≥ 2. */
cudaError_t kernel_batchnorm_statistics(const struct kernel_batchnorm *norm, struct values x,
                                        cudaStream_t stream);
/* Predicting: scale and offset from the running statistics. */
cudaError_t kernel_batchnorm_running(const struct kernel_batchnorm *norm, cudaStream_t stream);
/* y = x scale + offset, rectified where norm->relu. x and y have one type. */
cudaError_t kernel_batchnorm_apply(const struct kernel_batchnorm *norm, struct values y,
                                   struct values x, cudaStream_t stream);
/* Gradients of gain and shift, and slope and base. With relu, dy counts where y > 0; as y is what
 * `apply` made of x, that is computed again from x, and y is not read, here and in `back`:
 *     shift_gradient = Σ dy      gain_gradient = Σ dy (x − mean) inverse
 *     slope = −scale · (gain_gradient / rows) · inverse
 *     base  = −scale · shift_gradient / rows − slope · mean */
cudaError_t kernel_batchnorm_sums(const struct kernel_batchnorm *norm, struct values dy,
                                  struct values y, struct values x, cudaStream_t stream);
/* dx (+)= dy scale + x slope + base; with relu, dy is 0 where y is not > 0. */
cudaError_t kernel_batchnorm_back(const struct kernel_batchnorm *norm, struct values dx,
                                  struct values dy, struct values y, struct values x, bool add,
                                  cudaStream_t stream);

/* --- vectors (vectors.cu) --------------------------------------------------------------------- */

/* y[i * m + j] = a[i] b[j]: a [batch][n], b [batch][m], y [batch][n * m]. Types may differ. */
cudaError_t kernel_outer(struct values y, struct values a, struct values b, int batch, int n, int m,
                         cudaStream_t stream);
/* da[i] (+)= Σj dy[i][j] b[j]. */
cudaError_t kernel_outer_back_left(struct values da, struct values dy, struct values b, int batch,
                                   int n, int m, bool add, cudaStream_t stream);
/* db[j] (+)= Σi dy[i][j] a[i]. */
cudaError_t kernel_outer_back_right(struct values db, struct values dy, struct values a, int batch,
                                    int n, int m, bool add, cudaStream_t stream);

/* y = exp(x − max x) / Σ over n values of each sample. Types may differ. */
cudaError_t kernel_softmax(struct values y, struct values x, int batch, int n, cudaStream_t stream);
/* dx (+)= y (dy − Σ dy y). */
cudaError_t kernel_softmax_back(struct values dx, struct values dy, struct values y, int batch,
                                int n, bool add, cudaStream_t stream);

/* --- dropout (dropout.cu) --------------------------------------------------------------------- */

struct kernel_dropout {
    int batch, pixels, channels;
    uint64_t seed;
    uint32_t node; /* index in the network */
    float rate;
    bool spatial;                           /* an element of the mask is a whole feature map */
    const struct step_arguments *arguments; /* only `step` is read */
};
/* to (+)= from / (1 − rate) where the element is kept, else 0; the same function forward and
 * backward. Element e of the batch, counted (sample, channel, pixel), is kept when word e%4 of
 * philox_draw(seed, PHILOX_DROPOUT, e/4, node, step), as a float in [0, 1), is at least the rate:
 * common/philox.h. Spatial: the same for each map, counted (sample, channel). One type. */
cudaError_t kernel_dropout(const struct kernel_dropout *dropout, struct values to,
                           struct values from, bool add, cudaStream_t stream);

/* --- losses (loss.cu) ------------------------------------------------------------------------- */

struct kernel_head {
    struct values logits;   /* [batch][classes] */
    struct values gradient; /* the same, set; data may be NULL */
    const uint8_t *labels;  /* [batch] */
    int classes;            /* ≤ 32; 1 with regression */
    bool regression;        /* squared error of the scalar; a hit where rint(scalar) == label */
    float weight;
};
struct kernel_result {
    uint64_t step;
    float loss, digit_loss, sum_loss; /* weighted sum; means over the batch */
    uint32_t digit_hits, sum_hits;
};
/* Bytes of `scratch` that a batch takes. Zeroed once when allocated; each launch leaves what the
 * next one needs. */
size_t kernel_loss_scratch(int batch);
/* Both heads in one launch: mean cross-entropy of the softmax (labels smoothed: target = (1−ε)
 * onehot + ε/classes) or squared error; gradient of weight × mean; hits (first maximum == label).
 */
cudaError_t kernel_loss(const struct kernel_head *digit, const struct kernel_head *sum, int batch,
                        float smoothing, const struct step_arguments *arguments, void *scratch,
                        struct kernel_result *result, cudaStream_t stream);

/* --- update (update.cu) ----------------------------------------------------------------------- */

/* A piece of one parameter, at most KERNEL_UPDATE_VALUES long. */
#define KERNEL_UPDATE_VALUES 4096
struct kernel_update_block {
    uint64_t first; /* in the flat arrays */
    uint32_t count;
    float rate; /* learning-rate multiplier */
    bool decays, trainable;
};
enum kernel_rule {
    KERNEL_SGD,
    KERNEL_NESTEROV,
    KERNEL_ADAM,
    KERNEL_ADADELTA,
    KERNEL_SQUARES /* RMSprop, Adagrad */
};
struct kernel_update {
    const struct kernel_update_block *blocks; /* device memory */
    int block_count;
    float *weights;           /* [total] */
    uint16_t *weights16;      /* bf16 copy of weights, or NULL */
    float *ema;               /* [total], or NULL */
    const float *gradients;   /* [trainable] */
    float *moment1, *moment2; /* [trainable]; moment2 NULL for SGD and Nesterov */
    enum kernel_rule rule;
    bool decoupled;   /* Adam: AdamW */
    float keep, take; /* Adadelta and squares: ρ and 1−ρ, or 1 and 1 */
    float momentum, beta1, beta2, epsilon, weight_decay;
};
/* One optimizer step on everything in one launch, by the formulas of model/optimizer.h:
 *   SGD:      s = g + λw;  v = μv + s;  w −= ηv
 *   Nesterov: s and v as with SGD;  w −= η (s + μv)
 *   Adam:     m = β1 m + (1−β1) s;  v = β2 v + (1−β2) s²;
 *             w −= η·first_bias·m / (sqrt(v) / second_root + ε); decoupled: with s = g, after
 *             w −= ηλw
 *   Adadelta: v = keep·v + take·s²;  δ = s sqrt(m + ε) / sqrt(v + ε);  m = keep·m + take·δ²;
 *             w −= ηδ
 *   squares:  v = keep·v + take·s²;  w −= ηs / (sqrt(v) + ε)
 * with η = rate × the block's multiplier, λ only where the block decays. Then ema = d·ema +
 * (1−d)·w, also for blocks that are not trainable (running statistics), and the bf16 copy. */
cudaError_t kernel_update(const struct kernel_update *update,
                          const struct step_arguments *arguments, cudaStream_t stream);

#ifdef __cplusplus
}
#endif

#endif
