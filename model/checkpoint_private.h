/* What the halves of a checkpoint's file share: where its tensors and its digest stand. Private to
 * model/checkpoint*.c. */
#ifndef MODEL_CHECKPOINT_PRIVATE_H
#define MODEL_CHECKPOINT_PRIVATE_H

#include "model/checkpoint.h"

#define CHECKPOINT_FORMAT "digitsum-3"
#define PREFIX 8                /* bytes of the header's length */
#define DIGITS (SHA256_HEX - 1) /* of a digest in hex */
#define TENSOR_NAME (NET_NAME + 32)

/* Of the digest while it is computed. */
extern const char checkpoint_zeros[DIGITS + 1];

/* The four flat arrays, in the order of the file. */
struct part {
    const char *prefix; /* of its tensors' names: "ema." */
    bool trainable_only;
    size_t member; /* offset of the array's pointer in struct engine_state */
};
enum { PARTS = 4 };
extern const struct part checkpoint_parts[PARTS];

/* Where the state keeps this part's array; NULL there: the state has none. */
float **part_array(const struct engine_state *state, const struct part *part);
size_t part_floats(const struct net *net, const struct part *part);

/* The next parameter, from index *p on, that has a tensor in this part, with the tensor's name; *p
 * moves behind it. NULL: there are no more. */
const struct parameter *part_next(const struct net *net, const struct part *part, int *p,
                                  char name[static TENSOR_NAME]);

/* Where the digest's 64 digits stand in the header's JSON, or NULL. */
const char *checkpoint_find_digest(const uint8_t *header, size_t size);

/* SHA-256 of a whole file, with zeros where its `digits` stand. -1 with ERROR_MEMORY. */
int checkpoint_digest(const uint8_t *bytes, size_t size, const char *digits,
                      char hex[static SHA256_HEX], struct error *error);

/* What both check of strings: lower-case hex digits; a JSON object. */
bool is_hex(const char *text, size_t length);
bool is_json_object(const char *text);

#endif
