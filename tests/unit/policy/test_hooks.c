/* SPDX-License-Identifier: MIT */
/* test_hooks.c - what an operator's functions may say, and what becomes of nonsense and errors. */
#include "ask.h"

#include "base/clock.h"

static int set_up(void **state)
{
    (void)make_folder(state);
    view = (struct policy_call){0};
    budget_us = 200000;
    return 0;
}

#define AGENT "agent \"a\" { services = { \"s\", \"d\" } }\n"
#define DEMO                                                                                  \
    "demo { when = \"no_credentials\" }\n"                                                    \
    "demo_answer \"d\" { tool = \"t\", input = { type = \"object\", required = { \"n\" } }, " \
    "result = \"demo text\" }\n"
#define OPERATION                                                                            \
    "operation \"o\" { agents = \"*\", input = { type = \"object\", required = { \"n\" }, "  \
    "properties = { n = { type = \"integer\" } } }, targets = {\n"                           \
    "{ service = \"s\", tool = \"one\", arguments = function(a) return { m = a.n } end },\n" \
    "{ service = \"d\", tool = \"t\" } } }\n"

static void expect_errors(uint64_t errors, uint64_t over_budget)
{
    struct buf out;
    int64_t number = -1;
    buf_init(&out, 4096);
    policy_put_info(policy, &out);
    assert_true(pack_get_int(buf_slice(&out), "errors", &number));
    assert_int_equal(number, errors);
    assert_true(pack_get_int(buf_slice(&out), "over_budget", &number));
    assert_int_equal(number, over_budget);
    buf_done(&out);
}

/* ---- before_call --------------------------------------------------------------------------- */

static void before_call_sees_the_call(void **state)
{
    (void)state;
    use(AGENT "function before_call(call)\n"
              "  assert(call.agent == 'a' and call.user == 'ana' and call.service == 's')\n"
              "  assert(call.tool == 't' and call.locale == '' and call.demo == 'policy')\n"
              "  assert(call.arguments.x[2] == 2 and call.arguments == call.arguments)\n"
              "  assert(call.peer.uid == 1000 and call.peer.trusted and not call.peer.admin)\n"
              "  return allow()\nend\n");
    ask_with("a", "s/t", "{\"x\":[1,2]}");
    assert_call("s", "t");
    assert_false(decision.has_arguments);
    ask_with("a", "s/t", "{\"x\":[1,3]}");
    assert_failure(ERR_POLICY_DENIED, "the policy failed (before_call)");
    assert_string_equal(detail("rule"), "\"before_call\"");
    expect_errors(1, 0);
}

static void no_opinion_lets_the_call_go_on(void **state)
{
    (void)state;
    use(AGENT "function before_call(call) end\n");
    ask("a", "s/t");
    assert_call("s", "t");
    ask("a", "other/t"); /* not asked about what is not admitted anyway */
    assert_failure(ERR_POLICY_DENIED, "may not use service");
}

static void before_call_denies_with_its_reason(void **state)
{
    (void)state;
    use(AGENT OPERATION "function before_call(call) return deny('not at night') end\n");
    ask("a", "s/t");
    assert_failure(ERR_POLICY_DENIED, "not at night");
    ask_with("a", "o", "{\"n\":1}");
    assert_failure(ERR_POLICY_DENIED, "not at night");
    expect_errors(0, 0);
}

static void before_call_answers_by_itself(void **state)
{
    (void)state;
    use(AGENT "function before_call(call)\n"
              "  if call.tool == 'text' then return answer('hola') end\n"
              "  if call.tool == 'map' then return answer { n = 1, l = array {} } end\n"
              "  return answer { content = { { type = 'text', text = 'x' } }, isError = true,\n"
              "                  _meta = { k = 1 } }\nend\n");
    ask("a", "s/text");
    assert_int_equal(decision.verdict, POLICY_ANSWER);
    assert_string_equal(json_of(decision.result),
                        "{\"content\":[{\"type\":\"text\",\"text\":\"hola\"}]}");
    ask("a", "s/map");
    assert_string_equal(
        json_of(decision.result),
        "{\"content\":[{\"type\":\"text\",\"text\":\"{\\\"l\\\":[],\\\"n\\\":1}\"}],"
        "\"structuredContent\":{\"l\":[],\"n\":1}}");
    ask("a", "s/result");
    assert_string_equal(json_of(decision.result),
                        "{\"content\":[{\"text\":\"x\",\"type\":\"text\"}],\"_meta\":{\"k\":1},"
                        "\"isError\":true}");
}

