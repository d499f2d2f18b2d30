/* Opening what `--data` names. */
#include "loader/dataset.h"
#include "loader/idx.h"
#include "loader/inspect.h"
#include "loader/png.h"
#include "loader/synthetic.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The digest of MNIST as a dataset. The headers of the files hold nothing that the readers do not
 * check, so this one value says what the four in FETCH_MNIST say (a test holds them together). */
static const char MNIST_SHA256[] =
    "06b0d1f124c4e5fa796686ade41a9b778edacc8622f2195a352ef479ad44fc16";

enum { NAME_SHOWN = 120 }; /* bytes of a name that every report and plot has room for */

/* --- reading ---------------------------------------------------------------------------------- */

/* The test split, read beside the train split. */
struct errand {
    int (*read)(const struct errand *, struct split *, struct error *);
    const char *first, *second;
    struct split *split;
    struct error error;
    int status;
};

static int read_idx(const struct errand *errand, struct split *split, struct error *error) {
    return idx_read(errand->first, errand->second, split, error);
}

static int read_png_train(const struct errand *errand, struct split *split, struct error *error) {
    return png_read_split(errand->first, "train", split, error);
}

static int read_png_test(const struct errand *errand, struct split *split, struct error *error) {
    return png_read_test(errand->first, split, error);
}

static void *run(void *context) {
    struct errand *errand = context;
    errand->status = errand->read(errand, errand->split, &errand->error);
    return NULL;
}

/* Runs both, the second on a thread where one can be had; the first one's error goes before. */
static int read_both(struct errand *train, struct errand *test, struct error *error) {
    pthread_t thread;
    int alone = pthread_create(&thread, NULL, run, test);
    run(train);
    if (alone)
        run(test);
    else
        pthread_join(thread, NULL);
    const struct errand *failed = train->status ? train : test;
    if (failed->status)
        return error_set(error, failed->error.code, "%s", failed->error.text);
    return 0;
}

static int open_idx(struct dataset *self, const char *folder, const struct idx_files *files,
                    struct error *error) {
    struct errand train = {.read = read_idx,
                           .first = files->path[IDX_TRAIN_IMAGES],
                           .second = files->path[IDX_TRAIN_LABELS],
                           .split = &self->train};
    struct errand test = {.read = read_idx,
                          .first = files->path[IDX_TEST_IMAGES],
                          .second = files->path[IDX_TEST_LABELS],
                          .split = &self->test};
    snprintf(self->name, sizeof self->name, "idx:%s", folder);
    return read_both(&train, &test, error);
}

static int open_png(struct dataset *self, const char *folder, struct error *error) {
    struct errand train = {.read = read_png_train, .first = folder, .split = &self->train};
    struct errand test = {.read = read_png_test, .first = folder, .split = &self->test};
    snprintf(self->name, sizeof self->name, "png:%s", folder);
    return read_both(&train, &test, error);
}

static uint32_t limited(uint32_t count, uint32_t limit) {
    return limit && limit < count ? limit : count;
}

static int open_synthetic(struct dataset *self, const struct dataset_request *request,
                          struct error *error) {
    snprintf(self->name, sizeof self->name, "synthetic digits");
    self->synthetic = true;
    /* Drawing takes time: no more than will be kept, where nothing is held out. */
    uint32_t train_limit = request->hold_out ? 0 : request->train_limit;
    uint32_t test_limit = request->hold_out ? 1 : request->test_limit;
    if (synthetic_draw(SYNTHETIC_TRAIN, limited(SYNTHETIC_TRAIN_COUNT, train_limit), &self->train,
                       error))
        return -1;
    return synthetic_draw(SYNTHETIC_TEST, limited(SYNTHETIC_TEST_COUNT, test_limit), &self->test,
                          error);
}

/* --- naming ----------------------------------------------------------------------------------- */

static void digest(struct dataset *self, struct sha256 *sha) {
    const struct split *splits[] = {&self->train, &self->test};
    for (int i = 0; i < 2; i++) {
        sha256_update(sha, splits[i]->images, (size_t)splits[i]->count * IMAGE_PIXELS);
        sha256_update(sha, splits[i]->labels, splits[i]->count);
    }
    sha256_digest(sha, self->sha256);
}

static int hash(struct dataset *self, struct error *error) {
    struct sha256 *sha = sha256_create();
    if (!sha)
        return error_set(error, ERROR_MEMORY, "%s: no memory to hash it", self->name);
    digest(self, sha);
    sha256_destroy(&sha);
    return 0;
}

static bool is_mnist(const struct dataset *self) {
    char hex[SHA256_HEX];
    sha256_hex(self->sha256, hex);
    return strcmp(hex, MNIST_SHA256) == 0;
}

