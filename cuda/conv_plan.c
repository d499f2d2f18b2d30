/* See conv_plan.h. */
#include "cuda/conv_plan.h"

/* Names of the arrays within a graph. */
enum uid { UID_X = 1, UID_W, UID_DY, UID_BIAS, UID_RESULT, UID_PRODUCT, UID_SUM };

static cudnnDataType_t data_type(enum element type) {
    return type == ELEMENT_BF16 ? CUDNN_DATA_BFLOAT16 : CUDNN_DATA_FLOAT;
}

/* A tensor of (n, c, h, w) with channels innermost. `virtual`: it exists within a kernel only. */
static cudnnBackendDescriptor_t tensor(struct backend *b, enum uid uid, int64_t n, int64_t c,
                                       int64_t h, int64_t w, enum element type, bool virtual) {
    cudnnBackendDescriptor_t made = backend_make(b, CUDNN_BACKEND_TENSOR_DESCRIPTOR);
    int64_t dims[] = {n, c, h, w}, strides[] = {h * w * c, 1, w * c, c};
    backend_set_int64(b, made, CUDNN_ATTR_TENSOR_UNIQUE_ID, uid);
    backend_set_type(b, made, CUDNN_ATTR_TENSOR_DATA_TYPE, data_type(type));
    backend_set(b, made, CUDNN_ATTR_TENSOR_DIMENSIONS, CUDNN_TYPE_INT64, 4, dims);
    backend_set(b, made, CUDNN_ATTR_TENSOR_STRIDES, CUDNN_TYPE_INT64, 4, strides);
    backend_set_int64(b, made, CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, 16);
    backend_set(b, made, CUDNN_ATTR_TENSOR_IS_VIRTUAL, CUDNN_TYPE_BOOLEAN, 1, &virtual);
    backend_finish(b, made);
    return made;
}

static cudnnBackendDescriptor_t map(struct backend *b, enum uid uid, const struct conv_problem *p,
                                    struct shape shape, enum element type, bool virtual) {
    return tensor(b, uid, p->batch, shape.channels, shape.height, shape.width, type, virtual);
}

static cudnnBackendDescriptor_t weights(struct backend *b, enum uid uid,
                                        const struct conv_problem *p, enum element type) {
    return tensor(b, uid, p->out.channels, p->in.channels, p->kernel, p->kernel, type, false);
}

static cudnnBackendDescriptor_t convolution(struct backend *b, const struct conv_problem *p) {
    cudnnBackendDescriptor_t made = backend_make(b, CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR);
    int64_t ones[] = {1, 1}, strides[] = {p->stride, p->stride},
            paddings[] = {p->padding, p->padding};
    cudnnConvolutionMode_t mode = CUDNN_CROSS_CORRELATION;
    backend_set_int64(b, made, CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS, 2);
    backend_set_type(b, made, CUDNN_ATTR_CONVOLUTION_COMP_TYPE, CUDNN_DATA_FLOAT);
    backend_set(b, made, CUDNN_ATTR_CONVOLUTION_CONV_MODE, CUDNN_TYPE_CONVOLUTION_MODE, 1, &mode);
    backend_set(b, made, CUDNN_ATTR_CONVOLUTION_DILATIONS, CUDNN_TYPE_INT64, 2, ones);
    backend_set(b, made, CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, CUDNN_TYPE_INT64, 2, strides);
    backend_set(b, made, CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, CUDNN_TYPE_INT64, 2, paddings);
    backend_set(b, made, CUDNN_ATTR_CONVOLUTION_POST_PADDINGS, CUDNN_TYPE_INT64, 2, paddings);
    backend_finish(b, made);
    return made;
}

static void set_factors(struct backend *b, cudnnBackendDescriptor_t operation,
                        cudnnBackendAttributeName_t alpha, cudnnBackendAttributeName_t beta) {
    float one = 1, zero = 0;
    backend_set(b, operation, alpha, CUDNN_TYPE_FLOAT, 1, &one);
    backend_set(b, operation, beta, CUDNN_TYPE_FLOAT, 1, &zero);
}

static cudnnBackendDescriptor_t pointwise(struct backend *b, cudnnPointwiseMode_t mode) {
    cudnnBackendDescriptor_t made = backend_make(b, CUDNN_BACKEND_POINTWISE_DESCRIPTOR);
    backend_set(b, made, CUDNN_ATTR_POINTWISE_MODE, CUDNN_TYPE_POINTWISE_MODE, 1, &mode);
    backend_set_type(b, made, CUDNN_ATTR_POINTWISE_MATH_PREC, CUDNN_DATA_FLOAT);
    backend_finish(b, made);
    return made;
}

