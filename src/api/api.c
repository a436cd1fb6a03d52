/* SPDX-License-Identifier: MIT */
/* api.c - builds the rooms of a call from one configuration, and takes a new one over. */
#include "api/api_internal.h"
#include "base/text.h"

#include <pthread.h>
#include <stdio.h>

/* ---- what is in force ----------------------------------------------------------------------- */

/* It was checked when the settings were read. */
static struct rate_conf rate_of(const char *text)
{
    struct rate_conf rate = {0};
    (void)(text && rate_parse(text, &rate));
    return rate;
}

static void apply_settings(struct api *api, struct settings *settings)
{
    enum log_level level = LOG_INFO;
    settings_free(api->settings);
    api->settings = settings;
    (void)log_level_parse(slice_of(settings->log_level), &level);
    log_set(level, slice_is(slice_of(settings->log_format), "json") ? LOG_FORMAT_JSON
                                                                    : LOG_FORMAT_TEXT);
    api->limits = (struct rpc_limits){
        .frame = {.bytes = (size_t)settings->frame_bytes,
                  .depth = (uint32_t)settings->frame_depth,
                  .items = (uint32_t)settings->frame_items},
        .reply_bytes = (size_t)settings->reply_bytes,
        .peer_buffer_bytes = (size_t)settings->peer_buffer_bytes,
        .connections = (uint32_t)settings->connections,
        .connections_per_uid = (uint32_t)settings->connections_per_uid,
        .inflight = (uint32_t)settings->inflight,
    };
    api->calls_max = (uint32_t)settings->calls;
    api->shares = (struct share_limits){.agent_calls = (uint32_t)settings->agent_calls,
                                        .peer_calls = (uint32_t)settings->peer_calls,
                                        .agent_rate = rate_of(settings->agent_rate),
                                        .peer_rate = rate_of(settings->peer_rate)};
}

static void take_over(struct api *api, struct config *config)
{
    apply_settings(api, config->settings);
    config->settings = NULL;
    store_bound(api->store, api->settings->database_bytes);
    store_keep_activity(api->store, api->settings->activity_days, api->settings->activity_rows);
    gates_apply(api->gates, &config->services);
    mcp_services_apply(api->services, &config->services);
    health_apply(api->health, &config->services);
    calls_set_policy(api->calls, config->policy);
    config->policy = NULL;
}

static void collect(void *arg)
{
    struct api *api = arg;
    policy_collect(calls_policy(api->calls));
}

static void state_changed(void *arg, const struct mcp_service *service)
{
    struct api *api = arg;
    enum mcp_state state = mcp_service_state(service);
    char reason[FAILURE_TEXT_BYTES + 1];
    text_copy(reason, sizeof reason, mcp_service_why(service));
    /* At the end health goes first. */
    bool is_news = !api->health || health_state_changed(api->health, service);
    enum log_level level = state == MCP_ERROR ? LOG_WARN : LOG_INFO;
    log_at(is_news ? level : LOG_DEBUG, "service", "state changed",
           LOG_SLICE("service", mcp_service_conf(service)->name),
           LOG_TEXT("state", mcp_state_name(state)), LOG_TEXT("reason", reason));
    const struct api_detail details[] = {{"state", slice_of(mcp_state_name(state)), 0},
                                         {"reason", slice_of(reason), 0}};
    api_tell_event(api, "service.state", service, details, 2);
}

static void rate_told(void *arg, const struct mcp_service *service, struct slice user,
                      const struct rate_fields *fields, bool is_refused)
{
    struct api *api = arg;
    gates_hint(api->gates, mcp_service_conf(service)->name, user, fields, is_refused);
}

/* Names of users are for nobody but the log of calls: an event only says that it is of one. */
static void tell_gate(struct api *api, const struct gate_change *change)
{
    static const char *const kinds[] = {[GATE_BREAKER] = "service.breaker",
                                        [GATE_QUARANTINE] = "service.quarantine",
                                        [GATE_RATE] = "service.rate_limited"};
    const struct mcp_service *service = mcp_services_find(api->services, change->service);
    struct api_detail details[4] = {{"state", slice_of(change->state), 0}};
    unsigned count = 1;
    if (change->reason.len) {
        details[count++] = (struct api_detail){"reason", change->reason, 0};
    }
    if (change->left_ms >= 0) {
        details[count++] = (struct api_detail){"left_ms", {NULL, 0}, change->left_ms};
    }
    if (change->user.len) {
        details[count++] = (struct api_detail){"of", SLICE("one user"), 0};
    }
    if (service) {
        api_tell_event(api, kinds[change->kind], service, details, count);
    }
}

static enum log_level level_of(const struct gate_change *change, bool is_news)
{
    static const char *const bad[] = {"open", "begun", "limited"};
    for (size_t i = 0; is_news && i < sizeof bad / sizeof *bad; i++) {
        if (strcmp(change->state, bad[i]) == 0) {
            return LOG_WARN;
        }
    }
    return is_news ? LOG_INFO : LOG_DEBUG;
}

