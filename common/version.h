/* The one place where the version stands. */
#ifndef COMMON_VERSION_H
#define COMMON_VERSION_H

#define VERSION_TEXT "0.1.0"

#endif
