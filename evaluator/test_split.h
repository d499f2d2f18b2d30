/* The test split, fetched from a loader over the wire, so that an evaluator needs no files: asks
 * for rows from one loader at a time, and turns to the next when it does not answer. */
#ifndef EVALUATOR_TEST_SPLIT_H
#define EVALUATOR_TEST_SPLIT_H

#include "common/log.h"
#include "common/wire.h"

#define TEST_SPLIT_MAX 1000000 /* images: bounds the memory that a loader can make us take */

struct test_split;

/* `context` is borrowed. NULL when memory is short. */
struct test_split *test_split_create(void *context, const struct log *log);
void test_split_destroy(struct test_split **self);

/* The loaders that there are now. */
void test_split_follow(struct test_split *self, const Digitsum__Peers *peers);

/* For zmq_poll(): NULL while there is none. */
void *test_split_socket(const struct test_split *self);

/* Milliseconds until test_split_work must be called even if nothing is readable. */
long test_split_wait(const struct test_split *self);

/* Asks, takes in answers, and turns to another loader where answers are late. -1: the socket
 * failed. */
int test_split_work(struct test_split *self, int64_t now, struct error *error);

/* Whether all rows are here. */
bool test_split_whole(const struct test_split *self);

/* Valid once whole, and until test_split_destroy: images [count][28][28], labels [count] 0-9. */
uint32_t test_split_count(const struct test_split *self);
const uint8_t *test_split_images(const struct test_split *self);
const uint8_t *test_split_labels(const struct test_split *self);

#endif
