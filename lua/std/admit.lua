-- SPDX-License-Identifier: MIT
-- admit.lua - who may call what, by the declared rules, and what is said to who may not.
local host = ...
local policy, codes = host.policy, host.codes
local roles, operations, demos = policy.roles, policy.operations, policy.demos
local glob, state_of, type = host.glob, host.state, type

local FAIL, UNKNOWN = host.numbers.FAIL, host.numbers.UNKNOWN
local MEMO_MAX = 16384
local memo_count = 0

-- ---- rules ----------------------------------------------------------------------------------

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
    if state_of(service) == UNKNOWN then
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

host.admission = {
    matches = matches, admit = admit, is_admitted = is_admitted, may_call_operation = may_call_operation,
    join = join, who = who, no_agent = no_agent, refused_tool = refused_tool, not_linked = not_linked,
    disabled = disabled, no_operation = no_operation,
}
