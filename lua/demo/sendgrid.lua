-- SPDX-License-Identifier: MIT
-- sendgrid.lua - demo answers of SendGrid, as its tools are named behind Pipedream Connect.

local email = { type = "string", minLength = 3 }

demo_answer "sendgrid" {
  tool        = "sendgrid-send-email-single-recipient",
  title       = "Send Email Single Recipient",
  description = "Sends a personalized e-mail to the specified recipient.",
  input       = { type = "object", required = { "fromEmail", "toEmail", "subject" },
                  properties = { fromEmail = email, fromName = { type = "string" }, toEmail = email,
                                 toName = { type = "string" }, subject = { type = "string" },
                                 content = { type = "string" } } },
  result      = { content = { { type = "text", text = "Demo: correo electrónico aceptado para su envío (202)." } },
                  structuredContent = { status = 202, messageId = "demo-9f2c1e7a4b", accepted = true } },
}

demo_answer "sendgrid" {
  tool        = "sendgrid-send-email-multiple-recipients",
  title       = "Send Email Multiple Recipients",
  description = "Sends a personalized e-mail to multiple specified recipients.",
  input       = { type = "object", required = { "fromEmail", "subject" },
                  properties = { fromEmail = email, fromName = { type = "string" },
                                 personalizations = { type = { "array", "string" } },
                                 subject = { type = "string" }, content = { type = "string" } } },
  result      = { content = { { type = "text", text = "Demo: correos electrónicos aceptados para su envío (202)." } },
                  structuredContent = { status = 202, messageId = "demo-3a77d0c512", accepted = true } },
}

demo_answer "sendgrid" {
  tool        = "sendgrid-add-or-update-contact",
  title       = "Add or Update Contact",
  description = "Adds or updates a contact.",
  input       = { type = "object", required = { "email" },
                  properties = { email = email, firstName = { type = "string" }, lastName = { type = "string" },
                                 listIds = { type = "array", items = { type = "string" } } } },
  result      = { job_id = "demo-2f6f1a0e-6a8b-4a51-9a57-0c8a4cf3f0b1" },
}

demo_answer "sendgrid" {
  tool        = "sendgrid-search-contacts",
  title       = "Search Contacts",
  description = "Searches contacts with a SGQL query.",
  input       = { type = "object", properties = { query = { type = "string" } } },
  annotations = { readOnlyHint = true },
  result      = { contact_count = 2, result = {
                    { id = "demo-c1", email = "lucia.morales@example.com", first_name = "Lucía", last_name = "Morales" },
                    { id = "demo-c2", email = "diego.rios@example.com", first_name = "Diego", last_name = "Ríos" } } },
}

demo_answer "sendgrid" {
  tool        = "sendgrid-get-contact-lists",
  title       = "Get Contact Lists",
  description = "Gets all of your contact lists.",
  input       = { type = "object", properties = { numberOfLists = { type = "integer", minimum = 1 } } },
  annotations = { readOnlyHint = true },
  result      = { result = { { id = "demo-l1", name = "Clientes", contact_count = 128 },
                             { id = "demo-l2", name = "Prospectos", contact_count = 42 } } },
}

demo_answer "sendgrid" {
  tool        = "sendgrid-validate-email",
  title       = "Validate Email",
  description = "Validates an e-mail address.",
  input       = { type = "object", required = { "email" }, properties = { email = email } },
  annotations = { readOnlyHint = true },
  result      = function(call)
    local valid = call.arguments.email:contains("@")
    return { email = call.arguments.email, verdict = valid and "Valid" or "Invalid", score = valid and 0.93 or 0.02 }
  end,
}
