/* See event_record.h. */
#include "evaluator/event_record.h"

#include "common/crc32c.h"

enum { LENGTH_BYTES = 8, CRC_BYTES = 4 };

static void put_little_endian(uint8_t *bytes, uint64_t value, int size) {
    for (int i = 0; i < size; i++)
        bytes[i] = (uint8_t)(value >> (8 * i));
}

static uint64_t get_little_endian(const uint8_t *bytes, int size) {
    uint64_t value = 0;
    for (int i = size; i-- > 0;)
        value = value << 8 | bytes[i];
    return value;
}

/* TensorFlow masks a CRC that is stored beside its data, because the CRC of data that holds its
 * own CRC is a poor check. */
static uint32_t masked_crc(const uint8_t *bytes, size_t size) {
    uint32_t crc = crc32c(0, bytes, size);
    return ((crc >> 15) | (crc << 17)) + UINT32_C(0xa282ead8);
}

void event_record_frame(uint8_t *record, size_t size) {
    uint8_t *message = record + EVENT_RECORD_HEAD;
    put_little_endian(record, size, LENGTH_BYTES);
    put_little_endian(record + LENGTH_BYTES, masked_crc(record, LENGTH_BYTES), CRC_BYTES);
    put_little_endian(message + size, masked_crc(message, size), CRC_BYTES);
}

size_t event_record_read(const uint8_t *bytes, size_t size, const uint8_t **message,
                         size_t *length) {
    if (size < EVENT_RECORD_HEAD + EVENT_RECORD_TAIL)
        return 0;
    uint64_t said = get_little_endian(bytes, LENGTH_BYTES);
    if (get_little_endian(bytes + LENGTH_BYTES, CRC_BYTES) != masked_crc(bytes, LENGTH_BYTES) ||
        said > size - EVENT_RECORD_HEAD - EVENT_RECORD_TAIL)
        return 0;
    *message = bytes + EVENT_RECORD_HEAD;
    *length = (size_t)said;
    if (get_little_endian(*message + *length, CRC_BYTES) != masked_crc(*message, *length))
        return 0;
    return EVENT_RECORD_HEAD + *length + EVENT_RECORD_TAIL;
}
