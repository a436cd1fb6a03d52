/* SPDX-License-Identifier: MIT */
/*
 * judge.h - what the end of an attempt says about the service: for its breaker, its quarantine, its
 * statistics. A function of the failure and of how long it took.
 */
#ifndef RESILIENCE_JUDGE_H
#define RESILIENCE_JUDGE_H

#include "resilience/breaker.h"
#include "resilience/quarantine.h"
#include "value/failure.h"

struct judgement {
    enum breaker_outcome breaker;
    enum quarantine_outcome quarantine;
    bool is_of_user; /* the fault is the credential's: of this user where each has an own one */
};

/* `failure` NULL: it succeeded (a tool's own isError too). A timeout is the service's failure only if
 * it was given `patience` or more: a caller in a hurry proves nothing. */
struct judgement judge(const struct failure *failure, mono_us took, mono_us patience);

/* Half of the service's timeout, 5 s at most. */
mono_us judge_patience(uint32_t timeout_ms);

#endif
