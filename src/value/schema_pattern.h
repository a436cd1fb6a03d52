/* SPDX-License-Identifier: MIT */
/*
 * schema_pattern.h - regular expressions of JSON Schema: ECMA-262, matched by PCRE2. Inside value/
 * only.
 *
 * Life:    compiled once for each text in a schema, freed with it.
 * Errors:  what ECMA-262 does not know is refused, with the place in the expression.
 * Units:   each step of a match is work of the check (schema_spend), weighed by what it may cost:
 *          an expression cannot take longer than anything else, however it is made. Memory of a
 *          match is limited as well. A match that passes a limit exhausts the check.
 */
#ifndef VALUE_SCHEMA_PATTERN_H
#define VALUE_SCHEMA_PATTERN_H

#include "value/schema_compiler.h"
#include "value/schema_run.h"

#define SCHEMA_PATTERN_BYTES_MAX  8192u              /* of one expression */
#define SCHEMA_PATTERNS_BYTES_MAX ((size_t)64 << 10) /* of all in a schema */
#define SCHEMA_PATTERNS_CODE_MAX  ((size_t)4 << 20)  /* what they are compiled to */

/* NULL (and failed) if it is none. */
const struct schema_pattern *schema_pattern_of(struct schema_compiler *c,
                                               const struct schema_source *source,
                                               const char *keyword, struct slice text);

bool schema_pattern_fits(struct schema_run *run, const struct schema_pattern *pattern,
                         struct slice text);
struct slice schema_pattern_text(const struct schema_pattern *pattern);

void schema_patterns_free(struct schema_pattern *first);
void schema_matcher_free(struct schema_matcher *matcher);

/* schema_regex.c: appends what PCRE2 is to be given for an expression of ECMA-262 (with the flag
 * u). If it is none, false with the place and what is wrong there. */
struct schema_regex_fault {
    size_t at;
    const char *words;
};

bool schema_regex_translate(struct slice from, struct buf *out, struct schema_regex_fault *ret);

/* schema_property.c: "\p{..}" or "\P{..}" for the property that ECMA-262 calls `name`. */
void schema_regex_put_property(struct buf *out, char letter, struct slice name);

#endif
