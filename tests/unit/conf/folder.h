/* SPDX-License-Identifier: MIT */
/* folder.h - a scratch configuration folder for each test, and faults as text without paths. */
#ifndef TESTS_CONF_FOLDER_H
#define TESTS_CONF_FOLDER_H

#include "script/fault.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char folder_name[64];

#define folder_test(test) cmocka_unit_test_setup_teardown(test, folder_make, folder_remove)

static inline const char *folder_path(void)
{
    return folder_name;
}

static inline int folder_make(void **state)
{
    (void)state;
    (void)umask(022);
    (void)snprintf(folder_name, sizeof folder_name, "/tmp/toolbroker-conf-XXXXXX");
    return mkdtemp(folder_name) ? 0 : -1;
}

static inline int folder_remove(void **state)
{
    (void)state;
    char command[128];
    (void)snprintf(command, sizeof command, "rm -rf '%s'", folder_name);
    return system(command);
}

static inline void folder_file(const char *name, char path[256])
{
    (void)snprintf(path, 256, "%s/%s", folder_name, name);
}

static inline void folder_write(const char *name, const char *text)
{
    char path[256];
    folder_file(name, path);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static inline void folder_mode(const char *name, mode_t mode)
{
    char path[256];
    folder_file(name, path);
    assert_int_equal(chmod(path, mode), 0);
}

/* "LINE: TEXT\n" each; files other than the one expected most are named before the line. */
static inline void folder_print(const struct faults *faults, char *out, size_t size)
{
    size_t length = 0;
    out[0] = '\0';
    for (unsigned i = 0; i < faults->kept; i++) {
        int added = snprintf(out + length, size - length, "%d: %s\n", faults->list[i].line,
                             faults->list[i].text);
        assert_true(added > 0 && (size_t)added < size - length);
        length += (size_t)added;
    }
}

#endif
