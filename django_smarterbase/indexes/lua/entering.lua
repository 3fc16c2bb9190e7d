-- Shared by the scripts that look at many documents of an epoch being built: it stands between writing.lua and their
-- text. What they enter is gathered, and given to Redis once for each set and each ordered index, since a command costs
-- more than one of its members.

local ARGUMENTS = 1000 -- of one command; Lua itself unpacks less than 8000

-- Calls `command` on a key with all of the items, and gives the sum of the replies.
local function call_in_parts(command, name, items)
  local sum = 0
  for first = 1, #items, ARGUMENTS do
    sum = sum + call(command, name, unpack(items, first, math.min(first + ARGUMENTS - 1, #items)))
  end
  return sum
end

-- The texts of the records of these stems, in their order; false where there is none.
local function record_texts(epoch, stems)
  local texts = {}
  for first = 1, #stems, ARGUMENTS do
    local last = math.min(first + ARGUMENTS - 1, #stems)
    for _, text in ipairs(call('HMGET', key('docs', epoch), unpack(stems, first, last))) do texts[#texts + 1] = text end
  end
  return texts
end

local function put(groups, name, ...)
  local items = groups[name]
  if not items then
    items = {}
    groups[name] = items
  end
  for _, item in ipairs({...}) do items[#items + 1] = item end
end

-- Enters documents, which have no record yet, as a rebuild read them: lists of the same length. Of a stem that comes
-- twice, as a folder may list a file that is replaced meanwhile, the first counts; a comparison follows every rebuild.
local function enter(epoch, stems, etags, entries)
  local taken, records, sets, orders = {}, {}, {}, {}
  for i, stem in ipairs(stems) do
    if not taken[stem] then
      taken[stem] = true
      records[#records + 1] = stem
      records[#records + 1] = '0 ' .. etags[i] .. ' ' .. entries[i]
      for entry in string.gmatch(entries[i], '%S+') do
        local index, code = split_ordered(entry)
        if index then put(orders, index, 0, member_of(code, stem)) else put(sets, entry, stem) end
      end
    end
  end
  if #records > 0 then bump(epoch, 'docs', call_in_parts('HSET', key('docs', epoch), records)) end
  for entry, members in pairs(sets) do
    count_in_set(epoch, entry, call_in_parts('SADD', set_key(epoch, entry), members))
  end
  for index, members in pairs(orders) do
    bump(epoch, 'o:' .. index, call_in_parts('ZADD', order_key(epoch, index), members))
  end
end
