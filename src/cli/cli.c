/* SPDX-License-Identifier: MIT */
/* cli.c - one run: from the command line to the exit code. */
#include "cli/cli.h"

#include "cli/ask.h"
#include "cli/view.h"
#include "value/pack.h"

#include <errno.h>
#include <locale.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define OUT_BYTES 1073741824u

/* For the signal handler only. */
static struct tb_client *interruptible;
static volatile sig_atomic_t was_interrupted;

/* While a question is asked a signal gives up that question. Else the first one cancels the call
 * under way, the second ends the process. */
static void on_interrupt(int signal_number)
{
    if (asker_interrupt()) {
        return;
    }
    if (was_interrupted) {
        (void)signal(signal_number, SIG_DFL);
        (void)raise(signal_number);
        return;
    }
    was_interrupted = 1;
    tb_cancel(interruptible);
}

static void catch_interrupts(struct tb_client *client)
{
    struct sigaction action = {.sa_handler = on_interrupt};
    interruptible = client;
    (void)sigaction(SIGINT, &action, NULL);
    (void)sigaction(SIGTERM, &action, NULL);
}

static void release_interrupts(void)
{
    struct sigaction action = {.sa_handler = SIG_DFL};
    (void)sigaction(SIGINT, &action, NULL);
    (void)sigaction(SIGTERM, &action, NULL);
    interruptible = NULL;
}

bool cli_flush(struct cli *cli)
{
    size_t written = cli->out.len ? fwrite(cli->out.data, 1, cli->out.len, stdout) : 0;
    bool is_written =
        !cli->out.overflow && written == cli->out.len && fflush(stdout) == 0 && !ferror(stdout);
    buf_clear(&cli->out);
    return is_written;
}

static void put_note_line(struct buf *out, const char *label, const char *text)
{
    if (*text) {
        buf_printf(out, "  %s: ", label);
        put_clean(out, slice_of(text), 0);
        buf_put_byte(out, '\n');
    }
}

static void write_notes(struct buf *text)
{
    (void)fwrite(text->data, 1, text->len, stderr);
    buf_done(text);
}

static void begin_complaint(const struct cli *cli, struct buf *text)
{
    buf_init(text, 1048576);
    put_paint(text, &cli->notes, PAINT_RED);
    buf_put_text(text, "toolbroker:");
    put_plain(text, &cli->notes);
    buf_put_byte(text, ' ');
}

int cli_complain(struct cli *cli, int code, const char *suggestion, const char *format, ...)
{
    struct buf text;
    char message[1024];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(message, sizeof message, format, args);
    va_end(args);
    begin_complaint(cli, &text);
    put_clean(&text, slice_of(message), 0);
    buf_put_byte(&text, '\n');
    put_note_line(&text, "do", suggestion ? suggestion : "");
    write_notes(&text);
    return code;
}

void cli_note(const struct cli *cli, enum paint paint, struct slice words)
{
    struct buf text;
    buf_init(&text, 1048576);
    put_paint(&text, &cli->notes, paint);
    put_clean(&text, words, 0);
    put_plain(&text, &cli->notes);
    buf_put_byte(&text, '\n');
    write_notes(&text);
}

static int exit_code_of(const struct tb_error *error)
{
    if (error->status == TB_UNREACHABLE) {
        return EXIT_UNREACHABLE;
    }
    if (error->status == TB_INVALID) {
        return EXIT_USAGE;
    }
    if (error->status == TB_CANCELLED ||
        (was_interrupted && strcmp(error->code, "CANCELLED") == 0)) {
        return EXIT_CANCELLED;
    }
    /* A deadline that passed after the tool was asked is not retryable. */
    bool is_late = strcmp(error->code, "TIMEOUT") == 0 && !error->retryable;
    bool is_unknown = error->status == TB_LOST || strcmp(error->code, "OUTCOME_UNKNOWN") == 0;
    if (is_late || (is_unknown && !error->retryable)) {
        return EXIT_UNKNOWN;
    }
    return error->retryable ? EXIT_AGAIN : EXIT_FAILED;
}

#define SAID_LINES 5u

/* The last lines of what the server wrote to its stderr, each behind `label`. */
static void put_said(struct buf *out, struct slice tail, const char *label)
{
    size_t begin = tail.len;
    unsigned lines = 0;
    if (!tail.len) { /* there is none */
        return;
    }
    while (begin > 0 && lines < SAID_LINES) {
        begin--;
        while (begin > 0 && tail.ptr[begin - 1] != '\n') {
            begin--;
        }
        lines++;
    }
    tail.ptr += begin;
    tail.len -= begin;
    while (tail.len) {
        const char *end = memchr(tail.ptr, '\n', tail.len);
        size_t len = end ? (size_t)(end - tail.ptr) : tail.len;
        buf_put_text(out, label);
        put_clean(out, (struct slice){tail.ptr, len}, 0);
        buf_put_byte(out, '\n');
        len += end ? 1 : 0;
        tail.ptr += len;
        tail.len -= len;
    }
}

