-- SPDX-License-Identifier: MIT
-- decide.lua - the way of one call through the policy: admitted? what do hooks say? carried out
-- where, or does a demo answer stand in? host.decide runs once for every call: it builds no table
-- and no text when the call is admitted.
local host = ...
local policy, codes, hooks = host.policy, host.codes, host.hooks
local roles, operations, demos = policy.roles, policy.operations, policy.demos
local state_of, enter, kind_of, type = host.state, host.enter, host.kind_of, type
local rules = host.admission
local admit, not_linked, disabled = rules.admit, rules.not_linked, rules.disabled

local n = host.numbers
local CALL, DEMO, ANSWER, FAIL, INVALID = n.CALL, n.DEMO, n.ANSWER, n.FAIL, n.INVALID
local USABLE, NO_CREDENTIALS, UNAVAILABLE, DISABLED = n.USABLE, n.NO_CREDENTIALS, n.UNAVAILABLE, n.DISABLED
local BY_POLICY, ONLY = n.DEMO_BY_POLICY, n.DEMO_ONLY
local LEVEL_NO_CREDENTIALS, LEVEL_UNAVAILABLE, LEVEL_ALWAYS = 1, 2, 3 -- of `demo { when = ... }`

-- ---- what stands in -------------------------------------------------------------------------

local function wants_demo(level, state, mode)
    if mode ~= BY_POLICY then
        return mode == ONLY
    end
    if state == NO_CREDENTIALS then
        return level >= LEVEL_NO_CREDENTIALS
    end
    return level == LEVEL_ALWAYS or (state == UNAVAILABLE and level >= LEVEL_UNAVAILABLE)
end

-- DEMO when there is an answer, else nothing. An answer that a function makes is kept by the host.
local function demo_answer(call, service, tool, ...)
    if hooks.demo_answer and enter(n.STAGE_DEMO_HOOK) then
        local verdict = hooks.demo_answer(call)
        if kind_of("demo_answer", verdict, { answer = true }) then
            host.keep_result(verdict.value, true)
            return DEMO, service, tool, nil, ...
        end
    end
    local demo = demos[service]
    demo = demo and demo[tool]
    if not demo then
        return nil
    end
    if demo.id then
        return DEMO, service, tool, demo.id, ...
    end
    if not host.fits(demo.schema) then
        return INVALID, demo.schema
    end
    if not enter(n.STAGE_DEMO_RESULT) then
        return nil -- it failed a moment ago
    end
    local value = demo.make(call)
    host.keep_result(value, true)
    return DEMO, service, tool, nil, ...
end

local function no_demo(service, tool)
    local names = demos[service] and host.shape.sorted_keys(demos[service]) or {}
    return FAIL, codes.NOT_FOUND, "no demo answer for `" .. service .. "/" .. tool .. "`",
        #names > 0 and "There are demo answers for: " .. rules.join(names, 20) .. "." or
        "There are no demo answers for this service.", { "service", service, "tool", tool }
end

-- The arguments of a target: the caller's, a constant, or what its function makes of them. False
-- if the function makes nothing: then this target cannot do it.
local function map_arguments(call, target)
    host.unmap()
    if target.constant then
        host.map_constant(target.constant)
    elseif target.map then
        enter(n.STAGE_ARGUMENTS)
        local made = target.map(host.arguments(), call)
        if not made then
            return false
        elseif type(made) ~= "table" then
            error("the arguments of " .. target.service .. "/" .. target.tool .. " became a " .. type(made), 0)
        end
        host.map(made)
    end
    return true
end

-- The demo answer of the first target that has one and whose service is in such a state.
local function demo_target(call, level, op, from, mode, least)
    for i = from, #op.targets do
        local target = op.targets[i]
        local known = demos[target.service]
        if (hooks.demo_answer or known and known[target.tool]) and
            wants_demo(level, least or state_of(target.service), mode) and map_arguments(call, target) then
            local verdict, a, b, c = demo_answer(call, target.service, target.tool)
            if verdict then
                return verdict, a, b, c, i - 1, true, op.idempotent
            end
        end
    end
