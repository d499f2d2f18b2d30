/* See clock.h. */
#include "common/clock.h"

#include <stdio.h>
#include <time.h>

int64_t clock_now(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * CLOCK_SECOND + now.tv_nsec;
}

double clock_seconds(void) {
    return (double)clock_now() / (double)CLOCK_SECOND;
}

double clock_wall(void) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / (double)CLOCK_SECOND;
}

void clock_utc(char text[static 25]) {
    struct timespec now;
    struct tm parts;
    char date[20];
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &parts);
    strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%S", &parts);
    snprintf(text, 25, "%s.%03dZ", date, (int)(now.tv_nsec / CLOCK_MILLISECOND));
}
