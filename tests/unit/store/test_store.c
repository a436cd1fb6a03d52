/* SPDX-License-Identifier: MIT */
/* test_store.c - what is kept comes back: over restarts, kills, and files that cannot be used. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/log.h"
#include "base/mem.h"
#include "loop/loop.h"
#include "store/store.h"
#include "value/json.h"
#include "value/pack.h"

#include <fcntl.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

struct bench {
    char folder[64], path[128];
    struct loop *loop;
    struct store *store;
    struct store_load load;
    unsigned loads, failures;
    char pins[4096], eras[512], failure[512];
};

static void note_pin(struct bench *bench, const struct store_pin *pin)
{
    size_t at = strlen(bench->pins);
    char hash[SHA256_TEXT] = "-";
    char seen[SHA256_TEXT] = "-";
    struct buf definition;
    buf_init(&definition, 1 << 20);
    if (pin->definition.len) {
        assert_int_equal(json_from_pack(pin->definition, "d", &definition, NULL), 0);
    }
    if (pin->hash) {
        sha256_text(pin->hash, hash);
    }
    if (pin->seen_hash) {
        sha256_text(pin->seen_hash, seen);
    }
    (void)snprintf(
        bench->pins + at, sizeof bench->pins - at, "%.*s/%.*s %.4s %s %lld %.*s %.4s %d;",
        SLICE_ARG(pin->service), SLICE_ARG(pin->tool), hash, buf_text(&definition),
        (long long)pin->approved_at, SLICE_ARG(pin->approved_by), seen, pin->is_gone);
    buf_done(&definition);
}

static void loaded(void *arg, const struct store_image *image, const struct err *err)
{
    struct bench *bench = arg;
    bench->loads++;
    bench->pins[0] = bench->eras[0] = bench->failure[0] = '\0';
    if (!image) {
        bench->failures++;
        (void)snprintf(bench->failure, sizeof bench->failure, "%s", err->text);
        return;
    }
    assert_null(err);
    for (size_t i = 0; i < image->pin_count && i < 20; i++) {
        note_pin(bench, &image->pins[i]);
    }
    for (size_t i = 0; i < image->era_count; i++) {
        size_t at = strlen(bench->eras);
        (void)snprintf(bench->eras + at, sizeof bench->eras - at, "%.*s:%d%d ",
                       SLICE_ARG(image->eras[i].service), image->eras[i].is_modern,
                       image->eras[i].is_sse);
    }
}

static void open_store(struct bench *bench)
{
    bench->store = store_new(
        &(struct store_options){.loop = bench->loop, .folder = bench->folder, .retry_ms = 20});
}

static void await_loads(struct bench *bench, unsigned count)
{
    for (int i = 0; i < 1000 && bench->loads < count; i++) {
        loop_turn(bench->loop, 10000);
    }
    assert_true(bench->loads >= count);
}

static void load(struct bench *bench)
{
    unsigned before = bench->loads;
    bench->load = (struct store_load){.loaded = loaded, .arg = bench};
    store_load(bench->store, &bench->load);
    await_loads(bench, before + 1);
}

static void reopen(struct bench *bench)
{
    store_free(bench->store);
    open_store(bench);
    load(bench);
}

static int setup(void **state)
{
    struct bench *bench = mem_new(sizeof *bench);
    (void)snprintf(bench->folder, sizeof bench->folder, "/tmp/toolbroker-store-XXXXXX");
    assert_non_null(mkdtemp(bench->folder));
    (void)snprintf(bench->path, sizeof bench->path, "%s/%s", bench->folder, STORE_FILE);
    bench->loop = loop_new();
    open_store(bench);
    *state = bench;
    return 0;
}

static int teardown(void **state)
{
    struct bench *bench = *state;
    static const char *const files[] = {"", "-wal", "-shm", "-journal"};
    store_free(bench->store);
    loop_free(bench->loop);
    (void)chmod(bench->folder, 0700);
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        char path[160];
        (void)snprintf(path, sizeof path, "%s%s", bench->path, files[i]);
        (void)unlink(path);
    }
    assert_int_equal(rmdir(bench->folder), 0);
    mem_free(bench);
    return 0;
}

static void put_pin(struct bench *bench, const char *service, const char *tool,
                    const char *json)
{
    uint8_t hash[SHA256_BYTES];
    struct buf definition;
    buf_init(&definition, 1 << 24);
    assert_int_equal(json_to_pack(slice_of(json), 64, &definition, NULL), 0);
    sha256(slice_of(json), hash);
    store_put_pin(bench->store, &(struct store_pin){.service = slice_of(service),
                                                    .tool = slice_of(tool),
                                                    .hash = hash,
                                                    .definition = buf_slice(&definition),
                                                    .approved_at = 7,
                                                    .approved_by = SLICE("ana")});
    memset(hash, 0, sizeof hash);
    buf_done(&definition);
}

static void status_is(struct bench *bench, const char *part)
{
    struct buf pack;
    struct buf json;
    buf_init(&pack, 4096);
    buf_init(&json, 4096);
    store_put_status(bench->store, &pack);
    assert_int_equal(json_from_pack(buf_slice(&pack), "status", &json, NULL), 0);
    if (!strstr(buf_text(&json), part)) {
        fail_msg("\"%s\" is not in %s", part, buf_text(&json));
    }
    buf_done(&pack);
    buf_done(&json);
}

/* ---- what is kept ------------------------------------------------------------------------ */

