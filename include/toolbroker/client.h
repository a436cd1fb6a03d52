/* SPDX-License-Identifier: MIT */
/*
 * client.h - a small client of the toolbroker daemon: one connection, one thread, blocking calls
 * with deadlines. For C11 and C++11; link with toolbroker_client.
 *
 * Owns:    struct tb_client owns its connection and everything that its functions hand out
 *          (results, errors, texts). What a function handed out is valid until the next function
 *          that takes the same client; only tb_json_to_msgpack and tb_msgpack_to_json give memory
 *          away, to be released with tb_release.
 * Thread:  a client belongs to one thread at a time; different clients are independent. Only
 *          tb_cancel may be called from anywhere, a signal handler included, and tb_answer from
 *          any thread.
 * Errors:  functions that can fail return enum tb_status; tb_last_error has the words. A failure
 *          of the client's own has the same form as one that the daemon reports.
 * Units:   timeouts are milliseconds; TB_FOREVER waits without a limit.
 *
 * Connecting: tb_call connects by itself, says `hello`, and connects again when the daemon was
 * restarted. A request is repeated on a new connection only if no byte of it was sent; a request
 * that was sent and whose answer was lost is TB_LOST, and never repeated.
 *
 * Repeating: give a tools.call that must not be done twice an `idempotency_key`, a name of the
 * caller's own for this one effect. It is done once in 24 hours, restarts of the daemon included, and
 * a repeat with the same key and arguments gets the first outcome: after TB_LOST and TB_TIMEOUT its
 * error says `retryable`, and the same call may be made again. Without a key it does not.
 *
 *     struct tb_options options = {0};
 *     options.agent = "coordinator";
 *     struct tb_client *client = tb_client_new(&options);
 *     const char *answer;
 *     if (tb_call_json(client, "tools.call", "{\"tool\":\"everything/echo\","
 *                      "\"arguments\":{\"message\":\"hello\"}}", 30000, &answer) == TB_OK)
 *         puts(answer);
 *     else
 *         fprintf(stderr, "%s\n", tb_last_error(client)->message);
 *     tb_client_free(client);
 */
#ifndef TOOLBROKER_CLIENT_H
#define TOOLBROKER_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define TB_FOREVER (-1)

/* How a function ended. Whether a request may have been carried out is the difference between
 * TB_UNREACHABLE (it was not) and TB_LOST (nobody knows). */
enum tb_status {
    TB_OK = 0,
    TB_REMOTE,      /* the daemon answered with an error */
    TB_UNREACHABLE, /* no daemon, or the connection broke before the request was out */
    TB_LOST,        /* the connection broke after the request was out */
    TB_TIMEOUT,     /* the deadline passed; the daemon was told to cancel */
    TB_CANCELLED,   /* tb_cancel was called and the daemon did not answer in time */
    TB_PROTOCOL,    /* the peer does not speak MessagePack-RPC, or passed a limit */
    TB_INVALID      /* an argument that cannot work; nothing was sent */
};

/* A borrowed run of bytes, not terminated. */
struct tb_bytes {
    const char *data;
    size_t len;
};

/* What went wrong. The texts are never NULL; "" where there is none. */
struct tb_error {
    enum tb_status status;
    const char *code;         /* UNAVAILABLE, POLICY_DENIED ...: `describe` lists them all */
    const char *message;      /* for a developer or a log, in English */
    const char *user_message; /* for a person, from the daemon's policy */
    const char *suggestion;   /* what to do about it */
    const char *request_id;   /* as in the daemon's log; "" if the daemon never answered */
    bool retryable;           /* whether the same call may succeed later; never set where a
                                 repeat could do it twice */
    int64_t retry_after_ms;   /* -1: not known */
    struct tb_bytes details;  /* a MessagePack map; empty if there are none */
    struct tb_bytes map;      /* all of the above as the MessagePack map of the wire */
};

/* A notification that arrives while a function of this client waits: `progress`, `log`, `event`.
 * `params` is its map in MessagePack, valid during the callback; empty if there is none. `msgid`
 * is that of the call it belongs to, 0 if it belongs to none. The callback may call tb_cancel and
 * the helpers at the end of this file, but nothing else on this client. */
typedef void tb_notify_fn(void *arg, const char *method, uint32_t msgid,
                          struct tb_bytes params);

/* What a client can be asked, for options.capabilities. */
enum tb_capability {
    TB_ELICIT_FORM = 1,  /* elicitation.create: the user fills in a form */
    TB_ELICIT_URL = 2,   /* elicitation.create: the user visits a URL */
    TB_SAMPLE = 4,       /* sampling.create: a model's answer */
    TB_SAMPLE_TOOLS = 8, /* the same with tools */
    TB_LIST_ROOTS = 16   /* roots.list: the folders to work in */
};

/* A server asks something in the course of a call of this client. `method` is one of those above;
 * `params` is the MCP map with `service`, `tool` and `msgid`, the call's own, which is also in
 * `msgid`. Texts and params are valid during the callback; the `id` is, for tb_answer, until the
 * question is answered or taken back. */
struct tb_question {
    uint64_t id;
    const char *method;
    uint32_t msgid;
    struct tb_bytes params;
};

