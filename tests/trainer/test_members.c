/* Who may join, and in what words the others are turned away. */
#include "common/clock.h"
#include "trainer/members.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct members *members;
static struct member replaced;
static struct error error;

static void setup(void) {
    members = calloc(1, sizeof *members);
    cr_assert_not_null(members);
}

static void teardown(void) {
    free(members);
}

TestSuite(members, .init = setup, .fini = teardown);

/* A peer's HELLO with all that it points to. */
struct caller {
    struct wire_address address;
    Digitsum__Hello hello;
    Digitsum__Dataset dataset;
    uint8_t sha256[SHA256_SIZE];
    char name[80];
    char *endpoints[4];
};

static void call(struct caller *caller, Digitsum__Role role, const char *name, char id) {
    static char samples[] = "tcp://127.0.0.1:7001", split[] = "ipc:///tmp/split";
    *caller = (struct caller){.address = {1, {(uint8_t)id}}, .endpoints = {samples, split}};
    snprintf(caller->name, sizeof caller->name, "%s", name);
    memset(caller->sha256, 0xab, SHA256_SIZE);
    caller->dataset = (Digitsum__Dataset)DIGITSUM__DATASET__INIT;
    caller->dataset.name = "MNIST";
    caller->dataset.sha256 = (ProtobufCBinaryData){SHA256_SIZE, caller->sha256};
    caller->dataset.train = 60000;
    caller->dataset.test = 10000;
    caller->hello = (Digitsum__Hello)DIGITSUM__HELLO__INIT;
    caller->hello.role = role;
    caller->hello.name = caller->name;
    caller->hello.endpoints = caller->endpoints;
    caller->hello.n_endpoints = role == DIGITSUM__ROLE__LOADER ? 2 : 0;
    caller->hello.dataset = role == DIGITSUM__ROLE__LOADER ? &caller->dataset : NULL;
}

static struct member *join(const struct caller *caller, int64_t now) {
    error = (struct error){0};
    return members_join(members, &caller->address, &caller->hello, now, &replaced, &error);
}

static void expect_refused(const struct caller *caller, const char *sentence) {
    cr_expect_null(join(caller, 1));
    cr_expect_eq(error.code, ERROR_REFUSED);
    cr_expect_str_eq(error.text, sentence);
    cr_expect_not(replaced.present);
}

Test(members, one_of_each_role_joins) {
    struct caller loader, augment, evaluator, watch;
    call(&loader, DIGITSUM__ROLE__LOADER, "loader-1", 'l');
    call(&augment, DIGITSUM__ROLE__AUGMENT, "augment.1", 'a');
    call(&evaluator, DIGITSUM__ROLE__EVALUATOR, "Evaluator_1", 'e');
    call(&watch, DIGITSUM__ROLE__WATCH, "w", 'w');
    struct member *member = join(&loader, 77);
    cr_assert_not_null(member, "%s", error.text);
    cr_expect(member->present);
    cr_expect_eq(member->role, DIGITSUM__ROLE__LOADER);
    cr_expect_str_eq(member->name, "loader-1");
    cr_expect_eq(member->heard, 77);
    cr_expect_eq(member->loader, -1);
    cr_expect_eq(member->evaluator, -1);
    cr_expect_eq(member->endpoint_count, 2);
    cr_expect_str_eq(member->endpoints[0], "tcp://127.0.0.1:7001");
    cr_expect_str_eq(member->endpoints[1], "ipc:///tmp/split");
    cr_expect_not(replaced.present);
    cr_assert_not_null(join(&augment, 1), "%s", error.text);
    cr_assert_not_null(join(&evaluator, 1), "%s", error.text);
    cr_assert_not_null(join(&watch, 1), "%s", error.text);
    cr_expect_eq(members_of_role(members, DIGITSUM__ROLE__LOADER), 1);
    cr_expect_eq(members_of_role(members, DIGITSUM__ROLE__WATCH), 1);
    cr_expect_eq(members_find(members, &loader.address), member);
    struct wire_address stranger = {1, {'s'}}, longer = {2, {'l', 'x'}};
    cr_expect_null(members_find(members, &stranger));
    cr_expect_null(members_find(members, &longer));
    int i = 0, count = 0;
    while (members_next(members, &i))
        count++;
    cr_expect_eq(count, 4);
}

Test(members, strange_roles_are_refused) {
    struct caller caller;
    call(&caller, DIGITSUM__ROLE__NOBODY, "x", 'x');
    expect_refused(&caller, "role 0: expected 1 to 4");
    caller.hello.role = 5;
    expect_refused(&caller, "role 5: expected 1 to 4");
    caller.hello.role = -1;
    expect_refused(&caller, "role -1: expected 1 to 4");
}