static void nothing_is_touched_before_it_is_used(void **state)
{
    struct bench *bench = *state;
    assert_int_not_equal(access(bench->path, F_OK), 0);
    status_is(bench, "\"closed\"");
    load(bench);
    assert_string_equal(bench->pins, "");
    assert_int_equal(bench->failures, 0);
    struct stat status;
    assert_int_equal(stat(bench->path, &status), 0);
    assert_int_equal(status.st_mode & 07777, 0600);
    status_is(bench, "\"open\",\"queued\":0,\"bytes\"");
}

static void rows_come_back(void **state)
{
    struct bench *bench = *state;
    const uint8_t hash[SHA256_BYTES] = {0xab, 0xcd};
    put_pin(bench, "s", "b", "{\"n\":1.5,\"k\":[null,\"\\u00fc\",12345678901234567890123]}");
    put_pin(bench, "s", "a", "{}");
    put_pin(bench, "r", "a", "{}");
    store_put_pin(bench->store, &(struct store_pin){.service = SLICE("s"),
                                                    .tool = SLICE("new"),
                                                    .seen_hash = hash,
                                                    .is_gone = true});
    store_put_era(bench->store, &(struct store_era){SLICE("s"), hash, true, false});
    store_put_era(bench->store, &(struct store_era){SLICE("t"), hash, false, true});
    reopen(bench);
    assert_string_equal(
        bench->pins,
        "r/a 4413 {} 7 ana - 0;s/a 4413 {} 7 ana - 0;"
        "s/b 3297 {\"n\":1.5,\"k\":[null,\"\xc3\xbc\",12345678901234567890123]} 7 ana "
        "- 0;s/new -  0  abcd 1;");
    assert_string_equal(bench->eras, "s:10 t:01 ");
    put_pin(bench, "r", "a", "{\"v\":2}");
    store_drop_pin(bench->store, SLICE("s"), SLICE("a"));
    store_drop_pin(bench->store, SLICE("s"), SLICE("b"));
    store_drop_pin(bench->store, SLICE("s"), SLICE("never"));
    store_put_era(bench->store, &(struct store_era){SLICE("s"), hash, false, false});
    reopen(bench);
    assert_string_equal(bench->pins, "r/a 2b54 {\"v\":2} 7 ana - 0;s/new -  0  abcd 1;");
    assert_string_equal(bench->eras, "s:00 t:01 ");
}

