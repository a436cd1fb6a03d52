/* SPDX-License-Identifier: MIT */
/* test_pin.c - tools are trusted at first sight; what differs later is told, kept and approved. */
#include "fake.h"

#include "mcp/pin.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define A       "{'name':'a','description':'one','inputSchema':{'type':'object'}}"
#define A2      "{'name':'a','description':'two','inputSchema':{'type':'object'}}"
#define B       "{'name':'b'}"

#define CHANGED "{'jsonrpc':'2.0','method':'notifications/tools/list_changed'}"

static void start(struct bench *bench, enum service_pin pin, const char *folder)
{
    bench_init_at(bench, false, folder);
    struct service_conf *conf = conf_new("s", "1");
    conf->pin = pin;
    apply_one(bench, conf);
}

/* Lists the tools: from the beginning the first time, with a change after that. Reading what was
 * kept takes a thread. */
static void list_as(struct bench *bench, struct told *told, const char *tools)
{
    char result[1024];
    (void)snprintf(result, sizeof result, "{'tools':[%s]}", tools);
    told_done(told);
    if (!bench->fake_count) {
        list_tools(bench, told, "s");
        shake_hands(fake_at(bench, 0), "2025-11-25");
    } else {
        say(fake_at(bench, 0), CHANGED);
        list_tools(bench, told, "s");
        bench->news[0] = '\0'; /* only tools are looked at here */
    }
    answer_last(fake_at(bench, 0), result);
    for (int i = 0; i < 500 && !told->done; i++) {
        loop_turn(bench->loop, 10000);
    }
    assert_int_equal(told->done, 1);
}

static char *pins(struct bench *bench, bool all)
{
    struct buf out;
    buf_init(&out, 1 << 20);
    mcp_pins_put(bench->services, (struct slice){NULL, 0}, all, &out);
    char *text = as_json(buf_slice(&out));
    buf_done(&out);
    return text;
}

static void pins_are(struct bench *bench, bool all, const char *part)
{
    char *text = pins(bench, all);
    assert_has(text, part);
    mem_free(text);
}

static size_t approve(struct bench *bench, const char *tool)
{
    return mcp_pin_approve(bench->services, SLICE("s"), slice_of(tool), SLICE("ana"));
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
    struct bench bench;
    struct told told = {0};
    start(&bench, SERVICE_PIN_WARN, NULL);
    list_as(&bench, &told, A "," B);
    assert_string_equal(bench.news, "");
    pins_are(&bench, false, "[]");
    pins_are(&bench, true, "\"tool\":\"a\",\"state\":\"approved\",\"approved_at\":\"20");
    pins_are(&bench, true, "\"approved_by\":\"first use\",\"approved\":{\"name\":\"a\",");
    list_as(&bench, &told, A2 "," B);
    assert_string_equal(bench.news, "s/a:description ");
    assert_string_equal(told.text, "a b "); /* it goes on */
    pins_are(&bench, false, "\"state\":\"changed\",\"approved_at\":\"20");
    pins_are(&bench, false,
             "\"differences\":[{\"member\":\"description\",\"approved\":\"one\",\"current\":"
             "\"two\"}],"
             "\"withheld\":false}]");
    bench.news[0] = '\0';
    list_as(&bench, &told, A2 ",{'name':'c'}");
    assert_string_equal(bench.news, "s/c:new ");
    pins_are(&bench, true, "\"tool\":\"b\",\"state\":\"gone\"");
    list_as(&bench, &told,
            A "," B ",{'name':'c'}"); /* as it was: nothing waits but the new one */
    list_as(&bench, &told, A2 "," B); /* told before */
    assert_string_equal(bench.news, "");
    told_done(&told);
    bench_done(&bench);
}

static void strict_pins_withhold_until_approval(void **state)
{
    (void)state;
    struct bench bench;
    struct told told = {0};
    struct told call = {0};
    start(&bench, SERVICE_PIN_STRICT, NULL);
    list_as(&bench, &told, A "," B);
    assert_string_equal(told.text, "a b ");
    list_as(&bench, &told, A2 "," B ",{'name':'c'}");
    assert_string_equal(told.text, "b ");
    assert_string_equal(bench.news, "s/a:description s/c:new ");
    loop_advance(bench.loop, 10000 * MS); /* the list is old, but it is not asked for again */
    size_t sent = fake_at(&bench, 0)->count;
    call_with(&bench, &call, .tool = "a", .arguments = "{}");
    assert_told(call, ERR_POLICY_DENIED, "not as it was approved");
    assert_has(call.details, "\"rule\":\"pin\"");
    assert_has(call.suggestion, "`toolbroker approve s/a`");
    assert_int_equal(fake_at(&bench, 0)->count, sent);
    told_done(&call);
    struct buf status;
    char *text = as_json(put_status(service_named(&bench, "s"), &status));
    assert_has(text, "\"tools_withheld\":[\"a\",\"c\"]");
    mem_free(text);
    buf_done(&status);
    pins_are(&bench, false, "\"withheld\":true");
    bench.news[0] = '\0';
    assert_int_equal(approve(&bench, "a"), 1);
    assert_int_equal(approve(&bench, "a"), 0);
    assert_int_equal(approve(&bench, "nothing"), 0);
    assert_string_equal(bench.news, "s:tools ");
    call_with(&bench, &call, .tool = "a", .arguments = "{}"); /* without another list */
    assert_has(last_sent(fake_at(&bench, 0)), "\"method\":\"tools/call\"");
    answer_last(fake_at(&bench, 0), "{'content':[]}");
    pins_are(&bench, true,
             "\"approved_by\":\"ana\",\"approved\":{\"name\":\"a\",\"description\":\"two\"");
    assert_int_equal(approve(&bench, ""), 1);
    told_done(&told);
    list_tools(&bench, &told, "s");
    assert_string_equal(told.text, "a b c ");
    pins_are(&bench, false, "[]");
    told_done(&told);
    told_done(&call);
    bench_done(&bench);
}

