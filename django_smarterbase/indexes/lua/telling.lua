-- Shared by the scripts that tell what committed records say of some indexes: it stands between reading.lua and their text.

-- The indexes that ARGV names after their number at `start`, as what precedes their codes in a record; and the position
-- after them.
local function told_indexes(start)
  local prefixes = {}
  for i = 1, tonumber(ARGV[start]) do prefixes[i] = ' ' .. ARGV[start + i] .. ':' end
  return prefixes, start + #prefixes + 1
end

-- Of several entries in one index the first one is that of the values (indexes/entries.py).
local function codes_told(prefixes, record)
  if record.etag == '-' then return false end
  local text, found = ' ' .. record.entries, {}
  for i, prefix in ipairs(prefixes) do
    local _, last = string.find(text, prefix, 1, true)
    if not last then return false end
    found[i] = string.match(text, '^%S+', last + 1)
  end
  return table.concat(found, ' ')
end

-- For each stem from one place in their list to another "<code>[,<code>] ..." of each index; false for a document that is in doubt,
-- that there is not, or whose record does not tell.
local function told(prefixes, stems, first, last)
  local rows = {}
  for from = first, last, PIECE do
    local till = math.min(from + PIECE - 1, last)
    for i, record in ipairs(call('HMGET', key('docs', epoch), unpack(stems, from, till))) do
      rows[#rows + 1] = record and not is_pending(stems[from + i - 1]) and codes_told(prefixes, parse_record(record))
    end
  end
  return rows
end
