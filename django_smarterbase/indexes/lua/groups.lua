-- Names the first document of each group of an ordered index, and the last: of those between the bounds whose codes begin
-- alike. Atomic.
--
-- ARGV[1]  epoch, and ARGV[2] the known run_id (reading.lua)
-- ARGV[3]  write deadline, ms
-- ARGV[4]  index, and ARGV[5], ARGV[6] between which codes of it: the first, and the one after the last
-- ARGV[7]  how many columns are fixed before the one that is grouped
-- ARGV[8]  for how many characters a text of that column must begin alike; 0: to its end
-- ARGV[9]  "1": the last document of each group too
-- ARGV[10] the entry of documents whose texts must not be grouped so
-- ARGV[11] how many groups at most
-- ARGV[12] the last argument (reading.lua)
--
-- Returns {"ok", run_id, policy or "", overdue, "ended" | "beyond", in doubt, {stem, ETag, ...}}: in doubt are all
-- documents with a note that may stand there. "beyond": there are more groups, or what the index knows of the values
-- does not suffice, and nothing is named.

local index, first, last = ARGV[4], ARGV[5], ARGV[6]
local fixed, letters, both_ends = tonumber(ARGV[7]), tonumber(ARGV[8]), ARGV[9] == '1'
local odd, most = ARGV[10], tonumber(ARGV[11])
local order = order_key(epoch, index)

local refusal = distrust()
if refusal then return refusal end
if not order_agrees(index) then return drift(order) end
local overdue = overdue_notes(tonumber(ARGV[3]))
local number, wrong = size_of(odd)
if not number then return drift(wrong) end

local function beyond()
  return {'ok', run, rule, overdue, 'beyond', {}, {}}
end
if number > 0 then return beyond() end

local doubtful = {}
for _, stem in ipairs(pending_stems()) do
  for _, code in ipairs(codes_of(entries_of(stem), index)) do
    if is_between(code, first, last) then
      doubtful[#doubtful + 1] = stem
      break
    end
  end
end

-- The code after the last of a group; nil for values that were cut.
local function end_of(code)
  local start = 1
  for _ = 1, fixed do start = string.find(code, '!', start, true) + 1 end
  local ending = string.find(code, '!', start, true)
  if string.sub(code, ending - 1, ending - 1) == '"' then return nil end
  if letters > 0 and string.sub(code, start, start) == 't' and start + letters < ending then
    return string.sub(code, 1, start + letters) .. '~~'
  end
  return string.sub(code, 1, ending - 1) .. '"'
end

-- The first certain document from `low` on, in ascending or descending order.
local function certain(command, low, high)
  local offset = 0
  while true do
    local members = call(command, order, low, high, 'LIMIT', offset, 10)
    for _, member in ipairs(members) do
      if not is_pending(stem_of(member)) then return stem_of(member) end
    end
    if #members < 10 then return nil end
    offset = offset + 10
  end
end

local found = {}

local from, groups = first, 0
while true do
  local member = call('ZRANGEBYLEX', order, '[' .. from, '(' .. last, 'LIMIT', 0, 1)[1]
  if not member then break end
  groups = groups + 1
  local after = end_of(string.match(member, '^%S+'))
  if not after or groups > most then return beyond() end
  -- A group may have documents on both sides of a bound; those outside would stand for none of it.
  local ending = before(after, last) and after or last
  local one = certain('ZRANGEBYLEX', '[' .. from, '(' .. ending)
  local other = both_ends and certain('ZREVRANGEBYLEX', '(' .. ending, '[' .. from) or nil
  found[#found + 1] = one
  if other ~= one then found[#found + 1] = other end
  from = after
end
return {'ok', run, rule, overdue, 'ended', doubtful, with_etags(found, 1)}