static void what_is_too_long_is_kept_without_its_text(void **state)
{
    struct bench *bench = *state;
    char *json = mem_new(STORE_DEFINITION_MAX + 64);
    for (int over = 0; over < 2; over++) {
        size_t len = STORE_DEFINITION_MAX - 8 + (size_t)over;
        memcpy(json, "{\"d\":\"", 6);
        memset(json + 6, 'x', len);
        memcpy(json + 6 + len, "\"}", 3);
        put_pin(bench, "s", over ? "long" : "fits", json);
    }
    mem_free(json);
    store_flush(bench->store);
    sqlite3 *db = NULL;
    sqlite3_stmt *row = NULL;
    assert_int_equal(sqlite3_open(bench->path, &db), SQLITE_OK);
    assert_int_equal(
        sqlite3_prepare_v2(db,
                           "SELECT tool, length(definition), length(hash) FROM pins "
                           "ORDER BY tool",
                           -1, &row, NULL),
        SQLITE_OK);
    assert_int_equal(sqlite3_step(row), SQLITE_ROW);
    assert_int_equal(sqlite3_column_int(row, 1), STORE_DEFINITION_MAX);
    assert_int_equal(sqlite3_step(row), SQLITE_ROW);
    assert_string_equal((const char *)sqlite3_column_text(row, 0), "long");
    assert_int_equal(sqlite3_column_type(row, 1), SQLITE_NULL);
    assert_int_equal(sqlite3_column_int(row, 2), SHA256_BYTES);
    (void)sqlite3_finalize(row);
    (void)sqlite3_close(db);
}

static void thousands_are_written_behind(void **state)
{
    struct bench *bench = *state;
    for (int i = 0; i < 20000; i++) {
        char tool[16];
        (void)snprintf(tool, sizeof tool, "t%05d", i);
        put_pin(bench, "s", tool, "{\"name\":\"x\"}");
    }
    store_flush(bench->store);
    status_is(bench, "\"queued\":0,\"bytes\"");
    sqlite3 *db = NULL;
    sqlite3_stmt *row = NULL;
    assert_int_equal(sqlite3_open(bench->path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db, "SELECT count(*) FROM pins", -1, &row, NULL), 0);
    assert_int_equal(sqlite3_step(row), SQLITE_ROW);
    assert_int_equal(sqlite3_column_int(row, 0), 20000);
    (void)sqlite3_finalize(row);
    (void)sqlite3_close(db);
}

static void told_kept(void *arg, bool is_kept)
{
    *(int *)arg = is_kept ? 1 : 2;
}

static int await_told(struct bench *bench, const int *told)
{
    for (int i = 0; i < 500 && !*told; i++) {
        loop_turn(bench->loop, 10000);
    }
    return *told;
}