/* Answer with tb_answer, in the callback or later; while the callback runs nothing else of this
 * client goes on, so what takes long (a person) belongs elsewhere. It may call tb_answer,
 * tb_cancel and the helpers at the end of this file, but nothing else on this client. */
typedef void tb_question_fn(void *arg, const struct tb_question *question);

/* Nobody waits for that answer any more: the call ended, or the connection did. */
typedef void tb_taken_back_fn(void *arg, uint64_t id);

/* All fields may be zero. Texts are copied by tb_client_new. */
struct tb_options {
    const char *socket;  /* path; NULL: see tb_client_socket */
    const char *client;  /* name of the program, for `hello`; NULL: "toolbroker-c" */
    const char *version; /* its version; NULL: the library's */
    const char *agent;   /* defaults for the calls of this connection, or NULL */
    const char *user;
    const char *locale;
    int connect_ms;     /* limit for connect and `hello`; 0: 5000 */
    int reconnect_ms;   /* how long a daemon that is away is looked for; 0: 5000, and not at all
                           for the first connection */
    size_t frame_bytes; /* limit for one incoming message; 0: 64 MiB */
    tb_notify_fn *notify;
    void *notify_arg;
    unsigned capabilities;    /* of enum tb_capability, said in each `hello` */
    tb_question_fn *question; /* NULL: every question is refused, which servers take for no */
    tb_taken_back_fn *taken_back;
    void *question_arg; /* of both */
};

struct tb_client;

/* A client that is not connected yet. NULL only when there is no memory. `options` may be NULL. */
struct tb_client *tb_client_new(const struct tb_options *options);
void tb_client_free(struct tb_client *client); /* closes; NULL is fine */

/* Where the daemon is looked for: options.socket, else $TOOLBROKER_SOCKET, else
 * $XDG_RUNTIME_DIR/toolbroker/toolbroker.sock if it is there, else
 * /run/toolbroker/toolbroker.sock. Valid as long as the client. */
const char *tb_client_socket(const struct tb_client *client);

/* Connects and says `hello` unless that is done. Calls do it by themselves: this is for those who
 * want to know early. */
enum tb_status tb_connect(struct tb_client *client);

/* What the daemon answered to `hello`, a MessagePack map; empty while there is no connection.
 * Valid until the next connection. */
struct tb_bytes tb_hello(const struct tb_client *client);

/* Calls `method` with `params`, one MessagePack map, or empty for none, and waits for the answer
 * for at most `timeout_ms`. On TB_OK *ret is the result in MessagePack. */
enum tb_status tb_call(struct tb_client *client, const char *method, struct tb_bytes params,
                       int timeout_ms, struct tb_bytes *ret);

/* The same with JSON text in (NULL for no params) and terminated JSON text out. */
enum tb_status tb_call_json(struct tb_client *client, const char *method, const char *params,
                            int timeout_ms, const char **ret);

/* Sends a notification, which has no answer. */
enum tb_status tb_notify(struct tb_client *client, const char *method, struct tb_bytes params);

/* Asks the daemon for a sign of life; *ret_us, unless NULL, is the time it took. */
enum tb_status tb_ping(struct tb_client *client, int timeout_ms, int64_t *ret_us);

/* Waits for notifications and hands them to options.notify. Ends with TB_TIMEOUT, which is the
 * good end, with TB_CANCELLED after tb_cancel, or when the connection is lost. */
enum tb_status tb_listen(struct tb_client *client, int timeout_ms);

/* Ends the call under way: the daemon is told, and its answer (as a rule the error CANCELLED) is
 * waited for for a second; a second tb_cancel ends the waiting too. Without a call under way the
 * next one is cancelled. Safe in signal handlers and from other threads. */
void tb_cancel(struct tb_client *client);

/* Answers a question: `result` is the MCP result, one MessagePack map ({action, content?},
 * {role, content, model} or {roots}), copied; empty: it is refused. False: the question is not
 * open any more, or `result` is no map. From any thread; the bytes go out as soon as a function
 * of this client waits, as it does while the call that brought the question is under way. */
bool tb_answer(struct tb_client *client, uint64_t id, struct tb_bytes result);

/* The failure of the last function that did not return TB_OK. */
const struct tb_error *tb_last_error(const struct tb_client *client);

/* "unreachable", "lost" ...; static. */
const char *tb_status_name(enum tb_status status);

/* JSON text to MessagePack and back. On TB_OK *ret is new memory, released with tb_release, and
 * *ret_len its length; the JSON text is terminated besides. On TB_INVALID *ret is left alone and
 * `reterr` (NULL, or at least TB_ERROR_TEXT bytes) says what is wrong at which place. Numbers
 * survive both ways: those that no int64, uint64 or float64 holds are MessagePack ext type 1. */
#define TB_ERROR_TEXT 320
enum tb_status tb_json_to_msgpack(const char *json, size_t len, char **ret, size_t *ret_len,
                                  char *reterr);
enum tb_status tb_msgpack_to_json(const char *bytes, size_t len, char **ret, size_t *ret_len,
                                  char *reterr);
void tb_release(void *memory); /* NULL is fine */

#ifdef __cplusplus
}
#endif

#endif