static void gate_changed(void *arg, const struct gate_change *change)
{
    static const char *const messages[] = {[GATE_BREAKER] = "circuit breaker changed",
                                           [GATE_QUARANTINE] = "quarantine changed",
                                           [GATE_RATE] = "rate limit reached"};
    struct api *api = arg;
    bool is_news = health_gate_changed(api->health, change);
    if (change->kind == GATE_OUTCOME) {
        return; /* the status of its health changes with it */
    }
    log_at(level_of(change, is_news), "gate", messages[change->kind],
           LOG_SLICE("service", change->service), LOG_TEXT("state", change->state),
           LOG_TEXT("of", change->user.len ? "one user" : "all"),
           LOG_SLICE("reason", change->reason), LOG_INT("left_ms", change->left_ms));
    tell_gate(api, change);
}

static void health_changed(void *arg, struct slice name, enum health_status from,
                           enum health_status to)
{
    struct api *api = arg;
    const struct mcp_service *service = mcp_services_find(api->services, name);
    struct slice reason = slice_of(health_reason(api->health, name));
    const struct api_detail details[] = {{"state", slice_of(health_status_name(to)), 0},
                                         {"from", slice_of(health_status_name(from)), 0},
                                         {"reason", reason, 0}};
    log_at(to == HEALTH_DOWN ? LOG_WARN : LOG_INFO, "health", "status changed",
           LOG_SLICE("service", name), LOG_TEXT("from", health_status_name(from)),
           LOG_TEXT("to", health_status_name(to)), LOG_SLICE("reason", reason));
    if (service) {
        api_tell_event(api, "service.health", service, details, reason.len ? 3 : 2);
    }
}

static void list_changed(void *arg, const struct mcp_service *service, const char *kind)
{
    char name[32];
    (void)snprintf(name, sizeof name, "%s.changed", kind);
    api_tell_event(arg, name, service, NULL, 0);
}

static void tool_changed(void *arg, const struct mcp_service *service, struct slice tool,
                         const char *what)
{
    const struct api_detail details[] = {{"tool", tool, 0}, {"what", slice_of(what), 0}};
    api_tell_event(arg, "tool.changed", service, details, 2);
}

static void peer_gone(void *arg, uint64_t peer_id)
{
    struct api *api = arg;
    mcp_services_forget_client(api->services, peer_id);
}

struct api *api_new(const struct api_options *options, struct config *config)
{
    struct api *api = mem_new(sizeof *api);
    api->options = *options;
    api->started = loop_now(options->loop);
    list_init(&api->loads);
    list_init(&api->listeners);
    list_init(&api->watches);
    api->store = store_new(
        &(struct store_options){.loop = options->loop, .folder = options->state_folder});
    api->gates = gates_new(&(struct gates_options){
        .loop = options->loop, .store = api->store, .changed = gate_changed, .arg = api});
    api->services = mcp_services_new(&(struct mcp_services_options){
        .loop = options->loop,
        .children = options->children,
        .http = options->http,
        .message_bytes = (size_t)config->settings->message_bytes,
        .state_folder = options->state_folder,
        .store = api->store,
        .state_changed = state_changed,
        .list_changed = list_changed,
        .tool_changed = tool_changed,
        .rate_told = rate_told,
        .arg = api,
    });
    api->health = health_new(&(struct health_options){
        .loop = options->loop,
        .gates = api->gates,
        .services = api->services,
        .store = api->store,
        .changed = health_changed,
        .arg = api,
    });
    api->calls = calls_new(&(struct calls_options){
        .loop = options->loop,
        .services = api->services,
        .gates = api->gates,
        .store = api->store,
        .metrics = &api->metrics,
        .calls_max = &api->calls_max,
        .shares = &api->shares,
    });
    take_over(api, config);
    api->server = rpc_server_new(&(struct rpc_options){
        .loop = options->loop,
        .limits = &api->limits,
        .methods = api_methods,
        .method_count = api_method_count,
        .peer_gone = peer_gone,
        .arg = api,
        .metrics = &api->metrics,
    });
    api->collect = (struct loop_turn_end){{NULL, NULL}, collect, api};
    loop_add_turn_end(options->loop, &api->collect);
    return api;
}

void api_free(struct api *api)
{
    if (!api) {
        return;
    }
    api_abandon_loads(api);
    loop_remove_turn_end(&api->collect);
    api_drop_listeners(api);
    api_drop_watches(api);
    rpc_server_free(api->server);
    health_free(api->health);
    api->health = NULL;
    calls_free(api->calls);
    mcp_services_free(api->services);
    gates_free(api->gates);
    store_free(api->store);
    settings_free(api->settings);
    mem_free(api);
}

struct rpc_server *api_server(struct api *api)
{
    return api->server;
}

struct calls *api_calls(struct api *api)
{
    return api->calls;
}

struct mcp_services *api_services(struct api *api)
{
    return api->services;
}

const struct settings *api_settings(const struct api *api)
{
    return api->settings;
}

/* ---- reading files, off the loop -------------------------------------------------------------- */

