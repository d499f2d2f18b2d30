/* Addresses as people write them, with the real binaries, on machines whose names lead elsewhere
 * than here: who joins whom, and what is said where nobody is. */
#include "tests/e2e/run.h"

#include "tests/support/hosts.h"

#include <criterion/criterion.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

TestSuite(addresses, .timeout = 300);

/* A trainer that binds `bind`, at a port of the system's choice, and `join` with that port. The
 * next two ports are the system's choice too. */
static int begin(struct e2e *run, const char *bind, const char *join, const char *more) {
    snprintf(run->address, sizeof run->address, "%s:*", bind);
    const char *const args[] = {"--steps", "10", "--expect-evaluator", "--insecure", more, NULL};
    int trainer = e2e_trainer(run, args);
    char address[200];
    e2e_expect(run, trainer, "listening at tcp://");
    e2e_after(run, trainer, "listening at tcp://", address, sizeof address);
    snprintf(run->address, sizeof run->address, "%s:%s", join, strrchr(address, ':') + 1);
    return trainer;
}

/* Everybody joins at `join` a trainer that binds `bind`, and the run comes to its end. */
static void runs(const char *hosts, const char *bind, const char *join) {
    struct e2e run;
    e2e_begin(&run);
    hosts_begin(run.folder, hosts);
    int trainer = begin(&run, bind, join, NULL);
    e2e_loader(&run, "l", "640");
    int augment = e2e_augment(&run, "a");
    int evaluator = e2e_evaluator(&run, "e");
    cr_expect_eq(e2e_wait(&run, trainer), 0, "%s, %s", bind, join);
    cr_expect_eq(e2e_wait(&run, augment), 0);
    cr_expect_eq(e2e_wait(&run, evaluator), 0);
    e2e_end(&run);
}

Test(addresses, localhost_that_is_ipv6_in_hosts) {
    runs("::1 localhost ip6-localhost\n", "tcp://0.0.0.0", "tcp://localhost");
}

Test(addresses, localhost_is_bound_and_joined_without_hosts) {
    runs("", "tcp://localhost", "tcp://LOCALHOST.");
}

Test(addresses, a_name_with_several_addresses) {
    runs("::1 several\n127.0.0.9 several\n127.0.0.2 several\n", "tcp://127.0.0.2", "tcp://several");
}

Test(addresses, everything_is_bound_and_joined_by_ipv4) {
    runs("127.0.0.1 four\n", "tcp://*", "tcp://four");
}

Test(addresses, a_kernel_without_ipv6) {
    hosts_without_ipv6();
    runs("::1 localhost\n127.0.0.1 localhost\n", "tcp://*", "tcp://localhost");
}

/* Starts each program where nobody is. */
static void start_all(struct e2e *run, const char *join) {
    static const char *const programs[] = {"loader", "augment", "evaluator", "watch"};
    for (int i = 0; i < 4; i++) {
        const char *args[10] = {"--join", join, "--patience", "5"};
        char own[300];
        int count = 4;
        snprintf(own, sizeof own, "%.250s/run-%d", run->folder, run->count);
        if (i == 0) {
            args[count++] = "--data=synthetic";
            args[count++] = "--train-limit=64";
            args[count++] = "--test-limit=10";
        }
        if (i == 2) {
            args[count++] = "--run-dir";
            args[count++] = own;
        }
        e2e_start(run, programs[i], programs[i], args);
    }
}

/* Each program says so within seconds, with the reason; and gives up in time with status 5. */
Test(addresses, what_is_not_there_is_named_by_every_program) {
    struct e2e run;
    char gone[400];
    e2e_begin(&run);
    hosts_begin(run.folder, "127.0.0.1 one\n127.0.0.2 two\n127.0.0.3 two\n");
    snprintf(gone, sizeof gone, "ipc://%s/gone", run.folder);
    const char *const cases[][2] = {
        {gone, "there is no such socket: the run has ended or has not begun"},
        {"tcp://127.0.0.1:1", "Connection refused"},
        {"tcp://one:1", "127.0.0.1: Connection refused"},
        {"tcp://two:1", "127.0.0.2: Connection refused; 127.0.0.3: Connection refused"}};
    for (int i = 0; i < 4; i++)
        start_all(&run, cases[i][0]);
    for (int i = 0; i < run.count; i++) {
        char line[600], last[600];
        const char *join = cases[i / 4][0], *reason = cases[i / 4][1];
        snprintf(line, sizeof line, "cannot reach %s (%s); trying again", join, reason);
        snprintf(last, sizeof last, "cannot reach %s (%s): gave up after 5 s", join, reason);
        cr_expect_eq(e2e_wait(&run, i), 5, "%s at %s", run.list[i].name, join);
        cr_expect(e2e_logged(&run, i, line), "%s: %s", run.list[i].name, line);
        cr_expect(e2e_logged(&run, i, last), "%s: %s", run.list[i].name, last);
    }
    e2e_end(&run);
}

