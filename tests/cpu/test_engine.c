/* The CPU engine as a whole: state in and out, the same bits twice, learning, refusals. That each
 * node computes what it should is tests/conformance's part. */
#include "cpu/kernel.h"
#include "model/net.h"
#include "tests/cpu/rig.h"

#include <criterion/criterion.h>
#include <math.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>

/* bf16 where the machine has it, or the test is skipped. */
static void need_bf16(struct engine_config *config) {
    struct error error = {0};
    config->precision = PRECISION_BF16;
    if (cpu_engine.probe(config, NULL, &error))
        cr_skip_test("this processor has neither AVX512-BF16 nor AMX");
}

static void fill(float *values, size_t count, uint32_t salt) {
    for (size_t i = 0; i < count; i++)
        values[i] = (float)((i * 2654435761u + salt) % 100003) / 1000.0f - 50.0f;
}

static void same_floats(const float *a, const float *b, size_t count, const char *what) {
    cr_assert_eq(memcmp(a, b, count * sizeof *a), 0, "%s differ", what);
}

Test(cpu_engine, gives_back_the_bits_that_it_was_given) {
    struct engine_config config = rig_config(4);
    config.optimizer.kind = OPTIMIZER_ADAMW;
    config.optimizer.ema = 0.99f;
    struct rig rig = rig_open(rig_small, config);
    struct engine_state in = rig_export(&rig), out;
    fill(in.weights, rig.net->total, 1);
    fill(in.ema, rig.net->total, 2);
    fill(in.moment1, rig.net->trainable, 3);
    fill(in.moment2, rig.net->trainable, 4);
    in.updates = 77;
    cr_assert_eq(cpu_engine.import(rig.engine, &in, &rig.error), 0);
    out = rig_export(&rig);
    cr_assert_eq(out.updates, 77);
    same_floats(in.weights, out.weights, rig.net->total, "weights");
    same_floats(in.ema, out.ema, rig.net->total, "averages");
    same_floats(in.moment1, out.moment1, rig.net->trainable, "first moments");
    same_floats(in.moment2, out.moment2, rig.net->trainable, "second moments");
    rig_state_free(&in);
    rig_state_free(&out);
    rig_close(&rig);
}

Test(cpu_engine, starts_moments_at_zero_and_the_average_at_the_weights) {
    struct engine_config config = rig_config(4);
    config.optimizer.ema = 0.99f;
    struct rig rig = rig_open(rig_small, config);
    rig_step(&rig, 0, 0.1f);
    struct engine_state in = rig_export(&rig), out;
    struct engine_state bare = {.weights = in.weights};
    cr_assert_eq(cpu_engine.import(rig.engine, &bare, &rig.error), 0);
    out = rig_export(&rig);
    cr_assert_eq(out.updates, 0);
    same_floats(in.weights, out.ema, rig.net->total, "average and weights");
    for (size_t i = 0; i < rig.net->trainable; i++)
        cr_assert_eq(out.moment1[i], 0.0f);
    rig_state_free(&in);
    rig_state_free(&out);
    rig_close(&rig);
}

/* Two engines, the same steps; the second is exported and imported half-way. */
static void run_twice(const char *text, struct engine_config config) {
    struct rig one = rig_open(text, config), two = rig_open(text, config);
    for (uint64_t step = 0; step < 6; step++) {
        struct step_result a = rig_step(&one, step, 0.05f), b = rig_step(&two, step, 0.05f);
        cr_assert_eq(memcmp(&a.loss, &b.loss, sizeof a.loss), 0, "step %d", (int)step);
        if (step == 2) {
            struct engine_state state = rig_export(&two);
            cpu_engine.destroy(&two.engine);
            cr_assert_eq(cpu_engine.create(two.net, &config, &two.engine, &two.error), 0);
            cr_assert_eq(cpu_engine.import(two.engine, &state, &two.error), 0);
            rig_state_free(&state);
        }
    }
    struct engine_state a = rig_export(&one), b = rig_export(&two);
    same_floats(a.weights, b.weights, one.net->total, "weights");
    same_floats(a.ema, b.ema, one.net->total, "averages");
    same_floats(a.moment1, b.moment1, one.net->trainable, "moments");
    rig_state_free(&a);
    rig_state_free(&b);
    rig_close(&one);
    rig_close(&two);
}

