/* SPDX-License-Identifier: MIT */
/* tasks.c - handles of tasks: made, found by their owner, forgotten. */
#include "call/tasks.h"

#include "base/mem.h"
#include "base/must.h"
#include "value/pack.h"

#include <stdio.h>
#include <sys/random.h>

#define KEPT_US INT64_C(86400000000)

void tasks_init(struct tasks *tasks, struct loop *loop)
{
    *tasks = (struct tasks){.loop = loop};
    map_init(&tasks->by_handle);
    list_init(&tasks->all);
}

static void forget(struct tasks *tasks, struct task *task)
{
    (void)map_remove(&tasks->by_handle, (struct slice){task->handle, TASK_HANDLE - 1});
    list_remove(&task->link);
    tasks->count--;
    mem_free(task->agent);
    mem_free(task->user);
    mem_free(task->service);
    mem_free(task->tool);
    mem_free(task->id);
    mem_free(task);
}

void tasks_done(struct tasks *tasks)
{
    list_each (link, &tasks->all) {
        forget(tasks, LIST_ITEM(link, struct task, link));
    }
    map_done(&tasks->by_handle);
}

/* Times of expiry rise along the list. */
static void forget_old(struct tasks *tasks)
{
    struct list_link *link;
    while ((link = list_first(&tasks->all))) {
        struct task *task = LIST_ITEM(link, struct task, link);
        if (tasks->count < TASKS_MAX && task->expires > loop_now(tasks->loop)) {
            return;
        }
        forget(tasks, task);
    }
}

const struct task *tasks_add(struct tasks *tasks, const struct task_key *key,
                             struct slice service, struct slice tool, struct slice id,
                             uint64_t place)
{
    uint64_t random[2];
    forget_old(tasks);
    struct task *task = mem_new(sizeof *task);
    must(getrandom(random, sizeof random, 0) == sizeof random);
    (void)snprintf(task->handle, sizeof task->handle, "%016llx%016llx",
                   (unsigned long long)random[0], (unsigned long long)random[1]);
    task->uid = key->uid;
    task->agent = mem_dup(key->agent);
    task->user = mem_dup(key->user);
    task->service = mem_dup(service);
    task->tool = mem_dup(tool);
    task->id = mem_dup(id);
    task->place = place;
    task->expires = loop_now(tasks->loop) + KEPT_US;
    map_set(&tasks->by_handle, (struct slice){task->handle, TASK_HANDLE - 1}, task);
    list_append(&tasks->all, &task->link);
    tasks->count++;
    return task;
}

const struct task *tasks_find(struct tasks *tasks, const struct task_key *key,
                              struct slice handle)
{
    forget_old(tasks);
    const struct task *task = map_get(&tasks->by_handle, handle);
    bool is_theirs = task && task->uid == key->uid && slice_is(key->agent, task->agent) &&
                     slice_is(key->user, task->user);
    return is_theirs ? task : NULL;
}

/* A server's member under the name that it has here, the same for both wire forms; NULL: it is not
 * the task's own, or known already. */
static const char *name_of(struct slice key)
{
    static const struct {
        const char *theirs, *ours;
    } names[] = {
        {"statusMessage", "status_message"},
        {"createdAt", "created_at"},
        {"lastUpdatedAt", "last_updated_at"},
        {"ttl", "ttl_ms"},
        {"ttlMs", "ttl_ms"},
        {"pollInterval", "poll_interval_ms"},
        {"pollIntervalMs", "poll_interval_ms"},
        {"inputRequests", "input_requests"},
        {"id", NULL},
        {"taskId", NULL},
        {"service", NULL},
        {"tool", NULL},
        {"resultType", NULL},
        {"_meta", NULL},
        {"result", NULL},
    };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (slice_is(key, names[i].theirs)) {
            return names[i].ours;
        }
    }
    return "";
}

void task_put(struct slice handle, struct slice service, struct slice tool, struct slice state,
              struct buf *out)
{
    struct pack cursor = pack_over(state);
    struct pack_item map;
    size_t opened = pack_open(out);
    uint32_t count = 3;
    pack_put_key_str(out, "id", handle);
    pack_put_key_str(out, "service", service);
    pack_put_key_str(out, "tool", tool);
    if (!pack_next(&cursor, &map) || map.type != PACK_MAP) {
        map.count = 0;
    }
    for (uint32_t i = 0; i < map.count; i++) {
        struct slice key;
        struct slice value;
        if (!pack_next_text(&cursor, &key) || !pack_take(&cursor, &value)) {
            break;
        }
        const char *name = name_of(key);
        if (name) {
            pack_put_str(out, *name ? slice_of(name) : key);
            buf_put_slice(out, value);
            count++;
        }
    }
    pack_close_map(out, opened, count);
}