static void whoever_waits_is_told_when_it_is_kept(void **state)
{
    struct bench *bench = *state;
    int told[4] = {0};
    struct store_wait waits[4];
    for (int i = 0; i < 4; i++) {
        waits[i] = (struct store_wait){.done = told_kept, .arg = &told[i]};
    }
    put_pin(bench, "s", "a", "{}");
    store_await(bench->store, &waits[0]);
    store_await(bench->store, &waits[1]);
    store_forget_wait(bench->store, &waits[1]);
    assert_int_equal(told[0], 0); /* never inside */
    assert_int_equal(await_told(bench, &told[0]), 1);
    store_await(bench->store, &waits[2]); /* nothing is queued */
    assert_int_equal(await_told(bench, &told[2]), 1);
    assert_int_equal(told[1], 0);
    sqlite3 *db = NULL;
    assert_int_equal(sqlite3_open(bench->path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    put_pin(bench, "s", "b", "{}");
    store_await(bench->store, &waits[3]);
    assert_int_equal(await_told(bench, &told[3]), 2);
    assert_int_equal(sqlite3_exec(db, "COMMIT", NULL, NULL, NULL), SQLITE_OK);
    (void)sqlite3_close(db);
}

/* ---- kill -9 ----------------------------------------------------------------------------- */

/* Writes rows for ever, and says how many are flushed. */
_Noreturn static void write_for_ever(struct bench *bench, int fd)
{
    struct store *store = store_new(
        &(struct store_options){.loop = bench->loop, .folder = bench->folder, .retry_ms = 20});
    bench->store = store;
    for (uint32_t i = 0;; i++) {
        char tool[16];
        (void)snprintf(tool, sizeof tool, "t%06u", i);
        put_pin(bench, "s", tool, "{\"description\":\"a tool\"}");
        if (i % 7 == 0) {
            store_flush(store);
            uint32_t flushed = i + 1;
            if (write(fd, &flushed, sizeof flushed) != sizeof flushed) {
                _exit(1);
            }
        }
    }
}

static void a_killed_writer_loses_nothing_that_was_flushed(void **state)
{
    struct bench *bench = *state;
    store_free(bench->store); /* no thread is there to be forked */
    bench->store = NULL;
    for (int round = 0; round < 5; round++) {
        int fds[2];
        uint32_t flushed = 0;
        uint32_t next;
        assert_int_equal(pipe(fds), 0);
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            (void)close(fds[0]);
            write_for_ever(bench, fds[1]);
        }
        (void)close(fds[1]);
        for (int i = 0; i < 20 + round * 13; i++) {
            assert_int_equal(read(fds[0], &flushed, sizeof flushed), sizeof flushed);
        }
        assert_int_equal(kill(child, SIGKILL), 0);
        while (read(fds[0], &next, sizeof next) == sizeof next) {
            flushed = next;
        }
        assert_int_equal(waitpid(child, NULL, 0), child);
        (void)close(fds[0]);
        sqlite3 *db = NULL;
        sqlite3_stmt *row = NULL;
        assert_int_equal(sqlite3_open(bench->path, &db), SQLITE_OK);
        assert_int_equal(sqlite3_prepare_v2(db, "SELECT count(*) FROM pins", -1, &row, NULL),
                         0);
        assert_int_equal(sqlite3_step(row), SQLITE_ROW);
        assert_true(sqlite3_column_int(row, 0) >= (int)flushed);
        (void)sqlite3_finalize(row);
        assert_int_equal(sqlite3_exec(db, "DELETE FROM pins", NULL, NULL, NULL), SQLITE_OK);
        (void)sqlite3_close(db);
    }
    open_store(bench);
    load(bench);
    assert_int_equal(bench->failures, 0);
}

/* ---- files that cannot be used ------------------------------------------------------------ */

static void make_file(const char *path, const void *bytes, size_t len, mode_t mode)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, len), len);
    (void)close(fd);
    assert_int_equal(chmod(path, mode), 0);
}

static void fails_with(struct bench *bench, const char *part)
{
    load(bench);
    assert_int_equal(bench->failures, 1);
    if (!strstr(bench->failure, part)) {
        fail_msg("\"%s\" is not in \"%s\"", part, bench->failure);
    }
    assert_non_null(strstr(bench->failure, bench->folder));
    put_pin(bench, "s", "a", "{}"); /* serving goes on */
    status_is(bench, "\"state\":\"failed\",\"reason\":\"");
}

static void garbage_is_told(void **state)
{
    struct bench *bench = *state;
    char garbage[8192];
    memset(garbage, 'g', sizeof garbage);
    make_file(bench->path, garbage, sizeof garbage, 0600);
    fails_with(bench, "it is damaged; move it away");
    /* moved away: a new one is begun, and what was queued is in it */
    assert_int_equal(unlink(bench->path), 0);
    await_loads(bench, bench->loads + 1);
    for (int i = 0; i < 500 && bench->failure[0]; i++) {
        await_loads(bench, bench->loads + 1);
    }
    assert_string_equal(bench->failure, "");
    reopen(bench);
    assert_string_equal(bench->pins, "s/a 4413 {} 7 ana - 0;");
}

static void a_torn_file_is_told(void **state)
{
    struct bench *bench = *state;
    for (int i = 0; i < 2000; i++) {
        char tool[16];
        (void)snprintf(tool, sizeof tool, "t%05d", i);
        put_pin(bench, "s", tool, "{\"name\":\"x\"}");
    }
    store_free(bench->store);
    int fd = open(bench->path, O_WRONLY);
    char zeros[4096] = {0};
    assert_true(fd >= 0);
    for (off_t at = 4096; at < 65536; at += 4096) {
        assert_int_equal(pwrite(fd, zeros, sizeof zeros, at), sizeof zeros);
    }
    (void)close(fd);
    open_store(bench);
    fails_with(bench, "it is damaged");
}