static void rewritten_arguments_are_checked_again(void **state)
{
    (void)state;
    use(AGENT OPERATION "function before_call(call)\n"
                        "  local a = call.arguments a.n = a.bad and 'x' or 7 a.bad = nil\n"
                        "  return rewrite(a)\nend\n");
    ask_with("a", "s/t", "{\"n\":1,\"keep\":[]}");
    assert_call("s", "t");
    assert_true(decision.has_arguments);
    assert_string_equal(json_of(decision.arguments), "{\"keep\":[],\"n\":7}");
    ask_with("a", "o", "{\"n\":1}");
    assert_call("s", "one");
    assert_string_equal(json_of(decision.arguments), "{\"m\":7}");
    ask_with("a", "o", "{\"n\":1,\"bad\":true}");
    assert_failure(ERR_VALIDATION_ERROR, "arguments.n");
}

static void before_call_names_another_tool(void **state)
{
    (void)state;
    use(AGENT DEMO OPERATION "function before_call(call)\n"
                             "  return use('d', 't', { n = 5 })\nend\n");
    ask("a", "s/x");
    assert_call("d", "t");
    assert_string_equal(json_of(decision.arguments), "{\"n\":5}");
    ask_with("a", "o", "{\"n\":1}");
    assert_call("d", "t");
    assert_false(decision.is_operation);
    states = "d=no_credentials";
    ask("a", "s/x");
    assert_demo("demo text");
    states = "d=disabled";
    ask("a", "s/x");
    assert_failure(ERR_DISABLED, "`d` is switched off");
}

static void before_call_asks_for_a_demo(void **state)
{
    (void)state;
    use(AGENT DEMO OPERATION "function before_call(call) return demo() end\n");
    ask_with("a", "d/t", "{\"n\":1}");
    assert_demo("demo text");
    ask_with("a", "o", "{\"n\":1}");
    assert_demo("demo text");
    assert_true(decision.is_operation);
    ask("a", "s/t");
    assert_failure(ERR_NOT_FOUND, "no demo answer for `s/t`");
}

static void nonsense_denies(void **state)
{
    (void)state;
    static const char *const answers[] = {"return true",
                                          "return 'allow'",
                                          "return {}",
                                          "return 7",
                                          "return allow",
                                          "return give_up()",
                                          "error('x')",
                                          "error({})",
                                          "return deny(5)",
                                          "return answer(5)",
                                          "return rewrite('x')",
                                          "return use('x')",
                                          "return rewrite { f = error }",
                                          "return rewrite { 1, 2 }",
                                          "return answer { f = error }",
                                          "return answer { 1, 2 }",
                                          "return call.agnet",
                                          "call.agent = 'b'",
                                          "return call.x.y",
                                          "undefined_function()",
                                          "local t = {} t.t = t return rewrite(t)",
                                          "return use(('x'):rep(2000), 't')"};
    for (size_t i = 0; i < sizeof answers / sizeof *answers; i++) {
        char text[512];
        (void)snprintf(text, sizeof text, AGENT "function before_call(call) %s end\n",
                       answers[i]);
        use(text);
        ask("a", "s/t");
        if (decision.verdict != POLICY_FAIL || failure.code != ERR_POLICY_DENIED) {
            fail_msg("%s: verdict %d", answers[i], (int)decision.verdict);
        }
        expect_errors(1, 0);
    }
}

