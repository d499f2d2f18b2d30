/* Who has joined: a table without sockets. It decides who may join and says why not; talking to
 * them is coordinator.c's. */
#ifndef TRAINER_MEMBERS_H
#define TRAINER_MEMBERS_H

#include "common/endpoint.h"
#include "common/sha256.h"
#include "common/wire.h"

#define MEMBERS_MAX 1024      /* peers at a time */
#define MEMBERS_EVALUATORS 32 /* of which evaluators: bits of a mask in publish.h */

struct member {
    bool present;
    struct wire_address address;
    Digitsum__Role role;
    char name[64];
    uint64_t instance, former; /* of its process, and of the one before of that name; 0: unknown */
    char peer[WIRE_PEER];      /* where it is, for logs */
    int endpoint_count;
    char endpoints[4][ENDPOINT_MAX];
    int64_t heard;     /* clock_now() of its last message */
    int loader;        /* handle in the ledger, or -1 */
    int evaluator;     /* bit in the publisher's masks, or -1 */
    uint32_t renewals; /* of connections to it, since nothing came over them */
    bool records;      /* an evaluator that keeps evaluations.jsonl */
};

/* What all loaders of a run must agree on; known from the first of them, or from the checkpoint
 * that the run goes on from. */
struct members_dataset {
    bool known;
    char name[128]; /* UTF-8 on one line, whatever the loader sent */
    bool synthetic;
    uint8_t sha256[SHA256_SIZE]; /* zeros: any dataset will do */
    uint32_t train, test;
};

struct members {
    struct member list[MEMBERS_MAX];
    int count; /* entries used so far, present or not */
    struct members_dataset dataset;
};

/* Takes in the sender of a checked HELLO. NULL when it is refused: error says why in words for the
 * peer (ERROR_REFUSED): no role or name, bad endpoints, other dataset than the run's, no room. A
 * member of the same role and name is replaced: it restarted and was not missed yet; *replaced is
 * a copy of what it was (present = false: nobody). One that was replaced so and comes back lives
 * beside a namesake: it is refused, or they would throw each other out for ever. The first loader
 * sets the dataset. */
struct member *members_join(struct members *self, const struct wire_address *address,
                            const Digitsum__Hello *hello, int64_t now, struct member *replaced,
                            struct error *error);

/* The member with this address, or NULL. */
struct member *members_find(struct members *self, const struct wire_address *address);

/* Whether it has sent nothing for longer than whoever is there does (ns, as clock_now): 5 s, and 60
 * s for an evaluator, which computes between two looks at its sockets, on a slow machine for longer
 * than the others may be silent. */
#define MEMBERS_SILENCE_MS 5000
#define MEMBERS_EVALUATOR_SILENCE_MS 60000
bool members_silent(const struct member *member, int64_t now);

void members_leave(struct members *self, struct member *member);

/* The next present member from *i on, advancing *i; NULL at the end. Start with 0. */
struct member *members_next(struct members *self, int *i);

/* The dataset as a message part that borrows the table's texts; false while it is not known. */
bool members_describe(const struct members *self, Digitsum__Dataset *dataset);

int members_of_role(const struct members *self, Digitsum__Role role);

#endif
