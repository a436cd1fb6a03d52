/* SPDX-License-Identifier: MIT */
/*
 * town.h - everything from the socket of the clients to the wire of the servers, with servers that
 * answer by themselves, each as fate has it. The clock stands still but for `pass`, so that half an
 * hour takes seconds; chance goes by one seed, which is printed.
 */
#ifndef TESTS_UNIT_API_TOWN_H
#define TESTS_UNIT_API_TOWN_H

#include "town_wire.h"

#include "../front_door.h"
#include "../policy_text.h"

/* ---- what the rooms tell each other, as api/api.c has it ---------------------------------- */

static inline void state_changed(void *arg, const struct mcp_service *service)
{
    (void)arg;
    if (town.health) {
        health_state_changed(town.health, service);
    }
}

static inline void rate_told(void *arg, const struct mcp_service *service, struct slice user,
                             const struct rate_fields *fields, bool is_refused)
{
    (void)arg;
    gates_hint(town.gates, mcp_service_conf(service)->name, user, fields, is_refused);
}

static inline void count_breaker(struct server *server, const char *state)
{
    mono_us now = loop_now(town.loop);
    server->breaker_changes++;
    if (strcmp(state, "open") == 0 && !server->open_since) {
        server->opened++;
        server->open_since = now;
    } else if (strcmp(state, "closed") == 0 && server->open_since) {
        server->open_for += now - server->open_since;
        server->open_since = 0;
    }
}

static inline void gate_changed(void *arg, const struct gate_change *change)
{
    struct server *server = server_named(change->service);
    (void)arg;
    if (change->kind == GATE_BREAKER && !change->user.len) {
        count_breaker(server, change->state);
    }
    server->quarantines +=
        change->kind == GATE_QUARANTINE && strcmp(change->state, "begun") == 0;
    server->limited += change->kind == GATE_RATE;
    if (town.health) {
        server->news += health_gate_changed(town.health, change);
    }
}

static inline void status_changed(void *arg, struct slice name, enum health_status from,
                                  enum health_status to)
{
    (void)arg;
    (void)from;
    (void)to;
    server_named(name)->status_changes++;
}

static inline void handle_call(void *arg, struct rpc_request *request)
{
    const struct rpc_value *args = request->args;
    (void)arg;
    call_start(town.calls, request,
               &(struct call_options){.tool = args[0].text,
                                      .agent = args[1].text,
                                      .user = args[2].text,
                                      .arguments = args[3].text,
                                      .timeout_ms = args[4].number});
}

static const struct rpc_param call_params[] = {PARAM("tool", TEXT), PARAM("agent", TEXT),
                                               PARAM("user", TEXT), PARAM("arguments", MAP),
                                               PARAM("timeout_ms", INT)};
static const struct rpc_method town_methods[] = {
    {"tools.call", "", call_params, 5, RPC_CLIENT, handle_call, "{}"}};

/* ---- set up ------------------------------------------------------------------------------ */

static inline struct policy *policy_of_town(void)
{
    char text[1024] = "";
    for (unsigned i = 0; i < PERSONS; i++) {
        size_t len = strlen(text);
        (void)snprintf(text + len, sizeof text - len,
                       "agent 'a%u' { title = 'A', services = { '*' } }\n", i);
    }
    return policy_of_text(town.folder, text);
}

static inline void build_rooms(void)
{
    town.store = store_new(
        &(struct store_options){.loop = town.loop, .folder = town.folder, .retry_ms = 20});
    town.gates = gates_new(&(struct gates_options){
        .loop = town.loop, .store = town.store, .changed = gate_changed});
    town.services =
        mcp_services_new(&(struct mcp_services_options){.loop = town.loop,
                                                        .message_bytes = 1u << 20,
                                                        .state_folder = "/",
                                                        .store = town.store,
                                                        .state_changed = state_changed,
                                                        .rate_told = rate_told,
                                                        .connect = town_connect});
    town.health = health_new(&(struct health_options){.loop = town.loop,
                                                      .gates = town.gates,
                                                      .services = town.services,
                                                      .store = town.store,
                                                      .changed = status_changed});
    town.calls = calls_new(&(struct calls_options){.loop = town.loop,
                                                   .services = town.services,
                                                   .gates = town.gates,
                                                   .store = town.store,
                                                   .metrics = &town.metrics,
                                                   .calls_max = &town.calls_max,
                                                   .shares = &town.shares});
    town.health->random = town.random | 1;
    town.calls->room.random = town.random | 1;
    calls_set_policy(town.calls, policy_of_town());
}

