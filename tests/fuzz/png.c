/* Fuzz target: one PNG in a tree of one label. libpng checks the CRC of every chunk; they are put
 * right first, so that more than that check is tried. */
#include "loader/tree.h"
#include "tests/fuzz/input.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

static char folder[INPUT_FOLDER], train[128], image[192];

/* The tree stays from one input to the next: only the image changes. */
static void make_tree(void) {
    char path[192];
    input_folder("png", folder);
    snprintf(train, sizeof train, "%s/train", folder);
    mkdir(train, 0700);
    snprintf(path, sizeof path, "%s/3", train);
    mkdir(path, 0700);
    snprintf(image, sizeof image, "%s/3/x.png", train);
}

static uint32_t big_endian(const uint8_t *bytes) {
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

static void mend_crcs(uint8_t *bytes, size_t size) {
    size_t at = 8;
    while (at + 12 <= size) {
        size_t length = big_endian(bytes + at);
        if (length > size - at - 12)
            return;
        uint32_t crc = (uint32_t)crc32(0, bytes + at + 4, (uInt)length + 4);
        uint8_t *place = bytes + at + 8 + length;
        for (int i = 0; i < 4; i++)
            place[i] = (uint8_t)(crc >> (24 - 8 * i));
        at += length + 12;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    struct split split = {0};
    struct tree_passed passed = {0};
    struct error error;
    uint8_t *copy = malloc(size + 1);
    if (!folder[0])
        make_tree();
    int file = open(image, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (!copy || file < 0)
        abort();
    memcpy(copy, bytes, size);
    mend_crcs(copy, size);
    if (write(file, copy, size) != (ssize_t)size)
        abort();
    close(file);
    free(copy);
    if (tree_read(train, &split, &passed, &error) == 0)
        split_free(&split);
    return 0;
}
