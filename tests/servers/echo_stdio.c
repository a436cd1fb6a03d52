/* SPDX-License-Identifier: MIT */
/* echo_stdio.c - the echo server over standard input and output, one message a line. */
#include "echo_mcp.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { READ_BYTES = 65536 };

static int write_all(struct echo_text *out)
{
    size_t done = 0;
    while (done < out->length) {
        ssize_t count = write(STDOUT_FILENO, out->data + done, out->length - done);
        if (count < 0 && errno != EINTR) {
            return -1;
        }
        done += count > 0 ? (size_t)count : 0;
    }
    out->length = 0;
    return 0;
}

/* Answers every complete line and keeps the rest. */
static void answer_lines(struct echo_text *in, size_t seen, struct echo_text *out)
{
    char *line = in->data, *end = in->data + in->length, *stop = in->data + seen;
    while ((stop = memchr(stop, '\n', (size_t)(end - stop)))) {
        size_t before = out->length;
        (void)echo_mcp_answer(line, (size_t)(stop - line), out);
        if (out->length > before) {
            echo_text_puts(out, "\n");
        }
        line = ++stop;
    }
    in->length = (size_t)(end - line);
    memmove(in->data, line, in->length);
}

int main(void)
{
    struct echo_text in = {0}, out = {0};
    for (;;) {
        ssize_t count = read(STDIN_FILENO, echo_text_room(&in, READ_BYTES), READ_BYTES);
        if (count < 0 && errno == EINTR) {
            continue;
        }
        if (count <= 0) {
            break;
        }
        size_t seen = in.length;
        in.length += (size_t)count;
        answer_lines(&in, seen, &out);
        if (write_all(&out) != 0) {
            break;
        }
    }
    free(in.data);
    free(out.data);
    return 0;
}
