/* The life of a checkpoint: read from the disk, compared, freed. What its bytes mean is
 * checkpoint_encode.c's and checkpoint_decode.c's. */
#include "common/file.h"
#include "model/checkpoint_private.h"

#include <stdlib.h>
#include <string.h>

#define FILE_MAX                                                                                   \
    (8 + (uint64_t)CHECKPOINT_HEADER_MAX + 4 * sizeof(float) * (uint64_t)NET_PARAMETERS_MAX)

int checkpoint_load(const char *path, uint8_t **bytes, size_t *size, struct error *error) {
    return file_read(path, FILE_MAX, bytes, size, error) == 0 ? 0
                                                              : error_prefix(error, "checkpoint");
}

struct checkpoint *checkpoint_read(const char *path, struct error *error) {
    uint8_t *bytes;
    size_t size;
    if (checkpoint_load(path, &bytes, &size, error) != 0)
        return NULL;
    struct checkpoint *checkpoint = checkpoint_decode(bytes, size, path, error);
    free(bytes);
    return checkpoint;
}

/* Whether two arrays of `floats`, either of which may be absent, have the same bits. */
static bool same_floats(const float *a, const float *b, size_t floats) {
    return a && b ? memcmp(a, b, floats * sizeof *a) == 0 : a == b;
}

bool checkpoint_same(const struct checkpoint *a, const struct checkpoint *b) {
    bool same = a->step == b->step && a->samples == b->samples && a->seed == b->seed &&
                a->state.updates == b->state.updates && strcmp(a->dataset, b->dataset) == 0 &&
                memcmp(a->chain, b->chain, SHA256_SIZE) == 0 &&
                strcmp(a->net->text, b->net->text) == 0;
    for (const struct part *part = checkpoint_parts; part < checkpoint_parts + PARTS; part++)
        same = same && same_floats(*part_array(&a->state, part), *part_array(&b->state, part),
                                   part_floats(a->net, part));
    return same;
}

void checkpoint_destroy(struct checkpoint **checkpoint) {
    if (!checkpoint || !*checkpoint)
        return;
    free((*checkpoint)->settings);
    free((*checkpoint)->computed);
    net_destroy(&(*checkpoint)->net);
    state_free(&(*checkpoint)->state);
    free(*checkpoint);
    *checkpoint = NULL;
}
