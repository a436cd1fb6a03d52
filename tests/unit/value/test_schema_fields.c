/* SPDX-License-Identifier: MIT */
/* test_schema_fields.c - properties by name in any order, and short texts, against plain rules. */
#include "value/schema.h"
#include "value_test.h"

#include <string.h>

#define FIELDS_MAX 24
#define NAME_BYTES 40

struct field {
    char name[NAME_BYTES];
    size_t len;
    bool is_property, is_required;
};

static struct random dice = {0x9e3779b97f4a7c15u};

static unsigned roll(unsigned sides)
{
    return (unsigned)(random_next(&dice) % sides);
}

static struct slice name_of(const struct field *field)
{
    return (struct slice){field->name, field->len};
}

/* Names that are hard to tell apart: all of one letter but for one byte somewhere. */
static void make_name(struct field *field)
{
    static const size_t lengths[] = {0, 1, 4, 7, 8, 9, 12, 15, 16, 17, 24, 33, 39};
    field->len = lengths[roll(sizeof lengths / sizeof *lengths)];
    memset(field->name, 'a', sizeof field->name);
    if (field->len) {
        field->name[roll((unsigned)field->len)] = (char)('a' + roll(4));
    }
}

static const struct field *find(const struct field *fields, unsigned count, struct slice name)
{
    for (unsigned i = 0; i < count; i++) {
        if (slice_equal(name_of(&fields[i]), name)) {
            return &fields[i];
        }
    }
    return NULL;
}

static unsigned make_fields(struct field *fields)
{
    unsigned wanted = roll(FIELDS_MAX);
    unsigned count = 0;
    for (unsigned tries = 0; count < wanted && tries < 200; tries++) {
        struct field *field = &fields[count];
        make_name(field);
        field->is_property = roll(8) != 0;
        field->is_required = !field->is_property || roll(3) == 0;
        count += find(fields, count, name_of(field)) == NULL;
    }
    return count;
}

/* Each property wants its own number, so that it matters which one is found. */
static struct schema *compile(const struct field *fields, unsigned count, bool is_closed)
{
    struct buf out;
    struct schema *schema;
    struct err err;
    uint32_t properties = 0;
    uint32_t required = 0;
    for (unsigned i = 0; i < count; i++) {
        properties += fields[i].is_property;
        required += fields[i].is_required;
    }
    buf_init(&out, TEST_BYTES_MAX);
    pack_put_map(&out, 3);
    pack_put_text(&out, "additionalProperties");
    pack_put_bool(&out, !is_closed);
    pack_put_text(&out, "properties");
    pack_put_map(&out, properties);
    for (unsigned i = 0; i < count; i++) {
        if (fields[i].is_property) {
            pack_put_str(&out, name_of(&fields[i]));
            pack_put_map(&out, 1);
            pack_put_key_int(&out, "const", i);
        }
    }
    pack_put_text(&out, "required");
    pack_put_array(&out, required);
    for (unsigned i = 0; i < count; i++) {
        if (fields[i].is_required) {
            pack_put_str(&out, name_of(&fields[i]));
        }
    }
    if (schema_compile(buf_slice(&out), &schema, &err) != 0) {
        fail_msg("%s", err.text);
    }
    buf_done(&out);
    return schema;
}

struct member {
    struct field name; /* only the name */
    unsigned value;
};

/* Some of the fields, in their order or not, with a wrong value or a strange name at times. */
static unsigned make_members(const struct field *fields, unsigned count, struct member *members)
{
    unsigned made = 0;
    unsigned skip = roll(3) == 0 ? 3 : 50;
    bool has_errors = roll(2) == 0;
    for (unsigned i = 0; i < count; i++) {
        if (roll(skip) != 0) {
            members[made].name = fields[i];
            members[made++].value = has_errors && roll(20) == 0 ? roll(count) : i;
        }
    }
    if (has_errors && roll(2) == 0) {
        make_name(&members[made].name);
        const struct field *same = find(fields, count, name_of(&members[made].name));
        members[made++].value = same ? (unsigned)(same - fields) : 0;
    }
    if (roll(2) == 0) {
        for (unsigned i = made; i > 1; i--) {
            unsigned other = roll(i);
            struct member swapped = members[i - 1];
            members[i - 1] = members[other];
            members[other] = swapped;
        }
    }
    return made;
}

static bool should_fit(const struct field *fields, unsigned count, bool is_closed,
                       const struct member *members, unsigned made)
{
    bool seen[FIELDS_MAX] = {false};
    for (unsigned i = 0; i < made; i++) {
        const struct field *field = find(fields, count, name_of(&members[i].name));
        if (field) {
            seen[field - fields] = true;
        }
        if (field && field->is_property ? members[i].value != (unsigned)(field - fields)
                                        : is_closed) {
            return false;
        }
    }
    for (unsigned i = 0; i < count; i++) {
        if (fields[i].is_required && !seen[i]) {
            return false;
        }
    }
    return true;
}

static void properties_are_found_by_name_in_any_order(void **state)
{
    (void)state;
    unsigned fits = 0;
    unsigned misfits = 0;
    for (int round = 0; round < 2000; round++) {
        struct field fields[FIELDS_MAX];
        struct member members[FIELDS_MAX + 1];
        unsigned count = make_fields(fields);
        bool is_closed = roll(3) == 0;
        struct schema *schema = compile(fields, count, is_closed);
        for (int n = 0; n < 20; n++) {
            struct buf value;
            unsigned made = make_members(fields, count, members);
            buf_init(&value, TEST_BYTES_MAX);
            pack_put_map(&value, made);
            for (unsigned i = 0; i < made; i++) {
                pack_put_str(&value, name_of(&members[i].name));
                pack_put_uint(&value, members[i].value);
            }
            bool wanted = should_fit(fields, count, is_closed, members, made);
            assert_int_equal(schema_accepts(schema, buf_slice(&value)), wanted);
            fits += wanted;
            misfits += !wanted;
            buf_done(&value);
        }
        schema_free(schema);
    }
    assert_true(fits > 5000 && misfits > 5000);
}

