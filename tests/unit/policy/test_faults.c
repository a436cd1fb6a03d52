/* SPDX-License-Identifier: MIT */
/* test_faults.c - what is wrong in a policy: each fault with its file and line, all of them. */
#include "ask.h"

#include "base/mem.h"

static struct faults faults;

static int set_up(void **state)
{
    (void)make_folder(state);
    budget_us = 10000; /* a hundred of these are what an endless loop takes here */
    faults_init(&faults);
    return 0;
}

static int take_down(void **state)
{
    faults_done(&faults);
    return remove_folder(state);
}

/* Loads what must be at fault; the faults as text, without the folder. */
static const char *faults_of(const char *text)
{
    static char shown_faults[8192];
    size_t len = 0;
    write_file("policy.lua", text);
    faults_done(&faults);
    faults_init(&faults);
    assert_int_equal(load(&faults), -ERR_VALIDATION_ERROR);
    assert_true(faults.total > 0);
    assert_null(policy);
    shown_faults[0] = '\0';
    for (unsigned i = 0; i < faults.kept; i++) {
        const char *slash = strrchr(faults.list[i].file, '/');
        len += (size_t)snprintf(shown_faults + len, sizeof shown_faults - len, "%s:%d: %s\n",
                                slash ? slash + 1 : faults.list[i].file, faults.list[i].line,
                                faults.list[i].text);
        assert_true(len < sizeof shown_faults);
    }
    return shown_faults;
}

static void expect(const char *text, const char *fault)
{
    const char *found = faults_of(text);
    if (!strstr(found, fault)) {
        fail_msg("%s\n gave\n%s", text, found);
    }
}

static void expect_only(const char *text, const char *fault)
{
    expect(text, fault);
    assert_int_equal(faults.total, 1);
}

static void a_syntax_error_has_its_line(void **state)
{
    (void)state;
    expect_only("agent \"a\" { services = \"x\" }\n\nagent \"b\" { services = }\n",
                "policy.lua:3: unexpected symbol near '}'");
    expect_only("agent \"a\" {\n", "policy.lua:2: unexpected symbol near <eof>");
    expect_only("\033Lua", "binary");
}

static void an_error_has_its_line(void **state)
{
    (void)state;
    expect_only("local x = nil\nx.y = 1\n", "policy.lua:2: attempt to index a nil value");
    expect_only("\nerror(\"no more\")\n", "policy.lua:2: no more");
    expect_only("\nerror({})\n", "policy.lua:2: raised a table");
    expect_only("while true do end", "policy.lua:1: over its time budget");
    expect_only("local s = 'x' while true do s = s .. s end", "not enough memory");
}

static void all_faults_are_told(void **state)
{
    (void)state;
    const char *found = faults_of("agent \"one\" {\n"
                                  "  title = \"One\",\n"
                                  "  servces = { \"x\" },\n"
                                  "}\n"
                                  "agent \"two\" { services = 7 }\n"
                                  "operaton \"o\" { }\n"
                                  "operation \"o\" {\n"
                                  "  agents = { \"three\" },\n"
                                  "  input = { type = \"object\", properties = 5 },\n"
                                  "  targets = { { service = \"x\", tol = \"y\" } },\n"
                                  "}\n"
                                  "locale(5)\n"
                                  "demo { when = \"somtimes\" }\n"
                                  "demo { when = \"never\", agents = { \"twoo\" } }\n"
                                  "agent \"two\" { services = \"x\" }\n"
                                  "message(\"es\", \"conect\", \"x\")\n"
                                  "message(\"es\", \"connect\", \"{titel}\")\n"
                                  "message(\"es\", \"connect\", \"{title\")\n"
                                  "fallback { on = { \"UNAVAILABEL\" }, to = { a = \"a\" } }\n"
                                  "keep_local { 5 }\n"
                                  "before_call = 7\n");
    static const char *const expected[] = {
        "policy.lua:3: agent one: unknown key `servces`, did you mean `services`?",
        "policy.lua:1: agent one: `services` is missing",
        "policy.lua:5: agent two: `services` must be a text or a list of texts",
        "policy.lua:6: no declaration `operaton`, did you mean `operation`?",
        "policy.lua:9: operation o: input: ",
        "policy.lua:10: operation o: target 1: unknown key `tol`, did you mean `tool`?",
        "policy.lua:7: operation o: target 1: `tool` is missing",
        "policy.lua:8: operation o: no agent `three`",
        "policy.lua:12: locale wants a language",
        ("policy.lua:13: demo: `when` must be one of never, no_credentials, unavailable, "
         "always, not the text \"somtimes\""),
        "policy.lua:14: demo: no agent `twoo`, did you mean `two`?",
        "policy.lua:16: message es, conect: unknown message, did you mean `connect`?",
        ("policy.lua:17: message es, connect: unknown placeholder {titel}, did you mean "
         "{title}?"),
        "policy.lua:18: message es, connect: a `{` without its `}`",
        "policy.lua:19: fallback: `on` must be one of",
        "did you mean `UNAVAILABLE`?",
        "policy.lua:19: fallback: `to` wants",
        "policy.lua:20: keep_local: `names` must be a list of texts",
        "`before_call` must be a function, not a number",
    };
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++) {
        if (!strstr(found, expected[i])) {
            fail_msg("missing: %s\nin:\n%s", expected[i], found);
        }
    }
    assert_int_equal(faults.total, 18);
}