/* y = x + bias. */
static cudnnBackendDescriptor_t add_bias(struct backend *b, cudnnBackendDescriptor_t x,
                                         cudnnBackendDescriptor_t bias,
                                         cudnnBackendDescriptor_t y) {
    cudnnBackendDescriptor_t how = pointwise(b, CUDNN_POINTWISE_ADD);
    cudnnBackendDescriptor_t made = backend_make(b, CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR);
    backend_set_descriptor(b, made, CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, how);
    backend_set_descriptor(b, made, CUDNN_ATTR_OPERATION_POINTWISE_XDESC, x);
    backend_set_descriptor(b, made, CUDNN_ATTR_OPERATION_POINTWISE_BDESC, bias);
    backend_set_descriptor(b, made, CUDNN_ATTR_OPERATION_POINTWISE_YDESC, y);
    backend_finish(b, made);
    return made;
}

static cudnnBackendDescriptor_t rectify(struct backend *b, cudnnBackendDescriptor_t x,
                                        cudnnBackendDescriptor_t y) {
    cudnnBackendDescriptor_t how = pointwise(b, CUDNN_POINTWISE_RELU_FWD);
    cudnnBackendDescriptor_t made = backend_make(b, CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR);
    backend_set_descriptor(b, made, CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, how);
    backend_set_descriptor(b, made, CUDNN_ATTR_OPERATION_POINTWISE_XDESC, x);
    backend_set_descriptor(b, made, CUDNN_ATTR_OPERATION_POINTWISE_YDESC, y);
    backend_finish(b, made);
    return made;
}

/* dx = dy where x > 0, else 0: x is what the relu gave, which has the sign of what it took. */
static cudnnBackendDescriptor_t mask(struct backend *b, cudnnBackendDescriptor_t dy,
                                     cudnnBackendDescriptor_t x, cudnnBackendDescriptor_t dx) {
    cudnnBackendDescriptor_t how = pointwise(b, CUDNN_POINTWISE_RELU_BWD);
    cudnnBackendDescriptor_t made = backend_make(b, CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR);
    backend_set_descriptor(b, made, CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, how);
    backend_set_descriptor(b, made, CUDNN_ATTR_OPERATION_POINTWISE_DYDESC, dy);
    backend_set_descriptor(b, made, CUDNN_ATTR_OPERATION_POINTWISE_XDESC, x);
    backend_set_descriptor(b, made, CUDNN_ATTR_OPERATION_POINTWISE_DXDESC, dx);
    backend_finish(b, made);
    return made;
}

/* --- the three graphs: each returns how many operations it has -------------------------------- */

static int forward_graph(struct backend *b, const struct conv_problem *p,
                         cudnnBackendDescriptor_t *operations) {
    int count = 0;
    bool last = !p->bias && !p->relu;
    cudnnBackendDescriptor_t product =
        map(b, last ? UID_RESULT : UID_PRODUCT, p, p->out, last ? p->type : ELEMENT_F32, !last);
    cudnnBackendDescriptor_t made =
        backend_make(b, CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR);
    backend_set_descriptor(b, made, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC,
                           convolution(b, p));
    backend_set_descriptor(b, made, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X,
                           map(b, UID_X, p, p->in, p->type, false));
    backend_set_descriptor(b, made, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W,
                           weights(b, UID_W, p, p->type));
    backend_set_descriptor(b, made, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y, product);
    set_factors(b, made, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA,
                CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA);
    backend_finish(b, made);
    operations[count++] = made;
    if (p->bias) {
        cudnnBackendDescriptor_t sum = map(b, p->relu ? UID_SUM : UID_RESULT, p, p->out,
                                           p->relu ? ELEMENT_F32 : p->type, p->relu);
        operations[count++] = add_bias(
            b, product, tensor(b, UID_BIAS, 1, p->out.channels, 1, 1, ELEMENT_F32, false), sum);
        product = sum;
    }
    if (p->relu)
        operations[count++] = rectify(b, product, map(b, UID_RESULT, p, p->out, p->type, false));
    return count;
}

