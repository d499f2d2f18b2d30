/* A folder of a test's own below /tmp, removed with all that is in it. */
#ifndef TESTS_SUPPORT_SCRATCH_H
#define TESTS_SUPPORT_SCRATCH_H

#include <stddef.h>

#define SCRATCH_PATH 512

/* Makes it; fails the test where it cannot. */
void scratch_begin(char folder[static 64]);

/* Removes it with all that is in it. */
void scratch_end(const char *folder);

/* Writes `text` to the file `name` in it; `path` gets its path. */
void scratch_write(const char *folder, const char *name, const char *text,
                   char path[static SCRATCH_PATH]);

/* How many entries a folder has; -1 where there is no such folder. */
int scratch_count(const char *path);

#endif