static inline void open_socket(void)
{
    town.rpc = rpc_server_new(&(struct rpc_options){.loop = town.loop,
                                                    .limits = &town.limits,
                                                    .methods = town_methods,
                                                    .method_count = 1,
                                                    .metrics = &town.metrics});
    listen_in(town.folder, town.rpc, &town.address);
}

static inline void town_begin(uint64_t seed)
{
    memset(&town, 0, sizeof town);
    log_set(LOG_ERROR, LOG_FORMAT_TEXT);
    town.seed = seed;
    town.random = seed;
    town.step = STEP;
    town.limits = (struct rpc_limits){
        .frame = {.bytes = 1u << 20, .depth = 32, .items = 10000},
        .reply_bytes = 1u << 24,
        .peer_buffer_bytes = 1u << 24,
        .connections = 100,
        .connections_per_uid = 100,
        .inflight = 4096,
    };
    town.calls_max = 8192;
    (void)snprintf(town.folder, sizeof town.folder, "/tmp/toolbroker-town-XXXXXX");
    assert_non_null(mkdtemp(town.folder));
    town.loop = loop_new();
    loop_freeze(town.loop);
    town.wires =
        (struct wires){.loop = town.loop,
                       .tool = "{\"name\":\"look\",\"inputSchema\":{\"type\":\"object\"},"
                               "\"annotations\":{\"readOnlyHint\":true}}",
                       .asked = take_asked,
                       .due = answer,
                       .opens = open_or_exit};
    scripted_init(&town.wires);
    build_rooms();
    open_socket();
}

static inline void remove_folder(void)
{
    DIR *folder = opendir(town.folder);
    assert_non_null(folder);
    for (struct dirent *entry; (entry = readdir(folder));) {
        char path[512];
        (void)snprintf(path, sizeof path, "%s/%s", town.folder, entry->d_name);
        (void)unlink(path);
    }
    (void)closedir(folder);
    assert_int_equal(rmdir(town.folder), 0);
}

static inline void town_end(void)
{
    for (unsigned i = 0; i < town.person_count; i++) {
        (void)close(town.persons[i].fd);
        buf_done(&town.persons[i].in);
    }
    rpc_server_free(town.rpc);
    calls_free(town.calls);
    health_free(town.health);
    town.health = NULL;
    mcp_services_free(town.services);
    gates_free(town.gates);
    store_free(town.store);
    scripted_done(&town.wires);
    for (unsigned i = 0; i < town.server_count; i++) {
        service_conf_unref(town.servers[i].conf);
    }
    loop_free(town.loop);
    remove_folder();
}

/* All as it is where nothing is written, but that what the server says of its tools is believed. */
static inline struct server *server_new(const char *name, enum service_transport transport)
{
    struct server *server = &town.servers[town.server_count++];
    assert_true(town.server_count <= SERVERS);
    assert_true(snprintf(server->name, sizeof server->name, "%s", name) <
                (int)sizeof server->name);
    struct service_conf *conf = scripted_conf(server->name, transport);
    conf->trust_annotations = true;
    server->conf = conf;
    return server;
}

static inline void turns(unsigned count)
{
    while (count--) {
        loop_turn(town.loop, 0);
    }
}

/* What the disk knows of the gates is read in real time. */
static inline void apply_servers(void)
{
    struct service_conf *list[SERVERS];
    for (unsigned i = 0; i < town.server_count; i++) {
        list[i] = town.servers[i].conf;
    }
    struct service_set set = {list, town.server_count};
    gates_apply(town.gates, &set);
    mcp_services_apply(town.services, &set);
    health_apply(town.health, &set);
    for (unsigned i = 0; i < 100; i++) {
        loop_turn(town.loop, 1000);
    }
}

static inline void persons_come(unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        struct person *person = &town.persons[town.person_count];
        person->fd = connect_to(&town.address);
        (void)snprintf(person->agent, sizeof person->agent, "a%u", town.person_count++);
        buf_init(&person->in, 1u << 24);
        turns(2);
    }
}

/* ---- calls ------------------------------------------------------------------------------- */

