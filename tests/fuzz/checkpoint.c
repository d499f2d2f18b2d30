/* Fuzz target: a checkpoint's file (safetensors). The digest would refuse nearly every change
 * before anything is looked at, so it is put right first. What decodes must encode again. */
#include "model/checkpoint.h"
#include "tests/fuzz/input.h"

#include <stdlib.h>
#include <string.h>

#define DIGEST "\"sha256\":\""

/* Writes the right digest where the header has one. */
static void mend_digest(uint8_t *bytes, size_t size) {
    uint8_t digest[SHA256_SIZE];
    char hex[SHA256_HEX];
    uint8_t *place = memmem(bytes, size, DIGEST, strlen(DIGEST));
    if (!place || (size_t)(bytes + size - place) < strlen(DIGEST) + SHA256_HEX)
        return;
    place += strlen(DIGEST);
    memset(place, '0', SHA256_HEX - 1);
    sha256_bytes(bytes, size, digest);
    sha256_hex(digest, hex);
    memcpy(place, hex, SHA256_HEX - 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    struct error error;
    uint8_t *again = NULL, *copy = malloc(size + 1);
    size_t length;
    if (!copy)
        return 0;
    memcpy(copy, bytes, size);
    mend_digest(copy, size);
    struct checkpoint *checkpoint = checkpoint_decode(copy, size, "fuzz", &error);
    if (checkpoint && checkpoint_encode(checkpoint, &again, &length, &error) == 0)
        free(again);
    checkpoint_destroy(&checkpoint);
    free(copy);
    return 0;
}
