/* SPDX-License-Identifier: MIT */
/* schema_check.c - runs a compiled schema over a value: the path that every call takes. */
#include "value/schema.h"

#include "value/json_number.h"
#include "value/schema_pattern.h"

#include <math.h>

void schema_run_start(struct schema_run *run, struct slice value)
{
    *run = (struct schema_run){.work = SCHEMA_WORK_LEAST +
                                       SCHEMA_WORK_PER_BYTE * (uint64_t)value.len};
}

void schema_run_end(struct schema_run *run)
{
    schema_matcher_free(run->matcher);
    run->matcher = NULL;
}

/* ---- scalars ---------------------------------------------------------------------------- */

/* Whether the last digit that is not zero stands before the point, exponent included. */
static bool is_whole_text(struct slice text)
{
    int64_t place = 0;  /* of the digit at hand: 0 is the ones, counted from the point */
    int64_t lowest = 0; /* of the last digit that is not zero */
    bool is_behind_point = false;
    size_t i = 0;
    for (; i < text.len && (text.ptr[i] | 0x20) != 'e'; i++) {
        if (text.ptr[i] == '.') {
            is_behind_point = true;
        } else if (is_behind_point) {
            place--;
            lowest = text.ptr[i] != '0' ? place : lowest;
        } else if (text.ptr[i] != '-') {
            lowest = text.ptr[i] != '0' ? 0 : lowest + 1;
        }
    }
    int64_t exponent = 0;
    bool is_small = i + 1 < text.len && text.ptr[i + 1] == '-';
    for (i++; i < text.len; i++) {
        if (text.ptr[i] >= '0' && text.ptr[i] <= '9' && exponent < 1000000000000) {
            exponent = exponent * 10 + (text.ptr[i] - '0');
        }
    }
    return lowest + (is_small ? -exponent : exponent) >= 0;
}

static uint8_t type_of_number(const struct pack_item *item)
{
    bool is_number = item->type == PACK_FLOAT ||
                     (item->ext == PACK_EXT_NUMBER && json_number_is(item->text));
    if (!is_number) {
        return 0;
    }
    bool is_whole =
        item->type == PACK_FLOAT ? item->f == floor(item->f) : is_whole_text(item->text);
    return is_whole ? SCHEMA_INTEGER | SCHEMA_NUMBER : SCHEMA_NUMBER;
}

static inline uint8_t type_of(const struct pack_item *item)
{
    static const uint8_t types[] = {[PACK_NIL] = SCHEMA_NULL,
                                    [PACK_BOOL] = SCHEMA_BOOLEAN,
                                    [PACK_INT] = SCHEMA_INTEGER | SCHEMA_NUMBER,
                                    [PACK_UINT] = SCHEMA_INTEGER | SCHEMA_NUMBER,
                                    [PACK_STR] = SCHEMA_STRING,
                                    [PACK_BIN] = SCHEMA_STRING, /* as base64 */
                                    [PACK_ARRAY] = SCHEMA_ARRAY,
                                    [PACK_MAP] = SCHEMA_OBJECT};
    return item->type == PACK_FLOAT || item->type == PACK_EXT ? type_of_number(item)
                                                              : types[item->type];
}

uint8_t schema_type(const struct pack_item *item)
{
    return type_of(item);
}

static bool check_number(struct schema_run *run, const struct schema_numbers *numbers,
                         const struct pack_item *item)
{
    struct schema_number value;
    if (item->type == PACK_INT || (item->type == PACK_UINT && item->u <= INT64_MAX)) {
        bool is_between = item->i >= numbers->low && item->i <= numbers->high;
        if (is_between || !numbers->multiple) {
            return is_between;
        }
    }
    if (numbers->multiple && !schema_is_multiple(run, item, numbers->multiple)) {
        return false;
    }
    if (!schema_number_of(item, &value)) {
        return true; /* another extension type: no number, so no rule for it */
    }
    return (!numbers->has_least || schema_number_compare(&value, &numbers->least) >= 0) &&
           (!numbers->has_most || schema_number_compare(&value, &numbers->most) <= 0) &&
           (!numbers->has_above || schema_number_compare(&value, &numbers->above) > 0) &&
           (!numbers->has_below || schema_number_compare(&value, &numbers->below) < 0);
}

uint64_t schema_text_length(const struct pack_item *item)
{
    if (item->type == PACK_BIN) {
        return ((uint64_t)item->text.len + 2) / 3 * 4;
    }
    uint64_t count = 0;
    for (size_t i = 0; i < item->text.len; i++) {
        count += ((unsigned char)item->text.ptr[i] & 0xc0) != 0x80;
    }
    return count;
}

