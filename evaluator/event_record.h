/* One record of an event file, as TensorFlow frames them (TFRecord): length, its masked CRC-32C,
 * the message, its masked CRC-32C; all numbers little-endian. */
#ifndef EVALUATOR_EVENT_RECORD_H
#define EVALUATOR_EVENT_RECORD_H

#include <stddef.h>
#include <stdint.h>

#define EVENT_RECORD_HEAD 12 /* bytes before the message */
#define EVENT_RECORD_TAIL 4  /* and after it */

/* Frames the message of `size` bytes that stands at record + EVENT_RECORD_HEAD. */
void event_record_frame(uint8_t *record, size_t size);

/* The record at the beginning of bytes[size]: its whole length, with *message and *length what is
 * in it. 0 where there is no whole record, or its checks fail. */
size_t event_record_read(const uint8_t *bytes, size_t size, const uint8_t **message,
                         size_t *length);

#endif
