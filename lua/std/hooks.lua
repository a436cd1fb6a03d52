-- SPDX-License-Identifier: MIT
-- hooks.lua - which of the operator's functions there are, once all is loaded.
local host = ...
local hooks, roles = host.hooks, host.policy.roles

local hook_names = { "peer_may", "before_call", "after_call", "on_failure", "message_for",
                     "on_alert", "suggest", "selftest" }

-- What is decided without them is the same for all agents of a role, and C remembers it.
local function number_roles()
    local numbers, count = {}, 0
    for agent, role in pairs(roles) do
        if not numbers[role] then
            count = count + 1
            numbers[role] = count
        end
        host.remember(agent, numbers[role])
    end
end

-- on_alert and suggest are checked, but not asked yet.
function host.settle(found)
    for _, name in ipairs(hook_names) do
        if found[name] ~= nil and type(found[name]) ~= "function" then
            host.fault(0, "`" .. name .. "` must be a function, not a " .. type(found[name]))
        end
        hooks[name] = found[name]
    end
    if found.demo_answer ~= host.declare_demo_answer then
        hooks.demo_answer = found.demo_answer
    end
    if not hooks.peer_may and not hooks.before_call and not hooks.demo_answer then
        host.decide = host.ways.decide_quickly
        number_roles()
    end
    return hooks.after_call ~= nil, hooks.peer_may ~= nil
end
