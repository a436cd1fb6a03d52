/* SPDX-License-Identifier: MIT */
/* schema_meta.c - the metaschemas of the two dialects, which schemas refer to by their URIs. What they
 * say about valid schemas is all here; titles, comments, defaults and formats are not. */
#include "value/schema_compiler.h"

#define LATEST "https://json-schema.org/draft/2020-12/"
#define DRAFT7 "http://json-schema.org/draft-07/schema"

/* A resource of 2020-12; each extends the others at the anchor "meta". */
#define META(name) "\"$id\":\"" LATEST name "\",\"$dynamicAnchor\":\"meta\","

#define SCHEMAS    "{\"type\":\"object\",\"additionalProperties\":{\"$dynamicRef\":\"#meta\"}}"
#define SCHEMA     "{\"$dynamicRef\":\"#meta\"}"
#define SOME       "{\"type\":\"array\",\"minItems\":1,\"items\":{\"$dynamicRef\":\"#meta\"}}"
#define PROPERTY   "\"type\":[\"object\",\"boolean\"],\"properties\":{"
#define TEXT       "{\"type\":\"string\"}"
#define FLAG       "{\"type\":\"boolean\"}"
#define COUNT      "{\"type\":\"integer\",\"minimum\":0}"
#define NAMES      "{\"type\":\"array\",\"items\":{\"type\":\"string\"},\"uniqueItems\":true}"
#define TYPES \
    "{\"enum\":[\"array\",\"boolean\",\"integer\",\"null\",\"number\",\"object\",\"string\"]}"
#define TYPE                                                     \
    "{\"anyOf\":[" TYPES ",{\"type\":\"array\",\"items\":" TYPES \
    ",\"minItems\":1,\"uniqueItems\":true}]}"

#define ANCHOR     "{\"type\":\"string\",\"pattern\":\"^[A-Za-z_][-A-Za-z0-9._]*$\"}"
#define NO_ANCHOR  "{\"type\":\"string\",\"pattern\":\"^[^#]*#?$\"}"
#define VOCABULARY "{\"type\":\"object\",\"additionalProperties\":{\"type\":\"boolean\"}}"

/* Strings are no longer than any compiler takes. */
static const char latest[] = "{" META(
    "schema") "\"$schema\":\"" LATEST "schema\",\"allOf\":["
              "{\"$ref\":\"meta/core\"},{\"$ref\":\"meta/applicator\"},{\"$ref\":\"meta/"
              "unevaluated\"},"
              "{\"$ref\":\"meta/validation\"},{\"$ref\":\"meta/meta-data\"},"
              "{\"$ref\":\"meta/format-annotation\"},{\"$ref\":\"meta/content\"}]," PROPERTY
              "\"definitions\":" SCHEMAS ",\"dependencies\":{\"type\":\"object\","
              "\"additionalProperties\":{\"anyOf\":[" SCHEMA "," NAMES "]}},"
              "\"$recursiveAnchor\":" ANCHOR ",\"$recursiveRef\":" TEXT "},"
              "\"$defs\":{"
              "\"core\":{" META("meta/core") PROPERTY
    "\"$id\":" NO_ANCHOR ",\"$schema\":" TEXT ",\"$ref\":" TEXT ",\"$anchor\":" ANCHOR
    ",\"$dynamicRef\":" TEXT ",\"$dynamicAnchor\":" ANCHOR ",\"$vocabulary\":" VOCABULARY
    ",\"$comment\":" TEXT ",\"$defs\":" SCHEMAS "}},"
    "\"applicator\":{" META("meta/applicator") PROPERTY
    "\"prefixItems\":" SOME ",\"items\":" SCHEMA ",\"contains\":" SCHEMA
    ",\"additionalProperties\":" SCHEMA ",\"properties\":" SCHEMAS
    ",\"patternProperties\":" SCHEMAS ",\"dependentSchemas\":" SCHEMAS
    ",\"propertyNames\":" SCHEMA ",\"if\":" SCHEMA ",\"then\":" SCHEMA ",\"else\":" SCHEMA
    ",\"allOf\":" SOME ",\"anyOf\":" SOME ",\"oneOf\":" SOME ",\"not\":" SCHEMA "}},";

