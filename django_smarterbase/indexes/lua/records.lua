-- What the committed records say of the values of some documents. Atomic.
--
-- ARGV[1]  epoch, and ARGV[2] the known run_id (reading.lua)
-- ARGV[3]  number of indexes, the indexes, then the stems, then the last argument (reading.lua), ""
--
-- Returns {"ok", run_id, policy or "", {codes, ...}}: for each stem "<code>[,<code>] ..." of each index, or false for a
-- document that is in doubt, that there is not, or whose record does not tell. Of several entries in one index the first
-- one is that of the values. Otherwise as reading.lua says.

local refusal = distrust()
if refusal then return refusal end

local prefixes = {}
for i = 1, tonumber(ARGV[3]) do prefixes[i] = ' ' .. ARGV[3 + i] .. ':' end

local function codes(record)
  if record.etag == '-' then return false end
  local text, found = ' ' .. record.entries, {}
  for i, prefix in ipairs(prefixes) do
    local _, last = string.find(text, prefix, 1, true)
    if not last then return false end
    found[i] = string.match(text, '^%S+', last + 1)
  end
  return table.concat(found, ' ')
end

local rows = {}
for from = 4 + #prefixes, #ARGV - 1, 1000 do
  local till = math.min(from + 999, #ARGV - 1)
  for i, text in ipairs(call('HMGET', key('docs', epoch), unpack(ARGV, from, till))) do
    rows[#rows + 1] = text and not is_pending(ARGV[from + i - 1]) and codes(parse_record(text))
  end
end
return {'ok', run, rule, rows}
