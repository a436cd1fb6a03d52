/* SPDX-License-Identifier: MIT */
/* record.c - writes calls into pieces and reads them back. */
#include "store/record.h"

#include "base/mem.h"
#include "base/text.h"
#include "base/word.h"

#include <stdio.h>

#define FIELDS 13u
/* Shorter texts are as short as their number. */
#define WORD_MIN 2u

/* ---- writing ----------------------------------------------------------------------------- */

void record_writer_init(struct record_writer *writer, size_t bytes)
{
    *writer = (struct record_writer){.count = 0};
    buf_init(&writer->out, bytes + RECORD_BYTES_MAX);
}

void record_writer_done(struct record_writer *writer)
{
    buf_done(&writer->out);
}

bool record_writer_begin(struct record_writer *writer)
{
    buf_clear(&writer->out);
    writer->count = 0;
    writer->words = 0;
    writer->last = (struct record_last){0};
    memset(writer->remembered, 0, sizeof writer->remembered);
    bool has_room = buf_reserve(&writer->out, writer->out.max);
    buf_clear(&writer->out);
    return has_room;
}

/* Of its length and its ends: names that differ do so there. */
static size_t place_of(struct slice text)
{
    bool is_long = text.len >= 8;
    uint64_t first = is_long ? word_load(text.ptr) : word_load_few(text.ptr, text.len);
    uint64_t last = is_long ? word_load(text.ptr + text.len - 8) : 0;
    uint64_t mixed = (first ^ (last << 5 | last >> 59) ^ text.len) * 0x9e3779b97f4a7c15u;
    return mixed >> 56;
}

/* Most are small. There is room for a whole record. */
static inline void put_number(struct buf *out, int64_t number)
{
    if (number >= 0 && number < 0x80) {
        out->data[out->len++] = (char)number;
    } else {
        pack_put_int(out, number);
    }
}

static inline void put_text(struct record_writer *writer, struct slice text)
{
    struct buf *out = &writer->out;
    text = text_cut(text, RECORD_TEXT_MAX);
    if (text.len < WORD_MIN) {
        pack_put_str(out, text);
        return;
    }
    struct record_word *word = &writer->remembered[place_of(text) % RECORD_WORDS];
    if (word->len == text.len && word_equal(out->data + word->at, text.ptr, text.len)) {
        put_number(out, word->number);
        return;
    }
    pack_put_str(out, text);
    *word = (struct record_word){(uint32_t)(out->len - text.len), (uint16_t)text.len,
                                 (uint16_t)writer->words};
    writer->words++;
}

static void put_difference(struct buf *out, uint64_t value, uint64_t *last)
{
    put_number(out, (int64_t)(value - *last));
    *last = value;
}

void record_write(struct record_writer *writer, const struct store_activity *activity)
{
    struct buf *out = &writer->out;
    struct record_last *last = &writer->last;
    wall_ms at = activity->at;
    writer->since = !writer->count || at < writer->since ? at : writer->since;
    writer->until = !writer->count || at > writer->until ? at : writer->until;
    writer->count++;
    buf_put_byte(out, 0x90 | FIELDS);
    put_difference(out, (uint64_t)at, &last->at);
    put_difference(out, activity->request_id, &last->request_id);
    put_number(out, activity->took_us);
    put_number(out, activity->attempts);
    put_difference(out, activity->uid, &last->uid);
    put_difference(out, activity->pid, &last->pid);
    put_text(writer, activity->method);
    put_text(writer, activity->agent);
    put_text(writer, activity->user);
    put_text(writer, activity->service);
    put_text(writer, activity->tool);
    put_text(writer, slice_of(activity->outcome));
    put_text(writer, activity->fallback_from);
}

/* ---- reading ----------------------------------------------------------------------------- */

void record_reader_done(struct record_reader *reader)
{
    mem_free(reader->records);
    mem_free(reader->words);
    *reader = (struct record_reader){0};
}

/* As many as could be in a piece of this length. */
static bool make_room(struct record_reader *reader, size_t bytes)
{
    if (bytes <= reader->room) {
        return true;
    }
    record_reader_done(reader);
    reader->records = mem_try((bytes / FIELDS + 1) * sizeof *reader->records);
    reader->words = mem_try((bytes / WORD_MIN + 1) * sizeof *reader->words);
    if (!reader->records || !reader->words) {
        record_reader_done(reader);
        return false;
    }
    reader->room = bytes;
    return true;
}

