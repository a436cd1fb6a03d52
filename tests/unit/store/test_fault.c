/* SPDX-License-Identifier: MIT */
/* test_fault.c - files and disks that go wrong while they are in use: what is said, what goes on, what is
 * kept, and that it heals. */
#include "scratch.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>

struct asker {
    struct store_claim claim;
    int answered;
    char error[320];
};

static void done(void *arg, const struct store_claim *claim)
{
    struct asker *asker = arg;
    asker->answered = (int)claim->state + 1;
    if (claim->state == STORE_CLAIM_FAILED) {
        (void)snprintf(asker->error, sizeof asker->error, "%s", claim->error.text);
    }
}

static struct asker *claim(struct scratch *scratch, const char *id)
{
    static struct asker asker;
    memset(&asker, 0, sizeof asker);
    asker.claim.done = done;
    asker.claim.arg = &asker;
    sha256(slice_of(id), asker.claim.id);
    store_claim(scratch->store, &asker.claim);
    for (int i = 0; i < 3000 && !asker.answered; i++) {
        loop_turn(scratch->loop, 10000);
    }
    return &asker;
}

static bool is(const struct asker *asker, enum store_claim_state state)
{
    return asker->answered == (int)state + 1;
}

static void put_outcome(struct scratch *scratch, const char *id)
{
    uint8_t hash[SHA256_BYTES];
    sha256(slice_of(id), hash);
    store_put_outcome(scratch->store, hash, SLICE("done"));
}

static bool fails_with(struct scratch *scratch, const char *part)
{
    const struct asker *asker = claim(scratch, "refused");
    if (!is(asker, STORE_CLAIM_FAILED) || !strstr(asker->error, part)) {
        print_message("answer %d \"%s\" has no \"%s\"\n", asker->answered - 1, asker->error,
                      part);
        return false;
    }
    return strstr(scratch_status(scratch->store), "\"failed\"") != NULL;
}

/* It is tried again by itself, and what was queued is written. */
static bool heals(struct scratch *scratch)
{
    for (int i = 0; i < 3000; i++) {
        store_flush(scratch->store);
        if (strstr(scratch_status(scratch->store), "\"open\",\"queued\":0")) {
            return true;
        }
        (void)usleep(10000);
    }
    return false;
}

