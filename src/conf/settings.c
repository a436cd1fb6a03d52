/* SPDX-License-Identifier: MIT */
/* settings.c - toolbroker.lua checked against the table of settings.def. */
#include "conf/settings.h"

#include "base/err.h"
#include "base/mem.h"
#include "conf/check.h"
#include "value/pack.h"

#include <stddef.h>
#include <string.h>
#include <sys/un.h>

enum setting_kind { SETTING_TEXT, SETTING_CHOICE, SETTING_RATE, SETTING_INT };

struct setting {
    const char *path;
    size_t offset; /* of its field in struct settings */
    const char *text, *choices;
    int64_t number, min, max;
    enum setting_kind kind;
    bool is_reloadable;
};

static const struct setting table[] = {
#define TEXT(field, name, value, reloadable, about) \
    {.path = (name),                                \
     .offset = offsetof(struct settings, field),    \
     .text = (value),                               \
     .kind = SETTING_TEXT,                          \
     .is_reloadable = (reloadable)},
#define CHOICE(field, name, value, names, reloadable, about) \
    {.path = (name),                                         \
     .offset = offsetof(struct settings, field),             \
     .text = (value),                                        \
     .choices = (names),                                     \
     .kind = SETTING_CHOICE,                                 \
     .is_reloadable = (reloadable)},
#define RATE(field, name, reloadable, about)     \
    {.path = (name),                             \
     .offset = offsetof(struct settings, field), \
     .kind = SETTING_RATE,                       \
     .is_reloadable = (reloadable)},
#define INT(field, name, value, least, most, reloadable, about) \
    {.path = (name),                                            \
     .offset = offsetof(struct settings, field),                \
     .number = (value),                                         \
     .min = (least),                                            \
     .max = (most),                                             \
     .kind = SETTING_INT,                                       \
     .is_reloadable = (reloadable)},
#include "conf/settings.def"
#undef TEXT
#undef CHOICE
#undef RATE
#undef INT
};

#define SETTINGS (sizeof table / sizeof table[0])

/* Keys of the design whose part of the daemon is not there yet. */
static const char *const later[] = {"http", "keys", "alerts"};

static char **text_of(const struct settings *settings, const struct setting *setting)
{
    return (char **)(void *)((char *)settings + setting->offset);
}

static int64_t *number_of(const struct settings *settings, const struct setting *setting)
{
    return (int64_t *)(void *)((char *)settings + setting->offset);
}

static struct settings *defaults(void)
{
    struct settings *settings = mem_new(sizeof *settings);
    for (size_t i = 0; i < SETTINGS; i++) {
        if (table[i].kind == SETTING_INT) {
            *number_of(settings, &table[i]) = table[i].number;
        } else if (table[i].text) {
            *text_of(settings, &table[i]) = mem_dup(slice_of(table[i].text));
        }
    }
    return settings;
}

void settings_free(struct settings *settings)
{
    if (!settings) {
        return;
    }
    for (size_t i = 0; i < SETTINGS; i++) {
        if (table[i].kind != SETTING_INT) {
            mem_free(*text_of(settings, &table[i]));
        }
    }
    mem_free(settings);
}

/* ---- reading ----------------------------------------------------------------------------- */

static void set_text(struct settings *settings, const struct setting *setting,
                     struct slice value)
{
    char **text = text_of(settings, setting);
    mem_free(*text);
    *text = mem_dup(value);
}

static struct slice nth_choice(const char *choices, unsigned n)
{
    while (n--) {
        choices += strcspn(choices, "|") + 1;
    }
    return (struct slice){choices, strcspn(choices, "|")};
}

/* A path that bind(2) can take. */
static bool check_socket(const struct check *check, struct slice path)
{
    size_t most = sizeof((struct sockaddr_un){0}.sun_path) - 1;
    if (path.ptr[0] != '/') {
        check_fault(check, "%s must be an absolute path, not \"%.*s\"", check->path,
                    SLICE_ARG(path));
        return false;
    }
    if (path.len > most) {
        check_fault(check, "%s must be a path of at most %zu bytes", check->path, most);
        return false;
    }
    return true;
}

static void read_setting(struct settings *settings, const struct setting *setting,
                         const struct check *check, struct slice value)
{
    struct slice text;
    struct rate_conf rate;
    unsigned choice = 0;
    switch (setting->kind) {
    case SETTING_INT:
        (void)check_int(check, value, setting->min, setting->max, number_of(settings, setting));
        break;
    case SETTING_CHOICE:
        if (check_choice(check, value, setting->choices, &choice)) {
            set_text(settings, setting, nth_choice(setting->choices, choice));
        }
        break;
    case SETTING_RATE:
        if (check_rate(check, value, &rate) && check_text(check, value, false, &text)) {
            set_text(settings, setting, text);
        }
        break;
    case SETTING_TEXT:
        if (check_text(check, value, false, &text) &&
            (strcmp(setting->path, "socket") != 0 || check_socket(check, text))) {
            set_text(settings, setting, text);
        }
        break;
    }
}

