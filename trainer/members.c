/* See members.h. */
#include "trainer/members.h"

#include "common/clock.h"

#include <ctype.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

/* Names stand in logs and file names on other machines: nothing in them may surprise. */
static bool name_is_plain(const char *name) {
    size_t length = strlen(name);
    if (length == 0 || length >= sizeof((struct member *)0)->name)
        return false;
    for (size_t i = 0; i < length; i++)
        if (!isalnum((unsigned char)name[i]) && !strchr("._-", name[i]))
            return false;
    return true;
}

static bool dataset_is_named(const struct members_dataset *dataset) {
    static const uint8_t none[SHA256_SIZE];
    return memcmp(dataset->sha256, none, SHA256_SIZE) != 0;
}

/* The name as far as it goes into messages and JSON: one line of whole UTF-8 characters. */
static void copy_name(char *to, size_t size, const char *from) {
    size_t length = strlen(from);
    if (length >= size) {
        length = size - 1;
        while (length > 0 && ((unsigned char)from[length] & 0xC0) == 0x80)
            length--;
    }
    memcpy(to, from, length);
    to[length] = '\0';
    json_t *probe = json_string(to);
    for (size_t i = 0; i < length; i++)
        if (iscntrl((unsigned char)to[i]) || (!probe && (unsigned char)to[i] >= 0x80))
            to[i] = '?';
    json_decref(probe);
}

static int check_dataset(const struct members *self, const Digitsum__Hello *hello,
                         struct error *error) {
    const Digitsum__Dataset *offered = hello->dataset;
    const struct members_dataset *run = &self->dataset;
    if (!offered || offered->sha256.len != SHA256_SIZE || offered->train < 1 || offered->test < 1)
        return error_set(error, ERROR_REFUSED, "loader %s announced no dataset", hello->name);
    /* Known, or named by the checkpoint that we resumed. */
    if ((run->known || dataset_is_named(run)) &&
        memcmp(run->sha256, offered->sha256.data, SHA256_SIZE) != 0) {
        char expected[SHA256_HEX], got[SHA256_HEX], name[64];
        sha256_hex(run->sha256, expected);
        sha256_hex(offered->sha256.data, got);
        copy_name(name, sizeof name, offered->name);
        return error_set(error, ERROR_REFUSED,
                         "loader %s has another dataset: expected %.16s…, got %.16s… (%s)",
                         hello->name, expected, got, name);
    }
    return 0;
}

static void set_dataset(struct members_dataset *run, const Digitsum__Dataset *offered) {
    run->known = true;
    run->synthetic = offered->synthetic;
    copy_name(run->name, sizeof run->name, offered->name);
    memcpy(run->sha256, offered->sha256.data, SHA256_SIZE);
    run->train = offered->train;
    run->test = offered->test;
}

static int check_hello(const Digitsum__Hello *hello, struct error *error) {
    static const size_t endpoints[] = {[DIGITSUM__ROLE__LOADER] = 2,
                                       [DIGITSUM__ROLE__AUGMENT] = 0,
                                       [DIGITSUM__ROLE__EVALUATOR] = 0,
                                       [DIGITSUM__ROLE__WATCH] = 0};
    if (hello->role < DIGITSUM__ROLE__LOADER || hello->role > DIGITSUM__ROLE__WATCH)
        return error_set(error, ERROR_REFUSED, "role %d: expected 1 to %d", (int)hello->role,
                         DIGITSUM__ROLE__WATCH);
    if (!name_is_plain(hello->name))
        return error_set(error, ERROR_REFUSED,
                         "a name must be 1 to 63 letters, digits, '.', '_' or '-'");
    if (hello->n_endpoints != endpoints[hello->role])
        return error_set(error, ERROR_REFUSED, "%s %s: expected %zu endpoints, got %zu",
                         wire_role_name(hello->role), hello->name, endpoints[hello->role],
                         hello->n_endpoints);
    for (size_t i = 0; i < hello->n_endpoints; i++)
        if (endpoint_check(hello->endpoints[i], false, error) != 0) {
            error->code = ERROR_REFUSED;
            return -1;
        }
    return 0;
}

