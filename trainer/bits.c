/* See bits.h. */
#include "trainer/bits.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* --- threads ---------------------------------------------------------------------------------- */

static const char *plural(int count) {
    return count == 1 ? "" : "s";
}

int bits_threads(const struct processors *machine, int asked, int recorded, bool other_bits,
                 int *threads, struct notices *notices, struct error *error) {
    int available = processors_available(machine), most = available;
    if (machine->limit > 0 && machine->limit < most)
        most = machine->limit;
    if (recorded == 0 || (other_bits && asked > 0 && asked != recorded)) {
        *threads = processors_threads(machine, asked, notices);
        return 0;
    }
    *threads = recorded;
    /* The same command that began a run goes on with it: what was cut then is cut again. */
    if (asked > recorded && processors_threads(machine, asked, NULL) == recorded) {
        processors_threads(machine, asked, notices);
        return 0;
    }
    if (asked > 0 && asked != recorded)
        return error_set(
            error, ERROR_INVALID,
            "--resume: the run was trained with %d thread%s, and --threads=%d may give "
            "other weights: leave it out, or add --other-bits to resume anyway",
            recorded, plural(recorded), asked);
    if (recorded <= most)
        return 0;
    if (asked == recorded && (machine->limit == 0 || recorded <= machine->limit)) {
        notices_add(notices, "%d threads share %d processor%s: the same bits, many times slower",
                    recorded, available, plural(available));
        return 0;
    }
    if (other_bits) {
        *threads = most;
        return 0;
    }
    if (machine->limit > 0 && machine->limit < recorded)
        return error_set(error, ERROR_INVALID,
                         "--resume: the run was trained with %d threads, and OMP_THREAD_LIMIT=%d "
                         "allows fewer, which may give other weights: raise it, or add "
                         "--other-bits to resume with %d",
                         recorded, machine->limit, most);
    return error_set(error, ERROR_INVALID,
                     "--resume: the run was trained with %d threads, and this process may use %d "
                     "processor%s: give it more; or --threads=%d to share (slow, the same bits); "
                     "or --other-bits to resume with %d",
                     recorded, available, plural(available), recorded, most);
}

int bits_recorded_threads(const struct checkpoint *checkpoint, const json_t *settings) {
    json_t *was = checkpoint->computed ? json_loads(checkpoint->computed, 0, NULL) : NULL;
    const json_t *value = json_object_get(was ? was : settings, "threads");
    json_int_t threads = json_integer_value(value);
    json_decref(was);
    return threads > 0 && threads <= INT16_MAX ? (int)threads : 0;
}

/* --- what else the bits depend on ------------------------------------------------------------- */

static void show(const json_t *value, char text[static 160]) {
    if (json_is_integer(value))
        snprintf(text, 160, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
    else
        snprintf(text, 160, "%s", json_is_string(value) ? json_string_value(value) : "(unknown)");
}

/* One member that must be as it was. 1: it is not, and that is a notice; -1: refused. */
static int compare_one(const json_t *was, const json_t *now, const char *key, const char *what,
                       bool other_bits, struct notices *notices, struct error *error) {
    const json_t *before = json_object_get(was, key), *after = json_object_get(now, key);
    char one[160], other[160];
    if (json_equal(before, after))
        return 0;
    show(before, one);
    show(after, other);
    if (other_bits) {
        notices_add(notices, "--other-bits: the %s was %.80s and is %.80s from here on", what, one,
                    other);
        return 1;
    }
    return error_set(
        error, ERROR_INVALID,
        "--resume: the run was trained with the %s %s, and here it is %s, which may give "
        "other weights: resume it where it was started, or add --other-bits to resume anyway",
        what, one, other);
}

static void note_one(const json_t *was, const json_t *now, const char *key, const char *what,
                     struct notices *notices) {
    const json_t *before = json_object_get(was, key), *after = json_object_get(now, key);
    char one[160], other[160];
    if (json_equal(before, after))
        return;
    show(before, one);
    show(after, other);
    notices_add(notices, "resumed on another %s: was %.70s, is %.70s; the bits may differ", what,
                one, other);
}

/* The steps at which the bits changed, the new one at the end; and the notice of the last. */
static int keep_steps(const json_t *was, json_t *now, bool changed, uint64_t step,
                      struct notices *notices) {
    const json_t *before = json_object_get(was, "changed_at");
    json_t *steps = json_is_array(before) ? json_deep_copy(before) : json_array();
    if (changed)
        json_array_append_new(steps, json_integer((json_int_t)step));
    size_t count = json_array_size(steps);
    if (count == 0) {
        json_decref(steps);
        return 0;
    }
    notices_add(notices,
                "from step %" JSON_INTEGER_FORMAT
                " on this run was computed differently (--other-bits): its weights cannot be "
                "reproduced in one go",
                json_integer_value(json_array_get(steps, count - 1)));
    return json_object_set_new(now, "changed_at", steps);
}

int bits_compare(const struct checkpoint *checkpoint, json_t *now, bool other_bits,
                 struct notices *notices, struct error *error) {
    static const struct {
        const char *key, *what;
    } rows[] = {{"engine", "engine"},
                {"precision", "precision"},
                {"threads", "number of threads"},
                {"instructions", "instruction set"},
                {"library", "library"}};
    if (!checkpoint->computed) {
        notices_add(notices,
                    "the checkpoint does not say what it was computed with: from step "
                    "%" PRIu64 " on the bits may differ",
                    checkpoint->step);
        return 0;
    }
    json_t *was = json_loads(checkpoint->computed, 0, NULL);
    bool changed = false;
    int status = 0;
    for (size_t i = 0; i < sizeof rows / sizeof *rows && status >= 0; i++) {
        status = compare_one(was, now, rows[i].key, rows[i].what, other_bits, notices, error);
        changed |= status == 1;
    }
    if (status >= 0) {
        note_one(was, now, "processor", "processor", notices);
        note_one(was, now, "program", "build", notices);
        status = keep_steps(was, now, changed, checkpoint->step, notices);
        if (status != 0)
            error_set(error, ERROR_MEMORY, "no memory to record what the run is computed with");
    }
    json_decref(was);
    return status < 0 ? -1 : 0;
}
