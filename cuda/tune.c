/* See tune.h. */
#include "cuda/tune.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CHOICES 8    /* suggestions that are tried */
#define RUNS 20      /* timed at once */
#define MARGIN 0.97f /* a later suggestion must be this much faster: ties go to the first */
#define KEY_SIZE 400

/* --- the file -------------------------------------------------------------------------------- */

static int plans_path(char path[PATH_MAX], struct error *error) {
    const char *own = getenv("DIGITSUM_PLANS"), *cache = getenv("XDG_CACHE_HOME");
    const char *home = getenv("HOME");
    if (own && *own)
        return snprintf(path, PATH_MAX, "%s", own) < PATH_MAX ? 0 : -1;
    char folder[PATH_MAX - 32];
    int size = cache && *cache ? snprintf(folder, sizeof folder, "%s/digitsum", cache)
               : home && *home ? snprintf(folder, sizeof folder, "%s/.cache/digitsum", home)
                               : -1;
    if (size < 0 || (size_t)size >= sizeof folder)
        return error_set(error, ERROR_INVALID,
                         "cuda engine: nowhere to keep tuned plans: set DIGITSUM_PLANS to a file");
    for (char *slash = strchr(folder + 1, '/');; slash = strchr(slash + 1, '/')) {
        if (slash)
            *slash = '\0';
        mkdir(folder, 0777); /* what matters shows when the file is opened */
        if (!slash)
            break;
        *slash = '/';
    }
    snprintf(path, PATH_MAX, "%s/cuda-plans", folder);
    return 0;
}

/* Everything that the choice depends on. */
static void key_of(const struct engine *engine, const struct conv_problem *p, char key[KEY_SIZE]) {
    snprintf(key, KEY_SIZE,
             "%.200s | cuDNN %zu | pass %d batch %d in %dx%dx%d out %dx%dx%d kernel %d stride %d "
             "padding %d type %d tf32 %d bias %d relu %d mask %d",
             engine->device_name, cudnnGetVersion(), (int)p->pass, p->batch, p->in.channels,
             p->in.height, p->in.width, p->out.channels, p->out.height, p->out.width, p->kernel,
             p->stride, p->padding, (int)p->type, p->tf32, p->bias, p->relu, p->mask);
}

/* The first line of this key counts, so that two processes that tune at once agree afterwards. -1
 * where there is none. */
static int look_up(const char *path, const char *key) {
    char line[KEY_SIZE + 64];
    size_t length = strlen(key);
    int found = -1;
    FILE *file = fopen(path, "re");
    if (!file)
        return -1;
    while (found < 0 && fgets(line, sizeof line, file))
        if (strncmp(line, key, length) == 0 && strncmp(line + length, " : ", 3) == 0) {
            long value = strtol(line + length + 3, NULL, 10);
            found = value >= 0 && value < CHOICES ? (int)value : -1;
        }
    fclose(file);
    return found;
}

static int keep(const char *path, const char *key, int choice, struct error *error) {
    char line[KEY_SIZE + 64];
    int size = snprintf(line, sizeof line, "%s : %d\n", key, choice);
    int file = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (file < 0)
        return error_set_errno(error, "cuda engine: cannot keep tuned plans in %s", path);
    ssize_t written = write(file, line, (size_t)size); /* one write: lines of others stay whole */
    if (close(file) != 0 || written != size)
        return error_set_errno(error, "cuda engine: cannot keep tuned plans in %s", path);
    return 0;
}

/* --- measuring ------------------------------------------------------------------------------- */

/* Milliseconds of RUNS runs. */
static int time_runs(struct engine *engine, const struct conv_plan *plan, cudaEvent_t first,
                     cudaEvent_t last, const char *label, float *milliseconds,
                     struct error *error) {
    for (int i = -2; i < RUNS; i++) { /* two runs to warm up */
        if (i == 0 &&
            cuda_check(cudaEventRecord(first, engine->compute), "cudaEventRecord", label, error))
            return -1;
        if (cudnn_check(cudnnBackendExecute(engine->cudnn, plan->plan, plan->pack),
                        "cudnnBackendExecute", label, error))
            return -1;
    }
    return cuda_check(cudaEventRecord(last, engine->compute), "cudaEventRecord", label, error) ||
                   cuda_check(cudaEventSynchronize(last), "cudaEventSynchronize", label, error) ||
                   cuda_check(cudaEventElapsedTime(milliseconds, first, last),
                              "cudaEventElapsedTime", label, error)
               ? -1
               : 0;
}

/* One suggestion. 1 where it was measured, 0 where there is no such one or no memory for it. */
static int measure_one(struct engine *engine, const struct conv_problem *problem,
                       const struct conv_arrays *arrays, const cudaEvent_t events[2],
                       const char *label, float *milliseconds, struct error *error) {
    struct conv_plan plan;
    struct error none = {0};
    void *workspace = NULL;
    if (conv_plan_create(&plan, problem, engine->properties, label, &none))
        return 0;
    int status = 0;
    if (cudaMalloc(&workspace, plan.workspace + 256) != cudaSuccess) {
        cudaGetLastError();
        workspace = NULL;
    } else {
        status = conv_plan_bind(&plan, problem, arrays, workspace, label, error) ||
                         time_runs(engine, &plan, events[0], events[1], label, milliseconds, error)
                     ? -1
                     : 1;
    }
    conv_plan_destroy(&plan);
    if (workspace)
        cudaFree(workspace);
    return status;
}

static int measure(struct engine *engine, const struct conv_problem *problem,
                   const struct conv_arrays *arrays, const char *label, int *choice,
                   struct error *error) {
    cudaEvent_t events[2] = {0};
    float best = 0;
    int status = -1;
    *choice = -1;
    for (int i = 0; i < 2; i++)
        if (cuda_check(cudaEventCreateWithFlags(&events[i], cudaEventDefault),
                       "cudaEventCreateWithFlags", label, error))
            goto end;
    for (int i = 0; i < CHOICES; i++) {
        struct conv_problem one = *problem;
        float milliseconds = 0;
        one.choice = i;
        int measured = measure_one(engine, &one, arrays, events, label, &milliseconds, error);
        if (measured < 0)
            goto end;
        if (measured == 0 && i > 0)
            break;
        if (measured && (*choice < 0 || milliseconds < best * MARGIN)) {
            *choice = i;
            best = milliseconds;
        }
    }
    status = 0;
end:
    for (int i = 0; i < 2; i++)
        if (events[i])
            cudaEventDestroy(events[i]);
    return status;
}

int tune_choice(struct engine *engine, const struct conv_problem *problem,
                const struct conv_arrays *arrays, const char *label, int *choice,
                struct error *error) {
    char path[PATH_MAX], key[KEY_SIZE];
    *choice = 0;
    if (!engine->config.tune || engine->memory.exhausted)
        return 0;
    if (plans_path(path, error))
        return -1;
    key_of(engine, problem, key);
    int known = look_up(path, key);
    if (known >= 0) {
        *choice = known;
        return 0;
    }
    if (measure(engine, problem, arrays, label, choice, error))
        return -1;
    if (*choice < 0) { /* nothing suits: the caller finds out, and may ask for less */
        *choice = 0;
        return 0;
    }
    if (keep(path, key, *choice, error))
        return -1;
    known = look_up(path, key);
    *choice = known >= 0 ? known : *choice;
    return 0;
}
