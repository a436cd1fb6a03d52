-- SPDX-License-Identifier: MIT
-- google_calendar.lua - demo answers of Google Calendar, as its tools are named behind Pipedream
-- Connect.

local date = { type = "string", minLength = 10 }

local function event(arguments, id)
  return { id = id or "demo-event-1", status = "confirmed", summary = arguments.summary or "Reunión",
           location = arguments.location, description = arguments.description,
           htmlLink = "https://calendar.google.com/calendar/event?eid=demo",
           start = { dateTime = arguments.eventStartDate or "2026-12-01T11:00:00-03:00" },
           ["end"] = { dateTime = arguments.eventEndDate or "2026-12-01T11:30:00-03:00" } }
end

demo_answer "google_calendar" {
  tool        = "google_calendar-create-event",
  title       = "Create Event",
  description = "Creates an event in a calendar.",
  input       = { type = "object", required = { "eventStartDate", "eventEndDate" },
                  properties = { calendarId = { type = "string" }, summary = { type = "string" },
                                 eventStartDate = date, eventEndDate = date, location = { type = "string" },
                                 description = { type = "string" },
                                 attendees = { type = { "string", "array" } }, timeZone = { type = "string" } } },
  result      = function(call) return event(call.arguments) end,
}

demo_answer "google_calendar" {
  tool        = "google_calendar-quick-add-event",
  title       = "Quick Add Event",
  description = "Creates an event from a sentence.",
  input       = { type = "object", required = { "text" },
                  properties = { text = { type = "string", minLength = 1 }, calendarId = { type = "string" } } },
  result      = function(call) return event { summary = call.arguments.text } end,
}

demo_answer "google_calendar" {
  tool        = "google_calendar-list-events",
  title       = "List Events",
  description = "Lists events of a calendar.",
  input       = { type = "object", properties = { calendarId = { type = "string" }, timeMin = { type = "string" },
                                                  timeMax = { type = "string" }, q = { type = "string" },
                                                  maxResults = { type = "integer", minimum = 1 } } },
  annotations = { readOnlyHint = true },
  result      = { kind = "calendar#events", summary = "Agenda de ejemplo",
                  items = { event({ summary = "Reunión de equipo" }, "demo-event-2"),
                            event({ summary = "Llamada con un cliente", eventStartDate = "2026-12-02T16:00:00-03:00",
                                    eventEndDate = "2026-12-02T16:30:00-03:00" }, "demo-event-3") } },
}

demo_answer "google_calendar" {
  tool        = "google_calendar-get-event",
  title       = "Get Event",
  description = "Gets one event of a calendar.",
  input       = { type = "object", required = { "eventId" },
                  properties = { calendarId = { type = "string" }, eventId = { type = "string" } } },
  annotations = { readOnlyHint = true },
  result      = function(call) return event({}, call.arguments.eventId) end,
}

demo_answer "google_calendar" {
  tool        = "google_calendar-update-event",
  title       = "Update Event",
  description = "Changes an event of a calendar.",
  input       = { type = "object", required = { "eventId" },
                  properties = { calendarId = { type = "string" }, eventId = { type = "string" },
                                 summary = { type = "string" }, eventStartDate = date, eventEndDate = date } },
  result      = function(call) return event(call.arguments, call.arguments.eventId) end,
}

demo_answer "google_calendar" {
  tool        = "google_calendar-delete-event",
  title       = "Delete Event",
  description = "Deletes an event of a calendar.",
  input       = { type = "object", required = { "eventId" },
                  properties = { calendarId = { type = "string" }, eventId = { type = "string" } } },
  annotations = { destructiveHint = true },
  result      = "Demo: evento eliminado.",
}

demo_answer "google_calendar" {
  tool        = "google_calendar-list-calendars",
  title       = "List Calendars",
  description = "Lists the calendars of the account.",
  annotations = { readOnlyHint = true },
  result      = { items = { { id = "primary", summary = "Agenda de ejemplo", timeZone = "America/Montevideo", primary = true } } },
}

demo_answer "google_calendar" {
  tool        = "google_calendar-query-free-busy-calendars",
  title       = "Query Free/Busy",
  description = "Returns when calendars are busy.",
  input       = { type = "object", properties = { timeMin = { type = "string" }, timeMax = { type = "string" },
                                                  calendarIds = { type = "array", items = { type = "string" } } } },
  annotations = { readOnlyHint = true },
  result      = { calendars = { primary = { busy = { { start = "2026-12-01T14:00:00Z", ["end"] = "2026-12-01T14:30:00Z" } } } } },
}
