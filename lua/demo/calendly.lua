-- SPDX-License-Identifier: MIT
-- calendly.lua - demo answers of Calendly, as its tools are named behind Pipedream Connect.

local event = {
  uri = "https://api.calendly.com/scheduled_events/demo-e1", name = "Reunión de 30 minutos", status = "active",
  start_time = "2026-12-01T14:00:00Z", end_time = "2026-12-01T14:30:00Z",
  event_type = "https://api.calendly.com/event_types/demo-30",
}

demo_answer "calendly" {
  tool        = "calendly_v2-list-events",
  title       = "List Events",
  description = "Lists scheduled events.",
  input       = { type = "object", properties = { status = { type = "string", enum = { "active", "canceled" } },
                                                  inviteeEmail = { type = "string" }, maxResults = { type = "integer", minimum = 1 } } },
  annotations = { readOnlyHint = true },
  result      = { collection = { event }, pagination = { count = 1 } },
}

demo_answer "calendly" {
  tool        = "calendly_v2-get-event",
  title       = "Get Event",
  description = "Gets information about an event.",
  input       = { type = "object", required = { "eventId" }, properties = { eventId = { type = "string" } } },
  annotations = { readOnlyHint = true },
  result      = { resource = event },
}

demo_answer "calendly" {
  tool        = "calendly_v2-list-event-types",
  title       = "List Event Types",
  description = "Lists the event types that can be booked.",
  annotations = { readOnlyHint = true },
  result      = { collection = { { uri = "https://api.calendly.com/event_types/demo-30", name = "Reunión de 30 minutos",
                                   duration = 30, active = true, scheduling_url = "https://calendly.com/demo/30min" } },
                  pagination = { count = 1 } },
}

demo_answer "calendly" {
  tool        = "calendly_v2-list-event-invitees",
  title       = "List Event Invitees",
  description = "Lists the invitees of an event.",
  input       = { type = "object", required = { "eventId" }, properties = { eventId = { type = "string" } } },
  annotations = { readOnlyHint = true },
  result      = { collection = { { name = "Lucía Morales", email = "lucia.morales@example.com", status = "active" } },
                  pagination = { count = 1 } },
}

demo_answer "calendly" {
  tool        = "calendly_v2-create-scheduling-link",
  title       = "Create a Scheduling Link",
  description = "Creates a single-use scheduling link.",
  input       = { type = "object", required = { "owner" },
                  properties = { owner = { type = "string", minLength = 1 }, maxEventCount = { type = "integer", minimum = 1 } } },
  result      = function(call)
    return { resource = { booking_url = "https://calendly.com/d/demo-link/30min", owner = call.arguments.owner,
                          owner_type = "EventType" } }
  end,
}

demo_answer "calendly" {
  tool        = "calendly_v2-cancel-event",
  title       = "Cancel Event",
  description = "Cancels a scheduled event.",
  input       = { type = "object", required = { "eventId" },
                  properties = { eventId = { type = "string" }, reason = { type = "string" } } },
  annotations = { destructiveHint = true },
  result      = { resource = { canceled_by = "Cuenta de ejemplo", canceler_type = "host" } },
}