end

-- ---- carrying out ---------------------------------------------------------------------------

-- The end of the way for a tool of a service, whoever named it.
local function carry_out(call, level, service, tool, mode)
    local state = state_of(service)
    if mode == ONLY or level == LEVEL_ALWAYS or state ~= USABLE then
        if wants_demo(level, state, mode) then
            local verdict, a, b, c = demo_answer(call, service, tool)
            if verdict then
                return verdict, a, b, c
            end
            if state ~= NO_CREDENTIALS or mode == ONLY or level == LEVEL_ALWAYS then
                return no_demo(service, tool)
            end
            return not_linked(call, service, tool,
                "Link this user's account; there is no demo answer for this tool.")
        end
        if state == NO_CREDENTIALS then
            return not_linked(call, service, tool)
        elseif state == DISABLED then
            return disabled(service)
        end
    end
    return CALL, service, tool
end

local before_verdicts = { allow = true, deny = true, answer = true, rewrite = true, use = true, demo = true }

-- What before_call says: nothing if the call goes on, with its arguments perhaps rewritten.
local function ask_before(call, level, service, tool, mode, op)
    enter(n.STAGE_BEFORE_CALL)
    local verdict = hooks.before_call(call)
    local kind = kind_of("before_call", verdict, before_verdicts)
    if kind == "deny" then
        return FAIL, codes.POLICY_DENIED, verdict.reason, nil, { "rule", "before_call" }
    elseif kind == "answer" then
        host.keep_result(verdict.value, false)
        return ANSWER
    elseif kind == "rewrite" then
        host.rewrite(verdict.arguments)
        if op and not host.fits(op.schema) then
            return INVALID, op.schema
        end
    elseif kind == "use" then
        if verdict.arguments then
            host.rewrite(verdict.arguments)
        end
        return carry_out(call, level, verdict.service, verdict.tool, mode)
    elseif kind == "demo" then
        local given, a, b, c, d, e, f
        if op then
            given, a, b, c, d, e, f = demo_target(call, level, op, 1, ONLY)
        else
            given, a, b, c = demo_answer(call, service, tool)
        end
        if given then
            return given, a, b, c, d, e, f
        end
        return no_demo(service, tool)
    end
end

-- ---- operations -----------------------------------------------------------------------------

local function live_target(call, op, from, wanted)
    for i = from, #op.targets do
        local target = op.targets[i]
        if state_of(target.service) == wanted and map_arguments(call, target) then
            return CALL, target.service, target.tool, nil, i - 1, true, op.idempotent
        end
    end
end

local state_names = { [0] = "not known", "usable", "not linked", "unavailable", "switched off" }

local function no_target(call, op)
    local said, unlinked = {}, nil
    for i, target in ipairs(op.targets) do
        local state = state_of(target.service)
        said[i] = target.service .. " is " .. state_names[state]
        unlinked = unlinked or state == NO_CREDENTIALS and target
    end
    local text = "no service can do `" .. op.name .. "` now: " .. table.concat(said, ", ")
    if unlinked then
        return FAIL, codes.AUTH_REQUIRED, text, "Link an account of " .. rules.who(call.user) ..
            " to one of these services, then call again.",
            { "service", unlinked.service, "tool", op.name }
    end
    return FAIL, codes.UNAVAILABLE, text, nil, { "tool", op.name }
end

local function carry_out_operation(call, level, op, mode)
    if mode ~= ONLY and level ~= LEVEL_ALWAYS then
        local verdict, a, b, c, d, e, f = live_target(call, op, 1, USABLE)
        if verdict then
            return verdict, a, b, c, d, e, f
        end
    end
    local verdict, a, b, c, d, e, f = demo_target(call, level, op, 1, mode)
    if verdict then
        return verdict, a, b, c, d, e, f
    end
    if mode == ONLY or (mode == BY_POLICY and level == LEVEL_ALWAYS) then
        return no_demo(op.targets[1].service, op.targets[1].tool)
    end
    verdict, a, b, c, d, e, f = live_target(call, op, 1, UNAVAILABLE) -- it may be back
    if verdict then
        return verdict, a, b, c, d, e, f
    end
    return no_target(call, op)
