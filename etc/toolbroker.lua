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
  },
}
