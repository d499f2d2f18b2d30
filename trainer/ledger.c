/* See ledger.h. A ring of one entry per step of the window. */
#include "trainer/ledger.h"

#include <assert.h>
#include <stdlib.h>

#define AVOID INT64_C(1000000000)  /* ns */
#define RENEWED INT64_C(300000000) /* ns in which a connection is surely made anew */

enum { LOST_MAX = 3, DOUBLED_MAX = 4 };

enum step_state { STEP_DUE, STEP_LEASED, STEP_ARRIVED };

struct entry {
    enum step_state state;
    int loader;     /* of the newest lease; -1: it left */
    uint32_t tries; /* leases given */
    bool overtaken; /* when it was leased again */
    uint64_t order; /* of the newest lease among all */
    int64_t since;  /* of the newest lease */
};

struct ledger {
    struct ledger_settings settings;
    struct entry *ring; /* step s is at s % window */
    uint64_t base;
    uint64_t fresh; /* the first step that was never leased */
    bool present[LEDGER_LOADERS];
    uint32_t out[LEDGER_LOADERS];  /* steps whose newest lease is with this loader */
    int64_t avoid[LEDGER_LOADERS]; /* until when others are asked first: it let a step be late */
    struct {
        int64_t
            since; /* when it was first asked, or something of it came last; 0: it owes nothing */
        uint32_t lost;  /* steps since then that others were asked for */
        int64_t recall; /* when what it holds is due again; 0: not */
        int doubled;    /* how often its patience was doubled */
    } flow[LEDGER_LOADERS];
    double smoothed; /* ns from lease to arrival; 0: none seen yet */
    uint64_t given;  /* leases of single steps so far */
    uint64_t newest; /* order of the most recently leased step that arrived */
    struct ledger_counts counts;
};

struct ledger *ledger_create(const struct ledger_settings *settings) {
    assert(settings->window >= 1 && settings->group >= 1 && settings->end >= settings->first);
    struct ledger *self = calloc(1, sizeof *self);
    struct entry *ring = calloc(settings->window, sizeof *ring);
    if (!self || !ring) {
        free(self);
        free(ring);
        return NULL;
    }
    self->settings = *settings;
    self->ring = ring;
    self->base = self->fresh = settings->first;
    return self;
}

void ledger_destroy(struct ledger **pointer) {
    if (*pointer)
        free((*pointer)->ring);
    free(*pointer);
    *pointer = NULL;
}

static struct entry *entry_of(const struct ledger *self, uint64_t step) {
    return &self->ring[step % self->settings.window];
}

/* The first step beyond those that may be out. */
static uint64_t limit(const struct ledger *self) {
    uint64_t far = self->base + self->settings.window;
    return far < self->settings.end ? far : self->settings.end;
}

int ledger_join(struct ledger *self) {
    for (int i = 0; i < LEDGER_LOADERS; i++)
        if (!self->present[i]) {
            self->present[i] = true;
            self->out[i] = 0;
            self->avoid[i] = 0;
            self->flow[i].since = 0;
            self->flow[i].lost = 0;
            self->flow[i].recall = 0;
            self->flow[i].doubled = 0;
            return i;
        }
    return -1;
}

void ledger_leave(struct ledger *self, int loader) {
    self->present[loader] = false;
    self->out[loader] = 0;
    for (uint64_t step = self->base; step < self->fresh; step++) {
        struct entry *entry = entry_of(self, step);
        if (entry->loader != loader)
            continue;
        entry->loader = -1;
        if (entry->state == STEP_LEASED)
            entry->state = STEP_DUE;
    }
}

/* The loader with the least work; one that is to be avoided, or that had the step last, only where
 * there is no other. -1: none at all. */
static int choose_loader(const struct ledger *self, int last, int64_t now) {
    int best = -1;
    uint64_t least = UINT64_MAX;
    for (int i = 0; i < LEDGER_LOADERS; i++) {
        uint64_t cost = self->out[i];
        cost += self->avoid[i] > now ? UINT64_C(1) << 32 : 0;
        cost += i == last ? UINT64_C(1) << 33 : 0;
        if (self->present[i] && cost < least) {
            best = i;
            least = cost;
        }
    }
    return best;
}

