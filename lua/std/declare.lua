-- SPDX-License-Identifier: MIT
-- declare.lua - the sentences of a policy: agent, operation, keep_local, demo, demo_answer,
-- fallback, locale, message. They only record what is said and what is wrong with it.
local host, globals = ...
local shape = host.shape

-- Everything a policy says. Rules are shared by all agents that have the same ones.
local policy = {
    rules = {}, titles = {}, descriptions = {}, places = {}, -- by agent
    operations = {}, keep_local = {}, demos = {}, demo_rules = {},
    fallback_on = {}, fallback_to = {}, messages = {}, locale = nil,
    roles = {}, -- by agent, once all is said
}
host.policy = policy
host.hooks = {}

local shared_rules = {}

local function declaring()
    if not host.is_loading() then
        error("declarations are made while the policy is loaded, not by a hook", 3)
    end
    return host.where()
end

-- What an included file said may be said anew; within one's own files once is enough.
local function may_declare(place, what, before)
    if before and not host.may_replace(place, before) then
        host.fault(place, what .. " is declared twice, first at " .. host.place_text(before))
        return false
    end
    return true
end

local function named(place, what, name)
    if type(name) == "string" and name ~= "" and #name <= 200 then
        return true
    end
    host.fault(place, what .. ' wants a name: ' .. what .. ' "name" { ... }')
    return false
end

-- ---- agents ---------------------------------------------------------------------------------

local agent_fields = { title = "text", description = "text", services = "texts!", tools = "table" }
local tool_fields = { allow = "texts", deny = "texts" }

local function is_agent_fine(place, what, told)
    if not shape.check(place, what, told, agent_fields) then
        return false
    end
    return told.tools == nil or shape.check(place, what .. ": tools", told.tools, tool_fields)
end

