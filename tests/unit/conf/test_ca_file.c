/* SPDX-License-Identifier: MIT */
/* test_ca_file.c - certificates that a service names: read with it, and why not. */
#include "conf/service_conf.h"

#include "base/err.h"

#include "folder.h"

#define PEM "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"

static struct service_conf *load(const char *path)
{
    struct faults faults;
    struct service_set set = {0};
    char text[512];
    faults_init(&faults);
    (void)snprintf(text, sizeof text,
                   "return { s = { url = 'https://a.example/mcp', ca_file = '%s' } }", path);
    folder_write("services.lua", text);
    int result = service_set_load(folder_path(), &set, &faults);
    if (result != 0) {
        char printed[4096];
        folder_print(&faults, printed, sizeof printed);
        fail_msg("%s", printed);
    }
    assert_int_equal(set.count, 1);
    struct service_conf *conf = service_conf_ref(set.list[0]);
    service_set_done(&set);
    faults_done(&faults);
    return conf;
}

static struct service_conf *load_beside(const char *name)
{
    char path[256];
    folder_file(name, path);
    return load(path);
}

static void expect_flaw(struct service_conf *conf, const char *words)
{
    assert_null(conf->ca_pem.ptr);
    assert_non_null(conf->ca_fault);
    if (!strstr(conf->ca_fault, words)) {
        fail_msg("%s", conf->ca_fault);
    }
    (void)service_conf_unref(conf);
}

static void certificates_are_read_with_the_service(void **state)
{
    char path[256];
    (void)state;
    folder_write("ca.pem", "# ours\n" PEM);
    folder_file("ca.pem", path);
    struct service_conf *conf = load_beside("ca.pem");
    assert_string_equal(conf->ca_file, path);
    assert_null(conf->ca_fault);
    assert_true(slice_is(conf->ca_pem, "# ours\n" PEM));
    struct service_conf *again = load_beside("ca.pem");
    assert_true(service_conf_equal(conf, again));
    (void)service_conf_unref(again);
    folder_write("ca.pem", PEM);
    again = load_beside("ca.pem");
    assert_false(service_conf_equal(conf, again)); /* the file is another, at the same place */
    (void)service_conf_unref(conf);
    (void)service_conf_unref(again);
}

/* The configuration stands without the file: the service says what is wrong when it is used. */
static void a_file_that_cannot_be_used(void **state)
{
    char path[256];
    (void)state;
    struct service_conf *missing = load_beside("none.pem");
    folder_write("none.pem", PEM);
    struct service_conf *there = load_beside("none.pem");
    assert_false(service_conf_equal(missing, there));
    (void)service_conf_unref(there);
    expect_flaw(missing, "No such file");
    folder_write("rubbish.pem", "rubbish");
    expect_flaw(load_beside("rubbish.pem"), "no certificate in PEM form");
    folder_write("empty.pem", "");
    expect_flaw(load_beside("empty.pem"), "no certificate in PEM form");
    folder_write("open.pem", PEM);
    folder_mode("open.pem", 0666);
    expect_flaw(load_beside("open.pem"), "others than its owner can write it");
    expect_flaw(load(folder_path()), "no regular file");
    folder_file("long.pem", path);
    folder_write("long.pem", PEM);
    assert_int_equal(truncate(path, 600000), 0);
    expect_flaw(load_beside("long.pem"), "longer than 128 KiB");
    char many[17 * sizeof PEM] = "";
    for (unsigned i = 0; i < 17; i++) {
        memcpy(many + i * strlen(PEM), PEM, sizeof PEM);
    }
    folder_write("many.pem", many);
    expect_flaw(load_beside("many.pem"), "more than 16 certificates");
    folder_file("fifo.pem", path);
    assert_int_equal(mkfifo(path, 0600), 0);
    expect_flaw(load_beside("fifo.pem"), "no regular file");
}

static void expect_fault(const char *line, const char *words)
{
    struct faults faults;
    struct service_set set = {0};
    char text[512], printed[4096];
    (void)snprintf(text, sizeof text, "return { s = { %s } }", line);
    folder_write("services.lua", text);
    faults_init(&faults);
    assert_int_equal(service_set_load(folder_path(), &set, &faults), -ERR_VALIDATION_ERROR);
    folder_print(&faults, printed, sizeof printed);
    if (!strstr(printed, words)) {
        fail_msg("%s", printed);
    }
    faults_done(&faults);
}

static void what_is_no_path(void **state)
{
    (void)state;
    expect_fault("url = 'https://a.example/', ca_file = 'ca.pem'", "must be an absolute path");
    expect_fault("url = 'https://a.example/', ca_file = ''", "ca_file");
    expect_fault("url = 'https://a.example/', ca_file = 1", "ca_file");
    expect_fault("url = 'https://a.example/', ca_file = '/a\\0b'", "ca_file");
    expect_fault("command = 'x', ca_file = '/x'", "does not go with transport stdio");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        folder_test(certificates_are_read_with_the_service),
        folder_test(a_file_that_cannot_be_used),
        folder_test(what_is_no_path),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
