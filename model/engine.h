/* The only door to the arithmetic. Whole networks, whole steps; what is behind it (oneDNN, cuDNN)
 * shows nowhere else.
 *
 * One thread at a time may call an engine. An engine owns its device memory and threads; all
 * pointers passed in are borrowed for the call. */
#ifndef MODEL_ENGINE_H
#define MODEL_ENGINE_H

#include "common/batch.h"
#include "common/error.h"
#include "model/graph.h"
#include "model/optimizer.h"

enum precision { PRECISION_F32, PRECISION_BF16 };

struct engine_config {
    enum precision precision; /* bf16: activations and products in bf16, master weights, statistics,
                                 losses and updates in f32 */
    int batch;                /* samples of each train_step; most samples of one predict */
    int threads;              /* CPU: 0 = as many as this process may use (common/processors.h).
                                 Part of what makes results repeatable: same threads, same bits */
    int device;               /* ordinal of the accelerator; 0 on a CPU */
    bool tf32;                /* f32 products may be rounded to TF32, where the device has it */
    int ahead;                /* batches staged on the device before they are needed; 0: as the
                                 engine sees fit */
    int graph_steps;          /* steps captured in one CUDA graph; 0: as the engine sees fit */
    bool tune;                /* a GPU: measure how to compute each convolution once, and keep the
                                 choice in a file (cuda/tune.h); else the library's first suggestion */
    bool training;            /* false: only import and predict will be called */
    uint64_t seed;            /* dropout */
    struct optimizer optimizer; /* training only */
};

/* What of a step depends on time. */
struct step_settings {
    uint64_t step; /* keys the dropout masks */
    float rate;    /* learning rate of this step */
};

struct step_result {
    uint64_t step;
    uint32_t count;
    float loss;                    /* weighted, as optimised; mean over the batch */
    float digit_loss, sum_loss;    /* unweighted means */
    uint32_t digit_hits, sum_hits; /* of `count`; regression: rounded scalar equals the sum */
};

/* What the bits of a result depend on besides the settings, as texts for people and for comparing.
 * A resumed run must find threads, instructions and library as they were (trainer/bits.h). Filled
 * by probe; written into checkpoints, settings.json and summary.json (model/traits.h). */
struct engine_traits {
    int threads;           /* compute threads; 0 where they do not matter (a GPU) */
    char instructions[64]; /* "AVX512_CORE_AMX"; "compute capability 9.0, 132 SMs" */
    char built_on[128];    /* "oneDNN 2.6.3 (52b5f10...)"; "CUDA 13.0, cuDNN 9.12.0" */
    char processor[96];    /* "AMD EPYC 9B14"; "NVIDIA H100" */
    char description[256]; /* all of it in short, for the log: "2 threads, AVX512, AMX bf16" */
};

struct engine; /* opaque: each engine's own */

/* Each member: 0, or -1 with error filled. */
struct engine_ops {
    const char *name; /* "cpu", "cuda" */

    /* Whether this machine can run it, and with what: fills traits (may be NULL), the description
     * even where it cannot. Does not keep anything open. */
    int (*probe)(const struct engine_config *config, struct engine_traits *traits,
                 struct error *error);

    /* The net must outlive the engine. Weights are unspecified until import. */
    int (*create)(const struct net *net, const struct engine_config *config, struct engine **engine,
                  struct error *error);

    /* Sets weights, and when training the rest of the state. Moments and ema may be NULL: zeros,
     * and a copy of the weights. */
    int (*import)(struct engine *engine, const struct engine_state *state, struct error *error);

    /* Starts one training step on batch->count == config.batch samples. The batch may be released
     * on return. Losses come back through collect, in order. */
    int (*train_step)(struct engine *engine, const struct batch *batch,
                      const struct step_settings *settings, struct error *error);

    /* Takes up to `most` results of finished steps; returns how many, or -1. With `wait` it first
     * waits until every started step is finished. A device may run several steps behind. A
     * caller that leaves 256 results uncollected is refused the next train_step (ERROR_INVALID). */
    int (*collect)(struct engine *engine, struct step_result *results, int most, bool wait,
                   struct error *error);

    /* Logits in f32 for `count` ≤ config.batch samples, with running statistics and no dropout:
     * digit_logits [count][10]; sum_logits [count][19], or [count][1] for regression. */
    int (*predict)(struct engine *engine, const uint8_t *images, const uint8_t *digits,
                   uint32_t count, float *digit_logits, float *sum_logits, struct error *error);

    /* Copies the state out into the caller's arrays (shapes as in optimizer.h; NULL members are
     * skipped). Waits for started steps. Bit-exact: export, import, export gives the same bytes. */
    int (*export)(struct engine *engine, struct engine_state *state, struct error *error);

    /* Frees everything; NULL-safe, sets *engine to NULL. */
    void (*destroy)(struct engine **engine);
};

/* Room for the sentence of engine_choose: a description and the reason why there is no GPU. */
#define ENGINE_REASON 768

/* `device`: "auto", "cpu" or "cuda". Auto takes a GPU where there is one. Fills `traits` (may be
 * NULL) and writes into `reason` what was chosen and why, for the log ("cpu: 2 threads, AVX512 (as
 * asked for)"). NULL with ERROR_UNSUPPORTED where it cannot be had, ERROR_INVALID for another word.
 */
const struct engine_ops *engine_choose(const char *device, const struct engine_config *config,
                                       struct engine_traits *traits, char *reason, size_t size,
                                       struct error *error);

#endif
