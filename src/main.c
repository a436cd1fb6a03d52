/* SPDX-License-Identifier: MIT */
/* main.c - toolbrokerd: builds everything in order, runs it, and takes it down in reverse. */
#include "api/api.h"
#include "base/mem.h"
#include "listen.h"
#include "loop/child.h"
#include "loop/http.h"
#include "notify.h"
#include "options.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

/* Sessions get this long to end in order once the last call is answered. */
#define CLOSE_GRACE_US 5000000

/* And clients as long to read their last answers, looked at so often. */
#define READ_GRACE_US 5000000
#define READ_CHECK_US 10000

struct daemon {
    struct options options;
    struct loop *loop;
    struct children *children;
    struct http *http;
    struct api *api;
    struct listening listening;
    struct loop_timer drain_limit, watchdog, last_answers;
    mono_us watchdog_interval, read_limit;
    bool is_ending, was_signalled;
};

/* ---- the end ---------------------------------------------------------------------------------- */

static void stop_when_read(void *arg)
{
    struct daemon *daemon = arg;
    mono_us now = loop_now(daemon->loop);
    if (rpc_server_flush(api_server(daemon->api)) && now < daemon->read_limit) {
        loop_timer_set(daemon->loop, &daemon->last_answers, now + READ_CHECK_US);
        return;
    }
    loop_stop(daemon->loop);
}

static void all_closed(void *arg)
{
    struct daemon *daemon = arg;
    daemon->read_limit = loop_now(daemon->loop) + READ_GRACE_US;
    stop_when_read(daemon);
}

static void drained(void *arg)
{
    struct daemon *daemon = arg;
    loop_timer_cancel(daemon->loop, &daemon->drain_limit);
    mcp_services_close(api_services(daemon->api), loop_now(daemon->loop) + CLOSE_GRACE_US,
                       all_closed, daemon);
}

static void drain_limit_passed(void *arg)
{
    struct daemon *daemon = arg;
    log_at(LOG_WARN, "daemon", "calls cancelled, they did not end within drain_ms",
           LOG_INT("calls", calls_count(api_calls(daemon->api))));
    calls_cancel_all(api_calls(daemon->api));
}

static void end(void *arg)
{
    struct daemon *daemon = arg;
    if (daemon->is_ending) {
        return;
    }
    daemon->is_ending = true;
    log_at(LOG_INFO, "daemon", "ending", LOG_INT("calls", calls_count(api_calls(daemon->api))));
    notify_send("STOPPING=1");
    rpc_server_stop_listening(api_server(daemon->api));
    loop_timer_set(daemon->loop, &daemon->drain_limit,
                   loop_now(daemon->loop) + api_settings(daemon->api)->drain_ms * 1000);
    calls_drain(api_calls(daemon->api), drained, daemon);
}

static void caught_end(void *arg, int number)
{
    struct daemon *daemon = arg;
    (void)number;
    if (daemon->was_signalled) {
        log_at(LOG_WARN, "daemon", "ended at once by a second signal", LOG_NOTHING);
        loop_stop(daemon->loop);
        return;
    }
    daemon->was_signalled = true;
    end(daemon); /* which daemon.shutdown may have begun */
}

static void caught_hup(void *arg, int number)
{
    struct daemon *daemon = arg;
    (void)number;
    notify_reloading();
    api_reload(daemon->api);
}

static void reloaded(void *arg)
{
    (void)arg;
    notify_send("READY=1");
}

static void feed_watchdog(void *arg)
{
    struct daemon *daemon = arg;
    notify_send("WATCHDOG=1");
    loop_timer_set(daemon->loop, &daemon->watchdog,
                   loop_now(daemon->loop) + daemon->watchdog_interval);
}

/* ---- the beginning ---------------------------------------------------------------------------- */

static int print_faults(const struct faults *faults)
{
    struct buf text;
    buf_init(&text, 4u << 20);
    faults_print(faults, &text);
    (void)fwrite(text.data, 1, text.len, stderr);
    buf_done(&text);
    return 1;
}

static int check(const struct options *options)
{
    struct config config = {0};
    struct faults faults;
    int result = 0;
    faults_init(&faults);
    if (config_load(options->config_folder, &config, &faults) != 0) {
        result = print_faults(&faults);
        (void)fprintf(stderr, "%u fault%s\n", faults.total, faults.total == 1 ? "" : "s");
    } else {
        (void)printf("%s: no faults, %zu services\n",
                     options->config_folder ? options->config_folder : "built-in defaults",
                     config.services.count);
        config_done(&config);
    }
    faults_done(&faults);
    return result;
}

