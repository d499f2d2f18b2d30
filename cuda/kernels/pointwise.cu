/* What is done value by value. All of it is bound by memory: 16 bytes per access, neighbouring
 * threads at neighbouring vectors, and what is left over at the end of the array value by value.
 *
 * Launchers: blocks of THREADS threads, at most BLOCKS_MAX, that walk over the array. Any count;
 * arrays at multiples of 16 bytes (asserted); no shared memory. */
#include "common/elementary.h"
#include "cuda/kernels/rows.cuh"
#include "cuda/kernels/values.cuh"

namespace {

/* --- kernels --------------------------------------------------------------------------------- */

/* operation.at<N>(i) does the N values from i on. */
template <int N, typename Operation>
__global__ void __launch_bounds__(THREADS, 4) over_values(Operation operation, size_t count) {
    size_t thread = (size_t)blockIdx.x * blockDim.x + threadIdx.x;
    size_t threads = (size_t)gridDim.x * blockDim.x, vectors = count / N;
    for (size_t i = thread; i < vectors; i += threads)
        operation.template at<N>(i * N);
    if (thread < count % N)
        operation.template at<1>(vectors * N + thread);
}

template <int N, typename Operation>
cudaError_t launch_over(Operation operation, size_t count, cudaStream_t stream) {
    unsigned blocks = blocks_for((count + N - 1) / N, THREADS, BLOCKS_MAX);
    return launch(over_values<N, Operation>, dim3(blocks), dim3(THREADS), stream, operation, count);
}

template <typename T> struct rectify {
    T *y;
    const T *x;
    template <int N> __device__ __forceinline__ void at(size_t i) const {
        pack<T, N> in = load<T, N>(x + i);
        float out[N];
#pragma unroll
        for (int k = 0; k < N; k++)
            out[k] = in.get(k) < 0.0f ? 0.0f : in.get(k); /* NaN stays */
        store_floats<T, N>(y + i, out);
    }
};

template <typename T> struct rectify_back {
    T *dx;
    const T *dy, *y;
    bool add;
    template <int N> __device__ __forceinline__ void at(size_t i) const {
        pack<T, N> gradient = load<T, N>(dy + i), gate = load<T, N>(y + i);
        float out[N];
#pragma unroll
        for (int k = 0; k < N; k++)
            out[k] = gate.get(k) > 0.0f ? gradient.get(k) : 0.0f;
        store_result<T, N>(dx + i, out, add);
    }
};

struct tanh_of {
    static __device__ __forceinline__ float value(float x) {
        return elementary_tanh(x);
    }
    static __device__ __forceinline__ float slope(float x) {
        return elementary_tanh_slope(x);
    }
};
struct sigmoid_of {
    static __device__ __forceinline__ float value(float x) {
        return elementary_sigmoid(x);
    }
    static __device__ __forceinline__ float slope(float x) {
        return elementary_sigmoid_slope(x);
    }
};
struct gelu_of {
    static __device__ __forceinline__ float value(float x) {
        return elementary_gelu(x);
    }
    static __device__ __forceinline__ float slope(float x) {
        return elementary_gelu_slope(x);
    }
};

template <typename T, typename Function> struct activate {
    T *y;
    const T *x;
    template <int N> __device__ __forceinline__ void at(size_t i) const {
        pack<T, N> in = load<T, N>(x + i);
        float out[N];
#pragma unroll
        for (int k = 0; k < N; k++)
            out[k] = Function::value(in.get(k));
        store_floats<T, N>(y + i, out);
    }
};

template <typename T, typename Function> struct activate_back {
    T *dx;
    const T *dy, *x;
    bool add;
    template <int N> __device__ __forceinline__ void at(size_t i) const {
        pack<T, N> gradient = load<T, N>(dy + i), in = load<T, N>(x + i);
        float out[N];
#pragma unroll
        for (int k = 0; k < N; k++)
            out[k] = gradient.get(k) * Function::slope(in.get(k));
        store_result<T, N>(dx + i, out, add);
    }
};

/* Calls `call` with the tag of the function. */
template <typename Call> cudaError_t with_function(enum kernel_function function, Call call) {
    return function == KERNEL_TANH      ? call(tag<tanh_of>{})
           : function == KERNEL_SIGMOID ? call(tag<sigmoid_of>{})
                                        : call(tag<gelu_of>{});
}

/* Two inputs of the sum's type: a residual connection. */
template <typename T> struct add_two {
    T *y;
    const T *a, *b;
    template <int N> __device__ __forceinline__ void at(size_t i) const {
        pack<T, N> left = load<T, N>(a + i), right = load<T, N>(b + i);
        float out[N];
#pragma unroll
        for (int k = 0; k < N; k++)
            out[k] = left.get(k) + right.get(k);
        store_floats<T, N>(y + i, out);
    }
};

template <typename T> struct add_many {
    T *y;
    struct values inputs[KERNEL_INPUTS];
    int input_count;
    template <int N> __device__ __forceinline__ void at(size_t i) const {
        float out[N];
#pragma unroll
        for (int input = 0; input < KERNEL_INPUTS; input++) {
            if (input >= input_count)
                break;
            float in[N];
            if (inputs[input].type == ELEMENT_BF16) {
                pack<bf16, N> packed = load<bf16, N>((const bf16 *)inputs[input].data + i);
#pragma unroll
                for (int k = 0; k < N; k++)
                    in[k] = packed.get(k);
            } else {
                pack<float, N> packed = load<float, N>((const float *)inputs[input].data + i);
#pragma unroll
                for (int k = 0; k < N; k++)
                    in[k] = packed.get(k);
            }
#pragma unroll
            for (int k = 0; k < N; k++)
                out[k] = input ? out[k] + in[k] : in[k];
        }
        store_floats<T, N>(y + i, out);
    }
};

template <typename T, typename U> struct copy {
    T *to;
    const U *from;
    bool add;
    template <int N> __device__ __forceinline__ void at(size_t i) const {
        pack<U, N> in = load<U, N>(from + i);
        float out[N];
#pragma unroll
        for (int k = 0; k < N; k++)
            out[k] = in.get(k);
        store_result<T, N>(to + i, out, add);
    }
};

/* y [rows][channels] += bias, then rectified. */
template <typename T, int N>
__global__ void __launch_bounds__(THREADS)
    add_bias(struct rows_view view, T *y, const float *bias, bool relu) {
    struct rows_place place = rows_place_of(view);
    if (!place.works)
        return;
    float added[N];
    load_channels<N>(added, bias, view, place);
    each_row<4>(view, place, [&](size_t row, auto rows) {
        constexpr int count = decltype(rows)::value;
        pack<T, N> in[count];
#pragma unroll
        for (int r = 0; r < count; r++)
            in[r] = load<T, N>(y + row_at<N>(view, place, row, r));
#pragma unroll
        for (int r = 0; r < count; r++) {
            float out[N];
#pragma unroll
            for (int k = 0; k < N; k++) {
                float value = in[r].get(k) + added[k];
                out[k] = relu && value < 0.0f ? 0.0f : value;
            }
            store_floats<T, N>(y + row_at<N>(view, place, row, r), out);
        }
    });
}

} // namespace

