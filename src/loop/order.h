/* SPDX-License-Identifier: MIT */
/*
 * order.h - inside loop/: one message to the helper process, until it is sent.
 *
 * Owns:    the child's pipe ends that go with it, and its text, which is wiped at the end because
 *          an environment may hold secrets.
 */
#ifndef LOOP_ORDER_H
#define LOOP_ORDER_H

#include "base/err.h"
#include "base/list.h"
#include "loop/child.h"
#include "loop/spawner.h"

#include <stddef.h>
#include <stdint.h>

struct order {
    struct list_link link;      /* its sender's */
    int fds[SPAWN_STANDARD_FD]; /* -1: none */
    size_t len;                 /* of head and text */
    struct spawn_order head;
    char text[];
};

/* Without id and descriptors. ERR_VALIDATION_ERROR: no command, or too large. */
int order_new_start(const struct child_options *options, struct order **ret,
                    struct err *reterr);
struct order *order_new_signal(uint64_t id, int signal_number);
void order_free(struct order *order);

/* 1: sent. 0: the socket is full. -1: this order cannot be sent, errno says why. */
int order_send(struct order *order, int socket);

#endif