int cli_fail(struct cli *cli)
{
    const struct tb_error *error = tb_last_error(cli->client);
    struct buf text;
    begin_complaint(cli, &text);
    put_clean(&text, slice_of(error->message), 0);
    buf_printf(&text, " (%s)\n", error->code);
    struct slice map = {error->map.data, error->map.len};
    put_said(&text, view_text(view_get(map, "details"), "stderr_tail"), "  said: ");
    if (strcmp(error->user_message, error->message) != 0) {
        put_note_line(&text, "user", error->user_message);
    }
    put_note_line(&text, "do", error->suggestion);
    if (error->retryable && error->retry_after_ms >= 0) {
        buf_put_text(&text, "  again: in ");
        put_duration(&text, error->retry_after_ms);
        buf_put_byte(&text, '\n');
    }
    put_note_line(&text, "request_id", error->request_id);
    write_notes(&text);
    if (cli->is_json) {
        struct err ignored;
        buf_clear(&cli->out);
        buf_put_text(&cli->out, "{\"error\":");
        if (put_json(&cli->out, (struct slice){error->map.data, error->map.len}, false,
                     &ignored) != 0) {
            buf_put_text(&cli->out, "null");
        }
        buf_put_text(&cli->out, "}\n");
    }
    return exit_code_of(error);
}

int cli_call(struct cli *cli, const char *method, const struct buf *params, int timeout_ms,
             struct slice *ret)
{
    struct tb_bytes answer = {NULL, 0};
    struct tb_bytes map = {params ? params->data : NULL, params ? params->len : 0};
    catch_interrupts(cli->client);
    enum tb_status status = tb_call(cli->client, method, map, timeout_ms, &answer);
    release_interrupts();
    if (status != TB_OK) {
        return cli_fail(cli);
    }
    *ret = (struct slice){answer.data, answer.len};
    return EXIT_FINE;
}

int cli_listen(struct cli *cli)
{
    catch_interrupts(cli->client);
    if (was_interrupted) { /* while the call before it was ending */
        release_interrupts();
        return EXIT_CANCELLED;
    }
    enum tb_status status = tb_listen(cli->client, TB_FOREVER);
    release_interrupts();
    if (status == TB_LOST) {
        return cli_complain(cli, EXIT_UNREACHABLE, "Run it again when the daemon is back.",
                            "the daemon closed the connection");
    }
    return status == TB_CANCELLED ? EXIT_CANCELLED : cli_fail(cli);
}

int cli_put_json(struct cli *cli, struct slice value)
{
    struct err err;
    if (put_json(&cli->out, value, cli->terminal.is_terminal, &err) != 0) {
        return cli_complain(cli, EXIT_FAILED,
                            "Report it: the daemon's answers are JSON values.",
                            "the daemon's answer is no JSON: %s", err.text);
    }
    buf_put_byte(&cli->out, '\n');
    return EXIT_FINE;
}

static void put_line(struct buf *out, const char *label, struct slice text)
{
    if (text.len) {
        buf_put_text(out, label);
        put_clean(out, text, 0);
        buf_put_byte(out, '\n');
    }
}

void cli_put_error(struct cli *cli, struct slice error)
{
    struct slice tail = view_text(error, "stderr_tail");
    put_line(&cli->out, "    why  ", view_text(error, "message"));
    put_said(&cli->out, tail.len ? tail : view_text(view_get(error, "details"), "stderr_tail"),
             "    said ");
    put_line(&cli->out, "    do   ", view_text(error, "suggestion"));
}

uint32_t put_option_text(struct buf *out, const struct cli *cli, enum option_id id,
                         const char *key)
{
    if (!args_has(cli->args, id)) {
        return 0;
    }
    pack_put_key_text(out, key, cli->args->values[id]);
    return 1;
}