/* --- launchers ------------------------------------------------------------------------------- */

extern "C" cudaError_t kernel_relu(struct values y, struct values x, size_t count,
                                   cudaStream_t stream) {
    assert(y.type == x.type && aligned(y.data) && aligned(x.data));
    return with_type(y.type, [&](auto type) {
        using T = typename decltype(type)::type;
        return launch_over<vector_width<T>()>(rectify<T>{(T *)y.data, (const T *)x.data}, count,
                                              stream);
    });
}

extern "C" cudaError_t kernel_relu_back(struct values dx, struct values dy, struct values y,
                                        size_t count, bool add, cudaStream_t stream) {
    assert(dx.type == dy.type && dx.type == y.type);
    assert(aligned(dx.data) && aligned(dy.data) && aligned(y.data));
    return with_type(dx.type, [&](auto type) {
        using T = typename decltype(type)::type;
        rectify_back<T> operation = {(T *)dx.data, (const T *)dy.data, (const T *)y.data, add};
        return launch_over<vector_width<T>()>(operation, count, stream);
    });
}

extern "C" cudaError_t kernel_activate(struct values y, struct values x,
                                       enum kernel_function function, size_t count,
                                       cudaStream_t stream) {
    assert(y.type == x.type && aligned(y.data) && aligned(x.data));
    return with_function(function, [&](auto which) {
        return with_type(y.type, [&](auto type) {
            using T = typename decltype(type)::type;
            using F = typename decltype(which)::type;
            return launch_over<vector_width<T>()>(activate<T, F>{(T *)y.data, (const T *)x.data},
                                                  count, stream);
        });
    });
}

