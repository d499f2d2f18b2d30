/* A machine with other names than this one: /etc/hosts, a name server, and a kernel without IPv6,
 * for this process and those that it starts alone. Skips the test where the system does not allow
 * it. */
#ifndef TESTS_SUPPORT_HOSTS_H
#define TESTS_SUPPORT_HOSTS_H

/* `text` stands in /etc/hosts from now on, in a file in `folder` that is mounted over it. */
void hosts_begin(const char *folder, const char *text);

/* It has other text from now on. */
void hosts_write(const char *folder, const char *text);

/* The only name server is one that takes questions and never answers; the only network is lo. */
void hosts_hang(const char *folder);

/* socket(AF_INET6) fails with EAFNOSUPPORT, as with ipv6.disable=1. */
void hosts_without_ipv6(void);

#endif
