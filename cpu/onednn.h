/* oneDNN's C interface, the same for its versions 2 (Debian 12) and 3 (Debian 13): what they spell
 * differently is declared here under one name, and no other file asks for the version.
 *
 * The two differ in who holds a memory descriptor (a struct of the caller's in 2, an opaque object
 * in 3), in how a primitive descriptor is made (from an operation descriptor in 2, at once in 3),
 * and in the scale of an eltwise post-op (gone in 3). Every function returns oneDNN's status. */
#ifndef CPU_ONEDNN_H
#define CPU_ONEDNN_H

#include <oneapi/dnnl/dnnl.h>

/* Shape, type and memory order of one array. The caller owns what create returns. */
#if DNNL_VERSION_MAJOR >= 3
typedef struct dnnl_memory_desc onednn_array;
#else
typedef dnnl_memory_desc_t onednn_array;
#endif

/* An array in the order of `tag`; dnnl_format_tag_any leaves the order to the primitive. */
dnnl_status_t onednn_array_create(onednn_array **array, int dimensions, const dnnl_dims_t sizes,
                                  dnnl_data_type_t type, dnnl_format_tag_t tag);

/* An array whose strides, in elements, are given. */
dnnl_status_t onednn_array_create_strided(onednn_array **array, int dimensions,
                                          const dnnl_dims_t sizes, dnnl_data_type_t type,
                                          const dnnl_dims_t strides);

/* Frees *array and sets it to NULL; NULL inside is fine. */
void onednn_array_destroy(onednn_array **array);

/* A direct convolution without dilation: x [batch][in][h][w], w [out][in][kh][kw], y likewise;
 * bias [out] or NULL. For the gradients the arrays describe the gradients. */
struct onednn_conv {
    const onednn_array *x, *w, *bias, *y;
    dnnl_dims_t strides, padding, padding_right;
};

/* Primitive descriptors, the caller's to destroy (dnnl_primitive_desc_destroy). `hint` is the
 * forward convolution's descriptor. */
dnnl_status_t onednn_conv_forward(dnnl_primitive_desc_t *made, dnnl_engine_t engine,
                                  const struct onednn_conv *conv,
                                  const_dnnl_primitive_attr_t attributes);
dnnl_status_t onednn_conv_backward_data(dnnl_primitive_desc_t *made, dnnl_engine_t engine,
                                        const struct onednn_conv *conv,
                                        const_dnnl_primitive_desc_t hint,
                                        const_dnnl_primitive_attr_t attributes);
dnnl_status_t onednn_conv_backward_weights(dnnl_primitive_desc_t *made, dnnl_engine_t engine,
                                           const struct onednn_conv *conv,
                                           const_dnnl_primitive_desc_t hint,
                                           const_dnnl_primitive_attr_t attributes);

/* c = a · b + bias; bias may be NULL. */
dnnl_status_t onednn_matmul(dnnl_primitive_desc_t *made, dnnl_engine_t engine,
                            const onednn_array *a, const onednn_array *b, const onednn_array *bias,
                            const onednn_array *c, const_dnnl_primitive_attr_t attributes);

/* y = max(y, 0) after the primitive. */
dnnl_status_t onednn_append_relu(dnnl_post_ops_t after);

#endif
