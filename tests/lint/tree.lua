-- SPDX-License-Identifier: MIT
-- tree.lua - what the lints share: the files of the repository, and C text without what is not code.
local tree = {}

tree.root = arg[1] or "."

-- Every file that is, or would be, in the repository, as paths from its root.
function tree.files(pattern)
    local git = "git -c safe.directory='*' -C '%s' ls-files -co --exclude-standard 2>/dev/null"
    local list = {}
    for path in io.popen(git:format(tree.root)):lines() do list[#list + 1] = path end
    if #list == 0 then -- an unpacked archive: no repository to ask
        local find = "cd '%s' && find . -type f -not -path './.git/*' -not -path './build/*' -not -path '*/node_modules/*'"
        for path in io.popen(find:format(tree.root)):lines() do list[#list + 1] = path:sub(3) end
    end
    table.sort(list)
    local found = {}
    for _, path in ipairs(list) do
        local file = path:find(pattern or ".") and io.open(tree.root .. "/" .. path, "rb")
        if file then -- listed but deleted from the working tree: not there
            file:close()
            found[#found + 1] = path
        end
    end
    return found
end

function tree.read(path)
    local file = assert(io.open(tree.root .. "/" .. path, "rb"))
    local text = file:read("a") or ""
    file:close()
    return text
end

-- Calls f(line, number) for each line of `text`.
function tree.each_line(text, f)
    local number = 0
    for line in (text:sub(-1) == "\n" and text or text .. "\n"):gmatch("(.-)\n") do
        number = number + 1
        f(line, number)
    end
    return number
end

local function blank(text) return (text:gsub("[^\n]", " ")) end

-- C text with comments blanked, and string and character literals too; lines stay where they are.
function tree.code(text)
    local out, at = {}, 1
    while true do
        local start = text:find("[/\"']", at)
        if not start then break end
        out[#out + 1] = text:sub(at, start - 1)
        local stop
        local two = text:sub(start, start + 1)
        if two == "/*" then
            local _, last = text:find("*/", start + 2, true)
            stop = last or #text
        elseif two == "//" then
            stop = (text:find("\n", start, true) or #text + 1) - 1
        elseif two:sub(1, 1) == "/" then
            out[#out + 1], at = "/", start + 1
            goto continue
        else
            local quote = two:sub(1, 1)
            stop = start + 1
            while stop <= #text and text:sub(stop, stop) ~= quote do
                stop = stop + (text:sub(stop, stop) == "\\" and 2 or 1)
            end
        end
        out[#out + 1], at = blank(text:sub(start, stop)), stop + 1
        ::continue::
    end
    out[#out + 1] = text:sub(at)
    return table.concat(out)
end

local faults = 0

function tree.fault(path, line, format, ...)
    faults = faults + 1
    print(("%s:%d: " .. format):format(path, line, ...))
end

function tree.finish(what, count)
    print(("%s: %d files, %d faults"):format(what, count, faults))
    os.exit(faults == 0 and count > 0)
end

return tree
