-- SPDX-License-Identifier: MIT
-- pipedrive.lua - demo answers of Pipedrive, as its tools are named behind Pipedream Connect.

local id = { type = { "string", "integer" } }

local function lead(changes)
  local told = { id = "demo-adf21080-0e10-11eb-879b-05d71fb426ec", title = "Lucía Morales", owner_id = 1, is_archived = false,
                 value = { amount = 2500, currency = "EUR" }, add_time = "2026-11-02T10:12:00.000Z" }
  for key, value in pairs(changes) do
    told[key] = value
  end
  return told
end

demo_answer "pipedrive" {
  tool        = "pipedrive-add-lead",
  title       = "Add Lead",
  description = "Creates a new lead in Pipedrive.",
  input       = { type = "object", required = { "title" },
                  properties = { title = { type = "string", minLength = 1 }, personId = id, organizationId = id,
                                 value = { type = { "object", "string" } }, note = { type = "string" } } },
  result      = function(call) return { success = true, data = lead { title = call.arguments.title } } end,
}

demo_answer "pipedrive" {
  tool        = "pipedrive-update-lead",
  title       = "Update Lead",
  description = "Updates a lead in Pipedrive.",
  input       = { type = "object", required = { "leadId" },
                  properties = { leadId = { type = "string", minLength = 1 }, title = { type = "string" },
                                 label = { type = "string" }, labelIds = { type = "array" },
                                 isArchived = { type = "boolean" }, wasSeen = { type = "boolean" } } },
  result      = function(call)
    return { success = true, data = lead { id = call.arguments.leadId, label = call.arguments.label } }
  end,
}

demo_answer "pipedrive" {
  tool        = "pipedrive-search-leads",
  title       = "Search Leads",
  description = "Searches for leads by name or e-mail.",
  input       = { type = "object", required = { "term" },
                  properties = { term = { type = "string", minLength = 1 }, exactMatch = { type = "boolean" } } },
  annotations = { readOnlyHint = true },
  result      = { items = { { result_score = 1.2, item = lead { type = "lead" } } } },
}

demo_answer "pipedrive" {
  tool        = "pipedrive-get-all-leads",
  title       = "Get All Leads",
  description = "Gets all leads.",
  annotations = { readOnlyHint = true },
  result      = { success = true, data = { lead {}, lead { id = "demo-lead-2", title = "Diego Ríos" } } },
}

demo_answer "pipedrive" {
  tool        = "pipedrive-get-lead-by-id",
  title       = "Get Lead by ID",
  description = "Gets a lead by its id.",
  input       = { type = "object", required = { "leadId" }, properties = { leadId = { type = "string" } } },
  annotations = { readOnlyHint = true },
  result      = function(call) return { success = true, data = lead { id = call.arguments.leadId } } end,
}

demo_answer "pipedrive" {
  tool        = "pipedrive-add-person",
  title       = "Add Person",
  description = "Adds a new person.",
  input       = { type = "object", required = { "name" },
                  properties = { name = { type = "string", minLength = 1 }, emails = { type = "array" }, phones = { type = "array" } } },
  result      = function(call) return { success = true, data = { id = 101, name = call.arguments.name } } end,
}

demo_answer "pipedrive" {
  tool        = "pipedrive-add-note",
  title       = "Add Note",
  description = "Adds a note to a lead, a deal, a person or an organization.",
  input       = { type = "object", required = { "content" },
                  properties = { content = { type = "string", minLength = 1 }, leadId = id, dealId = id } },
  result      = { success = true, data = { id = 501, active_flag = true } },
}

demo_answer "pipedrive" {
  tool        = "pipedrive-add-deal",
  title       = "Add Deal",
  description = "Adds a new deal.",
  input       = { type = "object", required = { "title" },
                  properties = { title = { type = "string", minLength = 1 }, value = { type = { "number", "string" } },
                                 currency = { type = "string" } } },
  result      = function(call)
    return { success = true, data = { id = 301, title = call.arguments.title, status = "open", stage_id = 1 } }
  end,
}
