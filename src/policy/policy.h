/* SPDX-License-Identifier: MIT */
/*
 * policy.h - what operators decide in Lua: who may call what, what stands in, what people read.
 *
 * Owns:    a struct policy is one loaded policy with its Lua state; counted references, because a
 *          call keeps the policy of its birth over a reload.
 * Life:    what a function hands out as a slice points into the policy and is valid until the next
 *          question to the same policy.
 * Thread:  the loop thread; policy_load reads files: off the loop.
 * Errors:  a hook that fails, answers nonsense or passes its budget is a denial in policy_decide
 *          and no opinion elsewhere; it is logged with a traceback and counted.
 */
#ifndef POLICY_POLICY_H
#define POLICY_POLICY_H

#include "base/buf.h"
#include "base/err.h"
#include "base/slice.h"
#include "script/fault.h"
#include "value/failure.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct policy;

struct policy_options {
    const char *folder; /* of policy.lua; NULL or no such file: the default policy */
    size_t memory_bytes;
    int64_t budget_us;  /* one question */
    const char *locale; /* when neither policy nor call names one */
};

/* Loads, checks every declaration and runs the self-test. On failure every fault is in `faults`. */
int policy_load(const struct policy_options *options, struct policy **ret,
                struct faults *faults);
struct policy *policy_ref(struct policy *policy);
struct policy *policy_unref(struct policy *policy); /* always NULL */

/* ---- one call ---------------------------------------------------------------------------- */

enum policy_service { /* what C knows of a service when policy asks */
                      POLICY_SERVICE_UNKNOWN,
                      POLICY_SERVICE_USABLE,
                      POLICY_SERVICE_NO_CREDENTIALS, /* this user has linked no account */
                      POLICY_SERVICE_UNAVAILABLE,    /* in state error, or held back */
                      POLICY_SERVICE_DISABLED
};

enum policy_demo { POLICY_DEMO_BY_POLICY, POLICY_DEMO_NEVER, POLICY_DEMO_ONLY };

struct policy_peer {
    uid_t uid;
    gid_t gid;
    pid_t pid;
    bool is_trusted; /* the daemon's uid, root, or a member of the socket's group */
    bool is_admin;
};

/* What policy sees: read-only, and only while it is asked. Texts are UTF-8. */
struct policy_call {
    const struct policy_peer *peer;
    struct slice agent, user; /* empty: not given */
    struct slice service;     /* empty: `tool` is an operation or "service/tool" */
    struct slice tool;
    struct slice locale;    /* empty: not given */
    struct slice arguments; /* a MessagePack map; made into a Lua table only when a hook asks */
    enum policy_demo demo;
    enum policy_service (*service_state)(void *arg, struct slice service);
    void *arg;
};

enum policy_verdict {
    POLICY_CALL,        /* call service/tool with `arguments` */
    POLICY_DEMO_ANSWER, /* `result` is a demo answer (an MCP result, marked in its _meta) */
    POLICY_ANSWER,      /* `result` is policy's own answer (an MCP result) */
    POLICY_FAIL /* `failure` says why: POLICY_DENIED, NOT_FOUND, VALIDATION_ERROR, AUTH_REQUIRED ... */
};

struct policy_decision {
    enum policy_verdict verdict;
    struct slice service, tool; /* the target; for DEMO_ANSWER what it stands for */
    bool is_operation;  /* the asked name was an operation: it may have further targets */
    unsigned target;    /* which of its targets, from 0 */
    bool is_idempotent; /* the operation is declared so: doing it twice does no harm */
    bool has_arguments; /* false: the caller's own, unchanged */
    struct slice arguments;
    struct slice result;
    struct slice warning; /* empty: none */
};

/* The one question on a call's way. `failure` is filled only with POLICY_FAIL. */
void policy_decide(struct policy *policy, const struct policy_call *call,
                   struct policy_decision *ret, struct failure *failure);

/* After a target failed: what stands in (a further target of the operation, a fallback service, a
 * demo answer), or POLICY_FAIL with *failure as it was. `decision` is the one that was tried; on
 * return the next one. At most as many rounds as there are targets, and never more than 8. */
void policy_on_failure(struct policy *policy, const struct policy_call *call,
                       struct policy_decision *decision, struct failure *failure);

/* The after_call hook, if policy has one: may replace the result or deny. */
bool policy_has_after_call(const struct policy *policy);
void policy_after_call(struct policy *policy, const struct policy_call *call,
                       struct policy_decision *decision, struct slice result,
                       struct failure *failure);

/* What a person is told of a failure, into failure->user_message; `title` of the service in words. */
void policy_message(struct policy *policy, struct slice locale, struct slice service,
                    struct slice title, struct failure *failure);

/* Whether this peer may speak as this agent and user at all (peer_may): for lists. */
bool policy_peer_may(struct policy *policy, const struct policy_peer *peer, struct slice agent,
                     struct slice user);

/* The text of a result for people (format = "human"). */
void policy_human_text(struct policy *policy, struct slice locale, struct slice result,
                       struct buf *out);

/* ---- lists: the same rules as policy_decide ------------------------------------------------ */

bool policy_has_agent(const struct policy *policy, struct slice agent);
bool policy_may_use_service(struct policy *policy, struct slice agent, struct slice service);
bool policy_may_use_tool(struct policy *policy, struct slice agent, struct slice service,
                         struct slice tool);

/* Whether calls of `user` to this service would be answered by demo answers now. */
bool policy_would_demo(struct policy *policy, struct slice agent, enum policy_service state);

/* MessagePack, appended: agents as [{name, title, services, tools?, operations}], one agent (false: unknown;
 * the nearest name in *ret_near), the operations an agent may call as MCP tool definitions
 * (returns how many; no array header), a service's demo tools likewise. */
void policy_put_agents(struct policy *policy, struct buf *out);
bool policy_put_agent(struct policy *policy, struct slice name, struct buf *out,
                      struct slice *ret_near);
uint32_t policy_put_operations(struct policy *policy, struct slice agent, struct buf *out);
uint32_t policy_put_demo_tools(struct policy *policy, struct slice service, struct buf *out);

/* For daemon.info: {file, agents, operations, memory_bytes, questions, remembered, errors,
 * over_budget}; `remembered` of the questions needed no Lua. */
void policy_put_info(const struct policy *policy, struct buf *out);

/* Once a loop turn: a step of the collector, which rests while questions are answered. */
void policy_collect(struct policy *policy);

#endif
