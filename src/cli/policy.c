/* SPDX-License-Identifier: MIT */
/* policy.c - `policy check` and `policy reload`; checking a folder runs `toolbrokerd --check`. */
#include "cli/cli.h"
#include "cli/table.h"
#include "cli/view.h"

#include "value/pack.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define DAEMON_NAME   "toolbrokerd"
#define REPORT_BYTES  ((size_t)4194304)
#define STATUS_NO_RUN 127

static void put_faults(struct cli *cli, struct slice faults)
{
    struct slice fault;
    struct view_list list = view_list(faults);
    while (view_next(&list, &fault)) {
        int64_t line = view_int(fault, "line", 0);
        put_paint(&cli->out, &cli->terminal, PAINT_RED);
        put_clean(&cli->out, view_text(fault, "file"), 0);
        if (line > 0) {
            buf_printf(&cli->out, ":%" PRId64, line);
        }
        put_plain(&cli->out, &cli->terminal);
        buf_put_text(&cli->out, ": ");
        put_clean(&cli->out, view_text(fault, "text"), 0);
        buf_put_byte(&cli->out, '\n');
    }
}

/* Shows {ok, faults, restart_needed}; the exit code says whether it was ok. */
static int show_verdict(struct cli *cli, struct slice result, const char *good, const char *bad)
{
    bool is_ok = view_is_true(result, "ok");
    int code = is_ok ? EXIT_FINE : EXIT_FAILED;
    if (cli->is_json) {
        int printed = cli_put_json(cli, result);
        return printed == EXIT_FINE ? code : printed;
    }
    put_faults(cli, view_get(result, "faults"));
    put_mark(&cli->out, &cli->terminal, is_ok ? MARK_GOOD : MARK_BAD);
    buf_put_text(&cli->out, is_ok ? good : bad);
    buf_put_byte(&cli->out, '\n');
    struct slice restart = view_get(result, "restart_needed");
    if (view_count(restart)) {
        put_mark(&cli->out, &cli->terminal, MARK_WARN);
        buf_put_text(&cli->out, "in use only after a restart: ");
        put_joined(&cli->out, restart);
        buf_put_byte(&cli->out, '\n');
    }
    return code;
}

/* The daemon's program: beside this one, else by its name in PATH. */
static void find_daemon(struct buf *path)
{
    char self[PATH_MAX];
    ssize_t len = readlink("/proc/self/exe", self, sizeof self);
    if (len > 0 && (size_t)len < sizeof self) {
        while (len > 0 && self[len - 1] != '/') {
            len--;
        }
        buf_put(path, self, (size_t)len);
        buf_put_text(path, DAEMON_NAME);
        if (access(buf_text(path), X_OK) == 0) {
            return;
        }
    }
    buf_clear(path);
    buf_put_text(path, DAEMON_NAME);
}

/* Runs the check with stdout and stderr into `report`; the exit status, or -1 with errno. */
static int run_check(const char *program, const char *folder, struct buf *report)
{
    const char *const words[] = {program, "--check", folder ? "--config" : NULL, folder, NULL};
    char
        *argv[sizeof words / sizeof *words]; /* posix_spawn wants char *, and changes nothing */
    memcpy(argv, words, sizeof words);
    int ends[2];
    pid_t pid;
    posix_spawn_file_actions_t actions;
    if (pipe2(ends, O_CLOEXEC) != 0) {
        return -1;
    }
    (void)posix_spawn_file_actions_init(&actions);
    (void)posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
    (void)posix_spawn_file_actions_adddup2(&actions, ends[1], STDERR_FILENO);
    int error = posix_spawnp(&pid, program, &actions, NULL, argv, environ);
    (void)posix_spawn_file_actions_destroy(&actions);
    (void)close(ends[1]);
    char chunk[4096];
    ssize_t got = 0;
    while (!error &&
           ((got = read(ends[0], chunk, sizeof chunk)) > 0 || (got < 0 && errno == EINTR))) {
        buf_put(report, chunk, got > 0 ? (size_t)got : 0);
    }
    (void)close(ends[0]);
    if (error) {
        errno = error;
        return -1;
    }
    int status = 0;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : STATUS_NO_RUN;
}

