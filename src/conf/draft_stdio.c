/* SPDX-License-Identifier: MIT */
/* draft_stdio.c - the keys of a service that is a child process: command, args, env, cwd. */
#include "conf/draft.h"

#include "value/pack.h"

#include <string.h>

#define ARGUMENTS_MAX   1024u
#define ENVIRONMENT_MAX 256u

/* ---- command and arguments --------------------------------------------------------------- */

struct arguments {
    struct draft *draft;
    size_t count;
};

/* `$${` becomes `${`, anything else with ${ is refused. */
static const char *plain_text(struct draft *draft, struct slice text)
{
    struct template template;
    if (!draft_template(draft, text, TEMPLATE_IN_ENV, &template)) {
        return NULL;
    }
    char *plain = draft_take(draft, text.len + 1);
    size_t length = 0;
    for (size_t i = 0; plain && i < template.count; i++) {
        const struct template_piece *piece = &template.pieces[i];
        if (piece->kind != TEMPLATE_TEXT) {
            check_fault(draft->check,
                        "%s: templates are not supported in a command line, which other users "
                        "can read: hand the value over in env",
                        draft->check->path);
            return NULL;
        }
        memcpy(plain + length, piece->text.ptr, piece->text.len);
        length += piece->text.len;
    }
    if (plain) {
        plain[length] = '\0';
    }
    return plain;
}

static void read_argument(void *arg, struct check *check, struct slice key, struct slice value)
{
    struct arguments *arguments = arg;
    struct draft *draft = arguments->draft;
    struct slice text;
    (void)key;
    bool is_program = arguments->count == 0;
    if (is_program ? check_text(check, value, false, &text)
                   : check_string(check, value, false, &text)) {
        draft->conf->argv[arguments->count] = plain_text(draft, text);
    }
    arguments->count++;
}

static void read_arguments(struct draft *draft, struct slice list, size_t first)
{
    struct arguments arguments = {draft, first};
    (void)check_each_item(draft->check, list, read_argument, &arguments);
}

/* argv is made here for `args` too: the keys are read in the order of service.def. */
void draft_read_command(struct draft *draft, struct slice value)
{
    struct check *check = draft->check;
    bool is_list = pack_peek(pack_over(value)) == PACK_ARRAY;
    size_t count = is_list ? check_count(value) : 1 + check_count(draft->raw[KEY_args]);
    if (is_list && draft->raw[KEY_args].ptr) {
        check_fault(check, "%s is a list that holds the arguments: args cannot stand beside it",
                    check->path);
        return;
    }
    if (count == 0 || count > ARGUMENTS_MAX) {
        check_fault(check, "%s and its arguments must be 1 to %u texts", check->path,
                    ARGUMENTS_MAX);
        return;
    }
    draft->conf->argv = draft_take(draft, (count + 1) * sizeof *draft->conf->argv);
    if (!draft->conf->argv) {
        return;
    }
    memset(draft->conf->argv, 0, (count + 1) * sizeof *draft->conf->argv);
    struct slice text;
    if (is_list) {
        read_arguments(draft, value, 0);
    } else if (check_text(check, value, false, &text)) {
        draft->conf->argv[0] = plain_text(draft, text);
    }
}

void draft_read_args(struct draft *draft, struct slice value)
{
    if (draft->conf->argv) {
        read_arguments(draft, value, 1);
    }
}

/* ---- environment and folder -------------------------------------------------------------- */

static void read_variable(void *arg, struct check *check, struct slice key, struct slice value)
{
    struct draft *draft = arg;
    struct template_pair *pair = &draft->conf->env[draft->conf->env_count];
    struct slice text;
    if (key.len == 0 || memchr(key.ptr, '=', key.len) || memchr(key.ptr, '\0', key.len)) {
        check_fault(check, "%s: an environment variable's name is not empty and holds no `=`",
                    check->path);
    } else if (check_string(check, value, true, &text) && draft_keep(draft, key, &pair->name) &&
               draft_template(draft, text, TEMPLATE_IN_ENV, &pair->value)) {
        draft->conf->env_count++;
    }
}

void draft_read_env(struct draft *draft, struct slice value)
{
    struct service_conf *conf = draft->conf;
    uint32_t count = check_count(value);
    if (count > ENVIRONMENT_MAX) {
        check_fault(draft->check, "%s has more than %u variables", draft->check->path,
                    ENVIRONMENT_MAX);
        return;
    }
    conf->env = draft_take(draft, (count + 1) * sizeof *conf->env);
    if (conf->env) {
        (void)check_each_key(draft->check, value, read_variable, draft);
    }
}

void draft_read_cwd(struct draft *draft, struct slice value)
{
    struct slice text;
    if (!check_text(draft->check, value, false, &text)) {
        return;
    }
    if (text.ptr[0] != '/') {
        check_fault(draft->check, "%s must be an absolute path, not \"%.*s\"",
                    draft->check->path, SLICE_ARG(text));
        return;
    }
    draft->conf->cwd = plain_text(draft, text);
}
