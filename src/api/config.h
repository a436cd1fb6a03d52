/* SPDX-License-Identifier: MIT */
/*
 * config.h - everything that is read from files, as one: settings, services, policy.
 *
 * Owns:    what it loaded, until somebody takes a part and sets it NULL.
 * Thread:  config_load reads files: at start, in --check, or on a thread of its own.
 */
#ifndef API_CONFIG_H
#define API_CONFIG_H

#include "conf/service_conf.h"
#include "conf/settings.h"
#include "policy/policy.h"

struct config {
    struct settings *settings;
    struct service_set services;
    struct policy *policy;
};

/* `folder` NULL: built-in defaults. 0, or -ERR_VALIDATION_ERROR with every fault of all files. */
int config_load(const char *folder, struct config *ret, struct faults *faults);
void config_done(struct config *config);

#endif
