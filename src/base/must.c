/* SPDX-License-Identifier: MIT */
/* must.c - the end of a process that found a bug in itself. */
#include "base/must.h"

#include <stdio.h>
#include <stdlib.h>

_Noreturn void must_failed(const char *claim, const char *file, int line)
{
    (void)fprintf(stderr, "toolbroker: bug: %s is not so at %s:%d\n", claim, file, line);
    abort();
}
