/* SPDX-License-Identifier: MIT */
/* main.c - the command-line tool's entry. */
#include "cli/cli.h"

int main(int argc, char **argv)
{
    return cli_main(argc, argv);
}
