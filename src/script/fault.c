/* SPDX-License-Identifier: MIT */
/* fault.c - the list of what is wrong with the configuration, as text and as MessagePack. */
#include "script/fault.h"

#include "base/mem.h"
#include "base/text.h"
#include "value/pack.h"

#include <stdarg.h>
#include <stdio.h>

#define FAULT_TEXT_BYTES 1024u

void faults_init(struct faults *faults)
{
    *faults = (struct faults){0};
}

void faults_done(struct faults *faults)
{
    for (unsigned i = 0; i < faults->kept; i++) {
        mem_free(faults->list[i].file);
        mem_free(faults->list[i].text);
    }
    mem_free(faults->list);
    *faults = (struct faults){0};
}

/* A terminated copy that is UTF-8 and one line: the text may quote bytes of a damaged file. */
static char *printable(struct slice text)
{
    struct buf out;
    buf_init(&out, (size_t)4 * FAULT_TEXT_BYTES);
    while (text.len) {
        size_t step = text_utf8_step(text);
        unsigned char first = (unsigned char)text.ptr[0];
        if (step == 0 || first < 0x20 || first == 0x7f) {
            buf_printf(&out, "\\x%02x", first);
            step = 1;
        } else {
            buf_put(&out, text.ptr, step);
        }
        text = (struct slice){text.ptr + step, text.len - step};
    }
    char *copy = mem_dup(buf_slice(&out));
    buf_done(&out);
    return copy;
}

void faults_add(struct faults *faults, const char *file, int line, const char *format, ...)
{
    faults->total++;
    if (faults->kept == FAULTS_MAX) {
        return;
    }
    if (!faults->list) {
        faults->list = mem_new(FAULTS_MAX * sizeof *faults->list);
    }
    char text[FAULT_TEXT_BYTES];
    va_list args;
    va_start(args, format);
    int length = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (length < 0) {
        text[0] = '\0';
    }
    faults->list[faults->kept++] = (struct fault){
        .file = printable(slice_of(file ? file : "")),
        .line = line,
        .text = printable(slice_of(text)),
    };
}

void faults_sort(struct faults *faults, unsigned from)
{
    for (unsigned i = from + 1; i < faults->kept; i++) {
        struct fault fault = faults->list[i];
        unsigned at = i;
        for (; at > from && faults->list[at - 1].line > fault.line; at--) {
            faults->list[at] = faults->list[at - 1];
        }
        faults->list[at] = fault;
    }
}

void faults_print(const struct faults *faults, struct buf *out)
{
    for (unsigned i = 0; i < faults->kept; i++) {
        const struct fault *fault = &faults->list[i];
        buf_put_text(out, fault->file);
        if (fault->line > 0) {
            buf_printf(out, ":%d", fault->line);
        }
        buf_printf(out, "%s%s\n", fault->file[0] ? ": " : "", fault->text);
    }
    if (faults->total > faults->kept) {
        buf_printf(out, "and %u more\n", faults->total - faults->kept);
    }
}

void faults_put(const struct faults *faults, struct buf *out)
{
    pack_put_array(out, faults->kept);
    for (unsigned i = 0; i < faults->kept; i++) {
        const struct fault *fault = &faults->list[i];
        pack_put_map(out, 3);
        pack_put_key_text(out, "file", fault->file);
        pack_put_key_int(out, "line", fault->line);
        pack_put_key_text(out, "text", fault->text);
    }
}
