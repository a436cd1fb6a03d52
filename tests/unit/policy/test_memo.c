/* SPDX-License-Identifier: MIT */
/* test_memo.c - remembered decisions: the same as fresh ones, bounded, never stale. */
#include "ask.h"

#include "base/mem.h"
#include "policy/memo.h"

static int set_up(void **state)
{
    (void)make_folder(state);
    view = (struct policy_call){0};
    budget_us = 1000000;
    return 0;
}

static int64_t count_of(const struct policy *of, const char *what)
{
    struct buf out;
    int64_t number = -1;
    buf_init(&out, 4096);
    policy_put_info(of, &out);
    assert_true(pack_get_int(buf_slice(&out), what, &number));
    buf_done(&out);
    return number;
}

/* ---- the table by itself ------------------------------------------------------------------- */

static struct memo_key key_of(unsigned role, const char *service, const char *tool)
{
    return (struct memo_key){.role = role,
                             .service = slice_of(service),
                             .tool = slice_of(tool),
                             .state = POLICY_SERVICE_USABLE};
}

static void only_the_very_same_is_found(void **state)
{
    (void)state;
    struct memo memo;
    struct memo_key key = key_of(1, "ab", "c");
    memo_init(&memo);
    assert_null(memo_find(&memo, &key));
    memo_keep(&memo, &key, 7);
    const struct memo_entry *entry = memo_find(&memo, &key);
    assert_non_null(entry);
    assert_int_equal(entry->demo, 7);
    assert_true(slice_is(memo_service(entry), "ab"));
    assert_true(slice_is(memo_tool(entry), "c"));
    struct memo_key others[] = {key_of(2, "ab", "c"),
                                key_of(1, "a", "bc"),
                                key_of(1, "abc", ""),
                                key_of(1, "ab", "d"),
                                key_of(1, "aB", "c"),
                                key,
                                key};
    others[5].mode = POLICY_DEMO_ONLY;
    others[6].state = POLICY_SERVICE_DISABLED;
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        assert_null(memo_find(&memo, &others[i]));
    }
    /* Were their hashes the same as that of the entry: the rest is compared in full. */
    struct memo_entry found = *entry;
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        struct memo_entry *place =
            &memo.entries[(others[i].hash >> (64 - MEMO_SET_BITS)) * MEMO_WAYS + 1];
        *place = found;
        place->hash = others[i].hash;
        assert_null(memo_find(&memo, &others[i]));
        *place = (struct memo_entry){.names = NULL};
    }
    memo_done(&memo);
}

static void agents_have_roles(void **state)
{
    (void)state;
    struct memo memo;
    memo_init(&memo);
    memo_add_agent(&memo, SLICE("a"), 1);
    memo_add_agent(&memo, SLICE("b"), UINT32_MAX);
    assert_int_equal(memo_role(&memo, SLICE("a")), 1);
    assert_int_equal(memo_role(&memo, SLICE("b")), UINT32_MAX);
    assert_int_equal(memo_role(&memo, SLICE("c")), 0);
    assert_int_equal(memo_role(&memo, (struct slice){NULL, 0}), 0);
    memo_done(&memo);
}

static size_t bytes_in(const struct memo *memo)
{
    size_t bytes = memo->entries ? MEMO_ENTRIES * sizeof *memo->entries : 0;
    for (size_t i = 0; memo->entries && i < MEMO_ENTRIES; i++) {
        bytes += (size_t)memo->entries[i].service_len + memo->entries[i].tool_len;
    }
    return bytes;
}

static uint32_t next_random(void)
{
    static uint32_t seed = 12345;
    seed = seed * 1664525u + 1013904223u;
    return seed >> 8;
}

static struct slice random_name(char *into, size_t most)
{
    size_t len = 1 + next_random() % most;
    for (size_t i = 0; i < len; i++) {
        into[i] = (char)('a' + next_random() % 26);
    }
    return (struct slice){into, len};
}

