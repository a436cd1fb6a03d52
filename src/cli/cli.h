/* SPDX-License-Identifier: MIT */
/*
 * cli.h - one run of the tool: its connection, its output, and how it ends.
 *
 * Owns:    the client and the output that was not written yet.
 * Errors:  functions give an exit code; EXIT_FINE means go on. Words for people go to stderr.
 */
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include "cli/command.h"
#include "cli/terminal.h"
#include "toolbroker/client.h"

#include "base/buf.h"
#include "base/slice.h"

#include <stdbool.h>
#include <stdint.h>

struct asker;

struct cli {
    const struct args *args;
    struct tb_client *client;
    struct terminal terminal; /* stdout */
    struct terminal notes;    /* stderr */
    bool is_json;
    struct asker *asker; /* NULL: there is nobody to ask */
    void (*on_event)(struct cli *cli, struct slice event);
    struct buf out; /* goes to stdout when the command is done */
};

/* The whole tool: parses, runs, prints. */
int cli_main(int argc, char *const *argv);

#define CLI_TIMEOUT_MS 15000 /* for what the daemon answers by itself */
#define CLI_SLOW_MS    90000 /* for what may have to connect to services */

/* Calls the daemon. `params` may be NULL; its map is closed already. On failure the error has
 * been printed. */
int cli_call(struct cli *cli, const char *method, const struct buf *params, int timeout_ms,
             struct slice *ret);

/* Prints the client's last error, gives its exit code. */
int cli_fail(struct cli *cli);

/* Prints "toolbroker: MESSAGE" and a suggestion (or NULL); gives `code`. */
int cli_complain(struct cli *cli, int code, const char *suggestion, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* A line on stderr that is no failure. */
void cli_note(const struct cli *cli, enum paint paint, struct slice words);

/* The value as JSON with a line end; gives an exit code. */
int cli_put_json(struct cli *cli, struct slice value);

/* Writes cli->out to stdout now. False if that failed. */
bool cli_flush(struct cli *cli);

/* Message and suggestion of an error map (3.1), two indented lines. */
void cli_put_error(struct cli *cli, struct slice error);

#define ARGUMENT_BYTES ((size_t)16777216)

/* One map: the JSON object `object` ("-": from stdin; NULL: none) and each --arg, whose value is
 * JSON where it parses, unless all is to be text. */
int put_arguments(struct cli *cli, const char *object, bool only_text, struct buf *out);

/* Adds timeout_ms if it was given, or people may be asked, and gives how long to wait for the
 * answer. */
int put_timeout(struct cli *cli, struct buf *out, uint32_t *count, int *ret_wait_ms);

/* One element of content, or the contents of a resource: text as it is, of others what they are. */
void put_content(struct cli *cli, struct slice content);

/* Hands events to cli->on_event until interrupted, or until the connection ends. */
int cli_listen(struct cli *cli);

/* Adds key and text if the option was given; gives 1 or 0, to be added to a map's count. */
uint32_t put_option_text(struct buf *out, const struct cli *cli, enum option_id id,
                         const char *key);

#endif
