/* SPDX-License-Identifier: MIT */
/* service_set.c - all services of a configuration folder: which files, which names, in order. */
#include "base/map.h"
#include "conf/draft.h"
#include "conf/mcp_json.h"
#include "conf/service_conf.h"
#include "value/pack.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SERVICES_MAX 10000u
#define FILES_MAX    1000u
#define GUESSES_MAX  100u
#define PATH_BYTES   8192u
#define VALUE_BYTES  ((size_t)4 * SOURCE_BYTES)

extern const char conf_services_lua[];
extern const size_t conf_services_lua_size;

struct loading {
    struct faults *faults;
    struct service_conf **list;
    size_t count;
    struct map names; /* name -> its service */
    unsigned files;
    /* of the file that is being read */
    const struct source *source;
    struct map lines; /* name -> its line, one of line_list */
    int *line_list;
    unsigned guesses; /* of lines: each reads the whole file */
    bool is_builtin;
};

/* ---- one file ---------------------------------------------------------------------------- */

#define SERVERS_KEY "mcpServers"

/* Collects the lines of all names in one pass; a name that is written twice would silently hide
 * the first one. */
static void note_line(void *arg, struct slice path, int line, bool is_assignment)
{
    struct loading *loading = arg;
    if (loading->source->is_json) {
        size_t prefix = sizeof SERVERS_KEY;
        if (path.len <= prefix || memcmp(path.ptr, SERVERS_KEY ".", prefix) != 0) {
            return;
        }
        path = (struct slice){path.ptr + prefix, path.len - prefix};
    }
    if (path.len == 0 || path.len > 64 || memchr(path.ptr, '.', path.len) ||
        memchr(path.ptr, '[', path.len)) {
        return;
    }
    int *first = map_get(&loading->lines, path);
    if (first && is_assignment) {
        *first = line;
    } else if (first) {
        faults_add(loading->faults, loading->source->file, line,
                   "service `%.*s` is defined already on line %d", SLICE_ARG(path), *first);
    } else if (loading->lines.count < SERVICES_MAX) {
        int *last = &loading->line_list[loading->lines.count];
        *last = line;
        map_set(&loading->lines, path, last);
    }
}

static void place(struct loading *loading, struct service_conf *conf, const struct check *check)
{
    struct slice path = {check->path, check->length};
    const int *line = map_get(&loading->lines, conf->name);
    if (!line && loading->guesses < GUESSES_MAX) {
        loading->guesses++;
        conf->line = source_line(loading->source, path);
    } else {
        conf->line = line ? *line : 0;
    }
    if (!loading->is_builtin) {
        struct slice file = slice_of(loading->source->file);
        char *copy = arena_take(&conf->arena, file.len + 1);
        if (copy) {
            memcpy(copy, file.ptr, file.len + 1);
        }
        conf->file = copy;
    }
}

/* Of one name in two files, the one that is read later is at fault. */
static bool check_is_new(const struct loading *loading, const struct service_conf *conf)
{
    const struct service_conf *first = map_get(&loading->names, conf->name);
    if (first) {
        faults_add(loading->faults, conf->file, conf->line,
                   "service `%.*s` is defined already at %s:%d", SLICE_ARG(conf->name),
                   first->file ? first->file : "", first->line);
    }
    return !first;
}

static void read_service(void *arg, struct check *check, struct slice name, struct slice value)
{
    struct loading *loading = arg;
    struct buf translated;
    buf_init(&translated, VALUE_BYTES);
    bool is_fine = true;
    if (loading->source->is_json) {
        is_fine = mcp_json_service(check, value, &translated);
        value = buf_slice(&translated);
    }
    if (loading->count == SERVICES_MAX) {
        check_fault(check, "there are more than %u services", SERVICES_MAX);
        is_fine = false;
    }
    struct service_conf *conf = is_fine ? draft_service(check, name, value) : NULL;
    if (conf) {
        place(loading, conf, check);
        if (check_is_new(loading, conf)) {
            map_set(&loading->names, conf->name, conf);
        }
        loading->list[loading->count++] = conf;
    }
    buf_done(&translated);
}