static void endless_hooks_deny_in_time(void **state)
{
    (void)state;
    static const char *const bodies[] = {
        "while true do end", "while true do pcall(function() while true do end end) end",
        "local s = ('x'):rep(1000000) while true do local t = s:upper() end",
        "local function f() return f() end f()",
        "while true do pcall(function() return call.arguments end) end"};
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
        char text[512];
        (void)snprintf(text, sizeof text, AGENT "function before_call(call) %s end\n",
                       bodies[i]);
        use(text);
        mono_us start = clock_mono();
        ask("a", "s/t");
        assert_true(clock_mono() - start < 20000000);
        assert_failure(ERR_POLICY_DENIED, "before_call");
        expect_errors(1, 1);
        ask("a", "other/t"); /* and the next question is answered as ever */
        assert_failure(ERR_POLICY_DENIED, "may not use");
    }
}

/* One that returned does not end the watch over those that follow in the same question. */
static void each_function_of_a_question_has_its_end(void **state)
{
    (void)state;
    budget_us = 100000;
    use("agent \"a\" { services = { \"s\", \"d\" } }\ndemo { when = \"no_credentials\" }\n"
        "local function loop() while true do end end\n"
        "operation \"o\" { agents = \"*\", input = { type = \"object\" }, targets = {\n"
        "  { service = \"s\", tool = \"t\", arguments = loop } } }\n"
        "demo_answer \"d\" { tool = \"made\", result = loop }\n"
        "function before_call(call) return allow() end\n"
        "function demo_answer(call) if call.tool == 'hook' then loop() end end\n"
        "function after_call() loop() end\n");
    states = "d=no_credentials";
    mono_us start = clock_mono();
    ask("a", "o");
    assert_failure(ERR_POLICY_DENIED, "arguments of an operation");
    expect_errors(1, 1);
    ask("a", "d/made");
    assert_int_equal(decision.verdict, POLICY_FAIL);
    expect_errors(2, 2);
    ask("a", "d/hook");
    assert_int_equal(decision.verdict, POLICY_FAIL);
    expect_errors(3, 3);
    ask("a", "s/t");
    assert_call("s", "t");
    policy_after_call(policy, &view, &decision, SLICE("\x80"), &failure);
    expect_errors(4, 4);
    assert_true(clock_mono() - start < 20000000);
}

static void a_memory_bomb_denies_and_leaves_no_trace(void **state)
{
    (void)state;
    budget_us = 5000000;
    use(AGENT "function before_call(call)\n"
              "  if call.tool == 'bomb' then local t = {} for i = 1, 1e9 do t[i] = {} end end\n"
              "end\n");
    for (int i = 0; i < 3; i++) {
        ask("a", "s/bomb");
        assert_failure(ERR_POLICY_DENIED, "before_call");
        ask("a", "s/t");
        assert_call("s", "t");
    }
    for (int i = 0; i < 2000; i++) {
        policy_collect(policy);
    }
}

static void a_kept_view_is_worthless(void **state)
{
    (void)state;
    use(AGENT "local kept\n"
              "function before_call(call) kept = call end\n"
              "function message_for() return kept.agent end\n");
    ask("a", "s/t");
    assert_call("s", "t");
    failure_set(&failure, ERR_TIMEOUT, "x");
    policy_message(policy, SLICE("en"), SLICE("s"), SLICE("S"), &failure);
    assert_int_equal(failure.user_message.len, 0);
    expect_errors(1, 0);
}

static void the_library_can_be_spoilt_only_for_oneself(void **state)
{
    (void)state;
    use(AGENT OPERATION "type, ipairs, error, tostring = nil, nil, nil, nil\n"
                        "for name in pairs(table) do table[name] = nil end\n"
                        "for name in pairs(string) do string[name] = nil end\n"
                        "pairs = nil\n"
                        "function before_call(call) return deny('x') end\n");
    ask("a", "s/t");
    assert_failure(ERR_POLICY_DENIED, "x");
    ask("nobody", "s/t");
    assert_failure(ERR_NOT_FOUND, "no agent");
    ask("a", "none");
    assert_failure(ERR_NOT_FOUND, "no operation");
    expect_errors(0, 0);
}