/* In a process of its own: limits, users and mounts are the process's. 0: all was well. */
static int in_child(int (*run)(struct scratch *scratch), struct scratch *scratch)
{
    int status = 0;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        scratch_open(scratch);
        int result = run(scratch);
        scratch_close(scratch);
        _exit(result);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* Fails a child with the line that it failed at. */
#define NEEDS(claim)                                          \
    do {                                                      \
        if (!(claim)) {                                       \
            print_message("line %d: %s\n", __LINE__, #claim); \
            return 1;                                         \
        }                                                     \
    } while (0)

/* ---- disks ------------------------------------------------------------------------------- */

static void fill_with(struct scratch *scratch, char filling)
{
    char text[1000];
    memset(text, filling, sizeof text);
    for (int i = 0; i < 1500; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "s%04d", i);
        store_put_gate(scratch->store, &(struct store_gate){.service = slice_of(name),
                                                            .breaker_reason = {text, 1000}});
    }
    store_flush(scratch->store);
}

static void fill(struct scratch *scratch)
{
    fill_with(scratch, 'x');
}

static void told(void *arg, bool is_kept)
{
    *(int *)arg = is_kept ? 1 : 2;
}

/* Whether what was put so far is kept. */
static bool is_kept(struct scratch *scratch)
{
    int kept = 0;
    struct store_wait wait = {.done = told, .arg = &kept};
    store_await(scratch->store, &wait);
    for (int i = 0; i < 1000 && !kept; i++) {
        loop_turn(scratch->loop, 10000);
    }
    return kept == 1;
}

static int with_a_small_limit(struct scratch *scratch)
{
    struct rlimit small = {(rlim_t)256 * 1024, RLIM_INFINITY};
    struct rlimit large = {RLIM_INFINITY, RLIM_INFINITY};
    (void)signal(SIGXFSZ, SIG_IGN);
    NEEDS(is(claim(scratch, "first"), STORE_CLAIM_IS_OURS));
    NEEDS(setrlimit(RLIMIT_FSIZE, &small) == 0);
    fill(scratch);
    NEEDS(fails_with(scratch, "the disk fails, or is full"));
    put_outcome(scratch, "first");
    store_flush(scratch->store);
    NEEDS(setrlimit(RLIMIT_FSIZE, &large) == 0);
    NEEDS(heals(scratch));
    NEEDS(is(claim(scratch, "first"), STORE_CLAIM_HAS_ENDED));
    NEEDS(is(claim(scratch, "refused"), STORE_CLAIM_IS_OURS));
    put_outcome(scratch, "refused");
    NEEDS(is_kept(scratch)); /* what could not be written at first was counted once */
    NEEDS(!strstr(scratch_status(scratch->store), "lost"));
    return 0;
}

static void a_file_that_must_not_grow(void **state)
{
    struct scratch *scratch = *state;
    scratch_close(scratch);
    assert_int_equal(in_child(with_a_small_limit, scratch), 0);
    scratch_is_sound(scratch);
    assert_int_equal(scratch_ask(scratch, "SELECT count(*) FROM gates"), 1500);
}

static int on_a_small_disk(struct scratch *scratch)
{
    NEEDS(is(claim(scratch, "first"), STORE_CLAIM_IS_OURS));
    fill(scratch);
    NEEDS(fails_with(scratch, "the disk is full; make room"));
    put_outcome(scratch, "first");
    store_flush(scratch->store);
    NEEDS(mount("tmpfs", scratch->folder, "tmpfs", MS_REMOUNT, "size=64m") == 0);
    NEEDS(heals(scratch));
    NEEDS(is(claim(scratch, "first"), STORE_CLAIM_HAS_ENDED));
    scratch_is_sound(scratch);
    NEEDS(scratch_ask(scratch, "SELECT count(*) FROM gates") == 1500);
    return 0;
}

/* A real full disk, of a name space of its own; where that is not allowed, this says so. */
static int mount_and_run(struct scratch *scratch)
{
    scratch_close(scratch);
    if (unshare(CLONE_NEWNS) != 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("tmpfs", scratch->folder, "tmpfs", 0, "size=512k,mode=0700") != 0) {
        return errno == EPERM || errno == EACCES ? 77 : 78;
    }
    scratch_open(scratch);
    return on_a_small_disk(scratch);
}

static void a_disk_that_is_full(void **state)
{
    struct scratch *scratch = *state;
    scratch_close(scratch);
    int result = in_child(mount_and_run, scratch);
    if (result == 77) {
        print_message(
            "no file system may be mounted here: a_file_that_must_not_grow stands in\n");
        return;
    }
    assert_int_equal(result, 0);
}

static int without_leave(struct scratch *scratch)
{
    struct asker *first;
    if (geteuid() == 0) { /* root could write all the same */
        NEEDS(chown(scratch->folder, 65534, 65534) == 0);
        NEEDS(seteuid(65534) == 0);
    }
    first = claim(scratch, "first");
    NEEDS(is(first, STORE_CLAIM_IS_OURS));
    scratch_close(scratch);
    NEEDS(chmod(scratch->path, 0400) == 0 && chmod(scratch->folder, 0500) == 0);
    scratch_open(scratch);
    NEEDS(fails_with(scratch, "it cannot be written; look at its mode and at the disk"));
    store_put_gate(scratch->store, &(struct store_gate){.service = SLICE("kept")});
    store_flush(scratch->store);
    NEEDS(chmod(scratch->path, 0600) == 0 && chmod(scratch->folder, 0700) == 0);
    NEEDS(heals(scratch));
    NEEDS(is(claim(scratch, "first"), STORE_CLAIM_IS_OPEN));
    NEEDS(scratch_ask(scratch, "SELECT count(*) FROM gates") == 1);
    return 0;
}

static void a_file_that_may_not_be_written(void **state)
{
    struct scratch *scratch = *state;
    scratch_close(scratch);
    int result = in_child(without_leave, scratch);
    assert_int_equal(chown(scratch->folder, geteuid(), getegid()), 0);
    assert_int_equal(result, 0);
}

/* ---- files ------------------------------------------------------------------------------- */

static void spoil(struct scratch *scratch, off_t from, off_t upto)
{
    char garbage[4096];
    memset(garbage, 'g', sizeof garbage);
    int fd = open(scratch->path, O_WRONLY);
    assert_true(fd >= 0);
    for (off_t at = from; at < upto; at += (off_t)sizeof garbage) {
        assert_int_equal(pwrite(fd, garbage, sizeof garbage, at), sizeof garbage);
    }
    (void)close(fd);
}

/* The database last: the store, which looks again and again, begins a new one as soon as it is gone,
 * and then what is beside it is the new one's. */
static void move_away(struct scratch *scratch)
{
    static const char *const files[] = {"-wal", "-shm", ""};
    for (size_t i = 0; i < 3; i++) {
        char path[160];
        (void)snprintf(path, sizeof path, "%s%s", scratch->path, files[i]);
        (void)unlink(path);
    }
}

static void a_file_that_is_damaged_meanwhile(void **state)
{
    struct scratch *scratch = *state;
    assert_true(is(claim(scratch, "first"), STORE_CLAIM_IS_OURS));
    fill(scratch);
    scratch_close(scratch); /* the log is in the file now */
    scratch_open(scratch);
    assert_true(is(claim(scratch, "first"), STORE_CLAIM_IS_OPEN));
    spoil(scratch, 4096, 2000 * 4096);
    assert_true(fails_with(scratch, "it is damaged; move it away, and a new one is begun"));
    store_put_gate(scratch->store, &(struct store_gate){.service = SLICE("kept")});
    move_away(scratch);
    assert_true(heals(scratch));
    assert_true(is(claim(scratch, "refused"), STORE_CLAIM_IS_OURS));
    assert_int_equal(scratch_ask(scratch, "SELECT count(*) FROM gates"), 1);
    scratch_is_sound(scratch);
}

/* Whatever is left of it: told, or what is whole of it is used; never a crash, never a hang. */
static void a_file_that_was_cut_short(void **state)
{
    struct scratch *scratch = *state;
    static const off_t lengths[] = {1, 99, 512, 4095, 4096, 8192, 100000, 200001};
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        fill(scratch);
        scratch_close(scratch);
        assert_int_equal(truncate(scratch->path, lengths[i]), 0);
        scratch_open(scratch);
        store_put_gate(scratch->store, &(struct store_gate){.service = SLICE("s0700")});
        const struct asker *asker = claim(scratch, "refused");
        assert_true(is(asker, STORE_CLAIM_IS_OURS) ||
                    (is(asker, STORE_CLAIM_FAILED) && strstr(asker->error, "damaged")));
        if (is(asker, STORE_CLAIM_FAILED)) {
            scratch_status_has(scratch, "\"failed\"");
        }
        move_away(scratch);
        store_put_gate(scratch->store, &(struct store_gate){.service = SLICE("kept")});
        assert_true(heals(scratch));
        assert_int_equal(
            scratch_ask(scratch, "SELECT count(*) FROM gates WHERE service = 'kept'"), 1);
        scratch_is_sound(scratch);
    }
}