static void a_flood_of_names_is_bounded(void **state)
{
    (void)state;
    struct memo memo;
    char service[256];
    char tool[256];
    unsigned kept = 0;
    unsigned refused = 0;
    memo_init(&memo);
    for (unsigned i = 0; i < 50000; i++) {
        struct memo_key key = {.role = 1 + i % 3,
                               .service = random_name(service, i % 2 ? 16 : 200),
                               .tool = random_name(tool, i % 2 ? 40 : 200)};
        bool is_short = key.service.len <= MEMO_NAME_BYTES && key.tool.len <= MEMO_NAME_BYTES;
        if (!memo_find(&memo, &key)) {
            memo_keep(&memo, &key, (int)i);
        }
        const struct memo_entry *entry = memo_find(&memo, &key);
        assert_int_equal(entry != NULL, is_short);
        kept += is_short;
        refused += !is_short;
        if (i % 1000 == 0) {
            assert_int_equal(memo.bytes, bytes_in(&memo));
        }
    }
    assert_true(kept > 10 * MEMO_ENTRIES && refused > 1000);
    assert_int_equal(memo.bytes, bytes_in(&memo));
    assert_true(memo.bytes <=
                MEMO_ENTRIES * (sizeof *memo.entries + (size_t)2 * MEMO_NAME_BYTES));
    memo_done(&memo);
}

static void without_memory_nothing_is_remembered(void **state)
{
    (void)state;
    struct memo memo;
    struct memo_key key = key_of(1, "s", "t");
    memo_init(&memo);
    for (unsigned long nth = 1; nth <= 2; nth++) {
        assert_null(memo_find(&memo, &key));
        mem_fail_at(nth);
        memo_keep(&memo, &key, -1);
        mem_fail_at(0);
        assert_null(memo_find(&memo, &key));
    }
    memo_keep(&memo, &key, -1);
    assert_non_null(memo_find(&memo, &key));
    memo_done(&memo);
}

/* ---- remembered against fresh -------------------------------------------------------------- */

/* A policy that remembers, and the same one with a hook that has no opinion: it cannot. */
static struct policy *fast, *slow;
static struct buf first, second, reference;
static unsigned demos_remembered, calls_remembered, others_asked;

static int tear_down(void **state)
{
    fast = policy_unref(fast);
    slow = policy_unref(slow);
    buf_done(&first);
    buf_done(&second);
    buf_done(&reference);
    return remove_folder(state);
}

/* All that a decision says, as bytes. */
static void put_outcome(const struct policy_decision *said, const struct failure *why,
                        struct buf *out)
{
    buf_clear(out);
    pack_put_uint(out, said->verdict);
    pack_put_str(out, said->service);
    pack_put_str(out, said->tool);
    pack_put_bool(out, said->is_operation);
    pack_put_uint(out, said->target);
    pack_put_bool(out, said->is_idempotent);
    pack_put_bool(out, said->has_arguments);
    pack_put_str(out, said->arguments);
    pack_put_str(out, said->result);
    pack_put_str(out, said->warning);
    if (said->verdict == POLICY_FAIL) {
        failure_put(why, SLICE(""), out);
    }
    assert_false(out->overflow);
}

static enum policy_service the_state;

static enum policy_service give_state(void *arg, struct slice service)
{
    (void)arg;
    (void)service;
    return the_state;
}

static void compare(const struct policy_call *call)
{
    int64_t before = count_of(fast, "remembered");
    int64_t questions = count_of(fast, "questions");
    failure_clear(&failure);
    policy_decide(slow, call, &decision, &failure);
    put_outcome(&decision, &failure, &reference);
    for (int round = 0; round < 2; round++) {
        failure_clear(&failure);
        policy_decide(fast, call, &decision, &failure);
        put_outcome(&decision, &failure, round ? &second : &first);
    }
    if (!slice_equal(buf_slice(&first), buf_slice(&reference)) ||
        !slice_equal(buf_slice(&second), buf_slice(&reference))) {
        fail_msg("%.*s as %.*s, mode %d, state %d, trusted %d: verdict %d",
                 SLICE_ARG(call->tool), SLICE_ARG(call->agent), (int)call->demo, (int)the_state,
                 call->peer->is_trusted, (int)decision.verdict);
    }
    assert_int_equal(count_of(fast, "questions"), questions + 2);
    bool was_remembered = count_of(fast, "remembered") > before;
    bool is_service_call =
        decision.verdict == POLICY_CALL && !decision.is_operation && decision.tool.len;
    if (is_service_call) {
        assert_true(was_remembered);
    }
    calls_remembered += is_service_call;
    demos_remembered += was_remembered && decision.verdict == POLICY_DEMO_ANSWER;
    others_asked += !was_remembered;
}

static void compare_circumstances(struct policy_call *call)
{
    const struct policy_peer stranger = {1001, 1001, 2, false, false};
    for (int i = 0; i < 5 * 3 * 2; i++) {
        the_state = (enum policy_service)(i % 5);
        call->demo = (enum policy_demo)(i / 5 % 3);
        call->peer = i / 15 ? &stranger : &trusted_peer;
        compare(call);
    }
}

