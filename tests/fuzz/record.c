/* Fuzz target: a batches.txt, read whole and gone on with. The first two bytes are the step to go
 * on at; where the lines lead there, it is from where they lead to. What was written then must be
 * readable. */
#include "common/record.h"
#include "common/chain.h"
#include "tests/fuzz/input.h"

#include <stdlib.h>
#include <unistd.h>

/* Reads the file, which must go well where `must`, and leaves in `head` where its first `step`
 * lines lead. */
static void read_whole(const char *path, bool must, uint64_t step, uint8_t head[static 32]) {
    struct error error;
    uint8_t(*digests)[SHA256_SIZE];
    bool *known;
    uint64_t steps;
    if (record_read(path, &digests, &known, &steps, &error) == 0) {
        for (uint64_t t = 0; t < step && t < steps && known[t]; t++)
            chain_add(head, t, digests[t]);
        free(digests);
        free(known);
    } else if (must) {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    uint8_t head[SHA256_SIZE] = {0};
    struct error error;
    char path[INPUT_PATH];
    bool lost;
    if (size < 2)
        return 0;
    uint64_t step = (bytes[0] | (uint64_t)bytes[1] << 8) % 4096;
    int file = input_file(bytes + 2, size - 2, path);
    read_whole(path, false, step, head);
    struct record *record = record_open(path, step, head, &lost, &error);
    if (!record || record_add(record, head, &error) != 0)
        abort();
    record_close(&record);
    read_whole(path, true, 0, head);
    close(file);
    return 0;
}
