/* SPDX-License-Identifier: MIT */
/* test_pin.c - tools are trusted at first sight; what differs later is told, kept and approved. */
#include "one_service.h"

#include "mcp/pin.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define A       "{'name':'a','description':'one','inputSchema':{'type':'object'}}"
#define A2      "{'name':'a','description':'two','inputSchema':{'type':'object'}}"
#define B       "{'name':'b'}"

#define CHANGED "{'jsonrpc':'2.0','method':'notifications/tools/list_changed'}"

static char folder[64]; /* of the store; "": there is none */

static void start(enum service_pin pin)
{
    bench_init_at(&bench, false, folder[0] ? folder : NULL);
    struct service_conf *conf = conf_new("s", "1");
    conf->pin = pin;
    apply_one(&bench, conf);
}

/* The daemon ends, and the next one begins. */
static void restart(enum service_pin pin)
{
    (void)clear(NULL);
    start(pin);
}

/* Lists the tools: from the beginning the first time, with a change after that. Reading what was
 * kept takes a thread. */
static void list_as(const char *tools)
{
    char result[1024];
    (void)snprintf(result, sizeof result, "{'tools':[%s]}", tools);
    told_done(&told);
    if (!bench.fake_count) {
        list_tools(&bench, &told, "s");
        shake_hands(fake_at(&bench, 0), "2025-11-25");
    } else {
        say(fake_at(&bench, 0), CHANGED);
        list_tools(&bench, &told, "s");
        bench.news[0] = '\0'; /* only tools are looked at here */
    }
    answer_last(fake_at(&bench, 0), result);
    for (int i = 0; i < 500 && !told.done; i++) {
        loop_turn(bench.loop, 10000);
    }
    assert_int_equal(told.done, 1);
}

static char *pins(bool all)
{
    struct buf out;
    buf_init(&out, 1 << 20);
    mcp_pins_put(bench.services, (struct slice){NULL, 0}, all, &out);
    char *text = as_json(buf_slice(&out));
    buf_done(&out);
    return text;
}

static void pins_are(bool all, const char *part)
{
    char *text = pins(all);
    assert_has(text, part);
    mem_free(text);
}

static size_t approve(const char *tool)
{
    return mcp_pin_approve(bench.services, SLICE("s"), slice_of(tool), SLICE("ana"));
}

