/* The stream of checkpoints as a model for spin: is every checkpoint evaluated exactly once and in
 * order, whoever is killed and whichever connection is cut?
 *
 *     tests/promela/check
 *
 * What is modelled: the trainer's publisher (what is kept, offered, and tidied away), joining and
 * joining again, an evaluator that fetches one checkpoint at a time, writes its line, and then tells.
 * What is on a disk outlives a kill: the checkpoints, and the evaluator's file. What is not: pieces and
 * offsets of a fetch (a connection that is cut loses them all), damaged messages (who gets one joins
 * again, as after a cut), several evaluators, an evaluator so slow that it is given up.
 *
 * A cut or a kill empties both directions and gives the evaluator another identity, as libzmq does:
 * what is sent to the old one is lost, and what the new one says is answered by UNKNOWN until it has
 * joined. A heartbeat of one who is known changes nothing, and is left out.
 *
 * BROKEN=1…3 takes one rule away; the check must then find a schedule that goes wrong. */
#ifndef BROKEN
#define BROKEN 0
#endif
#define CHECKPOINTS 3
#define KEEP 1 /* newest files that stay in any case */
#ifndef CUTS
#define CUTS 2
#endif

mtype = { HELLO, WELCOME, UNKNOWN, HEARTBEAT, OFFER, FETCH, DATA, REPORT };

/* Real queues hold hundreds: these must only never be what stops a schedule. */
chan down = [20] of { mtype, byte }; /* trainer → evaluator */
chan up = [20] of { mtype, byte };   /* evaluator → trainer */

byte identity = 1; /* of the evaluator's connection */
byte member = 0;   /* the identity that the trainer knows; 0: none has joined */
bool over = false;

/* On disk. */
byte written = 0;           /* checkpoints so far */
bool there[CHECKPOINTS];    /* whose files are there */
byte scored[CHECKPOINTS];   /* lines in the evaluator's file */

/* The trainer's memory. */
bool waiting[CHECKPOINTS]; /* for the evaluator that is there */
bool told[CHECKPOINTS];    /* an evaluator said that it has scored it */

byte cuts = CUTS, trainer_kills = 1, evaluator_kills = 1;

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
#define owed(c) (waiting[c] || !told[c]) /* an evaluator is expected */
#endif

proctype trainer() {
    byte c, i;
    do
    :: atomic { written < CHECKPOINTS && nfull(down) ->
            there[written] = true;
            waiting[written] = (member != 0);
            told[written] = false;
            to_member(OFFER, written);
            written++ }
    :: atomic { up ? HELLO, c -> take_hello() }
    :: atomic { up ? HEARTBEAT, c ->
            if
            :: member == identity -> skip
            :: member != identity -> down ! UNKNOWN, 0
            fi }
    :: atomic { up ? FETCH, c ->
            if
            :: member == identity && there[c] -> down ! DATA, c
            :: member == identity && !there[c] -> skip
            :: member != identity -> down ! UNKNOWN, 0
            fi }
    :: atomic { up ? REPORT, c ->
            if
            :: member == identity -> waiting[c] = false; told[c] = true
            :: member != identity -> down ! UNKNOWN, 0
            fi }
    :: atomic { written > KEEP && there[0] && !owed(0) -> there[0] = false }
    :: atomic { written > KEEP + 1 && there[1] && !owed(1) -> there[1] = false }
    :: atomic { trainer_kills > 0 -> /* another comes, and finds what is on disk */
            trainer_kills--;
            disconnect();
            member = 0;
            i = 0;
            do
            :: i < CHECKPOINTS -> waiting[i] = false; told[i] = false; i++
            :: i >= CHECKPOINTS -> break
            od }
    :: atomic { written == CHECKPOINTS && told[CHECKPOINTS - 1] && !waiting[CHECKPOINTS - 1] -> break }
    od;
    over = true;
    assert(scored[0] == 1 && scored[1] == 1 && scored[2] == 1);
end:
    do
    :: up ? _, _ /* what is still said is heard by nobody */
    od
}

/* What is wanted and not scored, lowest first; NONE: nothing. */
#define NONE CHECKPOINTS
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
    byte c, i, fetching = NONE, unsaid = NONE;
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
    :: atomic { joined && fetching == NONE && unsaid == NONE && next_wanted != NONE && nfull(up) ->
            fetching = next_wanted;
            up ! FETCH, fetching }
    :: atomic { down ? DATA, c -> /* the line is on disk before anybody is told */
            if
            :: fetching == c ->
                scored[c]++;
                assert(scored[c] == 1);               /* once */
                assert(c == 0 || scored[c - 1] == 1); /* in order */
                wanted[c] = false;
                fetching = NONE;
                unsaid = c
            :: fetching != c -> skip
            fi }
    :: atomic { unsaid != NONE && nfull(up) -> up ! REPORT, unsaid; unsaid = NONE }
    :: atomic { evaluator_kills > 0 ->
            evaluator_kills--;
            disconnect();
            joined = false;
            asked = false;
            unsaid = NONE;
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
