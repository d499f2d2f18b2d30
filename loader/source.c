/* Bytes from a file or from memory, plain or gzip, on zlib. */
#include "loader/source.h"
#include "loader/names.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#define CHUNK ((size_t)256 << 10)
#define DEFLATE_RATIO                                                                              \
    1032 /* 258 bytes for two bits: no deflate stream grows more (zlib's notes)                    \
          */

struct source {
    char *name;
    int descriptor;      /* -1: in memory */
    uint64_t size;       /* of the file or memory, as stored */
    uint8_t *chunk;      /* what was read from the file */
    const uint8_t *next; /* of the bytes at hand, in chunk or in the caller's memory */
    size_t left;
    bool gzip, ended; /* ended: the gzip stream is over and its checksum was right */
    z_stream stream;
    uint64_t produced; /* bytes handed out */
};

/* Reads stored bytes to behind the first `kept` of the chunk; left == 0 afterwards means the end.
 */
static int refill_behind(struct source *self, size_t kept, struct error *error) {
    ssize_t got;
    do
        got = read(self->descriptor, self->chunk + kept, CHUNK - kept);
    while (got < 0 && errno == EINTR);
    if (got < 0)
        return error_set_errno(error, "%s: cannot be read", self->name);
    self->next = self->chunk + kept;
    self->left = (size_t)got;
    return 0;
}

/* Makes more stored bytes available; left == 0 afterwards means the end. */
static int refill(struct source *self, struct error *error) {
    return self->left || self->descriptor < 0 ? 0 : refill_behind(self, 0, error);
}

/* Looks at the first bytes for the gzip magic (RFC 1952) and prepares zlib. */
static int detect(struct source *self, struct error *error) {
    if (refill(self, error))
        return -1;
    if (self->left < 2 || self->next[0] != 0x1f || self->next[1] != 0x8b)
        return 0;
    if (inflateInit2(&self->stream, 16 + MAX_WBITS) != Z_OK)
        return error_set(error, ERROR_MEMORY, "%s: no memory to inflate", self->name);
    self->gzip = true;
    return 0;
}

static struct source *create(const char *name, struct error *error) {
    struct source *self = calloc(1, sizeof *self);
    if (self) {
        self->descriptor = -1;
        self->name = strdup(name);
    }
    if (!self || !self->name) {
        error_set(error, ERROR_MEMORY, "%s: no memory to open it", name);
        free(self);
        return NULL;
    }
    return self;
}

struct source *source_open(const char *path, struct error *error) {
    struct source *self = create(path, error);
    if (!self)
        return NULL;
    /* Not to hang on a pipe that someone named like a dataset. */
    self->descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat status;
    if (self->descriptor < 0 || fstat(self->descriptor, &status)) {
        names_refuse(error, path, "cannot be opened");
        goto fail;
    }
    if (!S_ISREG(status.st_mode)) {
        error_set(error, ERROR_CORRUPT, "%s: is not a regular file", path);
        goto fail;
    }
    self->size = (uint64_t)status.st_size;
    self->chunk = malloc(CHUNK);
    if (!self->chunk) {
        error_set(error, ERROR_MEMORY, "%s: no memory for %zu bytes", path, CHUNK);
        goto fail;
    }
    if (detect(self, error))
        goto fail;
    return self;
fail:
    source_close(&self);
    return NULL;
}

struct source *source_open_memory(const char *name, const void *bytes, size_t size,
                                  struct error *error) {
    struct source *self = create(name, error);
    if (!self)
        return NULL;
    self->next = bytes;
    self->left = size;
    self->size = size;
    if (detect(self, error))
        source_close(&self);
    return self;
}

/* Makes two stored bytes available where there are so many; says whether they are gzip's magic. */
static int at_magic(struct source *self, bool *magic, struct error *error) {
    if (refill(self, error))
        return -1;
    if (self->left == 1 && self->descriptor >= 0) {
        uint8_t last = *self->next;
        self->left = 0;
        if (refill_behind(self, 1, error))
            return -1;
        self->chunk[0] = last;
        self->next = self->chunk;
        self->left++;
    }
    *magic = self->left >= 2 && self->next[0] == 0x1f && self->next[1] == 0x8b;
    return 0;
}