static void a_hash_is_of_what_is_read(void **state)
{
    static const struct {
        const char *a, *b;
        bool is_same;
    } cases[] = {
        {"{\"name\":\"a\",\"description\":\"x\"}", "{\"description\":\"x\",\"name\":\"a\"}",
         true},
        {"{\"name\":\"a\"}", "{\"name\":\"a\",\"_meta\":{\"v\":1},\"icons\":[]}", true},
        {"{\"name\":\"a\"}", "{\"name\":\"a\",\"description\":\"\"}", false},
        {"{\"name\":\"a\"}", "{\"name\":\"a\",\"title\":\"t\"}", false},
        {"{\"name\":\"a\",\"title\":\"t\"}", "{\"name\":\"a\",\"description\":\"t\"}", false},
        {"{\"name\":\"a\",\"inputSchema\":{\"a\":1,\"b\":2}}",
         "{\"name\":\"a\",\"inputSchema\":{\"b\":2,\"a\":1}}", false},
        {"{\"name\":\"a\",\"annotations\":{\"readOnlyHint\":true}}",
         "{\"name\":\"a\",\"annotations\":{\"readOnlyHint\":false}}", false},
        {"{\"name\":\"a\",\"outputSchema\":{}}", "{\"name\":\"a\"}", false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint8_t a[SHA256_BYTES];
        uint8_t b[SHA256_BYTES];
        struct buf bytes;
        pin_hash(pack(&bytes, cases[i].a), a);
        buf_done(&bytes);
        pin_hash(pack(&bytes, cases[i].b), b);
        buf_done(&bytes);
        assert_int_equal(memcmp(a, b, SHA256_BYTES) == 0, cases[i].is_same);
    }
}

static void the_first_list_is_trusted_and_a_change_is_told_once(void **state)
{
    (void)state;
    start(SERVICE_PIN_WARN);
    list_as(A "," B);
    assert_string_equal(bench.news, "");
    pins_are(false, "[]");
    pins_are(true, "\"tool\":\"a\",\"state\":\"approved\",\"approved_at\":\"20");
    pins_are(true, "\"approved_by\":\"first use\",\"approved\":{\"name\":\"a\",");
    list_as(A2 "," B);
    assert_string_equal(bench.news, "s/a:description ");
    assert_string_equal(told.text, "a b "); /* it goes on */
    pins_are(false, "\"state\":\"changed\",\"approved_at\":\"20");
    pins_are(false,
             "\"differences\":[{\"member\":\"description\",\"approved\":\"one\",\"current\":"
             "\"two\"}],"
             "\"withheld\":false}]");
    bench.news[0] = '\0';
    list_as(A2 ",{'name':'c'}");
    assert_string_equal(bench.news, "s/c:new ");
    pins_are(true, "\"tool\":\"b\",\"state\":\"gone\"");
    list_as(A "," B ",{'name':'c'}"); /* as it was: nothing waits but the new one */
    list_as(A2 "," B);                /* told before */
    assert_string_equal(bench.news, "");
}

static void strict_pins_withhold_until_approval(void **state)
{
    (void)state;
    struct told called = {0};
    start(SERVICE_PIN_STRICT);
    list_as(A "," B);
    assert_string_equal(told.text, "a b ");
    list_as(A2 "," B ",{'name':'c'}");
    assert_string_equal(told.text, "b ");
    assert_string_equal(bench.news, "s/a:description s/c:new ");
    loop_advance(bench.loop, 10000 * MS); /* the list is old, but it is not asked for again */
    size_t sent = fake_at(&bench, 0)->count;
    call_with(&bench, &called, .tool = "a", .arguments = "{}");
    assert_told(called, ERR_POLICY_DENIED, "not as it was approved");
    assert_has(called.details, "\"rule\":\"pin\"");
    assert_has(called.suggestion, "`toolbroker approve s/a`");
    assert_int_equal(fake_at(&bench, 0)->count, sent);
    told_done(&called);
    struct buf status;
    char *text = as_json(put_status(service_named(&bench, "s"), &status));
    assert_has(text, "\"tools_withheld\":[\"a\",\"c\"]");
    mem_free(text);
    buf_done(&status);
    pins_are(false, "\"withheld\":true");
    bench.news[0] = '\0';
    assert_int_equal(approve("a"), 1);
    assert_int_equal(approve("a"), 0);
    assert_int_equal(approve("nothing"), 0);
    assert_string_equal(bench.news, "s:tools ");
    call_with(&bench, &called, .tool = "a", .arguments = "{}"); /* without another list */
    assert_has(last_sent(fake_at(&bench, 0)), "\"method\":\"tools/call\"");
    answer_last(fake_at(&bench, 0), "{'content':[]}");
    pins_are(true,
             "\"approved_by\":\"ana\",\"approved\":{\"name\":\"a\",\"description\":\"two\"");
    assert_int_equal(approve(""), 1);
    told_done(&told);
    list_tools(&bench, &told, "s");
    assert_string_equal(told.text, "a b c ");
    pins_are(false, "[]");
    told_done(&called);
}

/* A reload that changes nothing of the service leaves its sessions, and what they list counts. */
static void a_reload_in_between_hides_no_change(void **state)
{
    (void)state;
    start(SERVICE_PIN_STRICT);
    list_as(A "," B);
    struct service_conf *same = conf_new("s", "1");
    same->pin = SERVICE_PIN_STRICT;
    apply_one(&bench, same);
    list_as(A2 "," B);
    assert_int_equal(bench.fake_count, 1);
    assert_string_equal(told.text, "b ");
    assert_string_equal(bench.news, "s/a:description ");
    pins_are(false, "\"state\":\"changed\"");
    assert_int_equal(approve("a"), 1);
    told_done(&told);
    list_tools(&bench, &told, "s");
    assert_string_equal(told.text, "a b ");
}

/* What is too long to be shown can still be told from what comes after it. */
static void long_definitions_have_a_hash(void **state)
{
    enum { LEN = 300 * 1024 };
    (void)state;
    char *seen[2];
    char *text = mem_new(LEN + 1);
    char *tool = mem_new(LEN + 100);
    start(SERVICE_PIN_STRICT);
    list_as(A);
    for (int i = 0; i < 2; i++) {
        told_done(&told);
        memset(text, 'x' + i, LEN);
        (void)snprintf(tool, LEN + 100, "{'tools':[{'name':'a','description':'%s'}]}", text);
        say(fake_at(&bench, 0), CHANGED);
        list_tools(&bench, &told, "s");
        answer_last(fake_at(&bench, 0), tool);
        seen[i] = pins(false);
        assert_has(seen[i], "\"state\":\"changed\"");
        assert_true(strlen(seen[i]) < 1000);
    }
    assert_string_not_equal(seen[0], seen[1]);
    mem_free(seen[0]);
    mem_free(seen[1]);
    mem_free(tool);
    mem_free(text);
}

static void off_keeps_nothing(void **state)
{
    (void)state;
    start(SERVICE_PIN_OFF);
    list_as(A);
    list_as(A2);
    assert_string_equal(bench.news, "");
    pins_are(true, "[]");
}

static void odd_names_are_pinned_too(void **state)
{
    (void)state;
    start(SERVICE_PIN_WARN);
    list_as("{'name':'x\\u0000y'},{'name':'x'},{'name':'x','title':'second'}");
    list_as("{'name':'x'},{'name':'x\\u0000z'}");
    list_as("{'name':'x'}");
    pins_are(true, "\"tool\":\"x\\u0000y\",\"state\":\"gone\"");
    assert_int_equal(approve(""), 1);
}

static void a_changed_configuration_forgets_no_approval(void **state)
{
    (void)state;
    start(SERVICE_PIN_WARN);
    list_as(A "," B);
    apply_one(&bench, conf_new("s", "2"));
    told_done(&told);
    list_tools(&bench, &told, "s");
    shake_hands(fake_at(&bench, 1), "2025-11-25");
    answer_last(fake_at(&bench, 1), "{'tools':[" A2 "," B "]}");
    assert_string_equal(bench.news, "s/a:description ");
    pins_are(false, "\"approved\":\"one\",\"current\":\"two\"");
}

/* ---- over a restart ---------------------------------------------------------------------- */

static int make_folder(void **state)
{
    (void)state;
    (void)snprintf(folder, sizeof folder, "/tmp/toolbroker-pin-XXXXXX");
    assert_non_null(mkdtemp(folder));
    return 0;
}

/* Of the database: one that others can read is not used. */
static void set_mode(mode_t mode)
{
    char path[128];
    (void)snprintf(path, sizeof path, "%s/%s", folder, STORE_FILE);
    int fd = open(path, O_WRONLY | O_CREAT, mode);
    assert_true(fd >= 0);
    assert_int_equal(fchmod(fd, mode), 0);
    (void)close(fd);
}

static int drop_folder(void **state)
{
    (void)clear(state);
    static const char *const names[] = {STORE_FILE, STORE_FILE "-wal", STORE_FILE "-shm"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char path[128];
        (void)snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        (void)unlink(path);
    }
    assert_int_equal(rmdir(folder), 0);
    folder[0] = '\0';
    return 0;
}

static void approvals_outlive_the_daemon(void **state)
{
    (void)state;
    start(SERVICE_PIN_STRICT);
    list_as(A "," B);
    restart(SERVICE_PIN_STRICT);
    list_as(A2 "," B);
    assert_string_equal(told.text, "b ");
    assert_string_equal(bench.news, "s/a:description ");
    restart(SERVICE_PIN_STRICT);
    list_as(A2 "," B);
    assert_string_equal(told.text, "b ");
    assert_string_equal(bench.news, ""); /* told by the daemon before */
    pins_are(false, "\"approved\":\"one\",\"current\":\"two\"");
    assert_int_equal(approve("a"), 1);
    restart(SERVICE_PIN_STRICT);
    list_as(A2 "," B);
    assert_string_equal(told.text, "a b ");
}

static void what_cannot_be_read_is_not_approved_anew_where_pins_are_strict(void **state)
{
    (void)state;
    start(SERVICE_PIN_STRICT);
    list_as(A);
    (void)clear(NULL);
    set_mode(0644);
    start(SERVICE_PIN_STRICT);
    list_as(A2);
    assert_string_equal(told.text, "");
    set_mode(0600); /* it can be read at last */
    for (int i = 0; i < 500 && !bench.services->pins.is_read; i++) {
        loop_turn(bench.loop, 10000);
    }
    pins_are(false, "\"state\":\"changed\"");
    pins_are(false, "\"approved\":\"one\",\"current\":\"two\"");
    list_as(A);
    assert_string_equal(told.text, "a ");
}

static void serving_goes_on_without_a_store(void **state)
{
    (void)state;
    set_mode(0644);
    start(SERVICE_PIN_WARN);
    list_as(A);
    assert_string_equal(told.text, "a ");
    list_as(A2);
    assert_string_equal(bench.news, "s/a:description ");
}

static void eras_are_remembered_for_the_same_configuration(void **state)
{
    (void)state;
    start(SERVICE_PIN_WARN);
    service_named(&bench, "s")->known.era = KNOWN_LEGACY; /* as the handshake says */
    list_as(A);
    (void)clear(NULL);
    for (int other = 0; other < 2; other++) {
        bench_init_at(&bench, false, folder);
        struct service_conf *conf = conf_new("s", other ? "2" : "1");
        conf->definition = other ? SLICE("\x81\xa1x\x01") : conf->definition;
        apply_one(&bench, conf);
        struct mcp_service *service = service_named(&bench, "s");
        recall_want(bench.services);
        for (int i = 0; i < 500 && !bench.services->recall.is_over; i++) {
            loop_turn(bench.loop, 10000);
        }
        assert_int_equal(service->known.era, other ? KNOWN_NOTHING : KNOWN_LEGACY);
        (void)clear(NULL);
    }
}

int main(void)
{
#define LASTING(name) cmocka_unit_test_setup_teardown(name, make_folder, drop_folder)
    const struct CMUnitTest tests[] = {
        TEST(a_hash_is_of_what_is_read),
        TEST(the_first_list_is_trusted_and_a_change_is_told_once),
        TEST(strict_pins_withhold_until_approval),
        TEST(a_reload_in_between_hides_no_change),
        TEST(long_definitions_have_a_hash),
        TEST(off_keeps_nothing),
        TEST(odd_names_are_pinned_too),
        TEST(a_changed_configuration_forgets_no_approval),
        LASTING(approvals_outlive_the_daemon),
        LASTING(what_cannot_be_read_is_not_approved_anew_where_pins_are_strict),
        LASTING(serving_goes_on_without_a_store),
        LASTING(eras_are_remembered_for_the_same_configuration),
    };
    return cmocka_run_group_tests_name("pin", tests, NULL, NULL);
}