static void modes_are_checked(void **state)
{
    struct bench *bench = *state;
    make_file(bench->path, "", 0, 0640);
    fails_with(bench, "others can get at the database");
    assert_non_null(strstr(bench->failure, "chmod 600 "));
    assert_int_equal(chmod(bench->folder, 0755),
                     0);                           /* as mkdir makes it: it is ours to close */
    assert_int_equal(chmod(bench->path, 0600), 0); /* mended: it goes on by itself */
    for (int i = 0; i < 500 && bench->failure[0]; i++) {
        await_loads(bench, bench->loads + 1);
    }
    assert_string_equal(bench->failure, "");
    struct stat status;
    assert_int_equal(stat(bench->folder, &status), 0);
    assert_int_equal(status.st_mode & 07777, 0700);
}

static void a_symbolic_link_is_not_followed(void **state)
{
    struct bench *bench = *state;
    assert_int_equal(symlink("/tmp/toolbroker-elsewhere", bench->path), 0);
    fails_with(bench, "cannot open");
    assert_int_not_equal(access("/tmp/toolbroker-elsewhere", F_OK), 0);
}

static void other_programs_and_newer_versions_are_left_alone(void **state)
{
    struct bench *bench = *state;
    sqlite3 *db = NULL;
    assert_int_equal(sqlite3_open(bench->path, &db), SQLITE_OK);
    assert_int_equal(chmod(bench->path, 0600), 0);
    assert_int_equal(sqlite3_exec(db, "CREATE TABLE theirs (x)", NULL, NULL, NULL), SQLITE_OK);
    (void)sqlite3_close(db);
    assert_int_equal(chmod(bench->path, 0600), 0);
    fails_with(bench, "the database of another program");
    store_free(bench->store);
    bench->failures = 0;
    assert_int_equal(unlink(bench->path), 0);
    open_store(bench);
    load(bench);
    store_free(bench->store);
    assert_int_equal(sqlite3_open(bench->path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "PRAGMA user_version = 99", NULL, NULL, NULL), SQLITE_OK);
    (void)sqlite3_close(db);
    open_store(bench);
    fails_with(bench, "newer toolbroker (its version is 99");
}

