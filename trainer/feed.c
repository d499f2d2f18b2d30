/* See feed.h. */
#include "trainer/feed.h"

#include "common/chain.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct slot {
    struct wire_message message;
    uint8_t digest[SHA256_SIZE];
};

struct feed {
    pthread_mutex_t mutex;
    pthread_cond_t filled;
    int capacity, first, count;
    bool closed;
    struct slot *slots; /* ring */
};

struct feed *feed_create(int capacity) {
    assert(capacity >= 1);
    struct feed *self = calloc(1, sizeof *self);
    struct slot *slots = calloc((size_t)capacity, sizeof *slots);
    if (!self || !slots) {
        free(self);
        free(slots);
        return NULL;
    }
    self->slots = slots;
    self->capacity = capacity;
    pthread_mutex_init(&self->mutex, NULL);
    pthread_cond_init(&self->filled, NULL);
    return self;
}

void feed_destroy(struct feed **pointer) {
    struct feed *self = *pointer;
    if (!self)
        return;
    for (int i = 0; i < self->count; i++)
        wire_release(&self->slots[(self->first + i) % self->capacity].message);
    pthread_cond_destroy(&self->filled);
    pthread_mutex_destroy(&self->mutex);
    free(self->slots);
    free(self);
    *pointer = NULL;
}

bool feed_put(struct feed *self, struct wire_message *message) {
    struct batch batch;
    pthread_mutex_lock(&self->mutex);
    bool room = self->count < self->capacity && !self->closed;
    struct slot *slot = &self->slots[(self->first + self->count) % self->capacity];
    pthread_mutex_unlock(&self->mutex);
    if (!room)
        return false;
    /* The only producer: the slot stays free, and its place fixed, while the lock is not held. */
    wire_view(message, &batch);
    chain_digest(&batch, slot->digest);
    wire_move(&slot->message, message);
    pthread_mutex_lock(&self->mutex);
    self->count++;
    pthread_cond_signal(&self->filled);
    pthread_mutex_unlock(&self->mutex);
    return true;
}

bool feed_take(struct feed *self, struct feed_item *item) {
    pthread_mutex_lock(&self->mutex);
    while (self->count == 0 && !self->closed)
        pthread_cond_wait(&self->filled, &self->mutex);
    bool taken = !self->closed;
    if (taken) {
        item->message = (struct wire_message){0};
        wire_move(&item->message, &self->slots[self->first].message);
        memcpy(item->digest, self->slots[self->first].digest, SHA256_SIZE);
        self->first = (self->first + 1) % self->capacity;
        self->count--;
    }
    pthread_mutex_unlock(&self->mutex);
    if (taken)
        wire_view(&item->message, &item->batch);
    return taken;
}

void feed_close(struct feed *self) {
    pthread_mutex_lock(&self->mutex);
    self->closed = true;
    pthread_cond_broadcast(&self->filled);
    pthread_mutex_unlock(&self->mutex);
}
