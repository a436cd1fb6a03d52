/* SPDX-License-Identifier: MIT */
/* keyed_client.h - the one client of a test whose calls have an idempotency_key. */
#ifndef TESTS_UNIT_CALL_KEYED_CLIENT_H
#define TESTS_UNIT_CALL_KEYED_CLIENT_H

#include "keying.h"

#include "one_client.h"

static inline int end(void **state)
{
    hang_up();
    return teardown(state);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, end)

static inline void come_soon(void)
{
    fd = connect_client();
    fake = stand_soon(fd);
}

/* The call KEYED("k") is at the server. */
static inline void come_and_send(void)
{
    come_soon();
    send_keyed(fd, fake, 1, KEYED("k"));
}

/* And has its RESULT, which was heard. */
static inline void come_and_finish(void)
{
    come_and_send();
    answer_last(fake, RESULT);
    mem_free(heard_soon(fd));
}

/* The client can be asked, and is, in the course of KEYED("k"): the id of that at the server. */
static inline unsigned long long come_and_be_asked(void)
{
    fd = connect_client();
    ask(fd, 1, "hello", "{}");
    mem_free(heard_soon(fd));
    fake = stand_soon(fd);
    send_keyed(fd, fake, 1, KEYED("k"));
    unsigned long long id = last_id(fake);
    ask_person(fake, id);
    expect_soon(fd, "elicitation.create");
    return id;
}

/* To another daemon on the same folder. */
static inline void come_again(void)
{
    hang_up();
    fd = restart();
}

static inline void force_open(const char *service)
{
    (void)gates_force_breaker(served.gates, slice_of(service), BREAKER_FORCED_OPEN,
                              SLICE("by hand"));
}

#endif
