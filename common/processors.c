/* See processors.h. */
#include "common/processors.h"

#include <errno.h>
#include <limits.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#ifdef _OPENMP
#include <omp.h>
#endif

enum {
    LINE = 4096,        /* bytes of a line of /proc/self/cgroup that are looked at */
    MASK_MAX = 1 << 16, /* processors that an affinity mask may name */
    THREADS_MAX = 1 << 20
};

/* --- the affinity mask ------------------------------------------------------------------------ */

/* The kernel refuses a mask that is too small for the machine: try larger ones. */
static int count_affinity(void) {
    int count = 0;
    for (int most = 1024; most <= MASK_MAX && count == 0; most *= 2) {
        cpu_set_t *set = CPU_ALLOC((size_t)most);
        size_t size = CPU_ALLOC_SIZE((size_t)most);
        bool read = set && sched_getaffinity(0, size, set) == 0;
        if (read)
            count = CPU_COUNT_S(size, set);
        bool again = set && !read && errno == EINVAL;
        CPU_FREE(set);
        if (!again)
            break;
    }
    return count > 0 ? count : 1;
}

/* --- control groups --------------------------------------------------------------------------- */

/* The first two words of a file; an absent one is "". */
static bool read_words(const char *folder, const char *name, char one[32], char other[32]) {
    char path[LINE + 64];
    one[0] = other[0] = '\0';
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "re");
    int words = file ? fscanf(file, "%31s %31s", one, other) : 0;
    if (file)
        fclose(file);
    return words >= 1;
}

/* Whole processors; 0 where it is no quota ("max", -1, nonsense). */
static int as_processors(const char *quota, const char *period) {
    char *end;
    double time = strtod(quota, &end);
    if (end == quota || *end || !(time > 0))
        return 0;
    double all = strtod(period, &end);
    if (end == period || *end || !(all > 0) || time / all >= THREADS_MAX)
        return 0;
    int whole = (int)(time / all);
    return whole < time / all || whole == 0 ? whole + 1 : whole;
}

static int folder_quota(const char *folder, bool unified) {
    char quota[32], period[32], ignored[32];
    if (unified)
        return read_words(folder, "cpu.max", quota, period) ? as_processors(quota, period) : 0;
    return read_words(folder, "cpu.cfs_quota_us", quota, ignored) &&
                   read_words(folder, "cpu.cfs_period_us", period, ignored)
               ? as_processors(quota, period)
               : 0;
}

static int smaller(int one, int other) {
    return one == 0 || (other > 0 && other < one) ? other : one;
}

/* Every group on the way up may have a quota of its own. A container may see a path that is not
 * mounted for it: what is not there is passed over, and the root of the mount is always looked at.
 */
static int climb(const char *root, const char *group, bool unified) {
    char path[LINE];
    int least = 0;
    if (snprintf(path, sizeof path, "%s%s", root, group) >= (int)sizeof path || strstr(group, ".."))
        return folder_quota(root, unified);
    size_t top = strlen(root);
    for (;;) {
        least = smaller(least, folder_quota(path, unified));
        char *slash = strrchr(path, '/');
        if (!slash || (size_t)(slash - path) < top)
            return least;
        *slash = '\0';
    }
}

/* Whether "cpu" is one of the controllers in "cpu,cpuacct". */
static bool has_cpu(const char *controllers) {
    for (const char *word = controllers; *word;) {
        size_t size = strcspn(word, ",");
        if (size == 3 && strncmp(word, "cpu", 3) == 0)
            return true;
        word += size + (word[size] == ',');
    }
    return false;
}

/* A line is "4:cpu,cpuacct:/group", or "0::/group" for version 2. */
static int line_quota(char *line, const char *mount) {
    char root[LINE];
    line[strcspn(line, "\n")] = '\0';
    char *controllers = strchr(line, ':');
    char *group = controllers ? strchr(controllers + 1, ':') : NULL;
    if (!group || group[1] != '/')
        return 0;
    *group++ = '\0';
    controllers++;
    if (controllers[0] == '\0') {
        snprintf(root, sizeof root, "%s/unified", mount); /* where both versions are mounted */
        return smaller(climb(mount, group, true), climb(root, group, true));
    }
    if (!has_cpu(controllers))
        return 0;
    snprintf(root, sizeof root, "%s/%s", mount, controllers);
    int quota = climb(root, group, false);
    snprintf(root, sizeof root, "%s/cpu", mount); /* the usual link to it */
    return smaller(quota, climb(root, group, false));
}

int processors_quota(const char *membership, const char *mount) {
    char line[LINE];
    int least = 0;
    FILE *file = fopen(membership, "re");
    while (file && fgets(line, sizeof line, file))
        least = smaller(least, line_quota(line, mount));
    if (file)
        fclose(file);
    return least;
}

/* --- OpenMP ----------------------------------------------------------------------------------- */

int processors_first(const char *list) {
    long first = 0;
    for (const char *at = list; at;) {
        char *end;
        errno = 0;
        long number = strtol(at, &end, 10);
        if (end == at || errno || number < 1 || number > INT_MAX)
            return 0;
        if (first == 0)
            first = number;
        end += strspn(end, " \t\n");
        if (*end != '\0' && *end != ',')
            return 0;
        at = *end == ',' ? end + 1 : NULL;
    }
    return (int)first;
}

void processors_read(struct processors *self) {
    *self = (struct processors){
        .affinity = count_affinity(),
        .quota = processors_quota("/proc/self/cgroup", "/sys/fs/cgroup"),
        .wanted = processors_first(getenv("OMP_NUM_THREADS")),
        .limit = processors_first(getenv("OMP_THREAD_LIMIT")),
    };
#ifdef _OPENMP
    /* With OMP_PROC_BIND, OMP_PLACES or GOMP_CPU_AFFINITY libgomp has bound this thread to one
     * place already; it knows how many processors there were, and how many its places have. */
    int placed = 0, counted = omp_get_num_procs();
    for (int place = 0; place < omp_get_num_places(); place++)
        placed += omp_get_place_num_procs(place);
    if (placed > 0)
        self->affinity = placed < counted ? placed : counted;
#endif
}

/* --- the rule --------------------------------------------------------------------------------- */

int processors_available(const struct processors *self) {
    int available = smaller(self->affinity, self->quota);
    return available > 0 ? available : 1;
}

int processors_threads(const struct processors *self, int asked, struct notices *notices) {
    int available = processors_available(self);
    int threads = smaller(smaller(available, self->wanted), self->limit);
    if (asked > 0 && asked < threads)
        return asked;
    if (asked > threads && notices) {
        const char *why = threads == self->affinity ? "there are no more processors here"
                          : threads == self->quota  ? "the control group has no larger quota"
                          : threads == self->wanted ? "OMP_NUM_THREADS says so"
                                                    : "OMP_THREAD_LIMIT allows no more";
        notices_add(notices, "--threads=%d is cut to %d: %s", asked, threads, why);
    }
    return threads;
}

int processors_own_threads(int asked, struct notices *notices) {
    struct processors machine;
    processors_read(&machine);
    machine.wanted = machine.limit = 0;
    return processors_threads(&machine, asked, notices);
}
