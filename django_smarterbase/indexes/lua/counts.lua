-- Counts the documents of each value of one index. Atomic.
--
-- ARGV[1]  epoch, and ARGV[2] the known run_id (reading.lua)
-- ARGV[3]  index
-- ARGV[4]  the last argument (reading.lua)
--
-- Returns {"ok", run_id, policy or "", in doubt, {code, count, sample, ...}}: the counts leave out all documents in
-- doubt, which are all documents with a note; sample is the stem of a counted document when the code does not tell
-- its values (it has a "!"), else "". Otherwise as reading.lua says.

local index = ARGV[3]
local refusal = distrust()
if refusal then return refusal end
if not agrees(call('HGET', tally, 'v:' .. index) or '0', call('HLEN', tally .. ':' .. index)) then
  return drift(tally .. ':' .. index)
end

local pending, less = pending_stems(), {}
for _, stem in ipairs(pending) do
  for entry in pairs(justified(record_of(epoch, stem), notes_of(epoch, stem))) do
    local name, code = split_entry(entry)
    if name == index then less[code] = (less[code] or 0) + 1 end
  end
end

local function sample(set)
  for _, stem in ipairs(call('SRANDMEMBER', set, #pending + 1)) do
    if not is_pending(stem) then return stem end
  end
  return ''
end

local all, result = call('HGETALL', tally .. ':' .. index), {}
for i = 1, #all, 2 do
  local code, total = all[i], tonumber(all[i + 1])
  local set = set_key(epoch, index .. ':' .. code)
  if call('SCARD', set) ~= total then return drift(set) end
  local count = total - (less[code] or 0)
  if count > 0 then
    result[#result + 1] = code
    result[#result + 1] = count
    result[#result + 1] = string.find(code, '!', 1, true) and sample(set) or ''
  end
end
return {'ok', run, rule, pending, result}
