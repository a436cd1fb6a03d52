/* SPDX-License-Identifier: MIT */
/* users.c - the users of whom a gate remembers something: the newest, where credentials are theirs. */
#include "base/map.h"
#include "base/mem.h"
#include "base/must.h"
#include "base/text.h"
#include "gate/gate_internal.h"

/* Of those not used for longest, this many are looked at for one that may go. */
#define LOOKED_AT 16

struct slice user_name(const struct gate_user *user)
{
    return (struct slice){user->name, user->name_length};
}

static void due(void *arg)
{
    struct gate_user *user = arg;
    struct gate *gate = user->gate;
    queue_unhold(user);
    queue_pump(gate);
}

static struct gate_user *take(struct gate *gate, uint64_t key, struct slice name)
{
    struct gates *gates = gate->gates;
    struct list_link *link = list_first(&gates->idle_users);
    struct gate_user *user;
    if (link) {
        list_remove(link);
        gates->idle_user_count--;
        user = LIST_ITEM(link, struct gate_user, link);
    } else {
        user = mem_new(sizeof *user);
    }
    user->gate = gate;
    user->key = key;
    user->name_length = text_cut(name, GATE_NAME_MAX).len;
    memcpy(user->name, user->name_length ? name.ptr : "", user->name_length);
    return user;
}

/* Back as it was when it was new, but for the name. */
static void put_back(struct gate_user *user)
{
    struct gates *gates = user->gate->gates;
    if (gates->idle_user_count < GATE_POOL_MAX) {
        gates->idle_user_count++;
        list_append(&gates->idle_users, &user->link);
    } else {
        mem_free(user);
    }
}

void users_done(struct gates *gates)
{
    struct list_link *link;
    while ((link = list_first(&gates->idle_users))) {
        list_remove(link);
        mem_free(LIST_ITEM(link, struct gate_user, link));
    }
}

static void forget(struct gate_user *user)
{
    struct gate *gate = user->gate;
    (void)map_remove_id(&gate->users, user->key);
    list_remove(&user->link);
    loop_timer_cancel(gate->gates->loop, &user->timer);
    mem_free(user->reason);
    user->reason = NULL;
    user->breaker = (struct breaker){0};
    user->limit = (struct gate_limit){0};
    user->pace = (struct pace){0};
    user->is_known = false;
    put_back(user);
}

static bool is_used(const struct gate_user *user)
{
    return user->references || !list_is_empty(&user->held);
}

static bool make_room(struct gate *gate)
{
    unsigned looked_at = 0;
    if (gate->users.count < GATE_USERS_MAX) {
        return true;
    }
    list_each (link, &gate->user_list) {
        struct gate_user *user = LIST_ITEM(link, struct gate_user, link);
        if (!is_used(user)) {
            forget(user);
            return true;
        }
        if (++looked_at == LOOKED_AT) {
            break;
        }
    }
    return false;
}

static void remember(struct gate_user *user)
{
    struct gate *gate = user->gate;
    map_set_id(&gate->users, user->key, user);
    list_append(&gate->user_list, &user->link);
    list_init(&user->held);
    loop_timer_init(&user->timer, due, user);
    user->is_known = true;
}

struct gate_user *user_enter(struct gate *gate, struct slice name)
{
    uint64_t key = map_hash(name.ptr, name.len);
    struct gate_user *user = gate->users.count ? map_get_id(&gate->users, key) : NULL;
    if (user) {
        list_remove(&user->link);
        list_append(&gate->user_list, &user->link);
    } else {
        user = take(gate, key, name);
    }
    user->references++;
    return user;
}

void user_settle(struct gate_user *user)
{
    bool is_broken = user->breaker.state != BREAKER_CLOSED || user->breaker.failures;
    bool is_limited =
        user->limit.is_active || user->limit.unknown || pace_is_active(&user->pace);
    if (!is_used(user) && !is_broken && !is_limited) {
        forget(user);
    }
}

void user_leave(struct gate_user *user)
{
    must(user->references > 0);
    user->references--;
    if (user->is_known) {
        user_settle(user);
    } else if (!user->references) {
        put_back(user);
    }
}

const struct gate_user *user_find(const struct gate *gate, struct slice name)
{
    return gate->users.count ? map_get_id(&gate->users, map_hash(name.ptr, name.len)) : NULL;
}

struct gate_user *user_of(struct gate_ticket *ticket)
{
    struct gate_user *user = ticket->user;
    if (!user || user->is_known) {
        return user;
    }
    struct gate *gate = ticket->gate;
    struct gate_user *other = gate->users.count ? map_get_id(&gate->users, user->key) : NULL;
    if (other) {
        other->references++;
        user_leave(user);
        ticket->user = other;
    }
    return other;
}

struct gate_user *user_remember(struct gate_ticket *ticket)
{
    struct gate_user *user = user_of(ticket);
    if (!user && ticket->user && make_room(ticket->gate)) {
        user = ticket->user;
        remember(user);
    }
    return user;
}

struct gate_user *user_remember_name(struct gate *gate, struct slice name)
{
    uint64_t key = map_hash(name.ptr, name.len);
    struct gate_user *user = map_get_id(&gate->users, key);
    if (!user && make_room(gate)) {
        user = take(gate, key, name);
        remember(user);
    }
    return user;
}

void users_forget(struct gate *gate)
{
    list_each (link, &gate->user_list) {
        struct gate_user *user = LIST_ITEM(link, struct gate_user, link);
        if (!is_used(user)) {
            forget(user);
        }
    }
}