static void arguments_are_fresh_when_asked_again(void **state)
{
    (void)state;
    use(AGENT
        "demo { when = 'always' }\n"
        "demo_answer 's' { tool = 't', result = function(call) return call.arguments end }\n"
        "function before_call(call) return rewrite { n = (call.arguments.n or 0) + 1 } end\n"
        "function demo_answer(call) error('broken') end\n");
    ask("a", "s/t");
    assert_demo("{\"n\":1}");
    use(AGENT
        "demo { when = 'always' }\n"
        "demo_answer 's' { tool = 't', input = { type = 'object', properties = { n = { const = "
        "1 } } }, result = 'once' }\n"
        "function before_call(call) return rewrite { n = (call.arguments.n or 0) + 1 } end\n"
        "function demo_answer(call) error('broken') end\n");
    ask("a", "s/t");
    assert_demo("once");
}

/* ---- peer_may ------------------------------------------------------------------------------------ */

static void peer_may_decides_who_speaks(void **state)
{
    (void)state;
    use(AGENT "function peer_may(peer, agent, user)\n"
              "  if user == 'eve' then return deny('not eve') end\n"
              "  if user == 'odd' then return true end\n"
              "  if peer.uid == 4000 and agent == 'a' then return allow() end\nend\n");
    struct policy_peer stranger = {4000, 4000, 9, false, false};
    struct policy_peer other = {4001, 4001, 9, false, false};
    assert_true(policy_peer_may(policy, &stranger, SLICE("a"), SLICE("ana")));
    assert_true(policy_peer_may(policy, &trusted_peer, SLICE("a"), SLICE("ana")));
    assert_false(policy_peer_may(policy, &other, SLICE("a"), SLICE("ana")));
    assert_false(policy_peer_may(policy, &stranger, SLICE("a"), SLICE("eve")));
    assert_false(policy_peer_may(policy, &stranger, SLICE("a"), SLICE("odd")));
    expect_errors(1, 0);
    view.user = SLICE("eve");
    ask("a", "s/t");
    assert_failure(ERR_POLICY_DENIED, "not eve");
    assert_string_equal(detail("rule"), "\"peer_may\"");
    view.user = SLICE("odd");
    ask("a", "s/t");
    assert_failure(ERR_POLICY_DENIED, "the policy failed (peer_may)");
    view.user = SLICE("ana");
    ask("a", "s/t");
    assert_call("s", "t");
}

/* ---- demo answers ------------------------------------------------------------------------------------ */

static void a_hook_may_make_demo_answers(void **state)
{
    (void)state;
    use(AGENT DEMO "function demo_answer(call)\n"
                   "  if call.tool == 'x' then return answer { made = call.user } end\n"
                   "  if call.tool == 't' then error('broken') end\nend\n");
    states = "*=no_credentials";
    ask("a", "s/x");
    assert_demo("\"made\":\"ana\"");
    ask_with("a", "d/t", "{\"n\":1}"); /* its failure is no opinion: the declared one holds */
    assert_demo("demo text");
    expect_errors(1, 0);
    ask("a", "s/y");
    assert_failure(ERR_AUTH_REQUIRED, "no credentials");
}

static void a_demo_function_that_fails_is_none(void **state)
{
    (void)state;
    use(AGENT "demo { when = 'always' }\n"
              "demo_answer 's' { tool = 't', result = function(call) return call.x.y end }\n"
              "demo_answer 's' { tool = 'u', result = function(call) return 5 end }\n"
              "demo_answer 's' { tool = 'v', result = 'fine' }\n");
    ask("a", "s/t");
    assert_failure(ERR_NOT_FOUND, "no demo answer for `s/t`");
    ask("a", "s/u");
    assert_failure(ERR_NOT_FOUND, "no demo answer for `s/u`");
    expect_errors(2, 0);
    ask("a", "s/v");
    assert_demo("fine");
    ask("a", "s/w"); /* "always" never calls a service */
    assert_failure(ERR_NOT_FOUND, "no demo answer for `s/w`");
    assert_non_null(strstr(buf_text(&failure.suggestion), "t, u, v"));
}