Test(members, names_that_could_surprise_are_refused) {
    static const char *const names[] = {
        "",
        "a b",
        "a/b",
        "../x",
        "line\nbreak",
        "caf\xc3\xa9",
        "a%s",
        "0123456789012345678901234567890123456789012345678901234567890123"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct caller caller;
        call(&caller, DIGITSUM__ROLE__AUGMENT, names[i], 'x');
        expect_refused(&caller, "a name must be 1 to 63 letters, digits, '.', '_' or '-'");
    }
    struct caller longest;
    call(&longest, DIGITSUM__ROLE__AUGMENT,
         "012345678901234567890123456789012345678901234567890123456789012", 'x');
    cr_expect_not_null(join(&longest, 1), "%s", error.text);
}

Test(members, each_role_has_its_endpoints) {
    struct caller caller;
    call(&caller, DIGITSUM__ROLE__LOADER, "l", 'l');
    caller.hello.n_endpoints = 1;
    expect_refused(&caller, "loader l: expected 2 endpoints, got 1");
    call(&caller, DIGITSUM__ROLE__AUGMENT, "a", 'a');
    caller.hello.n_endpoints = 1;
    expect_refused(&caller, "augment a: expected 0 endpoints, got 1");
    call(&caller, DIGITSUM__ROLE__EVALUATOR, "e", 'e');
    caller.hello.n_endpoints = 1;
    expect_refused(&caller, "evaluator e: expected 0 endpoints, got 1");
    call(&caller, DIGITSUM__ROLE__LOADER, "l", 'l');
    caller.endpoints[0] = "udp://x:1";
    expect_refused(&caller, "address 'udp://x:1': write tcp://host:port or ipc://path");
    caller.endpoints[0] = "tcp://x:*"; /* nobody can connect to a star */
    expect_refused(&caller, "address 'tcp://x:*': the port must be 1 to 65535");
}

Test(members, loaders_must_have_a_dataset) {
    static const char *const sentence = "loader l announced no dataset";
    struct caller caller;
    call(&caller, DIGITSUM__ROLE__LOADER, "l", 'l');
    caller.hello.dataset = NULL;
    expect_refused(&caller, sentence);
    call(&caller, DIGITSUM__ROLE__LOADER, "l", 'l');
    caller.dataset.sha256.len = 31;
    expect_refused(&caller, sentence);
    call(&caller, DIGITSUM__ROLE__LOADER, "l", 'l');
    caller.dataset.train = 0;
    expect_refused(&caller, sentence);
    call(&caller, DIGITSUM__ROLE__LOADER, "l", 'l');
    caller.dataset.test = 0;
    expect_refused(&caller, sentence);
    Digitsum__Dataset described;
    cr_expect_not(members_describe(members, &described));
    cr_expect_eq(members->count, 0);
}

Test(members, the_first_loader_sets_the_dataset) {
    struct caller first, second;
    Digitsum__Dataset described;
    call(&first, DIGITSUM__ROLE__LOADER, "one", '1');
    first.dataset.synthetic = true;
    cr_assert_not_null(join(&first, 1), "%s", error.text);
    cr_assert(members_describe(members, &described));
    cr_expect_str_eq(described.name, "MNIST");
    cr_expect(described.synthetic);
    cr_expect_eq(described.train, 60000);
    cr_expect_eq(described.test, 10000);
    cr_assert_eq(described.sha256.len, SHA256_SIZE);
    cr_expect_arr_eq(described.sha256.data, first.sha256, SHA256_SIZE);

    call(&second, DIGITSUM__ROLE__LOADER, "two", '2');
    second.sha256[0] = 0xcd;
    expect_refused(&second, "loader two has another dataset: expected abababababababab…, "
                            "got cdababababababab… (MNIST)");
    second.sha256[0] = 0xab;
    second.dataset.name = "the same by another name";
    cr_assert_not_null(join(&second, 1), "%s", error.text);
    cr_expect_str_eq(members->dataset.name, "MNIST");
}

/* What a checkpoint names binds the first loader too, whatever byte its digest begins with. */
Test(members, a_resumed_run_keeps_its_dataset) {
    struct caller caller;
    for (int byte = 0; byte < 2; byte++) {
        memset(members->dataset.sha256, 0xab, SHA256_SIZE);
        members->dataset.sha256[0] = (uint8_t)byte;
        call(&caller, DIGITSUM__ROLE__LOADER, "one", '1');
        expect_refused(&caller, byte ? "loader one has another dataset: expected "
                                       "01ababababababab…, got abababababababab… (MNIST)"
                                     : "loader one has another dataset: expected "
                                       "00ababababababab…, got abababababababab… (MNIST)");
        cr_expect_not(members->dataset.known);
    }
    caller.sha256[0] = 1;
    cr_assert_not_null(join(&caller, 1), "%s", error.text);
    cr_expect(members->dataset.known);
}

