/* SPDX-License-Identifier: MIT */
/* watching.h - clients that watch resources, for the tests of watches in either era. */
#ifndef TESTS_WATCHING_H
#define TESTS_WATCHING_H

#include "fake.h"

struct heard {
    struct mcp_watch *watch;
    unsigned started, ended;
    enum err_code code;
    char message[256];
    char updates[1024];         /* each uri and a blank */
    struct mcp_watch **unwatch; /* another one, ended inside the next `updated` */
};

static inline void heard_start(void *arg, const struct failure *failure)
{
    struct heard *heard = arg;
    heard->started++;
    if (failure) {
        heard->code = failure->code;
        (void)snprintf(heard->message, sizeof heard->message, "%.*s",
                       SLICE_ARG(buf_slice(&failure->message)));
        heard->watch = NULL;
    }
}

static inline void heard_update(void *arg, struct slice uri)
{
    struct heard *heard = arg;
    size_t at = strlen(heard->updates);
    (void)snprintf(heard->updates + at, sizeof heard->updates - at, "%.*s ", SLICE_ARG(uri));
    if (heard->unwatch && *heard->unwatch) {
        mcp_unwatch(*heard->unwatch);
        *heard->unwatch = NULL;
    }
}

static inline void heard_end(void *arg)
{
    struct heard *heard = arg;
    heard->ended++;
    heard->watch = NULL;
}

static const struct mcp_watch_events heard_events = {heard_start, heard_update, heard_end};

static inline void watch_as(struct bench *bench, struct heard *heard, const char *uri,
                            const char *user)
{
    char copy[64];
    (void)snprintf(copy, sizeof copy, "%s", user);
    const struct mcp_identity identity = {.agent = {"", 0}, .user = slice_of(copy)};
    *heard = (struct heard){.started = 0};
    heard->watch =
        mcp_watch(service_named(bench, "s"), &identity, slice_of(uri), &heard_events, heard);
    memset(copy, '!', sizeof copy);
    assert_non_null(heard->watch);
    assert_int_equal(heard->started, 0); /* never inside */
    turn(bench);
}

static inline void watch(struct bench *bench, struct heard *heard, const char *uri)
{
    watch_as(bench, heard, uri, "");
}

static inline void unwatch(struct bench *bench, struct heard *heard)
{
    mcp_unwatch(heard->watch);
    heard->watch = NULL;
    turn(bench);
}

/* The last line with `part` that was sent, or NULL. */
static inline const char *sent_with(const struct fake *fake, const char *part)
{
    for (size_t i = fake->count; i > 0; i--) {
        if (strstr(fake->sent[i - 1], part)) {
            return fake->sent[i - 1];
        }
    }
    return NULL;
}

#define assert_started(heard)                 \
    do {                                      \
        assert_int_equal((heard).started, 1); \
        assert_int_equal((heard).code, 0);    \
    } while (0)

#endif