static const char latest_rest[] = "\"unevaluated\":{" META("meta/unevaluated") PROPERTY
    "\"unevaluatedItems\":" SCHEMA ",\"unevaluatedProperties\":" SCHEMA "}},"
    "\"validation\":{" META("meta/validation") PROPERTY
    "\"type\":" TYPE ",\"const\":true,\"enum\":{\"type\":\"array\"},"
    "\"multipleOf\":{\"type\":\"number\",\"exclusiveMinimum\":0},"
    "\"maximum\":{\"type\":\"number\"},\"exclusiveMaximum\":{\"type\":\"number\"},"
    "\"minimum\":{\"type\":\"number\"},\"exclusiveMinimum\":{\"type\":\"number\"},"
    "\"maxLength\":" COUNT ",\"minLength\":" COUNT ",\"pattern\":" TEXT ",\"maxItems\":" COUNT
    ",\"minItems\":" COUNT ",\"uniqueItems\":" FLAG ",\"maxContains\":" COUNT
    ",\"minContains\":" COUNT ",\"maxProperties\":" COUNT ",\"minProperties\":" COUNT
    ",\"required\":" NAMES ",\"dependentRequired\":{\"type\":\"object\","
    "\"additionalProperties\":" NAMES "}}},"
    "\"meta-data\":{" META("meta/meta-data") PROPERTY
    "\"title\":" TEXT ",\"description\":" TEXT ",\"default\":true,\"deprecated\":" FLAG
    ",\"readOnly\":" FLAG ",\"writeOnly\":" FLAG ",\"examples\":{\"type\":\"array\"}}},"
    "\"format-annotation\":{" META("meta/format-annotation") PROPERTY
    "\"format\":" TEXT "}},"
    "\"content\":{" META("meta/content") PROPERTY
    "\"contentEncoding\":" TEXT ",\"contentMediaType\":" TEXT ",\"contentSchema\":" SCHEMA
    "}}}}";

#define SELF      "{\"$ref\":\"#\"}"
#define SELVES    "{\"type\":\"object\",\"additionalProperties\":" SELF "}"
#define SELF_SOME "{\"type\":\"array\",\"minItems\":1,\"items\":" SELF "}"

static const char draft7[] =
    "{\"$id\":\"" DRAFT7 "#\",\"$schema\":\"" DRAFT7 "#\"," PROPERTY "\"$id\":" TEXT
    ",\"$schema\":" TEXT ",\"$ref\":" TEXT ",\"$comment\":" TEXT ",\"title\":" TEXT
    ",\"description\":" TEXT ",\"default\":true,\"readOnly\":" FLAG ",\"writeOnly\":" FLAG
    ",\"examples\":{\"type\":\"array\"},"
    "\"multipleOf\":{\"type\":\"number\",\"exclusiveMinimum\":0},"
    "\"maximum\":{\"type\":\"number\"},\"exclusiveMaximum\":{\"type\":\"number\"},"
    "\"minimum\":{\"type\":\"number\"},\"exclusiveMinimum\":{\"type\":\"number\"},"
    "\"maxLength\":" COUNT ",\"minLength\":" COUNT ",\"pattern\":" TEXT
    ",\"additionalItems\":" SELF ",\"items\":{\"anyOf\":[" SELF "," SELF_SOME "]},"
    "\"maxItems\":" COUNT ",\"minItems\":" COUNT ",\"uniqueItems\":" FLAG ",\"contains\":" SELF
    ",\"maxProperties\":" COUNT ",\"minProperties\":" COUNT ",\"required\":" NAMES
    ",\"additionalProperties\":" SELF ",\"definitions\":" SELVES ",\"properties\":" SELVES
    ",\"patternProperties\":" SELVES
    ",\"dependencies\":{\"type\":\"object\",\"additionalProperties\":{\"anyOf\":[" SELF
    "," NAMES "]}},\"propertyNames\":" SELF ",\"const\":true,\"enum\":{\"type\":\"array\"},"
    "\"type\":" TYPE ",\"format\":" TEXT ",\"contentMediaType\":" TEXT
    ",\"contentEncoding\":" TEXT ",\"if\":" SELF ",\"then\":" SELF ",\"else\":" SELF
    ",\"allOf\":" SELF_SOME ",\"anyOf\":" SELF_SOME ",\"oneOf\":" SELF_SOME ",\"not\":" SELF
    "}}";

bool schema_meta(struct slice uri, struct buf *out)
{
    if (slice_starts(uri, LATEST)) {
        buf_put_text(out, latest);
        buf_put_text(out, latest_rest);
        return true;
    }
    if (slice_is(uri, DRAFT7)) {
        buf_put_text(out, draft7);
        return true;
    }
    return false;
}
