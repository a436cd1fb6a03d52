/* SPDX-License-Identifier: MIT */
/* dialogue.c - a server's notes and questions, to the client of one call and to nobody else. */
#include "call/dialogue.h"

#include "base/log.h"
#include "base/mem.h"

struct question {
    struct rpc_question rpc;
    struct list_link link; /* in dialogue->open */
    struct mcp_ask *ask;
    bool is_elicitation;
};

/* What MCP calls them, and what the socket does (design 4.5). */
static const struct {
    const char *mcp, *rpc;
} names[] = {
    {"elicitation/create", "elicitation.create"},
    {"sampling/createMessage", "sampling.create"},
    {"roots/list", "roots.list"},
};

void dialogue_init(struct dialogue *dialogue, struct rpc_pending *pending)
{
    *dialogue = (struct dialogue){.pending = pending};
    list_init(&dialogue->open);
}

/* The server's params, but for the names that are ours: a server names no call and no service. */
static uint32_t put_params(struct buf *out, struct slice params, const char *const *ours)
{
    struct pack cursor = pack_over(params);
    struct pack_item map;
    uint32_t count = 0;
    if (!params.ptr || !pack_next(&cursor, &map) || map.type != PACK_MAP) {
        return 0;
    }
    for (uint32_t i = 0; i < map.count; i++) {
        struct slice key;
        struct slice value;
        const char *const *name = ours;
        if (!pack_next_text(&cursor, &key) || !pack_take(&cursor, &value)) {
            break;
        }
        while (*name && !slice_is(key, *name)) {
            name++;
        }
        if (!*name) {
            pack_put_str(out, key);
            buf_put_slice(out, value);
            count++;
        }
    }
    return count;
}

void dialogue_note(struct dialogue *dialogue, const char *method, struct slice params)
{
    static const char *const ours[] = {"msgid", NULL};
    struct buf *out = rpc_notify(dialogue->pending, method);
    if (!out) {
        return;
    }
    size_t opened = pack_open(out);
    pack_put_key_int(out, "msgid", dialogue->pending->msgid);
    uint32_t count = put_params(out, params, ours);
    pack_close_map(out, opened, count + 1);
    rpc_notify_end(dialogue->pending);
}

/* ---- questions --------------------------------------------------------------------------- */

static struct question *question_of(struct rpc_question *rpc)
{
    return LIST_ITEM(rpc, struct question, rpc);
}

static void free_question(struct question *question)
{
    list_remove(&question->link);
    mem_free(question);
}

/* What a server gets must at least be a map, and an elicitation's answer say what was decided. */
static bool is_proper(const struct question *question, struct slice result)
{
    struct slice action;
    if (!result.ptr || pack_peek(pack_over(result)) != PACK_MAP) {
        return false;
    }
    return !question->is_elicitation ||
           (pack_get_text(result, "action", &action) &&
            (slice_is(action, "accept") || slice_is(action, "decline") ||
             slice_is(action, "cancel")));
}

static void answered(struct rpc_question *rpc, struct slice error, struct slice result)
{
    struct question *question = question_of(rpc);
    struct mcp_ask *ask = question->ask;
    bool is_of_use = is_proper(question, result);
    if (!is_of_use) {
        log_at(LOG_DEBUG, "call", "a question of a server was not answered",
               LOG_TEXT("why", error.ptr ? "the client gave an error"
                                         : "the client's answer is no result of MCP"));
    }
    free_question(question);
    mcp_answer(ask, is_of_use ? result : (struct slice){NULL, 0});
}

void dialogue_asked(struct dialogue *dialogue, struct mcp_ask *ask, const char *method,
                    struct slice params)
{
    static const char *const ours[] = {"service", "tool", "msgid", NULL};
    struct question *question = mem_new(sizeof *question);
    size_t name = 0;
    while (name + 1 < sizeof names / sizeof names[0] && strcmp(names[name].mcp, method) != 0) {
        name++;
    }
    question->ask = ask;
    question->is_elicitation = name == 0;
    struct buf *out = rpc_ask(dialogue->pending, &question->rpc, names[name].rpc, answered);
    if (!out) {
        mem_free(question);
        mcp_answer(ask, (struct slice){NULL, 0});
        return;
    }
    list_append(&dialogue->open, &question->link);
    size_t opened = pack_open(out);
    uint32_t count = put_params(out, params, ours);
    pack_put_key_str(out, "service", dialogue->service);
    pack_put_key_str(out, "tool", dialogue->tool);
    pack_put_key_int(out, "msgid", dialogue->pending->msgid);
    pack_close_map(out, opened, count + 3);
    if (rpc_ask_end(&question->rpc) == RPC_TOO_LONG) {
        free_question(question);
        mcp_answer(ask, (struct slice){NULL, 0});
    }
}

void dialogue_ask_ended(struct dialogue *dialogue, const struct mcp_ask *ask)
{
    list_each (link, &dialogue->open) {
        struct question *question = LIST_ITEM(link, struct question, link);
        if (question->ask == ask) {
            rpc_question_drop(&question->rpc);
            free_question(question);
            return;
        }
    }
}

void dialogue_abandon(struct dialogue *dialogue)
{
    struct list_link *link;
    while ((link = list_first(&dialogue->open))) {
        struct question *question = LIST_ITEM(link, struct question, link);
        struct mcp_ask *ask = question->ask;
        rpc_question_drop(&question->rpc);
        free_question(question);
        mcp_answer(ask, (struct slice){NULL, 0});
    }
}

void dialogue_end(struct dialogue *dialogue)
{
    struct list_link *link;
    while ((link = list_first(&dialogue->open))) {
        struct question *question = LIST_ITEM(link, struct question, link);
        rpc_question_drop(&question->rpc);
        free_question(question);
    }
}
