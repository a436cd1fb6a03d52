/* SPDX-License-Identifier: MIT */
/* spawner_exec.c - the last steps of a new process before it is the program that was asked for. */
#include "loop/spawner.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#define DEFAULT_PATH "/usr/local/bin:/usr/bin:/bin"

static _Noreturn void refuse(int report_fd, enum spawn_stage stage, int error)
{
    struct spawn_failure failure = {.stage = stage, .error = error};
    (void)!write(report_fd, &failure, sizeof failure);
    _exit(127);
}

static const char *path_in(char *const *env)
{
    for (; *env; env++) {
        if (strncmp(*env, "PATH=", 5) == 0) {
            return *env + 5;
        }
    }
    return DEFAULT_PATH;
}

/* Whether another folder of PATH may still have the program. */
static bool is_elsewhere(int error)
{
    return error == ENOENT || error == ENOTDIR || error == EACCES || error == ESTALE ||
           error == ENODEV || error == ETIMEDOUT;
}

/* Tries each folder of PATH; returns the errno to report: EACCES if one held the name but not a
 * program that may run, for that says more than "not found". */
static int exec_in_path(char *const *argv, char *const *env)
{
    static char file[PATH_MAX];
    size_t name_len = strlen(argv[0]);
    int error = ENOENT;
    for (const char *at = path_in(env), *end; at; at = *end ? end + 1 : NULL) {
        end = strchrnul(at, ':');
        size_t len = (size_t)(end - at);
        if (len + name_len + 2 > sizeof file) {
            continue;
        }
        memcpy(file, at, len);
        if (len) {
            file[len++] = '/'; /* an empty entry is the working folder */
        }
        memcpy(file + len, argv[0], name_len + 1);
        (void)execve(file, argv, env);
        if (!is_elsewhere(errno)) {
            return errno;
        }
        if (errno == EACCES) {
            error = EACCES;
        }
    }
    return error;
}

/* Hard and soft: nobody may raise it again. */
static void set_limits(const struct spawn_program *program)
{
    const struct rlimit files = {program->open_files, program->open_files};
    const struct rlimit memory = {program->memory_bytes, program->memory_bytes};
    if ((program->open_files && setrlimit(RLIMIT_NOFILE, &files) != 0) ||
        (program->memory_bytes && setrlimit(RLIMIT_DATA, &memory) != 0)) {
        refuse(SPAWN_EXEC_FD, SPAWN_AT_LIMITS, errno);
    }
}

_Noreturn void spawner_exec(const struct spawn_program *program, const int *fds, int report_fd)
{
    char *const *argv = program->argv;
    char *const *env = program->env;
    sigset_t none;
    (void)sigemptyset(&none);
    for (int i = 0; i < SPAWN_STANDARD_FD; i++) {
        if (dup2(fds[i], i) < 0) {
            refuse(report_fd, SPAWN_AT_FORK, errno);
        }
    }
    if (report_fd != SPAWN_EXEC_FD) {
        if (dup3(report_fd, SPAWN_EXEC_FD, O_CLOEXEC) < 0) {
            refuse(report_fd, SPAWN_AT_FORK, errno);
        }
    }
    closefrom(SPAWN_EXEC_FD + 1);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    if (chdir(program->cwd) != 0) {
        refuse(SPAWN_EXEC_FD, SPAWN_AT_CWD, errno);
    }
    set_limits(program);
    if (strchr(argv[0], '/')) {
        (void)execve(argv[0], argv, env);
        refuse(SPAWN_EXEC_FD, SPAWN_AT_EXEC, errno);
    }
    refuse(SPAWN_EXEC_FD, SPAWN_AT_EXEC, exec_in_path(argv, env));
}
