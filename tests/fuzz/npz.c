/* Fuzz target: a NumPy archive. With bit 0 of the flags frame 0 is the archive as it is; otherwise
 * frames 0 and 1 are the images and the labels, packed here, since no input would get their CRCs
 * right: deflated with bit 1, else stored. */
#include "loader/npz.h"
#include "tests/fuzz/input.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zip.h>

static char archive[INPUT_FOLDER + 16];

static void pack(const struct input_frames *frames) {
    static const char *const names[] = {"x_train.npy", "y_train.npy"};
    int code;
    zip_t *zip = zip_open(archive, ZIP_CREATE | ZIP_TRUNCATE, &code);
    if (!zip)
        abort();
    for (int i = 0; i < 2; i++) {
        zip_source_t *source =
            zip_source_buffer(zip, frames->list[i].bytes, frames->list[i].size, 0);
        zip_int64_t at = zip_file_add(zip, names[i], source, 0);
        if (at < 0 ||
            zip_set_file_compression(zip, (zip_uint64_t)at,
                                     frames->flags & 2 ? ZIP_CM_DEFLATE : ZIP_CM_STORE, 1) != 0)
            abort();
    }
    if (zip_close(zip) != 0)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    struct input_frames frames;
    struct split split = {0};
    struct error error;
    char path[INPUT_PATH], folder[INPUT_FOLDER];
    int file = -1;
    if (!archive[0]) {
        input_folder("npz", folder);
        snprintf(archive, sizeof archive, "%s/x.npz", folder);
    }
    input_frames(bytes, size, &frames);
    bool raw = frames.flags & 1;
    if (frames.count < (raw ? 1 : 2))
        return 0;
    if (raw)
        file = input_file(frames.list[0].bytes, frames.list[0].size, path);
    else
        pack(&frames);
    if (npz_read(raw ? path : archive, false, &split, &error) == 0)
        split_free(&split);
    if (raw)
        close(file);
    return 0;
}