static void demo_levels_are_per_agent(void **state)
{
    (void)state;
    use("agent 'a' { services = 's' } agent 'b' { services = 's' } agent 'c' { services = 's' "
        "}\n"
        "demo { when = 'no_credentials' } demo { when = 'never', agents = 'b' }\n"
        "demo { when = 'unavailable', agents = { 'c*' } }\n"
        "demo_answer 's' { tool = 't', result = 'x' }\n");
    states = "s=no_credentials";
    ask("a", "s/t");
    assert_demo("x");
    ask("b", "s/t");
    assert_failure(ERR_AUTH_REQUIRED, "no credentials");
    ask("c", "s/t");
    assert_demo("x");
    states = "s=unavailable";
    ask("a", "s/t");
    assert_call("s", "t");
    failure_set(&failure, ERR_UNAVAILABLE, "down");
    policy_on_failure(policy, &view, &decision, &failure);
    assert_failure(ERR_UNAVAILABLE, "down");
    ask("c", "s/t");
    assert_demo("x");
    states = "";
    ask("c", "s/t");
    assert_call("s", "t");
    failure_set(&failure, ERR_CIRCUIT_OPEN, "open");
    policy_on_failure(policy, &view, &decision, &failure);
    assert_demo("x");
}

/* ---- operations ------------------------------------------------------------------------------------------ */

static void a_mapping_that_fails_denies(void **state)
{
    (void)state;
    use(AGENT "operation 'o' { agents = 'a', input = { type = 'object' }, targets = {\n"
              "{ service = 's', tool = 't', arguments = function(a) return a.x.y end } } }\n"
              "operation 'p' { agents = 'a', input = { type = 'object' }, targets = {\n"
              "{ service = 's', tool = 't', arguments = function(a) return 'x' end } } }\n"
              "operation 'q' { agents = 'a', input = { type = 'object' }, targets = {\n"
              "{ service = 's', tool = 't', arguments = { fixed = true } } } }\n");
    ask("a", "o");
    assert_failure(ERR_POLICY_DENIED, "arguments of an operation");
    ask("a", "p");
    assert_failure(ERR_POLICY_DENIED, "arguments of an operation");
    ask("a", "q");
    assert_call("s", "t");
    assert_string_equal(json_of(decision.arguments), "{\"fixed\":true}");
}

static void tool_rules_hold_for_operations(void **state)
{
    (void)state;
    use("agent 'a' { services = 's', tools = { allow = { 's/get*', 'o*' }, deny = { '*secret*' "
        "} } }\n"
        "operation 'o' { agents = '*', input = { type = 'object' }, targets = { { service = "
        "'s', tool = 't' } } }\n"
        "operation 'p' { agents = '*', input = { type = 'object' }, targets = { { service = "
        "'s', tool = 't' } } }\n"
        "operation 'o_secret' { agents = 'a', input = { type = 'object' }, targets = { { "
        "service = 's', tool = 't' } } }\n");
    ask("a", "s/get-x");
    assert_call("s", "get-x");
    ask("a", "s/put-x");
    assert_failure(ERR_POLICY_DENIED, "may not call");
    assert_string_equal(detail("rule"), "\"agent a: tools.allow\"");
    ask("a", "o");
    assert_call("s", "t");
    ask("a", "p");
    assert_failure(ERR_POLICY_DENIED, "may not call operation");
    ask("a", "o_secret");
    assert_string_equal(detail("rule"), "\"agent a: tools.deny *secret*\"");
    struct buf out;
    buf_init(&out, 1u << 20);
    assert_int_equal(policy_put_operations(policy, SLICE("a"), &out),
                     1); /* listed = callable */
    buf_done(&out);
}

/* ---- on_failure ---------------------------------------------------------------------------------------------- */

