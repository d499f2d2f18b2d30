/* One optimizer step over all parameters in one launch: decay, moments, weights, moving average and
 * the bf16 copy of a value while it is in registers. */
#include "cuda/kernels/values.cuh"

#define UPDATE_THREADS (KERNEL_UPDATE_VALUES / 4) /* four values each: a block in one go */

namespace {

/* What holds for all values of a block. */
struct update_rates {
    float rate, decay; /* times the block's multiplier; 0 where it does not decay */
    float coupled;     /* Adam: the decay that is in the slope */
    float step, root;  /* Adam: rate * first_bias; second_root */
    float momentum;    /* SGD, Nesterov */
    float beta1, beta2, epsilon;
    float ema;
};

/* --- N values -------------------------------------------------------------------------------- */

template <int N, bool NESTEROV>
__device__ __forceinline__ void sgd(const struct kernel_update &update,
                                    const struct update_rates &rates, size_t at,
                                    float (&weights)[N]) {
    pack<float, N> gradients = load<float, N>(update.gradients + at);
    pack<float, N> moments = load<float, N>(update.moment1 + at);
    float moment[N];
#pragma unroll
    for (int k = 0; k < N; k++) {
        float slope = gradients.get(k) + rates.decay * weights[k];
        moment[k] = rates.momentum * moments.get(k) + slope;
        weights[k] -= rates.rate * (NESTEROV ? slope + rates.momentum * moment[k] : moment[k]);
    }
    store_floats<float, N>(update.moment1 + at, moment);
}

template <int N>
__device__ __forceinline__ void adam(const struct kernel_update &update,
                                     const struct update_rates &rates, size_t at,
                                     float (&weights)[N]) {
    pack<float, N> gradients = load<float, N>(update.gradients + at);
    pack<float, N> firsts = load<float, N>(update.moment1 + at);
    pack<float, N> seconds = load<float, N>(update.moment2 + at);
    float first[N], second[N];
#pragma unroll
    for (int k = 0; k < N; k++) {
        float slope = gradients.get(k) + rates.coupled * weights[k];
        float weight = weights[k] - rates.rate * rates.decay * weights[k];
        first[k] = rates.beta1 * firsts.get(k) + (1.0f - rates.beta1) * slope;
        second[k] = rates.beta2 * seconds.get(k) + (1.0f - rates.beta2) * (slope * slope);
        weights[k] =
            weight - rates.step * first[k] / (sqrtf(second[k]) / rates.root + rates.epsilon);
    }
    store_floats<float, N>(update.moment1 + at, first);
    store_floats<float, N>(update.moment2 + at, second);
}

template <int N>
__device__ __forceinline__ void adadelta(const struct kernel_update &update,
                                         const struct update_rates &rates, size_t at,
                                         float (&weights)[N]) {
    pack<float, N> gradients = load<float, N>(update.gradients + at);
    pack<float, N> changes = load<float, N>(update.moment1 + at);
    pack<float, N> squares = load<float, N>(update.moment2 + at);
    float change[N], square[N];
#pragma unroll
    for (int k = 0; k < N; k++) {
        float slope = gradients.get(k) + rates.decay * weights[k];
        square[k] = update.keep * squares.get(k) + update.take * (slope * slope);
        float step =
            sqrtf(changes.get(k) + rates.epsilon) / sqrtf(square[k] + rates.epsilon) * slope;
        change[k] = update.keep * changes.get(k) + update.take * (step * step);
        weights[k] -= rates.rate * step;
    }
    store_floats<float, N>(update.moment1 + at, change);
    store_floats<float, N>(update.moment2 + at, square);
}

template <int N>
__device__ __forceinline__ void root_mean_square(const struct kernel_update &update,
                                                 const struct update_rates &rates, size_t at,
                                                 float (&weights)[N]) {
    pack<float, N> gradients = load<float, N>(update.gradients + at);
    pack<float, N> squares = load<float, N>(update.moment2 + at);
    float square[N];
#pragma unroll
    for (int k = 0; k < N; k++) {
        float slope = gradients.get(k) + rates.decay * weights[k];
        square[k] = update.keep * squares.get(k) + update.take * (slope * slope);
        weights[k] -= rates.rate * slope / (sqrtf(square[k]) + rates.epsilon);
    }
    store_floats<float, N>(update.moment2 + at, square);
}

template <int N, enum kernel_rule RULE>
__device__ __forceinline__ void step_values(const struct kernel_update &update,
                                            const struct update_rates &rates, size_t at,
                                            float (&weights)[N]) {
    if constexpr (RULE == KERNEL_ADAM)
        adam<N>(update, rates, at, weights);
    else if constexpr (RULE == KERNEL_ADADELTA)
        adadelta<N>(update, rates, at, weights);
    else if constexpr (RULE == KERNEL_SQUARES)
        root_mean_square<N>(update, rates, at, weights);
    else
        sgd<N, RULE == KERNEL_NESTEROV>(update, rates, at, weights);
}

template <int N, enum kernel_rule RULE>
__device__ __forceinline__ void update_values(const struct kernel_update &update,
                                              const struct update_rates &rates, bool trainable,
                                              size_t at) {
    pack<float, N> before = load<float, N>(update.weights + at), averages = {};
    float weights[N];
    if (update.ema)
        averages = load<float, N>(update.ema + at);
#pragma unroll
    for (int k = 0; k < N; k++)
        weights[k] = before.get(k);
    if (trainable) {
        step_values<N, RULE>(update, rates, at, weights);
        store_floats<float, N>(update.weights + at, weights);
    }
    if (update.ema) {
        float average[N];
#pragma unroll
        for (int k = 0; k < N; k++)
            average[k] = rates.ema * averages.get(k) + (1.0f - rates.ema) * weights[k];
        store_floats<float, N>(update.ema + at, average);
    }
    if (update.weights16)
        store_floats<bf16, N>((bf16 *)update.weights16 + at, weights);
}

/* --- kernel ---------------------------------------------------------------------------------- */

/* Four values per thread where the block begins at a multiple of 4; what is left over at the end,
 * and everything else, value by value. */
template <enum kernel_rule RULE>
__global__ void __launch_bounds__(UPDATE_THREADS)
    update_blocks(struct kernel_update update, const struct step_arguments *arguments) {
    struct kernel_update_block block = update.blocks[blockIdx.x];
    struct update_rates rates;
    rates.rate = arguments->rate * block.rate;
    float decay = block.decays ? update.weight_decay : 0.0f;
    rates.decay = RULE != KERNEL_ADAM || update.decoupled ? decay : 0.0f;
    rates.coupled = RULE == KERNEL_ADAM && !update.decoupled ? decay : 0.0f;
    rates.step = rates.rate * arguments->first_bias;
    rates.root = arguments->second_root;
    rates.momentum = update.momentum;
    rates.beta1 = update.beta1;
    rates.beta2 = update.beta2;
    rates.epsilon = update.epsilon;
    rates.ema = arguments->ema_decay;
    size_t first = (size_t)block.first;
    unsigned fours = block.first % 4 == 0 ? block.count / 4 : 0;
    for (unsigned i = threadIdx.x; i < fours; i += blockDim.x)
        update_values<4, RULE>(update, rates, block.trainable, first + 4 * i);
    for (unsigned i = 4 * fours + threadIdx.x; i < block.count; i += blockDim.x)
        update_values<1, RULE>(update, rates, block.trainable, first + i);
}

} // namespace

/* A block of 1024 threads for each of the update's blocks, at most KERNEL_UPDATE_VALUES long. The
 * flat arrays at multiples of 16 bytes (asserted); no shared memory. */
extern "C" cudaError_t kernel_update(const struct kernel_update *update,
                                     const struct step_arguments *arguments, cudaStream_t stream) {
    assert(update->block_count > 0 && (update->rule < KERNEL_ADAM || update->moment2));
    assert(aligned(update->weights) && aligned(update->weights16) && aligned(update->ema));
    assert(aligned(update->gradients) && aligned(update->moment1) && aligned(update->moment2));
    static void (*const kernels[])(struct kernel_update, const struct step_arguments *) = {
        update_blocks<KERNEL_SGD>, update_blocks<KERNEL_NESTEROV>, update_blocks<KERNEL_ADAM>,
        update_blocks<KERNEL_ADADELTA>, update_blocks<KERNEL_SQUARES>};
    return launch(kernels[update->rule], dim3((unsigned)update->block_count), dim3(UPDATE_THREADS),
                  stream, *update, arguments);
}
