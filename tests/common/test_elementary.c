/* The errors that elementary.h states, against libm in double precision; limits; and last bits,
 * which hold on every machine. */
#include "common/elementary.h"

#include <criterion/criterion.h>
#include <stdbool.h>

static double exact_sigmoid(double x) {
    return 1 / (1 + exp(-x));
}
static double exact_sigmoid_slope(double x) {
    double e = exp(-fabs(x));
    return e / ((1 + e) * (1 + e));
}
static double exact_tanh_slope(double x) {
    return 4 * exact_sigmoid_slope(2 * x);
}
static double exact_normal(double x) {
    return 0.5 * erfc(-x / sqrt(2));
}
static double exact_gelu(double x) {
    return x * exact_normal(x);
}
static double exact_gelu_slope(double x) {
    return exact_normal(x) + x * exp(-x * x / 2) / sqrt(2 * acos(-1));
}

static float ours_exp(float x) {
    return elementary_exp(x);
}
static float ours_sigmoid(float x) {
    return elementary_sigmoid(x);
}
static float ours_sigmoid_slope(float x) {
    return elementary_sigmoid_slope(x);
}
static float ours_tanh(float x) {
    return elementary_tanh(x);
}
static float ours_tanh_slope(float x) {
    return elementary_tanh_slope(x);
}
static float ours_normal(float x) {
    float density;
    return elementary_normal(x, &density);
}
static float ours_gelu(float x) {
    return elementary_gelu(x);
}
static float ours_gelu_slope(float x) {
    return elementary_gelu_slope(x);
}

/* clang-format off */
static const struct {
    const char *name;
    float (*ours)(float);
    double (*exact)(double);
    float least, most;  /* arguments that are tried */
    double ulps;        /* bound, or 0 */
    double absolute;    /* bound over max(1, |x|), or 0 */
    double relative;    /* bound, or 0 */
    float at[3];        /* at -inf, 0, inf */
} rows[] = {
    {"exp",           ours_exp,           exp,                 -87, 0,    1.5, 0,    0,    {0, 1, 0}},
    {"sigmoid",       ours_sigmoid,       exact_sigmoid,       -86, 1e30f, 3,  0,    0,    {0, 0.5f, 1}},
    {"sigmoid slope", ours_sigmoid_slope, exact_sigmoid_slope, -86, 86,   5,   0,    0,    {0, 0.25f, 0}},
    {"tanh",          ours_tanh,          tanh,                -1e30f, 1e30f, 2, 0,  0,    {-1, 0, 1}},
    {"tanh slope",    ours_tanh_slope,    exact_tanh_slope,    -43, 43,   5,   0,    0,    {0, 1, 0}},
    {"normal",        ours_normal,        exact_normal,        -13, 1e30f, 0,  3e-7, 1e-5, {0, 0.5f, 1}},
    {"gelu",          ours_gelu,          exact_gelu,          -13, 1e30f, 0,  2e-7, 1e-5, {0, 0, INFINITY}},
    {"gelu slope",    ours_gelu_slope,    exact_gelu_slope,    -13, 13,   0,   4e-7, 0,    {0, 0.5f, 1}},
};
/* clang-format on */
#define ROWS (sizeof rows / sizeof *rows)

static double ulp_of(double value) {
    int exponent;
    frexp(fmax(fabs(value), 0x1p-126), &exponent);
    return ldexp(1, exponent - 24);
}

static float float_of(uint32_t bits) {
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* Every 1009th float: all exponents, both signs. */
Test(elementary, errors) {
    for (size_t r = 0; r < ROWS; r++) {
        double ulps = 0, absolute = 0, relative = 0;
        for (uint32_t bits = 0; bits < 0xff800000u; bits += 1009) {
            float x = float_of(bits);
            if (!(x >= rows[r].least && x <= rows[r].most))
                continue;
            double exact = rows[r].exact((double)x);
            double error = fabs((double)rows[r].ours(x) - exact);
            ulps = fmax(ulps, error / ulp_of(exact));
            absolute = fmax(absolute, error / fmax(1, fabs((double)x)));
            relative = fmax(relative, fabs(exact) < 0x1p-126 ? 0 : error / fabs(exact));
        }
        if (rows[r].ulps > 0)
            cr_expect_leq(ulps, rows[r].ulps, "%s: %g ulp", rows[r].name, ulps);
        if (rows[r].absolute > 0)
            cr_expect_leq(absolute, rows[r].absolute, "%s: %g", rows[r].name, absolute);
        if (rows[r].relative > 0)
            cr_expect_leq(relative, rows[r].relative, "%s: %g of it", rows[r].name, relative);
    }
}

Test(elementary, limits) {
    for (size_t r = 0; r < ROWS; r++) {
        static const float arguments[] = {-INFINITY, 0, INFINITY};
        cr_expect(isnan(rows[r].ours(NAN)), "%s of NaN", rows[r].name);
        for (int i = 0; i < (rows[r].ours == ours_exp ? 2 : 3); i++)
            cr_expect_eq(rows[r].ours(arguments[i]), rows[r].at[i], "%s of %g is %g", rows[r].name,
                         (double)arguments[i], (double)rows[r].ours(arguments[i]));
    }
    cr_expect_eq(elementary_exp(-87.5f), 0);
}

/* A sum over the bits of all results: no compiler and no processor may change one. */
Test(elementary, bits) {
    uint32_t sum = 0;
    for (size_t r = 0; r < ROWS; r++)
        for (uint32_t bits = 0; bits < 0xff800000u; bits += 10007) {
            float x = float_of(bits), y;
            if (!(x >= rows[r].least && x <= rows[r].most))
                continue;
            y = rows[r].ours(x);
            uint32_t result;
            memcpy(&result, &y, sizeof result);
            sum = (sum << 1 | sum >> 31) ^ result;
        }
    cr_expect_eq(sum, 0xbdb2bdcdu, "%#x", sum);
}
