/* SPDX-License-Identifier: MIT */
/*
 * keying.h - calls with an idempotency_key over a scripted server and a store of their own, which outlives
 * the daemon of one test.
 */
#ifndef TESTS_UNIT_CALL_KEYING_H
#define TESTS_UNIT_CALL_KEYING_H

#include "attempting.h"

#include "call/once.h"

#define KEYED(key)   \
    "{\"tool\":\"s/" \
    "echo\",\"agent\":\"a\",\"arguments\":{\"text\":\"hi\"},\"idempotency_key\":\"" key "\"}"
#define KEYED_OTHERWISE(key) \
    "{\"tool\":\"s/"         \
    "echo\",\"agent\":\"a\",\"arguments\":{\"text\":\"ho\"},\"idempotency_key\":\"" key "\"}"
#define KEYED_IN(ms, key)                                      \
    "{\"tool\":\"s/echo\",\"agent\":\"a\",\"timeout_ms\":" #ms \
    ",\"arguments\":{\"text\":\"hi\"},\"idempotency_key\":\"" key "\"}"
#define REPEATED "This is the outcome of an earlier call with the same idempotency_key"

static char state_folder[64];

static int setup(void **state)
{
    (void)state;
    (void)snprintf(state_folder, sizeof state_folder, "/tmp/test_once.XXXXXX");
    assert_non_null(mkdtemp(state_folder));
    return serve_at(plain_policy, true, state_folder);
}

static inline void remove_state(void)
{
    static const char *const files[] = {"", "-wal", "-shm", "-journal"};
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        char path[160];
        (void)snprintf(path, sizeof path, "%s/%s%s", state_folder, STORE_FILE, files[i]);
        (void)unlink(path);
    }
    assert_int_equal(rmdir(state_folder), 0);
}

static int teardown(void **state)
{
    (void)serve_end(state);
    remove_state();
    return 0;
}

/* The daemon ends, and another one begins on the same folder. */
static inline int restart(void)
{
    end_rooms();
    serve_rooms(true, state_folder);
    calls_set_policy(served.calls, policy_of(plain_policy));
    serve_socket();
    configure(NULL);
    return connect_client();
}

/* As if the daemon had been killed behind its claim: KEYED("k") of `tool`. No room is open. */
static inline void claim_without_an_end(const char *tool)
{
    struct buf arguments;
    struct store_claim claim = {0};
    struct loop *loop = loop_new();
    struct store *store = store_new(
        &(struct store_options){.loop = loop, .folder = state_folder, .retry_ms = 20});
    once_id(SLICE("a"), SLICE(""), SLICE("k"), claim.id);
    once_fingerprint(SLICE(""), slice_of(tool), pack(&arguments, "{\"text\":\"hi\"}"),
                     claim.fingerprint);
    buf_done(&arguments);
    store_claim(store, &claim);
    store_flush(store);
    store_free(store);
    loop_free(loop);
}

/* The server is sent one more call than `before`: what waits for the disk has its time. */
static inline void wait_for_call(const struct fake *fake, size_t before)
{
    for (unsigned i = 0; i < 2000 && calls_at(fake) == before; i++) {
        wait_a_little();
    }
    assert_int_equal(calls_at(fake), before + 1);
}

static inline void wait_for_all_to_end(void)
{
    for (unsigned i = 0; i < 2000 && calls_count(served.calls); i++) {
        wait_a_little();
    }
    assert_int_equal(calls_count(served.calls), 0);
}

/* Gate and session may wait for the store after a start. */
static inline struct fake *stand_soon(int fd)
{
    size_t before = served.bench.fake_count;
    ask(fd, 1000, "tools.call", ECHO_CALL);
    for (unsigned i = 0; i < 2000 && served.bench.fake_count == before; i++) {
        wait_a_little();
    }
    struct fake *fake = fake_number(before);
    serve_echo(fake);
    wait_for_call(fake, 0); /* what was approved is read first */
    answer_last(fake, RESULT);
    mem_free(heard_soon(fd));
    return fake;
}

/* The call is at the server. */
static inline void send_keyed(int fd, struct fake *fake, uint32_t msgid, const char *json)
{
    size_t before = calls_at(fake);
    ask(fd, msgid, "tools.call", json);
    wait_for_call(fake, before);
}

#endif
