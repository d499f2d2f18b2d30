/* Dropout, forward and backward: the mask is drawn, not stored.
 *
 * One draw of Philox decides four elements that follow one another in the order (sample, channel,
 * pixel). Memory has pixels before channels, so a thread takes four pixels of its channels, and
 * shares each draw among them. Vectors lie in the order of the draws as they are, and so do the
 * channels of each pixel where a draw decides about whole maps. */
#include "cuda/kernels/philox.cuh"
#include "cuda/kernels/values.cuh"

namespace {

struct dropout_work {
    struct kernel_dropout about;
    float scale; /* of what is kept */
    bool add;
};

/* Bit k: whether word k of the draw keeps its element. `quad` is the element / 4. */
__device__ __forceinline__ uint32_t kept_of(const struct dropout_work &work, uint32_t step,
                                            size_t quad) {
    struct philox_words draw =
        philox_words_of(work.about.seed, PHILOX_USE_DROPOUT, (uint32_t)quad, work.about.node, step);
    uint32_t kept = 0;
#pragma unroll
    for (int k = 0; k < 4; k++)
        kept |= (uint32_t)((float)(draw.word[k] >> 8) * (1.0f / 16777216.0f) >= work.about.rate)
                << k;
    return kept;
}

/* Stores N values, of which bit k of `kept` tells about number k. */
template <typename T, int N>
__device__ __forceinline__ void store_kept(T *to, const pack<T, N> &from, uint32_t kept,
                                           const struct dropout_work &work) {
    float out[N];
#pragma unroll
    for (int k = 0; k < N; k++)
        out[k] = kept >> k & 1 ? from.get(k) * work.scale : 0.0f;
    store_result<T, N>(to, out, work.add);
}

/* [batch][channels]: eight elements, two draws, for each thread; what is left over at the end
 * belongs to the thread after the last. */
template <typename T>
__global__ void __launch_bounds__(THREADS)
    drop_vectors(struct dropout_work work, T *to, const T *from, size_t count) {
    size_t thread = (size_t)blockIdx.x * blockDim.x + threadIdx.x;
    size_t threads = (size_t)gridDim.x * blockDim.x;
    uint32_t step = (uint32_t)work.about.arguments->step;
    for (size_t i = thread * 8; i < count; i += threads * 8) {
        uint32_t kept = kept_of(work, step, i / 4) | kept_of(work, step, i / 4 + 1) << 4;
        if (i + 8 <= count)
            store_kept<T, 8>(to + i, load<T, 8>(from + i), kept, work);
        else
            for (size_t k = i; k < count; k++)
                store_kept<T, 1>(to + k, load<T, 1>(from + k), kept >> (k - i), work);
    }
}

/* Maps. A piece of work is N channels of four pixels that share the draws. Where pixels is no
 * multiple of 4 (then N is 1) the draws of a channel begin `early` pixels before its first. */
template <typename T, int N>
__global__ void __launch_bounds__(THREADS)
    drop_maps(struct pieces pieces, struct dropout_work work, T *to, const T *from) {
    unsigned channels = (unsigned)work.about.channels, groups = channels / N;
    int pixels = work.about.pixels;
    uint32_t step = (uint32_t)work.about.arguments->step;
    each_piece(pieces, [&](unsigned sample, unsigned piece) {
        unsigned channel = piece % groups * N;
        size_t element = ((size_t)sample * channels + channel) * (unsigned)pixels;
        int early = (int)(element % 4), first = 4 * (int)(piece / groups) - early;
        size_t at = ((size_t)sample * (unsigned)pixels) * channels + channel;
        pack<T, N> in[4];
#pragma unroll
        for (int p = 0; p < 4; p++) {
            in[p] = {};
            if (first + p >= 0 && first + p < pixels)
                in[p] = load<T, N>(from + at + (size_t)(first + p) * channels);
        }
        uint32_t kept[N];
#pragma unroll
        for (int k = 0; k < N; k++) {
            size_t quad = (element + (size_t)k * (unsigned)pixels) / 4 + piece / groups;
            kept[k] = kept_of(work, step, quad);
        }
#pragma unroll
        for (int p = 0; p < 4; p++) {
            uint32_t bits = 0;
#pragma unroll
            for (int k = 0; k < N; k++)
                bits |= (kept[k] >> p & 1) << k;
            if (first + p >= 0 && first + p < pixels)
                store_kept<T, N>(to + at + (size_t)(first + p) * channels, in[p], bits, work);
        }
    });
}

/* Whole maps. A piece of work is N channels of one pixel; N is 1, or divides the channels and is a
 * multiple of 4, so that they begin with a draw. */
template <typename T, int N>
__global__ void __launch_bounds__(THREADS)
    drop_whole_maps(struct pieces pieces, struct dropout_work work, T *to, const T *from) {
    unsigned channels = (unsigned)work.about.channels, groups = channels / N;
    uint32_t step = (uint32_t)work.about.arguments->step;
    each_piece(pieces, [&](unsigned sample, unsigned piece) {
        size_t element = (size_t)sample * channels + piece % groups * N;
        size_t at = (size_t)sample * pieces.per_sample * N + (size_t)piece * N;
        uint32_t kept = kept_of(work, step, element / 4) >> element % 4;
        if (N > 4)
            kept |= kept_of(work, step, element / 4 + 1) << 4;
        store_kept<T, N>(to + at, load<T, N>(from + at), kept, work);
    });
}

template <typename T, int N>
cudaError_t launch_whole_maps(const struct dropout_work &work, T *to, const T *from,
                              cudaStream_t stream) {
    size_t groups = (size_t)(work.about.channels / N);
    struct pieces pieces = pieces_of(work.about.batch, (size_t)work.about.pixels * groups);
    return launch(drop_whole_maps<T, N>, pieces_grid(pieces), dim3(THREADS), stream, pieces, work,
                  to, from);
}

template <typename T, int N>
cudaError_t launch_maps(const struct dropout_work &work, T *to, const T *from,
                        cudaStream_t stream) {
    size_t pixels = (size_t)work.about.pixels, groups = (size_t)(work.about.channels / N);
    size_t quads = pixels % 4 ? (pixels + 6) / 4 : pixels / 4; /* early is at most 3 */
    struct pieces pieces = pieces_of(work.about.batch, quads * groups);
    return launch(drop_maps<T, N>, pieces_grid(pieces), dim3(THREADS), stream, pieces, work, to,
                  from);
}

} // namespace

