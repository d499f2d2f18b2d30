/* Pools over square windows, forward and backward.
 *
 * Backward gathers: each value of dx is written by one thread, which looks at the windows over it.
 * Windows of 2×2 that touch and do not overlap have their own kernel, in which a thread takes one
 * window and writes the four values under it.
 *
 * Every thread has N neighbouring channels: 16 bytes of the narrower type, or 1. Index arithmetic
 * is 32 bits wide within a slice of the batch: values.cuh, pieces. */
#include "cuda/kernels/values.cuh"

namespace {

/* --- places ---------------------------------------------------------------------------------- */

/* Where a piece of work lies: N channels of one pixel. */
struct spot {
    unsigned sample;
    int row, column, channel;
};
template <int N>
__device__ __forceinline__ struct spot spot_of(unsigned sample, unsigned piece, int width,
                                               int channels) {
    unsigned groups = (unsigned)channels / N, pixel = piece / groups;
    return {sample, (int)(pixel / (unsigned)width), (int)(pixel % (unsigned)width),
            (int)(piece % groups) * N};
}

__device__ __forceinline__ size_t in_at(const struct kernel_window &window, const struct spot &spot,
                                        int row, int column) {
    return ((size_t)spot.sample * (unsigned)(window.in_height * window.in_width) +
            (unsigned)(row * window.in_width + column)) *
               (unsigned)window.channels +
           (unsigned)spot.channel;
}
__device__ __forceinline__ size_t out_at(const struct kernel_window &window,
                                         const struct spot &spot, int row, int column) {
    return ((size_t)spot.sample * (unsigned)(window.out_height * window.out_width) +
            (unsigned)(row * window.out_width + column)) *
               (unsigned)window.channels +
           (unsigned)spot.channel;
}

/* Windows first … last along one axis that cover `at`; none where last < first. */
struct range {
    int first, last;
};
__device__ __forceinline__ struct range windows_over(int at, int size, int stride, int windows) {
    int first = at < size ? 0 : (at - size) / stride + 1, last = at / stride;
    return {first, last < windows ? last : windows - 1};
}

/* --- maximum --------------------------------------------------------------------------------- */

/* One value of the window, number `place`: the last NaN wins, or the first maximum. */
template <typename T, int N>
__device__ __forceinline__ void take(float (&best)[N], int (&places)[N], const pack<T, N> &values,
                                     int place) {
#pragma unroll
    for (int k = 0; k < N; k++) {
        float value = values.get(k);
        if (value > best[k] || value != value || place == 0) {
            best[k] = value;
            places[k] = place;
        }
    }
}

/* SIZE is the window's, so that all of it is loaded at once, or 0 for any. */
template <typename T, typename U, int N, int SIZE>
__global__ void __launch_bounds__(THREADS)
    maxpool(struct pieces pieces, struct kernel_window window, T *y, uint16_t *place, const U *x) {
    each_piece(pieces, [&](unsigned sample, unsigned piece) {
        struct spot spot = spot_of<N>(sample, piece, window.out_width, window.channels);
        int row = spot.row * window.stride, column = spot.column * window.stride;
        float best[N] = {};
        int places[N] = {};
        if constexpr (SIZE > 0) {
            pack<U, N> in[SIZE * SIZE];
#pragma unroll
            for (int k = 0; k < SIZE * SIZE; k++)
                in[k] = load<U, N>(x + in_at(window, spot, row + k / SIZE, column + k % SIZE));
#pragma unroll
            for (int k = 0; k < SIZE * SIZE; k++)
                take<U, N>(best, places, in[k], k);
        } else {
            for (int k = 0, i = 0; i < window.size; i++)
                for (int j = 0; j < window.size; j++, k++)
                    take<U, N>(best, places,
                               load<U, N>(x + in_at(window, spot, row + i, column + j)), k);
        }
        size_t at = out_at(window, spot, spot.row, spot.column);
        store_floats<T, N>(y + at, best);
        store<uint16_t, N>(place + at, pack_places<N>(places));
    });
}

/* What a window gives to its maximum. */
template <typename U, int N, bool MASK>
__device__ __forceinline__ void load_gradient(float (&gradient)[N], const U *dy, const U *y,
                                              size_t at) {
    pack<U, N> values = load<U, N>(dy + at), gate = {};
    if (MASK)
        gate = load<U, N>(y + at);
#pragma unroll
    for (int k = 0; k < N; k++)
        gradient[k] = MASK && !(gate.get(k) > 0.0f) ? 0.0f : values.get(k);
}

template <typename T, typename U, int N, bool MASK>
__global__ void __launch_bounds__(THREADS)
    maxpool_back(struct pieces pieces, struct kernel_window window, T *dx, const U *dy,
                 const uint16_t *place, const U *y, bool add) {
    each_piece(pieces, [&](unsigned sample, unsigned piece) {
        struct spot spot = spot_of<N>(sample, piece, window.in_width, window.channels);
        struct range rows = windows_over(spot.row, window.size, window.stride, window.out_height);
        struct range columns =
            windows_over(spot.column, window.size, window.stride, window.out_width);
        float sum[N] = {};
#pragma unroll 1 /* mostly one window, or a few */
        for (int i = rows.first; i <= rows.last; i++)
#pragma unroll 1
            for (int j = columns.first; j <= columns.last; j++) {
                size_t at = out_at(window, spot, i, j);
                uint32_t here = (uint32_t)((spot.row - i * window.stride) * window.size +
                                           spot.column - j * window.stride);
                pack<uint16_t, N> places = load<uint16_t, N>(place + at);
                float gradient[N];
                load_gradient<U, N, MASK>(gradient, dy, y, at);
#pragma unroll
                for (int k = 0; k < N; k++)
                    sum[k] += places.bits(k) == here ? gradient[k] : 0.0f;
            }
        store_result<T, N>(dx + in_at(window, spot, spot.row, spot.column), sum, add);
    });
}

/* dx = 0, or as it is with `add`. */
template <typename T, int N> __device__ __forceinline__ void store_nothing(T *dx, bool add) {
    float zeros[N] = {};
    if (!add)
        store_floats<T, N>(dx, zeros);
}

/* 2×2 windows at stride 2. The last window of a row, and of a column, has the odd edge as well. */
template <typename T, typename U, int N, bool MASK>
__global__ void __launch_bounds__(THREADS)
    maxpool_back_pairs(struct pieces pieces, struct kernel_window window, T *dx, const U *dy,
                       const uint16_t *place, const U *y, bool add) {
    each_piece(pieces, [&](unsigned sample, unsigned piece) {
        struct spot spot = spot_of<N>(sample, piece, window.out_width, window.channels);
        int row = 2 * spot.row, column = 2 * spot.column;
        size_t at = out_at(window, spot, spot.row, spot.column);
        pack<uint16_t, N> places = load<uint16_t, N>(place + at);
        float gradient[N];
        load_gradient<U, N, MASK>(gradient, dy, y, at);
#pragma unroll
        for (uint32_t i = 0; i < 4; i++) {
            float out[N];
#pragma unroll
            for (int k = 0; k < N; k++)
                out[k] = places.bits(k) == i ? gradient[k] : 0.0f;
            store_result<T, N>(dx + in_at(window, spot, row + (int)i / 2, column + (int)i % 2), out,
                               add);
        }
        bool right = column + 3 == window.in_width, below = row + 3 == window.in_height;
        if (right) {
            store_nothing<T, N>(dx + in_at(window, spot, row, column + 2), add);
            store_nothing<T, N>(dx + in_at(window, spot, row + 1, column + 2), add);
        }
        if (below) {
            store_nothing<T, N>(dx + in_at(window, spot, row + 2, column), add);
            store_nothing<T, N>(dx + in_at(window, spot, row + 2, column + 1), add);
        }
        if (right && below)
            store_nothing<T, N>(dx + in_at(window, spot, row + 2, column + 2), add);
    });
}

/* --- mean ------------------------------------------------------------------------------------ */

template <typename T, typename U, int N>
__global__ void __launch_bounds__(THREADS)
    avgpool(struct pieces pieces, struct kernel_window window, T *y, const U *x) {
    float share = 1.0f / (float)(window.size * window.size);
    each_piece(pieces, [&](unsigned sample, unsigned piece) {
        struct spot spot = spot_of<N>(sample, piece, window.out_width, window.channels);
        int row = spot.row * window.stride, column = spot.column * window.stride;
        float sum[N] = {};
        for (int i = 0; i < window.size; i++) {
            const U *from = x + in_at(window, spot, row + i, column);
#pragma unroll 4
            for (int j = 0; j < window.size; j++) {
                pack<U, N> in = load<U, N>(from + (size_t)j * (unsigned)window.channels);
#pragma unroll
                for (int k = 0; k < N; k++)
                    sum[k] += in.get(k);
            }
        }
#pragma unroll
        for (int k = 0; k < N; k++)
            sum[k] *= share;
        store_floats<T, N>(y + out_at(window, spot, spot.row, spot.column), sum);
    });
}

template <typename T, typename U, int N>
__global__ void __launch_bounds__(THREADS)
    avgpool_back(struct pieces pieces, struct kernel_window window, T *dx, const U *dy, bool add) {
    float share = 1.0f / (float)(window.size * window.size);
    each_piece(pieces, [&](unsigned sample, unsigned piece) {
        struct spot spot = spot_of<N>(sample, piece, window.in_width, window.channels);
        struct range rows = windows_over(spot.row, window.size, window.stride, window.out_height);
        struct range columns =
            windows_over(spot.column, window.size, window.stride, window.out_width);
        float sum[N] = {};
#pragma unroll 1 /* mostly one window, or a few */
        for (int i = rows.first; i <= rows.last; i++)
#pragma unroll 1
            for (int j = columns.first; j <= columns.last; j++) {
                pack<U, N> in = load<U, N>(dy + out_at(window, spot, i, j));
#pragma unroll
                for (int k = 0; k < N; k++)
                    sum[k] += in.get(k) * share;
            }
        store_result<T, N>(dx + in_at(window, spot, spot.row, spot.column), sum, add);
    });
}

/* --- how they are launched ------------------------------------------------------------------- */

void check(const struct kernel_window *window) {
    assert(window->size >= 1 && window->size <= 28 && window->stride >= 1);
    assert((window->out_height - 1) * window->stride + window->size <= window->in_height);
    assert((window->out_width - 1) * window->stride + window->size <= window->in_width);
    (void)window;
}

/* 2×2 windows that touch, with at most one row and column left over. */
bool pairs(const struct kernel_window &window) {
    return window.size == 2 && window.stride == 2 && window.in_height / 2 == window.out_height &&
           window.in_width / 2 == window.out_width;
}

/* Calls `call` with the tags of both types and the vector's width. */
template <typename Call>
cudaError_t with_types(enum element first, enum element second, int channels, Call call) {
    return with_type(first, [&](auto t) {
        return with_type(second, [&](auto u) {
            constexpr int width =
                vector_width<typename decltype(t)::type, typename decltype(u)::type>();
            return channels % width == 0 ? call(t, u, std::integral_constant<int, width>{})
                                         : call(t, u, std::integral_constant<int, 1>{});
        });
    });
}

/* Vectors of N channels of the input, or the output. */
struct pieces in_pieces(const struct kernel_window &window, int width) {
    return pieces_of(window.batch, (size_t)window.in_height * (size_t)window.in_width *
                                       (size_t)(window.channels / width));
}
struct pieces out_pieces(const struct kernel_window &window, int width) {
    return pieces_of(window.batch, (size_t)window.out_height * (size_t)window.out_width *
                                       (size_t)(window.channels / width));
}

template <typename T, typename U, int N, bool MASK>
cudaError_t launch_maxpool_back(struct values dx, struct values dy, const uint16_t *place,
                                struct values y, const struct kernel_window &window, bool add,
                                cudaStream_t stream) {
    bool four = pairs(window);
    struct pieces pieces = four ? out_pieces(window, N) : in_pieces(window, N);
    return launch(four ? maxpool_back_pairs<T, U, N, MASK> : maxpool_back<T, U, N, MASK>,
                  pieces_grid(pieces), dim3(THREADS), stream, pieces, window, (T *)dx.data,
                  (const U *)dy.data, place, (const U *)y.data, add);
}

} // namespace

