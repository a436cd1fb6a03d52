/* SPDX-License-Identifier: MIT */
/* fuzz_schema.c - a schema of a server and a value of an agent, both hostile: two lines of JSON, or
 * of bytes behind a first 0xff. A value fits exactly if there is nothing to say against it. */
#include "base/must.h"
#include "value/json.h"
#include "value/pack.h"
#include "value/schema.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What is refused is refused with its reason. */
static struct schema *compile(struct slice definition)
{
    struct schema *schema = NULL;
    struct err err = {.code = ERR_NONE};
    int result = schema_compile(definition, &schema, &err);
    must((result == 0) == (schema != NULL));
    must(result == 0 || (err.code == ERR_VALIDATION_ERROR && err.text[0]));
    return schema;
}

static void check(const struct schema *schema, struct slice value)
{
    struct schema_faults faults;
    bool is_fit = schema_accepts(schema, value);
    schema_explain(schema, value, "arguments", &faults);
    must(is_fit == (faults.count == 0));
    must(faults.count <= SCHEMA_FAULTS);
    for (unsigned i = 0; i < faults.count; i++) {
        const struct schema_fault *fault = &faults.list[i];
        must(strnlen(fault->field, sizeof fault->field) < sizeof fault->field);
        must(strnlen(fault->expected, sizeof fault->expected) < sizeof fault->expected);
        must(strnlen(fault->received, sizeof fault->received) < sizeof fault->received);
        must(fault->expected[0] && fault->received[0]);
    }
}

/* As it is, whatever it is: nothing in here may rely on an earlier scan. */
static void run_bytes(struct slice bytes)
{
    struct pack cursor = pack_over(bytes);
    struct slice definition;
    if (!pack_take(&cursor, &definition)) {
        must(!compile(bytes));
        return;
    }
    struct schema *schema = compile(definition);
    if (schema) {
        struct slice value = {(const char *)cursor.at, (size_t)(cursor.end - cursor.at)};
        check(schema, value);
        schema_free(schema);
    }
}

static void run_json(struct slice definition, struct slice value)
{
    struct buf pack;
    struct buf value_pack;
    buf_init(&pack, (size_t)1 << 20);
    buf_init(&value_pack, (size_t)1 << 20);
    if (json_to_pack(definition, JSON_DEPTH_MAX, &pack, NULL) == 0 &&
        json_to_pack(value, JSON_DEPTH_MAX, &value_pack, NULL) == 0) {
        struct schema *schema = compile(buf_slice(&pack));
        if (schema) {
            check(schema, buf_slice(&value_pack));
            check(schema, buf_slice(&pack));
            schema_free(schema);
        }
    }
    buf_done(&pack);
    buf_done(&value_pack);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice bytes = {(const char *)data, size};
    if (size && data[0] == 0xff) {
        run_bytes((struct slice){bytes.ptr + 1, size - 1});
        return 0;
    }
    const char *line = size ? memchr(bytes.ptr, '\n', size) : NULL;
    size_t first = line ? (size_t)(line - bytes.ptr) : size;
    struct slice value = {bytes.ptr + first + (line != NULL), size - first - (line != NULL)};
    run_json((struct slice){bytes.ptr, first}, value);
    return 0;
}
