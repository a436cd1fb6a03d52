/* SPDX-License-Identifier: MIT */
/* health_internal.h - what the files of health/ share. Included only here. */
#ifndef HEALTH_INTERNAL_H
#define HEALTH_INTERNAL_H

#include "base/map.h"
#include "health/health.h"
#include "health/plan.h"
#include "mcp/probe.h"
#include "store/store.h"

/* At once: services that are probed as a matter of course; and those that somebody waits for, a
 * person or an outage. Each has at most PROBES_BESIDE probes then. */
#define ROUTINE_MAX   8u
#define URGENT_MAX    64u
#define PROBES_BESIDE 3u

#define NOTES_MAX     64u /* of one service, in memory */
#define REASON_BYTES  256u

/* Something that happened. */
struct note {
    wall_ms at;
    int64_t took_us; /* -1: took no time */
    const char *kind;
    char *state, *reason;
};

struct notes { /* a ring that grows up to NOTES_MAX */
    struct note *list;
    unsigned count, cap, first;
};

/* What a probe came to. */
struct checked {
    mono_us ended; /* 0: none yet */
    wall_ms at;
    mono_us took;
    bool is_ok, is_unreachable; /* nobody answered at all */
    char error[REASON_BYTES];
};

struct monitor;

struct probe {
    struct list_link link; /* in monitor->probes */
    struct monitor *monitor;
    struct mcp_request *request;
    mono_us began;
};

/* One service. What a probe came to ends a round; in an outage others may go on beside it, and are
 * the next one. */
struct monitor {
    struct health *health;
    struct service_conf *conf;
    struct list_link queued; /* in health->urgent or health->routine */
    struct loop_timer timer;
    enum plan_action action; /* what the timer is set for */
    struct loop_task refresh;
    /* the round */
    struct list probes;
    unsigned live; /* probes that are not over */
    bool is_running;
    bool is_urgent, is_early;
    struct loop_timer beside; /* another probe beside those that do not answer */
    struct gate_ticket ticket;
    struct list checks; /* struct health_check that wait for its end */
    /* what is known */
    enum health_status status;
    wall_ms since;
    char reason[REASON_BYTES];
    char why_failing[REASON_BYTES]; /* calls, of late */
    char why_not_linked[REASON_BYTES];
    struct checked last;
    unsigned steps; /* see plan.h, likewise the next ones */
    unsigned tries;
    mono_us tried, opened, first;
    bool is_out; /* its breaker has opened and not closed again */
    bool is_new_outage;
    unsigned unanswered; /* pings, in a row, of a session that stands */
    bool was_held, was_failing, has_erred;
    mono_us held_back;   /* no probe before */
    unsigned jitter;     /* thousandths of the interval, 900 .. 1100 */
    wall_ms failed_told; /* when a failed check was last written down */
    struct notes notes;
};

struct health {
    struct health_options options;
    struct map monitors; /* by name */
    struct list urgent, routine;
    unsigned urgent_running, routine_running;
    struct loop_task pump;
    uint64_t random;
};

/* picture.c */
struct picture {
    struct gate_view view;
    mono_us now;
    bool is_connected, is_off; /* disabled, or not linked */
    bool has_erred;            /* its sessions cannot start, though they are begun again */
    mono_us success, failure;  /* the last of each, calls and probes */
    bool is_failing;
};
void picture_take(const struct monitor *monitor, struct picture *ret);
mono_us picture_answered(const struct picture *picture); /* or failed to; 0: never */
bool picture_is_open(const struct gate_view *view);      /* the breaker, by itself */
/* Half-open, and something has succeeded since. */
bool picture_is_returning(const struct picture *picture);
bool picture_is_asleep(const struct monitor *monitor, const struct picture *picture);
mono_us monitor_interval(const struct monitor *monitor);
/* *ret_reason: words, until the monitor changes; never NULL. */
enum health_status picture_judge(const struct monitor *monitor, const struct picture *picture,
                                 const char **ret_reason);

/* health.c */
struct monitor *health_find(const struct health *health, struct slice service);
bool health_is_linked(const struct service_conf *conf);
bool health_may_probe(const struct service_conf *conf);
bool health_may_check(const struct service_conf *conf); /* it is enabled and linked, too */
/* Status and schedule, after anything has happened. */
void monitor_refresh(struct monitor *monitor);
uint64_t health_random(struct health *health);

/* probing.c */
void probing_want(struct monitor *monitor, bool is_urgent); /* now, or when there is room */
void probing_drop(struct monitor *monitor);                 /* without a word; checks stay */
void probing_pump(void *arg);                               /* of a struct health */
void probing_beside(void *arg);                             /* of a struct monitor */
void probing_end_checks(struct monitor *monitor); /* those who wait are told, in a later turn */
void probing_forget_checks(struct monitor *monitor);

/* notes.c */
/* Into memory and the store; texts are copied. */
void monitor_note(struct monitor *monitor, const struct store_happening *happening);
void notes_done(struct notes *notes);

#endif
