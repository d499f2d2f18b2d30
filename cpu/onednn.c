/* See onednn.h: each function once for oneDNN 3, once for oneDNN 2. */
#include "cpu/onednn.h"

#include <stddef.h>
#include <stdlib.h>

#if DNNL_VERSION_MAJOR >= 3

static const dnnl_dims_t dense = {0}; /* no dilation */

dnnl_status_t onednn_array_create(onednn_array **array, int dimensions, const dnnl_dims_t sizes,
                                  dnnl_data_type_t type, dnnl_format_tag_t tag) {
    return dnnl_memory_desc_create_with_tag(array, dimensions, sizes, type, tag);
}

dnnl_status_t onednn_array_create_strided(onednn_array **array, int dimensions,
                                          const dnnl_dims_t sizes, dnnl_data_type_t type,
                                          const dnnl_dims_t strides) {
    return dnnl_memory_desc_create_with_strides(array, dimensions, sizes, type, strides);
}

void onednn_array_destroy(onednn_array **array) {
    if (*array)
        dnnl_memory_desc_destroy(*array);
    *array = NULL;
}

dnnl_status_t onednn_conv_forward(dnnl_primitive_desc_t *made, dnnl_engine_t engine,
                                  const struct onednn_conv *conv,
                                  const_dnnl_primitive_attr_t attributes) {
    return dnnl_convolution_forward_primitive_desc_create(
        made, engine, dnnl_forward_training, dnnl_convolution_direct, conv->x, conv->w, conv->bias,
        conv->y, conv->strides, dense, conv->padding, conv->padding_right, attributes);
}

dnnl_status_t onednn_conv_backward_data(dnnl_primitive_desc_t *made, dnnl_engine_t engine,
                                        const struct onednn_conv *conv,
                                        const_dnnl_primitive_desc_t hint,
                                        const_dnnl_primitive_attr_t attributes) {
    return dnnl_convolution_backward_data_primitive_desc_create(
        made, engine, dnnl_convolution_direct, conv->x, conv->w, conv->y, conv->strides, dense,
        conv->padding, conv->padding_right, hint, attributes);
}

dnnl_status_t onednn_conv_backward_weights(dnnl_primitive_desc_t *made, dnnl_engine_t engine,
                                           const struct onednn_conv *conv,
                                           const_dnnl_primitive_desc_t hint,
                                           const_dnnl_primitive_attr_t attributes) {
    return dnnl_convolution_backward_weights_primitive_desc_create(
        made, engine, dnnl_convolution_direct, conv->x, conv->w, conv->bias, conv->y, conv->strides,
        dense, conv->padding, conv->padding_right, hint, attributes);
}

dnnl_status_t onednn_matmul(dnnl_primitive_desc_t *made, dnnl_engine_t engine,
                            const onednn_array *a, const onednn_array *b, const onednn_array *bias,
                            const onednn_array *c, const_dnnl_primitive_attr_t attributes) {
    return dnnl_matmul_primitive_desc_create(made, engine, a, b, bias, c, attributes);
}

dnnl_status_t onednn_append_relu(dnnl_post_ops_t after) {
    return dnnl_post_ops_append_eltwise(after, dnnl_eltwise_relu, 0.0f, 0.0f);
}

#else

/* Moves a status and its struct into memory of their own. */
static dnnl_status_t keep(onednn_array **array, dnnl_status_t status, const onednn_array *filled) {
    *array = NULL;
    if (status != dnnl_success)
        return status;
    *array = malloc(sizeof **array);
    if (!*array)
        return dnnl_out_of_memory;
    **array = *filled;
    return dnnl_success;
}

dnnl_status_t onednn_array_create(onednn_array **array, int dimensions, const dnnl_dims_t sizes,
                                  dnnl_data_type_t type, dnnl_format_tag_t tag) {
    onednn_array filled;
    dnnl_status_t status = dnnl_memory_desc_init_by_tag(&filled, dimensions, sizes, type, tag);
    return keep(array, status, &filled);
}

dnnl_status_t onednn_array_create_strided(onednn_array **array, int dimensions,
                                          const dnnl_dims_t sizes, dnnl_data_type_t type,
                                          const dnnl_dims_t strides) {
    onednn_array filled;
    dnnl_status_t status =
        dnnl_memory_desc_init_by_strides(&filled, dimensions, sizes, type, strides);
    return keep(array, status, &filled);
}

void onednn_array_destroy(onednn_array **array) {
    free(*array);
    *array = NULL;
}

dnnl_status_t onednn_conv_forward(dnnl_primitive_desc_t *made, dnnl_engine_t engine,
                                  const struct onednn_conv *conv,
                                  const_dnnl_primitive_attr_t attributes) {
    dnnl_convolution_desc_t operation;
    dnnl_status_t status = dnnl_convolution_forward_desc_init(
        &operation, dnnl_forward_training, dnnl_convolution_direct, conv->x, conv->w, conv->bias,
        conv->y, conv->strides, conv->padding, conv->padding_right);
    return status != dnnl_success
               ? status
               : dnnl_primitive_desc_create(made, &operation, attributes, engine, NULL);
}

dnnl_status_t onednn_conv_backward_data(dnnl_primitive_desc_t *made, dnnl_engine_t engine,
                                        const struct onednn_conv *conv,
                                        const_dnnl_primitive_desc_t hint,
                                        const_dnnl_primitive_attr_t attributes) {
    dnnl_convolution_desc_t operation;
    dnnl_status_t status = dnnl_convolution_backward_data_desc_init(
        &operation, dnnl_convolution_direct, conv->x, conv->w, conv->y, conv->strides,
        conv->padding, conv->padding_right);
    return status != dnnl_success
               ? status
               : dnnl_primitive_desc_create(made, &operation, attributes, engine, hint);
}

dnnl_status_t onednn_conv_backward_weights(dnnl_primitive_desc_t *made, dnnl_engine_t engine,
                                           const struct onednn_conv *conv,
                                           const_dnnl_primitive_desc_t hint,
                                           const_dnnl_primitive_attr_t attributes) {
    dnnl_convolution_desc_t operation;
    dnnl_status_t status = dnnl_convolution_backward_weights_desc_init(
        &operation, dnnl_convolution_direct, conv->x, conv->w, conv->bias, conv->y, conv->strides,
        conv->padding, conv->padding_right);
    return status != dnnl_success
               ? status
               : dnnl_primitive_desc_create(made, &operation, attributes, engine, hint);
}

dnnl_status_t onednn_matmul(dnnl_primitive_desc_t *made, dnnl_engine_t engine,
                            const onednn_array *a, const onednn_array *b, const onednn_array *bias,
                            const onednn_array *c, const_dnnl_primitive_attr_t attributes) {
    dnnl_matmul_desc_t operation;
    dnnl_status_t status = dnnl_matmul_desc_init(&operation, a, b, bias, c);
    return status != dnnl_success
               ? status
               : dnnl_primitive_desc_create(made, &operation, attributes, engine, NULL);
}

dnnl_status_t onednn_append_relu(dnnl_post_ops_t after) {
    return dnnl_post_ops_append_eltwise(after, 1.0f, dnnl_eltwise_relu, 0.0f, 0.0f);
}

#endif
