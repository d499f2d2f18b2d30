/* How many processors this process may use, and how many compute threads that makes. Reads the
 * affinity mask, the quota of the control groups, and OpenMP's environment; starts nothing. */
#ifndef COMMON_PROCESSORS_H
#define COMMON_PROCESSORS_H

#include "common/notices.h"

struct processors {
    int affinity; /* processors in the affinity mask; at least 1 */
    int quota;    /* processors' worth of time that the control groups allow, rounded up; 0: all */
    int wanted;   /* OMP_NUM_THREADS, its first number; 0: not set, or not a number */
    int limit;    /* OMP_THREAD_LIMIT: OpenMP starts no more; 0: none */
};

/* Of this process, now. */
void processors_read(struct processors *self);

/* The smaller of affinity and quota: as many threads can run at a time. At least 1. */
int processors_available(const struct processors *self);

/* Compute threads: the smallest of `asked` (0: not asked for), what is available, `wanted` and
 * `limit`. At least 1. Where that is fewer than asked, the notice says why; `notices` may be NULL.
 */
int processors_threads(const struct processors *self, int asked, struct notices *notices);

/* The same, now, for threads that are not OpenMP's: its variables do not count. `asked` is at least
 * 1. */
int processors_own_threads(int asked, struct notices *notices);

/* The first number of a list as in OMP_NUM_THREADS ("4,2"); 0 where the text is NULL or not a list
 * of positive numbers: then it is as if it were not set, as for libgomp. */
int processors_first(const char *list);

/* The smallest quota on the way from this process's control group up to the root. `membership` is
 * /proc/self/cgroup or a file like it, `mount` where the hierarchies are mounted (/sys/fs/cgroup).
 * Version 2 is read from cpu.max, version 1 from cpu.cfs_quota_us and cpu.cfs_period_us. Rounded up
 * to whole processors; 0: no quota, or none that can be read. */
int processors_quota(const char *membership, const char *mount);

#endif
