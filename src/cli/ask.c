/* SPDX-License-Identifier: MIT */
/* ask.c - asks the person at the terminal: reading lines, and the thread that puts questions. */
#include "cli/ask.h"
#include "cli/view.h"

#include "base/list.h"
#include "base/mem.h"
#include "value/pack.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/eventfd.h>
#include <termios.h>
#include <unistd.h>

#define LINE_BYTES    65536u
#define SAY_BYTES     4194304u
#define PARAMS_BYTES  16777216u
#define WAITING_MAX   16u /* questions behind the one that is asked */
#define CONTENT_BYTES ((size_t)1048576)
#define URL_BYTES     2000u /* longer ones are unusual */

struct asked {
    struct list_link link;
    uint64_t id;
    bool is_url;
    struct buf params;
};

struct asker {
    struct terminal terminal;
    struct tb_client *client;
    pthread_t thread;
    bool has_thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct list waiting; /* struct asked */
    unsigned count;
    uint64_t current; /* 0: nothing is being asked */
    bool is_gone;     /* the current one was taken back */
    bool is_ending;
};

/* For the signal handler: whether somebody is being asked, and what ends the reading. */
static atomic_bool is_asking, was_interrupted;
static int wake_fd = -1;

static void wake(void)
{
    int saved = errno;
    uint64_t one = 1;
    (void)!write(wake_fd, &one, sizeof one);
    errno = saved;
}

bool asker_interrupt(void)
{
    if (!atomic_load(&is_asking)) {
        return false;
    }
    atomic_store(&was_interrupted, true);
    wake();
    return true;
}

bool ask_is_possible(const struct cli *cli)
{
    return cli->notes.is_terminal && isatty(STDIN_FILENO) == 1;
}

static bool is_one_of(struct slice text, const char *const *words)
{
    for (; *words; words++) {
        if (strlen(*words) == text.len && strncasecmp(*words, text.ptr, text.len) == 0) {
            return true;
        }
    }
    return false;
}

bool is_yes(struct slice text)
{
    static const char *const words[] = {"y", "yes", "true", NULL};
    return is_one_of(text, words);
}

bool is_no(struct slice text)
{
    static const char *const words[] = {"n", "no", "false", NULL};
    return is_one_of(text, words);
}

bool ask_yes(const struct cli *cli, const char *prompt)
{
    char line[64];
    (void)cli;
    (void)tcflush(STDIN_FILENO, TCIFLUSH); /* what was typed before was no answer to this */
    (void)fprintf(stderr, "%s [y/N] ", prompt);
    (void)fflush(stderr);
    if (!fgets(line, (int)sizeof line, stdin)) {
        (void)fputc('\n', stderr);
        return false;
    }
    return is_yes((struct slice){line, strcspn(line, "\r\n")});
}

/* ---- lines -------------------------------------------------------------------------------- */

const struct terminal *asker_terminal(const struct asker *asker)
{
    return &asker->terminal;
}

void asker_say(const struct asker *asker, struct buf *text)
{
    (void)asker;
    (void)fwrite(text->data, 1, text->len, stderr);
    (void)fflush(stderr);
    buf_clear(text);
}

static bool is_over(struct asker *asker)
{
    (void)pthread_mutex_lock(&asker->lock);
    bool over = asker->is_gone || asker->is_ending;
    (void)pthread_mutex_unlock(&asker->lock);
    return over;
}

/* A terminal gives whole lines: whatever is read ends with its line, or with Ctrl-D. */
static bool read_some(struct buf *line, bool *ret_end)
{
    char chunk[4096];
    ssize_t got = read(STDIN_FILENO, chunk, sizeof chunk);
    if (got < 0 && (errno == EINTR || errno == EAGAIN)) {
        return true;
    }
    if (got <= 0) {
        return false;
    }
    *ret_end = chunk[got - 1] == '\n';
    buf_put(line, chunk, (size_t)(*ret_end ? got - 1 : got));
    return true;
}

enum line_end asker_line(struct asker *asker, struct buf *line)
{
    bool is_end = false;
    buf_clear(line);
    while (!is_end) {
        struct pollfd watched[2] = {{.fd = STDIN_FILENO, .events = POLLIN},
                                    {.fd = wake_fd, .events = POLLIN}};
        (void)poll(watched, 2, -1);
        uint64_t count;
        (void)!read(wake_fd, &count, sizeof count);
        if (is_over(asker)) {
            return LINE_GONE;
        }
        if (atomic_exchange(&was_interrupted, false)) {
            return LINE_INTERRUPTED;
        }
        if (watched[0].revents && !read_some(line, &is_end)) {
            return LINE_INTERRUPTED;
        }
    }
    return LINE_READ;
}

enum line_end asker_yes(struct asker *asker, const char *prompt, bool otherwise, bool *ret)
{
    struct buf line;
    struct buf text;
    enum line_end end;
    buf_init(&line, LINE_BYTES);
    buf_init(&text, LINE_BYTES);
    do {
        buf_printf(&text, "  %s [%s] ", prompt, otherwise ? "Y/n" : "y/N");
        asker_say(asker, &text);
        end = asker_line(asker, &line);
    } while (end == LINE_READ && line.len && !is_yes(buf_slice(&line)) &&
             !is_no(buf_slice(&line)));
    *ret = line.len ? is_yes(buf_slice(&line)) : otherwise;
    buf_done(&line);
    buf_done(&text);
    return end;
}

