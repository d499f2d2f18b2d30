/* Gzip as RFC 1952 allows it: members, fields, padding; and what does not belong behind it. */
#include "loader/source.h"
#include "tests/support/scratch.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <zlib.h>

enum { SPACE = 1 << 20 };

struct packed {
    uint8_t bytes[SPACE];
    size_t size;
};

static struct packed packed;

/* Appends a member, with all fields of a header where asked for. */
static void add_member(const void *bytes, size_t size, int fields) {
    z_stream stream = {.next_in = (z_const Bytef *)bytes,
                       .avail_in = (uInt)size,
                       .next_out = packed.bytes + packed.size,
                       .avail_out = (uInt)(SPACE - packed.size)};
    gz_header header = {.extra = (Bytef *)"extra",
                        .extra_len = 5,
                        .name = (Bytef *)"name",
                        .comment = (Bytef *)"comment",
                        .hcrc = 1};
    cr_assert_eq(deflateInit2(&stream, 6, Z_DEFLATED, 31, 8, Z_DEFAULT_STRATEGY), Z_OK);
    if (fields)
        cr_assert_eq(deflateSetHeader(&stream, &header), Z_OK);
    cr_assert_eq(deflate(&stream, Z_FINISH), Z_STREAM_END);
    packed.size += stream.total_out;
    deflateEnd(&stream);
}

static void add_bytes(int value, size_t count) {
    cr_assert(packed.size + count <= SPACE);
    memset(packed.bytes + packed.size, value, count);
    packed.size += count;
}

/* Reads it all, from memory (0) or from a file (1), and expects `size` bytes of 'x', or a sentence.
 */
static void expect(size_t size, const char *words) {
    static uint8_t bytes[SPACE];
    char folder[64], path[SCRATCH_PATH];
    scratch_begin(folder);
    snprintf(path, sizeof path, "%s/f", folder);
    FILE *file = fopen(path, "we");
    cr_assert_eq(fwrite(packed.bytes, 1, packed.size, file), packed.size);
    fclose(file);
    for (int from = 0; from < 2; from++) {
        struct error error = {0};
        size_t got = 0, more = 0;
        struct source *source =
            from ? source_open(path, &error)
                 : source_open_memory("memory", packed.bytes, packed.size, &error);
        cr_assert_not_null(source, "%s", error.text);
        int status = source_read(source, bytes, size, &got, &error);
        if (status == 0)
            status = source_read(source, bytes + got, 1, &more, &error);
        if (words) {
            cr_expect_eq(status, -1, "expected '%s'", words);
            cr_expect_eq(error.code, ERROR_CORRUPT);
            cr_expect(strstr(error.text, words), "expected '%s' in '%s'", words, error.text);
        } else {
            cr_expect_eq(status, 0, "%s", error.text);
            cr_expect_eq(got, size);
            cr_expect_eq(more, 0);
            for (size_t i = 0; i < got; i++)
                cr_assert_eq(bytes[i], 'x', "byte %zu", i);
        }
        source_close(&source);
    }
    scratch_end(folder);
}

static uint8_t xs[300000];

Test(source, several_members_and_empty_ones) {
    memset(xs, 'x', sizeof xs);
    for (int fields = 0; fields < 2; fields++) {
        packed.size = 0;
        add_member(xs, 10, fields);
        add_member(xs, 0, fields);
        add_member(xs, sizeof xs, !fields);
        add_member(xs, 0, fields);
        expect(10 + sizeof xs, NULL);
    }
}

/* As one member of `size` bytes that is stored, not deflated. */
static void store_member(size_t size) {
    z_stream stream = {
        .next_in = xs, .avail_in = (uInt)size, .next_out = packed.bytes, .avail_out = SPACE};
    cr_assert_eq(deflateInit2(&stream, 0, Z_DEFLATED, 31, 8, Z_DEFAULT_STRATEGY), Z_OK);
    cr_assert_eq(deflate(&stream, Z_FINISH), Z_STREAM_END);
    packed.size = stream.total_out;
    deflateEnd(&stream);
}

/* The second member begins around the end of what is read from a file at once. */
Test(source, members_across_the_chunk) {
    memset(xs, 'x', sizeof xs);
    for (size_t before = 0; before < 4; before++) {
        size_t end = ((size_t)256 << 10) - before, size = end - 64;
        store_member(size);
        size -= packed.size - end;
        store_member(size);
        cr_assert_eq(packed.size, end);
        add_member(xs, 7, 0);
        expect(size + 7, NULL);
    }
}

Test(source, zeros_behind_it) {
    memset(xs, 'x', sizeof xs);
    packed.size = 0;
    add_member(xs, 1000, 0);
    add_bytes(0, 1);
    expect(1000, NULL);
    add_bytes(0, 600000);
    expect(1000, NULL);
    add_bytes(7, 1);
    expect(1000, "trailing data after the gzip stream");
}

Test(source, other_bytes_behind_it) {
    memset(xs, 'x', sizeof xs);
    packed.size = 0;
    add_member(xs, 1000, 0);
    size_t end = packed.size;
    add_bytes('g', 3);
    expect(1000, "trailing data after the gzip stream");
    packed.size = end;
    add_bytes(0x1f, 1);
    expect(1000, "trailing data after the gzip stream");
    packed.size = end;
    add_bytes(0, 10);
    add_member(xs, 5, 0);
    expect(1000, "trailing data after the gzip stream");
    packed.size = end;
    add_member(xs, 5, 0);
    packed.size -= 4;
    expect(1005, "cut short");
}
