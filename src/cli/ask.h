/* SPDX-License-Identifier: MIT */
/*
 * ask.h - a person at the terminal: yes or no, and what servers ask in the course of a call.
 *
 * Questions are put by a thread of their own, so that the call goes on, and ends, meanwhile.
 *
 * Owns:    the thread, the questions that wait for their turn.
 * Thread:  asker_question and asker_taken_back in the client's, asker_line and asker_say in the
 *          asker's own; asker_interrupt in a signal handler.
 * Rule:    everything is said on stderr and read from stdin, both of them terminals. Nothing is
 *          ever opened, and nothing is agreed to unless a person says so.
 */
#ifndef CLI_ASK_H
#define CLI_ASK_H

#include "cli/cli.h"

#include "base/buf.h"

#include <stdbool.h>

struct asker;

/* Whether there is somebody to ask. */
bool ask_is_possible(const struct cli *cli);

/* "PROMPT [y/N] "; only yes is yes. */
bool ask_yes(const struct cli *cli, const char *prompt);

/* For tb_options: what can be asked, and the callbacks, with an asker as argument. */
#define ASK_CAPABILITIES (TB_ELICIT_FORM | TB_ELICIT_URL)
struct asker *asker_new(const struct cli *cli);
void asker_question(void *arg, const struct tb_question *question);
void asker_taken_back(void *arg, uint64_t id);

/* The client that the answers go to; questions come only after this. */
void asker_serve(struct asker *asker, struct tb_client *client);
void asker_stop(struct asker *asker); /* ends the thread: before the client is freed */
void asker_free(struct asker *asker); /* after it; NULL is fine for all three */

/* True: a question was being asked, and is given up by this. */
bool asker_interrupt(void);

/* ---- for what is asked --------------------------------------------------------------------- */

enum line_end {
    LINE_READ,
    LINE_INTERRUPTED, /* Ctrl-C, or the end of the input */
    LINE_GONE         /* the question was taken back */
};

/* One line without its end. */
enum line_end asker_line(struct asker *asker, struct buf *line);

/* Writes the text and clears it. */
void asker_say(const struct asker *asker, struct buf *text);
const struct terminal *asker_terminal(const struct asker *asker);

/* Yes or no, until it is one of both; an empty line is `otherwise`. */
enum line_end asker_yes(struct asker *asker, const char *prompt, bool otherwise, bool *ret);
bool is_yes(struct slice text);
bool is_no(struct slice text);

/* Asks for each field of the form `schema`; LINE_READ: `ret` has the map of the values. */
enum line_end form_fill(struct asker *asker, struct slice schema, struct buf *ret);

#endif
