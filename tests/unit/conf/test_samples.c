/* SPDX-License-Identifier: MIT */
/* test_samples.c - the sample configuration of etc/ is right, and says what holds without it. */
#include "conf/service_conf.h"
#include "conf/settings.h"

#include "folder.h"

/* tests/unit/conf/ of the sources, by where this file was compiled. */
static void copy(const char *sample, const char *name)
{
    static char text[65536];
    char path[1024];
    const char *slash = strrchr(__FILE__, '/');
    assert_non_null(slash);
    (void)snprintf(path, sizeof path, "%.*s/../../../etc/%s", (int)(slash - __FILE__), __FILE__,
                   sample);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    size_t length = fread(text, 1, sizeof text - 1, file);
    assert_int_equal(fclose(file), 0);
    text[length] = '\0';
    folder_write(name, text);
}

static void assert_no_faults(struct faults *faults)
{
    char printed[8192];
    folder_print(faults, printed, sizeof printed);
    assert_string_equal(printed, "");
    faults_done(faults);
}

static void settings_say_the_defaults(void **state)
{
    (void)state;
    struct faults faults;
    struct settings *sample = NULL;
    struct settings *defaults = NULL;
    struct buf first;
    struct buf second;
    faults_init(&faults);
    copy("toolbroker.lua", "toolbroker.lua");
    (void)settings_load(folder_path(), &sample, &faults);
    (void)settings_load(NULL, &defaults, &faults);
    assert_no_faults(&faults);
    buf_init(&first, 65536);
    buf_init(&second, 65536);
    settings_put(sample, &first);
    settings_put(defaults, &second);
    assert_true(slice_equal(buf_slice(&first), buf_slice(&second)));
    buf_done(&first);
    buf_done(&second);
    settings_free(sample);
    settings_free(defaults);
}

/* Takes the dashes before each key and value, and gives how many there were. */
static unsigned take_out_dashes(const char *name)
{
    static const char mark[] = "-- ";
    static char text[65536];
    unsigned count = 0;
    char path[256];
    copy(name, name);
    folder_file(name, path);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    size_t length = fread(text, 1, sizeof text - 1, file);
    assert_int_equal(fclose(file), 0);
    text[length] = '\0';
    for (char *at = strstr(text, mark); at; at = strstr(at + 1, mark)) {
        if (at > text && at[-1] == ' ' && strchr(at, '=') &&
            strcspn(at, "=") < strcspn(at, "\n")) {
            memcpy(at, "   ", 3);
            count++;
        }
    }
    folder_write(name, text);
    return count;
}

/* Each line that is commented out is a setting too, with its default. */
static void commented_settings_are_right(void **state)
{
    (void)state;
    struct faults faults;
    struct settings *settings = NULL;
    assert_true(take_out_dashes("toolbroker.lua") > 10);
    faults_init(&faults);
    (void)settings_load(folder_path(), &settings, &faults);
    assert_no_faults(&faults);
    assert_non_null(settings->socket);
    struct settings *defaults = NULL;
    assert_int_equal(settings_load(NULL, &defaults, &faults), 0);
    assert_int_equal(settings->inflight, defaults->inflight);
    assert_int_equal(settings->calls, defaults->calls);
    assert_int_equal(settings->connections, defaults->connections);
    assert_int_equal(settings->agent_calls, defaults->agent_calls);
    assert_int_equal(settings->peer_calls, defaults->peer_calls);
    assert_string_equal(settings->agent_rate, "0"); /* which is no limit, as none is */
    assert_string_equal(settings->peer_rate, "0");
    assert_int_equal(settings->activity_days, defaults->activity_days);
    assert_int_equal(settings->activity_rows, defaults->activity_rows);
    assert_int_equal(settings->drain_ms, defaults->drain_ms);
    assert_string_equal(settings->log_level, defaults->log_level);
    assert_string_equal(settings->locale, defaults->locale);
    settings_free(settings);
    settings_free(defaults);
}

/* Likewise, but for the overrides of tools and the rate, for which there are no defaults. */
static void commented_keys_of_services_are_right(void **state)
{
    (void)state;
    struct faults faults;
    struct service_set builtin = {0};
    struct service_set sample = {0};
    faults_init(&faults);
    (void)service_set_load(NULL, &builtin, &faults);
    assert_int_equal(take_out_dashes("services.lua"), 6);
    (void)service_set_load(folder_path(), &sample, &faults);
    assert_no_faults(&faults);
    for (size_t i = 0; i < sample.count; i++) {
        struct service_conf *shown = sample.list[i];
        struct service_conf *own = builtin.list[i];
        assert_int_equal(shown->tool_retry_count, 1);
        assert_true(shown->tool_retries[0].is_idempotent);
        assert_int_equal(shown->rate.count, 100);
        assert_int_equal(shown->concurrency, own->concurrency);
        assert_int_equal(shown->queue, own->queue);
        assert_int_equal(shown->health_interval_s, own->health_interval_s);
        assert_int_equal(shown->is_critical, own->is_critical);
        assert_memory_equal(&shown->retry, &own->retry, sizeof shown->retry);
        assert_memory_equal(&shown->breaker, &own->breaker, sizeof shown->breaker);
        assert_memory_equal(&shown->quarantine, &own->quarantine, sizeof shown->quarantine);
    }
    service_set_done(&builtin);
    service_set_done(&sample);
}

static void services_are_the_built_in_ones(void **state)
{
    (void)state;
    struct faults faults;
    struct service_set builtin = {0};
    struct service_set sample = {0};
    faults_init(&faults);
    (void)service_set_load(NULL, &builtin, &faults);
    copy("services.lua", "services.lua");
    (void)service_set_load(folder_path(), &sample, &faults);
    assert_no_faults(&faults);
    assert_int_equal(sample.count, 7);
    assert_int_equal(builtin.count, 7);
    for (size_t i = 0; i < sample.count; i++) {
        assert_true(service_conf_equal(sample.list[i], builtin.list[i]));
        assert_int_equal(sample.list[i]->line, builtin.list[i]->line);
    }
    service_set_done(&builtin);
    service_set_done(&sample);
}

static void the_mcp_json_works(void **state)
{
    (void)state;
    struct faults faults;
    struct service_set set = {0};
    faults_init(&faults);
    copy("mcp.json.example", "mcp.json");
    (void)service_set_load(folder_path(), &set, &faults);
    assert_no_faults(&faults);
    assert_int_equal(set.count, 2);
    service_set_done(&set);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        folder_test(settings_say_the_defaults),
        folder_test(commented_settings_are_right),
        folder_test(commented_keys_of_services_are_right),
        folder_test(services_are_the_built_in_ones),
        folder_test(the_mcp_json_works),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
