/* SPDX-License-Identifier: MIT */
/* command.c - copies a command with its environment into one block, and wipes it. */
#include "mcp/command.h"

#include "base/mem.h"

#include <string.h>

struct command { /* the texts follow the pointers */
    size_t size;
    const char *cwd;
    const char *const *argv, *const *env;
    const char *texts[];
};

static size_t count_texts(const char *const *texts, size_t *bytes)
{
    size_t count = 0;
    for (; texts && texts[count]; count++) {
        *bytes += strlen(texts[count]) + 1;
    }
    return count;
}

static char *copy_text(char **at, const char *text)
{
    char *copy = *at;
    size_t len = strlen(text) + 1;
    memcpy(copy, text, len);
    *at += len;
    return copy;
}

struct command *command_new(const char *const *argv, const char *const *env, const char *cwd)
{
    cwd = cwd ? cwd : "/";
    size_t bytes = strlen(cwd) + 1;
    size_t argc = count_texts(argv, &bytes);
    size_t envc = count_texts(env, &bytes);
    size_t pointers = (argc + envc + 2) * sizeof(char *);
    struct command *command = mem_new(sizeof *command + pointers + bytes);
    char *at = (char *)(command->texts + argc + envc + 2);
    command->size = sizeof *command + pointers + bytes;
    command->argv = command->texts;
    command->env = command->texts + argc + 1;
    command->cwd = copy_text(&at, cwd);
    for (size_t i = 0; i < argc; i++) {
        command->texts[i] = copy_text(&at, argv[i]);
    }
    for (size_t i = 0; i < envc; i++) {
        command->texts[argc + 1 + i] = copy_text(&at, env[i]);
    }
    return command;
}

struct child_options command_options(const struct command *command)
{
    return (struct child_options){
        .argv = command->argv, .env = command->env, .cwd = command->cwd};
}

void command_free(struct command *command)
{
    if (command) {
        mem_wipe(command, command->size);
        mem_free(command);
    }
}
