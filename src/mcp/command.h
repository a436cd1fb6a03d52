/* SPDX-License-Identifier: MIT */
/*
 * command.h - a copy of what is needed to start a process, kept until it is started.
 *
 * Owns:    its texts, which may hold secrets: they are wiped when it is freed.
 */
#ifndef MCP_COMMAND_H
#define MCP_COMMAND_H

#include "loop/child.h"

struct command;

struct command *command_new(const char *const *argv, const char *const *env, const char *cwd);
struct child_options command_options(const struct command *command);
void command_free(struct command *command);

#endif
