/* SPDX-License-Identifier: MIT */
/* query.c - questions about the past: asked on the loop, answered on the thread a slice at a time. */
#include "store/room.h"

#include "base/mem.h"

#include <string.h>

#define QUERIES_MAX 16u
#define BYTES_MAX   ((size_t)4 * 1024 * 1024)
#define ROW_MAX     ((size_t)4096)
/* What is looked at before other work has its turn. */
#define SLICE_ROWS 10000u
/* A longer text is in no record: so much of it is enough not to be found. */
#define TEXT_BYTES 256u

struct asked_query {
    struct asked_query *next; /* under the lock: of those that wait, or are answered */
    bool is_forgotten;
    uint64_t after;            /* what was put before it was asked */
    struct list_link link;     /* the loop's */
    struct store_query *asker; /* NULL: forgotten */
    struct store_query query;  /* a copy, with its texts */
    char texts[5][TEXT_BYTES];
    bool is_of_happenings;
    /* the thread's, until it is answered */
    struct buf rows;
    size_t opened;
    uint32_t count, looked, looked_in_slice;
    int64_t before;              /* where to go on; 0: that was all */
    struct record_reader reader; /* in a slice */
    bool has_stopped;            /* the slice, before it came to the end of what it was given */
    struct err error;
};

/* ---- asking ------------------------------------------------------------------------------ */

static struct slice take_text(char to[TEXT_BYTES], struct slice text)
{
    size_t len = text.len < TEXT_BYTES ? text.len : TEXT_BYTES;
    if (len) {
        memcpy(to, text.ptr, len);
    }
    return (struct slice){to, len};
}

static struct asked_query *asked_new(struct store_query *query, bool is_of_happenings)
{
    struct asked_query *asked = mem_new(sizeof *asked);
    struct store_query *copy = &asked->query;
    *copy = *query;
    copy->agent = take_text(asked->texts[0], query->agent);
    copy->user = take_text(asked->texts[1], query->user);
    copy->service = take_text(asked->texts[2], query->service);
    copy->tool = take_text(asked->texts[3], query->tool);
    copy->outcome = take_text(asked->texts[4], query->outcome);
    if (!query->limit || query->limit > STORE_QUERY_LIMIT) {
        copy->limit = STORE_QUERY_LIMIT;
    }
    asked->asker = query;
    asked->is_of_happenings = is_of_happenings;
    asked->before = query->before;
    buf_init(&asked->rows, BYTES_MAX + ROW_MAX);
    return asked;
}

static void asked_free(struct asked_query *asked)
{
    buf_done(&asked->rows);
    mem_free(asked);
}

void queries_free(struct store *store)
{
    while (store->queries || store->told_queries) {
        struct asked_query **list = store->queries ? &store->queries : &store->told_queries;
        struct asked_query *asked = *list;
        *list = asked->next;
        asked_free(asked);
    }
}

static void append(struct asked_query **list, struct asked_query *asked)
{
    while (*list) {
        list = &(*list)->next;
    }
    asked->next = NULL;
    *list = asked;
}

static void answer(struct store *store, struct asked_query *asked)
{
    append(&store->told_queries, asked);
    store->query_count--;
    store_wake_loop(store);
}

static void ask(struct store *store, struct store_query *query, bool is_of_happenings)
{
    struct asked_query *asked = asked_new(query, is_of_happenings);
    list_append(&store->asked_queries, &asked->link);
    (void)pthread_mutex_lock(&store->lock);
    store_rouse(store);
    store->query_count++;
    if (store->has_thread && store->query_count <= QUERIES_MAX) {
        asked->after = store->put;
        append(&store->queries, asked);
    } else {
        asked->error = store->failure;
        if (store->has_thread) {
            (void)err_set(&asked->error, ERR_OVERLOADED,
                          "%u questions to the database wait already", QUERIES_MAX);
        }
        answer(store, asked);
    }
    (void)pthread_mutex_unlock(&store->lock);
}

void store_query_activity(struct store *store, struct store_query *query)
{
    activity_hand_over(store); /* it is written before the question is looked at */
    ask(store, query, false);
}

void store_query_happenings(struct store *store, struct store_query *query)
{
    ask(store, query, true);
}

/* Under the lock. False: the thread has it just now, or it is answered. */
static bool take_out(struct store *store, const struct asked_query *asked)
{
    struct asked_query **place = &store->queries;
    while (*place && *place != asked) {
        place = &(*place)->next;
    }
    if (!*place) {
        return false;
    }
    *place = asked->next;
    store->query_count--;
    return true;
}

void store_forget_query(struct store *store, struct store_query *query)
{
    list_each (link, &store->asked_queries) {
        struct asked_query *asked = LIST_ITEM(link, struct asked_query, link);
        if (asked->asker != query) {
            continue;
        }
        asked->asker = NULL;
        (void)pthread_mutex_lock(&store->lock);
        bool is_out = take_out(store, asked);
        asked->is_forgotten = true;
        (void)pthread_mutex_unlock(&store->lock);
        if (is_out) {
            list_remove(&asked->link);
            asked_free(asked);
        }
    }
}

/* ---- looking: on the thread -------------------------------------------------------------- */

