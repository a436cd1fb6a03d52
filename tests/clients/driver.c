/* SPDX-License-Identifier: MIT */
/*
 * driver.c - drives the C client for the tests: requests as JSON lines on stdin, what came of them
 * as JSON lines on stdout. Uses the public header alone, as any C program would.
 *
 *   driver SOCKET AGENT USER LOCALE RECONNECT_MS FRAME_BYTES CAPABILITIES [ANSWER]...
 *     ("-" and 0: not given); ANSWER: METHOD=JSON, METHOD= refuses, METHOD=wait leaves it open
 *   METHOD TIMEOUT_MS PARAMS_JSON_OR_-   -> {"status", "result" | "error", "notifications",
 *                                            "questions", "taken_back"}
 *   connect                              -> the same, with the daemon's hello as result
 *   notify METHOD PARAMS_JSON
 *   listen TIMEOUT_MS
 */
#include "toolbroker/client.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NOTES_BYTES 65536

static char notes[NOTES_BYTES], questions[NOTES_BYTES];
static int taken_back;
static struct tb_client *client;
static char **answers; /* METHOD=JSON, up to a NULL */

static void print_json(struct tb_bytes value)
{
    char *json;
    size_t len;
    char why[TB_ERROR_TEXT];
    if (value.len == 0) {
        (void)fputs("null", stdout);
    } else if (tb_msgpack_to_json(value.data, value.len, &json, &len, why) == TB_OK) {
        (void)fwrite(json, 1, len, stdout);
        tb_release(json);
    } else {
        (void)fprintf(stderr, "driver: %s\n", why);
        exit(2);
    }
}

static void on_notification(void *arg, const char *method, uint32_t msgid,
                            struct tb_bytes params)
{
    char *json = NULL;
    size_t len = 0;
    size_t at = strlen(notes);
    (void)arg;
    if (params.len && tb_msgpack_to_json(params.data, params.len, &json, &len, NULL) != TB_OK) {
        exit(2);
    }
    (void)snprintf(notes + at, sizeof notes - at, "%s[\"%s\",%s,%s]", at ? "," : "", method,
                   msgid ? "true" : "false", json ? json : "null");
    tb_release(json);
}

static const char *answer_to(const char *method)
{
    size_t len = strlen(method);
    for (char **answer = answers; *answer; answer++) {
        if (strncmp(*answer, method, len) == 0 && (*answer)[len] == '=') {
            return *answer + len + 1;
        }
    }
    return "";
}

struct later {
    uint64_t id;
    const char *json;
};

static void answer(uint64_t id, const char *json)
{
    char *packed = NULL;
    size_t len = 0;
    if (*json && tb_json_to_msgpack(json, strlen(json), &packed, &len, NULL) != TB_OK) {
        exit(2);
    }
    if (len && tb_answer(client, id, (struct tb_bytes){packed, len - 1})) {
        exit(3); /* half a value is no answer, and leaves the question open */
    }
    if (!tb_answer(client, id, (struct tb_bytes){packed, len}) ||
        tb_answer(client, id, (struct tb_bytes){packed, len})) {
        exit(3); /* open once, and not again */
    }
    tb_release(packed);
}

static void *answer_later(void *arg)
{
    struct later *later = arg;
    answer(later->id, later->json);
    free(later);
    return NULL;
}

/* An elicitation is answered at once, anything else by another thread. */
static void on_question(void *arg, const struct tb_question *question)
{
    char *json = NULL;
    size_t len = 0;
    size_t at = strlen(questions);
    const char *text = answer_to(question->method);
    pthread_t thread;
    (void)arg;
    if (tb_msgpack_to_json(question->params.data, question->params.len, &json, &len, NULL) !=
        TB_OK) {
        exit(2);
    }
    (void)snprintf(questions + at, sizeof questions - at, "%s[\"%s\",%s,%s]", at ? "," : "",
                   question->method, question->msgid ? "true" : "false", json);
    tb_release(json);
    if (strcmp(text, "wait") == 0) {
        return;
    }
    if (strcmp(question->method, "elicitation.create") == 0) {
        answer(question->id, text);
        return;
    }
    struct later *later = malloc(sizeof *later);
    if (!later) {
        exit(1);
    }
    *later = (struct later){question->id, text};
    if (pthread_create(&thread, NULL, answer_later, later) != 0) {
        exit(1);
    }
    (void)pthread_detach(thread);
}

static void on_taken_back(void *arg, uint64_t id)
{
    (void)arg;
    if (tb_answer(client, id, (struct tb_bytes){NULL, 0})) {
        exit(3); /* it was taken back, but is open */
    }
    taken_back++;
}

static void report(enum tb_status status, struct tb_bytes result)
{
    (void)printf("{\"status\":\"%s\",\"%s\":", tb_status_name(status),
                 status == TB_OK ? "result" : "error");
    print_json(status == TB_OK ? result : tb_last_error(client)->map);
    (void)printf(",\"notifications\":[%s],\"questions\":[%s],\"taken_back\":%d}\n", notes,
                 questions, taken_back);
    (void)fflush(stdout);
    notes[0] = questions[0] = '\0';
    taken_back = 0;
}

static char *next_word(char **line)
{
    char *word = *line;
    char *space = strchr(word, ' ');
    *line = space ? space + 1 : word + strlen(word);
    if (space) {
        *space = '\0';
    }
    return word;
}

static int number(const char *text)
{
    return (int)strtol(text, NULL, 10);
}

static void obey(char *line)
{
    struct tb_bytes result = {NULL, 0};
    struct tb_bytes params = {NULL, 0};
    char *packed = NULL;
    char why[TB_ERROR_TEXT];
    char *method = next_word(&line);
    if (strcmp(method, "connect") == 0) {
        enum tb_status status = tb_connect(client);
        report(status, tb_hello(client));
        return;
    }
    if (strcmp(method, "listen") == 0) {
        report(tb_listen(client, number(line)), result);
        return;
    }
    bool is_notification = strcmp(method, "notify") == 0;
    method = is_notification ? next_word(&line) : method;
    int timeout_ms = is_notification ? 0 : number(next_word(&line));
    if (strcmp(line, "-") != 0 &&
        tb_json_to_msgpack(line, strlen(line), &packed, &params.len, why) != TB_OK) {
        (void)fprintf(stderr, "driver: %s\n", why);
        exit(2);
    }
    params.data = packed;
    enum tb_status status = is_notification
                                ? tb_notify(client, method, params)
                                : tb_call(client, method, params, timeout_ms, &result);
    report(status, result);
    tb_release(packed);
}

static const char *given(const char *word)
{
    return strcmp(word, "-") == 0 ? NULL : word;
}

int main(int argc, char **argv)
{
    static char line[16777216];
    if (argc < 8) {
        return 2;
    }
    answers = argv + 8;
    struct tb_options options = {.socket = argv[1],
                                 .agent = given(argv[2]),
                                 .user = given(argv[3]),
                                 .locale = given(argv[4]),
                                 .reconnect_ms = number(argv[5]),
                                 .frame_bytes = (size_t)number(argv[6]),
                                 .notify = on_notification,
                                 .capabilities = (unsigned)number(argv[7]),
                                 .question = number(argv[7]) ? on_question : NULL,
                                 .taken_back = on_taken_back};
    client = tb_client_new(&options);
    while (client && fgets(line, (int)sizeof line, stdin)) {
        line[strcspn(line, "\n")] = '\0';
        obey(line);
    }
    tb_client_free(client);
    return client ? 0 : 1;
}
