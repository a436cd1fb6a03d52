/* SPDX-License-Identifier: MIT */
/* services.h - loads the services of the scratch folder, or says what is wrong with them. */
#ifndef TESTS_CONF_SERVICES_H
#define TESTS_CONF_SERVICES_H

#include "base/err.h"
#include "conf/service_conf.h"

#include "folder.h"

static inline struct service_set load(void)
{
    struct faults faults;
    struct service_set set = {0};
    faults_init(&faults);
    int result = service_set_load(folder_path(), &set, &faults);
    if (result != 0) {
        char printed[4096];
        folder_print(&faults, printed, sizeof printed);
        fail_msg("%s", printed);
    }
    assert_int_equal(faults.total, 0);
    faults_done(&faults);
    return set;
}

static inline struct service_set load_lua(const char *text)
{
    folder_write("services.lua", text);
    return load();
}

static inline const char *fault_of_folder(void)
{
    static char printed[32768];
    struct faults faults;
    struct service_set set = {0};
    faults_init(&faults);
    assert_int_equal(service_set_load(folder_path(), &set, &faults), -ERR_VALIDATION_ERROR);
    assert_null(set.list);
    folder_print(&faults, printed, sizeof printed);
    faults_done(&faults);
    return printed;
}

static inline const char *fault_of(const char *text)
{
    folder_write("services.lua", text);
    return fault_of_folder();
}

#endif