struct config_job {
    struct list_link link;
    struct api *api;
    struct rpc_pending pending;
    char *folder;
    bool apply, has_request;
    pthread_t thread;
    struct loop_wake wake;
    /* made by the thread, read by the loop after the wake-up */
    struct config config;
    struct faults faults;
    int result;
};

static void log_faults(const struct faults *faults)
{
    for (unsigned i = 0; i < faults->kept; i++) {
        log_at(LOG_ERROR, "config", "fault", LOG_TEXT("file", faults->list[i].file),
               LOG_INT("line", faults->list[i].line), LOG_TEXT("cause", faults->list[i].text));
    }
}

static void free_job(struct config_job *job)
{
    list_remove(&job->link);
    rpc_pending_drop(&job->pending);
    config_done(&job->config);
    faults_done(&job->faults);
    mem_free(job->folder);
    mem_free(job);
}

static void answer(struct config_job *job, const struct buf *restart_needed)
{
    struct buf *out = job->has_request ? rpc_pending_result(&job->pending) : NULL;
    if (!out) {
        return;
    }
    pack_put_map(out, job->apply ? 3 : 2);
    pack_put_key_bool(out, "ok", job->result == 0);
    pack_put_text(out, "faults");
    faults_put(&job->faults, out);
    if (job->apply) {
        pack_put_text(out, "restart_needed");
        if (restart_needed->len) {
            buf_put_slice(out, buf_slice(restart_needed));
        } else {
            pack_put_array(out, 0);
        }
    }
    rpc_pending_end(&job->pending);
}

static void loaded(void *arg)
{
    struct config_job *job = arg;
    struct api *api = job->api;
    struct buf restart_needed;
    (void)pthread_join(job->thread, NULL);
    buf_init(&restart_needed, 65536);
    if (job->apply && job->result == 0) {
        (void)settings_put_restart_needed(api->settings, job->config.settings, &restart_needed);
        take_over(api, &job->config);
        metrics_add(&api->metrics, METRIC_RELOADS, 1);
        api->refused_at = 0;
        log_at(LOG_INFO, "config", "reloaded", LOG_NOTHING);
    } else if (job->apply) {
        metrics_add(&api->metrics, METRIC_RELOADS_FAILED, 1);
        api->refused_at = loop_wall(api->options.loop);
        api->refused_faults = (unsigned)job->faults.total;
        log_faults(&job->faults);
        log_at(LOG_ERROR, "config", "reload refused, the old configuration stays in force",
               LOG_INT("faults", job->faults.total));
    }
    answer(job, &restart_needed);
    buf_done(&restart_needed);
    if (job->apply) {
        api->options.reloaded(api->options.arg);
    }
    free_job(job);
    if (api->is_reload_due) {
        api->is_reload_due = false;
        api_reload(api);
    }
}

static void *load(void *arg)
{
    struct config_job *job = arg;
    job->result = config_load(job->folder, &job->config, &job->faults);
    loop_wake(job->api->options.loop, &job->wake);
    return NULL;
}

/* The client is gone or cancelled: the files are read all the same, and a reload still counts. */
static void asker_left(struct rpc_pending *pending)
{
    struct config_job *job = LIST_ITEM(pending, struct config_job, pending);
    if (pending->peer) {
        struct failure failure = {0};
        failure_set(&failure, ERR_CANCELLED, "the request was cancelled by its client%s",
                    job->apply ? "; the reload goes on" : "");
        rpc_pending_fail(pending, &failure);
        failure_done(&failure);
    }
    job->has_request = false;
}

void api_load(struct api *api, const char *folder, bool apply, struct rpc_request *request)
{
    if (!list_is_empty(&api->loads)) {
        if (request) {
            api_fail(request, ERR_OVERLOADED, "the configuration is being read already");
        } else {
            api->is_reload_due = true; /* what is being read may be older than this */
        }
        return;
    }
    struct config_job *job = mem_new(sizeof *job);
    job->api = api;
    job->apply = apply;
    job->folder = folder ? mem_dup(slice_of(folder)) : NULL;
    job->wake = (struct loop_wake){NULL, loaded, job};
    faults_init(&job->faults);
    if (request) {
        job->has_request = true;
        rpc_keep(request, &job->pending, asker_left);
    }
    list_append(&api->loads, &job->link);
    if (pthread_create(&job->thread, NULL, load, job) != 0) {
        struct failure failure = {0};
        failure_set(&failure, ERR_OVERLOADED, "no thread to read the configuration with");
        log_at(LOG_ERROR, "config", "cannot start a thread to read the configuration",
               LOG_NOTHING);
        rpc_pending_fail(&job->pending, &failure);
        failure_done(&failure);
        free_job(job);
        if (apply) {
            api->options.reloaded(api->options.arg);
        }
    }
}

void api_reload(struct api *api)
{
    api_load(api, api->options.config_folder, true, NULL);
}

void api_abandon_loads(struct api *api)
{
    list_each (link, &api->loads) {
        struct config_job *job = LIST_ITEM(link, struct config_job, link);
        (void)pthread_join(job->thread, NULL);
        loop_unwake(api->options.loop, &job->wake);
        free_job(job);
    }
}
