/* SPDX-License-Identifier: MIT */
/* services.c - the methods services.list, services.get and services.status. */
#include "api/api_internal.h"

const struct mcp_service *api_find_service(struct api *api, struct rpc_request *request,
                                           struct slice name)
{
    const struct mcp_service *service = mcp_services_find(api->services, name);
    if (service) {
        return service;
    }
    struct slice near = mcp_services_near(api->services, name);
    struct failure failure = {0};
    failure_set(&failure, ERR_NOT_FOUND, "no service `%.*s`", SLICE_ARG(name));
    if (near.len) {
        failure_suggest(&failure, "Did you mean `%.*s`?", SLICE_ARG(near));
    } else {
        failure_suggest(&failure, "`services.list` names every service.");
    }
    failure_detail_str(&failure, "service", name);
    api_refuse(api, request, name, &failure);
    return NULL;
}

/* What the gate says goes before what sessions do. */
static const char *state_word(const struct api *api, const struct mcp_service *service)
{
    struct gate_view view;
    bool is_held = mcp_service_conf(service)->enabled &&
                   gates_view(api->gates, mcp_service_conf(service)->name, &view) &&
                   view.is_quarantined;
    return is_held ? "quarantined" : mcp_state_name(mcp_service_state(service));
}

static void put_summary(const struct api *api, const struct mcp_service *service,
                        struct buf *out)
{
    const struct service_conf *conf = mcp_service_conf(service);
    pack_put_map(out, 7);
    pack_put_key_str(out, "name", conf->name);
    pack_put_key_str(out, "title", conf->title);
    pack_put_key_str(out, "description", conf->description);
    pack_put_key_text(out, "transport", service_transport_name(conf->transport));
    pack_put_key_bool(out, "enabled", conf->enabled);
    pack_put_key_text(out, "state", state_word(api, service));
    pack_put_text(out, "tags");
    pack_put_array(out, (uint32_t)conf->tag_count);
    for (size_t i = 0; i < conf->tag_count; i++) {
        pack_put_str(out, conf->tags[i]);
    }
}

void api_services_list(void *arg, struct rpc_request *request)
{
    struct api *api = arg;
    struct buf *out = rpc_result(request);
    const struct mcp_service *service;
    uint32_t count = 0;
    pack_put_map(out, 1);
    pack_put_text(out, "services");
    size_t opened = pack_open(out);
    for (size_t at = 0; (service = mcp_services_next(api->services, &at)); count++) {
        put_summary(api, service, out);
    }
    pack_close_array(out, opened, count);
    rpc_result_end(request);
}

struct api_status api_put_status(struct api *api, const struct mcp_service *service,
                                 struct buf *out)
{
    struct api_status status = {.opened = pack_open(out)};
    status.count = mcp_service_put_status(service, state_word(api, service), out);
    status.count += gates_put_status(api->gates, mcp_service_conf(service)->name, out);
    status.count += health_put_status(api->health, mcp_service_conf(service)->name, out);
    return status;
}

static void put_status(struct api *api, const struct mcp_service *service, struct buf *out)
{
    struct api_status status = api_put_status(api, service, out);
    pack_close_map(out, status.opened, status.count);
}

void api_services_get(void *arg, struct rpc_request *request)
{
    struct api *api = arg;
    const struct mcp_service *service = api_find_service(api, request, request->args[0].text);
    if (!service) {
        return;
    }
    const struct service_conf *conf = mcp_service_conf(service);
    struct buf *out = rpc_result(request);
    pack_put_map(out, 4u + (conf->file != NULL));
    pack_put_key_str(out, "name", conf->name);
    pack_put_key_text(out, "origin", conf->file ? "file" : "built in");
    if (conf->file) {
        pack_put_key_text(out, "file", conf->file);
    }
    pack_put_text(out, "definition");
    buf_put_slice(out, conf->definition);
    pack_put_text(out, "status");
    put_status(api, service, out);
    rpc_result_end(request);
}

void api_services_status(void *arg, struct rpc_request *request)
{
    struct api *api = arg;
    const struct rpc_value *name = &request->args[0];
    const struct mcp_service *service = NULL;
    if (name->given && !(service = api_find_service(api, request, name->text))) {
        return;
    }
    struct buf *out = rpc_result(request);
    uint32_t count = 0;
    pack_put_map(out, 1);
    pack_put_text(out, "services");
    size_t opened = pack_open(out);
    if (service) {
        put_status(api, service, out);
        count = 1;
    } else {
        for (size_t at = 0; (service = mcp_services_next(api->services, &at)); count++) {
            put_status(api, service, out);
        }
    }
    pack_close_array(out, opened, count);
    rpc_result_end(request);
}
