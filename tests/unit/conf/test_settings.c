/* SPDX-License-Identifier: MIT */
/* test_settings.c - toolbroker.lua: defaults, every kind of fault with its line, and reload. */
#include "conf/settings.h"

#include "base/err.h"
#include "value/pack.h"

#include "folder.h"

static const char *fault_of(const char *text)
{
    static char printed[16384];
    folder_write("toolbroker.lua", text);
    struct faults faults;
    faults_init(&faults);
    struct settings *settings = NULL;
    assert_int_equal(settings_load(folder_path(), &settings, &faults), -ERR_VALIDATION_ERROR);
    assert_null(settings);
    folder_print(&faults, printed, sizeof printed);
    faults_done(&faults);
    return printed;
}

static struct settings *load(const char *text)
{
    struct faults faults;
    faults_init(&faults);
    struct settings *settings = NULL;
    if (text) {
        folder_write("toolbroker.lua", text);
    }
    int result = settings_load(folder_path(), &settings, &faults);
    if (result != 0) {
        char printed[4096];
        folder_print(&faults, printed, sizeof printed);
        fail_msg("%s", printed);
    }
    faults_done(&faults);
    return settings;
}

static void no_file_means_defaults(void **state)
{
    (void)state;
    struct settings *settings = load(NULL);
    assert_null(settings->socket);
    assert_string_equal(settings->log_level, "info");
    assert_int_equal(settings->inflight, 256);
    settings_free(settings);
    struct faults faults;
    faults_init(&faults);
    assert_int_equal(settings_load(NULL, &settings, &faults), 0);
    assert_int_equal(settings->drain_ms, 10000);
    settings_free(settings);
    settings_free(NULL);
}

static void a_file_changes_what_it_names(void **state)
{
    (void)state;
    struct settings *settings = load("local k = 1024\n"
                                     "return { socket = '/tmp/x.sock', drain_ms = 5.0,\n"
                                     "  log = { level = 'debug' },\n"
                                     "  limits = { frame_bytes = 64 * k } }\n");
    assert_string_equal(settings->socket, "/tmp/x.sock");
    assert_int_equal(settings->drain_ms, 5);
    assert_string_equal(settings->log_level, "debug");
    assert_string_equal(settings->log_format, "text");
    assert_int_equal(settings->frame_bytes, 65536);
    settings_free(settings);
    settings_free(load("return {}"));
}

static void every_fault_is_listed_with_its_line(void **state)
{
    (void)state;
    assert_string_equal(
        fault_of("return {\n"
                 "  drain_ms = -1,\n"
                 "  limits = {\n"
                 "    inflight = \"many\",\n"
                 "    calls = 1.5,\n"
                 "    inflght = 3,\n"
                 "  },\n"
                 "  log = { level = \"loud\",\n"
                 "          format = 3 },\n"
                 "  socket = \"relative\",\n"
                 "  servces = {},\n"
                 "}\n"),
        "2: drain_ms must be an integer from 0 to 600000, not the number -1\n"
        "4: limits.inflight must be an integer from 1 to 65536, not the string \"many\"\n"
        "5: limits.calls must be an integer from 1 to 1000000, not the number 1.5\n"
        "6: unknown key `limits.inflght`, did you mean `inflight`?\n"
        "8: log.level must be one of \"debug\", \"info\", \"warn\", \"error\", not the string "
        "\"loud\"\n"
        "9: log.format must be one of \"text\", \"json\", not the number 3\n"
        "10: socket must be an absolute path, not \"relative\"\n"
        "11: unknown key `servces`\n");
}

static void groups_must_be_tables(void **state)
{
    (void)state;
    assert_string_equal(fault_of("return { limits = 3,\n log = {1} }"),
                        "1: limits must be a table of settings, not a number\n"
                        "2: log must be a table of settings, not a list\n");
    assert_string_equal(fault_of("return { socket = '' }"), "1: socket must not be empty\n");
    assert_non_null(strstr(fault_of("return { socket = '/' .. ('x'):rep(200) }"),
                           "1: socket must be a path of at most 107 bytes"));
}