/* The name goes into JSON and onto terminals. */
Test(members, names_of_datasets_are_one_line_of_utf8) {
    struct caller caller;
    char big[300];
    call(&caller, DIGITSUM__ROLE__LOADER, "one", '1');
    caller.dataset.name = "idx:/data/\x1b[31m\n\xff";
    cr_assert_not_null(join(&caller, 1), "%s", error.text);
    cr_expect_str_eq(members->dataset.name, "idx:/data/?[31m??");
    members->dataset.known = false;
    memset(big, 'x', sizeof big);
    memcpy(big + 126, "\xc3\xa9", 2); /* its second byte would be the first that is cut off */
    big[sizeof big - 1] = '\0';
    caller.dataset.name = big;
    cr_assert_not_null(join(&caller, 1), "%s", error.text);
    cr_expect_eq(strlen(members->dataset.name), 126);
    cr_expect_null(strpbrk(members->dataset.name, "\xc3?"));
}

Test(members, who_restarted_takes_its_own_place) {
    struct caller before, after, namesake;
    call(&before, DIGITSUM__ROLE__AUGMENT, "a", '1');
    call(&after, DIGITSUM__ROLE__AUGMENT, "a", '2');
    call(&namesake, DIGITSUM__ROLE__WATCH, "a", '3');
    struct member *member = join(&before, 10);
    cr_assert_not_null(member);
    member->loader = 7;
    cr_expect_eq(join(&after, 20), member);
    cr_expect(replaced.present);
    cr_expect_eq(replaced.loader, 7);
    cr_expect_eq(replaced.heard, 10);
    cr_expect_eq(member->loader, -1);
    cr_expect_eq(member->heard, 20);
    cr_expect_null(members_find(members, &before.address));
    cr_expect_eq(members_find(members, &after.address), member);
    cr_expect_neq(join(&namesake, 30), member, "another role is somebody else");
    cr_expect_not(replaced.present);
    cr_expect_eq(members_of_role(members, DIGITSUM__ROLE__AUGMENT), 1);
}

Test(members, who_left_makes_room) {
    struct caller caller;
    char name[32];
    struct member *first = NULL;
    for (int i = 0; i < MEMBERS_MAX; i++) {
        snprintf(name, sizeof name, "a%d", i);
        call(&caller, DIGITSUM__ROLE__AUGMENT, name, 'a');
        struct member *member = join(&caller, 1);
        cr_assert_not_null(member, "%d: %s", i, error.text);
        first = first ? first : member;
    }
    call(&caller, DIGITSUM__ROLE__LOADER, "one-more", 'm');
    expect_refused(&caller, "there are 1024 peers already");
    cr_expect_not(members->dataset.known, "who was refused decides nothing");
    members_leave(members, first);
    cr_expect_eq(members_of_role(members, DIGITSUM__ROLE__AUGMENT), MEMBERS_MAX - 1);
    cr_expect_eq(join(&caller, 1), first);
    cr_expect_eq(first->role, DIGITSUM__ROLE__LOADER);
}

Test(members, a_restart_takes_its_place_and_a_namesake_is_refused) {
    struct caller first, second;
    call(&first, DIGITSUM__ROLE__AUGMENT, "augment-1", 'a');
    call(&second, DIGITSUM__ROLE__AUGMENT, "augment-1", 'b');
    first.hello.instance = 11;
    second.hello.instance = 22;
    cr_assert_not_null(join(&first, 1));
    cr_assert_not_null(join(&first, 1), "the same process again, by a new connection");
    cr_assert_not_null(join(&second, 1), "a restart");
    cr_expect(replaced.present);
    expect_refused(&first, "another augment has joined under the name augment-1: give each a "
                           "--name of its own");
    cr_assert_not_null(join(&second, 1));
    expect_refused(&first, "another augment has joined under the name augment-1: give each a "
                           "--name of its own");
    /* Processes that do not say who they are replace each other as before. */
    first.hello.instance = second.hello.instance = 0;
    cr_assert_not_null(join(&first, 1));
    cr_assert_not_null(join(&second, 1));
    /* When the second is gone, the name is free. */
    members_leave(members, join(&second, 1));
    first.hello.instance = 11;
    cr_assert_not_null(join(&first, 1));
}

Test(members, an_evaluator_may_be_silent_for_longer) {
    struct caller augment, evaluator;
    call(&augment, DIGITSUM__ROLE__AUGMENT, "augment-1", 'a');
    call(&evaluator, DIGITSUM__ROLE__EVALUATOR, "evaluator-1", 'e');
    const struct member *quick = join(&augment, 1), *slow = join(&evaluator, 1);
    int64_t joined = quick->heard;
    cr_assert_eq(slow->heard, joined);
    cr_expect_not(members_silent(quick, joined + 5 * CLOCK_SECOND));
    cr_expect(members_silent(quick, joined + 5 * CLOCK_SECOND + 1));
    cr_expect_not(members_silent(slow, joined + 60 * CLOCK_SECOND));
    cr_expect(members_silent(slow, joined + 60 * CLOCK_SECOND + 1));
}
