-- Counts the documents of each value of one index. Atomic.
--
-- ARGV[1]  epoch (the manifest's)
-- ARGV[2]  run_id of the server whose eviction policy the caller knows, or ""
-- ARGV[3]  index
--
-- Returns {"ok", run_id, policy or "", in doubt, {code, count, sample, ...}}: the counts leave out all documents in
-- doubt, which are all documents with a note; sample is the stem of a counted document when the code does not tell
-- its values (it has a "!"), else "". Otherwise {status, run_id, policy, detail} as read.lua.

local epoch, known, index = ARGV[1], ARGV[2], ARGV[3]
local run = run_id()
local rule = run ~= known and policy() or ''
local tally = key('tally', epoch)

local marker = call('HMGET', KEYS[1], 'epoch', 'run_id')
if not marker[1] then return {'flushed', run, rule, ''} end
if marker[1] ~= epoch then return {'other', run, rule, marker[1]} end
if run == '' or marker[2] ~= run then return {'restarted', run, rule, ''} end

local function drift(what)
  drop(epoch)
  return {'drift', run, rule, what}
end

local sizes = call('HMGET', tally, 'docs', 'pend', 'notes', 'v:' .. index)
local function agrees(expected, actual)
  return expected and tonumber(expected) == actual
end
if not agrees(sizes[1], call('HLEN', key('docs', epoch))) then return drift(key('docs', epoch)) end
if not agrees(sizes[2], call('HLEN', key('pend', epoch))) then return drift(key('pend', epoch)) end
if not agrees(sizes[3], call('ZCARD', key('age', epoch))) then return drift(key('age', epoch)) end
if not agrees(sizes[4] or '0', call('HLEN', tally .. ':' .. index)) then return drift(tally .. ':' .. index) end

local pending, is_pending, less = call('HKEYS', key('pend', epoch)), {}, {}
for _, stem in ipairs(pending) do
  is_pending[stem] = true
  for entry in pairs(justified(record_of(epoch, stem), notes_of(epoch, stem))) do
    local name, code = split_entry(entry)
    if name == index then less[code] = (less[code] or 0) + 1 end
  end
end

local function sample(set)
  for _, stem in ipairs(call('SRANDMEMBER', set, #pending + 1)) do
    if not is_pending[stem] then return stem end
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