/* Progress and log messages of servers, for --progress. */
static void on_notification(void *arg, const char *method, uint32_t msgid,
                            struct tb_bytes params)
{
    struct cli *cli = arg;
    struct slice map = {params.data, params.len};
    struct buf text;
    (void)msgid;
    if (cli->on_event && strcmp(method, "event") == 0) {
        cli->on_event(cli, map);
        return;
    }
    if (!args_has(cli->args, OPTION_PROGRESS)) {
        return;
    }
    buf_init(&text, 65536);
    buf_printf(&text, "%s:", method);
    static const char *const keys[] = {"progress", "total", "message", "level", "data"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        struct slice value = view_get(map, keys[i]);
        struct pack cursor = pack_over(value);
        struct slice words;
        struct err ignored;
        if (!value.len) {
            continue;
        }
        buf_put_text(&text, strcmp(keys[i], "total") == 0 ? " of " : " ");
        if (pack_next_text(&cursor, &words)) {
            put_clean(&text, words, 0);
        } else {
            (void)put_json(&text, value, false, &ignored);
        }
    }
    cli_note(cli, PAINT_DIM, buf_slice(&text));
    buf_done(&text);
}

static int run_command(struct cli *cli)
{
    struct tb_options client_options = {.socket = cli->args->values[OPTION_SOCKET],
                                        .client = "toolbroker",
                                        .version = TOOLBROKER_VERSION,
                                        .notify = on_notification,
                                        .notify_arg = cli};
    if (cli->args->command->may_ask && ask_is_possible(cli)) {
        cli->asker = asker_new(cli);
        client_options.capabilities = ASK_CAPABILITIES;
        client_options.question = asker_question;
        client_options.taken_back = asker_taken_back;
        client_options.question_arg = cli->asker;
    }
    int code = EXIT_FAILED;
    cli->client = tb_client_new(&client_options);
    if (cli->client) {
        asker_serve(cli->asker, cli->client);
        code = cli->args->command->run(cli);
        asker_stop(cli->asker);
    } else {
        (void)cli_complain(cli, code, NULL, "no more descriptors: %s", strerror(errno));
    }
    tb_client_free(cli->client);
    asker_free(cli->asker);
    cli->client = NULL;
    cli->asker = NULL;
    return code;
}

static int run(struct cli *cli)
{
    const struct args *args = cli->args;
    if (args_has(args, OPTION_VERSION)) {
        buf_printf(&cli->out, "toolbroker %s\n", TOOLBROKER_VERSION);
        return EXIT_FINE;
    }
    if (args->command && args_has(args, OPTION_HELP)) {
        help_put_command(args->command, &cli->out);
        return EXIT_FINE;
    }
    if (!args->command && args->operand_count) {
        (void)help_put_group(args->operands[0], &cli->out);
        return EXIT_FINE;
    }
    if (!args->command && !args_has(args, OPTION_HELP)) {
        return cli_complain(cli, EXIT_USAGE, "See `toolbroker --help`.", "which command?");
    }
    if (!args->command) {
        help_put(&cli->out);
        return EXIT_FINE;
    }
    return run_command(cli);
}

int run_help(struct cli *cli)
{
    const struct args *args = cli->args;
    if (args->operand_count == 0) {
        help_put(&cli->out);
        return EXIT_FINE;
    }
    const struct command *command =
        command_find(args->operands[0], args->operand_count > 1 ? args->operands[1] : NULL);
    if (command) {
        help_put_command(command, &cli->out);
        return EXIT_FINE;
    }
    return help_put_group(args->operands[0], &cli->out)
               ? EXIT_FINE
               : cli_complain(cli, EXIT_USAGE, "See `toolbroker --help`.",
                              "there is no command %s", args->operands[0]);
}

int run_completion(struct cli *cli)
{
    return completion_put(cli->args->operands[0], &cli->out)
               ? EXIT_FINE
               : cli_complain(cli, EXIT_USAGE, "Use bash, zsh or fish.",
                              "there is no completion for %s", cli->args->operands[0]);
}

int cli_main(int argc, char *const *argv)
{
    struct args args;
    struct err err;
    struct cli cli = {.args = &args};
    int code = EXIT_USAGE;
    (void)setlocale(LC_CTYPE, "C.UTF-8"); /* for wcwidth; what is written is UTF-8 anyway */
    buf_init(&cli.out, OUT_BYTES);
    int failed = args_parse(argc, argv, &args, &err);
    bool no_color = args_has(&args, OPTION_NO_COLOR);
    cli.terminal = terminal_of(stdout, no_color);
    cli.notes = terminal_of(stderr, no_color);
    cli.is_json = args_has(&args, OPTION_JSON);
    if (failed) {
        (void)cli_complain(&cli, code, "See `toolbroker --help`.", "%s", err.text);
    } else {
        code = run(&cli);
    }
    if (!cli_flush(&cli)) {
        code = cli_complain(&cli, code ? code : EXIT_FAILED, NULL, "cannot write to stdout: %s",
                            strerror(errno));
    }
    buf_done(&cli.out);
    args_done(&args);
    return code;
}
