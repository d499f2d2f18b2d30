/* Conformance of nets that nobody thought of: chains of random layers of random sizes. The chains
 * are the same in every run; a failure prints the net. */
#include "tests/conformance/random.h"
#include "tests/conformance/rows.h"
#include "tests/conformance/trial.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#define NETS 50

/* A chain that is being drawn. */
struct chain {
    uint64_t seed, draws;
    char nodes[2048];
    int layers, size; /* height and width of the last layer's maps */
    int batch;
};

/* least … most */
static int draw(struct chain *chain, int least, int most) {
    return least + (int)(random_unit(chain->seed, chain->draws++) * (most - least + 1));
}

static void append_named(struct chain *chain, const char *name, const char *kind,
                         const char *attributes) {
    char input[16] = "image";
    size_t used = strlen(chain->nodes);
    if (chain->layers > 0)
        snprintf(input, sizeof input, "n%d", chain->layers);
    chain->layers++;
    snprintf(chain->nodes + used, sizeof chain->nodes - used, "%s %s %s %s\n", name, kind, input,
             attributes);
}

static void append(struct chain *chain, const char *kind, const char *attributes) {
    char name[16];
    snprintf(name, sizeof name, "n%d", chain->layers + 1);
    append_named(chain, name, kind, attributes);
}

/* Mostly few; many where maps are small enough for it to be quick. */
static int most_channels(struct chain *chain) {
    int choice = draw(chain, 0, 3);
    return choice > 0 ? 12 * choice : chain->size < 9 ? 180 : 50;
}

static void append_conv(struct chain *chain) {
    char attributes[128];
    int most = chain->size < 7 || draw(chain, 0, 4) == 0 ? chain->size : 7;
    int kernel = draw(chain, 1, most), stride = draw(chain, 1, 3);
    int padding = draw(chain, 0, 1) ? draw(chain, 0, kernel - 1) : 0;
    snprintf(attributes, sizeof attributes, "channels=%d kernel=%d stride=%d padding=%d bias=%s",
             draw(chain, 1, most_channels(chain)), kernel, stride, padding,
             draw(chain, 0, 3) ? "true" : "false");
    append(chain, "conv", attributes);
    chain->size = (chain->size + 2 * padding - kernel) / stride + 1;
}

static void append_pool(struct chain *chain) {
    char attributes[64];
    int size = draw(chain, 1, chain->size < 4 ? chain->size : 4), stride = draw(chain, 1, 4);
    snprintf(attributes, sizeof attributes, "size=%d stride=%d", size, stride);
    append(chain, draw(chain, 0, 2) ? "maxpool" : "avgpool", attributes);
    chain->size = (chain->size - size) / stride + 1;
}

static void append_any(struct chain *chain) {
    static const char *const smooth[] = {"tanh", "sigmoid", "gelu"};
    switch (draw(chain, 0, 6)) {
    case 0:
    case 1:
        append_conv(chain);
        break;
    case 2:
        append_pool(chain);
        break;
    case 3:
        /* Of a handful of values the variance may be next to nothing, and any rounding large. */
        if (chain->batch * chain->size * chain->size >= 16)
            append(chain, "batchnorm", "");
        break;
    case 4:
        append(chain, "relu", "");
        break;
    case 5:
        append(chain, smooth[draw(chain, 0, 2)], "");
        break;
    case 6:
        append(chain, "dropout", "rate=0.2");
        break;
    }
}

static void run_random(enum precision precision) {
    static const int batches[] = {1, 2, 3, 5, 16, 11};
    struct engine_config config = trial_config(precision, 1);
    trial_engine(&config);
    for (int i = 0; i < NETS; i++) {
        struct chain chain = {.seed = 100 + (uint64_t)i, .size = 28};
        chain.batch = batches[draw(&chain, 0, 5)];
        append_conv(&chain);
        for (int layers = draw(&chain, 2, 6); chain.layers < layers;)
            append_any(&chain);
        append_named(&chain, "x", "flatten", "");
        char name[32];
        snprintf(name, sizeof name, "random chain %d", i);
        struct row row = {name, chain.batch, chain.nodes, NULL, NULL};
        row_run(&row, precision, 1 + i % 2);
    }
}

Test(random_chains, f32) {
    run_random(PRECISION_F32);
}
Test(random_chains, bf16) {
    run_random(PRECISION_BF16);
}