static void a_file_that_is_moved_away_in_use(void **state)
{
    struct scratch *scratch = *state;
    char moved[160];
    (void)snprintf(moved, sizeof moved, "%s-journal", scratch->path); /* teardown removes it */
    assert_true(is(claim(scratch, "first"), STORE_CLAIM_IS_OURS));
    assert_int_equal(rename(scratch->path, moved), 0);
    assert_true(is(claim(scratch, "first"), STORE_CLAIM_IS_OURS)); /* in a new one, at once */
    store_put_gate(scratch->store, &(struct store_gate){.service = SLICE("kept")});
    store_flush(scratch->store);
    scratch_status_has(scratch, "\"open\",\"queued\":0");
    assert_int_equal(scratch_ask(scratch, "SELECT count(*) FROM gates"), 1);
}

static void a_file_of_a_newer_version(void **state)
{
    struct scratch *scratch = *state;
    assert_true(is(claim(scratch, "first"), STORE_CLAIM_IS_OURS));
    int64_t version = scratch_ask(scratch, "PRAGMA user_version");
    scratch_close(scratch);
    scratch_run(scratch, "PRAGMA user_version = 77");
    scratch_open(scratch);
    assert_true(fails_with(scratch, "newer toolbroker (its version is 77"));
    assert_true(fails_with(scratch, "--state"));
    char sql[64];
    (void)snprintf(sql, sizeof sql, "PRAGMA user_version = %lld", (long long)version);
    scratch_run(scratch, sql);
    assert_true(heals(scratch));
    assert_true(is(claim(scratch, "first"), STORE_CLAIM_IS_OPEN));
}

