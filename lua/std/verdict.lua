-- SPDX-License-Identifier: MIT
-- verdict.lua - what a hook may answer: a closed set, made by these functions and nothing else.
local host, globals = ...
local leave = host.leave

local kind = {} -- only these files know this key
local allow, demo, give_up = { [kind] = "allow" }, { [kind] = "demo" }, { [kind] = "give_up" }
host.demo_verdict = demo

function globals.allow()
    return allow
end

function globals.give_up()
    return give_up
end

function globals.deny(reason)
    if reason ~= nil and type(reason) ~= "string" then
        error("deny(reason) wants a text", 2)
    end
    return { [kind] = "deny", reason = reason or "denied" }
end

function globals.answer(value)
    if type(value) ~= "string" and type(value) ~= "table" then
        error("answer(value) wants a text or a table", 2)
    end
    return { [kind] = "answer", value = value }
end

function globals.rewrite(arguments)
    if type(arguments) ~= "table" then
        error("rewrite(arguments) wants a table", 2)
    end
    return { [kind] = "rewrite", arguments = arguments }
end

function globals.use(service, tool, arguments)
    if type(service) ~= "string" or type(tool) ~= "string" or service == "" or tool == "" or
        (arguments ~= nil and type(arguments) ~= "table") then
        error("use(service, tool, arguments) wants two names, and perhaps a table", 2)
    end
    return { [kind] = "use", service = service, tool = tool, arguments = arguments }
end

-- The kind of a hook's answer, nil for no opinion. What is no verdict, or none for this hook,
-- is an error of the hook. What comes from here on is our own again.
function host.kind_of(hook, verdict, allowed)
    leave()
    if verdict == nil then
        return nil
    end
    local found = type(verdict) == "table" and verdict[kind]
    if not found then
        error(hook .. " returned a " .. type(verdict) .. ", which is no verdict", 0)
    end
    if not allowed[found] then
        error(hook .. " returned " .. found .. "(), which is no verdict there", 0)
    end
    return found
end
