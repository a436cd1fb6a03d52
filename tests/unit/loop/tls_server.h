/* SPDX-License-Identifier: MIT */
/*
 * tls_server.h - nginx in front of the scripted server of the tests: TLS and HTTP/2 by one who knows.
 *
 * An authority of our own signs its certificates, made anew for each test program. Several ports
 * differ in what they offer and in whom they claim to be.
 */
#ifndef TESTS_UNIT_LOOP_TLS_SERVER_H
#define TESTS_UNIT_LOOP_TLS_SERVER_H

#include "http_fixture.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>

extern char **environ;

enum tls_port {
    TLS_GOOD,    /* HTTP/2 */
    TLS_ONE,     /* HTTP/1.1 alone */
    TLS_EXPIRED, /* HTTP/2, its certificate is too old */
    TLS_SHORT,   /* HTTP/2, GOAWAY after 10 requests of a connection */
    TLS_NARROW,  /* HTTP/2, two streams at once */
    TLS_PORTS
};

static const char *const tls_options[TLS_PORTS] = {
    "ssl http2; ssl_certificate good.pem; ssl_certificate_key good.key; ",
    "ssl; ssl_certificate good.pem; ssl_certificate_key good.key; ",
    "ssl http2; ssl_certificate old.pem; ssl_certificate_key old.key; ",
    "ssl http2; ssl_certificate good.pem; ssl_certificate_key good.key; "
    "keepalive_requests 10; ",
    "ssl http2; ssl_certificate good.pem; ssl_certificate_key good.key; "
    "http2_max_concurrent_streams 2; ",
};

struct tls_server {
    pid_t pid;
    char folder[32]; /* NULL-terminated, without a slash behind it */
    unsigned ports[TLS_PORTS];
    char ca[4096];
};

static struct tls_server tls;

static inline pid_t tls_run(const char *const *argv, const int *fds, size_t count)
{
    posix_spawn_file_actions_t actions;
    pid_t pid = -1;
    (void)posix_spawn_file_actions_init(&actions);
    (void)posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
    (void)posix_spawn_file_actions_adddup2(&actions, 1, 2);
    for (size_t i = 0; i < count; i++) {
        (void)posix_spawn_file_actions_adddup2(&actions, fds[i], 100 + (int)i);
    }
    if (posix_spawnp(&pid, argv[0], &actions, NULL, (char *const *)argv, environ) != 0) {
        pid = -1;
    }
    (void)posix_spawn_file_actions_destroy(&actions);
    return pid;
}

static inline void tls_run_to_end(const char *script)
{
    int status = -1;
    const char *argv[] = {"sh", "-c", script, tls.folder, NULL};
    pid_t pid = tls_run(argv, NULL, 0);
    assert_true(pid > 0 && waitpid(pid, &status, 0) == pid);
    if (status != 0) {
        fail_msg("failed: %s", script);
    }
}

static inline size_t tls_read(const char *name, char *text, size_t size)
{
    char path[128];
    (void)snprintf(path, sizeof path, "%s/%s", tls.folder, name);
    FILE *file = fopen(path, "re");
    size_t length = file ? fread(text, 1, size - 1, file) : 0;
    text[length] = '\0';
    if (file) {
        (void)fclose(file);
    }
    return length;
}

/* Once a program: the authority, what it signed, and what it signed and should not be taken. */
static inline int tls_make_certificates(void **state)
{
    (void)state;
    (void)snprintf(tls.folder, sizeof tls.folder, "/tmp/tls-test-XXXXXX");
    assert_non_null(mkdtemp(tls.folder));
    tls_run_to_end(
        "cd \"$0\" && key='ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes' && "
        "openssl req -x509 -newkey $key -keyout ca.key -out ca.pem -days 2 -subj /CN=test-ca "
        "&& "
        "openssl req -newkey $key -keyout good.key -out good.csr -subj /CN=test "
        "-addext subjectAltName=IP:127.0.0.1 && cp good.key old.key && "
        "openssl x509 -req -in good.csr -CA ca.pem -CAkey ca.key -days 2 -out good.pem "
        "-copy_extensions copy && "
        "openssl x509 -req -in good.csr -CA ca.pem -CAkey ca.key -days -1 -out old.pem "
        "-copy_extensions copy");
    assert_true(tls_read("ca.pem", tls.ca, sizeof tls.ca) > 100);
    return 0;
}

static inline int tls_remove_certificates(void **state)
{
    (void)state;
    tls_run_to_end("rm -r -- \"$0\"");
    return 0;
}

