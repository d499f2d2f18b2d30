/* Fuzz target: a pair of IDX files as they are: two frames, images and labels. gzip.c gets through
 * gzip's checks. */
#include "loader/idx.h"
#include "tests/fuzz/input.h"

#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    struct input_frames frames;
    struct split split = {0};
    struct error error;
    char images[INPUT_PATH], labels[INPUT_PATH];
    input_frames(bytes, size, &frames);
    if (frames.count < 2)
        return 0;
    int first = input_file(frames.list[0].bytes, frames.list[0].size, images);
    int second = input_file(frames.list[1].bytes, frames.list[1].size, labels);
    if (idx_read(images, labels, &split, &error) == 0)
        split_free(&split);
    close(first);
    close(second);
    return 0;
}
