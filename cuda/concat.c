/* Joins its inputs: maps of one size along the channels, anything else flattened, in channel, row,
 * column order. */
#include "cuda/engine_private.h"

/* Where input `i` lies: a map interleaves channels, a vector takes whole channels. */
static struct kernel_piece piece_of(const struct engine *engine, const struct cuda_node *self,
                                    int i) {
    bool map = self->node->shape.height * self->node->shape.width > 1;
    struct shape in = node_input(engine, self, i)->node->shape;
    int pixels = in.height * in.width, first = 0;
    for (int j = 0; j < i; j++) {
        struct shape before = node_input(engine, self, j)->node->shape;
        first += map ? before.channels : shape_values(before);
    }
    return (struct kernel_piece){.batch = engine->batch,
                                 .pixels = pixels,
                                 .channels = in.channels,
                                 .joined = shape_values(self->node->shape),
                                 .first = first,
                                 .pixel_step = map ? self->node->shape.channels : 1,
                                 .channel_step = map ? 1 : pixels};
}

static int concat_forward(struct engine *engine, struct cuda_node *self, struct error *error) {
    for (int i = 0; i < self->node->input_count; i++) {
        struct kernel_piece piece = piece_of(engine, self, i);
        struct values x = node_input(engine, self, i)->y;
        if (node_check(engine, self, kernel_join(self->y, x, &piece, engine->compute),
                       "kernel_join", error))
            return -1;
    }
    return 0;
}

static int concat_backward(struct engine *engine, struct cuda_node *self, struct error *error) {
    for (int i = 0; i < self->node->input_count; i++) {
        struct kernel_piece piece = piece_of(engine, self, i);
        struct values dx = node_input(engine, self, i)->dy;
        if (dx.data && node_check(engine, self,
                                  kernel_part(dx, self->dy, &piece, self->links.accumulates[i],
                                              engine->compute),
                                  "kernel_part", error))
            return -1;
    }
    return 0;
}

const struct node_functions concat_functions = {.forward = concat_forward,
                                                .backward = concat_backward};
