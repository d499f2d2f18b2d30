/* See feed.h. */
#include "trainer/feed.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>

struct feed {
    pthread_mutex_t mutex;
    pthread_cond_t filled;
    int capacity, first, count;
    bool closed;
    struct wire_message *items; /* ring */
};

struct feed *feed_create(int capacity) {
    assert(capacity >= 1);
    struct feed *self = calloc(1, sizeof *self);
    struct wire_message *items = calloc((size_t)capacity, sizeof *items);
    if (!self || !items) {
        free(self);
        free(items);
        return NULL;
    }
    self->items = items;
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
        wire_release(&self->items[(self->first + i) % self->capacity]);
    pthread_cond_destroy(&self->filled);
    pthread_mutex_destroy(&self->mutex);
    free(self->items);
    free(self);
    *pointer = NULL;
}

bool feed_put(struct feed *self, struct wire_message *message) {
    pthread_mutex_lock(&self->mutex);
    bool room = self->count < self->capacity && !self->closed;
    if (room) {
        wire_move(&self->items[(self->first + self->count) % self->capacity], message);
        self->count++;
        pthread_cond_signal(&self->filled);
    }
    pthread_mutex_unlock(&self->mutex);
    return room;
}

bool feed_take(struct feed *self, struct feed_item *item) {
    pthread_mutex_lock(&self->mutex);
    while (self->count == 0 && !self->closed)
        pthread_cond_wait(&self->filled, &self->mutex);
    bool taken = !self->closed;
    if (taken) {
        item->message = (struct wire_message){0};
        wire_move(&item->message, &self->items[self->first]);
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
