/* SPDX-License-Identifier: MIT */
/* draft_retry.c - how calls of a service are repeated, and what is different for some of its tools. */
#include "conf/draft.h"

#include "value/pack.h"

#include <stdlib.h>
#include <string.h>

#define TOOLS_MAX 256u

struct retry_reading {
    struct draft *draft;
    struct retry_conf *retry;
    struct service_tool_retry *tool; /* NULL: of the whole service */
    struct slice tools;              /* as found */
    bool has_base;
};

static void read_strategy(const struct check *check, struct slice value,
                          struct retry_conf *retry)
{
    unsigned choice = 0; /* in the order of enum retry_strategy */
    if (check_choice(check, value, "fixed|linear|exponential|exponential_jitter", &choice)) {
        retry->strategy = (enum retry_strategy)choice;
    }
}

static void read_idempotent(const struct check *check, struct slice value,
                            struct service_tool_retry *tool)
{
    if (check_bool(check, value, &tool->is_idempotent)) {
        tool->is_harmful = !tool->is_idempotent;
    }
}

/* What there is once for the whole service. */
static bool is_of_service(struct slice key)
{
    return slice_starts(key, "budget_") || slice_is(key, "tools");
}

static void read_retry_key(void *arg, struct check *check, struct slice key, struct slice value)
{
    struct retry_reading *reading = arg;
    reading->has_base |= slice_is(key, "base_ms");
    if (slice_is(key, "strategy")) {
        read_strategy(check, value, reading->retry);
    } else if (slice_is(key, "idempotent") && reading->tool) {
        read_idempotent(check, value, reading->tool);
    } else if (slice_is(key, "idempotent")) {
        check_fault(check, "%s is said of single tools: in retry.tools", check->path);
    } else if (is_of_service(key) && reading->tool) {
        check_fault(check, "%s is of the whole service: it cannot stand in retry.tools",
                    check->path);
    } else if (slice_is(key, "tools")) {
        reading->tools = value;
    } else if (!draft_read_number(reading->draft, GROUP_retry, reading->retry, key, value)) {
        draft_refuse_part(reading->draft, reading->tool ? GROUP_tool : GROUP_retry, key);
    }
}

static void read_retry(struct draft *draft, struct slice value, struct retry_reading *reading)
{
    if (draft_is_off(value)) {
        reading->retry->max_attempts = 1;
    } else if (check_map(draft->check, value, "a table or false")) {
        (void)check_each_key(draft->check, value, read_retry_key, reading);
        draft_order(draft, "base_ms", reading->has_base, &reading->retry->base_ms,
                    reading->retry->max_ms);
    }
}

/* ---- overrides --------------------------------------------------------------------------- */

static void read_tool(void *arg, struct check *check, struct slice key, struct slice value)
{
    struct draft *draft = arg;
    struct service_conf *conf = draft->conf;
    struct service_tool_retry *tool = &conf->tool_retries[conf->tool_retry_count];
    struct retry_reading reading = {.draft = draft, .retry = &tool->retry, .tool = tool};
    if (key.len == 0) {
        check_fault(check, "%s holds an empty name: `*` stands for every tool", check->path);
        return;
    }
    *tool = (struct service_tool_retry){.retry = conf->retry};
    if (draft_keep(draft, key, &tool->pattern)) {
        conf->tool_retry_count++;
        read_retry(draft, value, &reading);
    }
}

static bool is_exact(struct slice pattern)
{
    return !memchr(pattern.ptr, '*', pattern.len);
}

/* Exact names first, then the longer patterns, then by name: a table of Lua has no order. */
static int most_special_first(const void *a, const void *b)
{
    struct slice left = ((const struct service_tool_retry *)a)->pattern;
    struct slice right = ((const struct service_tool_retry *)b)->pattern;
    if (is_exact(left) != is_exact(right)) {
        return is_exact(left) ? -1 : 1;
    }
    if (left.len != right.len) {
        return left.len > right.len ? -1 : 1;
    }
    return memcmp(left.ptr, right.ptr, left.len);
}

static void read_tools(struct draft *draft, struct slice value)
{
    struct service_conf *conf = draft->conf;
    uint32_t count = check_count(value);
    if (!check_map(draft->check, value, "a table of tools")) {
        return;
    }
    if (count > TOOLS_MAX) {
        check_fault(draft->check, "%s has more than %u elements", draft->check->path,
                    TOOLS_MAX);
        return;
    }
    conf->tool_retries = draft_take(draft, (count + 1) * sizeof *conf->tool_retries);
    if (conf->tool_retries) {
        (void)check_each_key(draft->check, value, read_tool, draft);
        qsort(conf->tool_retries, conf->tool_retry_count, sizeof *conf->tool_retries,
              most_special_first);
    }
}

/* The overrides last: what they leave out is the service's. */
void draft_read_retry(struct draft *draft, struct slice value)
{
    struct retry_reading reading = {.draft = draft, .retry = &draft->conf->retry};
    read_retry(draft, value, &reading);
    if (reading.tools.ptr) {
        size_t entered = check_enter(draft->check, SLICE("tools"));
        read_tools(draft, reading.tools);
        check_leave(draft->check, entered);
    }
}