Test(cpu_engine, repeats_every_bit_in_f32) {
    struct engine_config config = rig_config(24);
    config.optimizer.ema = 0.9f;
    run_twice(rig_small, config);
    run_twice(rig_dropout, config);
}

Test(cpu_engine, repeats_every_bit_in_bf16) {
    struct engine_config config = rig_config(24);
    need_bf16(&config);
    run_twice(rig_small, config);
    run_twice(rig_dropout, config);
}

static void learn(struct engine_config config) {
    struct rig rig = rig_open(rig_small, config);
    struct step_result first = rig_step(&rig, 0, 0.05f), last = first;
    cr_assert(first.digit_loss > 1.8f && first.digit_loss < 3.2f, "%g", first.digit_loss);
    for (uint64_t step = 1; step < 80; step++)
        last = rig_step(&rig, step, 0.05f);
    cr_assert_lt(last.digit_loss, 0.05f, "%g", last.digit_loss);
    cr_assert_lt(last.sum_loss, 0.5f, "%g", last.sum_loss);
    cr_assert_eq(last.digit_hits, 32);
    cr_assert_eq(last.count, 32);
    cr_assert_eq(last.step, 79);
    cr_assert_float_eq(last.loss, last.digit_loss + last.sum_loss, 1e-5);
    rig_close(&rig);
}

Test(cpu_engine, learns_a_fixed_batch_in_f32) {
    learn(rig_config(32));
}

Test(cpu_engine, learns_a_fixed_batch_in_bf16) {
    struct engine_config config = rig_config(32);
    need_bf16(&config);
    learn(config);
}

Test(cpu_engine, predicts_the_same_for_a_part_of_the_batch) {
    struct engine_config config = rig_config(16);
    config.training = false;
    struct rig rig = rig_open(rig_small, config);
    float all[160], all_sums[304], part[160], part_sums[304];
    cr_assert_eq(
        cpu_engine.predict(rig.engine, rig.images, rig.digits, 16, all, all_sums, &rig.error), 0,
        "%s", rig.error.text);
    cr_assert_eq(cpu_engine.predict(rig.engine, rig.images + 5 * IMAGE_PIXELS, rig.digits + 5, 3,
                                    part, part_sums, &rig.error),
                 0);
    same_floats(all + 50, part, 30, "digit logits");
    same_floats(all_sums + 95, part_sums, 57, "sum logits");
    rig_close(&rig);
}

Test(cpu_engine, hands_out_results_in_order_and_drops_none) {
    struct rig rig = rig_open(rig_small, rig_config(2));
    struct batch batch = {.count = 2,
                          .images = rig.images,
                          .labels = rig.labels,
                          .digits = rig.digits,
                          .sums = rig.sums};
    struct step_result results[300];
    for (uint64_t step = 0; step < 256; step++) {
        struct step_settings settings = {.step = step};
        cr_assert_eq(cpu_engine.train_step(rig.engine, &batch, &settings, &rig.error), 0);
    }
    struct step_settings settings = {.step = 256};
    cr_assert_eq(cpu_engine.train_step(rig.engine, &batch, &settings, &rig.error), -1);
    cr_assert_eq(rig.error.code, ERROR_INVALID);
    cr_assert(strstr(rig.error.text, "256 results wait for collect"), "%s", rig.error.text);
    cr_assert_eq(cpu_engine.collect(rig.engine, results, 100, false, &rig.error), 100);
    cr_assert_eq(cpu_engine.collect(rig.engine, results + 100, 200, true, &rig.error), 156);
    for (uint64_t step = 0; step < 256; step++)
        cr_assert_eq(results[step].step, step);
    rig_close(&rig);
}

Test(cpu_engine, refuses_what_it_was_not_made_for) {
    struct engine_config config = rig_config(4);
    struct rig rig = rig_open(rig_small, config);
    struct engine *none = NULL;
    struct batch batch = {.count = 3};
    struct step_settings settings = {0};
    cr_assert_eq(cpu_engine.train_step(rig.engine, &batch, &settings, &rig.error), -1);
    cr_assert_eq(rig.error.code, ERROR_INVALID);
    cr_assert(strstr(rig.error.text, "exactly 4 samples, 3 came"), "%s", rig.error.text);
    cr_assert_eq(cpu_engine.predict(rig.engine, rig.images, rig.digits, 5, NULL, NULL, &rig.error),
                 -1);
    cr_assert(strstr(rig.error.text, "at most 4 samples, 5 came"), "%s", rig.error.text);
    config.batch = 0;
    cr_assert_eq(cpu_engine.create(rig.net, &config, &none, &rig.error), -1);
    cr_assert_eq(rig.error.code, ERROR_INVALID);
    cr_assert(strstr(rig.error.text, "batch must be 1 to 8192, not 0"), "%s", rig.error.text);
    cr_assert_null(none);
    cpu_engine.destroy(&none);
    rig_close(&rig);
}

