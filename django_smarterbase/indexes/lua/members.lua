-- Looks at the members of sets of the complete epoch: each must be justified by its record or by a pending note.
-- Atomic, so no write under way can make a member look unjustified.
--
-- ARGV[1]  the epoch
-- ARGV[2]  about how many members of each set to look at
-- ARGV[3+] for each set: entry, cursor ("0" at first), or "r" for members taken at random
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
  local index, code = split_entry(entry)
  return index and not call('HGET', key('tally', epoch) .. ':' .. index, code)
end

for i = 3, #ARGV, 2 do
  local entry, cursor, stems = ARGV[i], ARGV[i + 1], nil
  if cursor == 'r' then
    cursor, stems = '0', call('SRANDMEMBER', set_key(epoch, entry), count)
  else
    local page = call('SSCAN', set_key(epoch, entry), cursor, 'COUNT', count)
    cursor, stems = page[1], page[2]
  end
  local row = {cursor, #stems > 0 and is_unknown(entry) and '1' or '0'}
  for _, stem in ipairs(stems) do
    if not is_justified(stem, entry) then row[#row + 1] = stem end
  end
  found[#found + 1] = row
end
return found
