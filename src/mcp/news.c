/* SPDX-License-Identifier: MIT */
/* news.c - tells once what the sessions of one service may hear many times: a list has changed. */
#include "mcp/news.h"

#include "mcp/room.h"

/* A server that says "changed" all the time is repeated at most so often. */
#define WINDOW_US  ((mono_us)1000000)
#define WINDOW_MAX 8u

static const char *const kind_names[NEWS_KINDS] = {
    [NEWS_TOOLS] = "tools", [NEWS_PROMPTS] = "prompts", [NEWS_RESOURCES] = "resources"};

static void tell(const struct news_window *window)
{
    const struct mcp_services_options *options = &window->service->services->options;
    if (options->list_changed) {
        options->list_changed(options->arg, window->service, kind_names[window->kind]);
    }
}

static void window_passed(void *arg)
{
    struct news_window *window = arg;
    window->since = loop_now(window->service->services->core.loop);
    window->count = 1;
    tell(window);
}

void news_init(struct mcp_service *service)
{
    for (unsigned kind = 0; kind < NEWS_KINDS; kind++) {
        struct news_window *window = &service->news.windows[kind];
        window->service = service;
        window->kind = (enum news_kind)kind;
        loop_timer_init(&window->timer, window_passed, window);
    }
}

void news_forget(struct mcp_service *service)
{
    cache_forget_service(&service->services->cache, service);
    if (service->news.newest) {
        pins_keep(service);
    }
    service->news.newest = mcp_catalog_unref(service->news.newest);
}

void news_done(struct mcp_service *service)
{
    news_forget(service);
    for (unsigned kind = 0; kind < NEWS_KINDS; kind++) {
        loop_timer_cancel(service->services->core.loop, &service->news.windows[kind].timer);
    }
}

void news_resource_updated(void *arg, struct mcp_session *session, struct slice uri)
{
    struct mcp_service *service = arg;
    (void)session;
    cache_updated(&service->services->cache, service, uri);
}

void news_list_changed(void *arg, struct mcp_session *session, const char *kind)
{
    struct mcp_service *service = arg;
    struct loop *loop = service->services->core.loop;
    unsigned at = 0;
    (void)session;
    cache_list_changed(&service->services->cache, service, kind);
    while (at < NEWS_KINDS && strcmp(kind_names[at], kind) != 0) {
        at++;
    }
    if (at == NEWS_KINDS || service->is_removed) {
        return;
    }
    struct news_window *window = &service->news.windows[at];
    if (!window->count || loop_now(loop) - window->since >= WINDOW_US) {
        window->since = loop_now(loop);
        window->count = 0;
    }
    if (++window->count > WINDOW_MAX) {
        loop_timer_set(loop, &window->timer, window->since + WINDOW_US);
        return;
    }
    tell(window);
}
