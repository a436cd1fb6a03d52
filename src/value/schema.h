/* SPDX-License-Identifier: MIT */
/*
 * schema.h - JSON Schema, compiled once, checked often.
 *
 * Owns:    struct schema owns all it needs: the schema's bytes may go after compiling.
 * Life:    immutable and reference-free after schema_compile; schema_free(NULL) is fine.
 * Errors:  compile: ERR_VALIDATION_ERROR names the keyword and the place in the schema.
 *          check: every fault is given to `fault`, at most SCHEMA_FAULTS of them.
 * Rule:    JSON Schema 2020-12: core, applicator, unevaluated and validation vocabularies; draft-07
 *          where $schema says so. `format` and content* are annotations, as 2020-12 has it by
 *          default. $vocabulary and metaschemas of one's own are not looked at. A reference leads
 *          to a place, a URI or an anchor in the document, or to the metaschemas of the two
 *          dialects; any other is an error of the schema, and nothing is ever fetched.
 * Units:   a schema has at most 4 MiB, 20 000 schemas, each chain of them that apply to the same
 *          value at most 32, regular expressions of 8 KiB each and 64 KiB in all. A check does
 *          work in proportion to the value and bounded besides (schema_run.h), whatever the
 *          schema and its regular expressions are. One that needs more accepts nothing, and its
 *          explanation says that it was too costly.
 */
#ifndef VALUE_SCHEMA_H
#define VALUE_SCHEMA_H

#include "base/err.h"
#include "base/slice.h"

#include <stdbool.h>

struct schema;

#define SCHEMA_FAULTS 16

struct schema_fault {
    char field[192];    /* "arguments.items[2].email"; "arguments" for the whole */
    char expected[160]; /* "string", "one of: a, b", "at least 3" */
    char received[96];  /* "integer 7", "nothing" */
};

struct schema_faults {
    unsigned count; /* kept; more may have been found */
    struct schema_fault list[SCHEMA_FAULTS];
};

/* `definition` is the schema as MessagePack. */
int schema_compile(struct slice definition, struct schema **ret, struct err *reterr);
void schema_free(struct schema *schema);

/* The fast path: whether `value` fits. */
bool schema_accepts(const struct schema *schema, struct slice value);

/* The slow path, after a refusal: what is wrong, with `place` as the name of the whole value. */
void schema_explain(const struct schema *schema, struct slice value, const char *place,
                    struct schema_faults *ret);

#endif