static bool has_length(const struct schema_strings *strings, const struct pack_item *item)
{
    uint64_t length = schema_text_length(item);
    return length >= strings->least && length <= strings->most;
}

static inline bool check_string(struct schema_run *run, const struct schema_strings *strings,
                                const struct pack_item *item)
{
    /* A character has one to four bytes: mostly there is nothing to count. */
    bool is_fit = (item->type == PACK_STR && item->text.len <= strings->most &&
                   item->text.len / 4 >= strings->least) ||
                  has_length(strings, item);
    return is_fit && (!strings->pattern || schema_text_matches(run, strings->pattern, item));
}

static inline bool check_scalar(struct schema_run *run, const struct schema_node *node,
                                const struct pack_item *item)
{
    if (item->type == PACK_STR || item->type == PACK_BIN) {
        return !node->strings || check_string(run, node->strings, item);
    }
    return item->type <= PACK_BOOL || !node->numbers || check_number(run, node->numbers, item);
}

bool schema_has_value(struct schema_run *run, const struct schema_values *values,
                      const struct pack_item *item, struct pack start)
{
    if (!schema_spend(run, values->count / 8 + 1)) {
        return false;
    }
    for (uint32_t i = 0; i < values->count; i++) {
        const struct pack_item *wanted = &values->items[i];
        if (item->type == PACK_STR || wanted->type == PACK_STR) {
            if (item->type == wanted->type && slice_equal(item->text, wanted->text)) {
                return true;
            }
        } else if (schema_equal(run, start, pack_over(values->bytes[i]))) {
            return true;
        }
    }
    return false;
}

/* ---- arrays ----------------------------------------------------------------------------- */

#define UNIQUE_FEW 8

static bool is_unique_among_few(struct schema_run *run, uint32_t count, struct pack cursor)
{
    struct pack earlier[UNIQUE_FEW];
    for (uint32_t i = 0; i < count; i++) {
        earlier[i] = cursor;
        for (uint32_t k = 0; k < i; k++) {
            if (schema_equal(run, earlier[k], cursor)) {
                return false;
            }
        }
        if (!pack_skip(&cursor)) {
            return false;
        }
    }
    return true;
}

struct unique_entry {
    uint64_t hash;
    struct pack at;
};

/* By a table of hashes; equal hashes are compared in full. */
static bool is_unique_among_many(struct schema_run *run, uint32_t count, struct pack cursor)
{
    size_t cap = 16;
    while (cap < 2 * (size_t)count) {
        cap *= 2;
    }
    struct unique_entry *table = mem_try(cap * sizeof *table);
    if (!table || !schema_spend(run, (uint64_t)(cursor.end - cursor.at))) {
        mem_free(table);
        return schema_exhaust(run);
    }
    memset(table, 0, cap * sizeof *table);
    bool is_unique = true;
    for (uint32_t i = 0; i < count && is_unique; i++) {
        struct pack at = cursor;
        uint64_t hash = schema_hash(&cursor);
        size_t slot = hash & (cap - 1);
        for (; table[slot].at.at && is_unique; slot = (slot + 1) & (cap - 1)) {
            is_unique = table[slot].hash != hash || !schema_equal(run, table[slot].at, at);
        }
        table[slot] = (struct unique_entry){hash, at};
    }
    mem_free(table);
    return is_unique;
}

bool schema_is_unique(struct schema_run *run, uint32_t count, struct pack cursor)
{
    /* A scanned value has a byte for each item; an unscanned one may claim what it likes. */
    if ((size_t)(cursor.end - cursor.at) < count) {
        return false;
    }
    return count <= UNIQUE_FEW ? is_unique_among_few(run, count, cursor)
                               : is_unique_among_many(run, count, cursor);
}

bool schema_skip(struct schema_run *run, struct pack *cursor)
{
    const unsigned char *from = cursor->at;
    return pack_skip(cursor) && schema_spend(run, (uint64_t)(cursor->at - from) / 16);
}

static SCHEMA_RARE bool check_array_rare(struct schema_run *run,
                                         const struct schema_arrays *arrays, uint32_t count,
                                         struct pack cursor)
{
    if (arrays->is_unique && !schema_is_unique(run, count, cursor)) {
        return false;
    }
    if (!arrays->contains) {
        return true;
    }
    uint64_t found = schema_count_contained(run, arrays->contains, count, cursor);
    return found >= arrays->contains->least && found <= arrays->contains->most;
}