static int data_graph(struct backend *b, const struct conv_problem *p,
                      cudnnBackendDescriptor_t *operations) {
    int count = 0;
    cudnnBackendDescriptor_t product = map(b, p->mask ? UID_PRODUCT : UID_RESULT, p, p->in,
                                           p->mask ? ELEMENT_F32 : p->type, p->mask);
    cudnnBackendDescriptor_t made =
        backend_make(b, CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR);
    backend_set_descriptor(b, made, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_CONV_DESC,
                           convolution(b, p));
    backend_set_descriptor(b, made, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_W,
                           weights(b, UID_W, p, p->type));
    backend_set_descriptor(b, made, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DY,
                           map(b, UID_DY, p, p->out, p->type, false));
    backend_set_descriptor(b, made, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DX, product);
    set_factors(b, made, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_ALPHA,
                CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_BETA);
    backend_finish(b, made);
    operations[count++] = made;
    if (p->mask)
        operations[count++] = mask(b, product, map(b, UID_X, p, p->in, p->type, false),
                                   map(b, UID_RESULT, p, p->in, p->type, false));
    return count;
}

static int weights_graph(struct backend *b, const struct conv_problem *p,
                         cudnnBackendDescriptor_t *operations) {
    cudnnBackendDescriptor_t made =
        backend_make(b, CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR);
    backend_set_descriptor(b, made, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_CONV_DESC,
                           convolution(b, p));
    backend_set_descriptor(b, made, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_X,
                           map(b, UID_X, p, p->in, p->type, false));
    backend_set_descriptor(b, made, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DY,
                           map(b, UID_DY, p, p->out, p->type, false));
    backend_set_descriptor(b, made, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DW,
                           weights(b, UID_RESULT, p, p->type));
    set_factors(b, made, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_ALPHA,
                CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_BETA);
    backend_finish(b, made);
    operations[0] = made;
    return 1;
}

int conv_plan_create(struct conv_plan *plan, const struct conv_problem *problem,
                     cudnnBackendDescriptor_t properties, const char *label, struct error *error) {
    cudnnBackendDescriptor_t operations[3];
    struct backend_wishes wishes = {.tensor_cores = problem->tf32 || problem->type == ELEMENT_BF16};
    int64_t workspace = 0;
    *plan = (struct conv_plan){.backend = {.label = label, .error = error}};
    struct backend *b = &plan->backend;
    int count = problem->pass == CONV_FORWARD ? forward_graph(b, problem, operations)
                : problem->pass == CONV_DATA  ? data_graph(b, problem, operations)
                                              : weights_graph(b, problem, operations);
    plan->plan =
        backend_plan(b, properties, operations, count, &wishes, problem->choice, &workspace);
    if (!plan->plan) {
        conv_plan_destroy(plan);
        return -1;
    }
    plan->workspace = workspace > 0 ? (size_t)workspace : 0;
    b->label = NULL; /* both were borrowed for this call */
    b->error = NULL;
    return 0;
}

int conv_plan_bind(struct conv_plan *plan, const struct conv_problem *problem,
                   const struct conv_arrays *arrays, void *workspace, const char *label,
                   struct error *error) {
    struct backend *b = &plan->backend;
    bool data = problem->pass == CONV_DATA, weights = problem->pass == CONV_WEIGHTS;
    const struct {
        enum uid uid;
        const void *place;
    } all[] = {{UID_X, data && !problem->mask ? NULL : arrays->x},
               {UID_W, weights ? NULL : arrays->w},
               {UID_DY, problem->pass == CONV_FORWARD ? NULL : arrays->dy},
               {UID_BIAS, problem->bias ? arrays->bias : NULL},
               {UID_RESULT, arrays->result}};
    int64_t uids[5], count = 0;
    const void *places[5];
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (all[i].place) {
            uids[count] = all[i].uid;
            places[count++] = all[i].place;
        }
    b->label = label;
    b->error = error;
    plan->pack = backend_make(b, CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR);
    backend_set(b, plan->pack, CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, CUDNN_TYPE_INT64, count, uids);
    backend_set(b, plan->pack, CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, CUDNN_TYPE_VOID_PTR, count,
                places);
    backend_set(b, plan->pack, CUDNN_ATTR_VARIANT_PACK_WORKSPACE, CUDNN_TYPE_VOID_PTR, 1,
                &workspace);
    backend_finish(b, plan->pack);
    b->label = NULL;
    b->error = NULL;
    return b->failed ? -1 : 0;
}

void conv_plan_destroy(struct conv_plan *plan) {
    if (!plan)
        return;
    backend_destroy(&plan->backend);
    *plan = (struct conv_plan){0};
}
