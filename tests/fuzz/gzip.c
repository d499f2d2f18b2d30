/* Fuzz target: a pair of IDX files in gzip, members of any kind one behind the other. A frame is
 * one member; bit i of the flags puts frame i into the labels, else into the images. Its first byte
 * chooses what it is:
 *     0  bytes as they are: garbage, or a whole member
 *     1  bytes that are deflated here, so that changes to what is inside come through
 *     2  a member without its first three bytes and its trailer, which no input would get right:
 *        flags, 6 bytes, the fields that the flags announce, a deflate stream, garbage
 *     3  a bomb: a byte says how many times 64 KiB, at most two million bytes, of the next one */
#include "loader/idx.h"
#include "tests/fuzz/input.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

enum { FILE_MOST = 1 << 20, INFLATED_MAX = 4 << 20, BLOCK = 64 << 10 };

enum { HCRC = 2, EXTRA = 4, NAME = 8, COMMENT = 16 }; /* RFC 1952 */

struct output {
    uint8_t *bytes; /* [FILE_MOST] */
    size_t size;
};

static void put(struct output *out, const void *bytes, size_t size) {
    if (size > FILE_MOST - out->size)
        size = FILE_MOST - out->size;
    memcpy(out->bytes + out->size, bytes, size);
    out->size += size;
}

static void put_number(struct output *out, uint32_t number, int size) {
    uint8_t bytes[4];
    for (int i = 0; i < size; i++)
        bytes[i] = (uint8_t)(number >> (8 * i));
    put(out, bytes, (size_t)size);
}

/* As a member: `times` times the bytes. */
static void put_deflated(struct output *out, const uint8_t *bytes, size_t size, unsigned times) {
    z_stream stream = {.next_out = out->bytes + out->size,
                       .avail_out = (uInt)(FILE_MOST - out->size)};
    if (deflateInit2(&stream, 1, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY) != Z_OK)
        abort();
    for (unsigned i = 0; i < times; i++) {
        stream.next_in = (z_const Bytef *)bytes;
        stream.avail_in = (uInt)size;
        deflate(&stream, i + 1 < times ? Z_NO_FLUSH : Z_FINISH);
    }
    out->size += stream.total_out;
    deflateEnd(&stream);
}

/* How long the fields behind a member's first ten bytes are. */
static size_t fields_size(int flags, const uint8_t *bytes, size_t size) {
    size_t at = 0;
    if (flags & EXTRA && size >= 2)
        at = 2 + (bytes[0] | (size_t)bytes[1] << 8);
    for (int flag = NAME; flag <= COMMENT; flag *= 2) {
        if (!(flags & flag))
            continue;
        while (at < size && bytes[at])
            at++;
        at++;
    }
    return at < size ? at : size;
}

/* How long the deflate stream in bytes[size] is, and the trailer that belongs behind it. */
static size_t inflate_all(const uint8_t *bytes, size_t size, uint32_t *crc, uint32_t *produced) {
    static uint8_t space[BLOCK];
    z_stream stream = {.next_in = (z_const Bytef *)bytes, .avail_in = (uInt)size};
    if (inflateInit2(&stream, -MAX_WBITS) != Z_OK)
        abort();
    int status = Z_OK;
    *crc = 0;
    while (status == Z_OK && stream.total_out < INFLATED_MAX) {
        stream.next_out = space;
        stream.avail_out = sizeof space;
        status = inflate(&stream, Z_NO_FLUSH);
        *crc = (uint32_t)crc32(*crc, space, (uInt)(sizeof space - stream.avail_out));
    }
    size_t used = stream.total_in;
    *produced = (uint32_t)stream.total_out;
    inflateEnd(&stream);
    return used;
}

static void put_mended(struct output *out, const uint8_t *bytes, size_t size) {
    static const uint8_t magic[3] = {0x1f, 0x8b, 8};
    uint32_t crc, produced;
    if (size < 7)
        return;
    size_t start = out->size, fields = fields_size(bytes[0], bytes + 7, size - 7);
    put(out, magic, sizeof magic);
    put(out, bytes, 7 + fields);
    if (bytes[0] & HCRC)
        put_number(out, (uint32_t)crc32(0, out->bytes + start, (uInt)(out->size - start)), 2);
    bytes += 7 + fields;
    size -= 7 + fields;
    size_t used = inflate_all(bytes, size, &crc, &produced);
    put(out, bytes, used);
    put_number(out, crc, 4);
    put_number(out, produced, 4);
    put(out, bytes + used, size - used);
}

static void put_member(struct output *out, const uint8_t *bytes, size_t size) {
    static uint8_t block[BLOCK];
    if (size == 0)
        return;
    uint8_t form = *bytes++ & 3;
    size--;
    if (form == 0) {
        put(out, bytes, size);
    } else if (form == 1) {
        put_deflated(out, bytes, size, 1);
    } else if (form == 2) {
        put_mended(out, bytes, size);
    } else if (size >= 2) {
        memset(block, bytes[1], sizeof block);
        put_deflated(out, block, sizeof block, bytes[0] % 32 + 1);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    static struct output files[2]; /* images, labels */
    struct input_frames frames;
    struct split split = {0};
    struct error error;
    char paths[2][INPUT_PATH];
    int descriptors[2];
    input_frames(bytes, size, &frames);
    for (int i = 0; i < 2; i++) {
        if (!files[i].bytes && !(files[i].bytes = malloc(FILE_MOST)))
            abort();
        files[i].size = 0;
    }
    for (int i = 0; i < frames.count; i++)
        put_member(&files[frames.flags >> i & 1], frames.list[i].bytes, frames.list[i].size);
    for (int i = 0; i < 2; i++)
        descriptors[i] = input_file(files[i].bytes, files[i].size, paths[i]);
    if (idx_read(paths[0], paths[1], &split, &error) == 0)
        split_free(&split);
    close(descriptors[0]);
    close(descriptors[1]);
    return 0;
}
