/* SPDX-License-Identifier: MIT */
/*
 * queue.c - who waits at a gate: one flow for each caller, and one ticket of each flow in turn.
 *
 * One that fills the queue makes room for others: who has most in line loses what came last.
 * A flow whose user is held by a limit of his own steps aside, so that nobody waits behind it.
 */
#include "base/map.h"
#include "base/mem.h"
#include "gate/gate_internal.h"

#define FLOWS_LOOKED_AT 64

uint64_t queue_key(const struct gate_caller *caller)
{
    uint64_t parts[3] = {caller->peer, map_hash(caller->agent.ptr, caller->agent.len),
                         map_hash(caller->user.ptr, caller->user.len)};
    return map_hash(parts, sizeof parts);
}

/* ---- flows ------------------------------------------------------------------------------- */

static struct gate_flow *flow_new(struct gate *gate, uint64_t key)
{
    struct gates *gates = gate->gates;
    struct list_link *link = list_first(&gates->idle_flows);
    struct gate_flow *flow;
    if (link) {
        list_remove(link);
        gates->idle_flow_count--;
        flow = LIST_ITEM(link, struct gate_flow, link);
    } else {
        flow = mem_new(sizeof *flow);
    }
    flow->key = key;
    flow->count = 0;
    list_init(&flow->tickets);
    map_set_id(&gate->flows, key, flow);
    list_append(&gate->turns, &flow->link);
    return flow;
}

static void flow_free(struct gate *gate, struct gate_flow *flow)
{
    struct gates *gates = gate->gates;
    (void)map_remove_id(&gate->flows, flow->key);
    list_remove(&flow->link);
    if (gates->idle_flow_count < GATE_POOL_MAX) {
        gates->idle_flow_count++;
        list_append(&gates->idle_flows, &flow->link);
    } else {
        mem_free(flow);
    }
}

void queue_done(struct gates *gates)
{
    struct list_link *link;
    while ((link = list_first(&gates->idle_flows))) {
        list_remove(link);
        mem_free(LIST_ITEM(link, struct gate_flow, link));
    }
}

unsigned queue_ahead(const struct gate *gate, uint64_t key)
{
    const struct gate_flow *own = map_get_id(&gate->flows, key);
    uint64_t ahead = ((uint64_t)(own ? own->count : 0) + 1) * gate->flows.count;
    return ahead < gate->waiting ? (unsigned)ahead : gate->waiting;
}

/* ---- telling ----------------------------------------------------------------------------- */

static void refuse(struct gate_ticket *ticket, struct failure *failure)
{
    gate_release(ticket);
    ticket->turn(ticket->arg, failure);
    failure_done(failure);
}

static void tell(void *arg)
{
    struct gate_ticket *ticket = arg;
    struct failure failure = {0};
    if (ticket->is_inside) {
        ticket->turn(ticket->arg, NULL);
        return;
    }
    say_refusal(ticket->gate, ticket->user, ticket->refusal, 0, &failure);
    refuse(ticket, &failure);
}

static void expire(void *arg)
{
    struct gate_ticket *ticket = arg;
    struct gate *gate = ticket->gate;
    struct failure failure = {0};
    mono_us now = gate_now(gate);
    mono_us until;
    enum gate_why block = gate_block(gate, ticket->user, now, &until);
    say_timeout(gate, block, now - ticket->since, &failure);
    queue_leave(gate, ticket);
    refuse(ticket, &failure);
}

static void condemn(struct gate *gate, struct gate_ticket *ticket, enum gate_why why)
{
    queue_leave(gate, ticket);
    ticket->refusal = why;
    loop_later(gate->gates->loop, &ticket->task);
}

/* ---- waiting ----------------------------------------------------------------------------- */

void queue_join(struct gate *gate, struct gate_ticket *ticket, uint64_t key)
{
    struct gate_flow *flow = map_get_id(&gate->flows, key);
    if (!flow) {
        flow = flow_new(gate, key);
    }
    ticket->flow = flow;
    list_append(&flow->tickets, &ticket->link);
    flow->count++;
    gate->waiting++;
    loop_task_init(&ticket->task, tell, ticket);
    loop_timer_init(&ticket->timer, expire, ticket);
    if (ticket->deadline != MONO_NEVER) {
        loop_timer_set(gate->gates->loop, &ticket->timer, ticket->deadline);
    }
}