static bool check_array(struct schema_run *run, const struct schema_arrays *arrays,
                        uint32_t count, struct pack *cursor)
{
    if (count < arrays->least || count > arrays->most || !schema_spend(run, count) ||
        (arrays->is_rare && !check_array_rare(run, arrays, count, *cursor))) {
        return false;
    }
    for (uint32_t i = 0; i < count; i++) {
        const struct schema_node *node =
            i < arrays->prefix.count ? arrays->prefix.at[i] : arrays->items;
        if (!(node ? schema_check(run, node, cursor) : schema_skip(run, cursor))) {
            return false;
        }
    }
    return true;
}

/* ---- objects ---------------------------------------------------------------------------- */

#define FIELDS_FEW 8

/* The first eight bytes of a name, with zeros behind a shorter one: up to there it is compared as
 * a number. */
static inline uint64_t head_of(struct slice name, const unsigned char *end)
{
    uint64_t head = 0;
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    if (end - (const unsigned char *)name.ptr >= 8) {
        memcpy(&head, name.ptr, 8);
        unsigned unused = name.len < 8 ? 8 - (unsigned)name.len : 0;
        return unused == 8 ? 0 : head << (8 * unused) >> (8 * unused);
    }
#else
    (void)end;
#endif
    memcpy(&head, name.ptr, name.len < 8 ? name.len : 8);
    return head;
}

/* Of names longer than eight bytes, that their heads are equal is known. */
static inline bool has_same_rest(const char *a, const char *b, size_t len)
{
    if (len > 16) {
        return memcmp(a + 8, b + 8, len - 8) == 0;
    }
    uint64_t x;
    uint64_t y;
    memcpy(&x, a + len - 8, 8);
    memcpy(&y, b + len - 8, 8);
    return x == y;
}

static inline bool is_name(const struct schema_field *field, struct slice name, uint64_t head)
{
    return field->head == head && field->name.len == name.len &&
           (name.len <= 8 || has_same_rest(field->name.ptr, name.ptr, name.len));
}

static const struct schema_field *find_among_many(const struct schema_objects *objects,
                                                  struct slice name)
{
    uint32_t low = 0;
    uint32_t high = objects->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        const struct schema_field *field = &objects->fields[middle];
        int order = name.len != field->name.len ? (name.len < field->name.len ? -1 : 1)
                                                : memcmp(name.ptr, field->name.ptr, name.len);
        if (order == 0) {
            return field;
        }
        if (order < 0) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return NULL;
}

static inline const struct schema_field *find_field(const struct schema_objects *objects,
                                                    struct slice name, uint64_t head)
{
    if (objects->count > FIELDS_FEW || !objects->count) {
        return find_among_many(objects, name);
    }
    const struct schema_field *field = objects->fields;
    for (const struct schema_field *last = field + objects->count; field < last; field++) {
        if (is_name(field, name, head)) {
            return field;
        }
    }
    return NULL;
}

const struct schema_field *schema_find_field(const struct schema_objects *objects,
                                             struct slice name)
{
    const unsigned char *end = (const unsigned char *)name.ptr + name.len;
    return find_field(objects, name, head_of(name, end));
}

/* Short texts are most of what objects hold, and the names of their properties: they are read
 * without a struct pack_item. */
static inline bool take_short(struct pack *cursor, struct slice *ret)
{
    if (cursor->at == cursor->end) {
        return false;
    }
    size_t len = *cursor->at ^ 0xa0u;
    if (len > SCHEMA_SHORT || (size_t)(cursor->end - cursor->at) <= len) {
        return false;
    }
    *ret = (struct slice){(const char *)cursor->at + 1, len};
    cursor->at += 1 + len;
    return true;
}

static inline bool check_member(struct schema_run *run, const struct schema_node *node,
                                struct pack *cursor)
{
    struct pack ahead = *cursor;
    struct slice text;
    if (!node) {
        return schema_skip(run, cursor);
    }
    if (node->text_span && take_short(&ahead, &text) &&
        (uint32_t)text.len - node->text_from < node->text_span) {
        *cursor = ahead;
        return schema_spend(run, 1);
    }
    return schema_check(run, node, cursor);
}

