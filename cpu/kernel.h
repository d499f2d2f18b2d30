/* oneDNN primitives with their arguments bound: made once, run every step. With conv_direct.c and
 * onednn.c the only place that speaks oneDNN's C interface. */
#ifndef CPU_KERNEL_H
#define CPU_KERNEL_H

#include "common/error.h"
#include "cpu/onednn.h"
#include "model/engine.h"

#define KERNEL_ARGUMENTS 8

/* A primitive and what it works on. */
struct kernel {
    struct kernel *next; /* of the context's list */
    const char *label;   /* for errors; lives as long as the context */
    dnnl_primitive_t primitive;
    bool alone; /* too small to be worth a team: runs on the calling thread */
    dnnl_exec_arg_t arguments[KERNEL_ARGUMENTS];
    int count;
    size_t scratch_size;
    dnnl_memory_t scratch;
};

/* All primitives of one engine: they run one after another and share one scratch area. */
struct kernel_context {
    dnnl_engine_t engine;
    dnnl_stream_t stream;
    struct kernel *kernels;
    size_t scratch_size; /* most that any kernel needs */
};

int kernel_context_open(struct kernel_context *context, struct error *error);
void kernel_context_close(struct kernel_context *context);

/* Attributes for a primitive descriptor: scratch memory is the context's, relu follows if asked
 * for. The caller's to destroy; NULL after an error. */
int kernel_attributes(const char *label, bool relu, dnnl_primitive_attr_t *attributes,
                      struct error *error);

/* Makes the primitive of a descriptor made with kernel_attributes, and takes over nothing. The
 * context owns the kernel. NULL with ERROR_UNSUPPORTED or ERROR_MEMORY. */
struct kernel *kernel_create(struct kernel_context *context, const char *label,
                             const_dnnl_primitive_desc_t descriptor, struct error *error);

/* A reorder between two layouts of the same values. */
struct kernel *kernel_reorder(struct kernel_context *context, const char *label,
                              const onednn_array *from, void *from_data, const onednn_array *to,
                              void *to_data, struct error *error);

/* c[m][n] = a[m][k] · b[k][n] + bias[n], then relu. Each operand is plain; a_transposed means that
 * it is stored [k][m], b_transposed [n][k]. bias may be NULL. */
struct matmul {
    int64_t m, n, k;
    void *a, *b, *c;
    float *bias;
    enum precision a_type, b_type, c_type;
    bool a_transposed, b_transposed, relu;
};
struct kernel *kernel_matmul(struct kernel_context *context, const char *label,
                             const struct matmul *matmul, struct error *error);

/* Binds one argument (DNNL_ARG_…) to memory of this description. */
int kernel_bind(struct kernel_context *context, struct kernel *kernel, int argument,
                const onednn_array *description, void *data, struct error *error);

/* Gives every kernel the shared scratch area of context->scratch_size bytes. */
int kernel_bind_scratch(struct kernel_context *context, void *scratch, struct error *error);

int kernel_run(struct kernel_context *context, struct kernel *kernel, struct error *error);

/* Fills error from a status, unless it is success. */
int kernel_check(dnnl_status_t status, const char *label, const char *what, struct error *error);

static inline dnnl_data_type_t kernel_type(enum precision type) {
    return type == PRECISION_BF16 ? dnnl_bf16 : dnnl_f32;
}

#endif
