/* SPDX-License-Identifier: MIT */
/*
 * fault.h - what is wrong with the configuration: every fault, with file, line and cause.
 *
 * Owns:    its texts. Embedded; faults_done frees. At most FAULTS_MAX are kept, all are counted.
 */
#ifndef SCRIPT_FAULT_H
#define SCRIPT_FAULT_H

#include "base/buf.h"

#define FAULTS_MAX 100u

struct fault {
    char *file; /* as it was opened */
    int line;   /* 0: the whole file */
    char *text; /* "unknown key `servces`, did you mean `services`?" */
};

struct faults {
    struct fault *list;
    unsigned kept, total;
};

void faults_init(struct faults *faults);
void faults_done(struct faults *faults);
void faults_add(struct faults *faults, const char *file, int line, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* Puts those from the n-th on, which are of one file, in the order of their lines. */
void faults_sort(struct faults *faults, unsigned from);

/* "FILE:LINE: TEXT\n" each, and a last line when more were found than kept. */
void faults_print(const struct faults *faults, struct buf *out);
/* An array of {file, line, text}, MessagePack. */
void faults_put(const struct faults *faults, struct buf *out);

#endif