void queue_leave(struct gate *gate, struct gate_ticket *ticket)
{
    struct gate_flow *flow = ticket->flow;
    loop_timer_cancel(gate->gates->loop, &ticket->timer);
    list_remove(&ticket->link);
    ticket->flow = NULL;
    gate->waiting--;
    flow->count--;
    if (!flow->count) {
        flow_free(gate, flow);
    }
}

/* Of all flows a few are looked at, others each time: a caller with much in line is soon found. */
bool queue_make_room(struct gate *gate, uint64_t key)
{
    const struct gate_flow *own = map_get_id(&gate->flows, key);
    struct gate_flow *longest = NULL;
    unsigned bound = (own ? own->count : 0) + 1;
    size_t looks = gate->flows.count < FLOWS_LOOKED_AT ? gate->flows.count : FLOWS_LOOKED_AT;
    for (; looks; looks--) {
        struct gate_flow *flow = map_next(&gate->flows, &gate->looked_at, NULL);
        if (!flow) {
            gate->looked_at = 0;
            flow = map_next(&gate->flows, &gate->looked_at, NULL);
        }
        if (flow->count > bound) {
            bound = flow->count;
            longest = flow;
        }
    }
    if (longest) {
        condemn(gate, LIST_ITEM(longest->tickets.head.prev, struct gate_ticket, link),
                GATE_NO_PLACE);
    }
    return longest != NULL;
}

static struct gate_ticket *first_of(const struct gate_flow *flow)
{
    return LIST_ITEM(list_first(&flow->tickets), struct gate_ticket, link);
}

static void let_in(struct gate *gate, struct gate_flow *flow, mono_us now)
{
    struct gate_ticket *ticket = first_of(flow);
    bool has_more = flow->count > 1;
    queue_leave(gate, ticket);
    if (has_more) {
        list_remove(&flow->link);
        list_append(&gate->turns, &flow->link);
    }
    gate_admit(gate, ticket, now);
    loop_later(gate->gates->loop, &ticket->task);
}

static void step_aside(struct gate *gate, struct gate_flow *flow, struct gate_user *user,
                       mono_us until)
{
    list_remove(&flow->link);
    list_append(&user->held, &flow->link);
    loop_timer_set(gate->gates->loop, &user->timer, until);
}

void queue_unhold(struct gate_user *user)
{
    struct list_link *link;
    loop_timer_cancel(user->gate->gates->loop, &user->timer);
    while ((link = list_first(&user->held))) {
        list_remove(link);
        list_append(&user->gate->turns, link);
    }
}

void queue_pump(struct gate *gate)
{
    struct list_link *link;
    mono_us now = gate_now(gate);
    mono_us until;
    while ((link = list_first(&gate->turns))) {
        struct gate_flow *flow = LIST_ITEM(link, struct gate_flow, link);
        struct gate_ticket *ticket = first_of(flow);
        struct gate_user *user = user_of(ticket);
        enum gate_why block = gate_block(gate, user, now, &until);
        if (block == GATE_USER_LIMITED) {
            step_aside(gate, flow, user, until);
            continue;
        }
        if (block) {
            if (until != MONO_NEVER) {
                loop_timer_set(gate->gates->loop, &gate->pump_timer, until);
            }
            return;
        }
        enum gate_why why = gate_refusal(gate, user, ticket->deadline, now);
        if (why) {
            condemn(gate, ticket, why);
        } else {
            let_in(gate, flow, now);
        }
    }
}

void queue_sweep(struct gate *gate)
{
    mono_us now = gate_now(gate);
    struct gate_flow *flow;
    size_t at = 0;
    while ((flow = map_next(&gate->flows, &at, NULL))) {
        struct list_link *link = list_first(&flow->tickets);
        for (unsigned left = flow->count; left; left--) { /* the flow goes with its last one */
            struct gate_ticket *ticket = LIST_ITEM(link, struct gate_ticket, link);
            link = link->next;
            enum gate_why why = gate_refusal(gate, user_of(ticket), ticket->deadline, now);
            if (why) {
                condemn(gate, ticket, why);
            }
        }
    }
}
