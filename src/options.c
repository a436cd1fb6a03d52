/* SPDX-License-Identifier: MIT */
/* options.c - the daemon's command line and default paths. */
#include "options.h"

#include "base/buf.h"
#include "base/mem.h"

#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static const char usage[] =
    "Usage: toolbrokerd [--config DIR] [--state DIR] [--socket PATH] [--check]\n"
    "\n"
    "Stands between AI agents and the tools they call: speaks MessagePack-RPC to agents on a\n"
    "Unix socket, and the Model Context Protocol to any number of servers.\n"
    "\n"
    "  --config DIR   toolbroker.lua, services.lua, services.d/, policy.lua, mcp.json\n"
    "                 default: $XDG_CONFIG_HOME/toolbroker, for root /etc/toolbroker;\n"
    "                 without any file the built-in services and policy hold\n"
    "  --state DIR    what must survive a restart\n"
    "                 default: $XDG_STATE_HOME/toolbroker, for root /var/lib/toolbroker\n"
    "  --socket PATH  default: $XDG_RUNTIME_DIR/toolbroker/toolbroker.sock,\n"
    "                 else /run/toolbroker/toolbroker.sock\n"
    "  --check        verify settings, services and policy, print every fault, and end:\n"
    "                 exit code 0 when there is none, 1 otherwise\n"
    "  --help, --version\n"
    "\n"
    "Signals: HUP reads the configuration anew, TERM and INT drain and end, a second TERM "
    "ends\n"
    "at once. Exit codes: 0 ended in order, 1 could not start, 2 wrong usage.\n"
    "\n"
    "Examples:\n"
    "  toolbrokerd --check --config ./conf    is this configuration right?\n"
    "  toolbrokerd --config ./conf            serve it, in the foreground\n"
    "  toolbroker status                      ask how it is\n";

static char *path_under(const char *folder, const char *name)
{
    struct buf path;
    buf_init(&path, 65536);
    buf_printf(&path, "%s/%s", folder, name);
    char *copy = mem_dup(slice_of(buf_text(&path)));
    buf_done(&path);
    return copy;
}

static const char *environment(const char *name)
{
    const char *value = getenv(name);
    return value && value[0] == '/' ? value : NULL;
}

/* The XDG variable, else its default under $HOME; for root the system's folder. */
static char *default_folder(const char *xdg, const char *under_home, const char *of_root)
{
    if (geteuid() == 0) {
        return mem_dup(slice_of(of_root));
    }
    if (environment(xdg)) {
        return path_under(environment(xdg), "toolbroker");
    }
    if (environment("HOME")) {
        char *base = path_under(environment("HOME"), under_home);
        char *folder = path_under(base, "toolbroker");
        mem_free(base);
        return folder;
    }
    return mem_dup(slice_of(of_root));
}

char *options_default_socket(void)
{
    return environment("XDG_RUNTIME_DIR")
               ? path_under(environment("XDG_RUNTIME_DIR"), "toolbroker/toolbroker.sock")
               : mem_dup(slice_of("/run/toolbroker/toolbroker.sock"));
}

static void require_folder(const char *path)
{
    struct stat info;
    if (stat(path, &info) != 0 || !S_ISDIR(info.st_mode)) {
        (void)fprintf(stderr, "toolbrokerd: --config %s: no such folder\n", path);
        exit(2);
    }
}

static void set(char **to, const char *value)
{
    mem_free(*to);
    *to = mem_dup(slice_of(value));
}

static void parse(int argc, char **argv, struct options *options)
{
    static const struct option names[] = {
        {"config", required_argument, NULL, 'c'},
        {"state", required_argument, NULL, 's'},
        {"socket", required_argument, NULL, 'S'},
        {"check", no_argument, NULL, 'k'},
        {"help", no_argument, NULL, 'h'},
        {"version", no_argument, NULL, 'v'},
        {NULL, 0, NULL, 0},
    };
    int name;
    while ((name = getopt_long(argc, argv, "", names, NULL)) != -1) {
        switch (name) {
        case 'c':
            set(&options->config_folder, optarg);
            break;
        case 's':
            set(&options->state_folder, optarg);
            break;
        case 'S':
            set(&options->socket, optarg);
            break;
        case 'k':
            options->check = true;
            break;
        case 'h':
            (void)fputs(usage, stdout);
            exit(0);
        case 'v':
            (void)printf("toolbrokerd %s\n", TOOLBROKER_VERSION);
            exit(0);
        default:
            (void)fputs("Try `toolbrokerd --help`.\n", stderr);
            exit(2);
        }
    }
    if (optind < argc) {
        (void)fprintf(stderr, "toolbrokerd: what is `%s`?\nTry `toolbrokerd --help`.\n",
                      argv[optind]);
        exit(2);
    }
}

/* Relative paths are ours, not those of the processes that we start elsewhere. */
static void make_absolute(char **path)
{
    char here[PATH_MAX];
    if (*path && (*path)[0] != '/' && getcwd(here, sizeof here)) {
        char *absolute = path_under(here, *path);
        mem_free(*path);
        *path = absolute;
    }
}

void options_parse(int argc, char **argv, struct options *ret)
{
    struct options options = {0};
    parse(argc, argv, &options);
    if (options.config_folder) {
        require_folder(options.config_folder);
    } else {
        struct stat info;
        options.config_folder = default_folder("XDG_CONFIG_HOME", ".config", "/etc/toolbroker");
        if (stat(options.config_folder, &info) != 0) {
            mem_free(options.config_folder);
            options.config_folder = NULL;
        }
    }
    if (!options.state_folder) {
        options.state_folder =
            default_folder("XDG_STATE_HOME", ".local/state", "/var/lib/toolbroker");
    }
    make_absolute(&options.config_folder);
    make_absolute(&options.state_folder);
    make_absolute(&options.socket);
    *ret = options;
}

void options_done(struct options *options)
{
    mem_free(options->config_folder);
    mem_free(options->state_folder);
    mem_free(options->socket);
}
