/* See scratch.h. */
#include "tests/support/scratch.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void scratch_begin(char folder[static 64]) {
    strcpy(folder, "/tmp/digitsum-test-XXXXXX");
    cr_assert_not_null(mkdtemp(folder));
}

static int remove_entry(const char *path, const struct stat *info, int kind, struct FTW *place) {
    (void)info, (void)kind, (void)place;
    return remove(path);
}

void scratch_end(const char *folder) {
    cr_assert_eq(nftw(folder, remove_entry, 16, FTW_DEPTH | FTW_PHYS), 0);
}

void scratch_write(const char *folder, const char *name, const char *text,
                   char path[static SCRATCH_PATH]) {
    snprintf(path, SCRATCH_PATH, "%s/%s", folder, name);
    FILE *file = fopen(path, "w");
    cr_assert_not_null(file);
    fputs(text, file);
    cr_assert_eq(fclose(file), 0);
}

int scratch_count(const char *path) {
    DIR *listing = opendir(path);
    if (!listing)
        return -1;
    int count = 0;
    while (readdir(listing))
        count++;
    closedir(listing);
    return count - 2;
}