/* A thread per eight values of vectors, or four pixels of a vector of channels, or where whole maps
 * are dropped one pixel of it, walking. Arrays at multiples of 16 bytes (asserted); any shape; no
 * shared memory. */
extern "C" cudaError_t kernel_dropout(const struct kernel_dropout *dropout, struct values to,
                                      struct values from, bool add, cudaStream_t stream) {
    assert(to.type == from.type && aligned(to.data) && aligned(from.data));
    struct dropout_work work = {*dropout, 1.0f / (1.0f - dropout->rate), add};
    return with_type(to.type, [&](auto type) {
        using T = typename decltype(type)::type;
        T *target = (T *)to.data;
        const T *source = (const T *)from.data;
        if (dropout->pixels == 1) {
            size_t count = (size_t)dropout->batch * (size_t)dropout->channels;
            return launch(drop_vectors<T>, dim3(blocks_for((count + 7) / 8, THREADS, BLOCKS_MAX)),
                          dim3(THREADS), stream, work, target, source, count);
        }
        constexpr int width = vector_width<T>();
        if (dropout->spatial)
            return dropout->channels % width == 0
                       ? launch_whole_maps<T, width>(work, target, source, stream)
                       : launch_whole_maps<T, 1>(work, target, source, stream);
        return dropout->pixels % 4 == 0 && dropout->channels % width == 0
                   ? launch_maps<T, width>(work, target, source, stream)
                   : launch_maps<T, 1>(work, target, source, stream);
    });
}
