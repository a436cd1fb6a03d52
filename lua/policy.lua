-- SPDX-License-Identifier: MIT
-- policy.lua - the default policy. A policy.lua in the configuration folder replaces it, and may
-- begin with `include "default"` to build upon it.

agent "coordinator"        { title = "Coordinator",        services = { "sendgrid", "twitter" } }
agent "meeting_scheduler"  { title = "Meeting Scheduler",  services = { "calendly", "google_calendar" } }
agent "lead_administrator" { title = "Lead Administrator", services = { "pipedrive", "salesforce", "zoho_crm" },
                             tools = { deny = { "*/*delete*" } } }

-- Local functions of the application, now tools: the first usable service does it, the next ones
-- stand in.
operation "mark_lead_as_contacted" {
  title       = "Mark a lead as contacted",
  description = "Notes in the CRM that somebody has spoken with this lead.",
  agents = { "lead_administrator" },
  input  = { type = "object", required = { "lead_id" },
             properties = { lead_id = { type = "string", minLength = 1, description = "The lead's id in the CRM." } } },
  targets = {
    { service = "pipedrive",  tool = "pipedrive-update-lead",
      arguments = function(a) return { leadId = a.lead_id, label = "contacted" } end },
    { service = "salesforce", tool = "salesforce_rest_api-update-record",
      arguments = function(a) return { sobjectType = "Lead", recordId = a.lead_id, fields = { Status = "Contacted" } } end },
    { service = "zoho_crm",   tool = "zoho_crm-update-object",
      arguments = function(a) return { moduleType = "Leads", recordId = a.lead_id, Lead_Status = "Contacted" } end },
  },
  idempotent = true,
}

operation "schedule_meeting_for_lead" {
  title       = "Schedule a meeting with a lead",
  description = "Puts a meeting with this lead into the calendar and invites the lead.",
  agents = { "meeting_scheduler" },
  input  = { type = "object", required = { "lead_email", "start", "end" },
             properties = {
               lead_email = { type = "string", minLength = 3, description = "Who is invited." },
               start      = { type = "string", minLength = 10, description = "RFC 3339, as 2026-11-21T09:00:00-03:00." },
               ["end"]    = { type = "string", minLength = 10, description = "RFC 3339." },
               title      = { type = "string", description = "What the meeting is called." },
               notes      = { type = "string", description = "What it is about." },
               event_type = { type = "string", description = "Calendly: the event type, if a link is to be offered instead." },
             } },
  targets = {
    { service = "google_calendar", tool = "google_calendar-create-event",
      arguments = function(a)
        return { summary = a.title or "Meeting", description = a.notes, eventStartDate = a.start,
                 eventEndDate = a["end"], attendees = a.lead_email }
      end },
    -- Calendly lets the lead choose; without an event type there is nothing to choose from.
    { service = "calendly", tool = "calendly_v2-create-scheduling-link",
      arguments = function(a) return a.event_type and { owner = a.event_type, maxEventCount = 1 } end },
  },
}

keep_local { "create_lead_in_database" }      -- stays in the application; asking for it here says so

demo     { when = "no_credentials", agents = "*" }        -- never | no_credentials | unavailable | always
fallback { on = { "UNAVAILABLE", "CIRCUIT_OPEN", "QUARANTINED" }, to = { salesforce = "pipedrive" } }
locale   "es"

include "messages"
include "demo/sendgrid"
include "demo/twitter"
include "demo/calendly"
include "demo/google_calendar"
include "demo/pipedrive"
include "demo/salesforce"
include "demo/zoho_crm"
