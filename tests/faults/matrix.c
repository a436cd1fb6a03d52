/* SPDX-License-Identifier: MIT */
/*
 * matrix.c - every fault against every kind of tool: what the server saw, what the caller got, and how
 * long it took. The daemon's rooms are the real ones, and so are sockets, processes and disk; only the
 * clock is a fake: it stands still while something happens, and jumps while nothing does.
 *   fault_matrix PEER [FAULT]     prints the table; exits with 1 where a cell is not as it should be
 */
#include "api/api.h"
#include "base/mem.h"
#include "board.h"
#include "listen.h"
#include "loop/child.h"
#include "loop/http.h"
#include "value/pack.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define TIMEOUT_MS        10000 /* where it will pass ... */
#define TIMEOUT_MS_ELSE   30000 /* ... and where a busy machine must not make it pass */
#define STEP_US           ((mono_us)100000) /* the clock goes on by this ... */
#define QUIET_MS          12                /* ... whenever so long nothing has come */
#define QUIET_MS_RESOLVER 200
#define REPLY_BYTES       65536
#define TOOLS             3

enum { READS, WRITES, WRITES_ONCE };
static const char *const tool_names[TOOLS] = {"read-only", "writing", "with a key"};

static const struct {
    const char *name;
    enum fault_kind kind;
} faults[FAULT_COUNT] = {
#define FAULT(id, text, kind) {text, FAULT_BY_##kind},
    FAULTS(FAULT)
#undef FAULT
};

/* ---- what is right ----------------------------------------------------------------------- */

/* What the caller gets and how many tools/call the server sees, where the fault strikes always and
 * where it strikes once; calls -1: the fault cannot strike once. The third figure: whether a
 * repeat with the same key reaches the server (once the fault is over). */
struct right {
    const char *code;
    int calls;
    const char *code_once;
    int calls_once;
};
struct rights {
    struct right reads, writes;
    bool repeats; /* nothing was done: a repeat with the same key is carried out */
};