static void on_failure_may_name_what_stands_in(void **state)
{
    (void)state;
    use(AGENT DEMO
        "function on_failure(call, failure)\n"
        "  if call.tool == 'use' then return use('d', 'u', { n = failure.code }) end\n"
        "  if call.tool == 'answer' then return answer('because ' .. failure.message) end\n"
        "  if call.tool == 't' then return demo() end\n"
        "  if call.tool == 'give_up' then return give_up() end\n"
        "  if call.tool == 'error' then error('x') end\n"
        "  if call.tool == 'odd' then return deny('x') end\nend\n"
        "fallback { on = 'TIMEOUT', to = { s = 'd' } }\n");
    static const char *const tools[] = {"s/use",   "s/answer", "d/t",
                                        "s/error", "s/odd",    "s/none"};
    for (size_t i = 0; i < 6; i++) {
        ask_with("a", tools[i], "{\"n\":1}");
        failure_set(&failure, ERR_TIMEOUT, "slow");
        policy_on_failure(policy, &view, &decision, &failure);
        if (i == 0) {
            failure_clear(&failure);
            assert_call("d", "u");
            assert_string_equal(json_of(decision.arguments), "{\"n\":\"TIMEOUT\"}");
        } else if (i == 1) {
            assert_int_equal(decision.verdict, POLICY_ANSWER);
            assert_non_null(strstr(json_of(decision.result), "because slow"));
        } else if (i == 2) {
            assert_demo("demo text");
        } else { /* no opinion, in whichever way: what is declared holds */
            failure_clear(&failure);
            assert_call("d", tools[i] + 2);
        }
    }
    expect_errors(2, 0);
    ask("a", "s/give_up");
    failure_set(&failure, ERR_TIMEOUT, "slow");
    policy_on_failure(policy, &view, &decision, &failure);
    assert_failure(ERR_TIMEOUT, "slow");
}

static void rounds_are_bounded(void **state)
{
    (void)state;
    use(AGENT "function on_failure(call, failure) return use('s', 'again') end\n");
    ask("a", "s/t");
    unsigned rounds = 0;
    while (decision.verdict == POLICY_CALL) {
        assert_true(++rounds < 20);
        failure_set(&failure, ERR_UNAVAILABLE, "down");
        policy_on_failure(policy, &view, &decision, &failure);
    }
    assert_int_equal(rounds, 9);
    use(AGENT "fallback { to = { s = 'd', d = 's' } }\n");
    ask("a", "s/t");
    rounds = 0;
    while (decision.verdict == POLICY_CALL) {
        assert_true(++rounds < 20);
        failure_set(&failure, ERR_UNAVAILABLE, "down");
        policy_on_failure(policy, &view, &decision, &failure);
    }
    assert_int_equal(rounds, 2);
}

static void what_before_call_said_holds_for_stand_ins(void **state)
{
    (void)state;
    use(AGENT "fallback { to = { s = 'd' } }\n"
              "function before_call(call)\n"
              "  if call.arguments.stop then return deny('x') end\n"
              "  return rewrite { clean = true }\nend\n");
    ask_with("a", "s/t", "{\"secret\":1}");
    failure_set(&failure, ERR_UNAVAILABLE, "down");
    policy_on_failure(policy, &view, &decision, &failure);
    failure_clear(&failure);
    assert_call("d", "t");
    assert_true(decision.has_arguments);
    assert_string_equal(json_of(decision.arguments), "{\"clean\":true}");
    view.arguments = SLICE("\x81\xa4stop\xc3");
    decision = (struct policy_decision){
        .verdict = POLICY_CALL, .service = SLICE("s"), .tool = SLICE("t")};
    failure_set(&failure, ERR_UNAVAILABLE, "down");
    policy_on_failure(policy, &view, &decision, &failure);
    assert_failure(ERR_UNAVAILABLE, "down");
}

/* ---- after_call, message_for ------------------------------------------------------------------------------------ */

