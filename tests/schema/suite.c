/* SPDX-License-Identifier: MIT */
/* suite.c - the official JSON-Schema-Test-Suite, one dialect of it: every case is compiled and checked,
 * and what is left out is listed with its reason.
 *   suite FOLDER DIALECT     FOLDER holds draft2020-12, draft7 and so on */
#include "base/mem.h"
#include "value/json.h"
#include "value/pack.h"
#include "value/schema.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

#define FILE_BYTES_MAX ((size_t)16 << 20)

#define REMOTE         "needs a document that would have to be fetched, and nothing is fetched"
#define META \
    "needs a metaschema of its own, which would have to be fetched, to leave out a vocabulary"
#define FORMAT  "format is an annotation here, as it is by default in 2020-12"
#define CONTENT "contentEncoding and contentMediaType are annotations here"

/* What is left out. A group of it that passes all the same is a fault in this table. */
static const struct left_out {
    const char *dialect, *file, *group; /* group NULL: the whole file */
    const char *why;
} left_out[] = {
    {"draft2020-12", "refRemote.json", NULL, REMOTE},
    {"draft2020-12", "dynamicRef.json",
     "strict-tree schema, guards against misspelled properties", REMOTE},
    {"draft2020-12", "dynamicRef.json",
     "tests for implementation dynamic anchor and reference link", REMOTE},
    {"draft2020-12", "dynamicRef.json",
     "$ref and $dynamicAnchor are independent of order - $defs first", REMOTE},
    {"draft2020-12", "dynamicRef.json",
     "$ref and $dynamicAnchor are independent of order - $ref first", REMOTE},
    {"draft2020-12", "dynamicRef.json", "$ref to $dynamicRef finds detached $dynamicAnchor",
     REMOTE},
    {"draft2020-12", "vocabulary.json",
     "schema that uses custom metaschema with with no validation vocabulary", META},
    {"draft2020-12", "optional/cross-draft.json",
     "refs to historic drafts are processed as historic drafts", REMOTE},
    {"draft2020-12", "optional/format-assertion.json", NULL, FORMAT},
    {"draft2020-12", "optional/ecmascript-regex.json", "\\a is not an ECMA 262 control escape",
     FORMAT},
    {"draft7", "refRemote.json", NULL, REMOTE},
    {"draft7", "optional/content.json", NULL, CONTENT},
    {"draft7", "optional/cross-draft.json",
     "refs to future drafts are processed as future drafts", REMOTE},
    {NULL, NULL, NULL, NULL},
};

/* Cases that there are at least, whichever version of the suite it is. */
static const struct {
    const char *dialect;
    unsigned required, optional;
} expected[] = {{"draft2020-12", 1100, 130}, {"draft7", 840, 100}};

struct tally {
    unsigned passed, failed, left_out, stale;
};

struct group {
    const char *dialect, *file;
    struct slice description;
    const struct left_out *left_out;
    struct tally *tally;
};

static void complain(const struct group *group, struct slice test, const char *what)
{
    printf("FAILED  %s/%s: %.*s: %.*s: %s\n", group->dialect, group->file,
           SLICE_ARG(group->description), SLICE_ARG(test), what);
}

static const struct left_out *find_left_out(const struct group *group)
{
    for (const struct left_out *entry = left_out; entry->dialect; entry++) {
        if (strcmp(entry->dialect, group->dialect) == 0 &&
            strcmp(entry->file, group->file) == 0 &&
            (!entry->group || slice_is(group->description, entry->group))) {
            return entry;
        }
    }
    return NULL;
}

/* NULL: as wanted. */
static const char *run_test(const struct schema *schema, struct slice data, bool is_valid)
{
    struct schema_faults faults;
    bool is_fit = schema_accepts(schema, data);
    schema_explain(schema, data, "value", &faults);
    if (is_fit != is_valid) {
        return is_fit ? "it fits, and should not" : "it does not fit, and should";
    }
    if (is_fit != (faults.count == 0)) {
        return "what is said about it is not what was found";
    }
    return NULL;
}

static void run_tests(const struct group *group, const struct schema *schema,
                      const char *refusal, struct slice tests)
{
    struct pack cursor = pack_over(tests);
    struct pack_item item;
    unsigned good = 0;
    uint32_t count = pack_next(&cursor, &item) && item.type == PACK_ARRAY ? item.count : 0;
    for (uint32_t i = 0; i < count; i++) {
        struct slice test;
        struct slice data;
        struct slice name = {NULL, 0};
        bool is_valid;
        if (!pack_take(&cursor, &test) || !pack_get(test, "data", &data) ||
            !pack_get_bool(test, "valid", &is_valid)) {
            complain(group, name, "it is no test");
            group->tally->failed++;
            continue;
        }
        (void)pack_get_text(test, "description", &name);
        const char *fault = schema ? run_test(schema, data, is_valid) : refusal;
        good += fault == NULL;
        if (group->left_out) {
            group->tally->left_out++;
        } else if (fault) {
            complain(group, name, fault);
            group->tally->failed++;
        } else {
            group->tally->passed++;
        }
    }
    if (group->left_out && good == count) {
        complain(group, slice_of("all"), "it is left out, and passes");
        group->tally->stale++;
    }
}

