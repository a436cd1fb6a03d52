/* SPDX-License-Identifier: MIT */
/* schema_pattern.c - regular expressions compiled and matched by PCRE2, in bounded time: it calls
 * back at each step of a match, which is paid for with the work of the check. The only user of
 * PCRE2. */
#define PCRE2_CODE_UNIT_WIDTH 8

#include "value/schema_pattern.h"

#include <pcre2.h>

/* A step is paid for, and these bound what none of them shows: the memory of a match, which a group
 * that is repeated over a long text needs. */
#define MATCH_LIMIT           10000000u
#define DEPTH_LIMIT           1000000u
#define HEAP_KIB_LEAST        4096u
#define HEAP_KIB_MAX          65536u
#define HEAP_PER_BYTE         64u

#define NESTING_MAX           64u
#define LOOKBEHIND_MAX        255u

#define TRANSLATION_BYTES_MAX ((size_t)1 << 20)

struct schema_pattern {
    struct schema_pattern *next;
    struct slice text;
    pcre2_code *code;
    uint32_t weight; /* work of a step */
    bool has_references;
};

struct schema_matcher {
    pcre2_general_context *memory;
    pcre2_match_context *context;
    pcre2_match_data *data;
    /* of the match under way */
    struct schema_run *run;
    const struct schema_pattern *pattern;
    size_t at; /* where the last step was */
    size_t length;
};

static void *take(size_t size, void *unused)
{
    (void)unused;
    return mem_try(size);
}

static void give_back(void *ptr, void *unused)
{
    (void)unused;
    mem_free(ptr);
}

/* ---- compiling --------------------------------------------------------------------------- */

static pcre2_code *compile(struct slice text, int *ret_error, size_t *ret_at)
{
    pcre2_general_context *memory = pcre2_general_context_create(take, give_back, NULL);
    pcre2_compile_context *context = memory ? pcre2_compile_context_create(memory) : NULL;
    pcre2_code *code = NULL;
    *ret_error = PCRE2_ERROR_NOMEMORY;
    if (context) {
        (void)pcre2_set_parens_nest_limit(context, NESTING_MAX);
        (void)pcre2_set_newline(context, PCRE2_NEWLINE_LF);
        uint32_t options = PCRE2_UTF | PCRE2_AUTO_CALLOUT | PCRE2_DOLLAR_ENDONLY |
                           PCRE2_MATCH_UNSET_BACKREF | PCRE2_NEVER_BACKSLASH_C |
                           PCRE2_NO_UTF_CHECK;
        PCRE2_SPTR pattern = (PCRE2_SPTR)(text.ptr ? text.ptr : "");
        code = pcre2_compile(pattern, text.len, options, ret_error, ret_at, context);
    }
    pcre2_compile_context_free(context);
    pcre2_general_context_free(memory);
    return code;
}

/* What a step may cost beside looking at one character: walking a long class, copying groups,
 * looking back. */
static bool weigh(struct schema_pattern *pattern, size_t *ret_size)
{
    size_t frame = 0;
    uint32_t back = 0;
    uint32_t references = 0;
    (void)pcre2_pattern_info(pattern->code, PCRE2_INFO_SIZE, ret_size);
    (void)pcre2_pattern_info(pattern->code, PCRE2_INFO_FRAMESIZE, &frame);
    (void)pcre2_pattern_info(pattern->code, PCRE2_INFO_MAXLOOKBEHIND, &back);
    (void)pcre2_pattern_info(pattern->code, PCRE2_INFO_BACKREFMAX, &references);
    pattern->weight = 1 + (uint32_t)((*ret_size + frame) / 1024) + back / 16;
    pattern->has_references = references != 0;
    return back <= LOOKBEHIND_MAX;
}

static struct schema_pattern *refuse(struct schema_compiler *c,
                                     const struct schema_source *source, const char *keyword,
                                     size_t at, const char *words)
{
    return schema_fail(c, source,
                       "\"%s\" should be a regular expression of ECMA-262; at byte %zu: %s",
                       keyword, at, words);
}

static struct schema_pattern *add_pattern(struct schema_compiler *c,
                                          const struct schema_source *source,
                                          const char *keyword, struct slice text,
                                          struct slice translated)
{
    size_t size = 0;
    size_t at = 0;
    int error;
    struct schema_pattern *pattern = schema_take(c, sizeof *pattern);
    if (!pattern || !schema_keep(c, text, &pattern->text)) {
        return NULL;
    }
    pattern->code = compile(translated, &error, &at);
    if (!pattern->code) {
        char words[120] = "";
        (void)pcre2_get_error_message(error, (PCRE2_UCHAR *)words, sizeof words);
        return schema_fail(c, source, "\"%s\" should be a regular expression that works: %s",
                           keyword, words);
    }
    pattern->next = c->schema->patterns;
    c->schema->patterns = pattern;
    if (!weigh(pattern, &size)) {
        return refuse(c, source, keyword, 0, "it looks back more than 255 characters");
    }
    c->pattern_code += size;
    if (c->pattern_code > SCHEMA_PATTERNS_CODE_MAX) {
        return schema_fail(c, source, "its regular expressions are too large");
    }
    return pattern;
}

