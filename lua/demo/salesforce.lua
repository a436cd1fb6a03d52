-- SPDX-License-Identifier: MIT
-- salesforce.lua - demo answers of Salesforce, as its tools are named behind Pipedream Connect.

local name = { type = "string", minLength = 1 }

demo_answer "salesforce" {
  tool        = "salesforce_rest_api-create-lead",
  title       = "Create Lead",
  description = "Creates a lead.",
  input       = { type = "object", required = { "LastName", "Company" },
                  properties = { FirstName = { type = "string" }, LastName = name, Company = name, Email = { type = "string" } } },
  result      = { id = "00Q000000000001AAA", success = true, errors = array {} },
}

demo_answer "salesforce" {
  tool        = "salesforce_rest_api-create-record",
  title       = "Create Record",
  description = "Creates a record of any object type.",
  input       = { type = "object", required = { "sobjectType" },
                  properties = { sobjectType = name, fields = { type = "object" } } },
  result      = { id = "a00000000000001AAA", success = true, errors = array {} },
}

demo_answer "salesforce" {
  tool        = "salesforce_rest_api-update-record",
  title       = "Update Record",
  description = "Updates a record of any object type. Only the given fields change.",
  input       = { type = "object", required = { "sobjectType", "recordId" },
                  properties = { sobjectType = name, recordId = name, fields = { type = "object" } } },
  result      = function(call)
    return { success = true, objectType = call.arguments.sobjectType, recordId = call.arguments.recordId }
  end,
}

demo_answer "salesforce" {
  tool        = "salesforce_rest_api-find-records",
  title       = "Find Records",
  description = "Retrieves records of an object type.",
  input       = { type = "object", required = { "sobjectType" },
                  properties = { sobjectType = name, ids = { type = "array" }, fields = { type = "array" } } },
  annotations = { readOnlyHint = true },
  result      = { records = { { Id = "00Q000000000001AAA", Name = "Lucía Morales", Company = "Ejemplo S.A.", Status = "Open" } } },
}

demo_answer "salesforce" {
  tool        = "salesforce_rest_api-soql-query",
  title       = "SOQL Query",
  description = "Runs a SOQL query.",
  input       = { type = "object", required = { "query" }, properties = { query = name } },
  annotations = { readOnlyHint = true },
  result      = { totalSize = 1, done = true,
                  records = { { Id = "00Q000000000001AAA", Name = "Lucía Morales", Status = "Open" } } },
}

demo_answer "salesforce" {
  tool        = "salesforce_rest_api-create-opportunity",
  title       = "Create Opportunity",
  description = "Creates an opportunity.",
  input       = { type = "object", required = { "Name", "StageName", "CloseDate" },
                  properties = { Name = name, StageName = name, CloseDate = name, Amount = { type = { "number", "string" } } } },
  result      = { id = "006000000000001AAA", success = true, errors = array {} },
}

demo_answer "salesforce" {
  tool        = "salesforce_rest_api-create-task",
  title       = "Create Task",
  description = "Creates a task.",
  input       = { type = "object", required = { "Subject" },
                  properties = { Subject = name, Status = { type = "string" }, ActivityDate = { type = "string" } } },
  result      = { id = "00T000000000001AAA", success = true, errors = array {} },
}