/* After the end of a member: another may follow (RFC 1952, 2.2), or zeros to the end, as tapes
 * leave them and gzip(1) passes over; anything else is refused. */
static int end_member(struct source *self, struct error *error) {
    bool magic;
    if (at_magic(self, &magic, error))
        return -1;
    if (magic)
        return inflateReset(&self->stream) == Z_OK
                   ? 0
                   : error_set(error, ERROR_MEMORY, "%s: cannot inflate its next member",
                               self->name);
    self->ended = true;
    while (refill(self, error) == 0) {
        if (!self->left)
            return 0;
        for (; self->left && !*self->next; self->left--)
            self->next++;
        if (self->left)
            return error_set(error, ERROR_CORRUPT, "%s: trailing data after the gzip stream",
                             self->name);
    }
    return -1;
}

static int read_gzip(struct source *self, uint8_t *bytes, size_t size, size_t *got,
                     struct error *error) {
    z_stream *stream = &self->stream;
    *got = 0;
    while (*got < size && !self->ended) {
        if (refill(self, error))
            return -1;
        if (!self->left)
            return error_set(error, ERROR_CORRUPT,
                             "%s: its gzip stream is cut short after %" PRIu64 " inflated bytes",
                             self->name, self->produced);
        /* zlib counts in 32 bits. */
        uInt in = self->left < CHUNK ? (uInt)self->left : (uInt)CHUNK;
        uInt out = size - *got < (size_t)1 << 30 ? (uInt)(size - *got) : (uInt)1 << 30;
        stream->next_in = (z_const Bytef *)self->next;
        stream->avail_in = in;
        stream->next_out = bytes + *got;
        stream->avail_out = out;
        int status = inflate(stream, Z_NO_FLUSH);
        self->next += in - stream->avail_in;
        self->left -= in - stream->avail_in;
        *got += out - stream->avail_out;
        self->produced += out - stream->avail_out;
        if (status == Z_STREAM_END) {
            if (end_member(self, error))
                return -1;
        } else if (status != Z_OK && status != Z_BUF_ERROR) {
            return error_set(error, ERROR_CORRUPT,
                             "%s: its gzip stream is damaged after %" PRIu64 " inflated bytes (%s)",
                             self->name, self->produced, stream->msg ? stream->msg : "zlib");
        }
    }
    return 0;
}

static int read_plain(struct source *self, uint8_t *bytes, size_t size, size_t *got,
                      struct error *error) {
    *got = 0;
    while (*got < size) {
        if (!self->left && self->descriptor >= 0 && size - *got >= CHUNK) {
            /* Large reads go where they belong without a copy. */
            ssize_t more = read(self->descriptor, bytes + *got, size - *got);
            if (more < 0 && errno == EINTR)
                continue;
            if (more < 0)
                return error_set_errno(error, "%s: cannot be read", self->name);
            if (more == 0)
                break;
            *got += (size_t)more;
            continue;
        }
        if (refill(self, error))
            return -1;
        if (!self->left)
            break;
        size_t take = self->left < size - *got ? self->left : size - *got;
        memcpy(bytes + *got, self->next, take);
        self->next += take;
        self->left -= take;
        *got += take;
    }
    self->produced += *got;
    return 0;
}

int source_read(struct source *self, void *bytes, size_t size, size_t *got, struct error *error) {
    return self->gzip ? read_gzip(self, bytes, size, got, error)
                      : read_plain(self, bytes, size, got, error);
}

int source_expect(const struct source *self, uint64_t size, struct error *error) {
    if (!self->gzip && self->size != size)
        return error_set(error, ERROR_CORRUPT,
                         "%s: is %" PRIu64 " bytes, but its header announces %" PRIu64, self->name,
                         self->size, size);
    if (self->gzip && self->size < size / DEFLATE_RATIO)
        return error_set(error, ERROR_CORRUPT,
                         "%s: is %" PRIu64 " bytes of gzip, which cannot hold the %" PRIu64
                         " that its header announces",
                         self->name, self->size, size);
    return 0;
}

void source_close(struct source **self) {
    if (!self || !*self)
        return;
    struct source *source = *self;
    if (source->gzip)
        inflateEnd(&source->stream);
    if (source->descriptor >= 0)
        close(source->descriptor);
    free(source->chunk);
    free(source->name);
    free(source);
    *self = NULL;
}