const struct schema_pattern *schema_pattern_of(struct schema_compiler *c,
                                               const struct schema_source *source,
                                               const char *keyword, struct slice text)
{
    struct schema_pattern *pattern = map_get(&c->patterns, text);
    struct schema_regex_fault fault;
    if (pattern || c->has_failed) {
        return pattern;
    }
    c->pattern_bytes += text.len;
    if (text.len > SCHEMA_PATTERN_BYTES_MAX || c->pattern_bytes > SCHEMA_PATTERNS_BYTES_MAX) {
        return schema_fail(c, source,
                           "regular expressions are longer than %u bytes, or %zu in all",
                           SCHEMA_PATTERN_BYTES_MAX, SCHEMA_PATTERNS_BYTES_MAX);
    }
    struct buf translated;
    buf_init(&translated, TRANSLATION_BYTES_MAX);
    bool is_regex = schema_regex_translate(text, &translated, &fault);
    if (!is_regex) {
        pattern = refuse(c, source, keyword, fault.at, fault.words);
    } else if (translated.overflow) {
        pattern = schema_fail(c, source, "its regular expressions are too large");
    } else {
        pattern = add_pattern(c, source, keyword, text, buf_slice(&translated));
    }
    buf_done(&translated);
    if (pattern) {
        map_set(&c->patterns, text, pattern);
    }
    return pattern;
}

void schema_patterns_free(struct schema_pattern *first)
{
    for (; first; first = first->next) {
        pcre2_code_free(first->code);
    }
}

struct slice schema_pattern_text(const struct schema_pattern *pattern)
{
    return pattern->text;
}

/* ---- matching ---------------------------------------------------------------------------- */

/* Before each item of the expression, whenever a match comes to it: the characters that were
 * passed since the last one were looked at, and a reference compares as many as there may be. */
static int pay(pcre2_callout_block *block, void *data)
{
    struct schema_matcher *matcher = data;
    struct schema_run *run = matcher->run;
    size_t at = block->current_position;
    uint64_t passed = at > matcher->at ? at - matcher->at : matcher->at - at;
    if (matcher->pattern->has_references) {
        passed += matcher->length;
    }
    matcher->at = at;
    if (run->steps < matcher->pattern->weight) {
        (void)schema_exhaust(run);
        return PCRE2_ERROR_CALLOUT;
    }
    run->steps -= matcher->pattern->weight;
    return schema_spend(run, matcher->pattern->weight * passed / 8) ? 0 : PCRE2_ERROR_CALLOUT;
}

void schema_matcher_free(struct schema_matcher *matcher)
{
    if (matcher) {
        pcre2_match_data_free(matcher->data);
        pcre2_match_context_free(matcher->context);
        pcre2_general_context_free(matcher->memory);
        mem_free(matcher);
    }
}

static struct schema_matcher *new_matcher(void)
{
    struct schema_matcher *matcher = mem_new(sizeof *matcher);
    matcher->memory = pcre2_general_context_create(take, give_back, NULL);
    if (matcher->memory) {
        matcher->context = pcre2_match_context_create(matcher->memory);
        matcher->data = pcre2_match_data_create(1, matcher->memory);
    }
    if (!matcher->context || !matcher->data) {
        schema_matcher_free(matcher);
        return NULL;
    }
    (void)pcre2_set_match_limit(matcher->context, MATCH_LIMIT);
    (void)pcre2_set_depth_limit(matcher->context, DEPTH_LIMIT);
    (void)pcre2_set_callout(matcher->context, pay, matcher);
    return matcher;
}

bool schema_pattern_fits(struct schema_run *run, const struct schema_pattern *pattern,
                         struct slice text)
{
    if (!run->matcher) { /* the first in this check: little of its work is done yet */
        uint64_t steps =
            SCHEMA_STEPS_LEAST + run->work / SCHEMA_WORK_PER_BYTE * SCHEMA_STEPS_PER_BYTE;
        run->steps = steps < SCHEMA_STEPS_MAX ? steps : SCHEMA_STEPS_MAX;
        run->matcher = new_matcher();
        run->is_special = true;
    }
    struct schema_matcher *matcher = run->matcher;
    if (!matcher || !schema_spend(run, 8 + (uint64_t)text.len / 16)) {
        return schema_exhaust(run);
    }
    matcher->run = run;
    matcher->pattern = pattern;
    matcher->at = 0;
    matcher->length = text.len;
    uint64_t heap = HEAP_KIB_LEAST + (uint64_t)text.len / 1024 * HEAP_PER_BYTE;
    (void)pcre2_set_heap_limit(matcher->context,
                               heap < HEAP_KIB_MAX ? (uint32_t)heap : HEAP_KIB_MAX);
    PCRE2_SPTR subject = (PCRE2_SPTR)(text.ptr ? text.ptr : "");
    int result =
        pcre2_match(pattern->code, subject, text.len, 0, 0, matcher->data, matcher->context);
    if (result >= 0) {
        return true;
    }
    /* Text that is no UTF-8 fits no expression. */
    bool is_answer = result == PCRE2_ERROR_NOMATCH ||
                     (result <= PCRE2_ERROR_UTF8_ERR1 && result >= PCRE2_ERROR_UTF8_ERR21);
    return is_answer ? false : schema_exhaust(run);
}
