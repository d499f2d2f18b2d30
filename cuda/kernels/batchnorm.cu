/* Batch normalisation per channel, as in PyTorch, with the relu behind it.
 *
 * Statistics read x once. Each thread takes its values in small groups: mean and squared deviations
 * of a group, which are in registers, then the formula of Chan, Golub and LeVeque ("Updating
 * formulae and a pairwise algorithm for computing sample variances", 1982) that joins two groups;
 * so joins the block its threads, and the second kernel, in double, the blocks. No sum of squares
 * is ever taken, so no digits cancel. All of it is done on x less the channel's first value, so
 * that a mean far from 0 is not rounded more coarsely than the deviations from it.
 *
 * Where y is rectified, whether it is > 0 is computed again from x, with the same instructions:
 * that costs less than reading y. */
#include "cuda/kernels/sums.cuh"

namespace {

/* --- statistics ------------------------------------------------------------------------------ */

/* Count, mean and squared deviations from it of N channels. */
template <int N> struct moments { float count, mean[N], squares[N]; };

/* Adds ROWS values of each channel, in registers, less `pivot`, to the moments. */
template <typename T, int N, int ROWS>
__device__ __forceinline__ void
take_group(struct moments<N> &moments, const pack<T, N> (&values)[ROWS], const float (&pivot)[N]) {
    float count = moments.count + (float)ROWS;
    float share = (float)ROWS / count, weight = moments.count * share;
    moments.count = count;
#pragma unroll
    for (int k = 0; k < N; k++) {
        float mean = values[0].get(k) - pivot[k], squares = 0.0f;
        if (ROWS > 1) {
#pragma unroll
            for (int r = 1; r < ROWS; r++)
                mean += values[r].get(k) - pivot[k];
            mean *= 1.0f / (float)ROWS;
#pragma unroll
            for (int r = 0; r < ROWS; r++) {
                float away = values[r].get(k) - pivot[k] - mean;
                squares = fmaf(away, away, squares);
            }
        }
        float away = mean - moments.mean[k];
        moments.mean[k] = fmaf(away, share, moments.mean[k]);
        moments.squares[k] += fmaf(away * away, weight, squares);
    }
}

/* Joins the moments down the rows of the block and over the fold; then calls
 * done(channel, mean, squares) once for each channel. All threads call it. */
template <int N, typename Done>
__device__ __forceinline__ void join_block(float (*means)[THREADS], float (*squares)[THREADS],
                                           float *counts, const struct moments<N> &own,
                                           const struct rows_view &view,
                                           const struct rows_place &place, Done done) {
    int thread = (int)threadIdx.x;
    counts[thread] = own.count;
#pragma unroll
    for (int k = 0; k < N; k++) {
        means[k][thread] = own.mean[k];
        squares[k][thread] = own.squares[k];
    }
    for (int step = view.step; step > 0; step /= 2) {
        __syncthreads();
        int other = thread + step * view.lanes;
        if (place.down < step && place.down + step < view.tall && counts[other] > 0.0f) {
            float count = counts[thread] + counts[other];
            float share = counts[other] / count, weight = counts[thread] * share;
            counts[thread] = count;
#pragma unroll
            for (int k = 0; k < N; k++) {
                float away = means[k][other] - means[k][thread];
                means[k][thread] = fmaf(away, share, means[k][thread]);
                squares[k][thread] += fmaf(away * away, weight, squares[k][other]);
            }
        }
    }
    __syncthreads();
    each_channel<N>(view, [&](int channel, int first) {
        float count = counts[0], mean = 0.0f, sum = 0.0f; /* each row of the fold has as many */
        for (int i = 0; i < view.fold; i++, first += view.channels) {
            float away = means[first % N][first / N] - mean;
            mean += away / (float)(i + 1);
            sum +=
                fmaf(away * away, count * (float)i / (float)(i + 1), squares[first % N][first / N]);
        }
        done(channel, mean, sum);
    });
}

/* partials: means, less the first value, [parts][channels]; then squared deviations, the same. */
template <typename T, int N>
__global__ void __launch_bounds__(THREADS, 3)
    take_moments(struct rows_view view, const T *x, float *partials) {
    __shared__ float means[N][THREADS], squares[N][THREADS], counts[THREADS];
    struct rows_place place = rows_place_of(view);
    struct moments<N> own = {};
    if (place.works) {
        float pivot[N];
        load_channels<N>(pivot, x, view, place); /* the first row */
        each_row<4>(view, place, [&](size_t row, auto rows) {
            constexpr int count = decltype(rows)::value;
            pack<T, N> values[count];
#pragma unroll
            for (int r = 0; r < count; r++)
                values[r] = load<T, N>(x + row_at<N>(view, place, row, r));
            take_group<T, N, count>(own, values, pivot);
        });
    }
    join_block<N>(means, squares, counts, own, view, place,
                  [&](int channel, float mean, float sum) {
                      size_t at = (size_t)blockIdx.x * (size_t)view.channels + (size_t)channel;
                      partials[at] = mean;
                      partials[(size_t)view.parts * (size_t)view.channels + at] = sum;
                  });
}

/* Scale and offset of a channel that has this mean and inverse deviation. */
__device__ __forceinline__ void set_scale(const struct kernel_batchnorm &norm, int channel,
                                          float mean, float inverse) {
    float scale = norm.gain[channel] * inverse;
    norm.scale[channel] = scale;
    norm.offset[channel] = norm.shift[channel] - mean * scale;
}

__global__ void __launch_bounds__(FINISH_THREADS, 1)
    join_parts(struct kernel_batchnorm norm, struct rows_view view, struct values x) {
    __shared__ double shared[FINISH_THREADS];
    struct finish_place place = finish_place_of(norm.channels);
    const float *means = norm.partials + place.channel;
    const float *squares = means + (size_t)view.parts * (size_t)norm.channels;
    size_t step = (size_t)norm.channels;
    double rows = (double)norm.rows, sum = 0.0;
    if (place.works)
        for (unsigned part = place.lane; part < view.parts; part += place.lanes)
            sum += (double)rows_of_part(view, part) * (double)means[part * step];
    double mean = finish_sum(shared, sum) / rows;
    sum = 0.0;
    if (place.works)
        for (unsigned part = place.lane; part < view.parts; part += place.lanes) {
            double away = (double)means[part * step] - mean;
            sum += (double)squares[part * step] + (double)rows_of_part(view, part) * (away * away);
        }
    sum = finish_sum(shared, sum);
    if (!place.works || place.lane > 0)
        return;
    int channel = place.channel;
    mean += (double)value_at(x, (size_t)channel);
    float inverse = (float)(1.0 / sqrt(sum / rows + (double)norm.epsilon)),
          keep = 1.0f - norm.momentum;
    norm.mean[channel] = (float)mean;
    norm.inverse[channel] = inverse;
    set_scale(norm, channel, (float)mean, inverse);
    norm.running_mean[channel] = keep * norm.running_mean[channel] + norm.momentum * (float)mean;
    norm.running_variance[channel] =
        keep * norm.running_variance[channel] + norm.momentum * (float)(sum / (rows - 1.0));
}

__global__ void __launch_bounds__(THREADS) use_running(struct kernel_batchnorm norm) {
    int channel = (int)(blockIdx.x * blockDim.x + threadIdx.x);
    if (channel >= norm.channels)
        return;
    double variance = (double)norm.running_variance[channel];
    set_scale(norm, channel, norm.running_mean[channel],
              (float)(1.0 / sqrt(variance + (double)norm.epsilon)));
}

/* --- value by value -------------------------------------------------------------------------- */

template <typename T, int N>
__global__ void __launch_bounds__(THREADS)
    apply(struct kernel_batchnorm norm, struct rows_view view, T *y, const T *x) {
    struct rows_place place = rows_place_of(view);
    if (!place.works)
        return;
    float scale[N], offset[N];
    load_channels<N>(scale, norm.scale, view, place);
    load_channels<N>(offset, norm.offset, view, place);
    each_row<4>(view, place, [&](size_t row, auto rows) {
        constexpr int count = decltype(rows)::value;
        pack<T, N> in[count];
#pragma unroll
        for (int r = 0; r < count; r++)
            in[r] = load<T, N>(x + row_at<N>(view, place, row, r));
#pragma unroll
        for (int r = 0; r < count; r++) {
            float out[N];
#pragma unroll
            for (int k = 0; k < N; k++) {
                out[k] = fmaf(in[r].get(k), scale[k], offset[k]);
                out[k] = norm.relu && out[k] < 0.0f ? 0.0f : out[k];
            }
            store_floats<T, N>(y + row_at<N>(view, place, row, r), out);
        }
    });
}

/* dy, or 0 where what `apply` stored for x is not > 0. */
template <typename T>
__device__ __forceinline__ float masked(float dy, float x, float scale, float offset) {
    float y[1] = {fmaf(x, scale, offset)};
    return pack_floats<T, 1>(y).get(0) > 0.0f ? dy : 0.0f;
}

/* partials: Σ dy [parts][channels], then Σ dy (x − mean) [parts][channels]. */
template <typename T, int N, bool RELU>
__global__ void __launch_bounds__(THREADS)
    sum_gradients(struct kernel_batchnorm norm, struct rows_view view, const T *dy, const T *x) {
    __shared__ float planes[N][THREADS];
    struct rows_place place = rows_place_of(view);
    float sums[N] = {}, products[N] = {};
    if (place.works) {
        float mean[N], scale[N], offset[N];
        load_channels<N>(mean, norm.mean, view, place);
        if (RELU) {
            load_channels<N>(scale, norm.scale, view, place);
            load_channels<N>(offset, norm.offset, view, place);
        }
        each_row<2>(view, place, [&](size_t row, auto rows) {
            constexpr int count = decltype(rows)::value;
            pack<T, N> gradient[count], in[count];
#pragma unroll
            for (int r = 0; r < count; r++) {
                gradient[r] = load<T, N>(dy + row_at<N>(view, place, row, r));
                in[r] = load<T, N>(x + row_at<N>(view, place, row, r));
            }
#pragma unroll
            for (int r = 0; r < count; r++)
#pragma unroll
                for (int k = 0; k < N; k++) {
                    float value = gradient[r].get(k);
                    if (RELU)
                        value = masked<T>(value, in[r].get(k), scale[k], offset[k]);
                    sums[k] += value;
                    products[k] = fmaf(value, in[r].get(k) - mean[k], products[k]);
                }
        });
    }
    float *partials = norm.partials + (size_t)blockIdx.x * (size_t)norm.channels;
    sum_block<N>(planes, sums, view, place,
                 [&](int channel, float sum) { partials[channel] = sum; });
    partials += (size_t)view.parts * (size_t)norm.channels;
    sum_block<N>(planes, products, view, place,
                 [&](int channel, float sum) { partials[channel] = sum; });
}

__global__ void __launch_bounds__(FINISH_THREADS, 1)
    finish_gradients(struct kernel_batchnorm norm, unsigned parts) {
    __shared__ double shared[FINISH_THREADS];
    struct finish_place place = finish_place_of(norm.channels);
    const float *second = norm.partials + (size_t)parts * (size_t)norm.channels;
    double sum = finish_parts(shared, norm.partials, parts, norm.channels, place);
    double products = finish_parts(shared, second, parts, norm.channels, place);
    if (!place.works || place.lane > 0)
        return;
    int channel = place.channel;
    float inverse = norm.inverse[channel], scale = norm.scale[channel], rows = (float)norm.rows;
    float shift = (float)sum, gain = (float)(products * (double)inverse);
    float slope = -scale * (gain / rows) * inverse;
    norm.shift_gradient[channel] = shift;
    norm.gain_gradient[channel] = gain;
    norm.slope[channel] = slope;
    norm.base[channel] = -scale * (shift / rows) - slope * norm.mean[channel];
}

template <typename T, int N, bool RELU>
__global__ void __launch_bounds__(THREADS, 3)
    spread_gradients(struct kernel_batchnorm norm, struct rows_view view, T *dx, const T *dy,
                     const T *x, bool add) {
    struct rows_place place = rows_place_of(view);
    if (!place.works)
        return;
    float scale[N], slope[N], base[N], offset[N];
    load_channels<N>(scale, norm.scale, view, place);
    load_channels<N>(slope, norm.slope, view, place);
    load_channels<N>(base, norm.base, view, place);
    if (RELU)
        load_channels<N>(offset, norm.offset, view, place);
    each_row<2>(view, place, [&](size_t row, auto rows) {
        constexpr int count = decltype(rows)::value;
        pack<T, N> gradient[count], in[count];
#pragma unroll
        for (int r = 0; r < count; r++) {
            gradient[r] = load<T, N>(dy + row_at<N>(view, place, row, r));
            in[r] = load<T, N>(x + row_at<N>(view, place, row, r));
        }
#pragma unroll
        for (int r = 0; r < count; r++) {
            float out[N];
#pragma unroll
            for (int k = 0; k < N; k++) {
                float value = gradient[r].get(k);
                if (RELU)
                    value = masked<T>(value, in[r].get(k), scale[k], offset[k]);
                out[k] = fmaf(value, scale[k], fmaf(in[r].get(k), slope[k], base[k]));
            }
            store_result<T, N>(dx + row_at<N>(view, place, row, r), out, add);
        }
    });
}

} // namespace