static void keys_of_later_versions_say_so(void **state)
{
    (void)state;
    assert_string_equal(fault_of("return {\n http = { listen = 'x' },\n alerts = {},\n"
                                 " keys = {} }"),
                        "2: `http` is not supported by this version yet: take it out\n"
                        "3: `alerts` is not supported by this version yet: take it out\n"
                        "4: `keys` is not supported by this version yet: take it out\n");
}

static void limits_of_agents_and_peers(void **state)
{
    (void)state;
    struct settings *settings = load(NULL);
    assert_int_equal(settings->agent_calls, 0);
    assert_int_equal(settings->peer_calls, 0);
    assert_null(settings->agent_rate);
    assert_null(settings->peer_rate);
    settings_free(settings);
    settings = load("return { limits = { agent_calls = 1000000, peer_calls = 3,\n"
                    "  agent_rate = '600/min', peer_rate = '10/s burst 50' } }");
    assert_int_equal(settings->agent_calls, 1000000);
    assert_int_equal(settings->peer_calls, 3);
    assert_string_equal(settings->agent_rate, "600/min");
    assert_string_equal(settings->peer_rate, "10/s burst 50");
    struct buf out;
    struct slice text;
    buf_init(&out, 65536);
    settings_put(settings, &out);
    assert_true(pack_get_text(buf_slice(&out), "limits.peer_rate", &text) &&
                slice_is(text, "10/s burst 50"));
    buf_done(&out);
    settings_free(settings);
    settings = load("return { limits = { agent_rate = '0' } }");
    assert_string_equal(settings->agent_rate, "0");
    settings_free(settings);
    assert_string_equal(
        fault_of("return { limits = {\n agent_calls = -1,\n peer_calls = 1000001,\n"
                 " agent_rate = 600,\n peer_rate = 'fast' } }"),
        "2: limits.agent_calls must be an integer from 0 to 1000000, not the number -1\n"
        "3: limits.peer_calls must be an integer from 0 to 1000000, not the number 1000001\n"
        "4: limits.agent_rate must be a rate such as \"10/s\", \"100/min\", \"5000/h\" or "
        "\"1000/day\", with \" burst N\" behind it if wanted, not the number 600\n"
        "5: limits.peer_rate must be a rate such as \"10/s\", \"100/min\", \"5000/h\" or "
        "\"1000/day\", with \" burst N\" behind it if wanted, not the string \"fast\"\n");
}

static void records_of_calls_are_bounded(void **state)
{
    (void)state;
    struct settings *settings = load(NULL);
    assert_int_equal(settings->activity_days, 30);
    assert_int_equal(settings->activity_rows, 1000000);
    assert_int_equal(settings->database_bytes, INT64_C(4294967296));
    settings_free(settings);
    settings = load("return { store = { activity_days = 0, activity_rows = 1 } }");
    assert_int_equal(settings->activity_days, 0);
    assert_int_equal(settings->activity_rows, 1);
    settings_free(settings);
    assert_string_equal(
        fault_of("return { store = { activity_days = 3651,\n activity_rows = 0,\n"
                 " activity_row = 1 } }"),
        "1: store.activity_days must be an integer from 0 to 3650, not the number 3651\n"
        "2: store.activity_rows must be an integer from 1 to 1000000000, not the number 0\n"
        "3: unknown key `store.activity_row`, did you mean `activity_rows`?\n");
    assert_string_equal(fault_of("return { store = 1 }"),
                        "1: store must be a table of settings, not a number\n");
}

