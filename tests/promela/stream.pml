/* The stream of checkpoints as a model for spin: is every checkpoint evaluated exactly once and in
 * order, and the best one kept, whoever is killed and whichever connection is cut; or does the exit
 * status say that it is not, where a file cannot be read?
 *
 *     tests/promela/check
 *
 * What is modelled: the trainer's publisher (what is kept, offered, and tidied away, and that training
 * waits while LIMIT are owed), joining and joining again, an evaluator that fetches one checkpoint at a
 * time, writes its line, and then tells; one file that cannot be read any more; what the trainer finds
 * on disk when it comes again. What is on a disk outlives a kill: the checkpoints, the best one's second
 * name, and the evaluator's file. What is not: pieces and
 * offsets of a fetch (a connection that is cut loses them all), damaged messages (who gets one joins
 * again, as after a cut), several evaluators, an evaluator so slow that it is given up.
 *
 * A cut or a kill empties both directions and gives the evaluator another identity, as libzmq does:
 * what is sent to the old one is lost, and what the new one says is answered by UNKNOWN until it has
 * joined. A heartbeat of one who is known changes nothing, and is left out.
 *
 * BROKEN=1…5 takes one rule away; the check must then find a schedule that goes wrong. */
#ifndef BROKEN
#define BROKEN 0
#endif
#define CHECKPOINTS 3
#define KEEP 1  /* newest files that stay in any case */
#define LIMIT 2 /* owed ones at which training waits */
#ifndef BAD_FILES
#define BAD_FILES 0
#endif
#define NONE CHECKPOINTS
#define accuracy(c) ((c) == 1) /* the second is the best */
#ifndef CUTS
#define CUTS 2
#endif

mtype = { HELLO, WELCOME, UNKNOWN, HEARTBEAT, OFFER, FETCH, DATA, GONE, REPORT, FAILED };

/* Real queues hold hundreds: these must only never be what stops a schedule. */
chan down = [20] of { mtype, byte }; /* trainer → evaluator */
chan up = [20] of { mtype, byte };   /* evaluator → trainer */

byte identity = 1; /* of the evaluator's connection */
byte member = 0;   /* the identity that the trainer knows; 0: none has joined */
bool over = false;

/* On disk. */
byte written = 0;           /* checkpoints so far */
bool there[CHECKPOINTS];    /* whose files are there */
bool bad[CHECKPOINTS];      /* which of them cannot be read any more */
byte scored[CHECKPOINTS];   /* lines in the evaluator's file */
byte best_file = NONE;      /* whose file best.safetensors is, too */

/* The trainer's memory. */
bool waiting[CHECKPOINTS]; /* for the evaluator that is there */
bool told[CHECKPOINTS];    /* an evaluator said that it has scored it, or its line is there */
bool failed[CHECKPOINTS];  /* or that it cannot */
byte best = NONE;

byte bad_files = BAD_FILES, cuts = CUTS, trainer_kills = 1, evaluator_kills = 1;

/* The connection ends: nothing that is under way arrives. */
inline disconnect() {
    do
    :: nempty(down) -> down ? _, _
    :: nempty(up) -> up ? _, _
    :: empty(down) && empty(up) -> break
    od;
    identity++
}

/* To a member whose connection is gone: lost. */
inline to_member(type, c) {
    if
    :: member == identity -> down ! type, c
    :: member != identity -> skip
    fi
}

inline take_hello() {
    member = identity;
    down ! WELCOME, 0;
    i = 0;
    do
    :: i < CHECKPOINTS && there[i] ->
        waiting[i] = true;
#if BROKEN != 3 /* offers are not made anew */
        down ! OFFER, i;
#endif
        i++
    :: i < CHECKPOINTS && !there[i] -> i++
    :: i >= CHECKPOINTS -> break
    od
}

#if BROKEN == 2 /* files go without being scored */
#define owed(c) false
#else
#define owed(c) (waiting[c] || (!told[c] && !failed[c])) /* an evaluator is expected */
#endif
#define owed_count ((written > 0 && owed(0)) + (written > 1 && owed(1)) + (written > 2 && owed(2)))

/* Figures of c came: what is better takes the second name. */
inline consider(c) {
    if
    :: best == NONE || accuracy(c) > accuracy(best) -> best = c; best_file = c
    :: else -> skip
    fi
}

/* Another trainer finds what is on disk: the lines, and whose file is where. */
inline look_again() {
    best = NONE;
    i = 0;
    do
    :: i < CHECKPOINTS ->
        waiting[i] = false;
        failed[i] = (i < written && !there[i] && scored[i] == 0); /* missing */
        told[i] = (scored[i] > 0);
#if BROKEN != 4 /* the best is forgotten */
        if
        :: scored[i] > 0 && (best_file == i || (there[i] && !bad[i])) &&
           (best == NONE || accuracy(i) > accuracy(best)) -> best = i
        :: else -> skip
        fi;
#endif
        i++
    :: i >= CHECKPOINTS -> break
    od;
    if
    :: best != NONE -> best_file = best
    :: else -> skip
    fi
}

