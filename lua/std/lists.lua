-- SPDX-License-Identifier: MIT
-- lists.lua - the same rules for lists: what an agent may see, agents and tools in words.
local host = ...
local policy = host.policy
local roles, operations, demos = policy.roles, policy.operations, policy.demos
local rules = host.admission
local is_admitted, matches, may_call_operation = rules.is_admitted, rules.matches, rules.may_call_operation
local wants_demo, BY_POLICY = host.ways.wants_demo, host.numbers.DEMO_BY_POLICY

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

