/* SPDX-License-Identifier: MIT */
/* ask.h - what the tests of this room share: a policy from text or the default one, and short
 * ways to ask it. */
#ifndef TESTS_UNIT_POLICY_ASK_H
#define TESTS_UNIT_POLICY_ASK_H

#include "policy/policy.h"
#include "value/json.h"
#include "value/pack.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static struct policy *policy;
static struct policy_decision decision;
static struct failure failure;
static char folder[64];
static struct buf scratch, shown;
static int64_t budget_us = 1000000; /* of the wall clock: machines are busy */

/* The state of each service, as "name=usable,other=no_credentials"; all others: usable. */
static const char *states = "";

static inline enum policy_service state_of(void *arg, struct slice service)
{
    static const char *const names[] = {"unknown", "usable", "no_credentials", "unavailable",
                                        "disabled"};
    (void)arg;
    for (const char *at = states; *at; at += strcspn(at, ",") + (strchr(at, ',') != NULL)) {
        const char *equals = strchr(at, '=');
        size_t len = (size_t)(equals - at);
        if ((len == service.len && memcmp(at, service.ptr, len) == 0) || *at == '*') {
            for (int i = 0; i < 5; i++) {
                if (strncmp(equals + 1, names[i], strlen(names[i])) == 0) {
                    return (enum policy_service)i;
                }
            }
        }
    }
    return POLICY_SERVICE_USABLE;
}

static inline void write_file(const char *name, const char *text)
{
    char path[128];
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    (void)fputs(text, file);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(path, 0600), 0);
}

static inline int make_folder(void **state)
{
    (void)state;
    (void)snprintf(folder, sizeof folder, "/tmp/toolbroker-test-XXXXXX");
    assert_non_null(mkdtemp(folder));
    buf_init(&scratch, 1u << 20);
    buf_init(&shown, 1u << 20);
    states = "";
    return 0;
}

static inline int remove_folder(void **state)
{
    char command[128];
    (void)state;
    policy = policy_unref(policy);
    failure_done(&failure);
    buf_done(&scratch);
    buf_done(&shown);
    (void)snprintf(command, sizeof command, "rm -r '%s'", folder);
    return system(command); /* NOLINT(cert-env33-c): a fixed command over our own folder */
}

static inline int load(struct faults *faults)
{
    struct policy_options options = {folder, 32u << 20, budget_us, "en"};
    policy = policy_unref(policy);
    return policy_load(&options, &policy, faults);
}

/* Loads what must be without fault. NULL: the default policy. */
static inline void use(const char *text)
{
    struct faults faults;
    faults_init(&faults);
    if (text) {
        write_file("policy.lua", text);
    }
    if (load(&faults)) {
        faults_print(&faults, &shown);
        fail_msg("%s", buf_text(&shown));
    }
    faults_done(&faults);
}

static struct policy_peer trusted_peer = {1000, 1000, 1, true, false};
static struct policy_call view;

static inline void ask_with(const char *agent, const char *tool, const char *json)
{
    buf_clear(&scratch);
    assert_int_equal(json_to_pack(slice_of(json), 32, &scratch, NULL), 0);
    failure_clear(&failure);
    struct slice locale = view.locale;
    enum policy_demo demo = view.demo;
    struct slice user = view.user.len ? view.user : SLICE("ana");
    view = (struct policy_call){.peer = &trusted_peer,
                                .agent = slice_of(agent),
                                .user = user,
                                .tool = slice_of(tool),
                                .locale = locale,
                                .demo = demo,
                                .arguments = buf_slice(&scratch),
                                .service_state = state_of};
    policy_decide(policy, &view, &decision, &failure);
}

static inline void ask(const char *agent, const char *tool)
{
    ask_with(agent, tool, "{}");
}

static inline const char *json_of(struct slice value)
{
    buf_clear(&shown);
    assert_int_equal(json_from_pack(value, "value", &shown, NULL), 0);
    return buf_text(&shown);
}

static inline const char *detail(const char *key)
{
    static char text[512];
    struct buf map;
    struct slice value;
    buf_init(&map, 1u << 20);
    pack_put_map(&map, failure.details_count);
    buf_put_slice(&map, buf_slice(&failure.details));
    text[0] = '\0';
    if (pack_get(buf_slice(&map), key, &value)) {
        struct buf json;
        buf_init(&json, 1u << 20);
        assert_int_equal(json_from_pack(value, "value", &json, NULL), 0);
        (void)snprintf(text, sizeof text, "%s", buf_text(&json));
        buf_done(&json);
    }
    buf_done(&map);
    return text;
}

static inline void assert_call(const char *service, const char *tool)
{
    if (decision.verdict != POLICY_CALL) {
        fail_msg("verdict %d, failure: %s", (int)decision.verdict, buf_text(&failure.message));
    }
    assert_int_equal(failure.code, ERR_NONE);
    assert_true(slice_is(decision.service, service));
    assert_true(slice_is(decision.tool, tool));
}

static inline void assert_failure(enum err_code code, const char *part)
{
    if (decision.verdict != POLICY_FAIL || failure.code != code ||
        !strstr(buf_text(&failure.message), part)) {
        fail_msg("verdict %d, %s: %s", (int)decision.verdict, err_name(failure.code),
                 buf_text(&failure.message));
    }
}

static inline void assert_demo(const char *part)
{
    struct slice meta;
    bool is_demo = false;
    if (decision.verdict != POLICY_DEMO_ANSWER) {
        fail_msg("verdict %d, failure: %s", (int)decision.verdict, buf_text(&failure.message));
    }
    assert_true(decision.warning.len > 0);
    assert_true(pack_get(decision.result, "_meta", &meta));
    assert_true(pack_get_bool(meta, "toolbroker/demo", &is_demo) && is_demo);
    if (!strstr(json_of(decision.result), part)) {
        fail_msg("%s", buf_text(&shown));
    }
}

#endif