static void read_table(struct loading *loading, struct slice table)
{
    struct check check;
    check_init(&check, loading->source, loading->faults);
    if (!loading->source->is_json) {
        (void)check_each_key(&check, table, read_service, loading);
        return;
    }
    struct slice servers;
    if (!pack_get(table, SERVERS_KEY, &servers)) {
        check_fault(&check, "has no `%s`, so that it names no service", SERVERS_KEY);
        return;
    }
    (void)check_enter(&check, SLICE(SERVERS_KEY));
    (void)check_each_key(&check, servers, read_service, loading);
}

static void read_source(struct loading *loading, const struct source *source)
{
    unsigned kept = loading->faults->kept;
    struct buf table;
    buf_init(&table, VALUE_BYTES);
    loading->source = source;
    map_init(&loading->lines);
    loading->line_list = mem_new(SERVICES_MAX * sizeof(int));
    if (source_table(source, &table, loading->faults) == 0) {
        source_each_key(source, note_line, loading);
        read_table(loading, buf_slice(&table));
    }
    faults_sort(loading->faults, kept);
    map_done(&loading->lines);
    mem_free(loading->line_list);
    buf_done(&table);
}

static void read_file(struct loading *loading, const char *folder, const char *name)
{
    struct buf path;
    struct source source;
    buf_init(&path, PATH_BYTES);
    buf_printf(&path, "%s/%s", folder, name);
    int result = source_read(buf_text(&path), &source, loading->faults);
    if (result == 0) {
        read_source(loading, &source);
        source_done(&source);
    }
    loading->files += result != -ERR_NOT_FOUND;
    buf_done(&path);
}

static void read_builtin(struct loading *loading)
{
    struct source source;
    struct slice text = {conf_services_lua, conf_services_lua_size};
    source_of_text("built-in services.lua", text, &source);
    loading->is_builtin = true;
    read_source(loading, &source);
    source_done(&source);
}

/* ---- the folder -------------------------------------------------------------------------- */

static int is_fragment(const struct dirent *entry)
{
    size_t length = strlen(entry->d_name);
    return entry->d_name[0] != '.' && length > 4 &&
           strcmp(entry->d_name + length - 4, ".lua") == 0;
}

static int by_bytes(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static void read_fragments(struct loading *loading, const char *folder)
{
    struct buf path;
    struct dirent **names = NULL;
    buf_init(&path, PATH_BYTES);
    buf_printf(&path, "%s/services.d", folder);
    int count = scandir(buf_text(&path), &names, is_fragment, by_bytes);
    if (count < 0 && errno != ENOENT) {
        faults_add(loading->faults, buf_text(&path), 0, "cannot be read: %s", strerror(errno));
    }
    for (int i = 0; i < count; i++) {
        if (loading->files < FILES_MAX) {
            read_file(loading, buf_text(&path), names[i]->d_name);
        } else if (i + 1 == count) {
            faults_add(loading->faults, buf_text(&path), 0, "holds more than %u files",
                       FILES_MAX);
        }
        free(names[i]);
    }
    free(names);
    buf_done(&path);
}

static int by_name(const void *a, const void *b)
{
    const struct service_conf *left = *(struct service_conf *const *)a;
    const struct service_conf *right = *(struct service_conf *const *)b;
    return strcmp(left->name.ptr, right->name.ptr);
}

int service_set_load(const char *folder, struct service_set *ret, struct faults *faults)
{
    unsigned before = faults->total;
    struct loading loading = {.faults = faults};
    loading.list = mem_new(SERVICES_MAX * sizeof(struct service_conf *));
    map_init(&loading.names);
    if (folder) {
        read_file(&loading, folder, "services.lua");
        read_fragments(&loading, folder);
        read_file(&loading, folder, "mcp.json");
    }
    if (loading.files == 0) {
        read_builtin(&loading);
    }
    map_done(&loading.names);
    qsort(loading.list, loading.count, sizeof(struct service_conf *), by_name);
    struct service_set set = {loading.list, loading.count};
    if (faults->total != before) {
        service_set_done(&set);
        return -ERR_VALIDATION_ERROR;
    }
    struct service_conf **list =
        mem_resize(set.list, (set.count + 1) * sizeof(struct service_conf *));
    set.list = list ? list : set.list;
    *ret = set;
    return 0;
}

void service_set_done(struct service_set *set)
{
    for (size_t i = 0; i < set->count; i++) {
        (void)service_conf_unref(set->list[i]);
    }
    mem_free(set->list);
    *set = (struct service_set){0};
}
