/* The exponential, the logistic function, tanh and the normal distribution, from additions,
 * multiplications, divisions and bits alone: the same numbers whatever the version of libm and the
 * processor (libm's own are not rounded correctly and differ between versions), and loops over them
 * become vectors. Included by both engines; a device may contract a * b + c, which changes last
 * bits.
 *
 * Errors are against the exact value, over all floats (tests/common/test_elementary.c), where
 * nothing is contracted. NaN stays NaN; infinities give the limits. The polynomials are fitted at
 * Chebyshev nodes. */
#ifndef COMMON_ELEMENTARY_H
#define COMMON_ELEMENTARY_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#ifdef __CUDACC__
#define ELEMENTARY static __host__ __device__ __forceinline__
#else
#define ELEMENTARY static inline __attribute__((always_inline))
#endif

/* condition ? a : b, both of which are there: without a branch, so that loops become vectors even
 * where the compiler has to keep floating-point exceptions. */
ELEMENTARY float elementary_select(int condition, float a, float b) {
    uint32_t mask = 0u - (uint32_t)(condition != 0), bits_a, bits_b;
    memcpy(&bits_a, &a, sizeof bits_a);
    memcpy(&bits_b, &b, sizeof bits_b);
    bits_a = (bits_a & mask) | (bits_b & ~mask);
    memcpy(&a, &bits_a, sizeof a);
    return a;
}

/* e^x for x ≤ 0, within 1.5 units in the last place (ulp); 0 below -87, where it would be
 * subnormal. With x = n ln 2 + r and |r| ≤ ln 2 / 2 it is 2^n e^r; ln 2 is taken in two parts, so
 * that r is exact (Cody & Waite 1980). Adding 1.5 · 2^23 rounds to a whole number, which then
 * stands in the last bits of the sum. */
ELEMENTARY float elementary_exp(float x) {
    float sum = x * 1.44269504f + 12582912.0f, n = sum - 12582912.0f;
    float r = (x - n * 0.693359375f) + n * 2.12194440e-4f;
    float p = 0.001392617612f;
    p = p * r + 0.008363173075f;
    p = p * r + 0.04166655466f;
    p = p * r + 0.1666657703f;
    p = p * r + 0.5f;
    uint32_t bits;
    memcpy(&bits, &sum, sizeof bits);
    bits = (bits - 0x4b400000u + 127u) << 23;
    float power;
    memcpy(&power, &bits, sizeof power);
    float value = (r * r * p + r + 1.0f) * power;
    return elementary_select(x < -87.0f, 0.0f, value);
}

/* 1 / (1 + e^-x), and its slope: within 3 and 5 ulp; the slope is 0 where e^-|x| is. */
ELEMENTARY float elementary_sigmoid(float x) {
    float e = elementary_exp(-fabsf(x)), s = 1.0f / (1.0f + e);
    return elementary_select(x < 0.0f, e * s, s);
}
ELEMENTARY float elementary_sigmoid_slope(float x) {
    float e = elementary_exp(-fabsf(x)), s = 1.0f / (1.0f + e);
    return e * s * s;
}

/* Within 2 ulp: near 0 by a polynomial in x², elsewhere from e^-2|x|. The slope, 1 - tanh² without
 * its cancellation: within 5 ulp, and 0 where e^-2|x| is. */
ELEMENTARY float elementary_tanh(float x) {
    float square = x * x;
    float p = -0.006096714166f;
    p = p * square + 0.020997179f;
    p = p * square - 0.05385090958f;
    p = p * square + 0.1333276974f;
    p = p * square - 0.3333332894f;
    float near = x + x * (square * p);
    float e = elementary_exp(-2.0f * fabsf(x)), far = (1.0f - e) / (1.0f + e);
    far = elementary_select(x < 0.0f, -far, far);
    return elementary_select(fabsf(x) < 0.625f, near, far);
}
ELEMENTARY float elementary_tanh_slope(float x) {
    float e = elementary_exp(-2.0f * fabsf(x)), s = 1.0f / (1.0f + e);
    return 4.0f * e * (s * s);
}

/* The standard normal distribution's share below x, (1 + erf(x / √2)) / 2; sets *density to
 * e^(-x²/2) / √(2π). Absolute error 3e-7, relative error 1e-5: x² is rounded.
 * For x < 0 it is e^(-x²/2) t P(t) with t = 1 / (1 + 0.27 |x|): the form of Hastings 1955, with a
 * polynomial of our own. */
ELEMENTARY float elementary_normal(float x, float *density) {
    float t = 1.0f / (1.0f + 0.27f * fabsf(x)), e = elementary_exp(-0.5f * (x * x));
    float p = 0.02910702821f;
    p = p * t - 0.1272421198f;
    p = p * t + 0.1714446873f;
    p = p * t - 0.0712139169f;
    p = p * t + 0.1092772064f;
    p = p * t + 0.07140606258f;
    p = p * t + 0.101980367f;
    p = p * t + 0.1075186033f;
    p = p * t + 0.1077220931f;
    float tail = e * (t * p);
    *density = e * 0.39894228f;
    return elementary_select(x < 0.0f, tail, 1.0f - tail);
}

/* x Φ(x), the Gaussian error linear unit, exact form (Hendrycks & Gimpel 2016; PyTorch's default),
 * and its slope Φ(x) + x φ(x). Absolute errors 2e-7 · max(1, |x|) and 4e-7. */
ELEMENTARY float elementary_gelu(float x) {
    float density, share = elementary_normal(x, &density);
    return elementary_select(share > 0.0f, x * share, share); /* -inf · 0 */
}
ELEMENTARY float elementary_gelu_slope(float x) {
    float density, share = elementary_normal(x, &density);
    return elementary_select(density > 0.0f, share + x * density, share);
}

#endif
