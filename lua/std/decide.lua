-- SPDX-License-Identifier: MIT
-- decide.lua - the way of one question: admitted? by which rule? carried out where? what stands in?
-- host.decide runs once for every call: it builds no table and no text when the call is admitted.
local host, globals = ...
local policy, codes = host.policy, host.codes
local glob, state_of, enter, kind_of = host.glob, host.state, host.enter, host.kind_of
local type = type

local CALL, DEMO, ANSWER, FAIL, INVALID = 0, 1, 2, 3, 4 -- as in policy_internal.h
local USABLE, NO_CREDENTIALS, UNAVAILABLE, DISABLED = 1, 2, 3, 4
local BY_POLICY, NEVER, ONLY = 0, 1, 2
local LEVEL_NO_CREDENTIALS, LEVEL_UNAVAILABLE, LEVEL_ALWAYS = 1, 2, 3
local STAGE_PEER_MAY, STAGE_BEFORE_CALL, STAGE_DEMO, STAGE_ARGUMENTS, STAGE_ON_FAILURE, STAGE_AFTER =
    1, 2, 3, 4, 5, 6
local MEMO_MAX = 16384

local roles, operations, demos = nil, policy.operations, policy.demos
local hooks = {}
local memo_count = 0

-- ---- refusals -------------------------------------------------------------------------------

local function join(names, most)
    if #names <= most then
        return table.concat(names, ", ")
    end
    return table.concat(names, ", ", 1, most) .. " and " .. #names - most .. " more"
end

local function no_agent(agent)
    if agent == "" then
        return FAIL, codes.INVALID_REQUEST, "no agent was given",
            "Say `agent` in the call, or once in `hello`.", { "field", "agent" }
    end
    local near = host.near(agent, policy.agent_names)
    return FAIL, codes.NOT_FOUND, "no agent `" .. agent .. "` in the policy",
        near and "Did you mean `" .. near .. "`?" or
        "The policy knows these agents: " .. join(policy.agent_names, 20) .. ".",
        { "agent", agent, near and "near" or nil, near }
end

local function refused_tool(role, agent, service, tool, entry)
    local may = "Agent `" .. agent .. "` may use: " .. join(role.services, 20) .. "."
    if entry ~= "services" then
        return FAIL, codes.POLICY_DENIED, "agent `" .. agent .. "` may not call `" .. service .. "/" ..
            tool .. "`", "The rule `" .. entry .. "` of this agent forbids it; ask the operator.",
            { "rule", "agent " .. agent .. ": " .. entry, "agent", agent, "service", service, "tool", tool }
    end
    if state_of(service) == 0 then
        local near = host.near(service, role.services)
        return FAIL, codes.NOT_FOUND, "no service `" .. service .. "`",
            (near and "Did you mean `" .. near .. "`? " or "") .. may, { "service", service, "agent", agent }
    end
    return FAIL, codes.POLICY_DENIED, "agent `" .. agent .. "` may not use service `" .. service .. "`",
        may, { "rule", "agent " .. agent .. ": services", "agent", agent, "service", service }
end

local function who(user)
    return user == "" and "this caller (no user was given)" or "user `" .. user .. "`"
end

local function not_linked(call, service, tool, hint)
    return FAIL, codes.AUTH_REQUIRED, "no credentials of " .. who(call.user) .. " for service `" ..
        service .. "`", hint or "Link this user's account, or set the credentials of the service; then call again.",
        { "service", service, "tool", tool }
end

local function disabled(service)
    return FAIL, codes.DISABLED, "service `" .. service .. "` is switched off", nil, { "service", service }
end

-- ---- admission ------------------------------------------------------------------------------

local function matches(patterns, name)
    for i = 1, #patterns do
        if patterns[i] == name or glob(patterns[i], name) then
            return patterns[i]
        end
    end
end

local function judge(role, name)
    local denied = matches(role.deny, name)
    if denied then
        return "tools.deny " .. denied
    end
    return not role.allow or matches(role.allow, name) ~= nil or "tools.allow"
end

-- What is known of this tool for this role: a text is the rule that forbids it, a table its demo
-- answer, true that it has none. Names come from callers: what is remembered is bounded.
local function admit(role, service, tool)
    local known = role.memo[service]
    local entry = known and known[tool]
    if entry then
        return entry
    end
    entry = matches(role.services, service) and judge(role, service .. "/" .. tool) or "services"
    if entry == true then
        entry = demos[service] and demos[service][tool] or true
    end
    memo_count = memo_count + 1
    if memo_count > MEMO_MAX then
        memo_count = 1
        for _, other in pairs(roles) do
            other.memo = {}
        end
    end
    known = role.memo[service]
    if not known then
        known = {}
        role.memo[service] = known
    end
    known[tool] = entry
    return entry
end

local function is_admitted(role, service, tool)
    return type(admit(role, service, tool)) ~= "string"
end