static bool check_object(struct schema_run *run, const struct schema_objects *objects,
                         uint32_t count, struct pack *cursor)
{
    uint64_t seen = 0;
    if (count < objects->least || count > objects->most || !schema_spend(run, count)) {
        return false;
    }
    if (objects->is_rare) {
        return schema_check_object_rare(run, objects, count, cursor);
    }
    const struct schema_field *expected = objects->first;
    for (; count; count--) {
        struct slice name;
        if (!take_short(cursor, &name) && !pack_next_text(cursor, &name)) {
            return false;
        }
        const struct schema_node *node = objects->additional;
        uint64_t head = head_of(name, cursor->end);
        const struct schema_field *field = expected;
        if (!field || !is_name(field, name, head)) {
            field = find_field(objects, name, head);
        }
        if (field) {
            expected = field->next;
            node = field->is_property ? field->node : node;
            seen |= field->bit;
        }
        if (!check_member(run, node, cursor)) {
            return false;
        }
    }
    return seen == objects->required_bits;
}

/* ---- schemas applied to the same value -------------------------------------------------- */

static bool fits(struct schema_run *run, const struct schema_node *node, struct pack start)
{
    return schema_check(run, node, &start);
}

static bool check_logic(struct schema_run *run, const struct schema_logic *logic,
                        struct pack start)
{
    for (uint32_t i = 0; i < logic->all_of.count; i++) {
        if (!fits(run, logic->all_of.at[i], start)) {
            return false;
        }
    }
    uint32_t any = 0;
    while (any < logic->any_of.count && !fits(run, logic->any_of.at[any], start)) {
        any++;
    }
    if (logic->any_of.count && any == logic->any_of.count) {
        return false;
    }
    uint32_t found = 0;
    for (uint32_t i = 0; i < logic->one_of.count && found < 2; i++) {
        found += fits(run, logic->one_of.at[i], start);
    }
    if (logic->one_of.count && found != 1) {
        return false;
    }
    if (logic->not_ && fits(run, logic->not_, start)) {
        return false;
    }
    for (uint32_t i = 0; i < logic->dependent_count; i++) {
        if (!schema_check_dependent(run, &logic->dependents[i], start)) {
            return false;
        }
    }
    if (!logic->if_) {
        return true;
    }
    const struct schema_node *next = fits(run, logic->if_, start) ? logic->then_ : logic->else_;
    return !next || fits(run, next, start);
}

static bool check_members(struct schema_run *run, const struct schema_node *node,
                          const struct pack_item *item, struct pack start, struct pack *cursor)
{
    if (item->type == PACK_MAP && node->objects) {
        return check_object(run, node->objects, item->count, cursor);
    }
    if (item->type == PACK_ARRAY && node->arrays) {
        return check_array(run, node->arrays, item->count, cursor);
    }
    *cursor = start;
    return schema_skip(run, cursor);
}

/* All that may check other nodes. */
static __attribute__((noinline)) bool check_deeper(struct schema_run *run,
                                                   const struct schema_node *node,
                                                   const struct pack_item *item,
                                                   struct pack start, struct pack *cursor)
{
    if (run->depth == SCHEMA_DEPTH_MAX) {
        return schema_exhaust(run);
    }
    run->depth++;
    bool is_fit;
    if (node->has_rest && item->type >= PACK_ARRAY) {
        is_fit = schema_check_evaluating(run, node, start, cursor);
    } else {
        is_fit = !node->logic || check_logic(run, node->logic, start);
        if (is_fit) {
            is_fit = item->type >= PACK_ARRAY ? check_members(run, node, item, start, cursor)
                                              : check_scalar(run, node, item);
        }
    }
    run->depth--;
    return is_fit;
}

/* An object of few properties, as arguments are, has a header of one byte. */
static inline bool next_item(struct pack *cursor, struct pack_item *ret)
{
    if (cursor->at < cursor->end && (*cursor->at & 0xf0) == 0x80) {
        ret->type = PACK_MAP;
        ret->count = *cursor->at++ & 15;
        return true;
    }
    return pack_next(cursor, ret);
}

bool schema_check(struct schema_run *run, const struct schema_node *node, struct pack *cursor)
{
    struct pack start = *cursor;
    struct pack_item item;
    if (!schema_spend(run, 1) || !next_item(cursor, &item) ||
        (node->types && !(node->types & type_of(&item))) ||
        (node->values && !schema_has_value(run, node->values, &item, start))) {
        return false;
    }
    if (item.type >= PACK_ARRAY || node->logic) {
        return check_deeper(run, node, &item, start, cursor);
    }
    return check_scalar(run, node, &item);
}

bool schema_accepts(const struct schema *schema, struct slice value)
{
    struct schema_run run;
    struct pack cursor = pack_over(value);
    schema_run_start(&run, value);
    bool is_fit = schema_check(&run, schema->root, &cursor);
    if (run.is_special) {
        schema_run_end(&run);
        return is_fit && !run.is_exhausted;
    }
    return is_fit;
}
