/* SPDX-License-Identifier: MIT */
/* completion.c - completion scripts for shells, made from the tables of command.c. */
#include "cli/command.h"

#include <stdio.h>
#include <string.h>

static void put_options(const struct command *command, const char *gap, struct buf *out)
{
    for (unsigned id = 0; id < OPTION_COUNT; id++) {
        if (command_takes(command, (enum option_id)id)) {
            buf_printf(out, "%s--%s", id ? gap : "", options[id].name);
        }
    }
}

/* The first words of all commands, each once. */
static void put_first_words(struct buf *out)
{
    for (unsigned i = 0; i < command_count; i++) {
        size_t len = strcspn(commands[i].name, " ");
        bool is_known = i > 0 && strncmp(commands[i - 1].name, commands[i].name, len) == 0 &&
                        commands[i - 1].name[len] == ' ';
        if (!is_known) {
            buf_printf(out, "%s%.*s", i ? " " : "", (int)len, commands[i].name);
        }
    }
}

/* "policy) words='check reload' ;;" for each group. */
static void put_bash_groups(struct buf *out)
{
    for (unsigned i = 0; i < command_count; i++) {
        const char *space = strchr(commands[i].name, ' ');
        if (!space) {
            continue;
        }
        size_t len = (size_t)(space - commands[i].name) + 1;
        buf_printf(out, "        %.*s) words='", (int)len - 1, commands[i].name);
        unsigned last = i;
        while (last < command_count &&
               strncmp(commands[last].name, commands[i].name, len) == 0) {
            buf_printf(out, "%s%s", last > i ? " " : "", commands[last].name + len);
            last++;
        }
        buf_put_text(out, "' ;;\n");
        i = last - 1;
    }
}

static void put_bash(struct buf *out)
{
    buf_put_text(out,
                 "# bash completion of toolbroker: eval \"$(toolbroker completion bash)\"\n"
                 "_toolbroker_names() {\n"
                 "    command toolbroker \"$@\" 2>/dev/null | awk 'NR > 1 && NF == 0 {exit} "
                 "NR > 1 {print $1}'\n"
                 "}\n"
                 "_toolbroker() {\n"
                 "    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}\n"
                 "    local first=${COMP_WORDS[1]} second=${COMP_WORDS[2]} words=''\n"
                 "    case $prev in\n"
                 "    --agent) words=$(_toolbroker_names agents) ;;\n"
                 "    --service) words=$(_toolbroker_names list) ;;\n"
                 "    --demo) words='policy never only' ;;\n"
                 "    --outcome) words='live demo cache fallback failed' ;;\n"
                 "    --socket)\n"
                 "        COMPREPLY=($(compgen -f -- \"$cur\"))\n"
                 "        return ;;\n"
                 "    esac\n"
                 "    if [[ -n $words ]]; then\n"
                 "        :\n"
                 "    elif [[ $cur == -* ]]; then\n"
                 "        case \"$first $second\" in\n");
    for (unsigned i = 0; i < command_count; i++) {
        bool is_group = strchr(commands[i].name, ' ') != NULL;
        buf_printf(out, "        '%s'%s) words='", commands[i].name, is_group ? "" : "' '*");
        put_options(&commands[i], " ", out);
        buf_put_text(out, "' ;;\n");
    }
    buf_put_text(out, "        *) words='");
    put_options(NULL, " ", out);
    buf_put_text(out,
                 "' ;;\n        esac\n    elif ((COMP_CWORD == 1)); then\n        words='");
    put_first_words(out);
    buf_put_text(out, "'\n    elif ((COMP_CWORD == 2)); then\n        case $first in\n");
    put_bash_groups(out);
    buf_put_text(
        out, "        status | test | health | breaker | quarantine | release | history | \\\n"
             "            resources | read | prompts) words=$(_toolbroker_names list) ;;\n"
             "        approve) words=$(_toolbroker_names approve) ;;\n"
             "        events) words='service.state service.breaker service.quarantine "
             "service.health service.rate_limited tools.changed prompts.changed "
             "resources.changed tool.changed' ;;\n"
             "        agents) words=$(_toolbroker_names agents) ;;\n"
             "        call | tools) words=$(_toolbroker_names tools) ;;\n"
             "        completion) words='bash zsh fish' ;;\n"
             "        help) words='");
    put_first_words(out);
    buf_put_text(
        out,
        "' ;;\n        esac\n    elif [[ $first == breaker ]] && ((COMP_CWORD == 3)); then\n"
        "        words='open close reset auto'\n"
        "    elif [[ $first == policy && $second == check ]]; then\n"
        "        COMPREPLY=($(compgen -d -- \"$cur\"))\n        return\n    fi\n"
        "    COMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n"
        "}\ncomplete -F _toolbroker toolbroker\n");
}

/* zsh runs bash's function through its own bashcompinit. */
static void put_zsh(struct buf *out)
{
    buf_put_text(out, "#compdef toolbroker\nautoload -U +X bashcompinit && bashcompinit\n");
    put_bash(out);
}

static void put_fish_text(const char *text, struct buf *out)
{
    for (; *text; text++) {
        if (*text == '\'' || *text == '\\') {
            buf_put_byte(out, '\\');
        }
        buf_put_byte(out, (uint8_t)*text);
    }
}

static void put_fish_command(const struct command *command, struct buf *out)
{
    const char *space = strchr(command->name, ' ');
    int len = (int)(space ? space - command->name : (long)strlen(command->name));
    if (space) {
        buf_printf(out,
                   "complete -c toolbroker -f -n '__fish_use_subcommand' -a %.*s\n"
                   "complete -c toolbroker -f -n '__fish_seen_subcommand_from %.*s' -a %s -d '",
                   len, command->name, len, command->name, space + 1);
    } else {
        buf_printf(out, "complete -c toolbroker -f -n '__fish_use_subcommand' -a %s -d '",
                   command->name);
    }
    put_fish_text(command->summary, out);
    buf_put_text(out, "'\n");
    for (unsigned id = OPTION_GLOBALS; id < OPTION_COUNT; id++) {
        if (command_takes(command, (enum option_id)id)) {
            buf_printf(
                out,
                "complete -c toolbroker -n '__fish_seen_subcommand_from %.*s' -l %s%s -d '",
                len, command->name, options[id].name, *options[id].value ? " -x" : "");
            put_fish_text(options[id].text, out);
            buf_put_text(out, "'\n");
        }
    }
}

static void put_fish(struct buf *out)
{
    buf_put_text(out, "# fish completion of toolbroker\n");
    for (unsigned id = 0; id < OPTION_GLOBALS; id++) {
        buf_printf(out, "complete -c toolbroker -l %s%s -d '", options[id].name,
                   *options[id].value ? " -r" : "");
        put_fish_text(options[id].text, out);
        buf_put_text(out, "'\n");
    }
    for (unsigned i = 0; i < command_count; i++) {
        put_fish_command(&commands[i], out);
    }
}

bool completion_put(const char *shell, struct buf *out)
{
    static const struct {
        const char *shell;
        void (*put)(struct buf *out);
    } shells[] = {{"bash", put_bash}, {"zsh", put_zsh}, {"fish", put_fish}};
    for (size_t i = 0; i < sizeof shells / sizeof *shells; i++) {
        if (strcmp(shell, shells[i].shell) == 0) {
            shells[i].put(out);
            return true;
        }
    }
    return false;
}
