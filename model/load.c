/* Where network files lie, and how one is read. */
#include "model/net.h"

#include "common/program.h"
#include "common/suggest.h"

#include <assert.h>
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool is_path(const char *text) {
    size_t length = strlen(text);
    return strchr(text, '/') || (length > 4 && strcmp(text + length - 4, ".net") == 0);
}

/* What is known of the names that a folder has: for the sentence about one that it has not. */
struct known {
    char names[256]; /* "plain7, quick, tiny", sorted; "…" at the end where there are more */
    struct suggestion suggestion;
};

static int ends_in_net(const struct dirent *entry) {
    size_t length = strlen(entry->d_name);
    return length > 4 && strcmp(entry->d_name + length - 4, ".net") == 0;
}

/* Adds the networks of one folder; names are listed of the first that has any. */
static void list_folder(struct known *known, const char *folder) {
    struct dirent **entries;
    int count = scandir(folder, &entries, ends_in_net, alphasort);
    bool first = !known->names[0];
    size_t used = 0, size = sizeof known->names;
    for (int i = 0; i < count; i++) {
        char name[sizeof entries[i]->d_name];
        snprintf(name, sizeof name, "%.*s", (int)strlen(entries[i]->d_name) - 4,
                 entries[i]->d_name);
        suggest_try(&known->suggestion, name);
        if (first && used + strlen(name) + 8 < size)
            used +=
                (size_t)snprintf(known->names + used, size - used, "%s%s", used ? ", " : "", name);
        else if (first && used < size)
            used += (size_t)snprintf(known->names + used, size - used, ", …") + size;
        free(entries[i]);
    }
    if (count >= 0)
        free(entries);
}

/* The first of the folders that has name.net. */
static int find_name(const char *name, char *path, size_t size, struct error *error) {
    char program[PATH_MAX], looked[300] = "";
    const char *chosen = getenv("DIGITSUM_NETS");
    program_folder(program);
    const struct {
        const char *root, *below;
    } folders[] = {{chosen && *chosen ? chosen : NULL, ""},
                   {"model/nets", ""},
                   {*program ? program : NULL, "/../../model/nets"},
                   {*program ? program : NULL, "/../share/digitsum/nets"}};
    size_t used = 0;
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
        if (!folders[i].root)
            continue;
        int length = snprintf(path, size, "%s%s/%s.net", folders[i].root, folders[i].below, name);
        /* Where the system gives no answer, opening it will say why. */
        if (length > 0 && (size_t)length < size &&
            (access(path, F_OK) == 0 || (errno != ENOENT && errno != ENOTDIR)))
            return 0;
        if (used < sizeof looked)
            used += (size_t)snprintf(looked + used, sizeof looked - used, "%s%s%s",
                                     used ? ", " : "", folders[i].root, folders[i].below);
    }
    struct known known = {0};
    char hint[SUGGEST_HINT];
    suggest_begin(&known.suggestion, name);
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++)
        if (folders[i].root &&
            (size_t)snprintf(path, size, "%s%s", folders[i].root, folders[i].below) < size)
            list_folder(&known, path);
    return error_set(error, ERROR_INVALID, "there is no network '%s' in %.200s%s%s%s", name, looked,
                     known.names[0] ? "; there are " : "", known.names,
                     suggest_hint(&known.suggestion, hint));
}

int net_locate(const char *path_or_name, char *path, size_t size, struct error *error) {
    assert(path_or_name && path);
    if (is_path(path_or_name)) {
        if ((size_t)snprintf(path, size, "%s", path_or_name) < size)
            return 0;
        return error_set(error, ERROR_INVALID, "the path of the network is too long");
    }
    bool plain = *path_or_name && strlen(path_or_name) < NET_NAME;
    for (const char *at = path_or_name; *at; at++)
        plain = plain && (isalnum((unsigned char)*at) || strchr("_-.", *at));
    if (!plain)
        return error_set(error, ERROR_INVALID,
                         "'%.64s' is neither the path nor the name of a network", path_or_name);
    return find_name(path_or_name, path, size, error);
}

struct net *net_load(const char *path_or_name, struct error *error) {
    char path[PATH_MAX + NET_NAME + 64];
    size_t size;
    char *text = NULL;
    if (net_locate(path_or_name, path, sizeof path, error) == 0)
        text = lines_read(path, "network", &size, error);
    struct net *net = text ? net_parse(text, size, path, error) : NULL;
    free(text);
    return net;
}