/* ---- texts ------------------------------------------------------------------------------------ */

static const char *const letters[] = {"a", "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80"};

/* The text as an own value and as a member, with the shortest header and with a longer one. */
static void check_text(const struct schema *schema, const struct schema *object,
                       struct slice text, bool wanted)
{
    for (int i = 0; i < 4; i++) {
        struct buf value;
        buf_init(&value, 4096);
        if (i & 1) {
            pack_put_map(&value, 1);
            pack_put_text(&value, "a");
        }
        if (i & 2) {
            buf_put_byte(&value, 0xda);
            buf_put_byte(&value, 0);
            buf_put_byte(&value, (uint8_t)text.len);
            buf_put_slice(&value, text);
        } else {
            pack_put_str(&value, text);
        }
        assert_int_equal(schema_accepts(i & 1 ? object : schema, buf_slice(&value)), wanted);
        assert_false(
            schema_accepts(i & 1 ? object : schema, (struct slice){value.data, value.len - 1}));
        buf_done(&value);
    }
}

static struct schema *compile_text(const char *type, int least, int most, bool is_member)
{
    char text[256];
    struct schema *schema;
    (void)snprintf(text, sizeof text, "%s{\"type\":%s,\"minLength\":%d,\"maxLength\":%d}%s",
                   is_member ? "{\"type\":\"object\",\"properties\":{\"a\":" : "", type, least,
                   most, is_member ? "}}" : "");
    struct buf pack = pack_of(text);
    assert_int_equal(schema_compile(buf_slice(&pack), &schema, NULL), 0);
    buf_done(&pack);
    return schema;
}

static void check_texts(const char *type, int least, int most)
{
    bool may_be_text = strstr(type, "string") != NULL;
    struct schema *alone = compile_text(type, least, most, false);
    struct schema *member = compile_text(type, least, most, true);
    for (int count = 0; count <= 40; count++) {
        for (size_t letter = 0; letter < sizeof letters / sizeof *letters; letter++) {
            struct buf text;
            buf_init(&text, 4096);
            buf_put(&text, "", 0);
            for (int i = 0; i < count; i++) {
                buf_put_text(&text, letters[i % 2 ? letter : 0]);
            }
            struct slice slice = text.len ? buf_slice(&text) : SLICE("");
            check_text(alone, member, slice, may_be_text && count >= least && count <= most);
            buf_done(&text);
        }
    }
    schema_free(alone);
    schema_free(member);
}

static void texts_are_as_long_as_they_must_be(void **state)
{
    static const char *const types[] = {"\"string\"", "\"integer\"", "[\"null\",\"string\"]"};
    static const int limits[] = {0, 1, 2, 3, 7, 8, 9, 30, 31, 32, 33, 1000};
    const size_t count = sizeof limits / sizeof *limits;
    (void)state;
    for (size_t type = 0; type < sizeof types / sizeof *types; type++) {
        for (size_t i = 0; i < count * count; i++) {
            check_texts(types[type], limits[i / count], limits[i % count]);
        }
    }
}

/* What else a schema says of a text holds for short ones too. */
static void short_texts_are_looked_at_where_they_must_be(void **state)
{
    static const struct {
        const char *schema, *fits, *does_not;
    } cases[] = {
        {"{\"properties\":{\"a\":{\"const\":\"x\"}}}", "{\"a\":\"x\"}", "{\"a\":\"y\"}"},
        {"{\"properties\":{\"a\":{\"enum\":[\"x\",\"y\"]}}}", "{\"a\":\"y\"}", "{\"a\":\"z\"}"},
        {"{\"properties\":{\"a\":{\"not\":{\"type\":\"string\"}}}}", "{\"a\":1}",
         "{\"a\":\"\"}"},
        {"{\"properties\":{\"a\":{\"allOf\":[{\"maxLength\":1}]}}}", "{\"a\":\"x\"}",
         "{\"a\":\"xy\"}"},
        {"{\"properties\":{\"a\":{\"$ref\":\"#/$defs/"
         "b\"}},\"$defs\":{\"b\":{\"type\":\"null\"}}}",
         "{\"a\":null}", "{\"a\":\"x\"}"},
        {"{\"properties\":{\"a\":false}}", "{\"b\":\"x\"}", "{\"a\":\"x\"}"},
        {"{\"additionalProperties\":false,\"properties\":{\"a\":true}}", "{\"a\":\"x\"}",
         "{\"b\":\"x\"}"},
        {"{\"additionalProperties\":{\"type\":\"string\"}}", "{\"a\":\"x\"}", "{\"a\":1}"},
        {"{\"required\":[\"a\"],\"additionalProperties\":{\"type\":\"integer\"}}", "{\"a\":1}",
         "{\"a\":\"x\"}"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct buf pack = pack_of(cases[i].schema);
        struct buf fits = pack_of(cases[i].fits);
        struct buf does_not = pack_of(cases[i].does_not);
        struct schema *schema;
        assert_int_equal(schema_compile(buf_slice(&pack), &schema, NULL), 0);
        assert_true(schema_accepts(schema, buf_slice(&fits)));
        assert_false(schema_accepts(schema, buf_slice(&does_not)));
        schema_free(schema);
        buf_done(&pack);
        buf_done(&fits);
        buf_done(&does_not);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(properties_are_found_by_name_in_any_order),
        cmocka_unit_test(texts_are_as_long_as_they_must_be),
        cmocka_unit_test(short_texts_are_looked_at_where_they_must_be),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