/* Says what is held out. A long folder is cut before it, for those who show a name cut its end, and
 * that is what must not be missed. */
static void name_held_out(struct dataset *self, uint32_t count) {
    char what[64], whole[DATASET_NAME];
    int length = snprintf(what, sizeof what, ", %" PRIu32 " training images held out", count);
    int room = NAME_SHOWN - length, end = room - 3;
    bool cut = strlen(self->name) > (size_t)room;
    while (cut && ((unsigned char)self->name[end] & 0xc0) == 0x80)
        end--; /* not in the middle of a UTF-8 character */
    snprintf(whole, sizeof whole, "%.*s%s%s", cut ? end : room, self->name, cut ? "..." : "", what);
    memcpy(self->name, whole, sizeof whole);
}

/* Keeps what was asked for, and hashes again what is left where that is not all. */
static int keep(struct dataset *self, const struct dataset_request *request, struct error *error) {
    uint32_t train = self->train.count, test = self->test.count;
    if (split_hold_out(&self->train, request->hold_out, &self->test, self->name, error))
        return -1;
    if (request->hold_out)
        name_held_out(self, request->hold_out);
    split_limit(&self->train, request->train_limit);
    split_limit(&self->test, request->test_limit);
    return train == self->train.count && test == self->test.count ? 0 : hash(self, error);
}

/* --- the door --------------------------------------------------------------------------------- */

/* Finds the four files of MNIST on disk, or downloads them. */
static int obtain_mnist(const struct dataset_request *request, char folder[PATH_MAX],
                        struct idx_files *files, struct error *error) {
    if (fetch_find(request->log, folder, files))
        return 0;
    struct fetch_settings settings = request->fetch ? *request->fetch : fetch_defaults();
    if (fetch_cache(folder, error))
        return -1;
    log_info(request->log, "MNIST is not on this machine: downloading it into %s", folder);
    if (fetch_download(&settings, folder, error))
        return -1;
    return idx_locate(folder, files, error);
}

static int open_mnist(struct dataset *self, const struct dataset_request *request,
                      bool or_synthetic, struct error *error) {
    char folder[PATH_MAX];
    struct idx_files files;
    struct error failure;
    if (obtain_mnist(request, folder, &files, &failure)) {
        if (!or_synthetic || failure.code == ERROR_INTERRUPTED)
            return error_set(error, failure.code, "%s", failure.text);
        log_warning(request->log, "MNIST cannot be had (%s): drawing synthetic digits instead",
                    failure.text);
        return open_synthetic(self, request, error);
    }
    if (open_idx(self, folder, &files, error))
        return -1;
    log_info(request->log, "read IDX files from %s", folder);
    return 0;
}

static int open_named(struct dataset *self, const struct dataset_request *request,
                      struct error *error) {
    const char *data = request->data;
    if (strncmp(data, "png:", 4) == 0 && data[4])
        return open_png(self, data + 4, error);
    if (strncmp(data, "idx:", 4) == 0 && data[4]) {
        struct idx_files files;
        return idx_locate(data + 4, &files, error) ? -1 : open_idx(self, data + 4, &files, error);
    }
    if (strcmp(data, "synthetic") == 0)
        return open_synthetic(self, request, error);
    return error_set(error, ERROR_INVALID,
                     "data '%s': auto, mnist, idx:<folder>, png:<folder> or synthetic expected",
                     data);
}

struct dataset *dataset_open(const struct dataset_request *request, struct error *error) {
    bool automatic = strcmp(request->data, "auto") == 0;
    bool mnist = strcmp(request->data, "mnist") == 0;
    struct dataset *self = calloc(1, sizeof *self);
    if (!self) {
        error_set(error, ERROR_MEMORY, "no memory for a dataset");
        return NULL;
    }
    if (automatic || mnist ? open_mnist(self, request, automatic, error)
                           : open_named(self, request, error))
        goto fail;
    if (hash(self, error))
        goto fail;
    if (is_mnist(self)) {
        snprintf(self->name, sizeof self->name, "MNIST");
    } else if ((automatic || mnist) && !self->synthetic) {
        if (mnist) {
            error_set(error, ERROR_CORRUPT,
                      "%s: is not MNIST by its SHA-256; name it as data '%s' to use it",
                      self->name + strlen("idx:"), self->name);
            goto fail;
        }
        log_warning(request->log, "%s is not MNIST by its SHA-256", self->name);
    }
    if (keep(self, request, error))
        goto fail;
    inspect_dataset(self);
    return self;
fail:
    dataset_close(&self);
    return NULL;
}

void dataset_close(struct dataset **self) {
    if (!self || !*self)
        return;
    split_free(&(*self)->train);
    split_free(&(*self)->test);
    free(*self);
    *self = NULL;
}
