/* SPDX-License-Identifier: MIT */
/*
 * task.h - a call that the server carries out as a task: polled until it has ended.
 *
 * Owns:    a request owns its task; the server is told when the request ends before it does.
 * Rule:    a modern server decides itself and answers with the task, which holds its result in the
 *          end; a 2025-11-25 one is asked for a task, and for its result by `tasks/result`.
 */
#ifndef MCP_TASK_H
#define MCP_TASK_H

#include "mcp/room.h"

struct message;

/* What a legacy server is to keep the task for, ms; 0: the call is to be none. */
int64_t task_ttl(const struct mcp_request *request);

/* Whether the task that is asked for can be where the request goes; if not, it has failed. */
bool task_is_here(struct mcp_request *request);

/* The answer to a call is a task. */
void task_begin(struct mcp_request *request, struct slice fields);

/* The answer to MCP_TASKS_GET. True when there is more to be asked before it can be given: the
 * result of a legacy server, or input that the client can give. */
bool task_continue(struct mcp_request *request, struct slice fields);

/* What came for a step of it; whether a step that failed is tried again. */
void task_answered(struct mcp_request *request, const struct message *message);
bool task_failed(struct mcp_request *request, const struct failure *failure);

/* Keys of its input requests, none of which is asked twice. */
bool task_has_answered(const struct mcp_request *request, struct slice key);
void task_note_answered(struct mcp_request *request, struct slice key);
void task_send_input(struct mcp_request *request, struct slice answers);

/* The session was begun anew, and the server had not looked at the step under way. */
void task_resume(struct mcp_request *request);

/* Whether the server may be at it still, as far as was told. */
bool task_goes_on(const struct mcp_request *request);

/* The request ends; `tells`: and the server learns of it, unless the task has ended. */
void task_drop(struct mcp_request *request, bool tells);

#endif
