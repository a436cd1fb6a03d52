/* SPDX-License-Identifier: MIT */
/*
 * draft_ca.c - the certificates that a service's server must be signed by, read with the
 * configuration so that no connection waits for the disk.
 *
 * A file that cannot be used is no fault of the configuration: it may be written later, by another
 * program. The service says so when it is used, and reads it again with the next reload.
 */
#include "conf/draft.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CA_BYTES ((size_t)128 * 1024)
/* Each is read anew for every connection, which takes the loop a quarter of a millisecond. */
#define CERTIFICATES_MAX 16u
#define BEGIN            "-----BEGIN CERTIFICATE-----"

/* Whoever can write it can stand for the server. */
static const char *flaw_of(int fd, size_t *ret_size)
{
    struct stat stat_of;
    if (fstat(fd, &stat_of) != 0) {
        return strerror(errno);
    }
    if (!S_ISREG(stat_of.st_mode)) {
        return "it is no regular file";
    }
    if (stat_of.st_uid != 0 && stat_of.st_uid != geteuid()) {
        return "it belongs neither to root nor to the user who runs the daemon";
    }
    if (stat_of.st_mode & (S_IWGRP | S_IWOTH)) {
        return "others than its owner can write it (chmod go-w)";
    }
    if (stat_of.st_size < 0 || (size_t)stat_of.st_size > CA_BYTES) {
        return "it is longer than 128 KiB";
    }
    *ret_size = (size_t)stat_of.st_size;
    return NULL;
}

static unsigned count_certificates(struct slice text)
{
    unsigned count = 0;
    const char *at = memmem(text.ptr, text.len, BEGIN, strlen(BEGIN));
    while (at) {
        count++;
        at += strlen(BEGIN);
        at = memmem(at, text.len - (size_t)(at - text.ptr), BEGIN, strlen(BEGIN));
    }
    return count;
}

/* What is wrong, NULL if nothing is. */
static const char *read_text(struct draft *draft, int fd, struct slice *ret)
{
    size_t size = 0, length = 0;
    const char *flaw = flaw_of(fd, &size);
    char *text = flaw ? NULL : draft_take(draft, size + 1);
    ssize_t got = 1;
    if (!text) {
        return flaw ? flaw : "there is no memory for it";
    }
    while (length < size && got) {
        got = read(fd, text + length, size - length);
        if (got < 0 && errno != EINTR) {
            return strerror(errno);
        }
        length += got > 0 ? (size_t)got : 0;
    }
    text[length] = '\0';
    unsigned certificates = count_certificates((struct slice){text, length});
    if (!certificates) {
        return "it holds no certificate in PEM form (" BEGIN ")";
    }
    if (certificates > CERTIFICATES_MAX) {
        return "it holds more than 16 certificates: only those of this server's authority are "
               "wanted";
    }
    *ret = (struct slice){text, length};
    return NULL;
}

void draft_read_ca_file(struct draft *draft, struct slice value)
{
    struct service_conf *conf = draft->conf;
    struct slice path;
    if (!check_text(draft->check, value, false, &path)) {
        return;
    }
    if (path.ptr[0] != '/' || memchr(path.ptr, '\0', path.len)) {
        check_fault(draft->check, "%s must be an absolute path, not \"%.*s\"",
                    draft->check->path, SLICE_ARG(path));
        return;
    }
    conf->ca_file = draft_keep_text(draft, path);
    if (!conf->ca_file) {
        return;
    }
    int fd = open(conf->ca_file, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    const char *flaw = fd < 0 ? strerror(errno) : read_text(draft, fd, &conf->ca_pem);
    if (flaw) {
        conf->ca_fault = draft_keep_text(draft, slice_of(flaw));
    }
    if (fd >= 0) {
        (void)close(fd);
    }
}
