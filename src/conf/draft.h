/* SPDX-License-Identifier: MIT */
/*
 * draft.h - a service while it is read: the keys as found, and the configuration they become.
 * Only for conf/.
 *
 * Life:    on the stack of draft_service; the configuration leaves it when nothing was wrong.
 */
#ifndef CONF_DRAFT_H
#define CONF_DRAFT_H

#include "conf/check.h"
#include "conf/service_conf.h"

enum service_key {
#define KEY(name, transport, form, value, text) KEY_##name,
#define LATER(name)
#define AUTH(name, types, secret, text)
#include "conf/service.def"
#undef KEY
#undef LATER
#undef AUTH
    KEY_COUNT
};

struct draft {
    struct check *check; /* inside the key that is being read */
    struct service_conf *conf;
    struct slice raw[KEY_COUNT]; /* values as found, MessagePack; ptr NULL: not there */
    bool may_be_plain;
};

/* Memory of the configuration; NULL, and a fault, when there is no more. */
void *draft_take(struct draft *draft, size_t size);
bool draft_keep(struct draft *draft, struct slice text, struct slice *ret);
const char *draft_keep_text(struct draft *draft, struct slice text); /* terminated */

/* Reads a value with ${...}; false, and a fault, when it is none. `text` need not live. */
bool draft_template(struct draft *draft, struct slice text, enum template_place place,
                    struct template *ret);

/* Readers of single keys, in the files of their nouns. */
void draft_read_command(struct draft *draft, struct slice value);
void draft_read_args(struct draft *draft, struct slice value);
void draft_read_env(struct draft *draft, struct slice value);
void draft_read_cwd(struct draft *draft, struct slice value);
void draft_read_url(struct draft *draft, struct slice value);
void draft_read_ca_file(struct draft *draft, struct slice value);
void draft_read_headers(struct draft *draft, struct slice value);
void draft_read_auth(struct draft *draft, struct slice value);

void draft_read_limits(struct draft *draft, struct slice value);
void draft_read_retry(struct draft *draft, struct slice value);
void draft_read_breaker(struct draft *draft, struct slice value);
void draft_read_quarantine(struct draft *draft, struct slice value);
void draft_read_health(struct draft *draft, struct slice value);

/* The tables of service_part.def; `tool`: what an override has besides the keys of retry. */
enum draft_group {
#define GROUP(name) GROUP_##name,
#define NUMBER(group, name, field, value, min, max, text)
#define OTHER(group, name, form, value, text)
#include "conf/service_part.def"
#undef GROUP
#undef NUMBER
#undef OTHER
};

/* Reads the key if it is a number of the group; else false. `retry`: where to, for numbers of that
 * group which are those of some tools alone; NULL: the service. */
bool draft_read_number(struct draft *draft, enum draft_group group, struct retry_conf *retry,
                       struct slice key, struct slice value);
/* The fault for a key that the group does not have. */
void draft_refuse_part(const struct draft *draft, enum draft_group group, struct slice key);
/* Whether `false` stands in the place of a table. */
bool draft_is_off(struct slice value);
/* A first time that is longer than the longest one: a fault if it is written, else it is cut. */
void draft_order(struct draft *draft, const char *name, bool is_written, uint32_t *first,
                 uint32_t most);

/* Whether a name is an HTTP token. */
bool draft_is_token(struct slice name);

/* The definitions of the service, with and without its secrets. */
void draft_describe(struct draft *draft);

/* Makes a service of the table `value`, which stands at check's path. NULL, and faults, when
 * something is wrong. */
struct service_conf *draft_service(struct check *check, struct slice name, struct slice value);

#endif
