/* Event files over several sessions: each step once, times that grow, a session start that makes
 * TensorBoard forget what it has shown. */
#include "common/crc32c.h"
#include "evaluator/event_record.h"
#include "evaluator/events.h"
#include "evaluator/old_events.h"
#include "proto/tensorboard.pb-c.h"
#include "tests/support/scratch.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char folder[64];
static struct error error;
static struct events *events;
static struct evaluation list[16]; /* what counts */
static size_t count;

static void setup(void) {
    scratch_begin(folder);
    count = 0;
}

static void teardown(void) {
    events_close(&events);
    scratch_end(folder);
}

TestSuite(sessions, .init = setup, .fini = teardown);

static struct evaluation evaluation_of(uint64_t step) {
    return (struct evaluation){
        .step = step, .loss = 0.25, .count = 100, .digit_hits = 90, .sum_hits = 80};
}

static void start(double wall_time) {
    events_close(&events);
    events = events_open(folder, wall_time, list, count, &error);
    cr_assert_not_null(events, "%s", error.text);
}

static void add_event(uint64_t step, double wall_time) {
    struct evaluation evaluation = evaluation_of(step);
    cr_assert_eq(events_append(events, &evaluation, wall_time, &error), 0, "%s", error.text);
}

static void add(uint64_t step, double wall_time) {
    add_event(step, wall_time);
    list[count++] = evaluation_of(step);
}

static int is_visible(const struct dirent *entry) {
    return entry->d_name[0] != '.';
}

static int by_name(const struct dirent **one, const struct dirent **other) {
    return strcmp((*one)->d_name, (*other)->d_name);
}

/* Calls `take` for every record of every file, as TensorBoard reads them. Returns the files. */
static int read_all(void (*take)(const Tensorboard__Event *, char *), char *text) {
    struct dirent **entries;
    int files = scandir(folder, &entries, is_visible, by_name);
    for (int i = 0; i < files; i++) {
        static uint8_t bytes[1 << 16];
        char path[SCRATCH_PATH];
        snprintf(path, sizeof path, "%s/%s", folder, entries[i]->d_name);
        FILE *in = fopen(path, "re");
        cr_assert_not_null(in);
        size_t size = fread(bytes, 1, sizeof bytes, in), at = 0, whole, length;
        const uint8_t *message;
        for (; (whole = event_record_read(bytes + at, size - at, &message, &length)); at += whole) {
            Tensorboard__Event *event = tensorboard__event__unpack(NULL, length, message);
            cr_assert_not_null(event);
            cr_expect(at > 0 || event->what_case == TENSORBOARD__EVENT__WHAT_FILE_VERSION);
            take(event, text);
            tensorboard__event__free_unpacked(event, NULL);
        }
        cr_expect_eq(at, size, "%s is torn", path);
        fclose(in);
        free(entries[i]);
    }
    free(entries);
    return files;
}

/* "S0 100 200 S201 300": starts and points. */
static void note(const Tensorboard__Event *event, char *text) {
    char word[32] = "";
    if (event->what_case == TENSORBOARD__EVENT__WHAT_SESSION_LOG &&
        event->session_log->status == TENSORBOARD__SESSION_LOG__STATUS__START)
        snprintf(word, sizeof word, "%sS%lld", text[0] ? " " : "", (long long)event->step);
    else if (event->what_case == TENSORBOARD__EVENT__WHAT_SUMMARY)
        snprintf(word, sizeof word, " %lld", (long long)event->step);
    strcat(text, word);
}

static void expect_events(const char *expected, int files) {
    char text[1024] = "";
    cr_expect_eq(read_all(note, text), files);
    cr_expect_str_eq(text, expected);
}

static double newest;

static void expect_later(const Tensorboard__Event *event, char *text) {
    (void)text;
    cr_expect_gt(event->wall_time, newest);
    newest = event->wall_time;
}

Test(sessions, a_restart_goes_on) {
    start(1000.25);
    add(100, 1000.5);
    add(200, 1000.75);
    start(1001.125);
    add(300, 1001.5);
    expect_events("S0 100 200 S201 300", 2);
}

