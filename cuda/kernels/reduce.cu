/* Sums over rows: the gradient of a bias, with the mask of a relu on the way.
 *
 * Each part of the rows is added in registers and then over its block; a second kernel adds the
 * parts in double. Small arrays have one part, and no second kernel. */
#include "cuda/kernels/sums.cuh"

namespace {

/* --- kernels --------------------------------------------------------------------------------- */

/* sums[part][channel]. With MASK dy becomes 0 where y is not > 0, in memory as well. */
template <typename T, int N, bool MASK>
__global__ void __launch_bounds__(THREADS)
    sum_rows(struct rows_view view, T *dy, const T *y, float *sums) {
    __shared__ float planes[N][THREADS];
    struct rows_place place = rows_place_of(view);
    float own[N] = {};
    if (place.works)
        each_row<MASK ? 2 : 4>(view, place, [&](size_t row, auto rows) {
            constexpr int count = decltype(rows)::value;
            pack<T, N> gradient[count], gate[count];
#pragma unroll
            for (int r = 0; r < count; r++) {
                gradient[r] = load<T, N>(dy + row_at<N>(view, place, row, r));
                if (MASK)
                    gate[r] = load<T, N>(y + row_at<N>(view, place, row, r));
            }
#pragma unroll
            for (int r = 0; r < count; r++) {
                float values[N];
#pragma unroll
                for (int k = 0; k < N; k++) {
                    values[k] = gradient[r].get(k);
                    if (MASK && !(gate[r].get(k) > 0.0f))
                        values[k] = 0.0f;
                    own[k] += values[k];
                }
                if (MASK)
                    store_floats<T, N>(dy + row_at<N>(view, place, row, r), values);
            }
        });
    sum_block<N>(planes, own, view, place, [&](int channel, float sum) {
        sums[(size_t)blockIdx.x * (size_t)view.channels + (size_t)channel] = sum;
    });
}

__global__ void __launch_bounds__(FINISH_THREADS, 1)
    add_parts(float *sums, const float *partials, unsigned parts, int channels) {
    __shared__ double shared[FINISH_THREADS];
    struct finish_place place = finish_place_of(channels);
    double sum = finish_parts(shared, partials, parts, channels, place);
    if (place.works && place.lane == 0)
        sums[place.channel] = (float)sum;
}

} // namespace

/* --- launchers ------------------------------------------------------------------------------- */

/* Two quantities of each part: batchnorm.cu. */
extern "C" size_t kernel_partials(size_t rows, int channels) {
    return 2 * (size_t)rows_parts(rows, channels) * (size_t)channels;
}

/* Grid of rows.cuh, 8 KB of shared memory; then a block of up to 1024 threads for each 8 channels,
 * 8 KB. Any shape; dy and y at multiples of 16 bytes (asserted). */
extern "C" cudaError_t kernel_sum_rows(float *sums, struct values dy, struct values y, size_t rows,
                                       int channels, float *partials, cudaStream_t stream) {
    assert(aligned(dy.data) && aligned(y.data) && (!y.data || y.type == dy.type));
    unsigned parts = rows_parts(rows, channels);
    float *target = parts == 1 ? sums : partials;
    cudaError_t status = with_type(dy.type, [&](auto type) {
        using T = typename decltype(type)::type;
        return with_rows<T>(rows, channels, ROWS_SUM, [&](auto width, struct rows_view view) {
            constexpr int N = decltype(width)::value;
            return launch(y.data ? sum_rows<T, N, true> : sum_rows<T, N, false>, rows_grid(view),
                          dim3(THREADS), stream, view, (T *)dy.data, (const T *)y.data, target);
        });
    });
    if (status != cudaSuccess || parts == 1)
        return status;
    return launch(add_parts, finish_grid(channels), finish_block(parts), stream, sums,
                  (const float *)partials, parts, channels);
}
