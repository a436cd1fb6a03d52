-- toolbroker.lua: the daemon's own settings. See toolbroker.conf(5).
--
-- Copy this file into the configuration folder and take out the dashes before what you change;
-- what stands here are the defaults. `toolbrokerd --check` says what is wrong, with the line;
-- SIGHUP takes a changed file over without losing a call, all but `socket`.

return {
  -- socket = "/run/toolbroker/toolbroker.sock",

  log = {
    -- level = "info",       -- debug, info, warn, error
    -- format = "text",      -- or "json": one object a line
  },

  -- locale = "en",          -- language of messages to people when nobody names one; or "es"
  -- drain_ms = 10000,       -- how long calls under way may still take after TERM

  limits = {
    -- inflight = 256,       -- calls at once on one connection
    -- calls = 16384,        -- calls at once in the daemon
    -- connections = 16384,
    -- agent_calls = 0,      -- calls at once of one agent; 0: no limit of its own
    -- peer_calls = 0,       -- calls at once of one client process
    -- agent_rate = "0",     -- calls of one agent in a time: "600/min", "10/s burst 50"
    -- peer_rate = "0",      -- calls of one client process in a time
  },

  store = {
    -- activity_days = 30,   -- for how long records of calls are kept; 0: none are made
    -- activity_rows = 1000000,
    -- database_bytes = 4294967296, -- from then on no new idempotency_key is taken
  },
}
