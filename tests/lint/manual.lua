-- SPDX-License-Identifier: MIT
-- manual.lua - toolbroker.conf(5) lists what the tables of src/conf say, and nothing else.
--   lua5.4 tests/lint/manual.lua ROOT [--write]
local root, write = arg[1] or ".", arg[2] == "--write"
local PAGE = root .. "/etc/man/toolbroker.conf.5"

local function read(path)
    local file = assert(io.open(path, "rb"))
    local text = file:read("a")
    file:close()
    return text
end

-- A table of X macros without its comments is a list of Lua calls; bare words are their own names.
local function rows(path, macros)
    local environment = setmetatable(macros, { __index = function(_, word) return word end })
    local text = read(root .. "/" .. path):gsub("/%*.-%*/", "")
    assert(load(text, "@" .. path, "t", environment))()
end

local function roff(text)
    text = text:gsub("\\", "\\e"):gsub("%-", "\\-")
    return (text:gsub("^([.'])", "\\&%1"))
end

local sections = { settings = {}, services = {}, auth = {} }

local function add(section, name, facts, about)
    local list = sections[section]
    local quoted = roff(facts):gsub('"', "\\(dq")
    list[#list + 1] = (".TP\n.BR %s \" (%s)\"\n%s\n"):format(roff(name), quoted, roff(about))
end

local function setting(path, kind, default, reloadable, about)
    add("settings", path, kind .. "; default " .. default .. (reloadable and "" or "; restart"), about)
end

rows("src/conf/settings.def", {
    TEXT = function(_, path, default, reloadable, about)
        setting(path, "text", default == "NULL" and "none" or default, reloadable, about)
    end,
    CHOICE = function(_, path, default, choices, reloadable, about)
        setting(path, choices:gsub("|", ", "), default, reloadable, about)
    end,
    RATE = function(_, path, reloadable, about)
        setting(path, "a rate, see below", "none", reloadable, about)
    end,
    INT = function(_, path, default, least, most, reloadable, about)
        setting(path, ("%d to %d"):format(least, most), ("%d"):format(default), reloadable, about)
    end,
})

local later = {}
rows("src/conf/service.def", {
    KEY = function(name, transport, form, default, about)
        local only = transport == "BOTH" and "" or transport:lower() .. "; "
        local what = default == "required" and form .. "; required" or form .. "; default " .. default
        add("services", name, only .. what, about)
    end,
    LATER = function(name) later[#later + 1] = name end,
    AUTH = function(name, types, _, about)
        add("auth", name, types == "all" and "required" or types:gsub(" ", ", "), about)
    end,
})
table.insert(sections.services, (".PP\nNot supported by this version, and a fault: %s.\n"):format(
    table.concat(later, ", ")))

rows("src/conf/service_part.def", {
    GROUP = function(name) sections[name] = {} end,
    NUMBER = function(group, name, _, default, least, most, about)
        add(group, name, ("%d to %d; default %d"):format(least, most, default), about)
    end,
    OTHER = function(group, name, form, default, about)
        add(group, name, form .. "; default " .. default, about)
    end,
})

local before = read(PAGE)
local after = before
for name, list in pairs(sections) do
    local from, to = '.\\" BEGIN ' .. name .. "\n", '.\\" END ' .. name .. "\n"
    local _, start = after:find(from, 1, true)
    local stop = after:find(to, 1, true)
    assert(start and stop, PAGE .. " has no section " .. name)
    after = after:sub(1, start) .. table.concat(list) .. after:sub(stop)
end

if write then
    local file = assert(io.open(PAGE, "wb"))
    assert(file:write(after))
    assert(file:close())
elseif after ~= before then
    print(PAGE .. " is out of step with src/conf/*.def: run lua5.4 tests/lint/manual.lua . --write")
    os.exit(1)
end
