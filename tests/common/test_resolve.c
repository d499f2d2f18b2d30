/* What hosts mean: to whom joins them, and to whom binds them. */
#include "common/resolve.h"

#include "tests/support/hosts.h"
#include "tests/support/scratch.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

typedef int resolver(const char *address, struct resolved *resolved, struct error *error);

/* All addresses, as "tcp://127.0.0.1:5 tcp://[::1]:5". */
static void expect(resolver *resolve, const char *address, const char *all) {
    struct resolved resolved;
    struct error error = {0};
    char text[RESOLVE_MAX * ENDPOINT_MAX] = "";
    cr_assert_eq(resolve(address, &resolved, &error), 0, "%s: %s", address, error.text);
    for (int i = 0; i < resolved.count; i++) {
        char one[ENDPOINT_MAX];
        resolve_address(&resolved.list[i], one);
        snprintf(text + strlen(text), sizeof text - strlen(text), "%s%s", i > 0 ? " " : "", one);
    }
    cr_expect_str_eq(text, all, "%s is %s, expected %s", address, text, all);
}

Test(resolve, localhost_needs_no_hosts_file) {
    char folder[64];
    scratch_begin(folder);
    hosts_begin(folder, "192.0.2.7 localhost\n");
    const char *const names[] = {"localhost", "LOCALHOST", "localhost.", "LocalHost.",
                                 "a.localhost"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char address[64];
        snprintf(address, sizeof address, "tcp://%s:5", names[i]);
        expect(resolve_peers, address, "tcp://127.0.0.1:5 tcp://[::1]:5");
        expect(resolve_own, address, "tcp://127.0.0.1:5 tcp://[::1]:5");
    }
    scratch_end(folder);
}

Test(resolve, all_addresses_of_a_name_once_each) {
    char folder[64];
    struct resolved resolved;
    struct error error = {0};
    scratch_begin(folder);
    hosts_begin(folder, "::1 twice\n127.0.0.2 twice six.example\n127.0.0.3 twice\n127.0.0.2 twice\n"
                        "127.0.0.9 notlocalhost\n");
    expect(resolve_own, "tcp://twice:5", "tcp://127.0.0.2:5 tcp://127.0.0.3:5 tcp://[::1]:5");
    cr_assert_eq(resolve_peers("tcp://twice:5", &resolved, &error), 0, "%s", error.text);
    cr_expect_eq(resolved.count, 3);
    expect(resolve_peers, "tcp://six.example:5", "tcp://127.0.0.2:5");
    expect(resolve_peers, "tcp://notlocalhost:5", "tcp://127.0.0.9:5");
    cr_expect_eq(resolve_peers("tcp://no-such-host.invalid:5", &resolved, &error), -1);
    cr_expect_eq(error.code, ERROR_IO);
    scratch_end(folder);
}

Test(resolve, numbers_and_wildcards) {
    expect(resolve_peers, "tcp://10.0.0.7:5", "tcp://10.0.0.7:5");
    expect(resolve_peers, "tcp://[fd00::7]:5", "tcp://[fd00::7]:5");
    expect(resolve_peers, "tcp://[::ffff:10.0.0.7]:5", "tcp://10.0.0.7:5");
    expect(resolve_peers, "tcp://[fe80::1%lo]:5", "tcp://[fe80::1%lo]:5");
    expect(resolve_peers, "tcp://*:5", "tcp://127.0.0.1:5 tcp://[::1]:5");
    expect(resolve_peers, "tcp://0.0.0.0:5", "tcp://127.0.0.1:5 tcp://[::1]:5");
    expect(resolve_peers, "tcp://[::]:5", "tcp://127.0.0.1:5 tcp://[::1]:5");
    expect(resolve_peers, "ipc:///tmp/x", "ipc:///tmp/x");
    expect(resolve_own, "tcp://*:5", "");
    expect(resolve_own, "tcp://0.0.0.0:*", "tcp://0.0.0.0:0");
    expect(resolve_own, "tcp://[::]:5", "tcp://[::]:5");
    cr_expect_not(resolve_needed("tcp://10.0.0.7:5"));
    cr_expect_not(resolve_needed("tcp://[fe80::1%lo]:5"));
    cr_expect_not(resolve_needed("ipc:///tmp/x"));
    cr_expect(resolve_needed("tcp://localhost:5"));
    cr_expect(resolve_needed("tcp://*:5"));
    cr_expect(resolve_needed("tcp://[::]:5"));
}

Test(resolve, interfaces_and_names_that_mean_nothing) {
    struct resolved resolved;
    struct error error = {0};
    cr_assert_eq(resolve_own("tcp://lo:5", &resolved, &error), 0, "%s", error.text);
    cr_assert_gt(resolved.count, 0);
    char first[ENDPOINT_MAX];
    resolve_address(&resolved.list[0], first);
    cr_expect_str_eq(first, "tcp://127.0.0.1:5");
    cr_expect_eq(resolve_own("tcp://no-such-host.invalid:5", &resolved, &error), -1);
    cr_expect_eq(error.code, ERROR_INVALID);
    cr_expect(strstr(error.text, "no-such-host.invalid is neither an interface of this machine nor "
                                 "a name that resolves"),
              "%s", error.text);
}
