/* SPDX-License-Identifier: MIT */
/* log.c - formats lines on the caller's thread, writes them on its own. */
#include "base/log.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/text.h"
#include "base/word.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define LINE_MAX_BYTES  8192u
#define VALUE_MAX_BYTES 1024u
#define RING_BYTES      (1u << 20)

enum log_level log_threshold = LOG_INFO;

static const char *const level_names[LOG_LEVELS] = {"debug", "info", "warn", "error"};

/* The one place of process-wide state: a process has one stderr. */
static struct {
    pthread_mutex_t lock;
    pthread_cond_t filled;
    pthread_t thread;
    enum log_format format;
    bool running, stopping, sleeping;
    int fd;
    char *ring;  /* being filled */
    char *spare; /* being written */
    size_t len;
    uint64_t dropped, dropped_reported;
} log_state = {.lock = PTHREAD_MUTEX_INITIALIZER, .filled = PTHREAD_COND_INITIALIZER, .fd = 2};

struct line { /* `bytes` is not zeroed: only `len` of it counts */
    char bytes[LINE_MAX_BYTES];
    size_t len;
};

static void put(struct line *line, const char *text, size_t len)
{
    size_t room = sizeof line->bytes - 1 - line->len;
    if (len > room) {
        len = room;
    }
    if (len) {
        word_copy(line->bytes + line->len, text, len);
        line->len += len;
    }
}

static void put_text(struct line *line, const char *text)
{
    put(line, text, strlen(text));
}

#define EACH_BYTE(b) (0x0101010101010101u * (b))

/* Whether eight bytes need no quotes: ASCII that is seen, but for " = and the backslash. Of a byte that
 * does, or of one above it, a top bit is set in one of these; where all bytes are plain, none is. */
static inline bool is_plain(uint64_t x)
{
    uint64_t low_or_high = (x - EACH_BYTE(0x21)) | (x + EACH_BYTE(0x01)) | x;
    uint64_t marks = ((x ^ EACH_BYTE('"')) - EACH_BYTE(1)) |
                     ((x ^ EACH_BYTE('=')) - EACH_BYTE(1)) |
                     ((x ^ EACH_BYTE('\\')) - EACH_BYTE(1));
    return !((low_or_high | marks) & EACH_BYTE(0x80));
}

/* Whether a value of one byte at least needs no quotes. */
static bool is_all_plain(struct slice text)
{
    if (text.len < 8) {
        uint64_t filler = text.len < 4 ? EACH_BYTE('.') << 24 : 0;
        return is_plain(word_load_few(text.ptr, text.len) | filler);
    }
    for (size_t i = 0; i + 8 < text.len; i += 8) {
        if (!is_plain(word_load(text.ptr + i))) {
            return false;
        }
    }
    return is_plain(word_load(text.ptr + text.len - 8));
}

/* Copies a value that needs no quotes; false, with the line as it was, if it does. */
static bool put_plain(struct line *line, struct slice text)
{
    if (!text.len || text.len > VALUE_MAX_BYTES || text.len >= sizeof line->bytes - line->len ||
        !is_all_plain(text)) {
        return false;
    }
    word_copy(line->bytes + line->len, text.ptr, text.len);
    line->len += text.len;
    return true;
}

static void put_escape(struct line *line, unsigned char c)
{
    char text[8];
    int len = c == '\n'               ? snprintf(text, sizeof text, "\\n")
              : c == '"' || c == '\\' ? snprintf(text, sizeof text, "\\%c", c)
                                      : snprintf(text, sizeof text, "\\u%04x", c);
    put(line, text, (size_t)len);
}

static void put_quoted(struct line *line, struct slice text)
{
    size_t len = text.len > VALUE_MAX_BYTES ? VALUE_MAX_BYTES : text.len;
    const unsigned char *at = (const unsigned char *)text.ptr;
    put(line, "\"", 1);
    for (size_t i = 0; i < len;) {
        unsigned char c = at[i];
        size_t step = text_utf8_step((struct slice){text.ptr + i, len - i});
        if (step == 0 || c < 0x20 || c == '"' || c == '\\' || c == 0x7f) {
            put_escape(line, c);
            step = 1;
        } else if (c == 0xc2 && at[i + 1] < 0xa0) { /* controls too: 0x9b begins a sequence */
            put_escape(line, at[i + 1]);
        } else {
            put(line, text.ptr + i, step);
        }
        i += step;
    }
    put_text(line, text.len > len ? "...\"" : "\"");
}

