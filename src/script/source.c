/* SPDX-License-Identifier: MIT */
/* source.c - reads files of the configuration, and refuses those that others can write. */
#include "script/source.h"

#include "base/err.h"
#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define OTHERS_WRITE (S_IWGRP | S_IWOTH)

/* Adds a fault if anybody but root and the daemon's user can change what `what` names. */
static bool check_owner(const char *file, const char *what, const struct stat *stat,
                        struct faults *faults)
{
    if (stat->st_uid != 0 && stat->st_uid != geteuid()) {
        faults_add(faults, file, 0,
                   "%s belongs to user id %u: it must belong to root or to user id %u, who "
                   "runs the daemon",
                   what, (unsigned)stat->st_uid, (unsigned)geteuid());
        return false;
    }
    if (stat->st_mode & OTHERS_WRITE) {
        faults_add(faults, file, 0,
                   "%s has mode %04o, so that others than its owner can write it: take that "
                   "away (chmod go-w), because a service's command is executed from here",
                   what, (unsigned)(stat->st_mode & 07777u));
        return false;
    }
    return true;
}

static bool check_folder_of(const char *file, const char *path, struct faults *faults)
{
    const char *slash = strrchr(path, '/');
    size_t length = slash ? (size_t)(slash - path) : 0;
    char *folder = mem_dup(slash ? (struct slice){path, length ? length : 1} : SLICE("."));
    struct stat stat_of;
    bool is_fine = false;
    if (stat(folder, &stat_of) != 0) {
        faults_add(faults, file, 0, "the folder %s cannot be looked at: %s", folder,
                   strerror(errno));
    } else {
        struct buf what;
        buf_init(&what, PATH_MAX + 16);
        buf_printf(&what, "the folder %s", folder);
        is_fine = check_owner(file, buf_text(&what), &stat_of, faults);
        buf_done(&what);
    }
    mem_free(folder);
    return is_fine;
}

/* The folder that the name is in, and the one that the file is in behind symbolic links. */
static bool check_folders(const char *file, struct faults *faults)
{
    if (!check_folder_of(file, file, faults)) {
        return false;
    }
    char real[PATH_MAX];
    if (!realpath(file, real)) {
        faults_add(faults, file, 0, "cannot be found again: %s", strerror(errno));
        return false;
    }
    return check_folder_of(file, real, faults);
}

static bool read_text(int fd, const char *file, struct buf *text, struct faults *faults)
{
    for (;;) {
        if (!buf_reserve(text, 4096)) {
            if (text->len < SOURCE_BYTES) {
                faults_add(faults, file, 0, "no memory to read it");
            } else {
                faults_add(faults, file, 0, "is longer than %u bytes", SOURCE_BYTES);
            }
            return false;
        }
        ssize_t count = read(fd, text->data + text->len, 4096);
        if (count > 0) {
            text->len += (size_t)count;
        } else if (count == 0) {
            return true;
        } else if (errno != EINTR) {
            faults_add(faults, file, 0, "cannot be read: %s", strerror(errno));
            return false;
        }
    }
}

static bool read_checked(int fd, const char *file, struct buf *text, struct faults *faults)
{
    struct stat stat_of;
    if (fstat(fd, &stat_of) != 0) {
        faults_add(faults, file, 0, "cannot be looked at: %s", strerror(errno));
        return false;
    }
    if (!S_ISREG(stat_of.st_mode)) {
        faults_add(faults, file, 0, "is not a regular file");
        return false;
    }
    bool is_fine = check_owner(file, "the file", &stat_of, faults);
    return check_folders(file, faults) && is_fine && read_text(fd, file, text, faults);
}

static struct source source_named(const char *name)
{
    struct slice file = slice_of(name);
    struct source source = {.file = mem_dup(file)};
    source.is_json = file.len > 5 && strcmp(name + file.len - 5, ".json") == 0;
    buf_init(&source.text, SOURCE_BYTES + 4096);
    return source;
}

int source_read(const char *file, struct source *ret, struct faults *faults)
{
    /* Without O_NONBLOCK a pipe of that name would hold the start for ever. */
    int fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0 && (errno == ENOENT || errno == ENOTDIR)) {
        return -ERR_NOT_FOUND;
    }
    if (fd < 0) {
        faults_add(faults, file, 0, "cannot be opened: %s", strerror(errno));
        return -ERR_VALIDATION_ERROR;
    }
    struct source source = source_named(file);
    bool is_fine = read_checked(fd, file, &source.text, faults);
    (void)close(fd);
    if (!is_fine) {
        source_done(&source);
        return -ERR_VALIDATION_ERROR;
    }
    *ret = source;
    return 0;
}

void source_of_text(const char *name, struct slice text, struct source *ret)
{
    *ret = source_named(name);
    buf_put_slice(&ret->text, text);
}

void source_done(struct source *source)
{
    mem_free(source->file);
    buf_done(&source->text);
    *source = (struct source){0};
}

int source_line(const struct source *source, struct slice path)
{
    struct slice text = buf_slice(&source->text);
    return source->is_json ? lines_of_json_key(text, path) : lines_of_lua_key(text, path);
}

void source_each_key(const struct source *source, lines_key_fn *each, void *arg)
{
    struct slice text = buf_slice(&source->text);
    if (source->is_json) {
        lines_each_json_key(text, each, arg);
    } else {
        lines_each_lua_key(text, each, arg);
    }
}