/* A free entry, growing the list where needed. */
static struct member *find_room(struct members *self) {
    for (int i = 0; i < self->count; i++)
        if (!self->list[i].present)
            return &self->list[i];
    return self->count < MEMBERS_MAX ? &self->list[self->count++] : NULL;
}

struct member *members_join(struct members *self, const struct wire_address *address,
                            const Digitsum__Hello *hello, int64_t now, struct member *replaced,
                            struct error *error) {
    replaced->present = false;
    if (check_hello(hello, error) != 0)
        return NULL;
    if (hello->role == DIGITSUM__ROLE__LOADER && check_dataset(self, hello, error) != 0)
        return NULL;
    struct member *member = NULL;
    for (int i = 0; i < self->count && !member; i++)
        if (self->list[i].present && self->list[i].role == hello->role &&
            (strcmp(self->list[i].name, hello->name) == 0))
            member = &self->list[i];
    if (member && hello->instance && hello->instance == member->former) {
        error_set(error, ERROR_REFUSED,
                  "another %s has joined under the name %s: give each a --name of its own",
                  wire_role_name(hello->role), hello->name);
        return NULL;
    }
    if (member)
        *replaced = *member;
    else
        member = find_room(self);
    if (!member) {
        error_set(error, ERROR_REFUSED, "there are %d peers already", MEMBERS_MAX);
        return NULL;
    }
    if (hello->role == DIGITSUM__ROLE__LOADER && !self->dataset.known)
        set_dataset(&self->dataset, hello->dataset);
    uint64_t former = 0;
    if (replaced->present) /* the same process by a new connection throws nobody out */
        former = replaced->instance != hello->instance ? replaced->instance : replaced->former;
    *member = (struct member){.present = true,
                              .address = *address,
                              .role = hello->role,
                              .heard = now,
                              .instance = hello->instance,
                              .former = former,
                              .loader = -1,
                              .evaluator = -1,
                              .records = hello->role == DIGITSUM__ROLE__EVALUATOR && hello->records,
                              .endpoint_count = (int)hello->n_endpoints};
    snprintf(member->name, sizeof member->name, "%s", hello->name);
    for (int i = 0; i < member->endpoint_count; i++)
        snprintf(member->endpoints[i], ENDPOINT_MAX, "%s", hello->endpoints[i]);
    return member;
}

struct member *members_find(struct members *self, const struct wire_address *address) {
    for (int i = 0; i < self->count; i++)
        if (self->list[i].present && self->list[i].address.size == address->size &&
            memcmp(self->list[i].address.bytes, address->bytes, address->size) == 0)
            return &self->list[i];
    return NULL;
}

bool members_silent(const struct member *member, int64_t now) {
    int64_t limit = member->role == DIGITSUM__ROLE__EVALUATOR ? MEMBERS_EVALUATOR_SILENCE_MS
                                                              : MEMBERS_SILENCE_MS;
    return now - member->heard > limit * CLOCK_MILLISECOND;
}

void members_leave(struct members *self, struct member *member) {
    (void)self;
    member->present = false;
}

struct member *members_next(struct members *self, int *i) {
    while (*i < self->count) {
        struct member *member = &self->list[(*i)++];
        if (member->present)
            return member;
    }
    return NULL;
}

bool members_describe(const struct members *self, Digitsum__Dataset *dataset) {
    const struct members_dataset *known = &self->dataset;
    *dataset = (Digitsum__Dataset)DIGITSUM__DATASET__INIT;
    if (!known->known)
        return false;
    dataset->name = (char *)known->name;
    dataset->synthetic = known->synthetic;
    dataset->sha256 = (ProtobufCBinaryData){SHA256_SIZE, (uint8_t *)known->sha256};
    dataset->train = known->train;
    dataset->test = known->test;
    return true;
}

int members_of_role(const struct members *self, Digitsum__Role role) {
    int count = 0;
    for (int i = 0; i < self->count; i++)
        count += self->list[i].present && self->list[i].role == role;
    return count;
}