static inline void tls_write_configuration(unsigned upstream)
{
    char path[128];
    (void)snprintf(path, sizeof path, "%s/nginx.conf", tls.folder);
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    (void)fprintf(
        file,
        "daemon off; pid nginx.pid; error_log error.log; %s\n"
        "events { worker_connections 512; }\n"
        "http { log_format one '$server_port $server_protocol $connection $request "
        "$status'; access_log access.log one;\n"
        "client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi; "
        "uwsgi_temp_path uwsgi; scgi_temp_path scgi;\n"
        "upstream peer { server 127.0.0.1:%u; keepalive 64; keepalive_requests 1000000; }\n"
        "proxy_http_version 1.1; proxy_set_header Connection ''; proxy_buffering off; "
        "proxy_set_header Host $http_host; client_max_body_size 0; "
        "proxy_next_upstream off;\n",
        geteuid() == 0 ? "user root;" : "", upstream);
    for (unsigned i = 0; i < TLS_PORTS; i++) {
        (void)fprintf(file,
                      "server { listen 127.0.0.1:%u %s location / { proxy_pass "
                      "http://peer; } }\n",
                      tls.ports[i], tls_options[i]);
    }
    (void)fprintf(file, "}\n");
    assert_int_equal(fclose(file), 0);
}

/* nginx is given its listening sockets: ports that nobody else can have taken. (A single process of
 * it crashes with them, so it has its master.) */
static inline void tls_start(unsigned upstream)
{
    int fds[TLS_PORTS];
    char inherited[64] = "";
    for (unsigned i = 0; i < TLS_PORTS; i++) {
        struct sockaddr_in address = {.sin_family = AF_INET,
                                      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        socklen_t length = sizeof address;
        fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_int_equal(bind(fds[i], (struct sockaddr *)&address, sizeof address), 0);
        assert_int_equal(listen(fds[i], 128), 0);
        assert_int_equal(getsockname(fds[i], (struct sockaddr *)&address, &length), 0);
        tls.ports[i] = ntohs(address.sin_port);
        size_t at = strlen(inherited);
        (void)snprintf(inherited + at, sizeof inherited - at, "%u;", 100 + i);
    }
    tls_write_configuration(upstream);
    char prefix[64], errors[64];
    (void)snprintf(prefix, sizeof prefix, "%s/", tls.folder);
    (void)snprintf(errors, sizeof errors, "%s/error.log", tls.folder);
    const char *argv[] = {"nginx", "-p", prefix, "-c", "nginx.conf", "-e", errors, NULL};
    (void)setenv("NGINX", inherited, 1);
    tls.pid = tls_run(argv, fds, TLS_PORTS);
    (void)unsetenv("NGINX");
    assert_true(tls.pid > 0); /* it answers when it is up: connections wait in the queue */
    for (unsigned i = 0; i < TLS_PORTS; i++) {
        (void)close(fds[i]);
    }
}

/* At once: connections are closed in the midst of things. */
static inline void tls_stop(void)
{
    if (tls.pid > 0) {
        (void)kill(tls.pid, SIGTERM);
        (void)waitpid(tls.pid, NULL, 0);
        tls.pid = 0;
    }
}

static inline unsigned tls_count(enum tls_port port, const char *words);

/* nginx writes a line when it is done with a request, which is a little later than the client. */
static inline void tls_await(enum tls_port port, const char *words, unsigned count)
{
    for (mono_us end = clock_mono() + 5000000; tls_count(port, words) < count;) {
        (void)usleep(2000);
        assert_true(clock_mono() < end);
    }
    assert_int_equal(tls_count(port, words), count);
}

/* How many lines of the access log begin with the port's number and `words`. */
static inline unsigned tls_count(enum tls_port port, const char *words)
{
    static char text[1 << 20];
    char start[64];
    unsigned count = 0;
    (void)tls_read("access.log", text, sizeof text);
    (void)snprintf(start, sizeof start, "%u %s", tls.ports[port], words);
    for (const char *line = text; line; line = strchr(line, '\n')) {
        line += *line == '\n';
        count += strncmp(line, start, strlen(start)) == 0;
    }
    return count;
}

static inline int tls_setup(void **state)
{
    (void)setup(state);
    struct fixture *fixture = *state;
    tls_start(fixture->peer.port);
    return 0;
}

static inline int tls_teardown(void **state)
{
    char log[64];
    tls_stop();
    (void)snprintf(log, sizeof log, "%s/access.log", tls.folder);
    (void)unlink(log);
    return teardown(state);
}

static inline void tls_aim_with(struct fixture *fixture, enum tls_port port, const char *host,
                                const char *path, struct http_target_options options)
{
    char url[128];
    struct err err;
    (void)snprintf(url, sizeof url, "https://%s:%u%s", host, tls.ports[port], path);
    options.url = slice_of(url);
    http_target_free(fixture->target);
    fixture->target = NULL;
    if (http_target_new(fixture->http, &options, &fixture->target, &err) != 0) {
        fail_msg("%s", err.text);
    }
}

/* A target that trusts the authority. */
static inline void tls_aim(struct fixture *fixture, enum tls_port port, const char *path)
{
    struct http_target_options options = {.ca_pem = slice_of(tls.ca),
                                          .ca_file = "/etc/test-ca.pem"};
    tls_aim_with(fixture, port, "127.0.0.1", path, options);
}

#endif