#define NEVER "-", -1
static const struct rights rights[FAULT_COUNT] = {
    [FAULT_NONE] = {{"ok", 1, "ok", 1}, {"ok", 1, "ok", 1}, false},
    [FAULT_REFUSED] = {{"UNAVAILABLE", 0, NEVER}, {"UNAVAILABLE", 0, NEVER}, true},
    [FAULT_RESET_BEFORE] = {{"UNAVAILABLE", 0, NEVER}, {"UNAVAILABLE", 0, NEVER}, true},
    [FAULT_RESET_AFTER] = {{"UNAVAILABLE", 3, "ok", 2},
                           {"OUTCOME_UNKNOWN", 1, "OUTCOME_UNKNOWN", 1},
                           false},
    [FAULT_DNS] = {{"UNAVAILABLE", 0, NEVER}, {"UNAVAILABLE", 0, NEVER}, true},
    [FAULT_TLS] = {{"UNAVAILABLE", 0, NEVER}, {"UNAVAILABLE", 0, NEVER}, true},
    [FAULT_STATUS_500] = {{"UNAVAILABLE", 3, "ok", 2},
                          {"OUTCOME_UNKNOWN", 1, "OUTCOME_UNKNOWN", 1},
                          false},
    [FAULT_STATUS_502] = {{"UNAVAILABLE", 3, "ok", 2},
                          {"OUTCOME_UNKNOWN", 1, "OUTCOME_UNKNOWN", 1},
                          false},
    [FAULT_STATUS_503] = {{"UNAVAILABLE", 3, "ok", 2},
                          {"OUTCOME_UNKNOWN", 1, "OUTCOME_UNKNOWN", 1},
                          false},
    [FAULT_STATUS_503_AFTER] = {{"UNAVAILABLE", 3, "ok", 2}, {"UNAVAILABLE", 3, "ok", 2}, true},
    [FAULT_LIMIT_SECONDS] = {{"RATE_LIMITED", 3, "ok", 2}, {"RATE_LIMITED", 3, "ok", 2}, true},
    [FAULT_LIMIT_DATE] = {{"RATE_LIMITED", 3, "ok", 2}, {"RATE_LIMITED", 3, "ok", 2}, true},
    [FAULT_LIMIT_RESET] = {{"RATE_LIMITED", 3, "ok", 2}, {"RATE_LIMITED", 3, "ok", 2}, true},
    [FAULT_HANG] = {{"TIMEOUT", 1, "TIMEOUT", 1}, {"TIMEOUT", 1, "TIMEOUT", 1}, false},
    [FAULT_DRIP] = {{"TIMEOUT", 1, "TIMEOUT", 1}, {"TIMEOUT", 1, "TIMEOUT", 1}, false},
    [FAULT_TRUNCATED] = {{"UNAVAILABLE", 3, "ok", 2},
                         {"OUTCOME_UNKNOWN", 1, "OUTCOME_UNKNOWN", 1},
                         false},
    [FAULT_BAD_JSON] = {{"EXTERNAL_TOOL_EXECUTION_FAILED", 1, "EXTERNAL_TOOL_EXECUTION_FAILED",
                         1},
                        {"EXTERNAL_TOOL_EXECUTION_FAILED", 1, "EXTERNAL_TOOL_EXECUTION_FAILED",
                         1},
                        false},
    [FAULT_WRONG_ID] = {{"EXTERNAL_TOOL_EXECUTION_FAILED", 1, "EXTERNAL_TOOL_EXECUTION_FAILED",
                         1},
                        {"EXTERNAL_TOOL_EXECUTION_FAILED", 1, "EXTERNAL_TOOL_EXECUTION_FAILED",
                         1},
                        false},
    [FAULT_EXITS] = {{"UNAVAILABLE", 3, "ok", 2},
                     {"OUTCOME_UNKNOWN", 1, "OUTCOME_UNKNOWN", 1},
                     false},
    [FAULT_KILLED] = {{"UNAVAILABLE", 3, "ok", 2},
                      {"OUTCOME_UNKNOWN", 1, "OUTCOME_UNKNOWN", 1},
                      false},
    [FAULT_DEAF] = {{"TIMEOUT", 0, NEVER}, {"TIMEOUT", 0, NEVER}, false},
    [FAULT_STATUS_401] = {{"AUTH_FAILED", 1, "AUTH_FAILED", 1},
                          {"AUTH_FAILED", 1, "AUTH_FAILED", 1},
                          true},
    [FAULT_STATUS_403] = {{"AUTH_FAILED", 1, "AUTH_FAILED", 1},
                          {"AUTH_FAILED", 1, "AUTH_FAILED", 1},
                          true},
};

/* ---- the daemon's rooms ------------------------------------------------------------------ */

static struct {
    struct board *board;
    char folder[64], board_path[96], config_path[96], state_path[96], socket_path[96];
    pid_t peer;
    int refusing, refusing_port; /* bound, and nobody listens */
    struct loop *loop;
    struct children *children;
    struct http *http;
    struct api *api;
    struct listening listening;
    int client;
    unsigned msgid, wrong;
    struct buf complaints; /* of the row under way */
} m;

static void die(const char *what)
{
    perror(what);
    exit(2);
}

static void nothing(void *arg)
{
    (void)arg;
}