/* A reload that changes nothing of the service leaves its sessions, and what they list counts. */
static void a_reload_in_between_hides_no_change(void **state)
{
    (void)state;
    struct bench bench;
    struct told told = {0};
    start(&bench, SERVICE_PIN_STRICT, NULL);
    list_as(&bench, &told, A "," B);
    struct service_conf *same = conf_new("s", "1");
    same->pin = SERVICE_PIN_STRICT;
    apply_one(&bench, same);
    list_as(&bench, &told, A2 "," B);
    assert_int_equal(bench.fake_count, 1);
    assert_string_equal(told.text, "b ");
    assert_string_equal(bench.news, "s/a:description ");
    pins_are(&bench, false, "\"state\":\"changed\"");
    assert_int_equal(approve(&bench, "a"), 1);
    told_done(&told);
    list_tools(&bench, &told, "s");
    assert_string_equal(told.text, "a b ");
    told_done(&told);
    bench_done(&bench);
}

/* What is too long to be shown can still be told from what comes after it. */
static void long_definitions_have_a_hash(void **state)
{
    enum { LEN = 300 * 1024 };
    (void)state;
    struct bench bench;
    struct told told = {0};
    char *seen[2];
    char *text = mem_new(LEN + 1);
    char *tool = mem_new(LEN + 100);
    start(&bench, SERVICE_PIN_STRICT, NULL);
    list_as(&bench, &told, A);
    for (int i = 0; i < 2; i++) {
        told_done(&told);
        memset(text, 'x' + i, LEN);
        (void)snprintf(tool, LEN + 100, "{'tools':[{'name':'a','description':'%s'}]}", text);
        say(fake_at(&bench, 0), CHANGED);
        list_tools(&bench, &told, "s");
        answer_last(fake_at(&bench, 0), tool);
        seen[i] = pins(&bench, false);
        assert_has(seen[i], "\"state\":\"changed\"");
        assert_true(strlen(seen[i]) < 1000);
    }
    assert_string_not_equal(seen[0], seen[1]);
    mem_free(seen[0]);
    mem_free(seen[1]);
    mem_free(tool);
    mem_free(text);
    told_done(&told);
    bench_done(&bench);
}

static void off_keeps_nothing(void **state)
{
    (void)state;
    struct bench bench;
    struct told told = {0};
    start(&bench, SERVICE_PIN_OFF, NULL);
    list_as(&bench, &told, A);
    list_as(&bench, &told, A2);
    assert_string_equal(bench.news, "");
    pins_are(&bench, true, "[]");
    told_done(&told);
    bench_done(&bench);
}

static void odd_names_are_pinned_too(void **state)
{
    (void)state;
    struct bench bench;
    struct told told = {0};
    start(&bench, SERVICE_PIN_WARN, NULL);
    list_as(&bench, &told, "{'name':'x\\u0000y'},{'name':'x'},{'name':'x','title':'second'}");
    list_as(&bench, &told, "{'name':'x'},{'name':'x\\u0000z'}");
    list_as(&bench, &told, "{'name':'x'}");
    pins_are(&bench, true, "\"tool\":\"x\\u0000y\",\"state\":\"gone\"");
    assert_int_equal(approve(&bench, ""), 1);
    told_done(&told);
    bench_done(&bench);
}

static void a_changed_configuration_forgets_no_approval(void **state)
{
    (void)state;
    struct bench bench;
    struct told told = {0};
    start(&bench, SERVICE_PIN_WARN, NULL);
    list_as(&bench, &told, A "," B);
    apply_one(&bench, conf_new("s", "2"));
    told_done(&told);
    list_tools(&bench, &told, "s");
    shake_hands(fake_at(&bench, 1), "2025-11-25");
    answer_last(fake_at(&bench, 1), "{'tools':[" A2 "," B "]}");
    assert_string_equal(bench.news, "s/a:description ");
    pins_are(&bench, false, "\"approved\":\"one\",\"current\":\"two\"");
    told_done(&told);
    bench_done(&bench);
}

/* ---- over a restart ---------------------------------------------------------------------- */