static void chunks_that_do_not_work(void **state)
{
    (void)state;
    assert_non_null(strstr(fault_of("return {\n  a = \n}"), "3: unexpected symbol near"));
    assert_non_null(strstr(fault_of("\nerror('no')"), "2: no"));
    assert_non_null(strstr(fault_of("\nlocal x = nil\nreturn { drain_ms = x.y }"), "3: "));
    assert_string_equal(fault_of("return 3"), "0: must return one table, not number\n");
    assert_string_equal(fault_of("local a = {}"), "0: must return one table, not nothing\n");
    assert_string_equal(fault_of("return {}, {}"),
                        "0: must return one table, not several values\n");
    assert_string_equal(fault_of("return { 1 }"),
                        "0: the whole must be a table of names and values, not a list\n");
    assert_non_null(strstr(fault_of("return { drain_ms = 1,\n socket = type }"), "2: "));
    assert_non_null(strstr(fault_of("return { drain_ms = 1,\n limits = { calls = type } }"),
                           "2: the table cannot be used: a function at limits.calls"));
    assert_non_null(strstr(fault_of("while true do end"), "1: "));
    assert_string_equal(fault_of("os.exit(1)"), "1: undefined variable `os`\n");
    assert_string_equal(fault_of("local delay = 5\nreturn { drain_ms = dealy }"),
                        "2: undefined variable `dealy`\n");
    assert_non_null(strstr(fault_of("\x1bLua"), "0: "));
}

static void files_that_others_can_write_are_refused(void **state)
{
    (void)state;
    folder_write("toolbroker.lua", "return {}");
    folder_mode("toolbroker.lua", 0664);
    struct faults faults;
    faults_init(&faults);
    struct settings *settings = NULL;
    assert_int_equal(settings_load(folder_path(), &settings, &faults), -ERR_VALIDATION_ERROR);
    assert_non_null(strstr(faults.list[0].text, "the file has mode 0664"));
    faults_done(&faults);
    folder_mode("toolbroker.lua", 0644);
    folder_mode(".", 0777);
    assert_int_equal(settings_load(folder_path(), &settings, &faults), -ERR_VALIDATION_ERROR);
    assert_non_null(strstr(faults.list[0].text, " has mode 0777"));
    faults_done(&faults);
    folder_mode(".", 0700);
}

static void settings_are_shown_by_path(void **state)
{
    (void)state;
    struct settings *settings = load("return { limits = { calls = 7 } }");
    struct buf out;
    buf_init(&out, 65536);
    settings_put(settings, &out);
    int64_t calls = 0;
    struct slice text;
    assert_true(pack_get_int(buf_slice(&out), "limits.calls", &calls));
    assert_int_equal(calls, 7);
    assert_true(pack_get_text(buf_slice(&out), "log.level", &text) && slice_is(text, "info"));
    assert_true(pack_get(buf_slice(&out), "socket", &text));
    assert_int_equal(pack_peek(pack_over(text)), PACK_NIL);
    struct pack whole = pack_over(buf_slice(&out));
    assert_true(pack_skip(&whole) && whole.at == whole.end);
    buf_done(&out);
    settings_free(settings);
}

static void only_what_needs_a_restart_is_named(void **state)
{
    (void)state;
    struct settings *now = load("return {}");
    struct settings *next =
        load("return { socket = '/x', drain_ms = 1, store = { activity_days = 1 },\n"
             "  limits = { message_bytes = 5000, agent_rate = '1/s', peer_calls = 2 } }");
    struct buf out;
    buf_init(&out, 4096);
    assert_int_equal(settings_put_restart_needed(now, next, &out), 2);
    struct pack cursor = pack_over(buf_slice(&out));
    struct pack_item item;
    struct slice name;
    assert_true(pack_next(&cursor, &item) && item.type == PACK_ARRAY && item.count == 2);
    assert_true(pack_next_text(&cursor, &name) && slice_is(name, "socket"));
    assert_true(pack_next_text(&cursor, &name) && slice_is(name, "limits.message_bytes"));
    buf_clear(&out);
    assert_int_equal(settings_put_restart_needed(next, next, &out), 0);
    buf_done(&out);
    settings_free(now);
    settings_free(next);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        folder_test(no_file_means_defaults),
        folder_test(a_file_changes_what_it_names),
        folder_test(every_fault_is_listed_with_its_line),
        folder_test(groups_must_be_tables),
        folder_test(keys_of_later_versions_say_so),
        folder_test(limits_of_agents_and_peers),
        folder_test(records_of_calls_are_bounded),
        folder_test(chunks_that_do_not_work),
        folder_test(files_that_others_can_write_are_refused),
        folder_test(settings_are_shown_by_path),
        folder_test(only_what_needs_a_restart_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