static bool is_enough(const struct asked_query *asked)
{
    return asked->count >= asked->query.limit || asked->looked >= STORE_QUERY_MAX ||
           asked->rows.len >= BYTES_MAX;
}

/* One more was looked at. Whether there is to be another one in this slice. */
static bool go_on(struct asked_query *asked, int64_t id)
{
    asked->before = id;
    asked->looked++;
    asked->looked_in_slice++;
    asked->has_stopped = is_enough(asked) || asked->looked_in_slice >= SLICE_ROWS;
    return !asked->has_stopped;
}

/* They are read from the first to the last, and wanted from the last to the first. */
static bool visit_piece(void *arg, const struct db_piece *piece)
{
    struct asked_query *asked = arg;
    if (!record_read(&asked->reader, piece->bytes, piece->count)) {
        (void)err_set(&asked->error, ERR_OVERLOADED, "there is no memory for the answer");
        asked->has_stopped = true;
        return false;
    }
    for (uint32_t i = asked->reader.count; i-- > 0;) {
        const struct record *record = &asked->reader.records[i];
        int64_t id = piece->id + i;
        if (asked->before && id >= asked->before) {
            continue;
        }
        if (record_fits(record, &asked->query)) {
            record_put_row(record, id, &asked->rows);
            asked->count++;
        }
        if (!go_on(asked, id)) {
            return false;
        }
    }
    return true;
}

static bool visit_happening(void *arg, const struct db_happening *found)
{
    struct asked_query *asked = arg;
    const struct store_happening *happening = &found->happening;
    struct buf *out = &asked->rows;
    char time[CLOCK_TEXT];
    if (!asked->query.service.len || slice_equal(happening->service, asked->query.service)) {
        bool has_reason = happening->reason.len > 0;
        bool has_time = happening->took_us >= 0;
        clock_format(happening->at, time);
        pack_put_map(out, 5u + has_reason + has_time);
        pack_put_key_int(out, "id", found->id);
        pack_put_key_text(out, "time", time);
        pack_put_key_str(out, "service", happening->service);
        pack_put_key_text(out, "kind", happening->kind);
        pack_put_key_str(out, "state", happening->state);
        if (has_reason) {
            pack_put_key_str(out, "reason", happening->reason);
        }
        if (has_time) {
            pack_put_key_int(out, "ms", happening->took_us / 1000);
        }
        asked->count++;
    }
    return go_on(asked, found->id);
}

/* One slice. Whether more is to be looked at. */
static bool look(struct db *db, struct asked_query *asked)
{
    struct db_look look = {.since = asked->query.since,
                           .until = asked->query.until,
                           .most = SLICE_ROWS,
                           .visit_piece = visit_piece,
                           .visit_happening = visit_happening,
                           .arg = asked,
                           .before = asked->before};
    if (!asked->rows.len) {
        asked->opened = pack_open(&asked->rows);
    }
    asked->looked_in_slice = 0;
    asked->has_stopped = false;
    int r = asked->is_of_happenings ? db_look_at_happenings(db, &look, &asked->error)
                                    : db_look_at_activity(db, &look, &asked->error);
    record_reader_done(&asked->reader);
    if (!asked->has_stopped) {
        asked->before = look.before;
    }
    asked->looked += look.passed;
    return r == 0 && !asked->error.code && asked->before && !is_enough(asked);
}

static void finish(struct asked_query *asked)
{
    if (!asked->error.code && asked->rows.len) { /* else it was forgotten */
        pack_close_array(&asked->rows, asked->opened, asked->count);
        if (asked->rows.overflow) {
            (void)err_set(&asked->error, ERR_OVERLOADED, "there is no memory for the answer");
        }
    }
}

bool queries_wait(const struct store *store)
{
    return store->queries && !store->is_closing &&
           (store->written >= store->queries->after || store->failure.code);
}

void queries_work(struct store *store)
{
    struct asked_query *asked = store->queries;
    bool is_forgotten = asked->is_forgotten;
    store->queries = asked->next;
    store_let_go(store);
    bool is_open = store->db || db_open(store->folder, &store->db, &asked->error) == 0;
    bool has_more = !is_forgotten && is_open && look(store->db, asked);
    if (!has_more) {
        finish(asked);
    }
    store_take_back(store);
    store->is_open = is_open;
    if (has_more) {
        append(&store->queries, asked); /* the others have their turn */
    } else {
        answer(store, asked);
    }
}

/* ---- telling: on the loop ---------------------------------------------------------------- */

static void tell(struct asked_query *asked)
{
    struct store_query *query = asked->asker;
    asked->asker = NULL;
    if (query && asked->error.code) {
        query->done(query->arg, (struct slice){NULL, 0}, 0, &asked->error);
    } else if (query) {
        query->done(query->arg, buf_slice(&asked->rows), asked->before, NULL);
    }
}

void queries_tell(struct store *store)
{
    for (;;) {
        (void)pthread_mutex_lock(&store->lock);
        struct asked_query *asked = store->told_queries;
        store->told_queries = asked ? asked->next : NULL;
        (void)pthread_mutex_unlock(&store->lock);
        if (!asked) {
            return;
        }
        list_remove(&asked->link);
        tell(asked);
        asked_free(asked);
    }
}
