-- SPDX-License-Identifier: MIT
-- shape.lua - checks declared tables against the keys they may have; every fault is reported.
local host = ...
local shape = {}
host.shape = shape

local function is_list(value)
    local count = 0
    for _ in pairs(value) do
        count = count + 1
    end
    return count == #value
end

local kinds = {}

function kinds.text(value)
    return type(value) == "string" and value ~= "", "a text"
end

-- One text, or a list of them.
function kinds.texts(value)
    if type(value) == "string" then
        return value ~= "", "a text or a list of texts"
    end
    if type(value) ~= "table" or not is_list(value) then
        return false, "a text or a list of texts"
    end
    for _, item in ipairs(value) do
        if type(item) ~= "string" or item == "" then
            return false, "a list of texts"
        end
    end
    return true
end

function kinds.flag(value)
    return type(value) == "boolean", "true or false"
end

function kinds.table(value)
    return type(value) == "table", "a table"
end

function kinds.list(value)
    return type(value) == "table" and is_list(value) and #value > 0, "a list"
end

-- What a function may make instead.
function kinds.made(value)
    return type(value) == "table" or type(value) == "function", "a table or a function"
end

function kinds.answer(value)
    local kind = type(value)
    return kind == "string" or kind == "table" or kind == "function", "a text, a table or a function"
end

local function sorted_keys(value)
    local keys = {}
    for key in pairs(value) do
        keys[#keys + 1] = key
    end
    table.sort(keys, function(a, b)
        return tostring(a) < tostring(b)
    end)
    return keys
end
shape.sorted_keys = sorted_keys

local function describe(value)
    return type(value) == "string" and string.format("the text %q", value) or "a " .. type(value)
end

-- "text!" is the kind `text` of a key that must be there.
local needed = {}
for kind, fits in pairs(kinds) do
    needed[kind .. "!"] = fits
end

local function is_fine(value, fields)
    if type(value) ~= "table" then
        return false
    end
    for key, item in pairs(value) do
        local kind = fields[key]
        local fits = kind and (kinds[kind] or needed[kind])
        if not fits or not fits(item) then
            return false
        end
    end
    for key, kind in pairs(fields) do
        if needed[kind] and value[key] == nil then
            return false
        end
    end
    return true
end

-- Says everything that is wrong, in the order of the keys.
local function report(place, what, value, fields)
    if type(value) ~= "table" then
        host.fault(place, what .. " wants a table { ... }, not " .. describe(value))
        return
    end
    local known = sorted_keys(fields)
    for _, key in ipairs(sorted_keys(value)) do
        local kind = fields[key]
        if not kind then
            local near = type(key) == "string" and host.near(key, known)
            host.fault(place, string.format("%s: unknown key `%s`%s", what, tostring(key),
                near and ", did you mean `" .. near .. "`?" or
                ", it has " .. table.concat(known, ", ")), type(key) == "string" and key or nil)
        else
            local fits, wanted = (kinds[kind] or needed[kind])(value[key])
            if not fits then
                host.fault(place, string.format("%s: `%s` must be %s, not %s", what, key, wanted,
                    describe(value[key])), key)
            end
        end
    end
    for _, key in ipairs(known) do
        if needed[fields[key]] and value[key] == nil then
            host.fault(place, string.format("%s: `%s` is missing", what, key))
        end
    end
end

-- Fields are { key = "kind" } or { key = "kind!" } where it must be there. True if all is well.
function shape.check(place, what, value, fields)
    local fine = is_fine(value, fields)
    if not fine then
        report(place, what, value, fields)
    end
    return fine
end

-- "x" and { "x", "y" } as a list.
function shape.list(value)
    return type(value) == "string" and { value } or value
end

-- One of a closed set of words.
function shape.choice(place, what, key, value, choices)
    for _, choice in ipairs(choices) do
        if value == choice then
            return true
        end
    end
    local near = type(value) == "string" and host.near(value, choices)
    host.fault(place, string.format("%s: `%s` must be one of %s, not %s%s", what, key,
        table.concat(choices, ", "), describe(value),
        near and "; did you mean `" .. near .. "`?" or ""), key)
    return false
end
