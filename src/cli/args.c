/* SPDX-License-Identifier: MIT */
/* args.c - from argv to struct args, by the tables of command.c. */
#include "cli/command.h"

#include "base/mem.h"
#include "base/text.h"

#include <stdio.h>
#include <string.h>

#define WORDS_MAX (2u + OPERANDS_MAX)

/* The words that are no options, in order. */
struct words {
    const char *list[WORDS_MAX];
    unsigned count;
};

static int unknown_option(struct slice name, struct err *reterr)
{
    struct slice best = {NULL, 0};
    unsigned distance = TEXT_FAR;
    for (unsigned i = 0; i < OPTION_COUNT; i++) {
        text_nearest(name, slice_of(options[i].name), &best, &distance);
    }
    if (best.len) {
        return err_set(reterr, ERR_INVALID_REQUEST,
                       "there is no option --%.*s; did you mean --%.*s?", SLICE_ARG(name),
                       SLICE_ARG(best));
    }
    return err_set(reterr, ERR_INVALID_REQUEST, "there is no option --%.*s", SLICE_ARG(name));
}

static int set_option(struct args *args, unsigned id, const char *value, struct err *reterr)
{
    if (id == OPTION_ARG) {
        args->arguments[args->argument_count++] = value;
    } else if (args->values[id] && *options[id].value) {
        return err_set(reterr, ERR_INVALID_REQUEST, "--%s is given twice", options[id].name);
    }
    args->values[id] = value;
    return 0;
}

/* argv[*at] is "--name", "--name=value", "-h" or "-V". */
static int take_option(struct args *args, int argc, char *const *argv, int *at,
                       struct err *reterr)
{
    const char *word = argv[*at];
    if (strcmp(word, "-h") == 0 || strcmp(word, "-V") == 0) {
        return set_option(args, word[1] == 'h' ? OPTION_HELP : OPTION_VERSION, "", reterr);
    }
    if (word[1] != '-') {
        return err_set(reterr, ERR_INVALID_REQUEST, "there is no option %s", word);
    }
    const char *name = word + 2;
    const char *equals = strchr(name, '=');
    struct slice key = {name, equals ? (size_t)(equals - name) : strlen(name)};
    for (unsigned id = 0; id < OPTION_COUNT; id++) {
        if (!slice_is(key, options[id].name)) {
            continue;
        }
        if (!*options[id].value) {
            return equals ? err_set(reterr, ERR_INVALID_REQUEST, "--%s takes no value",
                                    options[id].name)
                          : set_option(args, id, "", reterr);
        }
        if (!equals && *at + 1 >= argc) {
            return err_set(reterr, ERR_INVALID_REQUEST, "--%s needs a value: %s",
                           options[id].name, options[id].value);
        }
        return set_option(args, id, equals ? equals + 1 : argv[++*at], reterr);
    }
    return unknown_option(key, reterr);
}

static int take_words(struct args *args, int argc, char *const *argv, struct words *ret,
                      struct err *reterr)
{
    bool only_words = false;
    for (int at = 1; at < argc; at++) {
        const char *word = argv[at];
        if (!only_words && strcmp(word, "--") == 0) {
            only_words = true;
        } else if (!only_words && word[0] == '-' && word[1]) {
            int failed = take_option(args, argc, argv, &at, reterr);
            if (failed) {
                return failed;
            }
        } else if (ret->count == WORDS_MAX) {
            return err_set(reterr, ERR_INVALID_REQUEST, "too many words: %s", word);
        } else {
            ret->list[ret->count++] = word;
        }
    }
    return 0;
}

static int unknown_command(const char *first, struct err *reterr)
{
    struct slice best = {NULL, 0};
    unsigned distance = TEXT_FAR;
    for (unsigned i = 0; i < command_count; i++) {
        struct slice word = {commands[i].name, strcspn(commands[i].name, " ")};
        text_nearest(slice_of(first), word, &best, &distance);
    }
    if (best.len) {
        return err_set(reterr, ERR_INVALID_REQUEST,
                       "there is no command %s; did you mean %.*s?", first, SLICE_ARG(best));
    }
    return err_set(reterr, ERR_INVALID_REQUEST, "there is no command %s", first);
}

/* "policy" and "polcy check" alike: says which commands the first word has. */
static int incomplete_command(const struct words *words, struct err *reterr)
{
    char list[160] = "";
    const char *first = words->list[0];
    size_t len = strlen(first);
    for (unsigned i = 0; i < command_count; i++) {
        const char *name = commands[i].name;
        if (strncmp(name, first, len) == 0 && name[len] == ' ' &&
            strlen(list) + strlen(name) + 3 < sizeof list) {
            size_t at = strlen(list);
            (void)snprintf(list + at, sizeof list - at, "%s%s", at ? ", " : "", name);
        }
    }
    return *list
               ? err_set(reterr, ERR_INVALID_REQUEST, "%s needs a second word: %s", first, list)
               : unknown_command(first, reterr);
}

static int check_command(const struct args *args, struct err *reterr)
{
    const struct command *command = args->command;
    if (args_has(args, OPTION_HELP) || args_has(args, OPTION_VERSION)) {
        return 0;
    }
    for (unsigned id = 0; id < OPTION_COUNT; id++) {
        if (args->values[id] && !command_takes(command, (enum option_id)id)) {
            return err_set(reterr, ERR_INVALID_REQUEST, "%s takes no --%s", command->name,
                           options[id].name);
        }
    }
    if (args->operand_count < command->operands_min) {
        return err_set(reterr, ERR_INVALID_REQUEST, "%s needs %s", command->name,
                       command->operands);
    }
    if (args->operand_count > command->operands_max) {
        return err_set(reterr, ERR_INVALID_REQUEST, "%s: one word too many: %s", command->name,
                       args->operands[command->operands_max]);
    }
    return 0;
}

int args_parse(int argc, char *const *argv, struct args *ret, struct err *reterr)
{
    struct words words = {.count = 0};
    *ret = (struct args){.command = NULL};
    ret->arguments = mem_new((size_t)argc * sizeof *ret->arguments);
    int failed = take_words(ret, argc, argv, &words, reterr);
    if (failed || words.count == 0) {
        return failed;
    }
    const struct command *command =
        command_find(words.list[0], words.count > 1 ? words.list[1] : NULL);
    if (!command) {
        /* `toolbroker policy --help` is a fair question. */
        struct buf ignored;
        buf_init(&ignored, 65536);
        bool is_group = args_has(ret, OPTION_HELP) && help_put_group(words.list[0], &ignored);
        buf_done(&ignored);
        ret->operands[0] = words.list[0];
        ret->operand_count = 1;
        return is_group ? 0 : incomplete_command(&words, reterr);
    }
    ret->command = command;
    unsigned used = strchr(command->name, ' ') ? 2 : 1;
    for (unsigned i = used; i < words.count && ret->operand_count < OPERANDS_MAX; i++) {
        ret->operands[ret->operand_count++] = words.list[i];
    }
    return check_command(ret, reterr);
}

void args_done(struct args *args)
{
    mem_free(args->arguments);
    args->arguments = NULL;
}