end

local function decide_operation(call, role, agent, name, mode)
    local op = operations[name]
    if not op then
        return rules.no_operation(role, agent, name)
    end
    local rule = rules.may_call_operation(role, agent, op)
    if rule ~= true then
        return FAIL, codes.POLICY_DENIED, "agent `" .. agent .. "` may not call operation `" .. name .. "`",
            nil, { "rule", rule, "agent", agent, "tool", name }
    end
    if not host.fits(op.schema) then
        return INVALID, op.schema
    end
    if hooks.before_call then
        local target = op.targets[1]
        local verdict, a, b, c, d, e, f = ask_before(call, role.level, target.service, target.tool, mode, op)
        if verdict then
            return verdict, a, b, c, d, e, f
        end
    end
    return carry_out_operation(call, role.level, op, mode)
end

-- ---- the entries ----------------------------------------------------------------------------

local peer_verdicts = { allow = true, deny = true }

-- True, or why not. Without a hook the socket's own rule holds.
local function ask_peer_may(call, agent)
    enter(n.STAGE_PEER_MAY)
    local verdict = hooks.peer_may(call.peer, agent, call.user)
    local kind = kind_of("peer_may", verdict, peer_verdicts)
    if kind == "deny" then
        return verdict.reason
    end
    return kind == "allow" or (call.peer.trusted or "this peer is not trusted")
end

local function refused_peer(agent, reason)
    return FAIL, codes.POLICY_DENIED, "this peer may not speak as agent `" .. agent .. "`: " .. reason,
        "Run the caller as the daemon's user or in the socket's group, or let `peer_may` allow it.",
        { "rule", "peer_may", "agent", agent }
end

function host.decide(call, agent, service, tool, mode, is_trusted)
    local role = roles[agent]
    if hooks.peer_may and agent ~= "" then
        local may = ask_peer_may(call, agent)
        if may ~= true then
            return refused_peer(agent, may)
        end
    elseif not is_trusted then
        return refused_peer(agent, "it is not trusted")
    end
    if not role then
        return rules.no_agent(agent)
    end
    if not service then
        return decide_operation(call, role, agent, tool, mode)
    end
    local entry = admit(role, service, tool)
    if type(entry) == "string" then
        return rules.refused_tool(role, agent, service, tool, entry)
    end
    if hooks.before_call then
        local verdict, a, b, c, d = ask_before(call, role.level, service, tool, mode)
        if verdict then
            return verdict, a, b, c, d
        end
    end
    return carry_out(call, role.level, service, tool, mode)
end

-- host.decide for what is most of all calls, in a few steps: no hooks, a known agent and tool. It
-- decides nothing by itself that host.decide would decide otherwise.
local decide = host.decide
local function decide_quickly(call, agent, service, tool, mode, is_trusted)
    local role = roles[agent]
    if role and service and is_trusted and mode == BY_POLICY then
        local known = role.memo[service]
        local demo = known and known[tool]
        if demo == true or demo and demo.id then
            local state = state_of(service)
            if state == USABLE and role.level ~= LEVEL_ALWAYS then
                return CALL, service, tool
            elseif state == NO_CREDENTIALS and demo ~= true and role.level > 0 then
                return DEMO, service, tool, demo.id
            end
        end
    end
    return decide(call, agent, service, tool, mode, is_trusted)
end

function host.peer_may(call, agent)
    return ask_peer_may(call, agent) == true
end

host.ways = { demo_answer = demo_answer, demo_target = demo_target, live_target = live_target,
              wants_demo = wants_demo, before_verdicts = before_verdicts, decide_quickly = decide_quickly }
