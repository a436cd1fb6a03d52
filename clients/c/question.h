/* SPDX-License-Identifier: MIT */
/*
 * question.h - what servers ask by the daemon: which questions are open, and answers to be sent.
 *
 * Owns:    the answers that were not sent yet. Embedded; questions_init/questions_done.
 * Thread:  questions_answer runs in any thread, everything else in the client's. Callbacks run
 *          without the lock.
 */
#ifndef CLIENT_QUESTION_H
#define CLIENT_QUESTION_H

#include "toolbroker/client.h"

#include "base/buf.h"
#include "base/slice.h"

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define QUESTIONS_MAX 64 /* open ones: as many as the daemon has open at one connection */

struct questions {
    tb_question_fn *ask;
    tb_taken_back_fn *taken_back;
    void *arg;
    pthread_mutex_t lock;
    uint32_t connection; /* the upper half of ids: an old connection's answer must not match */
    unsigned count;
    uint64_t open[QUESTIONS_MAX];
    size_t frame_max; /* the daemon's limit for one frame; 0: not known */
    struct buf answers;
};

void questions_init(struct questions *questions, const struct tb_options *options);
void questions_done(struct questions *questions);

/* A new connection stands, whose daemon takes frames of at most so many bytes. */
void questions_connected(struct questions *questions, size_t frame_max);

/* The connection has ended: every open question is taken back. */
void questions_end(struct questions *questions);

/* Asks the callback. False: there is none, or too many are open: the caller refuses. */
bool questions_ask(struct questions *questions, uint32_t msgid, struct slice method,
                   struct slice params);

/* The daemon takes one back. */
void questions_take_back(struct questions *questions, uint32_t msgid);

/* Keeps the frame of an answer until questions_take; false: not open, or no answer. */
bool questions_answer(struct questions *questions, uint64_t id, struct slice result);

/* Moves the answers that wait to `out`, which is cleared first; false: there are none. */
bool questions_take(struct questions *questions, struct buf *out);

/* [1, msgid, error, nil] of METHOD_NOT_FOUND, for a question that nobody answers. */
void put_refusal(struct buf *out, uint32_t msgid, struct slice method);

#endif