struct reading {
    struct pack cursor;
    struct slice *words;
    uint32_t word_count;
    struct record_last last;
};

static bool next_int(struct reading *reading, int64_t *ret)
{
    struct pack_item item;
    return pack_next(&reading->cursor, &item) && pack_as_int(&item, ret);
}

static bool next_difference(struct reading *reading, uint64_t *last)
{
    int64_t difference;
    if (!next_int(reading, &difference)) {
        return false;
    }
    *last += (uint64_t)difference;
    return true;
}

static bool next_text(struct reading *reading, struct slice *ret)
{
    struct pack_item item;
    if (!pack_next(&reading->cursor, &item)) {
        return false;
    }
    if (item.type == PACK_UINT && item.u < reading->word_count) {
        *ret = reading->words[item.u];
        return true;
    }
    *ret = item.text;
    if (item.type == PACK_STR && item.text.len >= WORD_MIN) {
        reading->words[reading->word_count++] = item.text;
    }
    return item.type == PACK_STR;
}

static bool next_record(struct reading *reading, struct record *ret)
{
    struct pack_item item;
    struct record_last *last = &reading->last;
    if (!pack_next(&reading->cursor, &item) || item.type != PACK_ARRAY ||
        item.count != FIELDS || !next_difference(reading, &last->at) ||
        !next_difference(reading, &last->request_id) || !next_int(reading, &ret->took_us) ||
        !next_int(reading, &ret->attempts) || !next_difference(reading, &last->uid) ||
        !next_difference(reading, &last->pid)) {
        return false;
    }
    ret->at = (wall_ms)last->at;
    ret->request_id = last->request_id;
    ret->uid = (int64_t)last->uid;
    ret->pid = (int64_t)last->pid;
    return next_text(reading, &ret->method) && next_text(reading, &ret->agent) &&
           next_text(reading, &ret->user) && next_text(reading, &ret->service) &&
           next_text(reading, &ret->tool) && next_text(reading, &ret->outcome) &&
           next_text(reading, &ret->fallback_from);
}

bool record_read(struct record_reader *reader, struct slice piece, uint32_t most)
{
    reader->count = 0;
    if (!make_room(reader, piece.len)) {
        return false;
    }
    struct reading reading = {.cursor = pack_over(piece), .words = reader->words};
    while (reader->count < most && next_record(&reading, &reader->records[reader->count])) {
        reader->count++;
    }
    return true;
}

/* ---- asking ------------------------------------------------------------------------------ */

static bool has_failed(struct slice outcome)
{
    return !slice_is(outcome, "live") && !slice_is(outcome, "demo") &&
           !slice_is(outcome, "cache") && !slice_is(outcome, "fallback");
}

static bool is_wanted(struct slice text, struct slice wanted)
{
    return !wanted.len || slice_equal(text, wanted);
}

bool record_fits(const struct record *record, const struct store_query *query)
{
    return (!query->since || record->at >= query->since) &&
           (!query->until || record->at <= query->until) &&
           is_wanted(record->service, query->service) &&
           is_wanted(record->agent, query->agent) && is_wanted(record->user, query->user) &&
           is_wanted(record->tool, query->tool) &&
           (slice_is(query->outcome, "failed") ? has_failed(record->outcome)
                                               : is_wanted(record->outcome, query->outcome));
}

void record_put_row(const struct record *record, int64_t id, struct buf *out)
{
    char time[CLOCK_TEXT];
    char request[17];
    clock_format(record->at, time);
    (void)snprintf(request, sizeof request, "%016llx", (unsigned long long)record->request_id);
    pack_put_map(out, 13u + (record->fallback_from.len > 0));
    pack_put_key_int(out, "id", id);
    pack_put_key_text(out, "time", time);
    pack_put_key_text(out, "request_id", request);
    pack_put_key_str(out, "method", record->method);
    pack_put_key_str(out, "agent", record->agent);
    pack_put_key_str(out, "user", record->user);
    pack_put_key_str(out, "service", record->service);
    pack_put_key_str(out, "tool", record->tool);
    pack_put_key_str(out, "outcome", record->outcome);
    pack_put_key_int(out, "ms", record->took_us / 1000);
    pack_put_key_int(out, "attempts", record->attempts);
    pack_put_key_int(out, "uid", record->uid);
    pack_put_key_int(out, "pid", record->pid);
    if (record->fallback_from.len) {
        pack_put_key_str(out, "fallback_from", record->fallback_from);
    }
}