/* --- launchers ------------------------------------------------------------------------------- */

/* All of them: grids of rows.cuh, arrays at multiples of 16 bytes (asserted), any shape. The
 * kernels that finish: a block of up to 1024 threads for each 8 channels, 8 KB of shared memory. */

/* 17 KB of shared memory. */
extern "C" cudaError_t kernel_batchnorm_statistics(const struct kernel_batchnorm *norm,
                                                   struct values x, cudaStream_t stream) {
    assert(aligned(x.data) && norm->rows >= 2);
    return with_type(x.type, [&](auto type) {
        using T = typename decltype(type)::type;
        return with_rows<T>(
            norm->rows, norm->channels, ROWS_SUM, [&](auto width, struct rows_view view) {
                constexpr int N = decltype(width)::value;
                cudaError_t status = launch(take_moments<T, N>, rows_grid(view), dim3(THREADS),
                                            stream, view, (const T *)x.data, norm->partials);
                if (status != cudaSuccess)
                    return status;
                return launch(join_parts, finish_grid(norm->channels), finish_block(view.parts),
                              stream, *norm, view, x);
            });
    });
}

/* A thread per channel. */
extern "C" cudaError_t kernel_batchnorm_running(const struct kernel_batchnorm *norm,
                                                cudaStream_t stream) {
    assert(norm->channels > 0);
    return launch(use_running, dim3((unsigned)(norm->channels + THREADS - 1) / THREADS),
                  dim3(THREADS), stream, *norm);
}

