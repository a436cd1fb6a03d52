/* SPDX-License-Identifier: MIT */
/* levers.c - `breaker`, `quarantine` and `release`: what an operator does about one service. */
#include "cli/cli.h"
#include "cli/condition.h"
#include "cli/table.h"
#include "cli/view.h"

#include "value/pack.h"

#include <string.h>

#define QUARANTINE_MAX (30 * DURATION_DAY)

/* Calls `method` with the service, and what `params` holds already: `count` pairs. The answer is
 * printed only with --json. */
static int pull(struct cli *cli, const char *method, struct buf *pairs, uint32_t count,
                struct slice *ret)
{
    struct buf params;
    buf_init(&params, 65536);
    pack_put_map(&params, count + 1);
    pack_put_key_text(&params, "service", cli->args->operands[0]);
    buf_put_slice(&params, buf_slice(pairs));
    int code = cli_call(cli, method, &params, CLI_TIMEOUT_MS, ret);
    buf_done(&params);
    buf_done(pairs);
    return code == EXIT_FINE && cli->is_json ? cli_put_json(cli, *ret) : code;
}

/* `status`, the daemon's answer, is how the service is now. */
static void warn_unless_kept(struct cli *cli, struct slice status)
{
    bool is_kept = true;
    (void)pack_get_bool(status, "kept", &is_kept);
    if (!is_kept) {
        buf_put_text(&cli->out,
                     "    but  it could not be written down: a restart of the daemon "
                     "forgets it\n");
    }
}

/* What is still wrong, now that it is let in again. */
static void put_what_is_left(struct cli *cli, struct slice status)
{
    if (condition_of(status).needs_attention) {
        buf_put_byte(&cli->out, '\n');
        condition_put(cli, status);
    }
}

/* "NAME WORDS", the name as it was given. */
static void say(struct cli *cli, const char *words)
{
    put_mark(&cli->out, &cli->terminal, MARK_GOOD);
    put_clean(&cli->out, slice_of(cli->args->operands[0]), 0);
    buf_put_text(&cli->out, words);
}

static void say_command(struct cli *cli, const char *command, const char *after,
                        const char *what_for)
{
    buf_printf(&cli->out, "    do   toolbroker %s ", command);
    put_clean(&cli->out, slice_of(cli->args->operands[0]), 0);
    buf_printf(&cli->out, "%s  # %s\n", after, what_for);
}

int run_breaker(struct cli *cli)
{
    static const struct {
        const char *action, *words;
        bool is_held;
    } actions[] = {
        {"open", ": breaker held open, calls fail with CIRCUIT_OPEN\n", true},
        {"close", ": breaker held closed, calls pass whatever comes of them\n", true},
        {"reset", ": breaker closed, those of its users too, with nothing counted\n", false},
        {"auto", ": breaker closed, it opens and closes by itself again\n", false}};
    const char *action = cli->args->operands[1];
    struct slice answer;
    struct buf pairs;
    size_t at = 0;
    while (at < 4 && strcmp(actions[at].action, action) != 0) {
        at++;
    }
    if (at == 4) {
        return cli_complain(cli, EXIT_USAGE, "Say open, close, reset or auto.",
                            "a breaker cannot %s", action);
    }
    buf_init(&pairs, 65536);
    pack_put_key_text(&pairs, "action", action);
    uint32_t count = 1 + put_option_text(&pairs, cli, OPTION_REASON, "reason");
    int code = pull(cli, "services.breaker", &pairs, count, &answer);
    if (code == EXIT_FINE && !cli->is_json) {
        say(cli, actions[at].words);
        if (actions[at].is_held) {
            say_command(cli, "breaker", " auto", "ends that");
        }
        warn_unless_kept(cli, answer);
        if (strcmp(action, "open") != 0) {
            put_what_is_left(cli, answer);
        }
    }
    return code;
}

int run_quarantine(struct cli *cli)
{
    const char *given = cli->args->values[OPTION_FOR];
    struct slice answer;
    struct buf pairs;
    int64_t ms = -1;
    uint32_t count = 0;
    if (given && !duration_parse(given, QUARANTINE_MAX, &ms)) {
        return cli_complain(cli, EXIT_USAGE, "Write 90s, 10m, 1h30m or 2d; at most 30 days.",
                            "--for %s is no time", given);
    }
    buf_init(&pairs, 65536);
    if (given) {
        pack_put_key_int(&pairs, "for_ms", ms);
        count++;
    }
    count += put_option_text(&pairs, cli, OPTION_REASON, "reason");
    int code = pull(cli, "services.quarantine", &pairs, count, &answer);
    if (code == EXIT_FINE && !cli->is_json) {
        say(cli, given ? ": out of use for " : ": out of use until it is released");
        put_duration(&cli->out, ms);
        buf_put_byte(&cli->out, '\n');
        say_command(cli, "release", "", "ends that");
        warn_unless_kept(cli, answer);
    }
    return code;
}

int run_release(struct cli *cli)
{
    struct slice answer;
    struct buf none;
    buf_init(&none, 1);
    int code = pull(cli, "services.release", &none, 0, &answer);
    if (code == EXIT_FINE && !cli->is_json) {
        say(cli, ": no longer quarantined\n");
        warn_unless_kept(cli, answer);
        put_what_is_left(cli, answer);
    }
    return code;
}