/* --- launchers ------------------------------------------------------------------------------- */

/* All of them: blocks of THREADS threads that walk, a thread per vector of channels. Arrays at
 * multiples of 16 bytes (asserted); no shared memory. */

/* A thread per value of y. */
extern "C" cudaError_t kernel_maxpool(struct values y, uint16_t *place, struct values x,
                                      const struct kernel_window *window, cudaStream_t stream) {
    check(window);
    assert(aligned(y.data) && aligned(place) && aligned(x.data));
    return with_types(y.type, x.type, window->channels, [&](auto to, auto from, auto width) {
        using T = typename decltype(to)::type;
        using U = typename decltype(from)::type;
        constexpr int N = decltype(width)::value;
        struct pieces pieces = out_pieces(*window, N);
        return launch(window->size == 2 ? maxpool<T, U, N, 2> : maxpool<T, U, N, 0>,
                      pieces_grid(pieces), dim3(THREADS), stream, pieces, *window, (T *)y.data,
                      place, (const U *)x.data);
    });
}

/* A thread per value of dx, or of dy where windows are 2×2 and touch. y has dy's type. */
extern "C" cudaError_t kernel_maxpool_back(struct values dx, struct values dy,
                                           const uint16_t *place, struct values y,
                                           const struct kernel_window *window, bool add,
                                           cudaStream_t stream) {
    check(window);
    assert(aligned(dx.data) && aligned(dy.data) && aligned(place) && aligned(y.data));
    assert(!y.data || y.type == dy.type);
    return with_types(dx.type, dy.type, window->channels, [&](auto to, auto from, auto width) {
        using T = typename decltype(to)::type;
        using U = typename decltype(from)::type;
        constexpr int N = decltype(width)::value;
        return y.data ? launch_maxpool_back<T, U, N, true>(dx, dy, place, y, *window, add, stream)
                      : launch_maxpool_back<T, U, N, false>(dx, dy, place, y, *window, add, stream);
    });
}

