/* SPDX-License-Identifier: MIT */
/* stdio_fixture.h - a stdio transport over a real child, and what it told its owner. */
#ifndef TEST_STDIO_FIXTURE_H
#define TEST_STDIO_FIXTURE_H

#include "../child_processes.h"

#include "base/log.h"
#include "base/mem.h"
#include "mcp/stdio.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define SECOND ((mono_us)1000000)

static mono_us term_after = SECOND, kill_after = SECOND;

struct peer {
    struct mcp_transport *transport;
    unsigned opened, messages, closed;
    size_t bytes; /* of all messages */
    bool is_calling, has_failure;
    bool frees_when_opened, frees_at_message, frees_when_closed, closes_at_message, echoes;
    char last[256];
    size_t last_len;
    enum err_code code;
    bool is_retryable;
    char words[512], suggestion[256];
    struct buf details;
};

static inline void free_in_event(struct peer *peer)
{
    peer->transport->ops->free(peer->transport);
    peer->transport = NULL;
}

static inline void peer_opened(void *arg)
{
    struct peer *peer = arg;
    assert_false(peer->is_calling);
    assert_int_equal(peer->closed, 0);
    peer->opened++;
    if (peer->frees_when_opened) {
        free_in_event(peer);
    }
}

static inline void peer_message(void *arg, struct slice json, mcp_token token)
{
    struct peer *peer = arg;
    assert_false(peer->is_calling);
    assert_non_null(peer->transport);
    assert_int_equal(peer->opened, 1);
    assert_int_equal(peer->closed, 0);
    assert_int_equal(token, 0);
    peer->messages++;
    peer->bytes += json.len;
    peer->last_len = json.len < sizeof peer->last ? json.len : sizeof peer->last - 1;
    memcpy(peer->last, json.ptr, peer->last_len);
    peer->last[peer->last_len] = '\0';
    if (peer->closes_at_message) {
        peer->transport->ops->close(peer->transport);
    }
    if (peer->frees_at_message) {
        free_in_event(peer);
    }
}

static inline void copy_words(char *to, size_t size, const struct buf *from)
{
    size_t len = from->len < size - 1 ? from->len : size - 1;
    if (len) {
        memcpy(to, from->data, len);
    }
    to[len] = '\0';
}

static inline void peer_closed(void *arg, const struct failure *failure)
{
    struct peer *peer = arg;
    assert_false(peer->is_calling);
    assert_non_null(peer->transport);
    peer->closed++;
    peer->has_failure = failure != NULL;
    if (failure) {
        peer->code = failure->code;
        peer->is_retryable = failure->is_retryable;
        copy_words(peer->words, sizeof peer->words, &failure->message);
        copy_words(peer->suggestion, sizeof peer->suggestion, &failure->suggestion);
        buf_put_slice(&peer->details, buf_slice(&failure->details));
    }
    if (peer->frees_when_closed) {
        free_in_event(peer);
    }
}

static const struct mcp_transport_events peer_events = {
    .opened = peer_opened, .message = peer_message, .closed = peer_closed};

static const char *const plain_env[] = {"PATH=/usr/local/bin:/usr/bin:/bin", NULL};

static inline void make(struct peer *peer, const char *const *argv, size_t message_bytes)
{
    struct mcp_stdio_options options = {.loop = loop,
                                        .children = children,
                                        .service = "test",
                                        .argv = argv,
                                        .env = plain_env,
                                        .message_bytes = message_bytes,
                                        .term_after = term_after,
                                        .kill_after = kill_after};
    *peer = (struct peer){.opened = 0};
    buf_init(&peer->details, 65536);
    peer->transport = mcp_stdio_new(&options, &peer_events, peer);
}

static inline void open_now(struct peer *peer)
{
    peer->is_calling = true;
    peer->transport->ops->open(peer->transport);
    peer->is_calling = false;
}

static inline void close_now(struct peer *peer)
{
    peer->is_calling = true;
    peer->transport->ops->close(peer->transport);
    peer->is_calling = false;
}

static inline void start(struct peer *peer, const char *script, size_t message_bytes)
{
    const char *argv[] = {"sh", "-c", script, NULL};
    make(peer, argv, message_bytes);
    open_now(peer);
}

static inline int send_json(struct peer *peer, struct slice json, struct failure *failure)
{
    peer->is_calling = true;
    const struct mcp_outgoing message = {.kind = MCP_REQUEST,
                                         .json = json,
                                         .token = 1,
                                         .deadline = loop_now(loop) + SECOND,
                                         .method = "tools/call"};
    int result = peer->transport->ops->send(peer->transport, &message, failure);
    peer->is_calling = false;
    return result;
}

static inline void send_text(struct peer *peer, const char *json)
{
    struct failure failure = {.retry_after_ms = -1};
    assert_int_equal(send_json(peer, slice_of(json), &failure), 0);
    failure_done(&failure);
}

static inline void wait_for(const unsigned *what, unsigned count)
{
    mono_us limit = clock_mono() + 20 * SECOND;
    while (*what < count) {
        assert_true(clock_mono() < limit);
        loop_turn(loop, SECOND / 100);
    }
}

static inline void turns(mono_us time)
{
    for (mono_us limit = clock_mono() + time; clock_mono() < limit;) {
        loop_turn(loop, SECOND / 100);
    }
}

static inline bool is_gone(pid_t pid)
{
    return pid <= 0 || (kill(pid, 0) != 0 && errno == ESRCH);
}

static inline void wait_gone(pid_t pid)
{
    for (mono_us limit = clock_mono() + 5 * SECOND; !is_gone(pid); (void)usleep(2000)) {
        assert_true(clock_mono() < limit);
    }
}

static inline void end(struct peer *peer)
{
    pid_t pid = 0;
    if (peer->transport) {
        pid = (pid_t)peer->transport->ops->pid(peer->transport);
        peer->transport->ops->free(peer->transport);
    }
    wait_gone(pid);
    buf_done(&peer->details);
}

static inline bool has_detail(const struct peer *peer, const char *key, const char *value)
{
    char text[1024];
    size_t len = strlen(key) + 1;
    assert_true(len + strlen(value) < sizeof text);
    const char *at = memmem(peer->details.data, peer->details.len, key, len - 1);
    return at && memmem(at, peer->details.len - (size_t)(at - peer->details.data), value,
                        strlen(value));
}

#endif