local function may_call_operation(role, agent, op)
    if not op.exact[agent] and not (op.globs and matches(op.globs, agent)) then
        return "operation " .. op.name .. ": agents"
    end
    local entry = judge(role, op.name)
    return entry == true or "agent " .. agent .. ": " .. entry
end

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
    if hooks.demo_answer and enter(STAGE_DEMO) then
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
    if not enter(STAGE_DEMO) then
        return nil -- it failed a moment ago
    end
    local value = demo.make(call)
    host.keep_result(value, true)
    return DEMO, service, tool, nil, ...
end

local function no_demo(service, tool)
    local names = demos[service] and host.shape.sorted_keys(demos[service]) or {}
    return FAIL, codes.NOT_FOUND, "no demo answer for `" .. service .. "/" .. tool .. "`",
        #names > 0 and "There are demo answers for: " .. join(names, 20) .. "." or
        "There are no demo answers for this service.", { "service", service, "tool", tool }
end

-- The arguments of a target: the caller's, a constant, or what its function makes of them. False
-- if the function makes nothing: then this target cannot do it.
local function map_arguments(call, target)
    host.unmap()
    if target.constant then
        host.map_constant(target.constant)
    elseif target.map then
        enter(STAGE_ARGUMENTS)
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
    enter(STAGE_BEFORE_CALL)
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
        return FAIL, codes.AUTH_REQUIRED, text, "Link an account of " .. who(call.user) ..
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