/* Whether some setting's path goes on behind this one. */
static bool is_group(const char *path, size_t length)
{
    for (size_t i = 0; i < SETTINGS; i++) {
        if (strncmp(table[i].path, path, length) == 0 && table[i].path[length] == '.') {
            return true;
        }
    }
    return false;
}

/* The keys that may stand beside `path`, separated by "|"; a group appears for each of its own. */
static void put_siblings(const char *path, size_t group, struct buf *out)
{
    for (size_t i = 0; i < SETTINGS; i++) {
        if (strncmp(table[i].path, path, group) == 0) {
            const char *rest = table[i].path + group;
            buf_printf(out, "%.*s|", (int)strcspn(rest, "."), rest);
        }
    }
}

static void refuse(const struct check *check, struct slice key)
{
    for (size_t i = 0; i < sizeof later / sizeof later[0]; i++) {
        if (strcmp(check->path, later[i]) == 0) {
            check_fault(check, "`%s` is not supported by this version yet: take it out",
                        check->path);
            return;
        }
    }
    struct buf names;
    buf_init(&names, 8192);
    put_siblings(check->path, check->length >= key.len ? check->length - key.len : 0, &names);
    check_unknown(check, key, buf_text(&names));
    buf_done(&names);
}

static void read_key(void *arg, struct check *check, struct slice key, struct slice value)
{
    struct settings *settings = arg;
    for (size_t i = 0; i < SETTINGS; i++) {
        if (strcmp(table[i].path, check->path) == 0) {
            read_setting(settings, &table[i], check, value);
            return;
        }
    }
    if (!key.len || !is_group(check->path, check->length)) {
        refuse(check, key);
    } else if (check_map(check, value, "a table of settings")) {
        (void)check_each_key(check, value, read_key, settings);
    }
}

static int read_source(const struct source *source, struct settings *settings,
                       struct faults *faults)
{
    struct buf value;
    buf_init(&value, (size_t)4 * SOURCE_BYTES);
    int result = source_table(source, &value, faults);
    if (result == 0) {
        struct check check;
        check_init(&check, source, faults);
        (void)check_each_key(&check, buf_slice(&value), read_key, settings);
    }
    buf_done(&value);
    return result;
}

int settings_load(const char *folder, struct settings **ret, struct faults *faults)
{
    unsigned before = faults->total;
    unsigned kept = faults->kept;
    struct settings *settings = defaults();
    if (folder) {
        struct buf file;
        buf_init(&file, 8192);
        buf_printf(&file, "%s/toolbroker.lua", folder);
        struct source source;
        if (source_read(buf_text(&file), &source, faults) == 0) {
            (void)read_source(&source, settings, faults);
            source_done(&source);
        }
        buf_done(&file);
    }
    if (faults->total != before) {
        faults_sort(faults, kept);
        settings_free(settings);
        return -ERR_VALIDATION_ERROR;
    }
    *ret = settings;
    return 0;
}

/* ---- writing ----------------------------------------------------------------------------- */

void settings_put(const struct settings *settings, struct buf *out)
{
    pack_put_map(out, SETTINGS);
    for (size_t i = 0; i < SETTINGS; i++) {
        pack_put_text(out, table[i].path);
        if (table[i].kind == SETTING_INT) {
            pack_put_int(out, *number_of(settings, &table[i]));
        } else if (*text_of(settings, &table[i])) {
            pack_put_text(out, *text_of(settings, &table[i]));
        } else {
            pack_put_nil(out);
        }
    }
}

static bool is_same(const struct settings *a, const struct settings *b,
                    const struct setting *setting)
{
    if (setting->kind == SETTING_INT) {
        return *number_of(a, setting) == *number_of(b, setting);
    }
    return slice_equal(slice_of(*text_of(a, setting)), slice_of(*text_of(b, setting)));
}

unsigned settings_put_restart_needed(const struct settings *now, const struct settings *next,
                                     struct buf *out)
{
    unsigned count = 0;
    size_t opened = pack_open(out);
    for (size_t i = 0; i < SETTINGS; i++) {
        if (!table[i].is_reloadable && !is_same(now, next, &table[i])) {
            pack_put_text(out, table[i].path);
            count++;
        }
    }
    pack_close_array(out, opened, count);
    return count;
}