/* Bits of the head that fell over: told, and no crash. */
static void a_file_of_a_version_that_cannot_be(void **state)
{
    struct scratch *scratch = *state;
    static const char *const versions[] = {"-1", "-2147483648", "0"};
    for (size_t i = 0; i < sizeof versions / sizeof versions[0]; i++) {
        char sql[64];
        (void)claim(scratch, "opens the file");
        int64_t version = scratch_ask(scratch, "PRAGMA user_version");
        scratch_close(scratch);
        (void)snprintf(sql, sizeof sql, "PRAGMA user_version = %s", versions[i]);
        scratch_run(scratch, sql);
        scratch_open(scratch);
        assert_true(fails_with(scratch, "it is damaged; move it away, and a new one is begun"));
        (void)snprintf(sql, sizeof sql, "PRAGMA user_version = %lld", (long long)version);
        scratch_run(scratch, sql);
        assert_true(heals(scratch));
    }
}

/* What is not damaged to SQLite, but not ours either: what to do is told all the same. */
static void a_file_that_lacks_a_table(void **state)
{
    struct scratch *scratch = *state;
    assert_true(is(claim(scratch, "first"), STORE_CLAIM_IS_OURS));
    scratch_close(scratch);
    scratch_run(scratch, "DROP TABLE claims");
    /* It can be opened: for a while after each attempt nothing is wrong. */
    scratch->store = store_new(&(struct store_options){
        .loop = scratch->loop, .folder = scratch->folder, .retry_ms = 2000});
    assert_true(fails_with(scratch, "move it away, and a new one is begun"));
    assert_true(fails_with(scratch, "no such table: claims"));
    move_away(scratch);
    assert_true(heals(scratch));
    assert_true(is(claim(scratch, "first"), STORE_CLAIM_IS_OURS));
}

/* A file as the release before wrote it: it gets what it lacks, and keeps what it has. */
static void a_file_of_the_first_version(void **state)
{
    struct scratch *scratch = *state;
    scratch_close(scratch);
    scratch_run(scratch,
                "CREATE TABLE pins (service TEXT NOT NULL, tool TEXT NOT NULL, hash BLOB, "
                "definition TEXT, approved_at INTEGER, approved_by TEXT, seen_hash BLOB, "
                "seen TEXT, is_gone INTEGER NOT NULL, PRIMARY KEY (service, tool)) WITHOUT "
                "ROWID;"
                "CREATE TABLE eras (service TEXT NOT NULL PRIMARY KEY, configuration BLOB NOT "
                "NULL, is_modern INTEGER NOT NULL, is_sse INTEGER NOT NULL) WITHOUT ROWID;"
                "INSERT INTO eras VALUES ('s', x'00', 1, 0);"
                "PRAGMA user_version = 1; PRAGMA application_id = 1413639026");
    assert_int_equal(chmod(scratch->path, 0600), 0);
    scratch_open(scratch);
    assert_true(is(claim(scratch, "first"), STORE_CLAIM_IS_OURS));
    assert_int_equal(scratch_ask(scratch, "SELECT count(*) FROM eras"), 1);
    assert_int_equal(scratch_ask(scratch, "SELECT count(*) FROM claims"), 1);
}

/* ---- other processes --------------------------------------------------------------------- */

/* Runs this program once more, as one that holds the file until it is killed: SQLite is not to be
 * carried over a fork. */
static pid_t in_background(struct scratch *scratch, const char *what)
{
    int fds[2];
    char ready = 0;
    assert_int_equal(pipe(fds), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* where the test fails */
        (void)dup2(fds[1], 1);
        (void)execl("/proc/self/exe", "test_fault", what, scratch->folder, (char *)NULL);
        _exit(1);
    }
    (void)close(fds[1]);
    assert_int_equal(read(fds[0], &ready, 1), 1);
    (void)close(fds[0]);
    return child;
}

static void end(pid_t child)
{
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, NULL, 0), child);
}

