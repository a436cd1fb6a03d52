/* SPDX-License-Identifier: MIT */
/* command.c - the table of commands; every word of help about them is here. */
#include "cli/command.h"

#include <stdio.h>
#include <string.h>

const struct option options[OPTION_COUNT] = {
#define X(id, name, value, text) {name, value, text},
#include "cli/option.def"
#undef X
};

const struct command commands[] = {
    {.name = "status",
     .operands = "[SERVICE]",
     .operands_max = 1,
     .summary = "the dashboard: the daemon, every service, what is wrong and what to do",
     .text =
         "Exit code 1 says that a service needs attention, or the daemon: its database, its\n"
         "configuration, its policy.",
     .examples = {"toolbroker status", "toolbroker status salesforce",
                  "toolbroker status --json | jq '.services[] | select(.state == \"error\")'"},
     .run = run_status},
    {.name = "list",
     .operands = "",
     .summary = "the services that are configured",
     .examples = {"toolbroker list", "toolbroker list --json"},
     .run = run_list},
    {.name = "test",
     .operands = "SERVICE",
     .operands_min = 1,
     .operands_max = 1,
     .options = OPTION_BIT(AGENT) | OPTION_BIT(USER) | OPTION_BIT(TIMEOUT),
     .summary = "connect to a service and list its tools now: each step, its time, what fails",
     .text =
         "A breaker that is open and a quarantine do not keep it from being tested, and learn\n"
         "of what it saw. Exit code 4: it failed, but may work later by itself.",
     .examples = {"toolbroker test salesforce", "toolbroker test google_calendar --user ana",
                  "toolbroker test files --timeout 5s && echo works"},
     .run = run_test},
    {.name = "health",
     .operands = "[SERVICE]",
     .operands_max = 1,
     .options = OPTION_BIT(CHECK) | OPTION_BIT(TIMEOUT),
     .summary = "how the services are, since when, and when that was last looked at",
     .text =
         "Real calls count first; what nobody uses is asked from time to time. --check asks\n"
         "now. Exit code 1 says that a service is down or degraded, or did not answer --check "
         "in\n"
         "time; one that is not linked is neither.",
     .examples = {"toolbroker health", "toolbroker health salesforce --check",
                  "toolbroker health --check --timeout 5s --json | jq -r .status"},
     .run = run_health},
    {.name = "breaker",
     .operands = "SERVICE open|close|reset|auto",
     .operands_min = 2,
     .operands_max = 2,
     .options = OPTION_BIT(REASON),
     .summary = "the circuit breaker of a service, by hand",
     .text = "open and close hold it so until auto or reset: both close it with nothing "
             "counted and\n"
             "leave it to itself; reset does the same with the breakers of single users.",
     .examples = {"toolbroker breaker salesforce reset",
                  "toolbroker breaker salesforce open --reason 'maintenance until six'",
                  "toolbroker breaker salesforce auto"},
     .run = run_breaker},
    {.name = "quarantine",
     .operands = "SERVICE",
     .operands_min = 1,
     .operands_max = 1,
     .options = OPTION_BIT(FOR) | OPTION_BIT(REASON),
     .summary = "take a service out of use and out of all lists, for a while or until released",
     .examples = {"toolbroker quarantine zoho_crm --for 10m --reason 'answers nonsense'",
                  "toolbroker quarantine zoho_crm"},
     .run = run_quarantine},
    {.name = "release",
     .operands = "SERVICE",
     .operands_min = 1,
     .operands_max = 1,
     .summary = "end a quarantine, however it began",
     .examples = {"toolbroker release zoho_crm"},
     .run = run_release},
    {.name = "history",
     .operands = "[SERVICE]",
     .operands_max = 1,
     .options = OPTION_BIT(SINCE) | OPTION_BIT(LIMIT),
     .summary = "what happened to services: checks, breakers, quarantines; the newest last",
     .examples = {"toolbroker history", "toolbroker history salesforce --since 1d",
                  "toolbroker history --limit 1000 --json | jq -c '.events[]'"},
     .run = run_history},
    {.name = "activity",
     .operands = "",
     .options = OPTION_BIT(AGENT) | OPTION_BIT(USER) | OPTION_BIT(SERVICE) | OPTION_BIT(TOOL) |
                OPTION_BIT(OUTCOME) | OPTION_BIT(SINCE) | OPTION_BIT(LIMIT),
     .summary = "the calls that were made, and what came of them; the newest last",
     .text = "A call is recorded when it has ended: `toolbroker calls` has those under way.",
     .examples = {"toolbroker activity --outcome failed --since 1h",
                  "toolbroker activity --service salesforce --user ana --limit 200",
                  "toolbroker activity --outcome OUTCOME_UNKNOWN --json | jq -c '.calls[]'"},
     .run = run_activity},
    {.name = "tools",
     .operands = "[TOOL]",
     .operands_max = 1,
     .options = OPTION_BIT(AGENT) | OPTION_BIT(USER) | OPTION_BIT(SERVICE),
     .summary = "what an agent may call, and which services are unavailable; TOOL in full",
     .examples = {"toolbroker tools --agent coordinator --user ana",
                  "toolbroker tools --service everything",
                  "toolbroker tools everything/echo --agent coordinator"},
     .run = run_tools},
    {.name = "call",
     .operands = "SERVICE/TOOL|OPERATION [-]",
     .operands_min = 1,
     .operands_max = 2,
     .options = OPTION_BIT(AGENT) | OPTION_BIT(USER) | OPTION_BIT(ARG) | OPTION_BIT(JSON_ARGS) |
                OPTION_BIT(TIMEOUT) | OPTION_BIT(DEMO) | OPTION_BIT(LOCALE) |
                OPTION_BIT(PROGRESS) | OPTION_BIT(IDEMPOTENCY_KEY),
     .summary = "call a tool or an operation and print its result",
     .text =
         "Text goes to stdout as it is; notes (demo answer, warnings, progress) to stderr.\n"
         "A tool that reports a failure of its own ends with exit code 1. On a terminal the\n"
         "service may ask you something; a call then has 10 minutes, unless --timeout says\n"
         "otherwise. Nothing is sent or agreed to that you do not confirm.\n"
         "Exit code 5 says that nobody knows whether it was done. With --idempotency-key it "
         "is\n"
         "done once in 24 hours however often it is called: a lost answer is exit code 4 "
         "then,\n"
         "and the same call with the same key is safe.",
     .may_ask = true,
     .examples =
         {"toolbroker call everything/echo --agent coordinator --arg message=hello",
          "toolbroker call mark_lead_as_contacted --agent lead_administrator --user ana "
          "--arg lead_id='\"42\"'",
          "toolbroker call fs/read_file --json-args '{\"path\": \"/tmp/a.txt\"}' "
          "--timeout 5s",
          "jq -n '{a: 1, b: 2}' | toolbroker call everything/get-sum - --json",
          "toolbroker call sendgrid/send --arg to=ana --idempotency-key order-42-mail"},
     .run = run_call},
    {.name = "resources",
     .operands = "SERVICE",
     .operands_min = 1,
     .operands_max = 1,
     .options =
         OPTION_BIT(AGENT) | OPTION_BIT(USER) | OPTION_BIT(TIMEOUT) | OPTION_BIT(TEMPLATES),
     .summary = "what can be read of a service",
     .examples = {"toolbroker resources everything --agent coordinator",
                  "toolbroker resources everything --templates --json"},
     .run = run_resources},
    {.name = "read",
     .operands = "SERVICE URI",
     .operands_min = 2,
     .operands_max = 2,
     .options =
         OPTION_BIT(AGENT) | OPTION_BIT(USER) | OPTION_BIT(TIMEOUT) | OPTION_BIT(PROGRESS),
     .summary = "print a resource of a service",
     .text = "Text and bytes go to stdout as they are; a terminal gets no bytes.",
     .may_ask = true,
     .examples = {"toolbroker read everything demo://resource/static/document/features.md",
                  "toolbroker read files file:///srv/logo.png > logo.png"},
     .run = run_read},
    {.name = "prompts",
     .operands = "SERVICE [NAME [ARGUMENTS]]",
     .operands_min = 1,
     .operands_max = 3,
     .options = OPTION_BIT(AGENT) | OPTION_BIT(USER) | OPTION_BIT(ARG) | OPTION_BIT(JSON_ARGS) |
                OPTION_BIT(TIMEOUT) | OPTION_BIT(PROGRESS),
     .summary = "the prompts of a service, or one of them filled in",
     .text = "ARGUMENTS is one JSON object, - reads it from stdin; each --arg adds one.",
     .may_ask = true,
     .examples = {"toolbroker prompts everything",
                  "toolbroker prompts everything args-prompt --arg city=Lima",
                  "toolbroker prompts everything args-prompt '{\"city\": \"Lima\"}' --json"},
     .run = run_prompts},
    {.name = "approve",
     .operands = "[SERVICE[/TOOL]]",
     .operands_max = 1,
     .options = OPTION_BIT(YES) | OPTION_BIT(ALL),
     .summary = "tools that are new or changed: what is different, and accepting it",
     .text = "Without a name it lists what waits. With one it shows the differences, and asks; "
             "where\n"
             "there is no terminal only --yes accepts. Exit code 1 says that something still "
             "waits.",
     .examples = {"toolbroker approve", "toolbroker approve salesforce",
                  "toolbroker approve salesforce/create_lead --yes",
                  "toolbroker approve --all --json | jq '.tools[].state'"},
     .run = run_approve},
    {.name = "events",
     .operands = "[KIND...]",
     .operands_max = 9,
     .options = OPTION_BIT(AGENT),
     .summary = "follow what happens to services, until interrupted",
     .text = "Kinds: service.state, service.breaker, service.quarantine, service.health,\n"
             "service.rate_limited, tools.changed, prompts.changed, resources.changed,\n"
             "tool.changed; all of them if none is named. With --json one object a line.",
     .examples = {"toolbroker events", "toolbroker events service.breaker service.quarantine",
                  "toolbroker events --json | jq -c 'select(.service == \"salesforce\")'"},
     .run = run_events},
    {.name = "agents",
     .operands = "[NAME]",
     .operands_max = 1,
     .summary = "the agents that policy knows, or one of them in full",
     .examples = {"toolbroker agents", "toolbroker agents coordinator"},
     .run = run_agents},
    {.name = "calls",
     .operands = "",
     .summary = "the calls under way: what each waits for, and since when",
     .examples = {"toolbroker calls", "watch -n1 toolbroker calls"},
     .run = run_calls},
    {.name = "policy check",
     .operands = "[DIR]",
     .operands_max = 1,
     .is_offline = true,
     .summary = "check settings, services and policy without using them",
     .text =
         "With DIR that folder is checked by `toolbrokerd --check`, no daemon is needed. "
         "Without\n"
         "it the daemon checks its own folder; if there is no daemon, `toolbrokerd --check`\n"
         "checks the default folder.",
     .examples = {"toolbroker policy check", "toolbroker policy check ./etc/toolbroker"},
     .run = run_policy_check},
    {.name = "policy reload",
     .operands = "",
     .summary = "check, then use; any fault leaves the old policy in use",
     .examples = {"toolbroker policy reload"},
     .run = run_policy_reload},
    {.name = "daemon info",
     .operands = "",
     .summary = "version, age, limits and counters of the daemon",
     .examples = {"toolbroker daemon info", "toolbroker daemon info --json"},
     .run = run_daemon_info},
    {.name = "daemon ping",
     .operands = "",
     .summary = "ask for a sign of life and time it",
     .examples = {"toolbroker daemon ping && echo up"},
     .run = run_daemon_ping},
    {.name = "daemon shutdown",
     .operands = "",
     .summary = "end the daemon; calls under way may finish first",
     .examples = {"toolbroker daemon shutdown"},
     .run = run_daemon_shutdown},
    {.name = "describe",
     .operands = "[METHOD]",
     .operands_max = 1,
     .summary = "the methods and errors of the daemon's socket",
     .examples = {"toolbroker describe", "toolbroker describe tools.call"},
     .run = run_describe},
    {.name = "completion",
     .operands = "bash|zsh|fish",
     .operands_min = 1,
     .operands_max = 1,
     .is_offline = true,
     .summary = "print the completion script of a shell",
     .examples = {"eval \"$(toolbroker completion bash)\"",
                  "toolbroker completion fish > ~/.config/fish/completions/toolbroker.fish"},
     .run = run_completion},
    {.name = "help",
     .operands = "[COMMAND]",
     .operands_max = 2,
     .is_offline = true,
     .summary = "this text, or the help of a command",
     .examples = {"toolbroker help call"},
     .run = run_help},
};

const unsigned command_count = sizeof commands / sizeof *commands;

bool command_takes(const struct command *command, enum option_id id)
{
    return (unsigned)id < OPTION_GLOBALS || (command && command->options >> id & 1u);
}

const struct command *command_find(const char *first, const char *second)
{
    char both[64];
    (void)snprintf(both, sizeof both, "%s %s", first, second ? second : "");
    for (unsigned i = 0; i < command_count; i++) {
        if (second && strcmp(commands[i].name, both) == 0) {
            return &commands[i];
        }
    }
    for (unsigned i = 0; i < command_count; i++) {
        if (strcmp(commands[i].name, first) == 0) {
            return &commands[i];
        }
    }
    return NULL;
}