proctype trainer() {
    byte c, i;
    do
    :: atomic { written < CHECKPOINTS && owed_count < LIMIT && nfull(down) ->
            there[written] = true;
            waiting[written] = (member != 0);
            told[written] = false;
            to_member(OFFER, written);
            written++ }
    :: atomic { bad_files > 0 && written > 0 && there[written - 1] -> /* a bad disk */
            bad_files--;
            bad[written - 1] = true }
    :: atomic { up ? HELLO, c -> take_hello() }
    :: atomic { up ? HEARTBEAT, c ->
            if
            :: member == identity -> skip
            :: member != identity -> down ! UNKNOWN, 0
            fi }
    :: atomic { up ? FETCH, c ->
            if
            :: member == identity && there[c] && !bad[c] -> down ! DATA, c
#if BROKEN == 5 /* what cannot be read is not answered */
            :: member == identity && (!there[c] || bad[c]) -> skip
#else
            :: member == identity && (!there[c] || bad[c]) -> down ! GONE, c
#endif
            :: member != identity -> down ! UNKNOWN, 0
            fi }
    :: atomic { up ? REPORT, c ->
            if
            :: member == identity -> waiting[c] = false; told[c] = true; failed[c] = false; consider(c)
            :: member != identity -> down ! UNKNOWN, 0
            fi }
    :: atomic { up ? FAILED, c ->
            if
            :: member == identity -> waiting[c] = false; failed[c] = !told[c]
            :: member != identity -> down ! UNKNOWN, 0
            fi }
    :: atomic { written > KEEP && there[0] && !owed(0) -> there[0] = false }
    :: atomic { written > KEEP + 1 && there[1] && !owed(1) -> there[1] = false }
    :: atomic { trainer_kills > 0 -> /* another comes, and finds what is on disk */
            trainer_kills--;
            disconnect();
            member = 0;
            look_again() }
    :: atomic { written == CHECKPOINTS && !owed(0) && !owed(1) && !owed(2) -> break }
    od;
    over = true;
    /* Status 0, or that of a run with a checkpoint that was not scored, or whose best is lost: it was
     * scored, and could not be read when the next trainer looked for it. */
    assert(failed[0] || failed[1] || failed[2] || (bad[1] && best_file != 1) ||
           (scored[0] == 1 && scored[1] == 1 && scored[2] == 1 && best_file == 1));
    assert(BAD_FILES > 0 || !(failed[0] || failed[1] || failed[2]));
end:
    do
    :: up ? _, _ /* what is still said is heard by nobody */
    od
}

/* What is wanted and not scored, lowest first; NONE: nothing. */
#define next_wanted (wanted[0] -> 0 : (wanted[1] -> 1 : (wanted[2] -> 2 : NONE)))

inline forget() {
    i = 0;
    do
    :: i < CHECKPOINTS -> wanted[i] = false; i++
    :: i >= CHECKPOINTS -> break
    od;
    fetching = NONE
}

proctype evaluator() {
    byte c, i, fetching = NONE, unsaid = NONE, unsaid_failed = NONE;
    bool asked = false, joined = false, wanted[CHECKPOINTS];
end:
    do
    :: over -> break
    :: atomic { !over && !asked && nfull(up) -> asked = true; up ! HELLO, 0 }
    :: atomic { down ? WELCOME, c -> joined = true; forget() }
    :: atomic { down ? UNKNOWN, c -> joined = false; asked = false }
    :: atomic { down ? OFFER, c ->
            if
#if BROKEN != 1 /* it does not look whether it scored before */
            :: scored[c] > 0 -> up ! REPORT, c /* the trainer may not have heard */
            :: scored[c] == 0 -> wanted[c] = true
#else
            :: wanted[c] = true
#endif
            fi }
    :: atomic { joined && fetching == NONE && unsaid == NONE && unsaid_failed == NONE && next_wanted != NONE && nfull(up) ->
            fetching = next_wanted;
            up ! FETCH, fetching }
    :: atomic { down ? DATA, c -> /* the line is on disk before anybody is told */
            if
            :: fetching == c ->
                scored[c]++;
                assert(scored[c] == 1);               /* once */
                assert(c == 0 || scored[c - 1] == 1 || bad[c - 1]); /* in order */
                wanted[c] = false;
                fetching = NONE;
                unsaid = c
            :: fetching != c -> skip
            fi }
    :: atomic { down ? GONE, c ->
            if
            :: fetching == c -> wanted[c] = false; fetching = NONE; unsaid_failed = c
            :: fetching != c -> skip
            fi }
    :: atomic { unsaid != NONE && nfull(up) -> up ! REPORT, unsaid; unsaid = NONE }
    :: atomic { unsaid_failed != NONE && nfull(up) -> up ! FAILED, unsaid_failed; unsaid_failed = NONE }
    :: atomic { evaluator_kills > 0 ->
            evaluator_kills--;
            disconnect();
            joined = false;
            asked = false;
            unsaid = NONE;
            unsaid_failed = NONE;
            forget() }
    :: atomic { cuts > 0 -> cuts--; disconnect() }
    /* Silence, or a heartbeat that is not answered as from a member: it joins again. */
    :: atomic { timeout && !over && member != identity ->
            if
            :: joined -> up ! HEARTBEAT, 0
            :: !joined -> asked = false /* HELLO once a second until there is an answer */
            fi }
    od
}

init {
    atomic {
        run trainer();
        run evaluator()
    }
}
