/* SPDX-License-Identifier: MIT */
/* listen.c - binds the Unix socket, one daemon a path, or takes it over from systemd. */
#include "listen.h"

#include "base/buf.h"
#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define SYSTEMD_FIRST_FD 3
#define BACKLOG          1024

static int from_systemd(void)
{
    const char *pid = getenv("LISTEN_PID");
    const char *count = getenv("LISTEN_FDS");
    if (!pid || !count || strtol(pid, NULL, 10) != getpid() || strtol(count, NULL, 10) < 1) {
        return -1;
    }
    int flags = fcntl(SYSTEMD_FIRST_FD, F_GETFL);
    if (flags < 0) {
        return -1;
    }
    (void)fcntl(SYSTEMD_FIRST_FD, F_SETFL, flags | O_NONBLOCK);
    (void)fcntl(SYSTEMD_FIRST_FD, F_SETFD, FD_CLOEXEC);
    (void)unsetenv("LISTEN_PID");
    (void)unsetenv("LISTEN_FDS");
    (void)unsetenv("LISTEN_FDNAMES");
    return SYSTEMD_FIRST_FD;
}

int listen_make_folders(const char *path, unsigned mode, struct err *reterr)
{
    char *copy = mem_dup(slice_of(path));
    int result = 0;
    for (char *at = copy + 1; result == 0; at++) {
        if (*at != '/' && *at != '\0') {
            continue;
        }
        bool is_last = *at == '\0';
        *at = '\0';
        if (mkdir(copy, is_last ? mode : 0755) != 0 && errno != EEXIST) {
            result = err_set(reterr, ERR_INTERNAL, "cannot make the folder %s: %s", copy,
                             strerror(errno));
        }
        if (is_last) {
            break;
        }
        *at = '/';
    }
    mem_free(copy);
    return result;
}

/* The lock lives beside the socket and outlives nobody: the kernel drops it with its holder. */
static int lock(const char *path, int *ret_fd, struct err *reterr)
{
    struct buf name;
    buf_init(&name, 4096);
    buf_printf(&name, "%s.lock", path);
    int fd = open(buf_text(&name), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    buf_done(&name);
    if (fd < 0) {
        return err_set(reterr, ERR_INTERNAL, "cannot lock %s: %s", path, strerror(errno));
    }
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        (void)close(fd);
        return err_set(reterr, ERR_CONFLICT, "another toolbrokerd serves %s", path);
    }
    *ret_fd = fd;
    return 0;
}

static int bind_at(const char *path, struct err *reterr)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    memcpy(address.sun_path, path, strlen(path) + 1);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return err_set(reterr, ERR_INTERNAL, "no socket: %s", strerror(errno));
    }
    struct stat info;
    if (lstat(path, &info) == 0 && S_ISSOCK(info.st_mode)) {
        (void)unlink(path);
    }
    mode_t before = umask(0117);
    int bound = bind(fd, (const struct sockaddr *)&address, sizeof address);
    int cause = errno;
    (void)umask(before);
    if (bound != 0 || listen(fd, BACKLOG) != 0) {
        (void)close(fd);
        return err_set(reterr, ERR_INTERNAL, "cannot listen on %s: %s", path, strerror(cause));
    }
    return fd;
}

int listen_open(const char *path, struct listening *ret, struct err *reterr)
{
    struct listening listening = {from_systemd(), -1, path};
    if (listening.fd >= 0) {
        *ret = listening;
        return 0;
    }
    if (strlen(path) >= sizeof(((struct sockaddr_un *)NULL)->sun_path)) {
        return err_set(reterr, ERR_VALIDATION_ERROR,
                       "the socket's path is longer than the 107 bytes that a Unix socket may "
                       "have: %s",
                       path);
    }
    char *folder = mem_dup(slice_of(path));
    char *slash = strrchr(folder, '/');
    int result = 0;
    if (slash && slash != folder) {
        *slash = '\0';
        result = listen_make_folders(folder, 0755, reterr);
    }
    mem_free(folder);
    if (result == 0) {
        result = lock(path, &listening.lock_fd, reterr);
    }
    if (result == 0 && (listening.fd = bind_at(path, reterr)) < 0) {
        result = listening.fd;
        (void)close(listening.lock_fd);
    }
    if (result == 0) {
        *ret = listening;
    }
    return result;
}

void listen_close(struct listening *listening)
{
    if (listening->lock_fd >= 0) {
        (void)unlink(listening->path);
        /* The lock file stays: removing it would let two daemons lock two files of one name. */
        (void)close(listening->lock_fd);
        listening->lock_fd = -1;
    }
}