/* ---- one question ------------------------------------------------------------------------- */

/* What a person should look at twice before following an address. */
static const char *doubt_of(struct slice url, struct slice host)
{
    for (size_t i = 0; i < url.len; i++) {
        if (url.ptr[i] <= ' ' || url.ptr[i] > '~') {
            return "it has characters that no address should have";
        }
    }
    if (!host.len) {
        return "it names no host";
    }
    if (memchr(host.ptr, '@', host.len)) {
        return "what is before the @ is not the host";
    }
    for (size_t i = 0; i + 4 <= host.len; i++) {
        if (strncasecmp(host.ptr + i, "xn--", 4) == 0) {
            return "the host's name has foreign letters that may look like others";
        }
    }
    if (url.len > URL_BYTES) {
        return "it is very long, and what counts may be anywhere in it";
    }
    return slice_starts(url, "https://") ? NULL : "it is not encrypted (https)";
}

/* "user@host:port" of a URL. */
static struct slice host_of(struct slice url)
{
    for (size_t i = 0; i + 3 <= url.len; i++) {
        if (memcmp(url.ptr + i, "://", 3) == 0) {
            struct slice rest = {url.ptr + i + 3, url.len - i - 3};
            size_t len = 0;
            while (len < rest.len && !strchr("/?#\\", rest.ptr[len])) {
                len++;
            }
            return (struct slice){rest.ptr, len};
        }
    }
    return (struct slice){NULL, 0};
}

static void put_header(struct buf *out, const struct asker *asker, struct slice params,
                       const char *what)
{
    buf_put_byte(out, '\n');
    put_paint(out, &asker->terminal, PAINT_BOLD);
    put_clean(out, view_text(params, "service"), 0);
    if (view_text(params, "tool").len) {
        buf_put_byte(out, '/');
        put_clean(out, view_text(params, "tool"), 0);
    }
    put_plain(out, &asker->terminal);
    buf_printf(out, " %s (Ctrl-C leaves without an answer):\n  ", what);
    put_lines(out, view_text(params, "message"));
    buf_put_byte(out, '\n');
}

static enum line_end ask_url(struct asker *asker, struct slice params, const char **ret_action)
{
    struct buf text;
    bool agrees = false;
    struct slice url = view_text(params, "url");
    struct slice host = host_of(url);
    const char *doubt = doubt_of(url, host);
    buf_init(&text, SAY_BYTES);
    put_header(&text, asker, params, "asks you to visit an address");
    buf_put_text(&text, "\n  ");
    put_lines(&text, url);
    buf_put_text(&text, "\n  host: ");
    put_clean(&text, host, 0);
    buf_put_byte(&text, '\n');
    if (doubt) {
        put_paint(&text, &asker->terminal, PAINT_RED);
        buf_printf(&text, "  careful: %s", doubt);
        put_plain(&text, &asker->terminal);
        buf_put_byte(&text, '\n');
    }
    buf_put_text(&text, "\n  It is not opened for you: do it yourself, if you trust it.\n");
    bool is_whole = !text.overflow;
    asker_say(asker, &text);
    buf_done(&text);
    if (!is_whole) { /* nobody can agree to what cannot be shown */
        *ret_action = "decline";
        return LINE_READ;
    }
    enum line_end end = asker_yes(asker, "Agree?", false, &agrees);
    *ret_action = agrees ? "accept" : "decline";
    return end;
}

static enum line_end ask_form(struct asker *asker, struct slice params, const char **ret_action,
                              struct buf *content)
{
    struct buf text;
    struct slice schema = view_get(params, "requestedSchema");
    struct pack cursor = pack_over(view_get(schema, "properties"));
    struct pack_item fields;
    bool has_fields = pack_next(&cursor, &fields) && fields.type == PACK_MAP && fields.count;
    bool agrees = false;
    buf_init(&text, SAY_BYTES);
    put_header(&text, asker, params, "asks");
    asker_say(asker, &text);
    buf_done(&text);
    enum line_end end = LINE_READ;
    if (has_fields) {
        end = form_fill(asker, schema, content);
    } else {
        pack_put_map(content, 0);
    }
    if (end == LINE_READ) {
        end = asker_yes(asker, has_fields ? "Send this?" : "Agree?", has_fields, &agrees);
    }
    *ret_action = agrees ? "accept" : "decline";
    return end;
}

