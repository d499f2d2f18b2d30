/* See record.h. */
#include "common/record.h"

#include "common/chain.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define UNKNOWN "????????????????????????????????????????????????????????????????\n"
_Static_assert(sizeof UNKNOWN - 1 == RECORD_LINE, "as long as a known line");

struct record {
    FILE *file;
    char path[PATH_MAX];
};

/* A line that ends as it should: 1 a digest, 0 unknown, -1 neither. */
static int parse_line(const char *line, uint8_t digest[static SHA256_SIZE]) {
    static const char digits[] = "0123456789abcdef";
    if (memcmp(line, UNKNOWN, RECORD_LINE) == 0)
        return 0;
    for (int i = 0; i < RECORD_LINE - 1; i++) {
        const char *digit = line[i] ? strchr(digits, line[i]) : NULL;
        if (!digit)
            return -1;
        digest[i / 2] = (uint8_t)(i % 2 ? digest[i / 2] | (digit - digits) : (digit - digits) << 4);
    }
    return line[RECORD_LINE - 1] == '\n' ? 1 : -1;
}

/* Whether the first `step` lines lead to the head. */
static bool leads_to(FILE *file, uint64_t step, const uint8_t head[static SHA256_SIZE]) {
    uint8_t chain[SHA256_SIZE] = {0};
    char line[RECORD_LINE];
    uint8_t digest[SHA256_SIZE];
    for (uint64_t t = 0; t < step; t++) {
        if (fread(line, 1, sizeof line, file) != sizeof line || parse_line(line, digest) != 1)
            return false;
        chain_add(chain, t, digest);
    }
    return memcmp(chain, head, SHA256_SIZE) == 0;
}

static int write_unknown(FILE *file, uint64_t step) {
    rewind(file);
    for (uint64_t t = 0; t < step; t++)
        if (fwrite(UNKNOWN, 1, RECORD_LINE, file) != RECORD_LINE)
            return -1;
    return fflush(file);
}

struct record *record_open(const char *path, uint64_t step, const uint8_t head[static SHA256_SIZE],
                           bool *lost, struct error *error) {
    struct record *self = calloc(1, sizeof *self);
    *lost = false;
    if (!self) {
        error_set(error, ERROR_MEMORY, "no memory for %s", path);
        return NULL;
    }
    snprintf(self->path, sizeof self->path, "%s", path);
    self->file = fopen(path, "r+e");
    if (!self->file && errno == ENOENT)
        self->file = fopen(path, "w+e");
    if (!self->file) {
        error_set_errno(error, "opening %s", path);
        record_close(&self);
        return NULL;
    }
    *lost = !leads_to(self->file, step, head);
    if ((*lost && write_unknown(self->file, step) != 0) ||
        ftruncate(fileno(self->file), (off_t)(step * RECORD_LINE)) != 0 ||
        fseeko(self->file, 0, SEEK_END) != 0) {
        error_set_errno(error, "writing %s", path);
        record_close(&self);
        return NULL;
    }
    return self;
}

int record_add(struct record *self, const uint8_t digest[static SHA256_SIZE], struct error *error) {
    char hex[SHA256_HEX];
    sha256_hex(digest, hex);
    if (fprintf(self->file, "%s\n", hex) != RECORD_LINE)
        return error_set_errno(error, "writing %s", self->path);
    return 0;
}

int record_sync(struct record *self, struct error *error) {
    if (fflush(self->file) != 0 || fdatasync(fileno(self->file)) != 0)
        return error_set_errno(error, "writing %s", self->path);
    return 0;
}

void record_close(struct record **pointer) {
    struct record *self = *pointer;
    if (!self)
        return;
    if (self->file)
        fclose(self->file);
    free(self);
    *pointer = NULL;
}

/* The file as whole lines. */
static int read_lines(FILE *file, const char *path, uint8_t (*digests)[SHA256_SIZE], bool *known,
                      uint64_t steps, struct error *error) {
    char line[RECORD_LINE];
    for (uint64_t t = 0; t < steps; t++) {
        if (fread(line, 1, sizeof line, file) != sizeof line)
            return error_set(error, ERROR_IO, "reading %s: it ends in line %" PRIu64, path, t + 1);
        int kind = parse_line(line, digests[t]);
        if (kind < 0)
            return error_set(error, ERROR_CORRUPT,
                             "%s: line %" PRIu64 " is not a SHA-256 of 64 hexadecimal digits", path,
                             t + 1);
        known[t] = kind == 1;
    }
    return 0;
}

int record_read(const char *path, uint8_t (**digests)[SHA256_SIZE], bool **known, uint64_t *steps,
                struct error *error) {
    struct stat about;
    *digests = NULL;
    *known = NULL;
    FILE *file = fopen(path, "re");
    if (!file || fstat(fileno(file), &about) != 0) {
        error_set_errno(error, "opening %s", path);
        if (file)
            fclose(file);
        return -1;
    }
    *steps = (uint64_t)about.st_size / RECORD_LINE;
    *digests = calloc(*steps + 1, sizeof **digests);
    *known = calloc(*steps + 1, sizeof **known);
    int status = *digests && *known ? read_lines(file, path, *digests, *known, *steps, error)
                                    : error_set(error, ERROR_MEMORY, "no memory for %s", path);
    fclose(file);
    if (status != 0) {
        free(*digests);
        free(*known);
        *digests = NULL;
        *known = NULL;
    }
    return status;
}
