/* SPDX-License-Identifier: MIT */
/* child_processes.h - a loop and the helper that starts processes, anew for each test. */
#ifndef TESTS_UNIT_CHILD_PROCESSES_H
#define TESTS_UNIT_CHILD_PROCESSES_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "loop/child.h"
#include "loop/loop.h"

#include <errno.h>
#include <sys/wait.h>

static struct loop *loop;
static struct children *children;

static inline int set_up(void **state)
{
    (void)state;
    int socket = children_fork_helper();
    assert_true(socket >= 0);
    loop = loop_new();
    children = children_new(loop, socket);
    return 0;
}

static inline int take_down(void **state)
{
    (void)state;
    children_free(children);
    loop_free(loop);
    while (waitpid(-1, NULL, 0) > 0) { /* the helper, and with it everything */
    }
    assert_int_equal(errno, ECHILD);
    return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, take_down)

#endif