static void put_number(struct line *line, int64_t number)
{
    char text[20];
    char *at = text + sizeof text;
    uint64_t left = number < 0 ? -(uint64_t)number : (uint64_t)number;
    if (number >= 0 && number < 10) {
        text[0] = (char)('0' + number);
        put(line, text, 1);
        return;
    }
    do {
        *--at = (char)('0' + left % 10);
        left /= 10;
    } while (left);
    if (number < 0) {
        *--at = '-';
    }
    put(line, at, (size_t)(text + sizeof text - at));
}

/* " key=", or nothing when the line is full. */
static void put_key(struct line *line, struct slice key)
{
    char *to = line->bytes + line->len;
    if (key.len + 3 > sizeof line->bytes - line->len) {
        return;
    }
    to[0] = ' ';
    word_copy(to + 1, key.ptr, key.len);
    to[key.len + 1] = '=';
    line->len += key.len + 2;
}

/* The date is formatted once a second, the milliseconds by hand: most lines share the former. */
static void put_time(struct line *line)
{
    static _Thread_local wall_ms second = -1;
    static _Thread_local char text[CLOCK_TEXT];
    wall_ms now = clock_wall();
    if (now / 1000 != second) {
        second = now / 1000;
        clock_format(now, text);
    }
    int ms = (int)(now % 1000);
    text[20] = (char)('0' + ms / 100);
    text[21] = (char)('0' + ms / 10 % 10);
    text[22] = (char)('0' + ms % 10);
    put(line, text, CLOCK_TEXT - 1);
}

static void format_text(struct line *line, enum log_level level, struct slice component,
                        struct slice message, const struct log_field *fields)
{
    put_time(line);
    put(line, " ", 1);
    put_text(line, level_names[level]);
    put(line, " ", 1);
    put(line, component.ptr, component.len);
    put(line, ": ", 2);
    put(line, message.ptr, message.len);
    for (const struct log_field *field = fields; field->key.ptr; field++) {
        put_key(line, field->key);
        if (!field->text.ptr) {
            put_number(line, field->number);
        } else if (!put_plain(line, field->text)) {
            put_quoted(line, field->text);
        }
    }
}

static void format_json(struct line *line, enum log_level level, struct slice component,
                        struct slice message, const struct log_field *fields)
{
    put_text(line, "{\"time\":\"");
    put_time(line);
    put_text(line, "\",\"level\":\"");
    put_text(line, level_names[level]);
    put_text(line, "\",\"component\":");
    put_quoted(line, component);
    put_text(line, ",\"message\":");
    put_quoted(line, message);
    for (const struct log_field *field = fields; field->key.ptr; field++) {
        /* A line that is nearly full stays valid JSON: the remaining fields are left out. */
        if (sizeof line->bytes - line->len < VALUE_MAX_BYTES * 6 + 128) {
            put_text(line, ",\"cut\":true");
            break;
        }
        put(line, ",", 1);
        put_quoted(line, field->key);
        put(line, ":", 1);
        if (!field->text.ptr) {
            put_number(line, field->number);
        } else {
            put_quoted(line, field->text);
        }
    }
    put(line, "}", 1);
}

static void write_all(int fd, const char *bytes, size_t len)
{
    while (len) {
        ssize_t n = write(fd, bytes, len);
        if (n > 0) {
            bytes += n;
            len -= (size_t)n;
        } else if (errno == EAGAIN) {
            struct pollfd wait = {.fd = fd, .events = POLLOUT};
            (void)poll(&wait, 1, 1000);
        } else if (errno != EINTR) {
            return; /* nobody reads our log: nothing better to do with it */
        }
    }
}

