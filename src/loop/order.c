/* SPDX-License-Identifier: MIT */
/* order.c - makes, sends and frees messages to the helper; who gets what is child.c's. */
#include "loop/order.h"

#include "base/mem.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

_Static_assert(offsetof(struct order, text) ==
                   offsetof(struct order, head) + sizeof(struct spawn_order),
               "head and text are sent as one piece");

static size_t texts_len(const char *const *texts, uint32_t *ret_count)
{
    size_t len = 0;
    uint32_t count = 0;
    for (; texts && texts[count] && count <= SPAWN_TEXTS_MAX; count++) {
        len += strlen(texts[count]) + 1;
    }
    *ret_count = count;
    return len;
}

static char *put_text(char *to, const char *text)
{
    size_t len = strlen(text) + 1;
    memcpy(to, text, len);
    return to + len;
}

static void prepare(struct order *order, enum spawn_order_kind kind, size_t text_bytes)
{
    memset(order, 0, sizeof *order);
    order->head.kind = kind;
    order->head.text_bytes = (uint32_t)text_bytes;
    order->len = sizeof order->head + text_bytes;
    for (int i = 0; i < SPAWN_STANDARD_FD; i++) {
        order->fds[i] = -1;
    }
}

int order_new_start(const struct child_options *options, struct order **ret, struct err *reterr)
{
    uint32_t argc;
    uint32_t envc;
    const char *cwd = options->cwd ? options->cwd : "/";
    size_t argv_len = texts_len(options->argv, &argc);
    size_t env_len = texts_len(options->env, &envc);
    size_t len = strlen(cwd) + 1 + argv_len + env_len;
    if (argc == 0 || options->argv[0][0] == '\0') {
        return err_set(reterr, ERR_VALIDATION_ERROR, "no command to start");
    }
    if (len > SPAWN_TEXT_BYTES || argc + envc > SPAWN_TEXTS_MAX - 2) {
        return err_set(reterr, ERR_VALIDATION_ERROR,
                       "cannot start `%.128s`: arguments and environment are %zu bytes in %u "
                       "pieces, at most %u in %u are possible",
                       options->argv[0], len, argc + envc, SPAWN_TEXT_BYTES,
                       SPAWN_TEXTS_MAX - 2);
    }
    struct order *order = mem_try(sizeof *order + len);
    if (!order) {
        return err_set(reterr, ERR_OVERLOADED, "cannot start `%.128s`: no memory",
                       options->argv[0]);
    }
    prepare(order, SPAWN_START, len);
    order->head.argc = argc;
    order->head.envc = envc;
    order->head.memory_bytes = options->limits.memory_bytes;
    order->head.open_files = options->limits.open_files;
    char *at = put_text(order->text, cwd);
    for (uint32_t i = 0; i < argc; i++) {
        at = put_text(at, options->argv[i]);
    }
    for (uint32_t i = 0; options->env && i < envc; i++) {
        at = put_text(at, options->env[i]);
    }
    *ret = order;
    return 0;
}

struct order *order_new_signal(uint64_t id, int signal_number)
{
    struct order *order = mem_new(sizeof *order);
    prepare(order, SPAWN_SIGNAL, 0);
    order->head.id = id;
    order->head.signal_number = signal_number;
    return order;
}

void order_free(struct order *order)
{
    for (int i = 0; i < SPAWN_STANDARD_FD; i++) {
        if (order->fds[i] >= 0) {
            (void)close(order->fds[i]);
        }
    }
    mem_wipe(order->text, order->head.text_bytes);
    mem_free(order);
}

int order_send(struct order *order, int socket)
{
    union {
        struct cmsghdr aligned;
        char bytes[CMSG_SPACE(sizeof order->fds)];
    } control = {.bytes = {0}};
    struct iovec part = {&order->head, order->len};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    if (order->fds[0] >= 0) {
        message.msg_control = &control;
        message.msg_controllen = sizeof control;
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(sizeof order->fds);
        memcpy(CMSG_DATA(header), order->fds, sizeof order->fds);
    }
    ssize_t sent = sendmsg(socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent >= 0) {
        return 1;
    }
    return errno == EAGAIN || errno == EINTR || errno == ENOBUFS ? 0 : -1;
}
