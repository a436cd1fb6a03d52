/* SPDX-License-Identifier: MIT */
/* explain.c - VALIDATION_ERROR for arguments that do not fit the schema of what was called. */
#include "policy/policy_internal.h"

#include "value/pack.h"

static void put_fault(struct buf *out, const struct schema_fault *fault)
{
    pack_put_map(out, 3);
    pack_put_key_text(out, "field", fault->field);
    pack_put_key_text(out, "expected", fault->expected);
    pack_put_key_text(out, "received", fault->received);
}

void policy_explain(const struct schema *schema, struct slice arguments,
                    struct failure *failure)
{
    struct schema_faults faults = {0};
    schema_explain(schema, arguments, "arguments", &faults);
    const struct schema_fault *first = &faults.list[0];
    failure_set(failure, ERR_VALIDATION_ERROR, "%s must be %s, not %s", first->field,
                first->expected, first->received);
    failure_detail_text(failure, "field", first->field);
    failure_detail_text(failure, "expected", first->expected);
    failure_detail_text(failure, "received", first->received);
    struct buf errors;
    buf_init(&errors, FAILURE_DETAILS_BYTES);
    pack_put_array(&errors, faults.count);
    for (unsigned i = 0; i < faults.count; i++) {
        put_fault(&errors, &faults.list[i]);
    }
    failure_detail_pack(failure, "errors", buf_slice(&errors));
    buf_done(&errors);
}
