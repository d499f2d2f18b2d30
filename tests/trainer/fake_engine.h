/* An engine that trains nothing, notes what it is asked for, is some steps behind as a device is,
 * and fails where a test wants it to. One at a time: the notes are global. */
#ifndef TESTS_TRAINER_FAKE_ENGINE_H
#define TESTS_TRAINER_FAKE_ENGINE_H

#include "model/engine.h"

#define FAKE_STEPS 1000

enum fake_call { FAKE_NOTHING, FAKE_CREATE, FAKE_IMPORT, FAKE_STEP, FAKE_COLLECT, FAKE_EXPORT };

/* Every step's loss is 2, with half of the digits and a quarter of the sums right. */
struct fake {
    /* set before training */
    int lag;               /* results that stay uncollected until waited for */
    enum fake_call broken; /* fails with ERROR_DEVICE, "fake trouble" */
    uint64_t broken_step;  /* of FAKE_STEP */
    uint64_t bad_from;     /* from this step on the loss is bad_loss; 0: it never is */
    uint64_t good_from;    /* and from this one on it is good again; 0: it never is */
    float bad_loss;
    bool bad_weights; /* what is exported is not a number */
    /* noted; to be read when the training thread has ended */
    int created, destroyed;
    int steps;                    /* train_step calls that went well */
    uint64_t trained[FAKE_STEPS]; /* their steps */
    float rates[FAKE_STEPS];
    float first_weight; /* as imported */
    float now;          /* the first weight: imported plus one for each step */
};

extern struct fake fake;
extern const struct engine_ops fake_engine;

#endif
