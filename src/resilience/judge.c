/* SPDX-License-Identifier: MIT */
/* judge.c - whose doing the end of an attempt was, as breaker and quarantine count it. */
#include "resilience/judge.h"

#define PATIENCE_MAX INT64_C(5000000)

static const struct judgement by_class[FAILURE_CLASSES] = {
    [FAILURE_OF_CALLER] = {BREAKER_NEUTRAL, QUARANTINE_NEUTRAL, false},
    [FAILURE_OF_BROKER] = {BREAKER_NEUTRAL, QUARANTINE_NEUTRAL, false},
    [FAILURE_NETWORK] = {BREAKER_FAILURE, QUARANTINE_NEUTRAL, false},
    [FAILURE_PROCESS] = {BREAKER_FAILURE, QUARANTINE_FAULT, false},
    [FAILURE_PROTOCOL] = {BREAKER_FAILURE, QUARANTINE_FAULT, false},
    [FAILURE_SERVER] = {BREAKER_FAILURE, QUARANTINE_NEUTRAL, false},
    [FAILURE_RATE_LIMIT] = {BREAKER_NEUTRAL, QUARANTINE_NEUTRAL, false}, /* the server works */
    [FAILURE_AUTHENTICATION] = {BREAKER_FAILURE, QUARANTINE_NEUTRAL, true},
    /* It is there and speaks the protocol: what it says no to is another matter. */
    [FAILURE_ANSWER] = {BREAKER_SUCCESS, QUARANTINE_GOOD, false},
};

struct judgement judge(const struct failure *failure, mono_us took, mono_us patience)
{
    if (!failure) {
        return (struct judgement){BREAKER_SUCCESS, QUARANTINE_GOOD, false};
    }
    if (failure->code == ERR_TIMEOUT && took < patience) {
        return (struct judgement){BREAKER_NEUTRAL, QUARANTINE_NEUTRAL, false};
    }
    return by_class[failure->class];
}

mono_us judge_patience(uint32_t timeout_ms)
{
    mono_us half = (mono_us)timeout_ms * 1000 / 2;
    return half < PATIENCE_MAX ? half : PATIENCE_MAX;
}
