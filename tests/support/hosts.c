/* See hosts.h. */
#include "tests/support/hosts.h"

#include "tests/support/scratch.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <net/if.h>
#include <sched.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

static void cover(const char *folder, const char *name, const char *text, const char *place) {
    char path[SCRATCH_PATH];
    scratch_write(folder, name, text, path);
    if (mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount(path, place, NULL, MS_BIND, NULL) != 0)
        cr_skip_test("%s cannot be covered here: %s", place, strerror(errno));
}

void hosts_begin(const char *folder, const char *text) {
    if (unshare(CLONE_NEWNS) != 0)
        cr_skip_test("no mounts of its own are allowed here: %s", strerror(errno));
    cover(folder, "hosts", text, "/etc/hosts");
}

void hosts_write(const char *folder, const char *text) {
    char path[SCRATCH_PATH];
    scratch_write(folder, "hosts", text, path);
}

void hosts_hang(const char *folder) {
    struct ifreq lo = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
    struct sockaddr_in server = {.sin_family = AF_INET, .sin_port = htons(53)};
    if (unshare(CLONE_NEWNS | CLONE_NEWNET) != 0)
        cr_skip_test("no network of its own is allowed here: %s", strerror(errno));
    int descriptor = socket(AF_INET, SOCK_DGRAM, 0); /* open as long as the test is */
    cr_assert_eq(ioctl(descriptor, SIOCSIFFLAGS, &lo), 0);
    inet_pton(AF_INET, "127.0.0.53", &server.sin_addr);
    cr_assert_eq(bind(descriptor, (struct sockaddr *)&server, sizeof server), 0);
    cover(folder, "resolv.conf", "nameserver 127.0.0.53\n", "/etc/resolv.conf");
}

void hosts_without_ipv6(void) {
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_socket, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[0])),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AF_INET6, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EAFNOSUPPORT),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof filter / sizeof filter[0], filter};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0)
        cr_skip_test("no filter of system calls is allowed here: %s", strerror(errno));
    cr_assert_eq(socket(AF_INET6, SOCK_STREAM, 0), -1);
}