extern "C" cudaError_t kernel_activate_back(struct values dx, struct values dy, struct values x,
                                            enum kernel_function function, size_t count, bool add,
                                            cudaStream_t stream) {
    assert(dx.type == dy.type && dx.type == x.type);
    assert(aligned(dx.data) && aligned(dy.data) && aligned(x.data));
    return with_function(function, [&](auto which) {
        return with_type(dx.type, [&](auto type) {
            using T = typename decltype(type)::type;
            using F = typename decltype(which)::type;
            activate_back<T, F> operation = {(T *)dx.data, (const T *)dy.data, (const T *)x.data,
                                             add};
            return launch_over<vector_width<T>()>(operation, count, stream);
        });
    });
}

/* Eight values at a time where types are mixed. */
extern "C" cudaError_t kernel_add(struct values y, const struct values *inputs, int input_count,
                                  size_t count, cudaStream_t stream) {
    assert(input_count >= 1 && input_count <= KERNEL_INPUTS && aligned(y.data));
    bool alike = true;
    for (int i = 0; i < input_count; i++) {
        assert(aligned(inputs[i].data));
        alike = alike && inputs[i].type == y.type;
    }
    return with_type(y.type, [&](auto type) {
        using T = typename decltype(type)::type;
        if (alike && input_count == 2)
            return launch_over<vector_width<T>()>(
                add_two<T>{(T *)y.data, (const T *)inputs[0].data, (const T *)inputs[1].data},
                count, stream);
        add_many<T> operation = {};
        operation.y = (T *)y.data;
        operation.input_count = input_count;
        for (int i = 0; i < input_count; i++)
            operation.inputs[i] = inputs[i];
        return launch_over<8>(operation, count, stream);
    });
}

extern "C" cudaError_t kernel_copy(struct values to, struct values from, size_t count, bool add,
                                   cudaStream_t stream) {
    assert(aligned(to.data) && aligned(from.data));
    return with_type(to.type, [&](auto to_type) {
        return with_type(from.type, [&](auto from_type) {
            using T = typename decltype(to_type)::type;
            using U = typename decltype(from_type)::type;
            return launch_over<vector_width<T, U>()>(
                copy<T, U>{(T *)to.data, (const U *)from.data, add}, count, stream);
        });
    });
}

/* Grid of rows.cuh. */
extern "C" cudaError_t kernel_bias(struct values y, const float *bias, size_t rows, int channels,
                                   bool relu, cudaStream_t stream) {
    assert(aligned(y.data));
    return with_type(y.type, [&](auto type) {
        using T = typename decltype(type)::type;
        return with_rows<T>(rows, channels, ROWS_WALK, [&](auto width, struct rows_view view) {
            constexpr int N = decltype(width)::value;
            return launch(add_bias<T, N>, rows_grid(view), dim3(THREADS), stream, view, (T *)y.data,
                          bias, relu);
        });
    });
}
