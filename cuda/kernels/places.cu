/* Values that only change places: in and out of concatenations, and transposes.
 *
 * The index arithmetic of these is 32 bits wide within a slice of the batch: values.cuh, pieces. */
#include "cuda/kernels/values.cuh"

#define TILE 32
#define TILE_ROWS 8

namespace {

/* --- concatenations -------------------------------------------------------------------------- */

/* Copies N values at a time between `own` and its places in `joined`. A piece of work is a vector
 * of own, or with `by_place` a value, in the order of joined: whole channels one after the other.
 */
template <typename T, typename U, int N>
__global__ void __launch_bounds__(THREADS)
    join(struct pieces pieces, T *joined, const U *own, struct kernel_piece piece, bool by_place) {
    unsigned groups = (unsigned)piece.channels / N, pixels = (unsigned)piece.pixels;
    each_piece(pieces, [&](unsigned sample, unsigned i) {
        unsigned pixel = by_place ? i % pixels : i / groups;
        unsigned channel = by_place ? i / pixels : i % groups * N;
        size_t at = (size_t)sample * (size_t)piece.joined +
                    (size_t)(piece.first + (int)pixel * piece.pixel_step +
                             (int)channel * piece.channel_step);
        pack<U, N> in = load<U, N>(
            own + ((size_t)sample * pixels + pixel) * (unsigned)piece.channels + channel);
        float out[N];
#pragma unroll
        for (int k = 0; k < N; k++)
            out[k] = in.get(k);
        store_floats<T, N>(joined + at, out);
    });
}

template <typename T, typename U, int N>
__global__ void __launch_bounds__(THREADS)
    part(struct pieces pieces, T *own, const U *joined, struct kernel_piece piece, bool add) {
    unsigned groups = (unsigned)piece.channels / N, pixels = (unsigned)piece.pixels;
    each_piece(pieces, [&](unsigned sample, unsigned i) {
        unsigned pixel = i / groups, channel = i % groups * N;
        size_t at = (size_t)sample * (size_t)piece.joined +
                    (size_t)(piece.first + (int)pixel * piece.pixel_step +
                             (int)channel * piece.channel_step);
        pack<U, N> in = load<U, N>(joined + at);
        float out[N];
#pragma unroll
        for (int k = 0; k < N; k++)
            out[k] = in.get(k);
        store_result<T, N>(
            own + ((size_t)sample * pixels + pixel) * (unsigned)piece.channels + channel, out, add);
    });
}

/* Whether vectors of `width` channels are vectors in the concatenation as well. */
bool keeps_vectors(const struct kernel_piece &piece, int width) {
    return piece.channel_step == 1 && piece.channels % width == 0 && piece.first % width == 0 &&
           piece.joined % width == 0 && (piece.pixels == 1 || piece.pixel_step % width == 0);
}

/* --- transposes ------------------------------------------------------------------------------ */

/* A block takes one TILE × TILE tile of one sample through shared memory, so that both sides are
 * read and written along rows. The extra column keeps the columns of the tile in different banks.
 */
template <typename T, typename U>
__global__ void __launch_bounds__(TILE *TILE_ROWS)
    transpose(T *to, const U *from, int rows, int columns, bool add) {
    __shared__ float tile[TILE][TILE + 1];
    int across = (columns + TILE - 1) / TILE;
    int row = (int)blockIdx.x / across * TILE, column = (int)blockIdx.x % across * TILE;
    int x = (int)threadIdx.x % TILE, y = (int)threadIdx.x / TILE;
    size_t sample = (size_t)blockIdx.y * (size_t)rows * (size_t)columns;
    for (int i = y; i < TILE; i += TILE_ROWS)
        if (row + i < rows && column + x < columns)
            tile[i][x] =
                load<U, 1>(from + sample + (size_t)(row + i) * (size_t)columns + (column + x))
                    .get(0);
    __syncthreads();
    for (int i = y; i < TILE; i += TILE_ROWS)
        if (column + i < columns && row + x < rows) {
            float out[1] = {tile[x][i]};
            store_result<T, 1>(to + sample + (size_t)(column + i) * (size_t)rows + (row + x), out,
                               add);
        }
}

void check(const struct kernel_piece *piece) {
    assert(piece->batch > 0 && piece->pixels > 0 && piece->channels > 0);
    assert(piece->first + (piece->pixels - 1) * piece->pixel_step +
               (piece->channels - 1) * piece->channel_step <
           piece->joined);
    (void)piece;
}

/* Calls `call` with 16 bytes of the narrower type, or 1. */
template <typename T, typename U, typename Call>
cudaError_t with_width(const struct kernel_piece &piece, Call call) {
    constexpr int width = vector_width<T, U>();
    return keeps_vectors(piece, width) ? call(std::integral_constant<int, width>{})
                                       : call(std::integral_constant<int, 1>{});
}

} // namespace

