/* SPDX-License-Identifier: MIT */
/*
 * one_client.h - for tests of one client: its connection, and the server that has its calls, stand
 * here; the connection is closed after each test.
 */
#ifndef TESTS_UNIT_CALL_ONE_CLIENT_H
#define TESTS_UNIT_CALL_ONE_CLIENT_H

#include "attempting.h"

static int fd = -1;
static struct fake *fake;

/* The service `s`, tuned or as it is (NULL), and a session with it that stands. */
static inline void come(void (*tune)(struct service_conf *conf))
{
    if (tune) {
        configure(tune);
    }
    fd = connect_client();
    fake = stand(fd);
}

static inline void hang_up(void)
{
    if (fd >= 0) {
        (void)close(fd);
    }
    fd = -1;
}

#endif