/* Work flows in roughly the order of the leases. So a step that later leases have overtaken is
 * probably lost, while one that nothing has overtaken may just be behind a slow stage, where asking
 * again would only add work: it gets the long patience. What was overtaken once stays so: its next
 * try comes after all others of the window, and nothing may be left to overtake it. The one step
 * that all others wait for is asked for each second, so that a run gets on where somebody takes
 * some of the batches. */
static int64_t late_at(const struct ledger *self, const struct entry *entry) {
    double patience = (double)self->settings.patience_most;
    if (self->settings.hedge && (entry->overtaken || entry->order < self->newest)) {
        patience = 4.0 * self->smoothed;
        if (patience < (double)self->settings.patience_least)
            patience = (double)self->settings.patience_least;
    }
    for (uint32_t i = 1; i < entry->tries && i < 3; i++)
        patience *= 2.0;
    if (self->settings.hedge && self->smoothed > 0 && entry == entry_of(self, self->base)) {
        double most = 4.0 * self->smoothed > AVOID ? 4.0 * self->smoothed : AVOID;
        patience = patience < most ? patience : most;
    }
    return entry->since + (int64_t)patience;
}

static void give(struct ledger *self, uint64_t step, int loader, int64_t now) {
    struct entry *entry = entry_of(self, step);
    if (entry->state == STEP_LEASED && entry->loader >= 0) {
        self->out[entry->loader]--;
        self->flow[entry->loader].lost++;
    }
    if (self->flow[loader].since == 0)
        self->flow[loader].since = now;
    if (entry->tries > 0 && entry->order < self->newest)
        entry->overtaken = true;
    entry->state = STEP_LEASED;
    entry->loader = loader;
    entry->tries++;
    entry->since = now;
    entry->order = ++self->given;
    self->out[loader]++;
}

bool ledger_lease(struct ledger *self, int64_t now, struct lease *lease) {
    int loader = choose_loader(self, -1, now);
    if (loader < 0)
        return false;
    for (uint64_t step = self->base; step < self->fresh; step++) {
        struct entry *entry = entry_of(self, step);
        bool due = entry->state == STEP_DUE;
        if (!due && !(entry->state == STEP_LEASED && now >= late_at(self, entry)))
            continue;
        /* A loader that is dead and not missed yet would swallow all that is given to it, the more
         * the less it seems to have. */
        if (!due && entry->loader >= 0)
            self->avoid[entry->loader] = now + AVOID;
        *lease = (struct lease){choose_loader(self, entry->loader, now), step, 1, true};
        give(self, step, lease->loader, now);
        self->counts.re_leased++;
        return true;
    }
    uint64_t room = limit(self) - self->fresh;
    /* Single steps would multiply the messages: unless little is out, wait for a group's worth. */
    bool plenty = self->fresh - self->base > self->settings.window / 2;
    if (room == 0 || (room < self->settings.group && plenty && limit(self) < self->settings.end))
        return false;
    uint32_t count = room < self->settings.group ? (uint32_t)room : self->settings.group;
    *lease = (struct lease){loader, self->fresh, count, false};
    for (uint32_t i = 0; i < count; i++, self->fresh++) {
        *entry_of(self, self->fresh) = (struct entry){.state = STEP_DUE, .loader = -1};
        give(self, self->fresh, loader, now);
    }
    self->counts.leased += count;
    return true;
}

/* Something of this loader came. What is slow by nature keeps the longer patience. */
static void note_flow(struct ledger *self, int loader, int64_t now) {
    if (now - self->flow[loader].since < AVOID)
        self->flow[loader].doubled = 0;
    self->flow[loader].since = self->out[loader] > 0 ? now : 0;
    self->flow[loader].lost = 0;
}

