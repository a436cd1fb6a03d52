/* SPDX-License-Identifier: MIT */
/* front_door.h - the socket of a daemon that stands in a test, and how its methods are declared. */
#ifndef TESTS_UNIT_FRONT_DOOR_H
#define TESTS_UNIT_FRONT_DOOR_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "rpc/rpc.h"

#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* A parameter that may be left out. */
#define PARAM(text, type)                                       \
    {                                                           \
        {(text), sizeof(text) - 1}, RPC_##type, false, NULL, "" \
    }

/* `server` takes who comes to FOLDER/s; the one that listened there before is gone. */
static inline void listen_in(const char *folder, struct rpc_server *server,
                             struct sockaddr_un *ret_address)
{
    *ret_address = (struct sockaddr_un){.sun_family = AF_UNIX};
    (void)snprintf(ret_address->sun_path, sizeof ret_address->sun_path, "%s/s", folder);
    (void)unlink(ret_address->sun_path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)ret_address, sizeof *ret_address), 0);
    assert_int_equal(listen(fd, 64), 0);
    rpc_server_listen(server, fd);
}

static inline int connect_to(const struct sockaddr_un *address)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)address, sizeof *address), 0);
    return fd;
}

#endif
