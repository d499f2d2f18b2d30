/* A run of the real binaries in a temporary folder, for the tests in this folder: starts programs,
 * waits for events in their logs and files (never for time), reads what is left. */
#ifndef TESTS_E2E_RUN_H
#define TESTS_E2E_RUN_H

#include "deploy/process.h"

#include <jansson.h>
#include <stdbool.h>

#define RUN_PROCESSES 24
#define RUN_PATIENCE 90 /* seconds: how long any wait may take before the test fails */

struct e2e_process {
    struct process process;
    char name[32];
    char log[600];
    int status; /* once ended */
};

struct e2e {
    char folder[256];  /* temporary; holds run/ and logs */
    char run[300];     /* the trainer's --run-dir */
    char address[320]; /* ipc address of the trainer */
    const char *data;  /* "mnist", or "synthetic" on a machine that has none */
    struct e2e_process list[RUN_PROCESSES];
    int count;
};

/* Takes real MNIST where it is there, and synthetic digits elsewhere: what these tests hold true
 * must hold on both. Fails the test when anything cannot be set up. */
void e2e_begin(struct e2e *self);

/* Kills what still runs, asserts that no socket or temporary file is left, removes the folder. */
void e2e_end(struct e2e *self);

/* The path of a program of this build. */
void e2e_program(const char *program, char *path, size_t size);

/* Starts build/<variant>/bin/<program> (or the program at an absolute path) with these arguments
 * (NULL-ended, after the program's own name); "@ADDRESS" and "@RUN" in an argument stand for the
 * run's. Returns its index. */
int e2e_start(struct e2e *self, const char *program, const char *name, const char *const *args);

/* The usual parts on `images` training images: a loader and an augmenter of that name. */
int e2e_loader(struct e2e *self, const char *name, const char *images);
int e2e_augment(struct e2e *self, const char *name);
int e2e_evaluator(struct e2e *self, const char *name);

/* A trainer with the settings that all these tests share (quick, f32, batch 64, one thread) and
 * further ones. */
int e2e_trainer(struct e2e *self, const char *const *more);

/* Waits until the process has ended, and returns its exit status. */
int e2e_wait(struct e2e *self, int process);

/* Waits until `text` stands in the process's log. */
void e2e_expect(struct e2e *self, int process, const char *text);

/* The same for so many lines with that text. */
void e2e_expect_count(struct e2e *self, int process, const char *text, int count);

/* Whether `text` stands in its log now. */
bool e2e_logged(const struct e2e *self, int process, const char *text);

/* What stands in its log behind `text`, up to the next blank, comma or end of the line. */
void e2e_after(const struct e2e *self, int process, const char *text, char *word, size_t size);

/* In how many lines of its log `text` stands now. */
int e2e_count(const struct e2e *self, int process, const char *text);

/* How many processes on this machine have `text` in their command line. */
int e2e_count_processes(const char *text);

/* Waits until no process has this run's folder in its command line. */
void e2e_expect_no_process(const struct e2e *self);

/* SIGKILL to the one process that has this run's folder and `text` in its command line. */
void e2e_kill_matching(const struct e2e *self, const char *text);

/* How many lines its log has that do not begin with a time stamp. */
int e2e_plain_lines(const struct e2e *self, int process);

/* Waits until there is a file of this name below the run folder; fails when the process that was
 * started last ends before. */
void e2e_expect_file(struct e2e *self, const char *name);

/* summary.json. New reference. */
json_t *e2e_summary(const struct e2e *self);

/* A text or number of it, checked to be there. Texts are copied into `text`. */
void e2e_summary_text(const struct e2e *self, const char *key, char *text, size_t size);
double e2e_summary_number(const struct e2e *self, const char *key);

#endif
