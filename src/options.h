/* SPDX-License-Identifier: MIT */
/* options.h - the daemon's command line, and the paths that follow from it (design section 2). */
#ifndef OPTIONS_H
#define OPTIONS_H

#include <stdbool.h>

struct options {
    char *config_folder; /* NULL: there is none, built-in defaults hold */
    char *state_folder;
    char *socket; /* NULL: as toolbroker.lua says, else options_default_socket */
    bool check;
};

/* Parses, or prints and exits: --help and --version with 0, a mistake with 2. */
void options_parse(int argc, char **argv, struct options *ret);
void options_done(struct options *options);

char *options_default_socket(void);

#endif
