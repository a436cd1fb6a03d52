/* SPDX-License-Identifier: MIT */
/* notes.c - what happened to services: a ring of each in memory, and the store's table. */
#include "base/mem.h"
#include "base/text.h"
#include "health/health_internal.h"
#include "value/pack.h"

#include <stdlib.h>

static void note_clear(struct note *note)
{
    mem_free(note->state);
    mem_free(note->reason);
    *note = (struct note){0};
}

static void grow(struct notes *notes)
{
    unsigned cap = notes->cap ? notes->cap * 2 : 4;
    struct note *list = mem_new(cap * sizeof *list);
    for (unsigned i = 0; i < notes->count; i++) { /* it is full: the oldest comes first */
        list[i] = notes->list[(notes->first + i) % notes->cap];
    }
    mem_free(notes->list);
    notes->list = list;
    notes->cap = cap < NOTES_MAX ? cap : NOTES_MAX;
    notes->first = 0;
}

static struct note *append(struct notes *notes)
{
    if (notes->count == notes->cap && notes->cap < NOTES_MAX) {
        grow(notes);
    }
    if (notes->count == notes->cap) {
        note_clear(&notes->list[notes->first]);
        notes->first = (notes->first + 1) % notes->cap;
        notes->count--;
    }
    return &notes->list[(notes->first + notes->count++) % notes->cap];
}

void notes_done(struct notes *notes)
{
    for (unsigned i = 0; i < notes->count; i++) {
        note_clear(&notes->list[(notes->first + i) % notes->cap]);
    }
    mem_free(notes->list);
    *notes = (struct notes){0};
}

void monitor_note(struct monitor *monitor, const struct store_happening *happening)
{
    struct note *note = append(&monitor->notes);
    char reason[REASON_BYTES + 1]; /* a zero too */
    text_copy(reason, sizeof reason, happening->reason);
    *note = (struct note){.at = happening->at,
                          .took_us = happening->took_us,
                          .kind = happening->kind,
                          .state = mem_dup(happening->state),
                          .reason = mem_dup(slice_of(reason))};
    if (monitor->health->options.store) {
        store_put_happening(monitor->health->options.store, happening);
    }
}

/* ---- looking ----------------------------------------------------------------------------- */

struct place { /* of a note, among those of all services */
    const struct monitor *monitor;
    const struct note *note;
};

static int newest_first(const void *a, const void *b)
{
    const struct place *left = a;
    const struct place *right = b;
    return (left->note->at < right->note->at) - (left->note->at > right->note->at);
}

static size_t gather(const struct monitor *monitor, const struct health_span *span,
                     struct place *places)
{
    const struct notes *notes = &monitor->notes;
    size_t count = 0;
    for (unsigned i = 0; i < notes->count; i++) { /* what came last comes first */
        unsigned at = (notes->first + notes->count - 1 - i) % notes->cap;
        const struct note *note = &notes->list[at];
        if (note->at >= span->since && (!span->until || note->at <= span->until)) {
            places[count++] = (struct place){monitor, note};
        }
    }
    return count;
}

static void put_note(const struct place *place, struct buf *out)
{
    const struct note *note = place->note;
    char time[CLOCK_TEXT];
    clock_format(note->at, time);
    pack_put_map(out, 4u + (note->reason[0] != '\0') + (note->took_us >= 0));
    pack_put_key_text(out, "time", time);
    pack_put_key_str(out, "service", place->monitor->conf->name);
    pack_put_key_text(out, "kind", note->kind);
    pack_put_key_text(out, "state", note->state);
    if (note->reason[0]) {
        pack_put_key_text(out, "reason", note->reason);
    }
    if (note->took_us >= 0) {
        pack_put_key_int(out, "ms", note->took_us / 1000);
    }
}

void health_put_recent(const struct health *health, const struct health_span *span,
                       struct buf *out)
{
    struct monitor *monitor;
    size_t count = 0;
    size_t at = 0;
    while ((monitor = map_next(&health->monitors, &at, NULL))) {
        count += monitor->notes.count;
    }
    struct place *places = mem_new((count + 1) * sizeof *places);
    count = at = 0;
    while ((monitor = map_next(&health->monitors, &at, NULL))) {
        if (!span->service.len || slice_equal(span->service, monitor->conf->name)) {
            count += gather(monitor, span, places + count);
        }
    }
    qsort(places, count, sizeof *places, newest_first);
    count = count < span->limit ? count : span->limit;
    pack_put_array(out, (uint32_t)count);
    for (size_t i = 0; i < count; i++) {
        put_note(&places[i], out);
    }
    mem_free(places);
}
