/* SPDX-License-Identifier: MIT */
/* listen.h - the socket that clients connect to: made here, or given by systemd. */
#ifndef LISTEN_H
#define LISTEN_H

#include "base/err.h"

#include <stdbool.h>

struct listening {
    int fd;
    int lock_fd; /* held while we serve the path; -1: systemd's socket */
    const char *path;
};

/* A socket given by systemd (sd_listen_fds(3)) wins; else one is bound at `path`, whose folder is made
 * if need be; a file left by a daemon that died is replaced, one that is served is not. */
int listen_open(const char *path, struct listening *ret, struct err *reterr);
void listen_close(struct listening *listening); /* removes the file; not the descriptor `fd` */

/* mkdir -p, the last folder with `mode`. */
int listen_make_folders(const char *path, unsigned mode, struct err *reterr);

#endif
