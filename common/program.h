/* Where the running program lies: what belongs to it is found from there. */
#ifndef COMMON_PROGRAM_H
#define COMMON_PROGRAM_H

#include <limits.h>

/* The folder of the program's own file, an absolute path; "" where /proc does not say. Returns
 * `folder`. */
const char *program_folder(char folder[static PATH_MAX]);

#endif
