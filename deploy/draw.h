/* The pictures at the end of a run: starts the program `report` and waits for it. */
#ifndef DEPLOY_DRAW_H
#define DEPLOY_DRAW_H

#include "common/error.h"
#include "deploy/folder.h"

/* Draws into plots/ of the run's folder, with <binaries>/report and its log in logs/report.log;
 * nothing where there is no evaluation yet. `signals` is a signalfd: SIGINT, SIGTERM or SIGHUP ends
 * the drawing. 0, or -1 with what went wrong, ERROR_INTERRUPTED or, after half a minute,
 * ERROR_TIMEOUT: the run itself is as it was. */
int draw_pictures(const char *binaries, const struct folder *folder, int signals,
                  struct error *error);

#endif
