/* Conformance of the networks that ship besides quick and plain7 (test_whole.c): each predicts and
 * takes one step. Batchnorms whose inputs are single values per sample need several samples. */
#include "model/net.h"
#include "tests/conformance/trial.h"

#include <criterion/criterion.h>

/* `gradients` is what is allowed of them in bf16. */
static void run_one_step(const char *name, enum precision precision, int batch, double gradients) {
    const struct tolerance *allowed = trial_tolerance(precision);
    struct error error = {0};
    struct engine_config config = trial_config(precision, batch);
    trial_engine(&config);
    struct net *net = net_load(name, &error);
    cr_assert(net, "%s", error.text);
    struct trial trial;
    if (trial_open(&trial, name, &net, &config))
        return;
    trial_predict(&trial, 1, (uint32_t)batch, allowed->logits);
    trial_step(&trial, 1, 1, allowed->loss);
    trial_compare_gradients(&trial, precision == PRECISION_BF16 ? gradients
                                                                : trial_gradient_tolerance(&trial));
    trial_close(&trial);
}

#define NETWORK(name, batch, gradients)                                                            \
    Test(whole, name##_f32) {                                                                      \
        run_one_step(#name, PRECISION_F32, batch, gradients);                                      \
    }                                                                                              \
    Test(whole, name##_bf16) {                                                                     \
        run_one_step(#name, PRECISION_BF16, batch, gradients);                                     \
    }

NETWORK(branch_add, 16, 0.25)
NETWORK(deep8_concat, 8, 0.25)
/* Rounded to bf16 between nine convolutions with batchnorms, its first gradients are 0.3 to 0.42
 * away, on the CPU and the emulated CUDA engine alike, and in batches of 16 and of 128. */
NETWORK(multi_adder, 16, 0.5)
NETWORK(regress, 16, 0.25)
NETWORK(tiny, 16, 0.5)
