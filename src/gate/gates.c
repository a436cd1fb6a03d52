/* SPDX-License-Identifier: MIT */
/* gates.c - the set of gates: one for each service, over reloads. */
#include "base/map.h"
#include "base/mem.h"
#include "base/must.h"
#include "gate/gate_internal.h"

struct gates *gates_new(const struct gates_options *options)
{
    struct gates *gates = mem_new(sizeof *gates);
    gates->loop = options->loop;
    gates->store = options->store;
    gates->changed = options->changed;
    gates->arg = options->arg;
    gates->born = loop_wall(options->loop);
    map_init(&gates->map);
    map_init(&gates->kept);
    list_init(&gates->retired);
    list_init(&gates->notes);
    list_init(&gates->idle_flows);
    list_init(&gates->idle_users);
    loop_task_init(&gates->telling, tell_changes, gates);
    keep_start(gates);
    return gates;
}

struct gate *gate_find(const struct gates *gates, struct slice service)
{
    return map_get(&gates->map, service);
}

static void pump_due(void *arg)
{
    queue_pump(arg);
}

static struct gate *gate_new(struct gates *gates, struct service_conf *conf)
{
    struct gate *gate = mem_new(sizeof *gate);
    gate->gates = gates;
    gate->conf = service_conf_ref(conf);
    gate->process_at = -1;
    list_init(&gate->turns);
    list_init(&gate->user_list);
    map_init(&gate->flows);
    map_init(&gate->users);
    loop_timer_init(&gate->pump_timer, pump_due, gate);
    loop_timer_init(&gate->quarantine_end, quarantine_ended, gate);
    map_set(&gates->map, conf->name, gate);
    keep_restore(gate);
    return gate;
}

static void gate_free(struct gate *gate)
{
    must(!gate->tickets);
    users_forget(gate);
    loop_timer_cancel(gate->gates->loop, &gate->pump_timer);
    loop_timer_cancel(gate->gates->loop, &gate->quarantine_end);
    list_remove(&gate->link);
    map_done(&gate->flows);
    map_done(&gate->users);
    mem_free(gate->breaker_reason);
    mem_free(gate->quarantine_reason);
    (void)service_conf_unref(gate->conf);
    mem_free(gate);
}

void gate_free_if_unused(struct gate *gate)
{
    if (!gate->tickets) {
        gate_free(gate);
    }
}

/* It is in the set no more. Who waits is refused, who is inside leaves as ever. */
static void retire(struct gate *gate)
{
    struct gates *gates = gate->gates;
    keep_aside(gate);
    (void)map_remove(&gates->map, gate->conf->name);
    list_append(&gates->retired, &gate->link);
    gate->is_gone = true;
    gate->must_sweep = true;
    gate_settle(gate);
    gate_free_if_unused(gate);
}

static void renew(struct gate *gate, struct service_conf *conf)
{
    if (gate->conf != conf) {
        (void)service_conf_unref(gate->conf);
        gate->conf = service_conf_ref(conf);
        gate_settle(gate);
    }
}

void gates_apply(struct gates *gates, const struct service_set *set)
{
    struct map wanted;
    struct gate *gate;
    struct slice name;
    size_t at = 0;
    map_init(&wanted);
    for (size_t i = 0; i < set->count; i++) {
        map_set(&wanted, set->list[i]->name, set->list[i]);
    }
    while ((gate = map_next(&gates->map, &at, &name))) {
        if (!map_get(&wanted, name)) {
            retire(gate);
        }
    }
    for (size_t i = 0; i < set->count; i++) {
        gate = gate_find(gates, set->list[i]->name);
        if (gate) {
            renew(gate, set->list[i]);
        } else {
            (void)gate_new(gates, set->list[i]);
        }
    }
    map_done(&wanted);
}

void gates_free(struct gates *gates)
{
    struct gate *gate;
    size_t at = 0;
    if (!gates) {
        return;
    }
    must(list_is_empty(&gates->retired));
    while ((gate = map_next(&gates->map, &at, NULL))) {
        gate_free(gate);
    }
    map_done(&gates->map);
    keep_done(gates);
    changes_done(gates);
    queue_done(gates);
    users_done(gates);
    mem_free(gates);
}