enum arrival ledger_arrive(struct ledger *self, uint64_t step, int64_t now) {
    if (step < self->base && step >= self->settings.first) {
        self->counts.duplicates++;
        return ARRIVAL_DUPLICATE;
    }
    if (step < self->base || step >= self->fresh) {
        self->counts.strays++;
        return ARRIVAL_STRAY;
    }
    struct entry *entry = entry_of(self, step);
    if (entry->state == STEP_ARRIVED) {
        self->counts.duplicates++;
        return ARRIVAL_DUPLICATE;
    }
    if (entry->state == STEP_LEASED && entry->loader >= 0) {
        self->out[entry->loader]--;
        note_flow(self, entry->loader, now);
        /* Only first tries tell how long a batch takes: a later one may be the late first. */
        if (entry->tries == 1) {
            self->avoid[entry->loader] = 0;
            double took = (double)(now - entry->since);
            self->smoothed =
                self->smoothed > 0 ? self->smoothed + 0.05 * (took - self->smoothed) : took;
        }
    }
    /* Nor does a later try say what has overtaken what. */
    if (entry->tries == 1 && entry->order > self->newest)
        self->newest = entry->order;
    entry->state = STEP_ARRIVED;
    return ARRIVAL_NEW;
}

/* Whether a step has been out with this loader since `then`. */
static bool owes_since(const struct ledger *self, int loader, int64_t then) {
    for (uint64_t step = self->base; step < self->fresh; step++) {
        const struct entry *entry = entry_of(self, step);
        if (entry->state == STEP_LEASED && entry->loader == loader && entry->since <= then)
            return true;
    }
    return false;
}

/* Its steps stay its own in name, so that others are asked first. */
static void recall(struct ledger *self, int loader, int64_t now) {
    for (uint64_t step = self->base; step < self->fresh; step++) {
        struct entry *entry = entry_of(self, step);
        if (entry->state == STEP_LEASED && entry->loader == loader)
            entry->state = STEP_DUE;
    }
    self->out[loader] = 0;
    self->avoid[loader] = now + AVOID;
    self->flow[loader].recall = 0;
}

static bool is_alone(const struct ledger *self, int loader) {
    for (int i = 0; i < LEDGER_LOADERS; i++)
        if (self->present[i] && i != loader)
            return false;
    return true;
}

int ledger_stalled(struct ledger *self, int64_t now, int64_t patience, int64_t *silent) {
    for (int i = 0; i < LEDGER_LOADERS; i++) {
        int64_t bound = patience << self->flow[i].doubled, since = self->flow[i].since;
        if (self->present[i] && self->flow[i].recall && now >= self->flow[i].recall)
            recall(self, i, now);
        if (!self->present[i] || since == 0 || now - since < bound ||
            (self->flow[i].lost < LOST_MAX && !owes_since(self, i, now - bound)))
            continue;
        *silent = now - since;
        self->flow[i].since = 0;
        self->flow[i].lost = 0;
        self->flow[i].doubled += self->flow[i].doubled < DOUBLED_MAX;
        self->flow[i].recall = now + RENEWED;
        if (!is_alone(self, i))
            recall(self, i, now);
        return i;
    }
    return -1;
}

void ledger_reject(struct ledger *self, uint64_t step) {
    if (step >= self->base && step < self->fresh && entry_of(self, step)->state == STEP_ARRIVED)
        entry_of(self, step)->state = STEP_DUE;
}

bool ledger_ready(const struct ledger *self) {
    return self->base < self->fresh && entry_of(self, self->base)->state == STEP_ARRIVED;
}

void ledger_consume(struct ledger *self) {
    assert(ledger_ready(self));
    self->base++;
}

uint64_t ledger_base(const struct ledger *self) {
    return self->base;
}

int64_t ledger_deadline(const struct ledger *self) {
    int64_t earliest = INT64_MAX;
    for (uint64_t step = self->base; step < self->fresh; step++) {
        const struct entry *entry = entry_of(self, step);
        if (entry->state == STEP_DUE)
            return 0;
        if (entry->state == STEP_LEASED && late_at(self, entry) < earliest)
            earliest = late_at(self, entry);
    }
    return earliest;
}

struct ledger_counts ledger_counts(const struct ledger *self) {
    return self->counts;
}
