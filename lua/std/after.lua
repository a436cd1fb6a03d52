-- SPDX-License-Identifier: MIT
-- after.lua - after a call: what stands in for one that failed, what becomes of a result.
local host = ...
local policy, codes, hooks = host.policy, host.codes, host.hooks
local roles, operations = policy.roles, policy.operations
local state_of, enter, kind_of = host.state, host.enter, host.kind_of
local is_admitted = host.admission.is_admitted
local ways = host.ways
local demo_answer, demo_target, live_target = ways.demo_answer, ways.demo_target, ways.live_target
local wants_demo, before_verdicts = ways.wants_demo, ways.before_verdicts

local n = host.numbers
local CALL, ANSWER, FAIL = n.CALL, n.ANSWER, n.FAIL
local USABLE, NO_CREDENTIALS, UNAVAILABLE, ONLY = n.USABLE, n.NO_CREDENTIALS, n.UNAVAILABLE, n.DEMO_ONLY

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
    enter(n.STAGE_BEFORE_CALL)
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
    if hooks.on_failure and enter(n.STAGE_ON_FAILURE) then
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
    enter(n.STAGE_AFTER_CALL)
    local verdict = hooks.after_call(call, result)
    local kind = kind_of("after_call", verdict, after_verdicts)
    if kind == "answer" then
        host.keep_result(verdict.value, false)
        return ANSWER
    elseif kind == "deny" then
        return FAIL, codes.POLICY_DENIED, verdict.reason, nil, { "rule", "after_call" }
    end
end