/* A value for each required name, by its type. */
static void put_fitting(struct slice definition, struct buf *out)
{
    struct slice schema, properties, required = {NULL, 0};
    struct pack_item item = {.count = 0};
    assert_true(pack_get(definition, "inputSchema", &schema));
    if (!pack_get(schema, "properties", &properties)) {
        properties = SLICE("\x80");
    }
    struct pack cursor = pack_over(required);
    if (pack_get(schema, "required", &required)) {
        cursor = pack_over(required);
        assert_true(pack_next(&cursor, &item));
    }
    buf_clear(out);
    pack_put_map(out, item.count);
    for (uint32_t left = item.count; left; left--) {
        struct slice name = {NULL, 0};
        struct slice property;
        struct slice type = SLICE("string");
        char text[64];
        assert_true(pack_next_text(&cursor, &name));
        (void)snprintf(text, sizeof text, "%.*s", SLICE_ARG(name));
        if (pack_get(properties, text, &property)) {
            (void)pack_get_text(property, "type", &type);
        }
        pack_put_str(out, name);
        if (slice_is(type, "integer") || slice_is(type, "number")) {
            pack_put_uint(out, 5);
        } else if (slice_is(type, "array")) {
            pack_put_array(out, 0);
        } else if (slice_is(type, "object")) {
            pack_put_map(out, 0);
        } else {
            pack_put_text(out, "2026-01-02T03:04:05Z");
        }
    }
}

static void compare_tool(const char *agent, struct slice service, struct slice tool,
                         struct slice arguments)
{
    char path[256];
    (void)snprintf(path, sizeof path, "%.*s/%.*s", SLICE_ARG(service), SLICE_ARG(tool));
    struct policy_call call = {.agent = slice_of(agent),
                               .user = SLICE("ana"),
                               .tool = slice_of(path),
                               .service_state = give_state};
    compare_circumstances(&call);
    call.service = service;
    call.tool = tool;
    call.arguments = arguments;
    compare_circumstances(&call);
}

static void compare_service(const char *agent, const char *service)
{
    struct buf tools, arguments;
    buf_init(&tools, 1u << 20);
    buf_init(&arguments, 1u << 16);
    uint32_t count = policy_put_demo_tools(slow, slice_of(service), &tools);
    struct pack cursor = pack_over(buf_slice(&tools));
    for (; count; count--) {
        struct slice definition, name;
        assert_true(pack_take(&cursor, &definition));
        assert_true(pack_get_text(definition, "name", &name));
        put_fitting(definition, &arguments);
        compare_tool(agent, slice_of(service), name, buf_slice(&arguments));
    }
    compare_tool(agent, slice_of(service), SLICE("some-tool"), SLICE("\x80"));
    compare_tool(agent, slice_of(service), SLICE("x-delete-y"), SLICE("\x80"));
    compare_tool(agent, slice_of(service), SLICE("a/b"), SLICE("\x80"));
    compare_tool(agent, slice_of(service), SLICE(""), SLICE("\x80"));
    buf_done(&tools);
    buf_done(&arguments);
}

#define NO_OPINION "function before_call(call) end\n"

static void make_policies(const char *text)
{
    char hooked[4096];
    buf_init(&first, 1u << 20);
    buf_init(&second, 1u << 20);
    buf_init(&reference, 1u << 20);
    demos_remembered = calls_remembered = others_asked = 0;
    use(text);
    fast = policy_ref(policy);
    (void)snprintf(hooked, sizeof hooked, "%s\n" NO_OPINION, text);
    use(hooked);
    slow = policy_ref(policy);
}

static void what_is_remembered_is_what_would_be_decided(void **state)
{
    static const char *const agents[] = {"coordinator", "meeting_scheduler",
                                         "lead_administrator", "nobody", ""};
    static const char *const services[] = {"sendgrid",        "twitter",    "calendly",
                                           "pipedrive",       "salesforce", "zoho_crm",
                                           "google_calendar", "unheard_of"};
    static const char *const operations[] = {"mark_lead_as_contacted",
                                             "create_lead_in_database", "x", ""};
    (void)state;
    make_policies("include \"default\"");
    for (size_t a = 0; a < sizeof agents / sizeof *agents; a++) {
        for (size_t s = 0; s < sizeof services / sizeof *services; s++) {
            compare_service(agents[a], services[s]);
        }
        for (size_t o = 0; o < sizeof operations / sizeof *operations; o++) {
            struct policy_call call = {.agent = slice_of(agents[a]),
                                       .tool = slice_of(operations[o]),
                                       .arguments = SLICE("\x81\xa7lead_id\xa1x"),
                                       .service_state = give_state};
            compare_circumstances(&call);
        }
    }
    assert_int_equal(count_of(slow, "remembered"), 0);
    assert_true(calls_remembered > 700 && demos_remembered > 200 && others_asked > 10000);
}