/* A thread per value of y. */
extern "C" cudaError_t kernel_avgpool(struct values y, struct values x,
                                      const struct kernel_window *window, cudaStream_t stream) {
    check(window);
    assert(aligned(y.data) && aligned(x.data));
    return with_types(y.type, x.type, window->channels, [&](auto to, auto from, auto width) {
        using T = typename decltype(to)::type;
        using U = typename decltype(from)::type;
        constexpr int N = decltype(width)::value;
        struct pieces pieces = out_pieces(*window, N);
        return launch(avgpool<T, U, N>, pieces_grid(pieces), dim3(THREADS), stream, pieces, *window,
                      (T *)y.data, (const U *)x.data);
    });
}

/* A thread per value of dx. */
extern "C" cudaError_t kernel_avgpool_back(struct values dx, struct values dy,
                                           const struct kernel_window *window, bool add,
                                           cudaStream_t stream) {
    check(window);
    assert(aligned(dx.data) && aligned(dy.data));
    return with_types(dx.type, dy.type, window->channels, [&](auto to, auto from, auto width) {
        using T = typename decltype(to)::type;
        using U = typename decltype(from)::type;
        constexpr int N = decltype(width)::value;
        struct pieces pieces = in_pieces(*window, N);
        return launch(avgpool_back<T, U, N>, pieces_grid(pieces), dim3(THREADS), stream, pieces,
                      *window, (T *)dx.data, (const U *)dy.data, add);
    });
}
