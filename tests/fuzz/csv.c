/* Fuzz target: a table of pixels. A frame's bytes as they are; with bit 0 of the flags each byte of
 * frame 0 is followed by so many pixels, so that whole rows come about: a byte below 128 is put as
 * it is, another stands for 785 fields. */
#include "loader/csv.h"
#include "tests/fuzz/input.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { FILE_MOST = 1 << 20 };

static size_t size_of_rows(const uint8_t *bytes, size_t size, uint8_t *out) {
    size_t used = 0;
    for (size_t i = 0; i < size && used < FILE_MOST - 4096; i++) {
        if (bytes[i] < 128) {
            out[used++] = bytes[i];
            continue;
        }
        for (int field = 0; field < 783 + bytes[i] % 4; field++) {
            out[used++] = (uint8_t)('0' + (field + bytes[i]) % 10);
            out[used++] = bytes[i] & 64 ? ';' : ',';
        }
    }
    return used;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    static uint8_t *rows;
    struct split split = {0};
    struct error error;
    char path[INPUT_PATH];
    if (!rows && !(rows = malloc(FILE_MOST)))
        abort();
    if (size == 0)
        return 0;
    size_t used = size - 1;
    if (bytes[0] & 1)
        used = size_of_rows(bytes + 1, size - 1, rows);
    else
        memcpy(rows, bytes + 1, size - 1);
    int file = input_file(rows, used, path);
    if (csv_read(path, &split, &error) == 0)
        split_free(&split);
    close(file);
    return 0;
}
