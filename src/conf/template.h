/* SPDX-License-Identifier: MIT */
/* template.h - cutting values with ${...} into pieces. Only for conf/; expanding: service_conf.h. */
#ifndef CONF_TEMPLATE_H
#define CONF_TEMPLATE_H

#include "conf/service_conf.h"

/* `source` and what the pieces need must live as long as the arena. `$${` stands for `${`.
 * ERR_VALIDATION_ERROR on what is no template of ours; ERR_OVERLOADED when the arena is full. */
int template_parse(struct slice source, enum template_place place, struct arena *arena,
                   struct template *ret, struct err *reterr);

bool template_has_user(const struct template *template);
bool template_has_agent(const struct template *template);
bool template_has_text(const struct template *template);
/* The first environment variable in it that is not set, or empty; ptr NULL: none. */
struct slice template_missing_env(const struct template *template);

#endif