static void enqueue(const struct line *line)
{
    bool must_wake = false;
    (void)pthread_mutex_lock(&log_state.lock);
    if (!log_state.running) {
        write_all(log_state.fd, line->bytes, line->len);
    } else if (log_state.len + line->len > RING_BYTES) {
        log_state.dropped++;
    } else {
        memcpy(log_state.ring + log_state.len, line->bytes, line->len);
        log_state.len += line->len;
        must_wake = log_state.sleeping;
        log_state.sleeping = false;
    }
    (void)pthread_mutex_unlock(&log_state.lock);
    if (must_wake) {
        (void)pthread_cond_signal(&log_state.filled);
    }
}

void log_write(enum log_level level, struct slice component, struct slice message,
               const struct log_field *fields)
{
    struct line line;
    line.len = 0;
    if (log_state.format == LOG_FORMAT_JSON) {
        format_json(&line, level, component, message, fields);
    } else {
        format_text(&line, level, component, message, fields);
    }
    line.bytes[line.len++] = '\n';
    enqueue(&line);
}

static void report_drops(uint64_t dropped)
{
    struct line line;
    line.len = 0;
    const struct log_field fields[] = {LOG_INT("lines", dropped), LOG_NOTHING};
    if (log_state.format == LOG_FORMAT_JSON) {
        format_json(&line, LOG_WARN, SLICE("log"), SLICE("lines were dropped"), fields);
    } else {
        format_text(&line, LOG_WARN, SLICE("log"), SLICE("lines were dropped"), fields);
    }
    line.bytes[line.len++] = '\n';
    write_all(log_state.fd, line.bytes, line.len);
}

static void *write_lines(void *unused)
{
    (void)unused;
    (void)pthread_mutex_lock(&log_state.lock);
    while (log_state.len || !log_state.stopping) {
        if (!log_state.len) {
            log_state.sleeping = true;
            (void)pthread_cond_wait(&log_state.filled, &log_state.lock);
            continue;
        }
        char *full = log_state.ring;
        size_t len = log_state.len;
        uint64_t dropped = log_state.dropped - log_state.dropped_reported;
        log_state.dropped_reported = log_state.dropped;
        log_state.ring = log_state.spare;
        log_state.spare = full;
        log_state.len = 0;
        (void)pthread_mutex_unlock(&log_state.lock);
        write_all(log_state.fd, full, len);
        if (dropped) {
            report_drops(dropped);
        }
        /* Under load a short rest gathers lines: one write and one wake-up for many. */
        (void)nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
        (void)pthread_mutex_lock(&log_state.lock);
    }
    (void)pthread_mutex_unlock(&log_state.lock);
    return NULL;
}

void log_start(int fd)
{
    log_state.fd = fd;
    log_state.ring = mem_new(RING_BYTES);
    log_state.spare = mem_new(RING_BYTES);
    log_state.stopping = false;
    log_state.running = pthread_create(&log_state.thread, NULL, write_lines, NULL) == 0;
}

void log_set(enum log_level level, enum log_format format)
{
    (void)pthread_mutex_lock(&log_state.lock);
    log_threshold = level;
    log_state.format = format;
    (void)pthread_mutex_unlock(&log_state.lock);
}

void log_stop(void)
{
    (void)pthread_mutex_lock(&log_state.lock);
    bool was_running = log_state.running;
    log_state.running = false;
    log_state.stopping = true;
    (void)pthread_cond_signal(&log_state.filled);
    (void)pthread_mutex_unlock(&log_state.lock);
    if (!was_running) {
        return;
    }
    struct timespec deadline;
    (void)clock_gettime(CLOCK_REALTIME, &deadline);
    deadline.tv_sec += 1;
    if (pthread_timedjoin_np(log_state.thread, NULL, &deadline) != 0) {
        return; /* stderr is stuck: the thread still owns the buffers */
    }
    mem_free(log_state.ring);
    mem_free(log_state.spare);
    log_state.ring = log_state.spare = NULL;
}

uint64_t log_dropped(void)
{
    (void)pthread_mutex_lock(&log_state.lock);
    uint64_t dropped = log_state.dropped;
    (void)pthread_mutex_unlock(&log_state.lock);
    return dropped;
}

bool log_level_parse(struct slice text, enum log_level *ret)
{
    for (int level = 0; level < LOG_LEVELS; level++) {
        if (slice_is(text, level_names[level])) {
            *ret = (enum log_level)level;
            return true;
        }
    }
    return false;
}