/* What a loader announces is not where others reach it: they would wait for batches in vain. */
Test(addresses, a_loader_that_is_not_reached_is_named) {
    struct e2e run;
    char address[200], line[300];
    e2e_begin(&run);
    hosts_begin(run.folder, "127.0.0.9 loader.example\n127.0.0.8 loader.example\n");
    begin(&run, "tcp://127.0.0.1", "tcp://127.0.0.1", NULL);
    const char *const args[] = {
        "--join",     "@ADDRESS",       "--name",        "far", "--data",       run.data,
        "--announce", "loader.example", "--train-limit", "640", "--test-limit", "10",
        NULL};
    int loader = e2e_start(&run, "loader", "far", args);
    int augment = e2e_augment(&run, "a");
    int evaluator = e2e_evaluator(&run, "e");
    e2e_expect(&run, loader, "samples at tcp://loader.example:");
    e2e_after(&run, loader, "samples at ", address, sizeof address);
    snprintf(
        line, sizeof line,
        "cannot reach far at %s (127.0.0.9: Connection refused; 127.0.0.8: Connection refused)",
        address);
    e2e_expect(&run, augment, line);
    e2e_expect(&run, evaluator, "no answer for 3 s: 127.0.0.9: Connection refused");
    e2e_end(&run);
}

/* A resolver that hangs makes nobody deaf. */
Test(addresses, signals_are_heard_while_a_name_is_looked_up) {
    struct e2e run;
    e2e_begin(&run);
    hosts_hang(run.folder);
    static const char *const programs[] = {"augment", "watch", "loader"};
    const char *const join[] = {"--join", "tcp://trainer.example:5555", NULL, NULL};
    for (int i = 0; i < 3; i++) {
        const char *args[] = {join[0], join[1], i == 2 ? "--data=synthetic" : NULL, NULL};
        e2e_start(&run, programs[i], programs[i], args);
        e2e_expect(&run, i, "(the name lookup has not answered yet); trying again");
        process_signal(&run.list[i].process, SIGTERM, false);
        cr_expect_eq(e2e_wait(&run, i), 130, "%s", programs[i]);
    }
    e2e_end(&run);
}

/* The trainer comes back on another address under the same name. */
Test(addresses, a_name_is_looked_up_again) {
    struct e2e run;
    e2e_begin(&run);
    hosts_begin(run.folder, "127.0.0.2 trainer.example\n");
    int first = begin(&run, "tcp://127.0.0.2", "tcp://trainer.example", "--checkpoint-every=1");
    char port[16];
    snprintf(port, sizeof port, "%.15s", strrchr(run.address, ':') + 1);
    int augment = e2e_augment(&run, "a");
    e2e_expect(&run, augment, "joined tcp://trainer.example:");
    process_signal(&run.list[first].process, SIGKILL, false);
    e2e_wait(&run, first);
    hosts_write(run.folder, "127.0.0.3 trainer.example\n");
    char joined[sizeof run.address];
    strcpy(joined, run.address);
    snprintf(run.address, sizeof run.address, "tcp://127.0.0.3:%s", port);
    snprintf(run.run, sizeof run.run, "%.250s/second", run.folder);
    int second = e2e_trainer(
        &run, (const char *const[]){"--steps", "10", "--expect-evaluator", "--insecure", NULL});
    strcpy(run.address, joined);
    e2e_loader(&run, "l", "640");
    e2e_evaluator(&run, "e");
    cr_expect_eq(e2e_wait(&run, second), 0);
    cr_expect_eq(e2e_wait(&run, augment), 0);
    e2e_end(&run);
}

Test(addresses, what_cannot_be_bound) {
    struct e2e run;
    char none[200];
    e2e_begin(&run);
    hosts_begin(run.folder, "192.0.2.7 elsewhere\n");
    snprintf(none, sizeof none,
             "trainer: --bind: tcp://no-such-host.invalid:5555: "
             "no-such-host.invalid is neither an interface of this machine nor a "
             "name that resolves (");
    const char *const bind[][2] = {
        {"tcp://no-such-host.invalid:5555", none},
        {"tcp://elsewhere:5555", "192.0.2.7 is not an address of this machine"},
        {"tcp://localhost", "has no port"},
        {"localhost:5555", "did you mean tcp://localhost:5555?"}};
    const int status[] = {2, 1, 2, 2};
    for (int i = 0; i < 4; i++) {
        const char *const args[] = {"--bind", bind[i][0], "--engine", "null", "--insecure", NULL};
        int trainer = e2e_start(&run, "trainer", "trainer", args);
        cr_expect_eq(e2e_wait(&run, trainer), status[i], "%s", bind[i][0]);
        e2e_expect(&run, trainer, bind[i][1]);
    }
    e2e_end(&run);
}
