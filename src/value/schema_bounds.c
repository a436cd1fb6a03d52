/* SPDX-License-Identifier: MIT */
/* schema_bounds.c - the keywords about numbers. */
#include "value/schema_compiler.h"
#include "value/schema_run.h"

static struct schema_numbers *numbers_of(struct schema_draft *d)
{
    if (!d->numbers) {
        d->node->numbers = d->numbers = schema_take(d->c, sizeof *d->numbers);
    }
    return d->numbers;
}

void schema_read_number_limit(struct schema_draft *d, const char *name, struct slice value)
{
    struct pack cursor = pack_over(value);
    struct pack_item item;
    struct schema_number number;
    struct schema_numbers *numbers = numbers_of(d);
    bool is_least = strstr(name, "inimum") != NULL;
    bool is_exclusive = name[0] == 'e';
    if (!numbers || !pack_next(&cursor, &item)) {
        return;
    }
    if (is_exclusive && item.type == PACK_BOOL) {
        *(is_least ? &d->is_above : &d->is_below) = item.b;
        return;
    }
    if (!schema_number_of(&item, &number)) {
        schema_wrong(d, name, "a number");
    } else if (is_least && is_exclusive) {
        numbers->above = number;
        numbers->has_above = true;
    } else if (is_exclusive) {
        numbers->below = number;
        numbers->has_below = true;
    } else if (is_least) {
        numbers->least = number;
        numbers->has_least = true;
    } else {
        numbers->most = number;
        numbers->has_most = true;
    }
}

void schema_read_multiple(struct schema_draft *d, const char *name, struct slice value)
{
    struct pack cursor = pack_over(value);
    struct pack_item item;
    struct schema_numbers *numbers = numbers_of(d);
    struct schema_decimal *multiple = schema_take(d->c, sizeof *multiple);
    if (!numbers || !multiple || !pack_next(&cursor, &item)) {
        return;
    }
    bool is_positive = item.type != PACK_INT && !(item.type == PACK_FLOAT && item.f < 0) &&
                       !(item.type == PACK_EXT && item.text.len && item.text.ptr[0] == '-');
    if (!is_positive || !schema_decimal_of(&item, multiple) || !multiple->digits) {
        schema_wrong(d, name, "a number above 0, of at most 19 digits");
    } else {
        numbers->multiple = multiple;
    }
}

static struct schema_number number_of(int64_t value)
{
    uint64_t size = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    return (struct schema_number){true, value < 0, size, (double)value};
}

static bool is_high_enough(const struct schema_numbers *numbers, int64_t value)
{
    struct schema_number number = number_of(value);
    return (!numbers->has_least || schema_number_compare(&number, &numbers->least) >= 0) &&
           (!numbers->has_above || schema_number_compare(&number, &numbers->above) > 0);
}

static bool is_too_high(const struct schema_numbers *numbers, int64_t value)
{
    struct schema_number number = number_of(value);
    return (numbers->has_most && schema_number_compare(&number, &numbers->most) > 0) ||
           (numbers->has_below && schema_number_compare(&number, &numbers->below) >= 0);
}

/* The first int64_t for which `holds`, which then holds for all above it; false if there is none. */
static bool first_integer(const struct schema_numbers *numbers,
                          bool (*holds)(const struct schema_numbers *numbers, int64_t value),
                          int64_t *ret)
{
    int64_t low = INT64_MIN;
    int64_t high = INT64_MAX;
    while (low < high) {
        int64_t middle = (int64_t)((uint64_t)low + ((uint64_t)high - (uint64_t)low) / 2);
        if (holds(numbers, middle)) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    *ret = low;
    return holds(numbers, low);
}

/* Integers are what is mostly checked: for them the limits become two. */
static void bound_integers(struct schema_numbers *numbers)
{
    int64_t too_high;
    bool has_low = first_integer(numbers, is_high_enough, &numbers->low);
    numbers->high = INT64_MAX;
    if (first_integer(numbers, is_too_high, &too_high)) {
        has_low = has_low && too_high != INT64_MIN;
        numbers->high = too_high == INT64_MIN ? INT64_MIN : too_high - 1;
    }
    if (!has_low || numbers->multiple) {
        numbers->low = 1;
        numbers->high = 0;
    }
}

/* Draft-04 said "exclusiveMinimum": true beside "minimum". */
void schema_finish_numbers(struct schema_draft *d)
{
    struct schema_numbers *numbers = d->numbers;
    if (d->is_above && numbers->has_least) {
        numbers->above = numbers->least;
        numbers->has_above = true;
        numbers->has_least = false;
    }
    if (d->is_below && numbers->has_most) {
        numbers->below = numbers->most;
        numbers->has_below = true;
        numbers->has_most = false;
    }
    bound_integers(numbers);
}