static void ask(struct asker *asker, const struct asked *asked)
{
    struct buf result;
    struct buf content;
    const char *action = "cancel";
    struct slice params = buf_slice(&asked->params);
    buf_init(&content, CONTENT_BYTES);
    buf_init(&result, CONTENT_BYTES * 2);
    (void)tcflush(STDIN_FILENO, TCIFLUSH); /* what was typed before was no answer to this */
    enum line_end end = asked->is_url ? ask_url(asker, params, &action)
                                      : ask_form(asker, params, &action, &content);
    if (end != LINE_READ) {
        action = "cancel";
        (void)fputs(end == LINE_GONE ? "\nThe question was taken back.\n"
                                     : "\nNo answer is given.\n",
                    stderr);
    }
    bool has_content = !asked->is_url && strcmp(action, "accept") == 0;
    pack_put_map(&result, has_content ? 2 : 1);
    pack_put_key_text(&result, "action", action);
    if (has_content) {
        pack_put_text(&result, "content");
        buf_put_slice(&result, buf_slice(&content));
    }
    if (result.overflow || content.overflow) {
        buf_clear(&result); /* refused: it cannot be sent */
    }
    (void)tb_answer(asker->client, asked->id, (struct tb_bytes){result.data, result.len});
    buf_done(&result);
    buf_done(&content);
}

/* ---- the thread --------------------------------------------------------------------------- */

static void free_asked(struct asked *asked)
{
    buf_done(&asked->params);
    mem_free(asked);
}

static void *put_questions(void *arg)
{
    struct asker *asker = arg;
    (void)pthread_mutex_lock(&asker->lock);
    while (!asker->is_ending) {
        struct list_link *first = list_first(&asker->waiting);
        if (!first) {
            (void)pthread_cond_wait(&asker->changed, &asker->lock);
            continue;
        }
        struct asked *asked = LIST_ITEM(first, struct asked, link);
        list_remove(&asked->link);
        asker->count--;
        asker->current = asked->id;
        asker->is_gone = false;
        (void)pthread_mutex_unlock(&asker->lock);
        atomic_store(&was_interrupted, false);
        atomic_store(&is_asking, true);
        ask(asker, asked);
        atomic_store(&is_asking, false);
        free_asked(asked);
        (void)pthread_mutex_lock(&asker->lock);
        asker->current = 0;
    }
    (void)pthread_mutex_unlock(&asker->lock);
    return NULL;
}

struct asker *asker_new(const struct cli *cli)
{
    struct asker *asker = mem_new(sizeof *asker);
    asker->terminal = cli->notes;
    (void)pthread_mutex_init(&asker->lock, NULL);
    (void)pthread_cond_init(&asker->changed, NULL);
    list_init(&asker->waiting);
    wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return asker;
}

void asker_serve(struct asker *asker, struct tb_client *client)
{
    if (asker) {
        asker->client = client;
        asker->has_thread =
            wake_fd >= 0 && pthread_create(&asker->thread, NULL, put_questions, asker) == 0;
    }
}

void asker_question(void *arg, const struct tb_question *question)
{
    struct asker *asker = arg;
    struct slice params = {question->params.data, question->params.len};
    bool is_known = strcmp(question->method, "elicitation.create") == 0;
    if (!is_known || !asker->has_thread || params.len > PARAMS_BYTES) {
        (void)tb_answer(asker->client, question->id, (struct tb_bytes){NULL, 0});
        return;
    }
    struct asked *asked = mem_new(sizeof *asked);
    asked->id = question->id;
    asked->is_url = slice_is(view_text(params, "mode"), "url");
    buf_init(&asked->params, PARAMS_BYTES);
    buf_put_slice(&asked->params, params);
    (void)pthread_mutex_lock(&asker->lock);
    bool has_room = asker->count < WAITING_MAX && !asked->params.overflow;
    if (has_room) {
        list_append(&asker->waiting, &asked->link);
        asker->count++;
        (void)pthread_cond_signal(&asker->changed);
    }
    (void)pthread_mutex_unlock(&asker->lock);
    if (!has_room) {
        free_asked(asked);
        (void)tb_answer(asker->client, question->id, (struct tb_bytes){NULL, 0});
    }
}

void asker_taken_back(void *arg, uint64_t id)
{
    struct asker *asker = arg;
    (void)pthread_mutex_lock(&asker->lock);
    list_each (link, &asker->waiting) {
        struct asked *asked = LIST_ITEM(link, struct asked, link);
        if (asked->id == id) {
            list_remove(&asked->link);
            asker->count--;
            free_asked(asked);
            break;
        }
    }
    if (asker->current == id) {
        asker->is_gone = true;
        wake();
    }
    (void)pthread_mutex_unlock(&asker->lock);
}

void asker_stop(struct asker *asker)
{
    if (!asker) {
        return;
    }
    (void)pthread_mutex_lock(&asker->lock);
    asker->is_ending = true;
    (void)pthread_cond_signal(&asker->changed);
    (void)pthread_mutex_unlock(&asker->lock);
    wake();
    if (asker->has_thread) {
        (void)pthread_join(asker->thread, NULL);
        asker->has_thread = false;
    }
}

void asker_free(struct asker *asker)
{
    if (!asker) {
        return;
    }
    struct list_link *link;
    while ((link = list_first(&asker->waiting))) {
        struct asked *asked = LIST_ITEM(link, struct asked, link);
        list_remove(&asked->link);
        free_asked(asked);
    }
    (void)close(wake_fd);
    wake_fd = -1;
    (void)pthread_cond_destroy(&asker->changed);
    (void)pthread_mutex_destroy(&asker->lock);
    mem_free(asker);
}
