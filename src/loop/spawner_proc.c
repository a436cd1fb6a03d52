/* SPDX-License-Identifier: MIT */
/* spawner_proc.c - reading /proc without opendir, which allocates. */
#include "loop/spawner.h"

#include <dirent.h>
#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

struct entry { /* struct linux_dirent64 of getdents64(2) */
    uint64_t inode;
    int64_t offset;
    unsigned short length;
    unsigned char type;
    char name[];
};

static pid_t parse_pid(const char *text)
{
    pid_t pid = 0;
    for (; *text >= '0' && *text <= '9'; text++) {
        pid = pid * 10 + (*text - '0');
    }
    return pid;
}

static char *put_pid(char *to, pid_t pid)
{
    char digits[16];
    size_t count = 0;
    do {
        digits[count++] = (char)('0' + pid % 10);
        pid /= 10;
    } while (pid > 0);
    while (count) {
        *to++ = digits[--count];
    }
    return to;
}

/* A /proc of another pid namespace has other numbers for the same processes. */
static bool is_proc_ours(void)
{
    char text[16] = "";
    ssize_t len = readlink("/proc/self", text, sizeof text - 1);
    return len > 0 && parse_pid(text) == getpid();
}

bool spawner_each_process(void (*seen)(void *arg, pid_t pid), void *arg)
{
    _Alignas(struct entry) static char block[16384];
    int fd = is_proc_ours() ? open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    if (fd < 0) {
        return false;
    }
    for (long len; (len = syscall(SYS_getdents64, fd, block, sizeof block)) > 0;) {
        const struct entry *entry;
        for (long at = 0; at < len; at += entry->length) {
            entry = (const struct entry *)(const void *)(block + at);
            pid_t pid = parse_pid(entry->name);
            if (pid > 0) {
                seen(arg, pid);
            }
        }
    }
    (void)close(fd);
    return true;
}

pid_t spawner_parent_of(pid_t pid)
{
    char text[512];
    char path[32] = "/proc/";
    char *end = put_pid(path + 6, pid);
    memcpy(end, "/stat", 6);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return -1;
    }
    ssize_t len = read(fd, text, sizeof text - 1);
    (void)close(fd);
    if (len <= 0) {
        return -1;
    }
    text[len] = '\0';
    /* "pid (name) state ppid ...", and the name may hold anything */
    const char *name_end = strrchr(text, ')');
    return name_end && strlen(name_end) > 4 ? parse_pid(name_end + 4) : -1;
}