static void a_second_daemon(void **state)
{
    struct scratch *scratch = *state;
    char words[64];
    scratch_close(scratch);
    pid_t first = in_background(scratch, "daemon");
    scratch_open(scratch);
    (void)snprintf(words, sizeof words, "another daemon (process %d) keeps its state in",
                   first);
    assert_true(fails_with(scratch, words));
    assert_true(fails_with(scratch, "end it, or give one of them another folder with --state"));
    store_put_gate(scratch->store, &(struct store_gate){.service = SLICE("kept")});
    end(first); /* however it ends */
    assert_true(heals(scratch));
    assert_int_equal(scratch_ask(scratch, "SELECT count(*) FROM gates"), 1);
    assert_true(is(claim(scratch, "theirs"), STORE_CLAIM_IS_OPEN));
}

static void a_lock_of_another_process(void **state)
{
    struct scratch *scratch = *state;
    assert_true(is(claim(scratch, "first"), STORE_CLAIM_IS_OURS));
    pid_t holder = in_background(scratch, "lock");
    assert_true(fails_with(scratch, "another process holds it; end that one, or wait for it"));
    mono_us before = clock_mono();
    assert_true(fails_with(scratch, "another process holds it")); /* at once from now on */
    put_outcome(scratch, "first");
    end(holder);
    assert_true(clock_mono() - before < 20000000);
    assert_true(heals(scratch));
    assert_true(is(claim(scratch, "first"), STORE_CLAIM_HAS_ENDED));
}

/* Whoever only reads holds nobody up. */
static void a_reader_of_another_process(void **state)
{
    struct scratch *scratch = *state;
    assert_true(is(claim(scratch, "first"), STORE_CLAIM_IS_OURS));
    pid_t reader = in_background(scratch, "read");
    for (int i = 0; i < 5; i++) {
        fill(scratch); /* more than the log is to hold */
    }
    assert_true(is(claim(scratch, "second"), STORE_CLAIM_IS_OURS));
    scratch_status_has(scratch, "\"open\"");
    end(reader);
    scratch_is_sound(scratch);
}

/* However much is written, the log of it stays short. */
static void the_log_does_not_grow(void **state)
{
    struct scratch *scratch = *state;
    struct stat status;
    char path[160];
    (void)snprintf(path, sizeof path, "%s-wal", scratch->path);
    for (int i = 0; i < 20; i++) {           /* some 2 MiB each */
        fill_with(scratch, (char)('a' + i)); /* the same once more would not be written */
    }
    assert_int_equal(stat(path, &status), 0);
    assert_in_range(status.st_size, 1, 16 * 1024 * 1024);
}

static bool hold(struct scratch *scratch, const char *what)
{
    if (strcmp(what, "daemon") == 0) {
        scratch->loop = loop_new();
        scratch_open(scratch);
        return is(claim(scratch, "theirs"), STORE_CLAIM_IS_OURS);
    }
    sqlite3 *db = scratch_sqlite(scratch);
    const char *sql =
        strcmp(what, "lock") == 0 ? "BEGIN IMMEDIATE" : "BEGIN; SELECT count(*) FROM claims";
    return sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK;
}

static int hold_for_ever(const char *what, const char *folder)
{
    struct scratch scratch = {0};
    (void)snprintf(scratch.folder, sizeof scratch.folder, "%s", folder);
    (void)snprintf(scratch.path, sizeof scratch.path, "%s/%s", folder, STORE_FILE);
    if (!hold(&scratch, what) || write(1, "r", 1) != 1) {
        return 1;
    }
    for (;;) {
        (void)pause();
    }
}

int main(int argc, char **argv)
{
    log_threshold = LOG_LEVELS;
    if (argc == 3) {
        return hold_for_ever(argv[1], argv[2]);
    }
#define TEST(name) cmocka_unit_test_setup_teardown(name, scratch_setup, scratch_teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_file_that_must_not_grow),
        TEST(a_disk_that_is_full),
        TEST(a_file_that_may_not_be_written),
        TEST(a_file_that_is_damaged_meanwhile),
        TEST(a_file_that_was_cut_short),
        TEST(a_file_that_is_moved_away_in_use),
        TEST(a_file_of_a_newer_version),
        TEST(a_file_of_a_version_that_cannot_be),
        TEST(a_file_that_lacks_a_table),
        TEST(a_file_of_the_first_version),
        TEST(a_second_daemon),
        TEST(a_lock_of_another_process),
        TEST(a_reader_of_another_process),
        TEST(the_log_does_not_grow),
    };
    return cmocka_run_group_tests_name("fault", tests, NULL, NULL);
}