static void a_locked_file_is_waited_for_and_told(void **state)
{
    struct bench *bench = *state;
    load(bench);
    sqlite3 *db = NULL;
    assert_int_equal(sqlite3_open(bench->path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    put_pin(bench, "s", "a", "{}");
    store_flush(bench->store); /* after two seconds it gives up, and tries again */
    status_is(bench, "another process holds it");
    status_is(bench, "\"queued\":1,\"bytes\"");
    assert_int_equal(sqlite3_exec(db, "COMMIT", NULL, NULL, NULL), SQLITE_OK);
    (void)sqlite3_close(db);
    reopen(bench);
    assert_string_equal(bench->pins, "s/a 4413 {} 7 ana - 0;");
    status_is(bench, "\"open\",\"queued\":0,\"bytes\"");
}

/* In a process of its own, because root can write everywhere, and the limit is the process's. */
static int in_child(void (*run)(struct bench *bench), struct bench *bench)
{
    int status = 0;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        run(bench);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static bool status_has(struct bench *bench, const char *part)
{
    struct buf pack;
    buf_init(&pack, 4096);
    store_put_status(bench->store, &pack);
    bool has = memmem(pack.data, pack.len, part, strlen(part)) != NULL;
    buf_done(&pack);
    return has;
}

static void fill_the_disk(struct bench *bench)
{
    struct rlimit small = {(rlim_t)64 * 1024, RLIM_INFINITY};
    struct rlimit large = {RLIM_INFINITY, RLIM_INFINITY};
    (void)signal(SIGXFSZ, SIG_IGN);
    open_store(bench);
    put_pin(bench, "s", "first", "{}");
    store_flush(bench->store);
    if (setrlimit(RLIMIT_FSIZE, &small) != 0 || !status_has(bench, "open")) {
        _exit(10);
    }
    for (int i = 0; i < 3000; i++) {
        char tool[16];
        (void)snprintf(tool, sizeof tool, "t%05d", i);
        put_pin(bench, "s", tool, "{\"description\":\"takes place\"}");
    }
    store_flush(bench->store);
    if (!status_has(bench, "the disk")) {
        _exit(11);
    }
    if (setrlimit(RLIMIT_FSIZE, &large) != 0) { /* there is room again: nothing was lost */
        _exit(12);
    }
    for (int i = 0; i < 2000 && !status_has(bench, "open"); i++) {
        (void)usleep(10000);
    }
    store_free(bench->store);
}

static void a_full_disk_is_told_and_nothing_is_lost(void **state)
{
    struct bench *bench = *state;
    store_free(bench->store);
    bench->store = NULL;
    assert_int_equal(in_child(fill_the_disk, bench), 0);
    sqlite3 *db = NULL;
    sqlite3_stmt *row = NULL;
    assert_int_equal(sqlite3_open(bench->path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db, "SELECT count(*) FROM pins", -1, &row, NULL), 0);
    assert_int_equal(sqlite3_step(row), SQLITE_ROW);
    assert_int_equal(sqlite3_column_int(row, 0), 3001);
    (void)sqlite3_finalize(row);
    (void)sqlite3_close(db);
}

static void read_only(struct bench *bench)
{
    if (geteuid() == 0 && (chown(bench->folder, 65534, 65534) != 0 ||
                           chown(bench->path, 65534, 65534) != 0 || seteuid(65534) != 0)) {
        _exit(10);
    }
    if (chmod(bench->path, 0400) != 0 || chmod(bench->folder, 0500) != 0) {
        _exit(11);
    }
    open_store(bench);
    put_pin(bench, "s", "b", "{}");
    store_flush(bench->store);
    if (!status_has(bench, "failed") || !status_has(bench, "cannot be written")) {
        _exit(12);
    }
    store_free(bench->store);
}

static void a_read_only_file_is_told(void **state)
{
    struct bench *bench = *state;
    put_pin(bench, "s", "a", "{}");
    store_free(bench->store);
    bench->store = NULL;
    int result = in_child(read_only, bench);
    if (geteuid() == 0) {
        assert_int_equal(chown(bench->folder, 0, 0), 0);
        assert_int_equal(chown(bench->path, 0, 0), 0);
    }
    assert_int_equal(chmod(bench->folder, 0700), 0);
    assert_int_equal(chmod(bench->path, 0600), 0);
    assert_int_equal(result, 0);
    open_store(bench);
    load(bench);
    assert_string_equal(bench->pins, "s/a 4413 {} 7 ana - 0;");
}

static void the_queue_is_bounded(void **state)
{
    struct bench *bench = *state;
    make_file(bench->path, "", 0, 0644);
    char *json = mem_new(200064);
    memcpy(json, "{\"d\":\"", 6);
    memset(json + 6, 'x', 200000);
    memcpy(json + 200006, "\"}", 3);
    for (int i = 0; i < 120; i++) {
        put_pin(bench, "s", "a", json);
    }
    mem_free(json);
    store_flush(bench->store);
    status_is(bench, "\"lost\":");
    assert_int_equal(chmod(bench->path, 0600), 0);
    reopen(bench);
    assert_int_equal(bench->failures, 0);
    assert_non_null(strstr(bench->pins, "s/a "));
}

int main(void)
{
    log_threshold = LOG_LEVELS;
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(nothing_is_touched_before_it_is_used),
        TEST(rows_come_back),
        TEST(what_is_too_long_is_kept_without_its_text),
        TEST(thousands_are_written_behind),
        TEST(whoever_waits_is_told_when_it_is_kept),
        TEST(a_killed_writer_loses_nothing_that_was_flushed),
        TEST(garbage_is_told),
        TEST(a_torn_file_is_told),
        TEST(modes_are_checked),
        TEST(a_symbolic_link_is_not_followed),
        TEST(other_programs_and_newer_versions_are_left_alone),
        TEST(a_locked_file_is_waited_for_and_told),
        TEST(a_full_disk_is_told_and_nothing_is_lost),
        TEST(a_read_only_file_is_told),
        TEST(the_queue_is_bounded),
    };
    return cmocka_run_group_tests_name("store", tests, NULL, NULL);
}
