/* The learning rate as a pure function of the step: a checkpoint needs to store no state for it. */
#ifndef TRAINER_SCHEDULE_H
#define TRAINER_SCHEDULE_H

#include <stdint.h>

#define SCHEDULE_MILESTONES 16 /* most of them */

enum schedule_kind {
    SCHEDULE_CONSTANT,
    SCHEDULE_COSINE, /* linear warm-up, then half a cosine down to final × peak */
    SCHEDULE_LINEAR, /* the same, but down in a straight line */
    SCHEDULE_STEP, /* peak × gamma^n: n grows every `every` epochs, as PyTorch's StepLR, or at each
                      milestone, as its MultiStepLR */
    SCHEDULE_ONECYCLE /* cosine up from peak/25 over the warm-up share, cosine down to final × peak
                         (Smith & Topin 2018, as PyTorch's OneCycleLR) */
};

struct schedule {
    enum schedule_kind kind;
    float peak;     /* highest rate */
    float warmup;   /* share of all steps that rise: 0 … 1 */
    float final;    /* last rate as a share of the peak */
    uint64_t steps; /* of the whole run */

    /* step alone: */
    double epoch_steps; /* steps of one epoch; a step belongs to the epoch in which it begins */
    double every;       /* epochs */
    double gamma;
    double milestones[SCHEDULE_MILESTONES]; /* epochs, rising; any take the place of `every` */
    int milestone_count;
};

/* The rate of step (0 … steps-1); past the end, the last one. */
float schedule_rate(const struct schedule *schedule, uint64_t step);

#endif
