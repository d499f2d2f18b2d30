/* oneDNN primitives: creation, binding, running, and errors that say what was asked for. */
#include "cpu/kernel.h"

#include <omp.h>
#include <stdlib.h>

#define ALONE_MULTIPLY_ADDS ((int64_t)1 << 20) /* below: a few dozen microseconds */

int kernel_check(dnnl_status_t status, const char *label, const char *what, struct error *error) {
    if (status == dnnl_success)
        return 0;
    /* A runtime error is the system's: a page of code that could not be made executable, say. */
    enum error_code code = status == dnnl_out_of_memory   ? ERROR_MEMORY
                           : status == dnnl_runtime_error ? ERROR_IO
                                                          : ERROR_UNSUPPORTED;
    static const char *const words[] = {"success",       "out of memory", "invalid arguments",
                                        "unimplemented", "iterator ends", "runtime error",
                                        "not required"};
    const char *word = (unsigned)status < sizeof words / sizeof *words ? words[status] : "unknown";
    return error_set(error, code, "%s: oneDNN refused to %s: %s (status %d)", label, what, word,
                     (int)status);
}

int kernel_context_open(struct kernel_context *context, struct error *error) {
    if (kernel_check(dnnl_engine_create(&context->engine, dnnl_cpu, 0), "cpu engine",
                     "open the processor", error))
        return -1;
    return kernel_check(
        dnnl_stream_create(&context->stream, context->engine, dnnl_stream_default_flags),
        "cpu engine", "make a stream", error);
}

static void kernel_destroy(struct kernel *kernel) {
    if (!kernel)
        return;
    for (int i = 0; i < kernel->count; i++)
        dnnl_memory_destroy(kernel->arguments[i].memory);
    if (kernel->primitive)
        dnnl_primitive_destroy(kernel->primitive);
    free(kernel);
}

void kernel_context_close(struct kernel_context *context) {
    while (context->kernels) {
        struct kernel *next = context->kernels->next;
        kernel_destroy(context->kernels);
        context->kernels = next;
    }
    if (context->stream)
        dnnl_stream_destroy(context->stream);
    if (context->engine)
        dnnl_engine_destroy(context->engine);
    *context = (struct kernel_context){0};
}

int kernel_bind(struct kernel_context *context, struct kernel *kernel, int argument,
                const onednn_array *description, void *data, struct error *error) {
    if (kernel->count == KERNEL_ARGUMENTS)
        return error_set(error, ERROR_UNSUPPORTED, "%s: more than %d arguments", kernel->label,
                         KERNEL_ARGUMENTS);
    dnnl_memory_t memory;
    if (kernel_check(dnnl_memory_create(&memory, description, context->engine, data), kernel->label,
                     "describe memory", error))
        return -1;
    kernel->arguments[kernel->count++] = (dnnl_exec_arg_t){argument, memory};
    return 0;
}

int kernel_attributes(const char *label, bool relu, dnnl_primitive_attr_t *attributes,
                      struct error *error) {
    dnnl_post_ops_t after = NULL;
    int result = -1;
    *attributes = NULL;
    if (kernel_check(dnnl_primitive_attr_create(attributes), label, "make attributes", error) ||
        kernel_check(
            dnnl_primitive_attr_set_scratchpad_mode(*attributes, dnnl_scratchpad_mode_user), label,
            "lend scratch memory", error) ||
        kernel_check(dnnl_post_ops_create(&after), label, "make post-ops", error) ||
        (relu && (kernel_check(onednn_append_relu(after), label, "append relu", error) ||
                  kernel_check(dnnl_primitive_attr_set_post_ops(*attributes, after), label,
                               "set post-ops", error))))
        goto done;
    result = 0;
done:
    if (after)
        dnnl_post_ops_destroy(after);
    if (result && *attributes) {
        dnnl_primitive_attr_destroy(*attributes);
        *attributes = NULL;
    }
    return result;
}

struct kernel *kernel_create(struct kernel_context *context, const char *label,
                             const_dnnl_primitive_desc_t descriptor, struct error *error) {
    struct kernel *kernel = calloc(1, sizeof *kernel);
    if (!kernel) {
        error_set(error, ERROR_MEMORY, "%s: no memory for a primitive", label);
        return NULL;
    }
    kernel->label = label;
    kernel->next = context->kernels;
    context->kernels = kernel; /* from here on freed with the context */
    if (kernel_check(dnnl_primitive_create(&kernel->primitive, descriptor), label,
                     "make the primitive", error))
        return NULL;
    const onednn_array *scratch =
        dnnl_primitive_desc_query_md(descriptor, dnnl_query_scratchpad_md, 0);
    kernel->scratch_size = scratch ? dnnl_memory_desc_get_size(scratch) : 0;
    if (kernel->scratch_size > 0) {
        if (kernel_bind(context, kernel, DNNL_ARG_SCRATCHPAD, scratch, DNNL_MEMORY_NONE, error))
            return NULL;
        kernel->scratch = kernel->arguments[kernel->count - 1].memory;
        if (kernel->scratch_size > context->scratch_size)
            context->scratch_size = kernel->scratch_size;
    }
    return kernel;
}