/* "FILE:LINE: TEXT" or "FILE: TEXT" as a fault; any other line as a fault without a file. */
static void put_fault(struct buf *out, struct slice line)
{
    size_t at = 0;
    int64_t number = 0;
    struct slice file = {line.ptr, 0};
    struct slice text = line;
    while (at < line.len && line.ptr[at] != ':') {
        at++;
    }
    size_t digits = at + 1;
    while (digits < line.len && line.ptr[digits] >= '0' && line.ptr[digits] <= '9' &&
           number < 100000000) {
        number = number * 10 + (line.ptr[digits++] - '0');
    }
    if (digits > at + 1 && digits + 1 < line.len && line.ptr[digits] == ':') {
        file.len = at;
        text = (struct slice){line.ptr + digits + 2, line.len - digits - 2};
    } else if (at + 1 < line.len && line.ptr[at + 1] == ' ' && memchr(line.ptr, '/', at)) {
        number = 0;
        file.len = at;
        text = (struct slice){line.ptr + at + 2, line.len - at - 2};
    } else {
        number = 0;
    }
    pack_put_map(out, 3);
    pack_put_key_str(out, "file", file);
    pack_put_key_int(out, "line", number);
    pack_put_key_str(out, "text", text);
}

/* "3 faults": the report's last line, which is none itself. */
static bool is_count(const char *line, size_t len)
{
    size_t digits = 0;
    while (digits < len && line[digits] >= '0' && line[digits] <= '9') {
        digits++;
    }
    struct slice rest = {line + digits, len - digits};
    return digits > 0 && (slice_is(rest, " fault") || slice_is(rest, " faults"));
}

/* The same shape as the answer of policy.check, from the report's lines. */
static void put_verdict(struct buf *out, struct slice report, bool is_ok)
{
    uint32_t count = 0;
    pack_put_map(out, 2);
    pack_put_key_bool(out, "ok", is_ok);
    pack_put_text(out, "faults");
    size_t opened = pack_open(out);
    while (!is_ok && report.len) {
        const char *end = memchr(report.ptr, '\n', report.len);
        size_t len = end ? (size_t)(end - report.ptr) : report.len;
        if (len && !is_count(report.ptr, len)) {
            put_fault(out, (struct slice){report.ptr, len});
            count++;
        }
        len += end ? 1 : 0;
        report.ptr += len;
        report.len -= len;
    }
    pack_close_array(out, opened, count);
}

static int check_folder(struct cli *cli, const char *folder)
{
    struct buf program;
    struct buf report;
    int code;
    buf_init(&program, PATH_MAX + 64u);
    buf_init(&report, REPORT_BYTES);
    find_daemon(&program);
    int status = run_check(buf_text(&program), folder, &report);
    if (status < 0 || status == STATUS_NO_RUN) {
        code = cli_complain(cli, EXIT_FAILED,
                            "Install " DAEMON_NAME " beside this tool or in PATH.",
                            "%s cannot be run: %s", buf_text(&program),
                            status < 0 ? strerror(errno) : "it did not start");
    } else if (cli->is_json) {
        struct buf verdict;
        buf_init(&verdict, REPORT_BYTES * 4);
        put_verdict(&verdict, buf_slice(&report), status == 0);
        code = show_verdict(cli, buf_slice(&verdict), "", "");
        buf_done(&verdict);
    } else {
        put_lines(&cli->out, buf_slice(&report));
        code = status == 0 ? EXIT_FINE : status == EXIT_USAGE ? EXIT_USAGE : EXIT_FAILED;
    }
    buf_done(&report);
    buf_done(&program);
    return code;
}

int run_policy_check(struct cli *cli)
{
    struct slice result;
    if (cli->args->operand_count) {
        return check_folder(cli, cli->args->operands[0]);
    }
    if (tb_connect(cli->client) == TB_UNREACHABLE) {
        cli_note(
            cli, PAINT_YELLOW,
            SLICE("note: no daemon answers; `toolbrokerd --check` checks the default folder"));
        return check_folder(cli, NULL);
    }
    int code = cli_call(cli, "policy.check", NULL, CLI_TIMEOUT_MS, &result);
    return code == EXIT_FINE
               ? show_verdict(cli, result, "no fault found", "faulty: it would not be used")
               : code;
}

int run_policy_reload(struct cli *cli)
{
    struct slice result;
    int code = cli_call(cli, "policy.reload", NULL, CLI_TIMEOUT_MS, &result);
    return code == EXIT_FINE ? show_verdict(cli, result, "checked and in use",
                                            "faulty: the old policy stays in use")
                             : code;
}
