/* SPDX-License-Identifier: MIT */
/*
 * one_service.h - for tests of one service `s` and one call at a time: both stand here, and are
 * cleared after each test.
 */
#ifndef TESTS_ONE_SERVICE_H
#define TESTS_ONE_SERVICE_H

#include "fake.h"

static struct bench bench;
static struct told told;

static inline int clear(void **state)
{
    (void)state;
    if (bench.loop) {
        bench_done(&bench);
    }
    bench.loop = NULL;
    told_done(&told);
    return 0;
}

#define TEST(name) cmocka_unit_test_teardown(name, clear)

/* The service is configured so, under the name `s`; nothing runs. */
static inline void begin_as(bool is_http, struct service_conf *conf)
{
    told = (struct told){0};
    bench_init(&bench, is_http);
    apply_one(&bench, conf);
}

static inline void begin(bool is_http)
{
    begin_as(is_http, conf_new("s", "1"));
}

/* Somebody calls, and the wire is to open. */
static inline struct fake *begin_call(bool is_http)
{
    begin(is_http);
    call(&bench, &told);
    return fake_at(&bench, 0);
}

/* The session stands, with the tool `echo`. */
static inline struct fake *stand(bool is_http)
{
    told = (struct told){0};
    return standing(&bench, is_http);
}

/* And somebody calls. */
static inline struct fake *stand_call(bool is_http)
{
    struct fake *fake = stand(is_http);
    call(&bench, &told);
    return fake;
}

#endif
