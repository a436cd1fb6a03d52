/* SPDX-License-Identifier: MIT */
/* change.c - changes of state: kept over restarts, and told behind what made them. */
#include "base/mem.h"
#include "base/text.h"
#include "gate/gate_internal.h"

struct note {
    struct list_link link;
    enum gate_change_kind kind;
    const char *state;
    int64_t left_ms;
    char *service, *user, *reason;
};

void change_reason(char **reason, struct slice text)
{
    struct buf kept;
    buf_init(&kept, GATE_REASON_MAX + 1); /* and a zero */
    while (text.len) {
        size_t step = text_utf8_step(text);
        if (kept.len + (step ? step : 1) > GATE_REASON_MAX) {
            break;
        }
        buf_put(&kept, step ? text.ptr : "?", step ? step : 1);
        text.ptr += step ? step : 1;
        text.len -= step ? step : 1;
    }
    mem_free(*reason);
    *reason = kept.len ? mem_dup(buf_slice(&kept)) : NULL;
    buf_done(&kept);
}

static void note_free(struct note *note)
{
    mem_free(note->service);
    mem_free(note->user);
    mem_free(note->reason);
    mem_free(note);
}

static struct slice text_of(const char *text)
{
    return text ? slice_of(text) : SLICE("");
}

void tell_changes(void *arg)
{
    struct gates *gates = arg;
    struct list_link *link;
    while ((link = list_first(&gates->notes))) {
        struct note *note = LIST_ITEM(link, struct note, link);
        const struct gate_change change = {
            note->kind,  slice_of(note->service), text_of(note->user),
            note->state, text_of(note->reason),   note->left_ms};
        list_remove(link);
        gates->changed(gates->arg, &change);
        note_free(note);
    }
}

void changes_done(struct gates *gates)
{
    struct list_link *link;
    loop_task_cancel(&gates->telling);
    while ((link = list_first(&gates->notes))) {
        list_remove(link);
        note_free(LIST_ITEM(link, struct note, link));
    }
}

static void add_note(const struct gate *gate, const struct gate_user *user,
                     struct gate_change change)
{
    struct gates *gates = gate->gates;
    if (!gates->changed || gate->is_gone) {
        return;
    }
    struct note *note = mem_new(sizeof *note);
    note->kind = change.kind;
    note->state = change.state;
    note->left_ms = change.left_ms;
    note->service = mem_dup(gate->conf->name);
    note->user = user ? mem_dup(user_name(user)) : NULL;
    note->reason = mem_dup(change.reason);
    list_append(&gates->notes, &note->link);
    loop_later(gates->loop, &gates->telling);
}

void change_breaker(struct gate *gate, const struct gate_user *user)
{
    const struct breaker *breaker = user ? &user->breaker : &gate->breaker;
    bool has_end = breaker->state == BREAKER_OPEN && breaker->forced == BREAKER_BY_ITSELF;
    add_note(gate, user,
             (struct gate_change){
                 .kind = GATE_BREAKER,
                 .state = breaker_state_name(breaker_effective(breaker)),
                 .reason = text_of(user ? user->reason : gate->breaker_reason),
                 .left_ms = has_end ? gate_left_ms(breaker->until, gate_now(gate)) : -1,
             });
    if (!user) {
        keep_gate(gate);
    }
    gate->must_sweep = true;
}

void change_quarantine(struct gate *gate, bool has_begun)
{
    mono_us until = has_begun ? gate->quarantine.until : MONO_NEVER;
    add_note(gate, NULL,
             (struct gate_change){
                 .kind = GATE_QUARANTINE,
                 .state = has_begun ? "begun" : "ended",
                 .reason = text_of(gate->quarantine_reason),
                 .left_ms = gate_left_ms(until, gate_now(gate)),
             });
    keep_gate(gate);
    gate->must_sweep = true;
}

void change_limited(struct gate *gate, const struct gate_user *user, mono_us until)
{
    add_note(gate, user,
             (struct gate_change){
                 .kind = GATE_RATE,
                 .state = "limited",
                 .reason = SLICE("the server says that its limit is reached"),
                 .left_ms = gate_left_ms(until, gate_now(gate)),
             });
}

void change_outcome(struct gate *gate, const struct failure *failure)
{
    gate->is_failing = failure != NULL;
    add_note(gate, NULL,
             (struct gate_change){
                 .kind = GATE_OUTCOME,
                 .state = failure ? "failing" : "answering",
                 .reason = failure ? buf_slice(&failure->message) : SLICE(""),
                 .left_ms = -1,
             });
}
