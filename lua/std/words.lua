-- SPDX-License-Identifier: MIT
-- words.lua - what people read: the message of a failure, and a result as plain text.
local host = ...
local policy = host.policy

-- "es-MX" is served by "es", whatever is not known by the policy's own language, then English.
local function pieces_of(key, locale)
    local messages = policy.messages
    for _, language in ipairs { locale, locale:sub(1, 2), policy.locale or "", host.locale, "en" } do
        local pieces = messages[language] and messages[language][key]
        if pieces then
            return pieces
        end
    end
end

local function expand(pieces, values)
    local out = {}
    for i = 1, #pieces do
        out[i] = i % 2 == 1 and pieces[i] or tostring(values[pieces[i]] or "")
    end
    return table.concat(out)
end

function host.phrase(key, locale)
    local pieces = pieces_of(key, locale)
    return pieces and expand(pieces, {}) or nil
end

-- `values` are those of the placeholders.
function host.message(key, locale, values, failure)
    local hook = host.hooks.message_for
    if hook and host.enter(host.numbers.STAGE_MESSAGE_FOR) then
        local text = hook(failure(), locale ~= "" and locale or policy.locale or host.locale)
        if text ~= nil and type(text) ~= "string" then
            error("message_for returned a " .. type(text) .. " instead of a text", 0)
        end
        if text then
            return text
        end
    end
    local pieces = pieces_of(key == "unavailable" and "connect" or key, locale) or pieces_of(key, locale)
    if not pieces then
        return nil
    end
    if values.title == "" then
        values.title = host.phrase("the_service", locale)
    end
    return expand(pieces, values)
end

local function put_item(item, locale)
    if item.type == "text" and type(item.text) == "string" then
        host.put(item.text)
    elseif item.type == "resource" and type(item.resource) == "table" and type(item.resource.text) == "string" then
        host.put(item.resource.text)
    elseif item.type == "resource_link" then
        host.put(tostring(item.title or item.name or "") .. " <" .. tostring(item.uri or "") .. ">")
    else
        local kind = (item.type == "image" or item.type == "audio") and item.type or "resource"
        local detail = type(item.mimeType) == "string" and ": " .. item.mimeType or ""
        host.put("[" .. (host.phrase(kind, locale) or kind) .. detail .. "]")
    end
end

function host.human(result, locale)
    if type(result) ~= "table" then
        return
    end
    if result.isError == true then
        host.put((host.phrase("failed", locale) or "Failed") .. ": ")
    end
    local content = type(result.content) == "table" and result.content or {}
    for i, item in ipairs(content) do
        if i > 1 then
            host.put("\n")
        end
        if type(item) == "table" then
            put_item(item, locale)
        end
    end
    if #content == 0 then
        if result.structuredContent ~= nil then
            host.put_json(result.structuredContent)
        else
            host.put(host.phrase("nothing", locale) or "")
        end
    end
end