static void names_are_declared_once(void **state)
{
    (void)state;
    expect_only("agent \"a\" { services = \"x\" }\nagent \"a\" { services = \"y\" }\n",
                "policy.lua:2: agent a is declared twice, first at");
    expect_only("demo_answer \"s\" { tool = \"t\", result = \"x\" }\n"
                "demo_answer \"s\" { tool = \"t\", result = \"y\" }\n",
                "policy.lua:2: demo_answer s/t is declared twice");
    const char *operation = "operation \"o\" { agents = \"*\", input = { type = \"object\" }, "
                            "targets = { { service = \"s\", tool = \"t\" } } }\n";
    char text[1024];
    (void)snprintf(text, sizeof text, "%s%s", operation, operation);
    expect_only(text, "policy.lua:2: operation o is declared twice");
    (void)snprintf(text, sizeof text, "%skeep_local \"o\"", operation);
    expect_only(text, "policy.lua:1: operation o is also kept local");
    use("include \"default\"\nagent \"coordinator\" { services = \"mine\" }\n");
    ask("coordinator", "mine/x");
    assert_call("mine", "x");
}

static void shapes_are_checked(void **state)
{
    (void)state;
    expect("agent {}", "agent wants a name");
    expect("agent \"a\" \"b\"", "agent a wants a table { ... }, not the text \"b\"");
    expect("agent \"a\" { services = { \"x\", 5 } }", "must be a list of texts");
    expect("agent \"a\" { services = { x = \"y\" } }", "must be a text or a list of texts");
    expect("agent \"a\" { services = \"\" }", "must be a text or a list of texts");
    expect("agent \"a\" { \"x\", services = \"y\" }", "unknown key `1`");
    expect("agent \"a\" { services = \"x\", tools = { alow = \"y\" } }",
           "agent a: tools: unknown key `alow`, did you mean `allow`?");
    expect("agent \"a\" { services = \"\\xff\" }", "not UTF-8");
    expect("operation \"a/b\" { agents = \"*\", input = { type = \"object\" }, targets = { { "
           "service = \"s\", tool = \"t\" } } }",
           "has no `/`");
    expect("operation \"o\" { agents = \"*\", input = { type = \"array\" }, targets = { { "
           "service = \"s\", tool = \"t\" } } }",
           "must have type = \"object\"");
    expect("operation \"o\" { agents = \"*\", input = { type = \"object\" }, targets = {} }",
           "`targets` must be a list");
    expect("operation \"o\" { agents = \"*\", input = { type = \"object\" }, targets = { { "
           "service = \"s\", tool = \"t\", arguments = 5 } } }",
           "`arguments` must be a table or a function");
    expect("operation \"o\" { agents = \"*\", input = { type = \"object\" }, targets = { { "
           "service = \"s\", tool = \"t\", arguments = { x = print or pcall } } } }",
           "a function at x");
    expect("demo_answer \"s\" { tool = \"t\", result = 5 }",
           "`result` must be a text, a table");
    expect("demo_answer \"s\" { tool = \"t\", result = { 1, 2 } }",
           "neither a text nor a table");
    expect("demo_answer \"s\" { tool = \"t\", result = \"x\", input = { type = \"object\", "
           "required = 5 } }",
           "demo_answer s/t: input:");
}

