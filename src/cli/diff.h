/* SPDX-License-Identifier: MIT */
/*
 * diff.h - two texts, line by line: what is gone with -, what is new with +.
 *
 * Rule: nothing of the texts commands the terminal; every changed line is shown, of the others
 *       three around each change.
 */
#ifndef CLI_DIFF_H
#define CLI_DIFF_H

#include "base/buf.h"
#include "base/slice.h"
#include "cli/terminal.h"

void diff_put(struct buf *out, const struct terminal *terminal, struct slice before,
              struct slice after);

#endif
