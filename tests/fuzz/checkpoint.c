/* Fuzz target: a checkpoint's file (safetensors). The digest would refuse nearly every change
 * before anything is looked at, so it is put right first. What decodes must encode again. */
#include "model/checkpoint.h"
#include "tests/fuzz/input.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    struct error error;
    uint8_t *again = NULL, *copy = malloc(size + 1);
    size_t length;
    if (!copy)
        return 0;
    memcpy(copy, bytes, size);
    input_mend_checkpoint(copy, size);
    struct checkpoint *checkpoint = checkpoint_decode(copy, size, "fuzz", &error);
    if (checkpoint && checkpoint_encode(checkpoint, &again, &length, &error) == 0)
        free(again);
    checkpoint_destroy(&checkpoint);
    free(copy);
    return 0;
}