static void demo_rules_hold_by_agent(void **state)
{
    static const char *const agents[] = {"a", "b", "c", "d", "e"};
    (void)state;
    make_policies(
        "for _, name in ipairs { 'a', 'b', 'c', 'd', 'e' } do\n"
        "  agent(name) { services = { 's*' }, tools = { deny = { '*/never*' } } }\nend\n"
        "demo { when = 'no_credentials' }\ndemo { when = 'unavailable', agents = 'b' }\n"
        "demo { when = 'always', agents = 'c' }\ndemo { when = 'never', agents = 'd' }\n"
        "demo_answer 's1' { tool = 'fixed', input = { type = 'object', required = { 'n' } }, "
        "result = 'text' }\n"
        "demo_answer 's1' { tool = 'never', result = 'text' }\n"
        "demo_answer 's1' { tool = 'made', result = function(call) return call.tool end }\n");
    for (size_t a = 0; a < sizeof agents / sizeof *agents; a++) {
        compare_service(agents[a], "s1");
        compare_service(agents[a], "s2");
        compare_service(agents[a], "other");
    }
    assert_int_equal(count_of(slow, "remembered"), 0);
    assert_true(calls_remembered > 100 && demos_remembered > 10 && others_asked > 100);
}

/* ---- what is not remembered ------------------------------------------------------------------ */

static void a_hook_is_asked_every_time(void **state)
{
    static const char *const hooks[] = {"function peer_may() end\n",
                                        "function before_call() end\n",
                                        "function demo_answer() end\n"};
    static const char *const harmless[] = {
        "function after_call() end\n", "function on_failure() end\n",
        "function message_for() end\n", "function on_alert() end\nfunction suggest() end\n"};
    char text[256];
    (void)state;
    for (size_t i = 0; i < sizeof hooks / sizeof *hooks; i++) {
        (void)snprintf(text, sizeof text, "agent \"a\" { services = \"s\" }\n%s", hooks[i]);
        use(text);
        for (int n = 0; n < 3; n++) {
            ask("a", "s/t");
            assert_call("s", "t");
        }
        assert_int_equal(count_of(policy, "questions"), 3);
        assert_int_equal(count_of(policy, "remembered"), 0);
    }
    for (size_t i = 0; i < sizeof harmless / sizeof *harmless; i++) {
        (void)snprintf(text, sizeof text, "agent \"a\" { services = \"s\" }\n%s", harmless[i]);
        use(text);
        for (int n = 0; n < 3; n++) {
            ask("a", "s/t");
            assert_call("s", "t");
        }
        assert_int_equal(count_of(policy, "questions"), 3);
        assert_int_equal(count_of(policy, "remembered"), 2);
    }
}

static void arguments_are_checked_in_every_call(void **state)
{
    (void)state;
    use("agent \"a\" { services = \"s\" }\ndemo { when = \"always\" }\n"
        "demo_answer \"s\" { tool = \"t\", result = \"text\", input = { type = \"object\", "
        "required = { \"n\" }, properties = { n = { type = \"integer\" } } } }\n");
    for (int n = 0; n < 3; n++) {
        ask_with("a", "s/t", "{\"n\":1}");
        assert_demo("text");
        ask_with("a", "s/t", "{\"n\":\"x\"}");
        assert_failure(ERR_VALIDATION_ERROR, "arguments.n must be");
        assert_string_equal(detail("service"), "\"s\"");
        assert_string_equal(detail("tool"), "\"t\"");
        ask("a", "s/t");
        assert_failure(ERR_VALIDATION_ERROR, "arguments.n must be");
    }
    assert_int_equal(count_of(policy, "questions"), 9);
    assert_int_equal(count_of(policy, "remembered"), 8);
}

