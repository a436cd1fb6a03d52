/* SPDX-License-Identifier: MIT */
/*
 * board.h - what the fault matrix and its faulty server both see: one slot for each cell, in shared
 * memory. The server writes down what reached it; nothing else is believed.
 */
#ifndef TESTS_FAULTS_BOARD_H
#define TESTS_FAULTS_BOARD_H

#include <stdatomic.h>
#include <stdint.h>

/* FAULT(id, "name", kind): kind says how the server is reached. */
#define FAULTS(FAULT)                                     \
    FAULT(NONE, "none", HTTP)                             \
    FAULT(REFUSED, "connection refused", REFUSING)        \
    FAULT(RESET_BEFORE, "reset before send", RESETTING)   \
    FAULT(RESET_AFTER, "reset after send", HTTP)          \
    FAULT(DNS, "DNS failure", NAMELESS)                   \
    FAULT(TLS, "TLS failure", TLS)                        \
    FAULT(STATUS_500, "500", HTTP)                        \
    FAULT(STATUS_502, "502", HTTP)                        \
    FAULT(STATUS_503, "503", HTTP)                        \
    FAULT(STATUS_503_AFTER, "503 with Retry-After", HTTP) \
    FAULT(LIMIT_SECONDS, "429 Retry-After: 2", HTTP)      \
    FAULT(LIMIT_DATE, "429 Retry-After: date", HTTP)      \
    FAULT(LIMIT_RESET, "429 X-RateLimit-Reset", HTTP)     \
    FAULT(HANG, "hang", HTTP)                             \
    FAULT(DRIP, "slow drip", HTTP)                        \
    FAULT(TRUNCATED, "truncated body", HTTP)              \
    FAULT(BAD_JSON, "invalid JSON", HTTP)                 \
    FAULT(WRONG_ID, "wrong id", HTTP)                     \
    FAULT(EXITS, "process exit", STDIO)                   \
    FAULT(KILLED, "SIGKILL of child", STDIO)              \
    FAULT(DEAF, "child stops reading", STDIO)             \
    FAULT(STATUS_401, "401", HTTP)                        \
    FAULT(STATUS_403, "403", HTTP)

enum fault_id {
#define FAULT(id, name, kind) FAULT_##id,
    FAULTS(FAULT)
#undef FAULT
        FAULT_COUNT
};

enum fault_kind {
    FAULT_BY_HTTP,
    FAULT_BY_STDIO,
    FAULT_BY_REFUSING,  /* a port where nobody listens */
    FAULT_BY_RESETTING, /* https, reset in the handshake */
    FAULT_BY_NAMELESS,  /* a host that no name service knows */
    FAULT_BY_TLS        /* https, where plain HTTP is spoken */
};

#define SLOTS 256

struct slot {
    _Atomic int fault;
    _Atomic int times; /* how often it strikes, then all is well; -1: always */
    _Atomic int calls; /* tools/call that the server has read */
    _Atomic int done;  /* of them, carried out */
};

struct board {
    struct slot slots[SLOTS];
    _Atomic int64_t wall_ms; /* the daemon's clock, for dates */
    _Atomic int port, resetting_port;
};

#endif