static void make_folder(char folder[64])
{
    (void)snprintf(folder, 64, "/tmp/toolbroker-pin-XXXXXX");
    assert_non_null(mkdtemp(folder));
}

/* Of the database: one that others can read is not used. */
static void set_mode(const char *folder, mode_t mode)
{
    char path[128];
    (void)snprintf(path, sizeof path, "%s/%s", folder, STORE_FILE);
    int fd = open(path, O_WRONLY | O_CREAT, mode);
    assert_true(fd >= 0);
    assert_int_equal(fchmod(fd, mode), 0);
    (void)close(fd);
}

static void drop_folder(const char *folder)
{
    static const char *const names[] = {STORE_FILE, STORE_FILE "-wal", STORE_FILE "-shm"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char path[128];
        (void)snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        (void)unlink(path);
    }
    assert_int_equal(rmdir(folder), 0);
}

static void approvals_outlive_the_daemon(void **state)
{
    (void)state;
    char folder[64];
    struct bench bench;
    struct told told = {0};
    make_folder(folder);
    start(&bench, SERVICE_PIN_STRICT, folder);
    list_as(&bench, &told, A "," B);
    told_done(&told);
    bench_done(&bench);
    start(&bench, SERVICE_PIN_STRICT, folder);
    list_as(&bench, &told, A2 "," B);
    assert_string_equal(told.text, "b ");
    assert_string_equal(bench.news, "s/a:description ");
    told_done(&told);
    bench_done(&bench);
    start(&bench, SERVICE_PIN_STRICT, folder);
    list_as(&bench, &told, A2 "," B);
    assert_string_equal(told.text, "b ");
    assert_string_equal(bench.news, ""); /* told by the daemon before */
    pins_are(&bench, false, "\"approved\":\"one\",\"current\":\"two\"");
    assert_int_equal(approve(&bench, "a"), 1);
    told_done(&told);
    bench_done(&bench);
    start(&bench, SERVICE_PIN_STRICT, folder);
    list_as(&bench, &told, A2 "," B);
    assert_string_equal(told.text, "a b ");
    told_done(&told);
    bench_done(&bench);
    drop_folder(folder);
}

static void what_cannot_be_read_is_not_approved_anew_where_pins_are_strict(void **state)
{
    (void)state;
    char folder[64];
    struct bench bench;
    struct told told = {0};
    make_folder(folder);
    start(&bench, SERVICE_PIN_STRICT, folder);
    list_as(&bench, &told, A);
    told_done(&told);
    bench_done(&bench);
    set_mode(folder, 0644);
    start(&bench, SERVICE_PIN_STRICT, folder);
    list_as(&bench, &told, A2);
    assert_string_equal(told.text, "");
    set_mode(folder, 0600); /* it can be read at last */
    for (int i = 0; i < 500 && !bench.services->pins.is_read; i++) {
        loop_turn(bench.loop, 10000);
    }
    pins_are(&bench, false, "\"state\":\"changed\"");
    pins_are(&bench, false, "\"approved\":\"one\",\"current\":\"two\"");
    list_as(&bench, &told, A);
    assert_string_equal(told.text, "a ");
    told_done(&told);
    bench_done(&bench);
    drop_folder(folder);
}

static void serving_goes_on_without_a_store(void **state)
{
    (void)state;
    char folder[64];
    struct bench bench;
    struct told told = {0};
    make_folder(folder);
    set_mode(folder, 0644);
    start(&bench, SERVICE_PIN_WARN, folder);
    list_as(&bench, &told, A);
    assert_string_equal(told.text, "a ");
    list_as(&bench, &told, A2);
    assert_string_equal(bench.news, "s/a:description ");
    told_done(&told);
    bench_done(&bench);
    drop_folder(folder);
}

static void eras_are_remembered_for_the_same_configuration(void **state)
{
    (void)state;
    char folder[64];
    struct bench bench;
    struct told told = {0};
    make_folder(folder);
    start(&bench, SERVICE_PIN_WARN, folder);
    service_named(&bench, "s")->known.era = KNOWN_LEGACY; /* as the handshake says */
    list_as(&bench, &told, A);
    told_done(&told);
    bench_done(&bench);
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
        bench_done(&bench);
    }
    drop_folder(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_hash_is_of_what_is_read),
        cmocka_unit_test(the_first_list_is_trusted_and_a_change_is_told_once),
        cmocka_unit_test(strict_pins_withhold_until_approval),
        cmocka_unit_test(a_reload_in_between_hides_no_change),
        cmocka_unit_test(long_definitions_have_a_hash),
        cmocka_unit_test(off_keeps_nothing),
        cmocka_unit_test(odd_names_are_pinned_too),
        cmocka_unit_test(a_changed_configuration_forgets_no_approval),
        cmocka_unit_test(approvals_outlive_the_daemon),
        cmocka_unit_test(what_cannot_be_read_is_not_approved_anew_where_pins_are_strict),
        cmocka_unit_test(serving_goes_on_without_a_store),
        cmocka_unit_test(eras_are_remembered_for_the_same_configuration),
    };
    return cmocka_run_group_tests_name("pin", tests, NULL, NULL);
}
