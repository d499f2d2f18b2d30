/* Which build of this program runs: its version, the commit that it was built from and the
 * compiler. One small object, the only one that is built anew with each commit. */
#ifndef COMMON_BUILD_H
#define COMMON_BUILD_H

/* "digitsum 0.1.0 (8ad06dc-dirty), gcc 12.2.0"; the commit is "unknown" where it was built outside
 * of git. */
extern const char *const build_text;

#endif
