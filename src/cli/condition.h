/* SPDX-License-Identifier: MIT */
/*
 * condition.h - what the status of a service means to an operator: a word, since when, whether
 * somebody must see to it, and what that somebody can do.
 *
 * Life: everything points into the answer of services.status.
 */
#ifndef CLI_CONDITION_H
#define CLI_CONDITION_H

#include "cli/cli.h"
#include "cli/table.h"

#include "base/slice.h"

#include <stdbool.h>
#include <stdint.h>

struct condition {
    enum mark mark;
    struct slice word; /* the worst of what holds: "quarantined", "breaker open", "running" */
    int64_t age_ms;    /* since when; -1: not known */
    bool is_disabled;
    bool needs_attention;
};

struct condition condition_of(struct slice service);

/* "NAME: WHAT for HOW LONG, HOW LONG STILL: REASON", then lines with why and what to do. */
void condition_put(struct cli *cli, struct slice service);

/* A line each for what is worth knowing although nobody must see to it now. */
void condition_put_remarks(struct cli *cli, struct slice service);

/* Lines about breaker, calls, retries and failures. */
void condition_put_numbers(struct cli *cli, struct slice service);
extern const char
    *const condition_numbers[]; /* the members that these tell of; the last is NULL */

/* How many of its tools nobody gets until they are approved. */
uint32_t condition_withheld(struct slice service);

#endif