static inline void write_call(struct buf *frame, const struct heard *note, const char *user)
{
    char tool[48];
    (void)snprintf(tool, sizeof tool, "%s/look", note->server->name);
    pack_put_array(frame, 4);
    pack_put_uint(frame, 0);
    pack_put_uint(frame, town.note_count);
    pack_put_text(frame, "tools.call");
    pack_put_array(frame, 1);
    pack_put_map(frame, 5);
    pack_put_key_text(frame, "tool", tool);
    pack_put_key_text(frame, "agent", town.persons[note->person].agent);
    pack_put_key_text(frame, "user", user);
    pack_put_key_int(frame, "timeout_ms", note->timeout / MS);
    pack_put_text(frame, "arguments");
    pack_put_map(frame, 1);
    pack_put_key_int(frame, "n", town.note_count);
}

/* No turn is made. `timeout` 0: 30 s. */
static inline struct heard *ask_for(struct server *server, unsigned person, const char *user,
                                    mono_us timeout)
{
    struct heard *note = &town.notes[town.note_count];
    struct buf frame;
    assert_true(town.note_count < CALLS);
    *note = (struct heard){.server = server,
                           .person = person,
                           .began = loop_now(town.loop),
                           .timeout = timeout ? timeout : 30 * S,
                           .retry_after_ms = -1};
    buf_init(&frame, 1024);
    write_call(&frame, note, user);
    assert_int_equal(send(town.persons[person].fd, frame.data, frame.len, MSG_NOSIGNAL),
                     (ssize_t)frame.len);
    buf_done(&frame);
    town.note_count++;
    town.under_way++;
    return note;
}

static inline void take_error(struct heard *note, struct slice error)
{
    struct slice code = SLICE("");
    struct slice details = SLICE("");
    struct slice no_retry = SLICE("");
    (void)pack_get_text(error, "code", &code);
    (void)pack_get_int(error, "retry_after_ms", &note->retry_after_ms);
    (void)(pack_get(error, "details", &details) &&
           pack_get_text(details, "no_retry", &no_retry));
    (void)snprintf(note->why, sizeof note->why, "%.*s/%.*s", SLICE_ARG(code),
                   SLICE_ARG(no_retry));
}

static inline void take_answer(struct slice frame)
{
    struct pack cursor = pack_over(frame);
    struct pack_item head, kind, msgid;
    struct slice error;
    assert_true(pack_next(&cursor, &head) && head.type == PACK_ARRAY);
    assert_true(pack_next(&cursor, &kind) && pack_next(&cursor, &msgid));
    if (kind.u != 1) {
        return; /* progress */
    }
    assert_true(msgid.u < town.note_count);
    struct heard *note = &town.notes[msgid.u];
    assert_false(note->is_over);
    note->is_over = true;
    note->ended = loop_now(town.loop);
    note->is_ok = pack_peek(cursor) == PACK_NIL;
    assert_true(pack_take(&cursor, &error));
    if (!note->is_ok) {
        take_error(note, error);
    }
    town.under_way--;
}

static inline void hear(struct person *person)
{
    char bytes[65536];
    ssize_t count;
    while ((count = recv(person->fd, bytes, sizeof bytes, 0)) > 0) {
        buf_put(&person->in, bytes, (size_t)count);
    }
    struct pack cursor = pack_over(buf_slice(&person->in));
    struct slice frame;
    size_t used = 0;
    while (pack_take(&cursor, &frame)) {
        used += frame.len;
        take_answer(frame);
    }
    if (used) {
        buf_consume(&person->in, used);
    }
}

static inline void hear_all(void)
{
    for (unsigned i = 0; i < town.person_count; i++) {
        hear(&town.persons[i]);
    }
}

static inline void settle(void)
{
    turns(town.under_way ? 3 : 1);
    hear_all();
}

static inline void pass(mono_us time)
{
    for (mono_us gone = 0; gone < time; gone += town.step) {
        loop_advance(town.loop, town.step);
        settle();
    }
}

static inline void pass_until_answered(void)
{
    mono_us most = loop_now(town.loop) + 5 * MINUTE;
    turns(2);
    settle();
    while (town.under_way && loop_now(town.loop) < most) {
        pass(town.step);
    }
    assert_int_equal(town.under_way, 0);
}

#endif