static void a_service_that_changes_its_state_is_decided_anew(void **state)
{
    (void)state;
    use("agent \"a\" { services = \"*\" }\ndemo { when = \"unavailable\" }\n"
        "demo_answer \"s\" { tool = \"t\", result = \"text\" }\n");
    for (int n = 0; n < 4; n++) {
        states = "s=usable";
        ask("a", "s/t");
        assert_call("s", "t");
        states = "s=no_credentials";
        ask("a", "s/t");
        assert_demo("text");
        ask("a", "s/other");
        assert_failure(ERR_AUTH_REQUIRED, "no credentials");
        states = "s=unavailable";
        ask("a", "s/t");
        assert_demo("text");
        states = "s=disabled";
        ask("a", "s/t");
        assert_failure(ERR_DISABLED, "switched off");
        states = "s=unknown";
        ask("a", "s/t");
        assert_call("s", "t");
        states = "";
        ask("a", "s/t");
        assert_call("s", "t");
    }
    assert_int_equal(count_of(policy, "questions"), 4 * 7);
    assert_int_equal(count_of(policy, "remembered"), 4 * 5 - 4);
}

static void a_reload_forgets(void **state)
{
    (void)state;
    use("agent \"a\" { services = \"s\" }\n");
    ask("a", "s/t");
    ask("a", "s/t");
    assert_call("s", "t");
    assert_int_equal(count_of(policy, "remembered"), 1);
    use("agent \"a\" { services = \"other\" }\n");
    ask("a", "s/t");
    assert_failure(ERR_POLICY_DENIED, "may not use service");
    assert_int_equal(count_of(policy, "remembered"), 0);
}

static void names_that_are_made_up_take_no_memory(void **state)
{
    char tool[400];
    (void)state;
    use("agent \"a\" { services = \"*\" }\n");
    ask("a", "s/t");
    for (int i = 0; i < 20000; i++) {
        (void)snprintf(tool, sizeof tool, "s%d/tool-%0*d", i % 977, i % 3 ? 8 : 300, i);
        ask("a", tool);
        assert_int_equal(decision.verdict, POLICY_CALL);
        assert_int_equal(decision.tool.len, i % 3 ? 13 : 305);
        policy_collect(policy);
    }
    /* Lua's own memory of names is bounded too, and collected. */
    assert_true(count_of(policy, "memory_bytes") < 12 << 20);
    assert_int_equal(count_of(policy, "questions"), 20001);
    ask("a", "s/t");
    assert_call("s", "t");
    ask("a", "s/t");
    assert_call("s", "t");
    ask("b", "s/t");
    assert_failure(ERR_NOT_FOUND, "no agent `b`");
}

/* A decision names what was asked, also when the caller's bytes are gone. */
static void a_decision_does_not_point_into_the_call(void **state)
{
    char tool[] = "s/t";
    (void)state;
    use("agent \"a\" { services = \"s\" }\n");
    ask("a", tool);
    ask("a", tool);
    assert_int_equal(count_of(policy, "remembered"), 1);
    memset(tool, 'x', 3);
    assert_call("s", "t");
    failure_set(&failure, ERR_UNAVAILABLE, "gone");
    view.tool = SLICE("s/t");
    policy_on_failure(policy, &view, &decision, &failure);
    assert_int_equal(decision.verdict, POLICY_FAIL);
    assert_int_equal(failure.code, ERR_UNAVAILABLE);
}

/* What a function of the operator does later to a list that it declared is no rule. */
static void rules_do_not_change_when_declared_lists_do(void **state)
{
    (void)state;
    use("local services, deny = { \"s\" }, { \"*/never\" }\n"
        "agent \"a\" { services = services, tools = { deny = deny } }\n"
        "function message_for() services[1], deny[1] = \"x\", \"*\" end\n");
    ask("a", "s/never");
    assert_failure(ERR_POLICY_DENIED, "may not call");
    policy_message(policy, SLICE("en"), SLICE("s"), SLICE("S"), &failure);
    ask("a", "s/t");
    assert_call("s", "t");
    ask("a", "x/t");
    assert_failure(ERR_POLICY_DENIED, "may not use service");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_the_very_same_is_found),
        cmocka_unit_test(agents_have_roles),
        cmocka_unit_test(a_flood_of_names_is_bounded),
        cmocka_unit_test(without_memory_nothing_is_remembered),
        TEST(what_is_remembered_is_what_would_be_decided),
        TEST(demo_rules_hold_by_agent),
        TEST(a_hook_is_asked_every_time),
        TEST(arguments_are_checked_in_every_call),
        TEST(a_service_that_changes_its_state_is_decided_anew),
        TEST(a_reload_forgets),
        TEST(names_that_are_made_up_take_no_memory),
        TEST(a_decision_does_not_point_into_the_call),
        TEST(rules_do_not_change_when_declared_lists_do),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