/* oneDNN may be told to leave instructions unused; it reads that once, so this runs in the test's
 * own process before the first primitive. */
Test(cpu_engine, refuses_bf16_where_the_processor_lacks_it) {
    setenv("ONEDNN_MAX_CPU_ISA", "AVX2", 1);
    setenv("DNNL_MAX_CPU_ISA", "AVX2", 1);
    struct engine_config config = rig_config(4);
    struct error error = {0};
    struct engine_traits traits;
    struct rig rig = rig_open(rig_small, config);
    struct engine *none = NULL;
    config.precision = PRECISION_BF16;
    cr_assert_eq(cpu_engine.probe(&config, &traits, &error), -1);
    cr_expect_str_eq(traits.instructions, "AVX2");
    cr_assert_eq(error.code, ERROR_UNSUPPORTED);
    cr_assert(strstr(error.text, "bf16 needs a processor with AVX512-BF16 or AMX"), "%s",
              error.text);
    cr_assert_eq(cpu_engine.create(rig.net, &config, &none, &error), -1);
    cr_assert_eq(error.code, ERROR_UNSUPPORTED);
    rig_close(&rig);
}

Test(cpu_engine, describes_the_machine) {
    struct engine_config config = rig_config(4);
    struct error error = {0};
    struct engine_traits traits;
    cr_assert_eq(cpu_engine.probe(&config, &traits, &error), 0);
    cr_assert_eq(strncmp(traits.description, "2 threads, ", 11), 0, "%s", traits.description);
    cr_expect_eq(traits.threads, 2);
    cr_expect_eq(strncmp(traits.built_on, "oneDNN ", 7), 0, "%s", traits.built_on);
    cr_expect_neq(traits.instructions[0], '\0');
    cr_expect_neq(traits.processor[0], '\0');
    config.threads = 1;
    cr_assert_eq(cpu_engine.probe(&config, &traits, &error), 0);
    cr_assert_eq(strncmp(traits.description, "1 thread, ", 10), 0, "%s", traits.description);
}

/* The engine used to wait for ever for threads that were never started. */
Test(cpu_engine, a_team_that_openmp_does_not_start_is_refused) {
    omp_set_num_threads(1);
    int refused = 0;
    struct engine_config config = rig_config(4);
    config.threads = 4;
    /* Within a parallel region of one level a further team has one thread. */
    omp_set_max_active_levels(1);
#pragma omp parallel num_threads(2)
#pragma omp single
    {
        struct error error = {0};
        struct engine *none = NULL;
        struct net *net = net_parse(rig_small, strlen(rig_small), "rig", &error);
        cr_assert_not_null(net);
        refused = cpu_engine.create(net, &config, &none, &error);
        cr_expect_eq(error.code, ERROR_UNSUPPORTED);
        cr_expect_str_eq(error.text, "cpu engine: OpenMP starts 1 of 4 threads: is "
                                     "OMP_THREAD_LIMIT set? Raise it, or ask for 1");
        net_destroy(&net);
    }
    cr_expect_eq(refused, -1);
}

/* Only what oneDNN cannot do is the network's; the rest is this machine's of this moment. */
Test(cpu_engine, tells_a_shortage_from_what_cannot_be_done) {
    struct error error;
    cr_expect_eq(kernel_check(dnnl_out_of_memory, "conv1", "make the primitive", &error), -1);
    cr_expect_eq(error.code, ERROR_MEMORY);
    cr_expect_eq(kernel_check(dnnl_runtime_error, "conv1", "make the primitive", &error), -1);
    cr_expect_eq(error.code, ERROR_IO);
    cr_expect_eq(kernel_check(dnnl_unimplemented, "conv1", "make the primitive", &error), -1);
    cr_expect_eq(error.code, ERROR_UNSUPPORTED);
    cr_expect_eq(kernel_check(dnnl_success, "conv1", "make the primitive", &error), 0);
}
