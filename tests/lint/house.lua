-- SPDX-License-Identifier: MIT
-- house.lua - the house rules that a machine can check: one wrapper a library, no banned call, no
-- file too long, a licence line and a job line first, nothing of one machine in the repository.
--   lua5.4 tests/lint/house.lua ROOT
package.path = arg[0]:gsub("[^/]*$", "?.lua")
local tree = require "tree"

local LONGEST_FILE, LONGEST_HEADER = 700, 250

-- What may stand at the top: design section 11. CMake looks for presets nowhere else.
local TOP = { ["CMakeLists.txt"] = true, ["CMakePresets.json"] = true, ["README.md"] = true,
              src = true, lua = true, include = true, clients = true, tests = true, etc = true }

-- Functions that are called nowhere in C that ships.
local BANNED = {
    strcpy = "use a buf or snprintf", strcat = "use a buf", sprintf = "use snprintf",
    vsprintf = "use vsnprintf", strtok = "use slices", atoi = "parse with a range check",
    atol = "parse with a range check", atoll = "parse with a range check",
    atof = "parse with a range check", sscanf = "parse by hand", gets = "no bound",
    system = "no shell", popen = "no shell", setjmp = "no jumps", longjmp = "no jumps",
    rand = "use the system's random bytes", srand = "use the system's random bytes",
    alloca = "no bound", tmpnam = "racy", mktemp = "racy",
}

-- Words with one home: { what it is, Lua pattern of a whole word, paths where it is at home }.
local HOMES = {
    { "the allocator", "malloc", "^src/base/mem%.c$", "^src/base/mem_long%.c$" },
    { "the allocator", "calloc", "^src/base/mem%.c$" },
    { "the allocator", "realloc", "^src/base/mem%.c$" },
    { "the allocator", "strdup", "^src/base/mem%.c$" },
    { "the allocator", "strndup", "^src/base/mem%.c$" },
    { "the allocator", "asprintf", "^src/base/mem%.c$" },
    { "time of day", "time", "^src/base/clock%.c$", call = true },
    { "time of day", "gettimeofday", "^src/base/clock%.c$" },
    { "the clock", "clock_gettime", "^src/base/clock%.c$", "^src/base/log%.c$",
      "^src/loop/spawner%.c$" },
    { "libevent", "event_[%w_]+", "^src/loop/loop%.c$", call = true },
    { "libevent", "bufferevent[%w_]*", "^src/loop/loop%.c$" },
    { "libevent", "evbuffer[%w_]*", "^src/loop/loop%.c$" },
    { "libcurl", "CURL[%w_]*", "^src/loop/http[%w_]*%.[ch]$" },
    { "libcurl", "curl_[%w_]+", "^src/loop/http[%w_]*%.[ch]$" },
    { "Lua", "lua_[%w_]+", "^src/script/", "^src/policy/", "^src/conf/" },
    { "Lua", "luaL_[%w_]+", "^src/script/", "^src/policy/", "^src/conf/" },
    { "SQLite", "sqlite3[%w_]*", "^src/store/" },
    { "OpenSSL", "EVP_[%w_]+", "^src/base/crypto%.c$" },
    { "OpenSSL", "RAND_[%w_]+", "^src/base/crypto%.c$" },
    { "PCRE2", "pcre2_[%w_]+", "^src/value/schema_pattern%.c$", call = true },
    { "processes", "fork", "^src/loop/child%.c$", "^src/loop/spawner[%w_]*%.c$", call = true },
    { "processes", "vfork", "^src/loop/spawner[%w_]*%.c$", call = true },
    { "processes", "execve?", "^src/loop/spawner[%w_]*%.c$", call = true },
    { "processes", "execvpe?", "^src/loop/spawner[%w_]*%.c$", call = true },
    { "waiting", "sleep", "^src/cli/", call = true },
    { "waiting", "usleep", "^src/cli/", call = true },
    { "waiting", "nanosleep", "^src/cli/", "^src/base/log%.c$", call = true },
}

local function is_at_home(rule, path)
    for i = 3, #rule do
        if path:find(rule[i]) then return true end
    end
    return false
