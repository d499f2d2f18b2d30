/* See data_source.h. */
#include "common/data_source.h"

#include "common/file.h"

#include <errno.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    TEXT_SIZE = 16 * SOURCE_DATA /* two paths; a byte of a text is at most six in JSON */
};

static bool is_folder(const char *path) {
    struct stat status;
    return stat(path, &status) == 0 && S_ISDIR(status.st_mode);
}

/* "front", then the path as an absolute one. */
static int write_absolute(char *out, size_t size, const char *front, const char *path,
                          struct error *error) {
    char folder[PATH_MAX] = "";
    const char *home = getenv("HOME");
    if (path[0] == '~' && (path[1] == '/' || !path[1]) && home && home[0] == '/' &&
        !is_folder("~")) {
        snprintf(folder, sizeof folder, "%s", home);
        path += strspn(path + 1, "/") + 1;
    } else if (path[0] != '/') {
        if (!getcwd(folder, sizeof folder))
            return error_set_errno(error, "cannot find out which folder this is");
        while (strncmp(path, "./", 2) == 0)
            path += 1 + strspn(path + 1, "/");
        if (strcmp(path, ".") == 0)
            path++;
    }
    size_t length = strlen(path);
    while (length > 1 && path[length - 1] == '/')
        length--;
    bool between = folder[0] && length > 0 && strcmp(folder, "/") != 0;
    int used =
        snprintf(out, size, "%s%s%s%.*s", front, folder, between ? "/" : "", (int)length, path);
    if (used < 0 || (size_t)used >= size)
        return error_set(error, ERROR_INVALID, "--data: a path longer than %d bytes", PATH_MAX - 1);
    return 0;
}

/* The first place where the loader looks for MNIST that is there. */
static int find_mnist(struct data_source *source, struct error *error) {
    const char *places[] = {getenv("MNIST_DIR"), "data/mnist", "data/MNIST", "MNIST",
                            "../shared/mnist"};
    for (size_t i = 0; i < sizeof places / sizeof *places; i++)
        if (places[i] && places[i][0] && is_folder(places[i]))
            return write_absolute(source->mnist, sizeof source->mnist, "", places[i], error);
    return 0;
}

/* Whether it is the path of something: what is no path, and is nothing, is for the loader to
 * refuse. */
static bool is_path(const char *text) {
    struct stat status;
    return strchr(text, '/') || text[0] == '~' || stat(text, &status) == 0;
}

int data_source_settle(struct data_source *source, const char *data, struct error *error) {
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
    static const char *const words[] = {"auto", "mnist", "synthetic"};
    char front[16] = "";
    size_t word = strspn(data, letters);
    source->mnist[0] = '\0';
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strcmp(data, words[i]) == 0) {
            snprintf(source->data, sizeof source->data, "%s", data);
            return i < 2 ? find_mnist(source, error) : 0;
        }
    bool prefixed = word > 0 && word < sizeof front - 1 && data[word] == ':' && data[word + 1];
    if (prefixed)
        snprintf(front, sizeof front, "%.*s:", (int)word, data);
    if (prefixed || is_path(data))
        return write_absolute(source->data, sizeof source->data, front, data + strlen(front),
                              error);
    if (snprintf(source->data, sizeof source->data, "%s", data) >= SOURCE_DATA)
        return error_set(error, ERROR_INVALID, "--data is longer than %d bytes", SOURCE_DATA - 1);
    return 0;
}

void data_source_restore(const struct data_source *source) {
    const char *named = getenv("MNIST_DIR");
    if (source->mnist[0] && !(named && named[0] && is_folder(named)))
        setenv("MNIST_DIR", source->mnist, 1);
}

int data_source_write(const struct data_source *source, const char *folder, struct error *error) {
    char path[PATH_MAX];
    if (path_join(path, folder, "data.json", error) != 0)
        return -1;
    json_t *values = json_pack("{ss, sI, sb}", "data", source->data, "hold_out",
                               (json_int_t)source->hold_out, "transpose", (int)source->transpose);
    if (values && source->mnist[0] &&
        json_object_set_new(values, "mnist_dir", json_string(source->mnist)) != 0) {
        json_decref(values);
        values = NULL;
    }
    char *text = values ? json_dumps(values, JSON_INDENT(2)) : NULL;
    int status;
    if (text)
        status = file_write(path, text, strlen(text), error);
    else
        status = error_set(error, ERROR_INVALID,
                           "cannot write %s: the path of the data is not UTF-8; rename it", path);
    free(text);
    json_decref(values);
    return status;
}

int data_source_read(struct data_source *source, const char *folder, struct error *error) {
    char path[PATH_MAX];
    uint8_t *text;
    size_t size;
    if (path_join(path, folder, "data.json", error) != 0)
        return -1;
    if (file_read(path, TEXT_SIZE, &text, &size, error) != 0)
        return errno == ENOENT ? 0 : -1;
    json_error_t where;
    json_t *values = json_loadb((const char *)text, size, JSON_REJECT_DUPLICATES, &where);
    free(text);
    const char *data = json_string_value(json_object_get(values, "data"));
    const char *mnist = json_string_value(json_object_get(values, "mnist_dir"));
    const json_t *hold_out = json_object_get(values, "hold_out");
    int status = 1;
    if (!values)
        status = error_set(error, ERROR_CORRUPT, "%s:%d: %s", path, where.line, where.text);
    else if (!data || strlen(data) >= SOURCE_DATA || !json_is_integer(hold_out) ||
             json_integer_value(hold_out) < 0 || json_integer_value(hold_out) > SOURCE_HOLD_OUT_MAX)
        status =
            error_set(error, ERROR_CORRUPT, "%s: expected 'data', a text, and 'hold_out', 0 to %d",
                      path, SOURCE_HOLD_OUT_MAX);
    else {
        snprintf(source->data, sizeof source->data, "%s", data);
        snprintf(source->mnist, sizeof source->mnist, "%s",
                 mnist && strlen(mnist) < sizeof source->mnist ? mnist : "");
        source->hold_out = json_integer_value(hold_out);
        source->transpose = json_is_true(json_object_get(values, "transpose"));
    }
    json_decref(values);
    return status;
}
