-- SPDX-License-Identifier: MIT
-- layers.lua - refuses an #include that points up or sideways in src/LAYERS.
--   lua5.4 tests/lint/layers.lua ROOT
package.path = arg[0]:gsub("[^/]*$", "?.lua")
local tree = require "tree"

local storey, lines = {}, 0
tree.each_line(tree.read("src/LAYERS"), function(line)
    local folders = line:gsub("#.*", "")
    if folders:find("%S") then lines = lines + 1 end
    for folder in folders:gmatch("%S+") do storey[folder] = lines end
end)

local files = tree.files("^src/.*%.[ch]$")
for _, path in ipairs(files) do
    local from = path:match("^src/([^/]+)/") or "main"
    if not storey[from] then tree.fault(path, 1, "folder %s has no storey in src/LAYERS", from) end
    tree.each_line(tree.read(path), function(line, number)
        local included = line:match('^%s*#%s*include%s+"([^"]+)"')
        local to = included and (included:match("^([^/]+)/") or from == "main" and "main")
        if not included or to == from or to == "toolbroker" then
            return -- toolbroker/: the public headers of the C client, which only the tool uses
        elseif not to then
            tree.fault(path, number, 'write "%s/%s": includes are by their path from src', from, included)
        elseif not storey[to] then
            tree.fault(path, number, "%s is in no storey", included)
        elseif storey[from] and storey[to] <= storey[from] then
            tree.fault(path, number, "%s may not include %s: arrows point down only", from, included)
        end
    end)
end
tree.finish("layers", #files)