Test(sessions, a_run_that_went_back_has_no_step_twice) {
    start(1000);
    for (uint64_t step = 100; step <= 500; step += 100)
        add(step, 1000 + (double)step / 1000);
    count = 2; /* its newest checkpoints were lost */
    start(1010);
    add(300, 1011);
    add(400, 1012);
    expect_events("S0 100 200 S201 300 400", 2);
}

Test(sessions, an_event_whose_line_a_crash_prevented) {
    start(1000);
    add(100, 1001);
    add_event(200, 1002); /* and then it was killed */
    start(1003);
    add(200, 1004);
    expect_events("S0 100 S101 200", 2);
}

Test(sessions, a_torn_record) {
    start(1000);
    add(100, 1001);
    add_event(200, 1002);
    char path[SCRATCH_PATH];
    snprintf(path, sizeof path, "%s", events_path(events));
    FILE *file = fopen(path, "re");
    cr_assert_eq(fseek(file, 0, SEEK_END), 0);
    long size = ftell(file);
    fclose(file);
    cr_assert_eq(truncate(path, size - 7), 0);
    start(1003);
    add(200, 1004);
    expect_events("S0 100 S101 200", 2);
}

Test(sessions, what_older_versions_left) {
    start(1000);
    add(100, 1001);
    add_event(100, 1002); /* twice, not at the end */
    add(200, 1003);
    start(1004);
    expect_events("S0 100 200 S201", 2);
}

Test(sessions, sessions_without_a_point_leave_nothing) {
    for (int i = 0; i < 5; i++)
        start(1000);
    add(100, 1000);
    expect_events("S0 100", 1);
}

Test(sessions, times_grow_although_the_clock_was_set_back) {
    start(1000.5);
    add(100, 1000.5);
    add(200, 900);
    start(800);
    add(300, 800);
    add(400, 2000);
    newest = 0;
    read_all(expect_later, NULL);
    expect_events("S0 100 200 S201 300 400", 2);
}

Test(sessions, others_files_are_left_alone) {
    static const char *const names[] = {"events.out.tfevents.0000000999.other.1.0", "readme"};
    char path[SCRATCH_PATH];
    for (int i = 0; i < 2; i++)
        scratch_write(folder, names[i], "not ours", path);
    scratch_write(folder, "events.out.tfevents.0000000999.here.1.0.part", "half", path);
    start(1000);
    add(100, 1001);
    cr_expect_eq(scratch_count(folder), 3, "but for what a crash left aside");
}

/* --- the records as TFRecord has them: lengths and masked CRC-32C --- */

static uint32_t masked(const uint8_t *bytes, size_t size) {
    uint32_t crc = crc32c(0, bytes, size);
    return (crc >> 15 | crc << 17) + 0xa282ead8u;
}

static uint64_t little(const uint8_t *bytes, int size) {
    uint64_t value = 0;
    for (int i = size - 1; i >= 0; i--)
        value = value << 8 | bytes[i];
    return value;
}

Test(sessions, records_that_tensorboard_reads) {
    static uint8_t bytes[1 << 16];
    start(1234.5);
    for (uint64_t step = 1; step <= 3; step++)
        add_event(step, 1235);
    FILE *file = fopen(events_path(events), "re");
    cr_assert_not_null(file);
    size_t size = fread(bytes, 1, sizeof bytes, file), at = 0;
    fclose(file);
    int records = 0, named = 0;
    while (at < size) {
        cr_assert_leq(at + 12, size, "a torn record");
        uint64_t length = little(bytes + at, 8);
        cr_assert_leq(at + 16 + length, size, "a torn record");
        cr_expect_eq(little(bytes + at + 8, 4), masked(bytes + at, 8));
        cr_expect_eq(little(bytes + at + 12 + length, 4), masked(bytes + at + 12, length));
        if (records == 0)
            cr_expect_not_null(memmem(bytes + at + 12, length, "brain.Event:2", 13));
        named += memmem(bytes + at + 12, length, "digit/accuracy", 14) != NULL;
        at += 16 + length;
        records++;
    }
    cr_expect_geq(records, 4);
    cr_expect_eq(named, 3);
}
