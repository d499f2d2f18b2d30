/* How kernels over [rows][channels] are spread over blocks, where each thread keeps to its channels
 * and walks down the rows: what belongs to a channel is loaded, or summed, in registers.
 *
 * A row is cut into vectors of N neighbouring values. Where N does not divide the channels, up to
 * N rows are taken for one longer row (`fold`), so that few channels have whole vectors as well.
 * A block has `tall` × `lanes` threads that work: lanes across, tall rows down. The grid has
 * `parts` bands of rows × `columns` bands of channels. All of it depends on the shape alone. */
#ifndef CUDA_KERNELS_ROWS_CUH
#define CUDA_KERNELS_ROWS_CUH

#include "cuda/kernels/values.cuh"

struct rows_view {
    size_t rows;       /* rows / fold */
    int channels;      /* as they are */
    int fold;          /* rows that lie in one row of the view */
    int groups;        /* vectors of one row of the view */
    int lanes, tall;   /* lanes * tall <= THREADS */
    int step;          /* first of a tree over tall: the greatest power of 2 below it, or 0 */
    unsigned columns;  /* lanes * columns >= groups */
    unsigned parts;    /* 1 … rows */
    size_t part_rows;  /* of each part … */
    size_t long_parts; /* … and one more in the first so many */
};

/* What the bands of rows are for. */
enum rows_use {
    ROWS_WALK, /* every value is written: many blocks */
    ROWS_SUM   /* each band leaves partial sums: kernel_partials counts on rows_parts */
};

#define PART_VALUES 8192    /* of a band of sums: four vectors of bf16 for each thread */
#define SINGLE_VALUES 32768 /* up to so many are not worth a second kernel */
#define PARTS_MAX 1056      /* 8 blocks for each of 132 processors */

/* Bands of sums; at most one for 8 rows, so that none is empty however rows are folded. */
static inline unsigned rows_parts(size_t rows, int channels) {
    size_t values = rows * (size_t)channels, parts = (values + PART_VALUES - 1) / PART_VALUES;
    if (values <= SINGLE_VALUES || rows < 16)
        return 1;
    parts = parts < PARTS_MAX ? parts : PARTS_MAX;
    return (unsigned)(parts < rows / 8 ? parts : rows / 8);
}

template <int N>
struct rows_view rows_view_of(size_t rows, int channels, int fold, enum rows_use use) {
    struct rows_view view = {};
    view.rows = rows / (size_t)fold;
    view.channels = channels;
    view.fold = fold;
    view.groups = channels * fold / N;
    view.columns = (unsigned)((view.groups + THREADS - 1) / THREADS);
    view.lanes = (view.groups + (int)view.columns - 1) / (int)view.columns;
    view.tall = THREADS / view.lanes;
    view.step = view.tall > 1 ? 1 : 0;
    while (view.step > 0 && 2 * view.step < view.tall)
        view.step *= 2;
    view.parts = use == ROWS_SUM ? rows_parts(rows, channels)
                                 : blocks_for(view.rows, 4 * (size_t)view.tall,
                                              (BLOCKS_MAX + view.columns - 1) / view.columns);
    view.part_rows = view.rows / view.parts;
    view.long_parts = view.rows % view.parts;
    return view;
}

/* Calls `call` with the vector's width, 16 bytes of T or 1, and the view. The array must lie at a
 * multiple of 16 bytes. */
template <typename T, typename Call>
cudaError_t with_rows(size_t rows, int channels, enum rows_use use, Call call) {
    constexpr int width = vector_width<T>();
    int fold = 1;
    assert(rows > 0 && channels > 0);
    while (channels * fold % width)
        fold *= 2;
    if (fold == 1 || (rows % (size_t)fold == 0 && channels * fold / width <= THREADS))
        return call(std::integral_constant<int, width>{},
                    rows_view_of<width>(rows, channels, fold, use));
    return call(std::integral_constant<int, 1>{}, rows_view_of<1>(rows, channels, 1, use));
}

static inline dim3 rows_grid(const struct rows_view &view) {
    return dim3(view.parts, view.columns);
}

/* --- on the device --------------------------------------------------------------------------- */

struct rows_place {
    bool works;
    int group;         /* vector within a row */
    int down;          /* row within the block */
    size_t first, end; /* rows of the view that are this block's */
};

__device__ __forceinline__ size_t rows_first(const struct rows_view &view, size_t part) {
    return part * view.part_rows + (part < view.long_parts ? part : view.long_parts);
}

/* Rows of the array, not of the view. */
__device__ __forceinline__ size_t rows_of_part(const struct rows_view &view, size_t part) {
    return (view.part_rows + (part < view.long_parts ? 1 : 0)) * (size_t)view.fold;
}

__device__ __forceinline__ struct rows_place rows_place_of(const struct rows_view &view) {
    struct rows_place place;
    int across = (int)threadIdx.x % view.lanes;
    place.down = (int)threadIdx.x / view.lanes;
    place.group = (int)blockIdx.y * view.lanes + across;
    place.works = place.down < view.tall && place.group < view.groups;
    place.first = rows_first(view, blockIdx.x);
    place.end = rows_first(view, blockIdx.x + 1);
    return place;
}

/* Channel of value k of this thread's vectors is what `first` is followed by, k times. */
struct channel {
    int at, channels;
    __device__ __forceinline__ void next() {
        at = at + 1 == channels ? 0 : at + 1;
    }
};
template <int N>
__device__ __forceinline__ struct channel first_channel(const struct rows_view &view, int group) {
    return {view.fold == 1 ? group * N : group * N % view.channels, view.channels};
}

/* What `from` [channels] has for this thread's vectors; zeros where from is NULL. */
template <int N, typename T>
__device__ __forceinline__ void load_channels(float (&to)[N], const T *from,
                                              const struct rows_view &view,
                                              const struct rows_place &place) {
    struct channel channel = first_channel<N>(view, place.group);
#pragma unroll
    for (int k = 0; k < N; k++) {
        to[k] = from ? load<T, 1>(from + channel.at).get(0) : 0.0f;
        channel.next();
    }
}

/* Index of this thread's vector in the row that is `more` steps below `row`. */
template <int N>
__device__ __forceinline__ size_t row_at(const struct rows_view &view,
                                         const struct rows_place &place, size_t row, int more) {
    return ((row + (size_t)(more * view.tall)) * (size_t)view.groups + (size_t)place.group) * N;
}

/* Calls body(row, rows) for this thread's rows: U of them at a time, row, row + tall, …, so that
 * the body can have U loads under way; the last ones singly. `rows` is an integral constant. */
template <int U, typename Body>
__device__ __forceinline__ void each_row(const struct rows_view &view,
                                         const struct rows_place &place, Body body) {
    size_t row = place.first + (size_t)place.down, tall = (size_t)view.tall;
    for (; row + (U - 1) * tall < place.end; row += U * tall)
        body(row, std::integral_constant<int, U>{});
    for (; row < place.end; row += tall)
        body(row, std::integral_constant<int, 1>{});
}

/* After a sum down the block: calls body(channel, first) for each of this block's channels, where
 * value `first` of the block's view row, and fold - 1 more at steps of `channels`, belong to it.
 * (Rows are folded only where one block has them whole.) */
template <int N, typename Body>
__device__ __forceinline__ void each_channel(const struct rows_view &view, Body body) {
    int start = (int)blockIdx.y * view.lanes * N, left = view.groups * N - start;
    int here = (left < view.lanes * N ? left : view.lanes * N) / view.fold;
    for (int i = (int)threadIdx.x; i < here; i += THREADS)
        body(start + i, i);
}

#endif
