-- services.lua: the tool servers that agents reach through toolbroker. See toolbroker.conf(5).
--
-- This file is built into the daemon and holds while the configuration folder has no services of
-- its own. Copy it there to change it.
--
-- The seven services of sales automation, reached through Pipedream's MCP endpoint. The daemon's
-- environment names the project:
--     PIPEDREAM_PROJECT_ID     proj_...
--     PIPEDREAM_ENVIRONMENT    development or production
-- Endpoint and headers: https://pipedream.com/docs/connect/mcp/developers (November 2026).

local function pipedream(app, title, description)
  return {
    title = title,
    description = description,
    transport = "http",
    url = "https://remote.mcp.pipedream.net/v3",
    headers = {
      ["x-pd-project-id"] = "${env:PIPEDREAM_PROJECT_ID}",
      ["x-pd-environment"] = "${env:PIPEDREAM_ENVIRONMENT}",
      ["x-pd-external-user-id"] = "${user}",
      ["x-pd-app-slug"] = app,
    },
    auth = { type = "client_credentials", provider = "pipedream" },
    sharing = "per_user",
    tags = { "sales", "pipedream" },

    -- What stands here are the defaults, but for tools and rate; toolbroker.conf(5) has the rest.
    -- limits = { concurrency = 1024, rate = "100/min", queue = 1024 },
    -- retry = { max_attempts = 3, tools = { ["*-list-*"] = { idempotent = true } } },
    -- breaker = { failures = 5, open_ms = 60000 },
    -- quarantine = { faults = 5, first_ms = 30000, max_ms = 1800000 },
    -- health = { interval_s = 300 },
    -- priority = "optional",
  }
end

return {
  sendgrid = pipedream("sendgrid", "SendGrid", "E-mail to customers: sending, contacts, lists."),
  twitter = pipedream("twitter", "X (Twitter)", "Posts, replies and direct messages on X."),
  calendly = pipedream("calendly_v2", "Calendly", "Booking links and the meetings booked by them."),
  google_calendar = pipedream("google_calendar", "Google Calendar", "Events and free times of a calendar."),
  pipedrive = pipedream("pipedrive", "Pipedrive", "Leads, deals and persons in the Pipedrive CRM."),
  salesforce = pipedream("salesforce_rest_api", "Salesforce", "Records of the Salesforce CRM."),
  zoho_crm = pipedream("zoho_crm", "Zoho CRM", "Leads, contacts and deals in Zoho CRM."),
}
