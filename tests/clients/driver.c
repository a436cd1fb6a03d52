/* SPDX-License-Identifier: MIT */
/*
 * driver.c - drives the C client for the tests: requests as JSON lines on stdin, what came of them
 * as JSON lines on stdout. Uses the public header alone, as any C program would.
 *
 *   driver SOCKET AGENT USER LOCALE RECONNECT_MS FRAME_BYTES     ("-" and 0: not given)
 *   METHOD TIMEOUT_MS PARAMS_JSON_OR_-   -> {"status", "result" | "error", "notifications"}
 *   connect                              -> the same, with the daemon's hello as result
 *   notify METHOD PARAMS_JSON
 *   listen TIMEOUT_MS
 */
#include "toolbroker/client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NOTES_BYTES 65536

static char notes[NOTES_BYTES];

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

static void report(struct tb_client *client, enum tb_status status, struct tb_bytes result)
{
    (void)printf("{\"status\":\"%s\",\"%s\":", tb_status_name(status),
                 status == TB_OK ? "result" : "error");
    print_json(status == TB_OK ? result : tb_last_error(client)->map);
    (void)printf(",\"notifications\":[%s]}\n", notes);
    (void)fflush(stdout);
    notes[0] = '\0';
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

static void obey(struct tb_client *client, char *line)
{
    struct tb_bytes result = {NULL, 0};
    struct tb_bytes params = {NULL, 0};
    char *packed = NULL;
    char why[TB_ERROR_TEXT];
    char *method = next_word(&line);
    if (strcmp(method, "connect") == 0) {
        enum tb_status status = tb_connect(client);
        report(client, status, tb_hello(client));
        return;
    }
    if (strcmp(method, "listen") == 0) {
        report(client, tb_listen(client, number(line)), result);
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
    report(client, status, result);
    tb_release(packed);
}

static const char *given(const char *word)
{
    return strcmp(word, "-") == 0 ? NULL : word;
}

int main(int argc, char **argv)
{
    static char line[16777216];
    if (argc != 7) {
        return 2;
    }
    struct tb_options options = {.socket = argv[1],
                                 .agent = given(argv[2]),
                                 .user = given(argv[3]),
                                 .locale = given(argv[4]),
                                 .reconnect_ms = number(argv[5]),
                                 .frame_bytes = (size_t)number(argv[6]),
                                 .notify = on_notification};
    struct tb_client *client = tb_client_new(&options);
    while (client && fgets(line, (int)sizeof line, stdin)) {
        line[strcspn(line, "\n")] = '\0';
        obey(client, line);
    }
    tb_client_free(client);
    return client ? 0 : 1;
}
