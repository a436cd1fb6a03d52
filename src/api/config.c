/* SPDX-License-Identifier: MIT */
/* config.c - loads settings, services and policy of one folder, with every fault in them. */
#include "api/config.h"

#include <sys/stat.h>

/* A folder that went away is no reason to serve the built-in defaults. */
static bool is_folder(const char *path, struct faults *faults)
{
    struct stat info;
    if (stat(path, &info) == 0 && S_ISDIR(info.st_mode)) {
        return true;
    }
    faults_add(faults, path, 0, "no such folder");
    return false;
}

int config_load(const char *folder, struct config *ret, struct faults *faults)
{
    struct config config = {0};
    if (folder && !is_folder(folder, faults)) {
        return -ERR_VALIDATION_ERROR;
    }
    int result = settings_load(folder, &config.settings, faults);
    if (service_set_load(folder, &config.services, faults) != 0) {
        result = -ERR_VALIDATION_ERROR;
    }
    /* With faulty settings the policy is still checked, within the default bounds. */
    struct policy_options options = {
        .folder = folder,
        .memory_bytes = config.settings ? (size_t)config.settings->policy_bytes : 32u << 20,
        .budget_us = config.settings ? config.settings->policy_ms * 1000 : 50000,
        .locale = config.settings ? config.settings->locale : "en",
    };
    if (policy_load(&options, &config.policy, faults) != 0) {
        result = -ERR_VALIDATION_ERROR;
    }
    if (result != 0) {
        config_done(&config);
        return -ERR_VALIDATION_ERROR;
    }
    *ret = config;
    return 0;
}

void config_done(struct config *config)
{
    settings_free(config->settings);
    service_set_done(&config->services);
    config->policy = policy_unref(config->policy);
    config->settings = NULL;
}
