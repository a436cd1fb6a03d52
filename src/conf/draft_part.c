/* SPDX-License-Identifier: MIT */
/* draft_part.c - the tables inside a service: their numbers, and limits, breaker, quarantine, health. */
#include "conf/draft.h"

#include "base/buf.h"
#include "value/pack.h"

#define MEMORY_BYTES_MIN (16 << 20)
#define MEMORY_BYTES_MAX ((int64_t)1 << 46)
#define OPEN_FILES_MIN   16
#define OPEN_FILES_MAX   (1 << 20)

/* ---- numbers ----------------------------------------------------------------------------- */

static const struct number {
    const char *name;
    size_t offset; /* of its field in struct service_conf */
    enum draft_group group;
    uint32_t min, max;
} numbers[] = {
#define GROUP(name)
#define NUMBER(group, name, field, value, min, max, text) \
    {#name, offsetof(struct service_conf, field), GROUP_##group, min, max},
#define OTHER(group, name, form, value, text)
#include "conf/service_part.def"
#undef GROUP
#undef NUMBER
#undef OTHER
};

#define NUMBERS (sizeof numbers / sizeof numbers[0])

/* Of all keys, for "did you mean". */
static const struct part {
    const char *name;
    enum draft_group group;
} parts[] = {
#define GROUP(name)
#define NUMBER(group, name, field, value, min, max, text) {#name, GROUP_##group},
#define OTHER(group, name, form, value, text)             {#name, GROUP_##group},
#include "conf/service_part.def"
#undef GROUP
#undef NUMBER
#undef OTHER
};

static uint32_t *field_of(void *owner, size_t offset)
{
    return (uint32_t *)(void *)((char *)owner + offset);
}

static const struct number *find_number(enum draft_group group, struct slice key)
{
    for (size_t i = 0; i < NUMBERS; i++) {
        if (numbers[i].group == group && slice_is(key, numbers[i].name)) {
            return &numbers[i];
        }
    }
    return NULL;
}

bool draft_read_number(struct draft *draft, enum draft_group group, struct retry_conf *retry,
                       struct slice key, struct slice value)
{
    const struct number *number = find_number(group, key);
    int64_t given = 0;
    if (number && check_int(draft->check, value, number->min, number->max, &given)) {
        *(retry ? field_of(retry, number->offset - offsetof(struct service_conf, retry))
                : field_of(draft->conf, number->offset)) = (uint32_t)given;
    }
    return number != NULL;
}

void draft_refuse_part(const struct draft *draft, enum draft_group group, struct slice key)
{
    struct buf names;
    buf_init(&names, 1024);
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        if (parts[i].group == group || (group == GROUP_tool && parts[i].group == GROUP_retry)) {
            buf_printf(&names, "%s|", parts[i].name);
        }
    }
    check_unknown(draft->check, key, buf_text(&names));
    buf_done(&names);
}

/* ---- tables ------------------------------------------------------------------------------ */

bool draft_is_off(struct slice value)
{
    struct pack cursor = pack_over(value);
    struct pack_item item;
    return pack_next(&cursor, &item) && item.type == PACK_BOOL && !item.b;
}

void draft_order(struct draft *draft, const char *name, bool is_written, uint32_t *first,
                 uint32_t most)
{
    if (*first > most && is_written) {
        size_t entered = check_enter(draft->check, slice_of(name));
        check_fault(draft->check, "%s is %u, which is more than the max_ms of %u beside it",
                    draft->check->path, *first, most);
        check_leave(draft->check, entered);
    } else if (*first > most) {
        *first = most;
    }
}

struct group_reading {
    struct draft *draft;
    enum draft_group group;
    bool has_first; /* quarantine.first_ms is written */
};

static void read_part(void *arg, struct check *check, struct slice key, struct slice value)
{
    struct group_reading *reading = arg;
    (void)check;
    reading->has_first |= slice_is(key, "first_ms");
    if (!draft_read_number(reading->draft, reading->group, NULL, key, value)) {
        draft_refuse_part(reading->draft, reading->group, key);
    }
}

/* False: it is off. */
static bool read_group(struct draft *draft, struct slice value, struct group_reading *reading)
{
    if (draft_is_off(value)) {
        return false;
    }
    if (check_map(draft->check, value, "a table or false")) {
        (void)check_each_key(draft->check, value, read_part, reading);
    }
    return true;
}

void draft_read_breaker(struct draft *draft, struct slice value)
{
    struct group_reading reading = {.draft = draft, .group = GROUP_breaker};
    draft->conf->breaker.is_off = !read_group(draft, value, &reading);
}

void draft_read_quarantine(struct draft *draft, struct slice value)
{
    struct group_reading reading = {.draft = draft, .group = GROUP_quarantine};
    struct quarantine_conf *quarantine = &draft->conf->quarantine;
    quarantine->is_off = !read_group(draft, value, &reading);
    draft_order(draft, "first_ms", reading.has_first, &quarantine->first_ms,
                quarantine->max_ms);
}

void draft_read_health(struct draft *draft, struct slice value)
{
    struct group_reading reading = {.draft = draft, .group = GROUP_health};
    if (!read_group(draft, value, &reading)) {
        draft->conf->health_interval_s = 0;
    }
}

/* ---- limits ------------------------------------------------------------------------------ */

/* The limits of a process: none of ours where there is no child. */
static bool has_child(const struct draft *draft)
{
    bool has = draft->conf->transport == SERVICE_STDIO;
    if (!has) {
        check_fault(draft->check, "%s does not go with transport %s", draft->check->path,
                    service_transport_name(draft->conf->transport));
    }
    return has;
}

static void read_memory_bytes(struct draft *draft, struct slice value)
{
    int64_t number = 0;
    if (has_child(draft) &&
        check_int(draft->check, value, MEMORY_BYTES_MIN, MEMORY_BYTES_MAX, &number)) {
        draft->conf->memory_bytes = (uint64_t)number;
    }
}

static void read_open_files(struct draft *draft, struct slice value)
{
    int64_t number = 0;
    if (has_child(draft) &&
        check_int(draft->check, value, OPEN_FILES_MIN, OPEN_FILES_MAX, &number)) {
        draft->conf->open_files = (uint32_t)number;
    }
}

static void read_limit(void *arg, struct check *check, struct slice key, struct slice value)
{
    struct draft *draft = arg;
    if (slice_is(key, "memory_bytes")) {
        read_memory_bytes(draft, value);
    } else if (slice_is(key, "open_files")) {
        read_open_files(draft, value);
    } else if (slice_is(key, "rate")) {
        (void)check_rate(check, value, &draft->conf->rate);
    } else if (!draft_read_number(draft, GROUP_limits, NULL, key, value)) {
        draft_refuse_part(draft, GROUP_limits, key);
    }
}

void draft_read_limits(struct draft *draft, struct slice value)
{
    (void)check_each_key(draft->check, value, read_limit, draft);
}