local function no_operation(role, agent, name)
    if policy.keep_local[name] then
        return FAIL, codes.NOT_FOUND, "`" .. name .. "` stays in the application: it is no tool of the broker",
            "Call the application's own function of that name.",
            { "tool", name, "local", true, "rule", "keep_local" }
    end
    local known = {}
    for _, other in ipairs(policy.operation_names) do
        if may_call_operation(role, agent, operations[other]) == true then
            known[#known + 1] = other
        end
    end
    local near = host.near(name, known)
    return FAIL, codes.NOT_FOUND, "no operation `" .. name .. "`", near and "Did you mean `" .. near .. "`?" or
        "A service's tool is called as `service/tool`; `tools.list` has all that this agent may call.",
        { "tool", name, near and "near" or nil, near }
end

local function decide_operation(call, role, agent, name, mode)
    local op = operations[name]
    if not op then
        return no_operation(role, agent, name)
    end
    local rule = may_call_operation(role, agent, op)
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
    enter(STAGE_PEER_MAY)
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
        return no_agent(agent)
    end
    if not service then
        return decide_operation(call, role, agent, tool, mode)
    end
    local entry = admit(role, service, tool)
    if type(entry) == "string" then
        return refused_tool(role, agent, service, tool, entry)
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

function host.may_use_service(agent, service)
    local role = roles[agent]
    return role and matches(role.services, service) ~= nil
end

function host.may_use_tool(agent, service, tool)
    local role = roles[agent]
    return role and is_admitted(role, service, tool)
end

function host.would_demo(agent, state)
    local role = roles[agent]
    return role and wants_demo(role.level, state, BY_POLICY)
end

-- ---- after a failure ------------------------------------------------------------------------

-- These say that nothing was done: another target of the operation may do it.
local another_target = {}
for _, name in ipairs { "DISABLED", "AUTH_REQUIRED", "AUTH_FAILED", "NOT_FOUND", "RATE_LIMITED",
                        "UNAVAILABLE", "CIRCUIT_OPEN", "QUARANTINED" } do
    another_target[codes[name]] = true
end
-- These do not: only for what may be done twice.
local another_if_idempotent = { [codes.OUTCOME_UNKNOWN] = true, [codes.TIMEOUT] = true }

local demo_state = { [codes.AUTH_REQUIRED] = NO_CREDENTIALS, [codes.UNAVAILABLE] = UNAVAILABLE,
                     [codes.CIRCUIT_OPEN] = UNAVAILABLE, [codes.QUARANTINED] = UNAVAILABLE }

local function another_operation_target(call, role, op, target, code, mode)
    if mode ~= ONLY and (another_target[code] or policy.fallback_on[code] or
        op.idempotent and another_if_idempotent[code]) then
        local verdict, a, b, c, d, e, f = live_target(call, op, target + 2, USABLE)
        if verdict then
            return verdict, a, b, c, d, e, f
        end
    end
    if demo_state[code] then
        return demo_target(call, role.level, op, target + 1, mode, demo_state[code])
    end
end

-- Follows the chain of stand-ins from the service that was tried.
local function stand_in(role, asked, tried, tool, target)
    local service = tried
    for _ = 1, 8 do
        service = policy.fallback_to[service]
        if not service or service == asked or service == tried then
            return nil
        end
        if state_of(service) == USABLE and is_admitted(role, service, tool) then
            return CALL, service, tool, nil, target + 1, false, false
        end
    end
end

local failure_verdicts = { allow = true, answer = true, use = true, demo = true, give_up = true }

local function ask_on_failure(call, role, service, tool, target, failure, mode)
    local verdict = hooks.on_failure(call, failure)
    local kind = kind_of("on_failure", verdict, failure_verdicts)
    if kind == "answer" then
        host.keep_result(verdict.value, false)
        return ANSWER
    elseif kind == "use" then
        if verdict.arguments then
            host.rewrite(verdict.arguments)
        end
        return CALL, verdict.service, verdict.tool, nil, target + 1, false, false
    elseif kind == "demo" then
        return demo_answer(call, service, tool, target + 1)
    end
    return kind == "give_up" and FAIL or nil
end

-- Nothing of the first decision is kept: what before_call forbade or rewrote holds for stand-ins too.
local function may_stand_in(call)
    enter(STAGE_BEFORE_CALL)
    local verdict = hooks.before_call(call)
    local kind = kind_of("before_call", verdict, before_verdicts)
    if kind == "rewrite" then
        host.rewrite(verdict.arguments)
    end
    return kind ~= "deny"
end

-- CALL, DEMO or ANSWER for what stands in; nothing or FAIL leaves the failure as it is.
function host.on_failure(call, agent, asked, service, tool, op_name, target, code, mode, failure)
    local role = roles[agent]
    if not role then
        return nil
    end
    if hooks.before_call and not may_stand_in(call) then
        return nil
    end
    if hooks.on_failure and enter(STAGE_ON_FAILURE) then
        local verdict, a, b, c, d, e, f = ask_on_failure(call, role, service, tool, target, failure(), mode)
        if verdict then
            return verdict, a, b, c, d, e, f
        end
    end
    if op_name then
        return another_operation_target(call, role, operations[op_name], target, code, mode)
    end
    if policy.fallback_on[code] and asked then
        local verdict, a, b, c, d, e, f = stand_in(role, asked, service, tool, target)
        if verdict then
            return verdict, a, b, c, d, e, f
        end
    end
    local state = demo_state[code]
    if state and wants_demo(role.level, state, mode) then
        return demo_answer(call, service, tool, target + 1)
    end
end

local after_verdicts = { allow = true, deny = true, answer = true }

function host.after_call(call, result)
    enter(STAGE_AFTER)
    local verdict = hooks.after_call(call, result)
    local kind = kind_of("after_call", verdict, after_verdicts)
    if kind == "answer" then
        host.keep_result(verdict.value, false)
        return ANSWER
    elseif kind == "deny" then
        return FAIL, codes.POLICY_DENIED, verdict.reason, nil, { "rule", "after_call" }
    end
end

-- ---- lists ----------------------------------------------------------------------------------

local function operations_of(agent)
    local role, names = roles[agent], {}
    for _, name in ipairs(policy.operation_names) do
        if may_call_operation(role, agent, operations[name]) == true then
            names[#names + 1] = name
        end
    end
    return names
end

-- The agent of that name, or of that place in the order of names.
function host.describe_agent(name)
    name = type(name) == "number" and policy.agent_names[name] or name
    local role = roles[name]
    if not role then
        return nil, host.near(name, policy.agent_names)
    end
    local tools
    if role.allow or #role.deny > 0 then
        tools = { allow = role.allow and array(role.allow), deny = #role.deny > 0 and role.deny or nil }
    end
    return { name = name, title = policy.titles[name] or name, description = policy.descriptions[name],
             services = array(role.services), tools = tools, operations = array(operations_of(name)) }
end

function host.put_operations(agent)
    if not roles[agent] then
        return 0
    end
    local names = operations_of(agent)
    for _, name in ipairs(names) do
        host.put_constant(operations[name].definition)
    end
    return #names
end

function host.put_demo_tools(service)
    local known = demos[service]
    local names = known and host.shape.sorted_keys(known) or {}
    for _, tool in ipairs(names) do
        host.put_constant(known[tool].definition)
    end
    return #names
end

function host.has_agent(agent)
    return roles[agent] ~= nil
end

-- ---- hooks ----------------------------------------------------------------------------------

local hook_names = { "peer_may", "before_call", "after_call", "on_failure", "message_for",
                     "on_alert", "suggest", "selftest" }

-- Which hooks there are, once all is loaded. on_alert and suggest are checked, but not asked yet.
function host.settle(found)
    roles = policy.roles
    for _, name in ipairs(hook_names) do
        if found[name] ~= nil and type(found[name]) ~= "function" then
            host.fault(0, "`" .. name .. "` must be a function, not a " .. type(found[name]))
        end
        hooks[name] = found[name]
    end
    if found.demo_answer ~= host.declare_demo_answer then
        hooks.demo_answer = found.demo_answer
    end
    host.hooks = hooks
    if not hooks.peer_may and not hooks.before_call and not hooks.demo_answer then
        host.decide = decide_quickly
    end
    return hooks.after_call ~= nil, hooks.peer_may ~= nil
end
