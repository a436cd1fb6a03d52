/* SPDX-License-Identifier: MIT */
/* help.c - help texts, made from the tables of command.c and option.def. */
#include "cli/command.h"

#include <stdio.h>
#include <string.h>

static void put_option(unsigned id, struct buf *out)
{
    char name[40];
    (void)snprintf(name, sizeof name, "--%s%s%s", options[id].name,
                   *options[id].value ? " " : "", options[id].value);
    buf_printf(out, "  %-24s %s\n", name, options[id].text);
}

static const char exit_codes[] =
    "Exit codes:\n"
    "  0    done; nothing is wrong\n"
    "  1    failed: an error that a repeat will not cure, a tool that reports failure, a "
    "check\n"
    "       that found faults, a service that needs attention\n"
    "  2    the command line is wrong\n"
    "  3    the daemon cannot be reached\n"
    "  4    failed, but the same call may succeed later\n"
    "  5    the answer was lost, or came too late: it may have been carried out\n"
    "  130  interrupted\n";

static const char socket_rule[] =
    "The daemon is looked for at --socket, else $TOOLBROKER_SOCKET, else\n"
    "$XDG_RUNTIME_DIR/toolbroker/toolbroker.sock, else /run/toolbroker/toolbroker.sock.\n"
    "Errors go to stderr; with --json they are on stdout too, as {\"error\": {...}}.\n"
    "NO_COLOR and TERM=dumb are respected.\n";

void help_put(struct buf *out)
{
    buf_put_text(out, "toolbroker - look at, and talk to, the toolbroker daemon\n\n"
                      "Usage: toolbroker COMMAND [WORDS] [OPTIONS]\n\nCommands:\n");
    for (unsigned i = 0; i < command_count; i++) {
        buf_printf(out, "  %-17s %s\n", commands[i].name, commands[i].summary);
    }
    buf_put_text(out, "\nOptions of all commands:\n");
    for (unsigned id = 0; id < OPTION_GLOBALS; id++) {
        put_option(id, out);
    }
    buf_printf(out, "\n%s\n%s\n", socket_rule, exit_codes);
    buf_put_text(out, "Examples:\n"
                      "  toolbroker status\n"
                      "  toolbroker tools --agent coordinator --user ana\n"
                      "  toolbroker call everything/echo --arg message=hello\n"
                      "  toolbroker COMMAND --help    shows more\n");
}

void help_put_command(const struct command *command, struct buf *out)
{
    buf_printf(out, "toolbroker %s - %s\n\nUsage: toolbroker %s%s%s [OPTIONS]\n", command->name,
               command->summary, command->name, *command->operands ? " " : "",
               command->operands);
    if (command->text) {
        buf_printf(out, "\n%s\n", command->text);
    }
    buf_put_text(out, "\nOptions:\n");
    for (unsigned id = OPTION_GLOBALS; id < OPTION_COUNT; id++) {
        if (command_takes(command, (enum option_id)id)) {
            put_option(id, out);
        }
    }
    for (unsigned id = 0; id < OPTION_GLOBALS; id++) {
        put_option(id, out);
    }
    buf_put_text(out, "\nExamples:\n");
    for (unsigned i = 0; i < COMMAND_EXAMPLES && command->examples[i]; i++) {
        buf_printf(out, "  %s\n", command->examples[i]);
    }
    buf_printf(out, "\n%s", exit_codes);
}

bool help_put_group(const char *group, struct buf *out)
{
    size_t len = strlen(group);
    bool has_any = false;
    for (unsigned i = 0; i < command_count; i++) {
        if (strncmp(commands[i].name, group, len) == 0 && commands[i].name[len] == ' ') {
            buf_printf(out, "%s  %-17s %s\n", has_any ? "" : "Commands:\n", commands[i].name,
                       commands[i].summary);
            has_any = true;
        }
    }
    return has_any;
}