struct kernel *kernel_reorder(struct kernel_context *context, const char *label,
                              const onednn_array *from, void *from_data, const onednn_array *to,
                              void *to_data, struct error *error) {
    struct kernel *kernel = NULL;
    dnnl_primitive_desc_t descriptor = NULL;
    dnnl_primitive_attr_t attributes = NULL;
    if (kernel_attributes(label, false, &attributes, error) ||
        kernel_check(dnnl_reorder_primitive_desc_create(&descriptor, from, context->engine, to,
                                                        context->engine, attributes),
                     label, "plan a reorder", error))
        goto done;
    kernel = kernel_create(context, label, descriptor, error);
    if (kernel && (kernel_bind(context, kernel, DNNL_ARG_FROM, from, from_data, error) ||
                   kernel_bind(context, kernel, DNNL_ARG_TO, to, to_data, error)))
        kernel = NULL;
done:
    if (descriptor)
        dnnl_primitive_desc_destroy(descriptor);
    if (attributes)
        dnnl_primitive_attr_destroy(attributes);
    return kernel;
}

static int matrix(onednn_array **array, int64_t rows, int64_t columns, enum precision type,
                  bool transposed, const char *label, struct error *error) {
    dnnl_dims_t sizes = {rows, columns};
    dnnl_dims_t strides = {transposed ? 1 : columns, transposed ? rows : 1};
    return kernel_check(onednn_array_create_strided(array, 2, sizes, kernel_type(type), strides),
                        label, "describe a matrix", error);
}

/* The matrices of a product; bias stays NULL where there is none. */
struct matrices {
    onednn_array *a, *b, *c, *bias;
};

static int matrices_create(struct matrices *made, const struct matmul *matmul, const char *label,
                           struct error *error) {
    int64_t m = matmul->m, n = matmul->n, k = matmul->k;
    if (matrix(&made->a, m, k, matmul->a_type, matmul->a_transposed, label, error) ||
        matrix(&made->b, k, n, matmul->b_type, matmul->b_transposed, label, error) ||
        matrix(&made->c, m, n, matmul->c_type, false, label, error))
        return -1;
    return matmul->bias ? matrix(&made->bias, 1, n, PRECISION_F32, false, label, error) : 0;
}

static void matrices_destroy(struct matrices *made) {
    onednn_array_destroy(&made->a);
    onednn_array_destroy(&made->b);
    onednn_array_destroy(&made->c);
    onednn_array_destroy(&made->bias);
}

struct kernel *kernel_matmul(struct kernel_context *context, const char *label,
                             const struct matmul *matmul, struct error *error) {
    struct matrices of = {0};
    struct kernel *kernel = NULL;
    dnnl_primitive_desc_t descriptor = NULL;
    dnnl_primitive_attr_t attributes = NULL;
    /* oneDNN plans for the team that is set while it plans. */
    bool alone = matmul->m * matmul->n * matmul->k < ALONE_MULTIPLY_ADDS;
    int threads = omp_get_max_threads();
    if (alone)
        omp_set_num_threads(1);
    if (matrices_create(&of, matmul, label, error) ||
        kernel_attributes(label, matmul->relu, &attributes, error) ||
        kernel_check(
            onednn_matmul(&descriptor, context->engine, of.a, of.b, of.bias, of.c, attributes),
            label, "plan a matmul", error))
        goto done;
    kernel = kernel_create(context, label, descriptor, error);
    if (kernel)
        kernel->alone = alone;
    if (kernel &&
        (kernel_bind(context, kernel, DNNL_ARG_SRC, of.a, matmul->a, error) ||
         kernel_bind(context, kernel, DNNL_ARG_WEIGHTS, of.b, matmul->b, error) ||
         kernel_bind(context, kernel, DNNL_ARG_DST, of.c, matmul->c, error) ||
         (of.bias && kernel_bind(context, kernel, DNNL_ARG_BIAS, of.bias, matmul->bias, error))))
        kernel = NULL;
done:
    omp_set_num_threads(threads);
    if (descriptor)
        dnnl_primitive_desc_destroy(descriptor);
    if (attributes)
        dnnl_primitive_attr_destroy(attributes);
    matrices_destroy(&of);
    return kernel;
}

int kernel_bind_scratch(struct kernel_context *context, void *scratch, struct error *error) {
    for (struct kernel *kernel = context->kernels; kernel; kernel = kernel->next)
        if (kernel->scratch && kernel_check(dnnl_memory_set_data_handle(kernel->scratch, scratch),
                                            kernel->label, "take scratch memory", error))
            return -1;
    return 0;
}

int kernel_run(struct kernel_context *context, struct kernel *kernel, struct error *error) {
    int threads = omp_get_max_threads();
    if (kernel->alone)
        omp_set_num_threads(1);
    dnnl_status_t status = dnnl_primitive_execute(kernel->primitive, context->stream, kernel->count,
                                                  kernel->arguments);
    if (kernel->alone)
        omp_set_num_threads(threads);
    return kernel_check(status, kernel->label, "run", error);
}
