/* Opening what `--data` names. */
#include "loader/dataset.h"
#include "loader/csv.h"
#include "loader/idx.h"
#include "loader/inspect.h"
#include "loader/layout.h"
#include "loader/npz.h"
#include "loader/synthetic.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The digest of MNIST as a dataset. The headers of the files hold nothing that the readers do not
 * check, so this one value says what the four in loader/fetch say (a test holds them together). */
static const char MNIST_SHA256[] =
    "06b0d1f124c4e5fa796686ade41a9b778edacc8622f2195a352ef479ad44fc16";

enum { NAME_SHOWN = 120 }; /* bytes of a name that every report and plot has room for */

/* --- reading ---------------------------------------------------------------------------------- */

/* One split to be read: both are read at once. */
struct errand {
    const struct layout *layout;
    bool test;
    struct split *split;
    struct tree_passed passed;
    struct error error;
    int status;
};

static int read_split(struct errand *errand) {
    const struct layout *layout = errand->layout;
    switch (layout->form) {
    case LAYOUT_IDX: {
        int images = errand->test ? IDX_TEST_IMAGES : IDX_TRAIN_IMAGES;
        return idx_read(layout->files.path[images], layout->files.path[images + 1], errand->split,
                        &errand->error);
    }
    case LAYOUT_PNG:
        return tree_read(errand->test ? layout->tree.test : layout->tree.train, errand->split,
                         &errand->passed, &errand->error);
    case LAYOUT_CSV:
        return csv_read(errand->test ? layout->csv.test : layout->csv.train, errand->split,
                        &errand->error);
    case LAYOUT_NPZ:
        return npz_read(layout->path, errand->test, errand->split, &errand->error);
    }
    return -1;
}

static void *run(void *context) {
    struct errand *errand = context;
    errand->status = read_split(errand);
    return NULL;
}

/* Runs both, the second on a thread where one can be had; the first one's error goes before. With
 * `alone` the test split may be missing. */
static int read_both(struct errand *train, struct errand *test, bool alone, struct error *error) {
    pthread_t thread;
    bool both = layout_has_test(test->layout);
    bool beside = both && pthread_create(&thread, NULL, run, test) == 0;
    run(train);
    if (beside)
        pthread_join(thread, NULL);
    else if (both)
        run(test);
    bool tables = test->layout->form == LAYOUT_CSV || test->layout->form == LAYOUT_NPZ;
    if (alone && tables && test->error.code == ERROR_INVALID)
        test->status = 0;
    const struct errand *failed = train->status ? train : test;
    if (failed->status)
        return error_set(error, failed->error.code, "%s", failed->error.text);
    return 0;
}

/* Says which files are read, for there may be others beside them. */
static void log_layout(const struct dataset *self, const struct layout *layout,
                       const struct log *log) {
    switch (layout->form) {
    case LAYOUT_IDX:
        log_info(log, "read IDX files from %s: %s and those that belong to it", layout->path,
                 layout->files.path[IDX_TRAIN_IMAGES]);
        break;
    case LAYOUT_PNG:
        log_info(log, "read PNG files from %s and %s%s%s", layout->tree.train,
                 self->test.count ? layout->tree.test : "no test split",
                 layout->tree.others[0] ? "; beside them, not read: " : "", layout->tree.others);
        break;
    case LAYOUT_CSV:
        log_info(log, "read %s and %s", layout->csv.train,
                 self->test.count ? layout->csv.test : "no test split");
        break;
    case LAYOUT_NPZ:
        log_info(log, "read %s", layout->path);
        break;
    }
}

static int open_layout(struct dataset *self, const struct layout *layout,
                       const struct dataset_request *request, struct error *error) {
    struct errand train = {.layout = layout, .split = &self->train};
    struct errand test = {.layout = layout, .test = true, .split = &self->test};
    snprintf(self->name, sizeof self->name, "%s:%.*s", layout_word(layout->form), DATASET_NAME - 8,
             layout->path);
    if (read_both(&train, &test, request->hold_out > 0, error))
        return -1;
    log_layout(self, layout, request->log);
    tree_note_doubled(&layout->tree, &self->notices);
    tree_note_passed(&train.passed, &test.passed, &self->notices);
    if (layout_is_emnist(layout) && !request->transpose)
        notices_add(&self->notices, "EMNIST keeps its images transposed, lying on their side: "
                                    "TRANSPOSE=1 (--transpose) turns them upright");
    return 0;
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

/* Says what is not as in the files. A long path is cut before it, for those who show a name cut its
 * end, and that is what must not be missed. */
static void name_changes(struct dataset *self, bool transposed, uint32_t held_out) {
    char what[80], whole[DATASET_NAME];
    int length = snprintf(what, sizeof what, "%s", transposed ? ", transposed" : "");
    if (held_out)
        length += snprintf(what + length, sizeof what - (size_t)length,
                           ", %" PRIu32 " training images held out", held_out);
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
    if (request->transpose) {
        split_transpose(&self->train);
        split_transpose(&self->test);
    }
    if (request->hold_out || request->transpose)
        name_changes(self, request->transpose, request->hold_out);
    split_limit(&self->train, request->train_limit);
    split_limit(&self->test, request->test_limit);
    bool same = train == self->train.count && test == self->test.count && !request->transpose;
    return same ? 0 : hash(self, error);
}

/* --- the door --------------------------------------------------------------------------------- */

/* Keras's copy of MNIST: 1 where it is there and is MNIST, otherwise 0, and `self` is empty. Others
 * keep their files under this name too, so what is wrong with it is no reason to end. */
static int open_keras(struct dataset *self, const struct dataset_request *request) {
    struct layout layout = {.form = LAYOUT_NPZ};
    struct error error;
    if (!fetch_find_keras(layout.path))
        return 0;
    if (open_layout(self, &layout, request, &error) == 0 && hash(self, &error) == 0 &&
        is_mnist(self))
        return 1;
    log_warning(request->log, "%s is not MNIST; looking elsewhere", layout.path);
    split_free(&self->train);
    split_free(&self->test);
    return 0;
}

/* Downloads the four files of MNIST. */
static int obtain_mnist(const struct dataset_request *request, struct layout *layout,
                        struct error *error) {
    return fetch_obtain(layout->path, request->log, error) == 0
               ? idx_locate(layout->path, &layout->files, error)
               : -1;
}

static int open_mnist(struct dataset *self, const struct dataset_request *request,
                      bool or_synthetic, struct error *error) {
    struct layout layout = {.form = LAYOUT_IDX};
    struct error failure;
    int found = fetch_find(&self->notices, layout.path, &layout.files, error);
    if (found < 0)
        return -1;
    if (found)
        return open_layout(self, &layout, request, error);
    if (open_keras(self, request))
        return 0;
    if (obtain_mnist(request, &layout, &failure)) {
        if (!or_synthetic || failure.code == ERROR_INTERRUPTED)
            return error_set(error, failure.code, "%s", failure.text);
        log_warning(request->log, "MNIST is unavailable (%s): drawing synthetic digits instead",
                    failure.text);
        return open_synthetic(self, request, error);
    }
    return open_layout(self, &layout, request, error);
}

static int open_named(struct dataset *self, const struct dataset_request *request,
                      struct error *error) {
    struct layout layout;
    if (strcmp(request->data, "synthetic") == 0)
        return open_synthetic(self, request, error);
    if (layout_find(request->data, request->hold_out > 0, &layout, error))
        return -1;
    return open_layout(self, &layout, request, error);
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
        notices_add(&self->notices, "%s is not MNIST by its SHA-256", self->name);
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