extern "C" cudaError_t kernel_batchnorm_apply(const struct kernel_batchnorm *norm, struct values y,
                                              struct values x, cudaStream_t stream) {
    assert(y.type == x.type && aligned(y.data) && aligned(x.data));
    return with_type(x.type, [&](auto type) {
        using T = typename decltype(type)::type;
        return with_rows<T>(
            norm->rows, norm->channels, ROWS_WALK, [&](auto width, struct rows_view view) {
                return launch(apply<T, decltype(width)::value>, rows_grid(view), dim3(THREADS),
                              stream, *norm, view, (T *)y.data, (const T *)x.data);
            });
    });
}

/* 8 KB of shared memory. */
extern "C" cudaError_t kernel_batchnorm_sums(const struct kernel_batchnorm *norm, struct values dy,
                                             struct values y, struct values x,
                                             cudaStream_t stream) {
    assert(dy.type == x.type && aligned(dy.data) && aligned(x.data));
    (void)y;
    return with_type(x.type, [&](auto type) {
        using T = typename decltype(type)::type;
        return with_rows<T>(
            norm->rows, norm->channels, ROWS_SUM, [&](auto width, struct rows_view view) {
                constexpr int N = decltype(width)::value;
                cudaError_t status =
                    launch(norm->relu ? sum_gradients<T, N, true> : sum_gradients<T, N, false>,
                           rows_grid(view), dim3(THREADS), stream, *norm, view, (const T *)dy.data,
                           (const T *)x.data);
                if (status != cudaSuccess)
                    return status;
                return launch(finish_gradients, finish_grid(norm->channels),
                              finish_block(view.parts), stream, *norm, view.parts);
            });
    });
}

extern "C" cudaError_t kernel_batchnorm_back(const struct kernel_batchnorm *norm, struct values dx,
                                             struct values dy, struct values y, struct values x,
                                             bool add, cudaStream_t stream) {
    assert(dx.type == x.type && dy.type == x.type);
    assert(aligned(dx.data) && aligned(dy.data) && aligned(x.data));
    (void)y;
    return with_type(x.type, [&](auto type) {
        using T = typename decltype(type)::type;
        return with_rows<T>(
            norm->rows, norm->channels, ROWS_WALK, [&](auto width, struct rows_view view) {
                constexpr int N = decltype(width)::value;
                return launch(norm->relu ? spread_gradients<T, N, true>
                                         : spread_gradients<T, N, false>,
                              rows_grid(view), dim3(THREADS), stream, *norm, view, (T *)dx.data,
                              (const T *)dy.data, (const T *)x.data, add);
            });
    });
}