/* No core file ever holds a secret, and as many clients fit as the system allows. */
static void prepare_process(void)
{
    struct rlimit files;
    (void)prctl(PR_SET_DUMPABLE, 0);
    (void)signal(SIGPIPE, SIG_IGN);
    (void)signal(SIGXFSZ,
                 SIG_IGN); /* a log that reaches ulimit -f is a line lost, not the end */
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &files);
    }
    /* 0, 1 and 2 are never anything else, whoever started us without them. */
    for (int fd; (fd = open("/dev/null", O_RDWR)) >= 0;) {
        if (fd > 2) {
            (void)close(fd);
            break;
        }
    }
}

static int fail(const char *what, const struct err *err)
{
    (void)fprintf(stderr, "toolbrokerd: %s: %s\n", what, err->text);
    return 1;
}

static int start(struct daemon *daemon, struct config *config, int helper)
{
    struct options *options = &daemon->options;
    struct err err;
    if (listen_make_folders(options->state_folder, 0700, &err) != 0) {
        return fail("state folder", &err);
    }
    if (!options->socket) {
        options->socket = config->settings->socket ? mem_dup(slice_of(config->settings->socket))
                                                   : options_default_socket();
    }
    if (listen_open(options->socket, &daemon->listening, &err) != 0) {
        return fail("socket", &err);
    }
    log_start(STDERR_FILENO);
    daemon->loop = loop_new();
    daemon->children = children_new(daemon->loop, helper);
    daemon->http = http_new(daemon->loop);
    daemon->api = api_new(&(struct api_options){.loop = daemon->loop,
                                                .children = daemon->children,
                                                .http = daemon->http,
                                                .config_folder = options->config_folder,
                                                .state_folder = options->state_folder,
                                                .socket = options->socket,
                                                .shutdown = end,
                                                .reloaded = reloaded,
                                                .arg = daemon},
                          config);
    rpc_server_listen(api_server(daemon->api), daemon->listening.fd);
    loop_timer_init(&daemon->drain_limit, drain_limit_passed, daemon);
    loop_timer_init(&daemon->watchdog, feed_watchdog, daemon);
    loop_timer_init(&daemon->last_answers, stop_when_read, daemon);
    loop_signal(daemon->loop, SIGTERM, caught_end, daemon);
    loop_signal(daemon->loop, SIGINT, caught_end, daemon);
    loop_signal(daemon->loop, SIGHUP, caught_hup, daemon);
    daemon->watchdog_interval = notify_watchdog_interval();
    if (daemon->watchdog_interval != MONO_NEVER) {
        feed_watchdog(daemon);
    }
    log_at(LOG_INFO, "daemon", "serving", LOG_TEXT("version", TOOLBROKER_VERSION),
           LOG_TEXT("socket", options->socket),
           LOG_TEXT("config", options->config_folder ? options->config_folder : "built in"));
    notify_send("READY=1\nSTATUS=serving");
    return 0;
}

static void take_down(struct daemon *daemon)
{
    listen_close(&daemon->listening);
    api_free(daemon->api);
    http_free(daemon->http);
    children_free(daemon->children);
    loop_free(daemon->loop);
    log_at(LOG_INFO, "daemon", "ended", LOG_NOTHING);
    log_stop();
}

int main(int argc, char **argv)
{
    struct daemon daemon = {0};
    struct config config = {0};
    struct faults faults;
    mem_tune();
    options_parse(argc, argv, &daemon.options);
    if (daemon.options.check) {
        int result = check(&daemon.options);
        options_done(&daemon.options);
        return result;
    }
    prepare_process();
    int helper = children_fork_helper();
    if (helper < 0) {
        perror("toolbrokerd: cannot start the helper for child processes");
        return 1;
    }
    faults_init(&faults);
    int result = config_load(daemon.options.config_folder, &config, &faults);
    if (result != 0) {
        result = print_faults(&faults);
        (void)fprintf(stderr, "toolbrokerd: not started: %u fault%s in the configuration\n",
                      faults.total, faults.total == 1 ? "" : "s");
    } else if ((result = start(&daemon, &config, helper)) == 0) {
        loop_run(daemon.loop);
        take_down(&daemon);
    }
    config_done(&config);
    faults_done(&faults);
    options_done(&daemon.options);
    /* Nothing secret is left in memory: leak checkers may look. */
    (void)prctl(PR_SET_DUMPABLE, 1);
    return result;
}