-- Rules are kept in lists of our own: what the operator's functions do to theirs changes no rule.
local function copy(list)
    return list and table.move(list, 1, #list, 1, {})
end

local function rules_of(told)
    local tools = told.tools or {}
    local rules = { services = shape.list(told.services),
                    allow = tools.allow and shape.list(tools.allow),
                    deny = shape.list(tools.deny or {}) }
    local id, why = host.intern(rules)
    if not id then
        return nil, why
    end
    shared_rules[id] = shared_rules[id] or
        { services = copy(rules.services), allow = copy(rules.allow), deny = copy(rules.deny) }
    return shared_rules[id]
end

function globals.agent(name)
    local place = declaring()
    local is_named = named(place, "agent", name)
    return function(told)
        local what = "agent " .. tostring(name)
        if not is_agent_fine(place, what, told) or not is_named or
            not may_declare(place, what, policy.places[name]) then
            return
        end
        local rules, why = rules_of(told)
        if not rules then
            host.fault(place, what .. ": " .. why)
            return
        end
        policy.rules[name] = rules
        policy.titles[name] = told.title
        policy.descriptions[name] = told.description
        policy.places[name] = place
    end
end

-- ---- operations -----------------------------------------------------------------------------

local operation_fields = { title = "text", description = "text", agents = "texts!", input = "table!",
                           targets = "list!", idempotent = "flag" }
local target_fields = { service = "text!", tool = "text!", arguments = "made" }

local function target_of(place, what, told)
    if not shape.check(place, what, told, target_fields) then
        return nil
    end
    local target = { service = told.service, tool = told.tool }
    if type(told.arguments) == "function" then
        target.map = told.arguments
    elseif told.arguments then
        local why
        target.constant, why = host.constant(told.arguments)
        if not target.constant then
            host.fault(place, what .. ": arguments: " .. why, "arguments")
        end
    end
    return target
end

-- A schema, compiled; arguments are always a map, so the schema must let one pass.
local function schema_of(place, what, key, schema)
    if schema.type ~= "object" then
        host.fault(place, what .. ": `" .. key .. '` must have type = "object"', key)
        return nil
    end
    local id, why = host.schema(schema)
    if not id then
        host.fault(place, what .. ": " .. key .. ": " .. why, key)
    end
    return id
end

local function tool_definition(place, what, name, told, schema, annotations)
    local id, why = host.constant { name = name, title = told.title, description = told.description,
                                    inputSchema = schema, annotations = annotations }
    if not id then
        host.fault(place, what .. ": " .. why)
    end
    return id
end

local function declare_operation(place, name, told)
    local what = "operation " .. name
    local op = { name = name, agents = shape.list(told.agents), targets = {}, place = place,
                 idempotent = told.idempotent or false }
    op.schema = schema_of(place, what, "input", told.input)
    op.definition = tool_definition(place, what, name, told, told.input,
        { idempotentHint = op.idempotent })
    for i, target in ipairs(told.targets) do
        op.targets[i] = target_of(place, what .. ": target " .. i, target)
    end
    if #told.targets > 8 then
        host.fault(place, what .. ": at most 8 targets", "targets")
    end
    policy.operations[name] = op
end

function globals.operation(name)
    local place = declaring()
    local is_named = named(place, "operation", name)
    return function(told)
        local what = "operation " .. tostring(name)
        local fine = shape.check(place, what, told, operation_fields)
        if is_named and name:contains("/") then
            host.fault(place, what .. ": the name of an operation has no `/`: that is a service's tool")
        elseif is_named and fine and
            may_declare(place, what, policy.operations[name] and policy.operations[name].place) then
            declare_operation(place, name, told)
        end
    end
end

function globals.keep_local(names)
    local place = declaring()
    if shape.check(place, "keep_local", { names = names }, { names = "texts!" }) then
        for _, name in ipairs(shape.list(names)) do
            policy.keep_local[name] = place
        end
    end
end

-- ---- what stands in -------------------------------------------------------------------------

local levels = { never = 0, no_credentials = 1, unavailable = 2, always = 3 }

-- Without a table it is the verdict of that name.
function globals.demo(told)
    if told == nil and not host.is_loading() then
        return host.demo_verdict
    end
    local place = declaring()
    if shape.check(place, "demo", told, { when = "text!", agents = "texts" }) and
        shape.choice(place, "demo", "when", told.when,
            { "never", "no_credentials", "unavailable", "always" }) then
        policy.demo_rules[#policy.demo_rules + 1] =
            { level = levels[told.when], agents = shape.list(told.agents or "*"), place = place }
    end
end

local demo_fields = { tool = "text!", title = "text", description = "text", input = "table",
                      result = "answer!", annotations = "table" }

local function declare_demo(place, service, told)
    local what = "demo_answer " .. service .. "/" .. told.tool
    local demos = policy.demos[service] or {}
    policy.demos[service] = demos
    if not may_declare(place, what, demos[told.tool] and demos[told.tool].place) then
        return
    end
    local schema = told.input or { type = "object" }
    local demo = { place = place, schema = schema_of(place, what, "input", schema) }
    demo.definition = tool_definition(place, what, told.tool, told, schema, told.annotations)
    if type(told.result) == "function" then
        demo.make = told.result
    else
        local why
        demo.result, why = host.demo_result(told.result)
        if not demo.result then
            host.fault(place, what .. ": result: " .. why, "result")
        end
    end
    demo.id = demo.result and demo.schema and host.demo(demo.result, demo.schema)
    demos[told.tool] = demo
end

local function declare_demo_answer(service)
    local place = declaring()
    local is_named = named(place, "demo_answer", service)
    return function(told)
        local what = "demo_answer " .. tostring(service)
        if shape.check(place, what, told, demo_fields) and is_named then
            declare_demo(place, service, told)
        end
    end
end
globals.demo_answer = declare_demo_answer
host.declare_demo_answer = declare_demo_answer -- a hook may have the same name

function globals.fallback(told)
    local place = declaring()
    if not shape.check(place, "fallback", told, { on = "texts", to = "table!" }) then
        return
    end
    local codes = shape.sorted_keys(host.codes)
    for _, code in ipairs(shape.list(told.on or { "UNAVAILABLE", "CIRCUIT_OPEN", "QUARANTINED" })) do
        if shape.choice(place, "fallback", "on", code, codes) then
            policy.fallback_on[host.codes[code]] = true
        end
    end
    for _, from in ipairs(shape.sorted_keys(told.to)) do
        local to = told.to[from]
        if type(from) ~= "string" or type(to) ~= "string" or from == to then
            host.fault(place, "fallback: `to` wants service = \"other service\"", "to")
        else
            policy.fallback_to[from] = to
        end
    end
end

-- ---- what people read -----------------------------------------------------------------------

function globals.locale(name)
    local place = declaring()
    if type(name) ~= "string" or #name < 2 or #name > 35 then
        host.fault(place, 'locale wants a language: locale "es"')
    else
        policy.locale = name
    end
end

local placeholders = { "title", "service", "tool", "agent", "field", "expected", "received", "seconds" }

-- Other things people read, besides one text for each error code.
local phrases = { "connect", "the_service", "image", "audio", "resource", "nothing", "failed" }

local is_message, is_placeholder = {}, {}
for _, phrase in ipairs(phrases) do
    is_message[phrase] = true
end
for code in pairs(host.codes) do
    is_message[code:lower()] = true
end
for _, placeholder in ipairs(placeholders) do
    is_placeholder[placeholder] = true
end

-- Pieces are text, placeholder, text, placeholder ...
local function check_pieces(place, what, pieces)
    for i = 2, #pieces, 2 do
        if not is_placeholder[pieces[i]] then
            local near = host.near(pieces[i], placeholders)
            host.fault(place, string.format("%s: unknown placeholder {%s}%s", what, pieces[i], near and
                ", did you mean {" .. near .. "}?" or ", there is {" ..
                table.concat(placeholders, "} {") .. "}"))
        end
    end
end

function globals.message(language, key, text)
    local place = declaring()
    if not shape.check(place, "message", { language = language, key = key, text = text },
        { language = "text!", key = "text!", text = "text!" }) then
        return
    end
    local what = string.format("message %s, %s", language, key)
    if not is_message[key] then
        local keys = shape.sorted_keys(is_message)
        local near = host.near(key, keys)
        host.fault(place, what .. ": unknown message" .. (near and ", did you mean `" .. near .. "`?" or
            ", there is " .. table.concat(keys, ", ")))
        return
    end
    local pieces, why = host.split(text)
    if not pieces then
        host.fault(place, what .. ": " .. why)
        return
    end
    check_pieces(place, what, pieces)
    policy.messages[language] = policy.messages[language] or {}
    policy.messages[language][key] = pieces
end

-- ---- when all is said -----------------------------------------------------------------------

local function check_agents(place, what, names, known)
    for _, name in ipairs(names) do
        if not policy.rules[name] and not name:contains("*") then
            local near = host.near(name, known)
            host.fault(place, string.format("%s: no agent `%s`%s", what, name, near and
                ", did you mean `" .. near .. "`?" or " is declared"), "agents")
        end
    end
end

-- The last rule that names the agent holds.
local function demo_level(agent)
    for i = #policy.demo_rules, 1, -1 do
        local rule = policy.demo_rules[i]
        for _, name in ipairs(rule.agents) do
            if name == "*" or name == agent or host.glob(name, agent) then
                return rule.level
            end
        end
    end
    return levels.never
end

-- A role is a set of rules with a demo level, and what was found out about tools so far.
local function make_roles(known)
    local roles, made = policy.roles, {}
    for _, agent in ipairs(known) do
        local rules, level = policy.rules[agent], demo_level(agent)
        made[rules] = made[rules] or {}
        made[rules][level] = made[rules][level] or
            { services = rules.services, allow = rules.allow, deny = rules.deny, level = level, memo = {} }
        roles[agent] = made[rules][level]
    end
end

local function split_names(names)
    local exact, globs = {}, nil
    for _, name in ipairs(names) do
        if name:contains("*") then
            globs = globs or {}
            globs[#globs + 1] = name
        else
            exact[name] = true
        end
    end
    return exact, globs
end

function host.finish()
    local known = shape.sorted_keys(policy.rules)
    for _, rule in ipairs(policy.demo_rules) do
        check_agents(rule.place, "demo", rule.agents, known)
    end
    for _, name in ipairs(shape.sorted_keys(policy.operations)) do
        local op = policy.operations[name]
        check_agents(op.place, "operation " .. name, op.agents, known)
        op.exact, op.globs = split_names(op.agents)
        if policy.keep_local[name] then
            host.fault(op.place, "operation " .. name .. " is also kept local, at " ..
                host.place_text(policy.keep_local[name]))
        end
    end
    make_roles(known)
    policy.agent_names = known
    policy.operation_names = shape.sorted_keys(policy.operations)
    return #known, #policy.operation_names
end