end

local function check_calls(path, line, number)
    for name in line:gmatch("%f[%w_]([%a_][%w_]*)%s*%(") do
        if BANNED[name] then tree.fault(path, number, "%s is banned: %s", name, BANNED[name]) end
    end
end

local function check_homes(path, line, number)
    for _, rule in ipairs(HOMES) do
        local word = "%f[%w_](" .. rule[2] .. ")%f[^%w_]" .. (rule.call and "%s*%(" or "")
        local found = not is_at_home(rule, path) and line:match(word)
        if found then
            tree.fault(path, number, "%s belongs to %s, whose one home is %s", found, rule[1],
                rule[3]:gsub("[%^%$]", ""):gsub("%%", ""))
        end
    end
end

local function check_c(path, text)
    local first, second = text:match("^([^\n]*)\n([^\n]*)")
    if first ~= "/* SPDX-License-Identifier: MIT */" then
        tree.fault(path, 1, "the first line is not the licence line")
    end
    if not (second or ""):find("^/%*") then
        tree.fault(path, 2, "no comment that says what the file is for")
    end
    tree.each_line(tree.code(text), function(line, number)
        check_calls(path, line, number)
        -- The client library stands alone: it has no base to lean on. Tests may fake anything.
        if path:find("^src/") then check_homes(path, line, number) end
    end)
end

local function check_length(path, text)
    local count = tree.each_line(text, function() end)
    local most = path:find("^src/.*%.h$") and LONGEST_HEADER or LONGEST_FILE
    if count > most then tree.fault(path, count, "%d lines; %d is the wall: split by noun", count, most) end
end

-- Written in pieces so that this file passes its own check.
local MACHINE = { "/wor" .. "k/", "/far" .. "m", "far" .. "m%-studio", "far" .. "m%-bench",
                  "issues" .. " show", "/hom" .. "e/%l" }
local ADDRESSES = { "registry" .. "%.npmjs", "registry" .. "%.yarnpkg", "python" .. "hosted%.org",
                    "pypi" .. "%.org", "deb%.debian" .. "%.org", "luarocks" .. "%.org/" }

local function check_places(path, text)
    tree.each_line(text, function(line, number)
        for _, pattern in ipairs(MACHINE) do
            if line:find(pattern) then tree.fault(path, number, "names something of one machine: %s", line:match(pattern)) end
        end
        for _, pattern in ipairs(ADDRESSES) do
            if line:find(pattern) then tree.fault(path, number, "names a package registry") end
        end
        if path:find("lock%.json$") and line:find('"resolved"%s*:') then
            tree.fault(path, number, "a lock file records no download address")
        end
    end)
end

local function check_script(path, text)
    local head = text:sub(1, 400)
    if not head:find("SPDX-License-Identifier: MIT", 1, true) then
        tree.fault(path, 1, "no licence line")
    end
end

local function is_script(path, text)
    if path:find("^etc/[%w_]+%.lua$") then return false end -- a sample that operators make theirs
    return path:find("%.lua$") or path:find("%.py$") or text:find("^#!/")
end

-- Data of tests may hold anything: bytes of a fuzz corpus, a page of Lua that must fail.
local function is_data(path)
    return path:find("^tests/.*/corpus/") or path:find("^tests/.*/data/")
end

local files = tree.files()
for _, path in ipairs(files) do
    local top = path:match("^[^/]+")
    if top:sub(1, 1) ~= "." and not TOP[top] then
        tree.fault(path, 1, "%s has no place at the top level", top)
        TOP[top] = true
    end
    if not is_data(path) then
        local text = tree.read(path)
        local is_c = path:find("%.[ch]$")
        if is_c and (path:find("^src/") or path:find("^clients/") or path:find("^include/")) then
            check_c(path, text)
        end
        if is_c or path:find("%.lua$") or path:find("%.py$") then check_length(path, text) end
        if not is_c and is_script(path, text) then check_script(path, text) end
        check_places(path, text)
    end
end
tree.finish("house rules", #files)
