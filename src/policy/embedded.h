/* SPDX-License-Identifier: MIT */
/* embedded.h - the files of lua/, made part of the program at build time (src/embed.cmake). */
#ifndef POLICY_EMBEDDED_H
#define POLICY_EMBEDDED_H

#include "base/slice.h"

struct embedded {
    const char *name; /* without ".lua": "policy", "std/decide" */
    const char *bytes;
    const size_t *len;
};

extern const struct embedded embedded_files[]; /* ends with name NULL */

#endif
