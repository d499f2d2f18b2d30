/* The protocol of leases as a model for the checker spin (https://spinroot.com): does every step
 * reach the training exactly once and in order, whatever is lost, doubled or killed?
 *
 *     tests/promela/check            all schedules of 2 loaders, 2 augmenters and a trainer
 *
 * What is modelled: the ledger (due → leased → here → consumed, window, re-lease of what is late),
 * lease queues, the two hops of a batch, the window's slots, the feed to the training thread,
 * checkpoints, and incarnations of a run (stale messages are refused by their run). What is not:
 * payloads (a batch is its step: it is a pure function), time (a step is late when nothing else can
 * happen, or, a few times, too early: a hedge), joining and leaving (a killed worker comes back at
 * once and has lost everything).
 *
 * The adversary has a budget of each fault: with endless faults nothing could be promised.
 *
 * BROKEN=1…4 takes away one thing that the protocol rests on; the check must then find a run that
 * goes wrong, or it would find nothing anywhere. */
#ifndef BROKEN
#define BROKEN 0
#endif

#ifndef STEPS
#define STEPS 3 /* of the whole run */
#endif
#define WINDOW 2 /* steps out at a time */
#define LOADERS 2
#define AUGMENTERS 2
#ifndef LOSSES
#define LOSSES 1 /* messages lost, on any hop */
#endif
#ifndef DOUBLES
#define DOUBLES 1 /* batches that arrive twice */
#endif
#ifndef HEDGES
#define HEDGES 1 /* leases given again although the first is still under way */
#endif
#ifndef LOADER_KILLS
#define LOADER_KILLS 1
#endif
#ifndef AUGMENT_KILLS
#define AUGMENT_KILLS 1
#endif
#ifndef TRAINER_KILLS
#define TRAINER_KILLS 1
#endif

chan lease[LOADERS] = [1] of { byte, byte }; /* run, step: to each loader */
chan samples = [1] of { byte, byte };        /* run, step: loaders → augmenters */
chan pairs = [1] of { byte, byte };          /* run, step: augmenters → trainer */
chan feed = [1] of { byte };                 /* step: coordinator → training thread */

byte life = 1;     /* incarnation of the trainer */
byte trained = 0; /* steps in the weights */
byte saved = 0;   /* steps in the newest whole checkpoint */

byte losses = LOSSES, doubles = DOUBLES, hedges = HEDGES;
byte loader_kills = LOADER_KILLS, augment_kills = AUGMENT_KILLS, trainer_kills = TRAINER_KILLS;

/* Sends, unless the message is lost; the sender waits while the queue is full. */
inline pass(queue, a, b) {
    if
    :: queue ! a, b
    :: losses > 0 -> losses--
    fi
}

proctype loader(byte me) {
    byte r, s;
end:
    do
    :: atomic { lease[me] ? r, s -> pass(samples, r, s) }
    :: atomic { loader_kills > 0 -> /* its queue dies with it */
            loader_kills--;
            do
            :: nempty(lease[me]) -> lease[me] ? r, s
            :: empty(lease[me]) -> break
            od }
    od
}

proctype augmenter() {
    byte r, s;
end:
    do
    :: atomic { samples ? r, s ->
            if
            :: pass(pairs, r, s)
            :: doubles > 0 -> doubles--; pairs ! r, s; pairs ! r, s
            :: augment_kills > 0 -> augment_kills-- /* with the batch in hand */
            fi }
    od
}

/* The training thread. It takes batches in the order of the feed, and none twice. */
proctype training() {
    byte s;
end:
    do
    :: atomic { feed ? s ->
            assert(s == trained); /* exactly once, in order */
            trained++ }
    :: atomic { saved < trained -> saved = trained } /* a checkpoint, at any moment */
    od
}

/* Where a step is. */
#define DUE 0
#define OUT 1
#define HERE 2

byte state[STEPS];
byte slot[WINDOW]; /* step + 1 of the batch that lies there; 0: free */
byte base = 0;     /* oldest step that is not consumed */

#define in_window(s) ((s) >= base && (s) < base + WINDOW && (s) < STEPS)

inline give(s, l) {
    if
    :: nfull(lease[l]) -> lease[l] ! life, s
    :: full(lease[l]) -> skip /* a lease that does not get through becomes late */
    fi;
    state[s] = OUT
}

/* Any loader, and the lease may be lost. */
inline give_any(s) {
    if
    :: give(s, 0)
    :: give(s, 1)
    :: losses > 0 -> losses--; state[s] = OUT
    fi
}

inline arrive(r, s) {
    if
    :: r != life -> skip            /* stale: of an earlier incarnation */
#if BROKEN == 2 /* what was trained on already is taken again */
    :: r == life && !in_window(s) -> feed ! s
#else
    :: r == life && !in_window(s) -> skip /* a stray or an old duplicate */
#endif
#if BROKEN == 1 /* duplicates are taken for new */
    :: r == life && in_window(s) ->
#else
    :: r == life && in_window(s) && state[s] == HERE -> skip /* a duplicate */
    :: r == life && in_window(s) && state[s] != HERE ->
#endif
        assert(slot[s % WINDOW] == 0); /* nothing is overwritten */
        slot[s % WINDOW] = s + 1;
        state[s] = HERE
    fi
}

/* A new incarnation: everything but the checkpoint is forgotten. */
inline restart() {
    byte i = 0;
    trainer_kills--;
    do
    :: nempty(feed) -> feed ? i
    :: empty(feed) -> break
    od;
    life++;
#if BROKEN != 4 /* the weights of a checkpoint go on at another step than it says */
    trained = saved;
#endif
    base = saved;
    i = 0;
    do
    :: i < WINDOW -> slot[i] = 0; i++
    :: i >= WINDOW -> break
    od;
    i = 0;
    do
    :: i < STEPS -> state[i] = DUE; i++
    :: i >= STEPS -> break
    od
}

proctype coordinator() {
    byte r, s;
    do
    :: atomic { pairs ? r, s -> arrive(r, s) }
    :: atomic { base < STEPS && state[base] == HERE && nfull(feed) ->
            assert(slot[base % WINDOW] == base + 1);
            feed ! base;
            slot[base % WINDOW] = 0;
            base++ }
    :: atomic { in_window(base) && state[base] == DUE -> give_any(base) }
    :: atomic { in_window(base + 1) && state[base + 1] == DUE -> give_any(base + 1) }
    :: atomic { hedges > 0 && in_window(base) && state[base] == OUT -> hedges--; give_any(base) }
#if BROKEN != 3 /* what is late is never leased again */
    :: atomic { timeout -> /* nothing else moves: what is out is late */
            if
            :: in_window(base) && state[base] == OUT -> give_any(base)
            :: in_window(base + 1) && state[base + 1] == OUT -> give_any(base + 1)
            fi }
#endif
    :: atomic { trainer_kills > 0 -> restart() }
    :: trained == STEPS && base == STEPS -> break
    od;
    assert(trained == STEPS);
end:
    do
    :: pairs ? r, s /* what is still under way is dropped */
    od
}

init {
    atomic {
        run loader(0);
        run loader(1);
        run augmenter();
        run augmenter();
        run training();
        run coordinator()
    }
}
