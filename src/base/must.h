/* SPDX-License-Identifier: MIT */
/* must.h - what may never be false, in release builds too: a bug ends the process at its place. */
#ifndef BASE_MUST_H
#define BASE_MUST_H

_Noreturn void must_failed(const char *claim, const char *file, int line);

#define must(claim) ((claim) ? (void)0 : must_failed(#claim, __FILE__, __LINE__))

#endif