/* The suite says by its folder what MCP says by "$schema". Appends to `out`. */
static struct slice declare(const char *dialect, struct slice definition, struct buf *out)
{
    struct pack cursor = pack_over(definition);
    struct pack_item item;
    struct slice there;
    bool is_map = pack_next(&cursor, &item) && item.type == PACK_MAP;
    if (strcmp(dialect, "draft7") != 0 || !is_map || pack_get(definition, "$schema", &there)) {
        return definition;
    }
    pack_put_map(out, item.count + 1);
    pack_put_key_text(out, "$schema", "http://json-schema.org/draft-07/schema#");
    buf_put(out, cursor.at, (size_t)(cursor.end - cursor.at));
    return buf_slice(out);
}

static void run_group(struct group *group, struct slice value)
{
    struct slice definition;
    struct slice tests;
    struct schema *schema = NULL;
    struct err err = {.code = ERR_NONE};
    (void)pack_get_text(value, "description", &group->description);
    group->left_out = find_left_out(group);
    if (!pack_get(value, "schema", &definition) || !pack_get(value, "tests", &tests)) {
        complain(group, slice_of("all"), "it is no group of tests");
        group->tally->failed++;
        return;
    }
    struct buf declared;
    buf_init(&declared, FILE_BYTES_MAX);
    (void)schema_compile(declare(group->dialect, definition, &declared), &schema, &err);
    run_tests(group, schema, err.text, tests);
    schema_free(schema);
    buf_done(&declared);
}

static bool read_file(const char *path, struct buf *out)
{
    char chunk[65536];
    size_t got;
    FILE *file = fopen(path, "rb");
    if (!file) {
        return false;
    }
    while ((got = fread(chunk, 1, sizeof chunk, file)) > 0) {
        buf_put(out, chunk, got);
    }
    bool is_whole = !ferror(file) && !out->overflow;
    return fclose(file) == 0 && is_whole;
}

static void run_file(const char *dialect, const char *folder, const char *name,
                     struct tally *tally)
{
    struct group group = {.dialect = dialect, .file = name, .tally = tally};
    struct buf json;
    struct buf pack;
    char path[4096];
    struct pack_item item;
    struct slice value;
    struct err err = {.code = ERR_NONE};
    buf_init(&json, FILE_BYTES_MAX);
    buf_init(&pack, FILE_BYTES_MAX);
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    if (!read_file(path, &json) ||
        json_to_pack(buf_slice(&json), JSON_DEPTH_MAX, &pack, &err) != 0) {
        printf("FAILED  %s: cannot be read: %s\n", path, err.text);
        tally->failed++;
    }
    struct pack cursor = pack_over(buf_slice(&pack));
    uint32_t count = pack_next(&cursor, &item) && item.type == PACK_ARRAY ? item.count : 0;
    for (; count && pack_take(&cursor, &value); count--) {
        run_group(&group, value);
    }
    buf_done(&json);
    buf_done(&pack);
}

static int is_json(const struct dirent *entry)
{
    size_t len = strlen(entry->d_name);
    return len > 5 && strcmp(entry->d_name + len - 5, ".json") == 0;
}

static bool run_folder(const char *dialect, const char *folder, const char *prefix,
                       struct tally *tally)
{
    struct dirent **entries = NULL;
    char inner[2048];
    (void)snprintf(inner, sizeof inner, "%s/%s", folder, dialect);
    char path[4096];
    (void)snprintf(path, sizeof path, "%s/%s", inner, prefix);
    int count = scandir(path, &entries, is_json, alphasort);
    for (int i = 0; i < count; i++) {
        char name[300];
        (void)snprintf(name, sizeof name, "%s%s", prefix, entries[i]->d_name);
        run_file(dialect, inner, name, tally);
        free(entries[i]);
    }
    free(entries);
    return count > 0;
}

static bool report(const char *what, const struct tally *tally, unsigned least)
{
    unsigned found = tally->passed + tally->failed + tally->left_out;
    printf("%s: %u passed, %u failed, %u left out\n", what, tally->passed, tally->failed,
           tally->left_out);
    if (found < least) {
        printf("FAILED  %s: only %u cases were found, at least %u are there\n", what, found,
               least);
    }
    return !tally->failed && !tally->stale && found >= least;
}

int main(int argc, char **argv)
{
    struct tally required = {0};
    struct tally optional = {0};
    if (argc != 3) {
        (void)fputs("usage: suite FOLDER DIALECT\n", stderr);
        return 2;
    }
    const char *dialect = argv[2];
    if (!run_folder(dialect, argv[1], "", &required)) {
        (void)fprintf(stderr, "there is no suite in %s/%s\n", argv[1], dialect);
        return 2;
    }
    (void)run_folder(dialect, argv[1], "optional/", &optional);
    for (const struct left_out *entry = left_out; entry->dialect; entry++) {
        if (strcmp(entry->dialect, dialect) == 0) {
            printf("left out: %s%s%s: %s\n", entry->file, entry->group ? ": " : "",
                   entry->group ? entry->group : "", entry->why);
        }
    }
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++) {
        if (strcmp(expected[i].dialect, dialect) == 0) {
            bool is_good = report("required", &required, expected[i].required);
            return report("optional", &optional, expected[i].optional) && is_good ? 0 : 1;
        }
    }
    (void)fprintf(stderr, "of %s nothing is known\n", dialect);
    return 2;
}
