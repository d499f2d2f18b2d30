/* See stranger.h. */
#include "tests/e2e/stranger.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <dirent.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct carrier {
    int from, to;
    long alive; /* bytes; negative: without end */
};

struct relay {
    int listener, port;
    bool up;
    size_t alive;
};

static atomic_bool swallowed;

static struct sockaddr_in address_of(const char *host, int port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    inet_pton(AF_INET, host, &address.sin_addr);
    return address;
}

static int dial(int port) {
    struct sockaddr_in address = address_of("127.0.0.1", port);
    int descriptor = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (descriptor < 0)
        return -1;
    if (connect(descriptor, (struct sockaddr *)&address, sizeof address) == 0)
        return descriptor;
    close(descriptor);
    return -1;
}

static void begin(void *body(void *), void *argument) {
    pthread_t thread;
    cr_assert_eq(pthread_create(&thread, NULL, body, argument), 0);
    pthread_detach(thread);
}

static void *carry(void *argument) {
    struct carrier *self = argument;
    static _Thread_local char bytes[65536];
    ssize_t got;
    while ((got = read(self->from, bytes, sizeof bytes)) > 0) {
        bool dead = self->alive >= 0 && got > self->alive;
        if (dead) {
            atomic_store(&swallowed, true);
            self->alive = 0;
        } else if (send(self->to, bytes, (size_t)got, MSG_NOSIGNAL) != got) {
            break;
        } else if (self->alive > 0) {
            self->alive -= got;
        }
    }
    shutdown(self->to, SHUT_RDWR);
    shutdown(self->from, SHUT_RDWR);
    free(self);
    return NULL;
}

static void carry_one(int from, int to, long alive) {
    struct carrier *carrier = malloc(sizeof *carrier);
    if (!carrier)
        abort();
    *carrier = (struct carrier){from, to, alive};
    begin(carry, carrier);
}

static void *relay(void *argument) {
    struct relay *self = argument;
    for (bool first = true;;) {
        int near = accept4(self->listener, NULL, NULL, SOCK_CLOEXEC), far = dial(self->port);
        if (near < 0 || far < 0) {
            close(near);
            continue;
        }
        carry_one(far, near, first && !self->up ? (long)self->alive : -1);
        carry_one(near, far, first && self->up ? (long)self->alive : -1);
        first = false;
    }
    return NULL;
}

void stranger_relay(int port, bool up, size_t alive) {
    struct relay *self = malloc(sizeof *self);
    struct sockaddr_in address = address_of("127.0.0.2", port);
    int yes = 1;
    cr_assert_not_null(self);
    *self = (struct relay){.port = port, .up = up, .alive = alive};
    self->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(self->listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    cr_assert_eq(bind(self->listener, (struct sockaddr *)&address, sizeof address), 0);
    cr_assert_eq(listen(self->listener, 16), 0);
    begin(relay, self);
}

bool stranger_swallowed(void) {
    return atomic_load(&swallowed);
}

int stranger_connect(int port, const void *bytes, size_t size) {
    int descriptor = dial(port);
    cr_assert_geq(descriptor, 0, "connecting to port %d", port);
    cr_assert_eq(send(descriptor, bytes, size, MSG_NOSIGNAL), (ssize_t)size);
    return descriptor;
}

size_t stranger_read(int descriptor, size_t most) {
    char bytes[4096];
    size_t total = 0;
    while (total < most) {
        struct pollfd item = {.fd = descriptor, .events = POLLIN};
        cr_assert_eq(poll(&item, 1, 60000), 1, "the connection stays open");
        ssize_t got = read(descriptor, bytes, sizeof bytes);
        if (got <= 0)
            break;
        total += (size_t)got;
    }
    return total;
}

size_t stranger_opening(const char *type, unsigned char opening[static 128]) {
    size_t length = strlen(type), size = 64;
    memset(opening, 0, 128);
    opening[0] = 0xFF;
    opening[9] = 0x7F;
    opening[10] = 3;
    memcpy(opening + 12, "NULL", 4);
    opening[size++] = 4; /* a command */
    opening[size++] = (unsigned char)(6 + 12 + 4 + length);
    memcpy(opening + size, "\5READY\13Socket-Type", 18);
    size += 18 + 3;
    opening[size++] = (unsigned char)length;
    memcpy(opening + size, type, length);
    return size + length;
}

static void *take_all(void *argument) {
    struct relay *self = argument; /* its listener is the connection here */
    char bytes[4096];
    while (read(self->listener, bytes, sizeof bytes) > 0)
        ;
    free(self);
    return NULL;
}

void stranger_thief(int port, const void *bytes, size_t size) {
    struct relay *self = malloc(sizeof *self);
    cr_assert_not_null(self);
    *self = (struct relay){.listener = stranger_connect(port, bytes, size)};
    begin(take_all, self);
}

/* Whether the socket of this inode listens. */
static bool listens(unsigned long inode) {
    static const char *const tables[] = {"/proc/net/tcp", "/proc/net/tcp6"};
    char line[512];
    bool found = false;
    for (int i = 0; i < 2; i++) {
        FILE *file = fopen(tables[i], "re");
        while (file && fgets(line, sizeof line, file)) {
            unsigned state;
            unsigned long own;
            if (sscanf(line, " %*d: %*s %*s %x %*s %*s %*s %*d %*d %lu", &state, &own) == 2)
                found = found || (state == 0x0A && own == inode);
        }
        if (file)
            fclose(file);
    }
    return found;
}

int stranger_listening(long process) {
    char path[600], target[64];
    int count = 0;
    snprintf(path, sizeof path, "/proc/%ld/fd", process);
    DIR *folder = opendir(path);
    cr_assert_not_null(folder);
    for (struct dirent *entry; (entry = readdir(folder));) {
        unsigned long inode;
        snprintf(path, sizeof path, "/proc/%ld/fd/%s", process, entry->d_name);
        ssize_t size = readlink(path, target, sizeof target - 1);
        target[size > 0 ? size : 0] = '\0';
        if (sscanf(target, "socket:[%lu]", &inode) == 1)
            count += listens(inode);
    }
    closedir(folder);
    return count;
}