static void files_beside_are_required_once(void **state)
{
    (void)state;
    write_file("people.lua", "count = (count or 0) + 1\nagent \"a\" { services = \"x\" }\n"
                             "return { service = \"x\" }\n");
    use("local people = require \"people\"\nassert(require(\"people\") == people)\n"
        "assert(count == 1 and people.service == \"x\")\n");
    ask("a", "x/y");
    assert_call("x", "y");
    expect_only("require \"../etc/passwd\"", "policy.lua:1: require takes the name of a file");
    expect_only("require \"none\"",
                "policy.lua:1: there is no file `none.lua` beside policy.lua");
    write_file("bad.lua", "\nagent \"a\" { servces = \"x\", services = \"x\" }\nlocal = 5\n");
    expect_only("require \"bad\"", "bad.lua:3:");
    write_file("bad.lua", "\nagent \"a\" { servces = \"x\", services = \"x\" }\n");
    expect_only("\n\nrequire \"bad\"", "bad.lua:2: agent a: unknown key `servces`");
    write_file("loop.lua", "require \"loop\"\n");
    expect_only("require \"loop\"", "loop.lua:1: `loop.lua` is being loaded already");
    expect_only("include \"nothing\"", "policy.lua:1: the program has no file `nothing`");
    expect_only("include \"std/decide\"", "the program has no file");
}

static void a_file_that_others_may_write_is_refused(void **state)
{
    (void)state;
    char path[128];
    write_file("policy.lua", "agent \"a\" { services = \"x\" }\n");
    (void)snprintf(path, sizeof path, "%s/policy.lua", folder);
    assert_int_equal(chmod(path, 0666), 0);
    assert_int_equal(load(&faults), -ERR_VALIDATION_ERROR);
    assert_true(faults.total > 0);
}

static void no_file_means_the_default(void **state)
{
    (void)state;
    use(NULL);
    assert_true(policy_has_agent(policy, SLICE("coordinator")));
}

static void a_selftest_decides(void **state)
{
    (void)state;
    use("agent \"a\" { services = \"x\" }\nfunction selftest() assert(true) end\n");
    expect_only("agent \"a\" { services = \"x\" }\n"
                "function selftest()\n  assert(1 + 1 == 3, \"sums\")\nend\n",
                "selftest: sums");
    expect_only("function selftest()\n  local x = nil\n  return x.y\nend\n",
                "policy.lua:3: selftest: attempt to index a nil value");
    expect_only("function selftest() while true do end end\n", "over its time budget");
}

static void too_little_memory_is_a_fault(void **state)
{
    (void)state;
    struct policy_options options = {NULL, 1000, 1000000, "en"};
    assert_int_equal(policy_load(&options, &policy, &faults), -ERR_VALIDATION_ERROR);
    assert_non_null(strstr(faults.list[0].text, "policy_bytes"));
    options.memory_bytes = 100000;
    assert_int_equal(policy_load(&options, &policy, &faults), -ERR_VALIDATION_ERROR);
    assert_non_null(strstr(faults.list[1].text, "memory"));
}

/* Each allocation fails in turn: there is a policy or a fault, and nothing is lost. */
static void running_out_of_memory_is_a_fault(void **state)
{
    (void)state;
    struct policy_options options = {NULL, 32u << 20, 5000000, "en"};
    unsigned loaded = 0;
    unsigned refused = 0;
    for (unsigned long nth = 1; nth < 20000; nth += 1 + nth / 8) {
        struct faults told;
        faults_init(&told);
        mem_fail_at(nth);
        int result = policy_load(&options, &policy, &told);
        mem_fail_at(0);
        assert_int_equal(result == 0, told.total == 0);
        loaded += result == 0;
        refused += result != 0;
        policy = result ? NULL : policy_unref(policy);
        faults_done(&told);
    }
    assert_true(loaded > 0 &&
                refused > 0); /* Lua collects and tries again: most are survived */
}

static void declarations_end_with_loading(void **state)
{
    (void)state;
    use("agent \"a\" { services = \"x\" }\n"
        "function before_call(call) agent(\"b\")({ services = \"x\" }) end\n");
    ask("a", "x/y");
    assert_failure(ERR_POLICY_DENIED, "before_call");
    assert_false(policy_has_agent(policy, SLICE("b")));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, take_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_syntax_error_has_its_line),
        TEST(an_error_has_its_line),
        TEST(all_faults_are_told),
        TEST(names_are_declared_once),
        TEST(shapes_are_checked),
        TEST(files_beside_are_required_once),
        TEST(a_file_that_others_may_write_is_refused),
        TEST(no_file_means_the_default),
        TEST(a_selftest_decides),
        TEST(too_little_memory_is_a_fault),
        TEST(running_out_of_memory_is_a_fault),
        TEST(declarations_end_with_loading),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
