/* SPDX-License-Identifier: MIT */
/*
 * settings.h - the daemon's own settings: toolbroker.lua over built-in defaults, typed and frozen.
 *
 * settings.def is the one table: parser, defaults, bounds, `daemon.info`, manual.
 */
#ifndef CONF_SETTINGS_H
#define CONF_SETTINGS_H

#include "base/buf.h"
#include "base/log.h"
#include "script/fault.h"

#include <stdbool.h>
#include <stdint.h>

struct settings {
    /* INT fields are int64_t, all others owned char *, NULL: not set. What a RATE says,
     * rate_parse (resilience/bucket.h) reads without fail. */
#define TEXT(field, path, value, reloadable, text)            char *field;
#define INT(field, path, value, min, max, reloadable, text)   int64_t field;
#define CHOICE(field, path, value, choices, reloadable, text) char *field;
#define RATE(field, path, reloadable, text)                   char *field;
#include "conf/settings.def"
#undef TEXT
#undef INT
#undef CHOICE
#undef RATE
};

/* toolbroker.lua under `folder` (NULL or no such file: defaults). Reads a file: off the loop. */
int settings_load(const char *folder, struct settings **ret, struct faults *faults);
void settings_free(struct settings *settings);

/* A map path -> value, MessagePack, for daemon.info. */
void settings_put(const struct settings *settings, struct buf *out);

/* The names of settings that differ and cannot change without a restart, MessagePack array. */
unsigned settings_put_restart_needed(const struct settings *now, const struct settings *next,
                                     struct buf *out);

#endif
