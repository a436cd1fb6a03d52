-- SPDX-License-Identifier: MIT
-- zoho_crm.lua - demo answers of Zoho CRM, as its tools are named behind Pipedream Connect.

local name = { type = "string", minLength = 1 }

local function done(id, message)
  return { data = { { code = "SUCCESS", status = "success", message = message, details = { id = id } } } }
end

demo_answer "zoho_crm" {
  tool        = "zoho_crm-create-object",
  title       = "Create Object",
  description = "Creates a new entry of a module.",
  input       = { type = "object", required = { "module" },
                  properties = { module = name, firstName = { type = "string" }, lastName = { type = "string" },
                                 email = { type = "string" }, additionalData = { type = "object" } } },
  result      = done("demo-5000000001", "record added"),
}

demo_answer "zoho_crm" {
  tool        = "zoho_crm-update-object",
  title       = "Update Object",
  description = "Updates an existing entry of a module.",
  input       = { type = "object", required = { "moduleType", "recordId" },
                  properties = { moduleType = name, recordId = name } },
  result      = function(call) return done(call.arguments.recordId, "record updated") end,
}

demo_answer "zoho_crm" {
  tool        = "zoho_crm-get-object",
  title       = "Get Object",
  description = "Gets one entry of a module.",
  input       = { type = "object", required = { "module", "recordId" }, properties = { module = name, recordId = name } },
  annotations = { readOnlyHint = true },
  result      = function(call)
    return { data = { { id = call.arguments.recordId, First_Name = "Lucía", Last_Name = "Morales",
                        Email = "lucia.morales@example.com", Lead_Status = "Not Contacted" } } }
  end,
}

demo_answer "zoho_crm" {
  tool        = "zoho_crm-list-objects",
  title       = "List Objects",
  description = "Lists entries of a module.",
  input       = { type = "object", required = { "module" }, properties = { module = name, maxResults = { type = "integer" } } },
  annotations = { readOnlyHint = true },
  result      = { data = { { id = "demo-5000000001", Last_Name = "Morales" }, { id = "demo-5000000002", Last_Name = "Ríos" } },
                  info = { count = 2, more_records = false } },
}

demo_answer "zoho_crm" {
  tool        = "zoho_crm-search-objects",
  title       = "Search Objects",
  description = "Retrieves the entries that match the search criteria.",
  input       = { type = "object", required = { "module", "criteria" }, properties = { module = name, criteria = name } },
  annotations = { readOnlyHint = true },
  result      = { data = { { id = "demo-5000000001", First_Name = "Lucía", Last_Name = "Morales" } },
                  info = { count = 1, more_records = false } },
}

demo_answer "zoho_crm" {
  tool        = "zoho_crm-convert-lead",
  title       = "Convert Lead",
  description = "Converts a lead into a contact or an account.",
  input       = { type = "object", required = { "leadId" }, properties = { leadId = name, overwrite = { type = "boolean" } } },
  result      = { data = { { Contacts = "demo-6000000001", Accounts = "demo-7000000001" } } },
}
