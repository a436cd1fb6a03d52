/* SPDX-License-Identifier: MIT */
/*
 * schema_explainer.h - what lasts while a refused value is explained. Inside value/ only.
 *
 * Every function is about the value at `at` and, where it is one, about the node that it should
 * fit. Once the work is exhausted nothing more is said, except that.
 */
#ifndef VALUE_SCHEMA_EXPLAINER_H
#define VALUE_SCHEMA_EXPLAINER_H

#include "value/schema.h"
#include "value/schema_run.h"

struct explainer {
    struct schema_run run;
    struct schema_faults *faults; /* NULL while faults are only counted, to compare branches */
    unsigned count;
    char path[sizeof((struct schema_fault *)0)->field];
    char costly[sizeof((struct schema_fault *)0)->field]; /* where the work ended */
    bool is_noted;                                        /* the last time it did */
    uint64_t work;                                        /* of one check */
    unsigned refills;                                     /* left */
};

/* The place of a member while it is looked at; the caller keeps the length to go back to. */
void explain_enter_key(struct explainer *e, struct slice key);
void explain_enter_index(struct explainer *e, uint32_t index);

/* Starts a fault whose `expected` the caller writes; NULL if it is only counted. `received` NULL:
 * nothing. */
struct schema_fault *explain_add(struct explainer *e, const struct pack *received);

/* Appends to what a fault expects; nothing where it is only counted. */
void explain_expect(struct schema_fault *fault, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void explain_expect_node(struct schema_fault *fault, const struct schema_node *node);

/* Counts outside of their limits. */
void explain_count(struct explainer *e, uint64_t count, uint64_t least, uint64_t most,
                   const char *unit, struct pack at);

bool explain_fits(struct explainer *e, const struct schema_node *node, struct pack at);
void explain_node(struct explainer *e, const struct schema_node *node, struct pack at);
void explain_member(struct explainer *e, const struct schema_node *node, struct pack at);

/* schema_explain_shape.c */
void explain_array(struct explainer *e, const struct schema_arrays *arrays, uint32_t count,
                   struct pack at);
void explain_object(struct explainer *e, const struct schema_objects *objects, uint32_t count,
                    struct pack at);
void explain_dependents(struct explainer *e, const struct schema_logic *logic, struct pack at);
void explain_unevaluated(struct explainer *e, const struct schema_node *node, struct pack at);

#endif