static void make_board(void)
{
    (void)snprintf(m.folder, sizeof m.folder, "/tmp/fault_matrix.XXXXXX");
    if (!mkdtemp(m.folder)) {
        die("mkdtemp");
    }
    (void)snprintf(m.board_path, sizeof m.board_path, "%s/board", m.folder);
    (void)snprintf(m.config_path, sizeof m.config_path, "%s/config", m.folder);
    (void)snprintf(m.state_path, sizeof m.state_path, "%s/state", m.folder);
    (void)snprintf(m.socket_path, sizeof m.socket_path, "%s/socket", m.folder);
    int fd = open(m.board_path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0 || ftruncate(fd, sizeof *m.board) != 0 || mkdir(m.config_path, 0700) != 0 ||
        mkdir(m.state_path, 0700) != 0) {
        die(m.folder);
    }
    m.board = mmap(NULL, sizeof *m.board, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (m.board == MAP_FAILED) {
        die("mmap");
    }
    (void)close(fd);
}

static void start_peer(const char *program)
{
    m.peer = fork();
    if (m.peer == 0) {
        (void)execl(program, program, m.board_path, "http", (char *)NULL);
        die(program);
    }
    for (unsigned i = 0; i < 1000 && !atomic_load(&m.board->resetting_port); i++) {
        (void)usleep(10000);
    }
    if (m.peer < 0 || !atomic_load(&m.board->resetting_port)) {
        die("the faulty server does not start");
    }
}

static void take_refusing_port(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    m.refusing = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (m.refusing < 0 || bind(m.refusing, (struct sockaddr *)&address, length) != 0 ||
        getsockname(m.refusing, (struct sockaddr *)&address, &length) != 0) {
        die("bind");
    }
    m.refusing_port = ntohs(address.sin_port);
}

static unsigned slot_of(enum fault_id fault, unsigned tool, bool once)
{
    return ((unsigned)fault * TOOLS + tool) * 2 + once;
}

static int timeout_of(enum fault_id fault)
{
    bool passes = fault == FAULT_HANG || fault == FAULT_DRIP || fault == FAULT_DEAF;
    return passes ? TIMEOUT_MS : TIMEOUT_MS_ELSE;
}

static void write_service(FILE *file, unsigned number, enum fault_id fault, const char *program)
{
    int port = atomic_load(&m.board->port);
    (void)fprintf(file, "s%u = { era = \"legacy\", trust_annotations = true, timeout_ms = %d, ",
                  number, timeout_of(fault));
    switch (faults[fault].kind) {
    case FAULT_BY_HTTP:
        (void)fprintf(file, "url = \"http://127.0.0.1:%d/%u\"", port, number);
        break;
    case FAULT_BY_STDIO:
        (void)fprintf(file, "command = \"%s\", args = { \"%s\", \"stdio\", \"%u\" }", program,
                      m.board_path, number);
        break;
    case FAULT_BY_REFUSING:
        (void)fprintf(file, "url = \"http://127.0.0.1:%d/%u\"", m.refusing_port, number);
        break;
    case FAULT_BY_RESETTING:
        (void)fprintf(file, "url = \"https://127.0.0.1:%d/%u\"",
                      atomic_load(&m.board->resetting_port), number);
        break;
    case FAULT_BY_NAMELESS:
        (void)fprintf(file, "url = \"https://nowhere.invalid/%u\"", number);
        break;
    case FAULT_BY_TLS:
        (void)fprintf(file, "url = \"https://127.0.0.1:%d/%u\"", port, number);
        break;
    }
    (void)fprintf(file, " },\n");
}

static FILE *config_file(const char *name)
{
    char path[160];
    (void)snprintf(path, sizeof path, "%s/%s", m.config_path, name);
    FILE *file = fopen(path, "we");
    if (!file) {
        die(path);
    }
    return file;
}

static void write_config(const char *program)
{
    FILE *file = config_file("services.lua");
    (void)fprintf(file, "return {\n");
    for (unsigned fault = 0; fault < FAULT_COUNT; fault++) {
        for (unsigned tool = 0; tool < TOOLS; tool++) {
            write_service(file, slot_of((enum fault_id)fault, tool, false),
                          (enum fault_id)fault, program);
            write_service(file, slot_of((enum fault_id)fault, tool, true), (enum fault_id)fault,
                          program);
        }
    }
    (void)fprintf(file, "}\n");
    (void)fclose(file);
    file = config_file("toolbroker.lua");
    (void)fprintf(file, "return { log = { level = \"%s\" } }\n",
                  getenv("FAULT_MATRIX_LOG") ? "debug" : "error");
    (void)fclose(file);
    file = config_file("policy.lua");
    (void)fprintf(file, "agent \"a\" { title = \"A\", services = { \"*\" } }\n"
                        "demo { when = \"never\", agents = \"*\" }\n");
    (void)fclose(file);
}

static void start_rooms(int helper)
{
    struct config config = {0};
    struct faults found;
    struct err err;
    faults_init(&found);
    if (config_load(m.config_path, &config, &found) != 0) {
        (void)fprintf(stderr, "%s: %s\n", found.list[0].file, found.list[0].text);
        exit(2);
    }
    faults_done(&found);
    if (listen_open(m.socket_path, &m.listening, &err) != 0) {
        (void)fprintf(stderr, "%s\n", err.text);
        exit(2);
    }
    m.loop = loop_new();
    m.children = children_new(m.loop, helper);
    m.http = http_new(m.loop);
    m.api = api_new(&(struct api_options){.loop = m.loop,
                                          .children = m.children,
                                          .http = m.http,
                                          .config_folder = m.config_path,
                                          .state_folder = m.state_path,
                                          .socket = m.socket_path,
                                          .shutdown = nothing,
                                          .reloaded = nothing},
                    &config);
    config_done(&config);
    rpc_server_listen(api_server(m.api), m.listening.fd);
    loop_freeze(m.loop);
}

static void connect_client(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    (void)snprintf(address.sun_path, sizeof address.sun_path, "%s", m.socket_path);
    m.client = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (m.client < 0 || connect(m.client, (struct sockaddr *)&address, sizeof address) != 0) {
        die(m.socket_path);
    }
}

/* ---- one call ---------------------------------------------------------------------------- */

struct seen {
    char code[48];
    char retry[16];   /* why it was not tried again, where it says so */
    int64_t attempts; /* as the answer has it; -1: it does not say */
    int calls, done;  /* as the server has it */
    int64_t ms;       /* on the fake clock */
    bool is_recorded; /* a warning says that it is the outcome of an earlier call */
};

static void send_call(const char *service, unsigned tool, const char *key)
{
    struct buf frame;
    char name[64];
    buf_init(&frame, 4096);
    (void)snprintf(name, sizeof name, "%s/%s", service, tool == READS ? "read" : "write");
    pack_put_array(&frame, 4);
    pack_put_uint(&frame, 0);
    pack_put_uint(&frame, ++m.msgid);
    pack_put_text(&frame, "tools.call");
    pack_put_array(&frame, 1);
    pack_put_map(&frame, key ? 4 : 3);
    pack_put_key_text(&frame, "tool", name);
    pack_put_key_text(&frame, "agent", "a");
    pack_put_text(&frame, "arguments");
    pack_put_map(&frame, 0);
    if (key) {
        pack_put_key_text(&frame, "idempotency_key", key);
    }
    if (send(m.client, frame.data, frame.len, MSG_NOSIGNAL) != (ssize_t)frame.len) {
        die("send");
    }
    buf_done(&frame);
}

/* The one answer there is to come, with the clock jumping while nothing happens. */
static struct slice await_answer(unsigned quiet_ms)
{
    static char bytes[REPLY_BYTES];
    size_t len = 0;
    unsigned quiet = 0;
    for (unsigned i = 0; i < 2000000; i++) {
        atomic_store(&m.board->wall_ms, loop_wall(m.loop));
        loop_turn(m.loop, 1000);
        ssize_t count = recv(m.client, bytes + len, sizeof bytes - len, 0);
        if (count > 0) {
            len += (size_t)count;
            struct pack cursor = pack_over((struct slice){bytes, len});
            struct slice message;
            if (pack_take(&cursor, &message)) {
                return message;
            }
        }
        if (++quiet >= quiet_ms) {
            quiet = 0;
            loop_advance(m.loop, STEP_US);
        }
    }
    die("no answer");
    return (struct slice){NULL, 0};
}

static bool has_warning(struct slice result, const char *words)
{
    struct slice warnings;
    return pack_get(result, "warnings", &warnings) &&
           memmem(warnings.ptr, warnings.len, words, strlen(words));
}

static void read_answer(struct slice message, struct seen *ret)
{
    struct pack cursor = pack_over(message);
    struct pack_item item;
    struct slice error, result, code, details;
    (void)pack_next(&cursor, &item);
    (void)pack_next(&cursor, &item);
    (void)pack_next(&cursor, &item);
    ret->attempts = -1;
    if (!pack_take(&cursor, &error) || !pack_take(&cursor, &result)) {
        die("the answer is no response");
    }
    if (pack_get_text(error, "code", &code)) {
        (void)snprintf(ret->code, sizeof ret->code, "%.*s", SLICE_ARG(code));
        if (pack_get(error, "details", &details)) {
            (void)pack_get_int(details, "attempts", &ret->attempts);
            if (pack_get_text(details, "no_retry", &code)) {
                (void)snprintf(ret->retry, sizeof ret->retry, "%.*s", SLICE_ARG(code));
            }
        }
        return;
    }
    (void)snprintf(ret->code, sizeof ret->code, "ok");
    (void)pack_get_int(result, "attempts", &ret->attempts);
    ret->is_recorded = has_warning(result, "idempotency_key");
}

static struct seen call(enum fault_id fault, unsigned number, unsigned tool, const char *key)
{
    struct slot *slot = &m.board->slots[number];
    struct seen seen = {0};
    char service[16];
    int calls = atomic_load(&slot->calls), done = atomic_load(&slot->done);
    mono_us began = loop_now(m.loop);
    bool resolves = faults[fault].kind == FAULT_BY_NAMELESS;
    (void)snprintf(service, sizeof service, "s%u", number);
    send_call(service, tool, key);
    read_answer(await_answer(resolves ? QUIET_MS_RESOLVER : QUIET_MS), &seen);
    seen.calls = atomic_load(&slot->calls) - calls;
    seen.done = atomic_load(&slot->done) - done;
    seen.ms = (loop_now(m.loop) - began) / 1000;
    return seen;
}

/* ---- one cell ---------------------------------------------------------------------------- */

static bool says_nothing_done(enum fault_id fault)
{
    return fault == FAULT_STATUS_503_AFTER || fault == FAULT_STATUS_401 ||
           (fault >= FAULT_LIMIT_SECONDS && fault <= FAULT_LIMIT_RESET);
}

static void complain(enum fault_id fault, unsigned tool, const char *what,
                     const struct seen *seen)
{
    m.wrong++;
    buf_printf(&m.complaints,
               "  WRONG  %s, %s: %s (got %s, %d at the server, %d done, %lld ms)\n",
               faults[fault].name, tool_names[tool], what, seen->code, seen->calls, seen->done,
               (long long)seen->ms);
}

static void check(enum fault_id fault, unsigned tool, const struct seen *seen, const char *code,
                  int calls)
{
    if (strcmp(seen->code, code) != 0) {
        complain(fault, tool, code, seen);
    }
    if (seen->calls != calls) {
        complain(fault, tool, "another number of calls reached the server", seen);
    }
    if (tool != READS && (seen->done > 1 || (seen->calls > 1 && !says_nothing_done(fault)))) {
        complain(fault, tool, "it was sent twice", seen);
    }
    if (seen->ms > timeout_of(fault) + 200) {
        complain(fault, tool, "it took longer than its deadline", seen);
    }
}

/* The same call with the same key, when the fault is over. */
static const char *repeat(enum fault_id fault, unsigned number, const char *key,
                          const struct seen *first)
{
    const struct rights *right = &rights[fault];
    atomic_store(&m.board->slots[number].times, 0);
    if (faults[fault].kind != FAULT_BY_HTTP && faults[fault].kind != FAULT_BY_STDIO) {
        return "-"; /* it cannot be mended from here */
    }
    struct seen again = call(fault, number, WRITES_ONCE, key);
    bool was_ok = strcmp(first->code, "ok") == 0;
    if (!was_ok && right->repeats) {
        if (again.calls != 1 || strcmp(again.code, "ok") != 0) {
            complain(fault, WRITES_ONCE, "nothing had been done, and the repeat did not do it",
                     &again);
        }
        return "done now";
    }
    const char *expected =
        strcmp(first->code, "TIMEOUT") == 0 ? "OUTCOME_UNKNOWN" : first->code;
    if (again.calls != 0 || strcmp(again.code, expected) != 0 || again.is_recorded != was_ok) {
        complain(fault, WRITES_ONCE, "the repeat did not get the outcome", &again);
    }
    return was_ok ? "first outcome" : expected;
}

static void put_cell(const struct seen *seen)
{
    (void)printf(" | %d  %-15.15s %6lld ms", seen->calls, seen->code, (long long)seen->ms);
}

static void row(enum fault_id fault, bool once)
{
    const char *repeated = "";
    (void)printf("%-22s", faults[fault].name);
    struct seen cells[TOOLS];
    for (unsigned tool = 0; tool < TOOLS; tool++) {
        unsigned number = slot_of(fault, tool, once);
        char key[32];
        (void)snprintf(key, sizeof key, "key-%u", number);
        atomic_store(&m.board->slots[number].fault, (int)fault);
        atomic_store(&m.board->slots[number].times, once ? 1 : -1);
        cells[tool] = call(fault, number, tool, tool == WRITES_ONCE ? key : NULL);
        put_cell(&cells[tool]);
        if (tool == WRITES_ONCE) {
            repeated = repeat(fault, number, key, &cells[tool]);
        }
    }
    (void)printf(" | %s\n", repeated);
    for (unsigned tool = 0; tool < TOOLS; tool++) {
        const struct right *right =
            tool == READS ? &rights[fault].reads : &rights[fault].writes;
        check(fault, tool, &cells[tool], once ? right->code_once : right->code,
              once ? right->calls_once : right->calls);
    }
    (void)printf("%s", buf_text(&m.complaints));
    buf_clear(&m.complaints);
    (void)fflush(stdout);
}

static void table(bool once, const char *only)
{
    (void)printf(
        "\n%s: calls at the server, what the caller got, time on the fake clock\n%-22s",
        once ? "The fault strikes once" : "The fault strikes always", "");
    for (unsigned tool = 0; tool < TOOLS; tool++) {
        (void)printf(" | %-28s", tool_names[tool]);
    }
    (void)printf(" | repeated with its key\n");
    for (unsigned fault = 0; fault < FAULT_COUNT; fault++) {
        bool is_possible = !once || rights[fault].reads.calls_once >= 0;
        if (is_possible && (!only || strcmp(only, faults[fault].name) == 0)) {
            row((enum fault_id)fault, once);
        }
    }
}

/* ---- the end ----------------------------------------------------------------------------- */

static void stop(void)
{
    listen_close(&m.listening);
    api_free(m.api);
    http_free(m.http);
    children_free(m.children);
    loop_free(m.loop);
    (void)close(m.client);
    (void)close(m.refusing);
    (void)kill(m.peer, SIGKILL);
    (void)waitpid(m.peer, NULL, 0);
    (void)munmap(m.board, sizeof *m.board);
    char command[128];
    (void)snprintf(command, sizeof command, "rm -rf '%s'", m.folder);
    if (system(command) != 0) {
        (void)fprintf(stderr, "%s is left\n", m.folder);
    }
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        (void)fprintf(stderr, "usage: fault_matrix PEER [FAULT]\n");
        return 2;
    }
    int helper = children_fork_helper();
    buf_init(&m.complaints, 65536);
    make_board();
    start_peer(argv[1]);
    take_refusing_port();
    write_config(argv[1]);
    start_rooms(helper);
    connect_client();
    table(false, argc > 2 ? argv[2] : NULL);
    table(true, argc > 2 ? argv[2] : NULL);
    stop();
    buf_done(&m.complaints);
    (void)printf("\n%u cells are wrong\n", m.wrong);
    return m.wrong != 0;
}
