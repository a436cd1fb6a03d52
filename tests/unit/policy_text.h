/* SPDX-License-Identifier: MIT */
/* policy_text.h - a policy of a few lines for tests of what stands on one. */
#ifndef TESTS_UNIT_POLICY_TEXT_H
#define TESTS_UNIT_POLICY_TEXT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "policy/policy.h"

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

/* Loaded from FOLDER/policy.lua, which is there for that long only. */
static inline struct policy *policy_of_text(const char *folder, const char *text)
{
    struct faults faults;
    struct policy *policy = NULL;
    char path[128];
    (void)snprintf(path, sizeof path, "%s/policy.lua", folder);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    (void)fputs(text, file);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(path, 0600), 0);
    faults_init(&faults);
    if (policy_load(&(struct policy_options){.folder = folder,
                                             .memory_bytes = 32u << 20,
                                             .budget_us = 1000000,
                                             .locale = "en"},
                    &policy, &faults) != 0) {
        fail_msg("%s", faults.list[0].text);
    }
    faults_done(&faults);
    (void)unlink(path);
    return policy;
}

#endif
