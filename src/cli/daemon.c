/* SPDX-License-Identifier: MIT */
/* daemon.c - `daemon info`, `daemon ping` and `daemon shutdown`. */
#include "cli/cli.h"
#include "cli/view.h"

#include "value/pack.h"

#include <inttypes.h>

int run_daemon_info(struct cli *cli)
{
    struct slice info;
    int code = cli_call(cli, "daemon.info", NULL, CLI_TIMEOUT_MS, &info);
    if (code != EXIT_FINE || cli->is_json) {
        return code == EXIT_FINE ? cli_put_json(cli, info) : code;
    }
    put_tree(&cli->out, info, 0);
    return EXIT_FINE;
}

int run_daemon_ping(struct cli *cli)
{
    int64_t us;
    if (tb_ping(cli->client, CLI_TIMEOUT_MS, &us) != TB_OK) {
        return cli_fail(cli);
    }
    if (cli->is_json) {
        buf_printf(&cli->out, "{\"ok\":true,\"us\":%" PRId64 "}\n", us);
    } else {
        buf_printf(&cli->out, "the daemon at %s answered in %.3f ms\n",
                   tb_client_socket(cli->client), (double)us / 1000);
    }
    return EXIT_FINE;
}

int run_daemon_shutdown(struct cli *cli)
{
    struct slice result;
    int code = cli_call(cli, "daemon.shutdown", NULL, CLI_TIMEOUT_MS, &result);
    if (code != EXIT_FINE || cli->is_json) {
        return code == EXIT_FINE ? cli_put_json(cli, result) : code;
    }
    buf_put_text(&cli->out, "the daemon ends; calls under way may finish first\n");
    return EXIT_FINE;
}
