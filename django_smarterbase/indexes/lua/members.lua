-- Looks at the members of sets and ordered indexes of the complete epoch: each must be justified by its record or by a
-- pending note.
-- Atomic, so no write under way can make a member look unjustified.
--
-- ARGV[1]  the epoch
-- ARGV[2]  about how many members of each set to look at
-- ARGV[3+] for each set: entry, or "><index>:" for an ordered index; cursor ("0" at first), or "r" for members taken at
--          random
--
-- Returns 0 when the epoch is not the marked one, otherwise for each set {cursor ("0" at the end), "1" when the tally
-- does not know the set, unjustified stem, ...}.

local epoch, count, found = ARGV[1], ARGV[2], {}
if call('HGET', KEYS[1], 'epoch') ~= epoch then return 0 end

local function has(entries, entry)
  return string.find(' ' .. entries .. ' ', ' ' .. entry .. ' ', 1, true) ~= nil
end

local function is_justified(stem, entry)
  local record = record_of(epoch, stem)
  if record and has(record.entries, entry) then return true end
  for _, note in ipairs(notes_of(epoch, stem)) do
    if has(note.entries, entry) then return true end
  end
  return false
end

local function is_unknown(entry)
  local ordered = split_ordered(entry)
  if ordered then return not call('HGET', key('tally', epoch), 'o:' .. ordered) end
  local index, code = split_entry(entry)
  return index and not call('HGET', key('tally', epoch) .. ':' .. index, code)
end

local function set_page(entry, cursor)
  if cursor == 'r' then return '0', call('SRANDMEMBER', set_key(epoch, entry), count) end
  local page = call('SSCAN', set_key(epoch, entry), cursor, 'COUNT', count)
  return page[1], page[2]
end

-- A run of members that begins at random stands in for members taken at random.
local function some_members(index)
  local last = call('ZCARD', order_key(epoch, index)) - tonumber(count)
  local from = last > 0 and tonumber(redis.call('TIME')[2]) % (last + 1) or 0
  return call('ZRANGE', order_key(epoch, index), from, from + tonumber(count) - 1)
end

local function order_page(index, cursor)
  if cursor == 'r' then return '0', some_members(index) end
  local page, found_here = call('ZSCAN', order_key(epoch, index), cursor, 'COUNT', count), {}
  for i = 1, #page[2], 2 do found_here[#found_here + 1] = page[2][i] end
  return page[1], found_here
end

-- The stems of members that nothing justifies.
local function unjustified(entry, index, members)
  local stems = {}
  for _, member in ipairs(members) do
    local stem = index and stem_of(member) or member
    local code = index and string.match(member, '^%S+')
    if not is_justified(stem, index and '>' .. index .. ':' .. code or entry) then stems[#stems + 1] = stem end
  end
  return stems
end

for i = 3, #ARGV, 2 do
  local entry, cursor, members = ARGV[i], ARGV[i + 1], nil
  local index = split_ordered(entry)
  if index then cursor, members = order_page(index, cursor) else cursor, members = set_page(entry, cursor) end
  local row = {cursor, #members > 0 and is_unknown(entry) and '1' or '0'}
  for _, stem in ipairs(unjustified(entry, index, members)) do row[#row + 1] = stem end
  found[#found + 1] = row
end
return found
