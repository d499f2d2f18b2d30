/* The arithmetic of the emulated cuDNN: convolutions and pointwise operations on strided arrays, by
 * plain loops. Knows nothing of descriptors. */
#ifndef TESTS_EMULATOR_CUDNN_LOOPS_HPP
#define TESTS_EMULATOR_CUDNN_LOOPS_HPP

#include <cstdint>
#include <cuda_bf16.h>
#include <cudnn.h>
#include <memory>
#include <vector>

namespace {

enum engine_number { WAVERING, ROUNDING, UNFIT, GOOD };

/* A tensor, and where it lies while a plan runs. */
struct array {
    int64_t uid, dims[4], strides[4];
    bool bf16, is_virtual;
    std::shared_ptr<std::vector<float>> own; /* virtual: dense in dims' order */
    char *place;

    int64_t at(int64_t n, int64_t c, int64_t h, int64_t w) const {
        return n * strides[0] + c * strides[1] + h * strides[2] + w * strides[3];
    }
    float get(int64_t i) const {
        if (bf16)
            return __bfloat162float(((const __nv_bfloat16 *)(const void *)place)[i]);
        return ((const float *)(const void *)place)[i];
    }
    void put(int64_t i, float value) const {
        if (bf16)
            ((__nv_bfloat16 *)(void *)place)[i] = __float2bfloat16_rn(value);
        else
            ((float *)(void *)place)[i] = value;
    }
};

struct convolution {
    int64_t stride[2], padding[2];
};

/* Calls visit(n, k, c, y, x, p, q, r, s) for each product of a convolution, the sums' order fixed.
 */
template <typename Visit>
void products(const array &x, const array &w, const array &y, const convolution &conv,
              Visit visit) {
    for (int64_t n = 0; n < y.dims[0]; n++)
        for (int64_t p = 0; p < y.dims[2]; p++)
            for (int64_t q = 0; q < y.dims[3]; q++)
                for (int64_t r = 0; r < w.dims[2]; r++)
                    for (int64_t s = 0; s < w.dims[3]; s++) {
                        int64_t h = p * conv.stride[0] + r - conv.padding[0];
                        int64_t v = q * conv.stride[1] + s - conv.padding[1];
                        if (h >= 0 && h < x.dims[2] && v >= 0 && v < x.dims[3])
                            visit(n, p, q, r, s, h, v);
                    }
}

float rounded(float value, int engine) {
    return engine == ROUNDING ? __bfloat162float(__float2bfloat16_rn(value)) : value;
}

/* Copies to and from plain float arrays in n, c, h, w order with channels innermost, so that the
 * loops below are the same for every layout. */
struct plain {
    std::vector<float> data;
    int64_t c, h, w;
    explicit plain(const array &a) : c(a.dims[1]), h(a.dims[2]), w(a.dims[3]) {
        data.assign((size_t)(a.dims[0] * c * h * w), 0.0f);
    }
    float *row(int64_t n, int64_t y, int64_t x) {
        return data.data() + ((n * h + y) * w + x) * c;
    }
};
plain load(const array &a, int engine) {
    plain made(a);
    for (int64_t n = 0; n < a.dims[0]; n++)
        for (int64_t y = 0; y < made.h; y++)
            for (int64_t x = 0; x < made.w; x++)
                for (int64_t c = 0; c < made.c; c++)
                    made.row(n, y, x)[c] = rounded(a.get(a.at(n, c, y, x)), engine);
    return made;
}
void store(const array &a, plain &from) {
    for (int64_t n = 0; n < a.dims[0]; n++)
        for (int64_t y = 0; y < from.h; y++)
            for (int64_t x = 0; x < from.w; x++)
                for (int64_t c = 0; c < from.c; c++)
                    a.put(a.at(n, c, y, x), from.row(n, y, x)[c]);
}

void conv_forward(const array &xa, const array &wa, const array &ya, const convolution &conv,
                  int engine) {
    plain x = load(xa, engine), w = load(wa, engine), y(ya);
    std::vector<float> turned(w.data.size()); /* [r][s][in][out]: the inner loop is over outputs */
    for (int64_t k = 0; k < y.c; k++)
        for (int64_t i = 0; i < w.h * w.w * w.c; i++)
            turned[(size_t)(i * y.c + k)] = w.data[(size_t)(k * w.h * w.w * w.c + i)];
    products(xa, wa, ya, conv,
             [&](int64_t n, int64_t p, int64_t q, int64_t r, int64_t s, int64_t h, int64_t v) {
                 const float *in = x.row(n, h, v);
                 float *out = y.row(n, p, q);
                 for (int64_t c = 0; c < x.c; c++) {
                     const float *weight = turned.data() + ((r * w.w + s) * x.c + c) * y.c;
                     for (int64_t k = 0; k < y.c; k++)
                         out[k] += in[c] * weight[k];
                 }
             });
    store(ya, y);
}
void conv_data(const array &xa, const array &wa, const array &ya, const convolution &conv,
               int engine) {
    plain x(xa), w = load(wa, engine), y = load(ya, engine);
    products(xa, wa, ya, conv,
             [&](int64_t n, int64_t p, int64_t q, int64_t r, int64_t s, int64_t h, int64_t v) {
                 float *in = x.row(n, h, v);
                 const float *out = y.row(n, p, q);
                 for (int64_t k = 0; k < y.c; k++) {
                     const float *weight = w.row(k, r, s);
                     for (int64_t c = 0; c < x.c; c++)
                         in[c] += out[k] * weight[c];
                 }
             });
    store(xa, x);
}
void conv_filter(const array &xa, const array &wa, const array &ya, const convolution &conv,
                 int engine) {
    plain x = load(xa, engine), w(wa), y = load(ya, engine);
    products(xa, wa, ya, conv,
             [&](int64_t n, int64_t p, int64_t q, int64_t r, int64_t s, int64_t h, int64_t v) {
                 const float *in = x.row(n, h, v), *out = y.row(n, p, q);
                 for (int64_t k = 0; k < y.c; k++) {
                     float *weight = w.row(k, r, s);
                     for (int64_t c = 0; c < x.c; c++)
                         weight[c] += out[k] * in[c];
                 }
             });
    store(wa, w);
}

/* y = f(a, b), b broadcast where it has one value in a dimension. */
template <typename F> void pointwise(const array &y, const array &a, const array &b, F f) {
    for (int64_t n = 0; n < y.dims[0]; n++)
        for (int64_t c = 0; c < y.dims[1]; c++)
            for (int64_t h = 0; h < y.dims[2]; h++)
                for (int64_t w = 0; w < y.dims[3]; w++) {
                    int64_t i = b.at(b.dims[0] > 1 ? n : 0, b.dims[1] > 1 ? c : 0,
                                     b.dims[2] > 1 ? h : 0, b.dims[3] > 1 ? w : 0);
                    y.put(y.at(n, c, h, w), f(a.get(a.at(n, c, h, w)), b.get(i)));
                }
}

/* One operation of a graph, by value: its descriptors may be gone when it runs. */
struct operation {
    cudnnBackendDescriptorType_t type;
    cudnnPointwiseMode_t mode;
    convolution conv;
    array arrays[4]; /* x, w, y of a convolution; x, b, y, dy of a pointwise one */
};

void run(const operation &o, int engine) {
    const array &x = o.arrays[0], &w = o.arrays[1], &y = o.arrays[2];
    switch (o.type) {
    case CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR:
        return conv_forward(x, w, y, o.conv, engine);
    case CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR:
        return conv_data(x, w, y, o.conv, engine);
    case CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR:
        return conv_filter(x, w, y, o.conv, engine);
    default:
        break;
    }
    if (o.mode == CUDNN_POINTWISE_ADD)
        pointwise(y, x, w, [](float a, float b) { return a + b; });
    else if (o.mode == CUDNN_POINTWISE_RELU_FWD)
        pointwise(y, x, x, [](float a, float) { return a < 0 ? 0 : a; });
    else
        pointwise(y, x, w, [](float a, float dy) { return a > 0 ? dy : 0; });
}

} // namespace

#endif