/* --- launchers ------------------------------------------------------------------------------- */

/* A thread per vector of 16 bytes where places allow, otherwise per value; walking. Arrays at
 * multiples of 16 bytes (asserted). The same for kernel_part. */
extern "C" cudaError_t kernel_join(struct values joined, struct values own,
                                   const struct kernel_piece *piece, cudaStream_t stream) {
    check(piece);
    assert(aligned(joined.data) && aligned(own.data));
    return with_type(joined.type, [&](auto to) {
        return with_type(own.type, [&](auto from) {
            using T = typename decltype(to)::type;
            using U = typename decltype(from)::type;
            return with_width<T, U>(*piece, [&](auto width) {
                constexpr int N = decltype(width)::value;
                struct pieces pieces =
                    pieces_of(piece->batch, (size_t)piece->pixels * (size_t)(piece->channels / N));
                return launch(join<T, U, N>, pieces_grid(pieces), dim3(THREADS), stream, pieces,
                              (T *)joined.data, (const U *)own.data, *piece,
                              piece->channel_step != 1);
            });
        });
    });
}

extern "C" cudaError_t kernel_part(struct values own, struct values joined,
                                   const struct kernel_piece *piece, bool add,
                                   cudaStream_t stream) {
    check(piece);
    assert(aligned(joined.data) && aligned(own.data));
    return with_type(own.type, [&](auto to) {
        return with_type(joined.type, [&](auto from) {
            using T = typename decltype(to)::type;
            using U = typename decltype(from)::type;
            return with_width<T, U>(*piece, [&](auto width) {
                constexpr int N = decltype(width)::value;
                struct pieces pieces =
                    pieces_of(piece->batch, (size_t)piece->pixels * (size_t)(piece->channels / N));
                return launch(part<T, U, N>, pieces_grid(pieces), dim3(THREADS), stream, pieces,
                              (T *)own.data, (const U *)joined.data, *piece, add);
            });
        });
    });
}

/* A block of 256 threads per tile, x, and sample, y: at most 65535 samples (asserted). 4.2 KB of
 * shared memory. */
extern "C" cudaError_t kernel_transpose(struct values to, struct values from, int batch, int rows,
                                        int columns, bool add, cudaStream_t stream) {
    assert(batch > 0 && batch <= 65535 && rows > 0 && columns > 0);
    unsigned tiles = (unsigned)((rows + TILE - 1) / TILE) * (unsigned)((columns + TILE - 1) / TILE);
    return with_type(to.type, [&](auto to_type) {
        return with_type(from.type, [&](auto from_type) {
            using T = typename decltype(to_type)::type;
            using U = typename decltype(from_type)::type;
            return launch(transpose<T, U>, dim3(tiles, (unsigned)batch), dim3(TILE * TILE_ROWS),
                          stream, (T *)to.data, (const U *)from.data, rows, columns, add);
        });
    });
}