static void after(const char *json)
{
    struct buf result;
    buf_init(&result, 1u << 20);
    assert_int_equal(json_to_pack(slice_of(json), 32, &result, NULL), 0);
    failure_clear(&failure);
    policy_after_call(policy, &view, &decision, buf_slice(&result), &failure);
    buf_done(&result);
}

static void after_call_may_replace_or_deny(void **state)
{
    (void)state;
    use(AGENT);
    assert_false(policy_has_after_call(policy));
    use(AGENT "function after_call(call, result)\n"
              "  local text = result.content[1].text\n"
              "  if text == 'secret' then return deny('leak') end\n"
              "  if text == 'swap' then return answer('other') end\n"
              "  if text == 'odd' then return 5 end\n"
              "  if text == 'loop' then while true do end end\n"
              "  if text == 'allow' then return allow() end\nend\n");
    assert_true(policy_has_after_call(policy));
    static const char *const unchanged[] = {"odd", "allow", "none", "loop"};
    for (size_t i = 0; i < 4; i++) {
        char json[128];
        (void)snprintf(json, sizeof json, "{\"content\":[{\"type\":\"text\",\"text\":\"%s\"}]}",
                       unchanged[i]);
        ask("a", "s/t");
        after(json);
        assert_int_equal(decision.verdict, POLICY_CALL);
        assert_int_equal(failure.code, ERR_NONE);
    }
    expect_errors(2, 1);
    ask("a", "s/t");
    after("{\"content\":[{\"type\":\"text\",\"text\":\"secret\"}]}");
    assert_failure(ERR_POLICY_DENIED, "leak");
    ask("a", "s/t");
    after("{\"content\":[{\"type\":\"text\",\"text\":\"swap\"}]}");
    assert_int_equal(decision.verdict, POLICY_ANSWER);
    assert_string_equal(json_of(decision.result),
                        "{\"content\":[{\"type\":\"text\",\"text\":\"other\"}]}");
}

static void message_for_has_the_first_word(void **state)
{
    (void)state;
    use(AGENT "message('en', 'timeout', 'declared {title}')\n"
              "function message_for(failure, locale)\n"
              "  if failure.service == 'own' then return failure.code .. ' ' .. failure.title "
              ".. ' ' .. locale end\n"
              "  if failure.service == 'odd' then return 5 end\n"
              "  if failure.service == 'loop' then while true do end end\nend\n");
    static const char *const services[] = {"own", "odd", "loop", "none"};
    for (size_t i = 0; i < 4; i++) {
        failure_set(&failure, ERR_TIMEOUT, "x");
        policy_message(policy, SLICE(""), slice_of(services[i]), SLICE("T"), &failure);
        assert_string_equal(buf_text(&failure.user_message), i ? "declared T" : "TIMEOUT T en");
    }
    expect_errors(2, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, remove_folder)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(before_call_sees_the_call),
        TEST(no_opinion_lets_the_call_go_on),
        TEST(before_call_denies_with_its_reason),
        TEST(before_call_answers_by_itself),
        TEST(rewritten_arguments_are_checked_again),
        TEST(before_call_names_another_tool),
        TEST(before_call_asks_for_a_demo),
        TEST(nonsense_denies),
        TEST(endless_hooks_deny_in_time),
        TEST(each_function_of_a_question_has_its_end),
        TEST(a_memory_bomb_denies_and_leaves_no_trace),
        TEST(a_kept_view_is_worthless),
        TEST(the_library_can_be_spoilt_only_for_oneself),
        TEST(arguments_are_fresh_when_asked_again),
        TEST(peer_may_decides_who_speaks),
        TEST(a_hook_may_make_demo_answers),
        TEST(a_demo_function_that_fails_is_none),
        TEST(demo_levels_are_per_agent),
        TEST(a_mapping_that_fails_denies),
        TEST(tool_rules_hold_for_operations),
        TEST(on_failure_may_name_what_stands_in),
        TEST(rounds_are_bounded),
        TEST(what_before_call_said_holds_for_stand_ins),
        TEST(after_call_may_replace_or_deny),
        TEST(message_for_has_the_first_word),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
