/* SPDX-License-Identifier: MIT */
/*
 * command.h - the table of commands and options, from which parsing, help and completions come.
 *
 * Owns:    struct args borrows argv; args_done frees its lists.
 * Errors:  parsing failures are words for stderr; the exit code is EXIT_USAGE.
 */
#ifndef CLI_COMMAND_H
#define CLI_COMMAND_H

#include "base/buf.h"
#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

enum option_id {
#define X(id, name, value, text) OPTION_##id,
#include "cli/option.def"
#undef X
    OPTION_COUNT
};

#define OPTION_GLOBALS   5u
#define OPTION_BIT(id)   (1u << (OPTION_##id))
#define OPERANDS_MAX     9u
#define COMMAND_EXAMPLES 5u

struct option {
    const char *name, *value, *text;
};

/* What a process of the tool ends with. */
enum exit_code {
    EXIT_FINE = 0,
    EXIT_FAILED = 1,      /* the daemon, the tool or the check said no */
    EXIT_USAGE = 2,       /* the command line cannot work */
    EXIT_UNREACHABLE = 3, /* no daemon */
    EXIT_AGAIN = 4,       /* failed; the same call may succeed later */
    EXIT_UNKNOWN = 5,     /* the answer was lost or came too late: it may have been done */
    EXIT_CANCELLED = 130  /* interrupted */
};

struct cli;
struct args;

struct command {
    const char *name;     /* one or two words */
    const char *operands; /* as shown in the usage line, or "" */
    unsigned operands_min, operands_max;
    uint32_t options; /* OPTION_BITs besides the global ones */
    bool is_offline;  /* runs without connecting */
    bool may_ask;     /* on a terminal, servers may ask the person there */
    const char *summary;
    const char *text; /* more lines for its help, or NULL */
    const char *examples[COMMAND_EXAMPLES];
    int (*run)(struct cli *cli); /* gives an exit code */
};

struct args {
    const struct command *command;    /* NULL: none was named */
    const char *values[OPTION_COUNT]; /* NULL: not given; "" for a switch */
    const char *operands[OPERANDS_MAX];
    unsigned operand_count;
    const char **arguments; /* each --arg */
    unsigned argument_count;
};

extern const struct option options[OPTION_COUNT];
extern const struct command commands[];
extern const unsigned command_count;

/* Understands a command line. 0, or -ERR_INVALID_REQUEST; ret is to be freed either way. */
int args_parse(int argc, char *const *argv, struct args *ret, struct err *reterr);
void args_done(struct args *args);

static inline bool args_has(const struct args *args, enum option_id id)
{
    return args->values[id] != NULL;
}

bool command_takes(const struct command *command, enum option_id id);

/* The command of that name, or NULL. `first` counts if there is no second word. */
const struct command *command_find(const char *first, const char *second);

/* "500ms", "90s", "1.5h", "1h30m", "2d", "10" (seconds) to milliseconds; false if it is none, less
 * than one, or more than `max_ms`. */
bool duration_parse(const char *text, int64_t max_ms, int64_t *ret_ms);
#define DURATION_DAY INT64_C(86400000)

void help_put(struct buf *out);
void help_put_command(const struct command *command, struct buf *out);

/* The commands that begin with the word `group`; false if there is none. */
bool help_put_group(const char *group, struct buf *out);

/* The completion script of `shell` (bash, zsh, fish); false if it is another. */
bool completion_put(const char *shell, struct buf *out);

int run_status(struct cli *cli);
int run_test(struct cli *cli);
int run_health(struct cli *cli);
int run_breaker(struct cli *cli);
int run_quarantine(struct cli *cli);
int run_release(struct cli *cli);
int run_history(struct cli *cli);
int run_activity(struct cli *cli);
int run_list(struct cli *cli);
int run_tools(struct cli *cli);
int run_call(struct cli *cli);
int run_resources(struct cli *cli);
int run_read(struct cli *cli);
int run_prompts(struct cli *cli);
int run_approve(struct cli *cli);
int run_events(struct cli *cli);
int run_agents(struct cli *cli);
int run_calls(struct cli *cli);
int run_policy_check(struct cli *cli);
int run_policy_reload(struct cli *cli);
int run_daemon_info(struct cli *cli);
int run_daemon_ping(struct cli *cli);
int run_daemon_shutdown(struct cli *cli);
int run_describe(struct cli *cli);
int run_completion(struct cli *cli);
int run_help(struct cli *cli);

#endif
