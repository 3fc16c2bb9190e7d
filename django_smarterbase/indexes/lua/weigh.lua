-- Weighs what some terms (reading.lua) name, for an estimate. Atomic; changes nothing, not even an epoch that turns out damaged.
--
-- ARGV[1]  number of terms, then the terms
-- the rest indexes
--
-- Returns {run_id, policy, marker's epoch or "", marker's run_id or "", documents, damaged or "", {members of each
-- term}, {different values of each index}}. All but the first two are the marked epoch's; documents is -1
-- without one. "damaged" names what has lost or gained members, in the order in which read.lua looks: "docs", "pend",
-- "age", "all", or an index.

local marker = call('HMGET', KEYS[1], 'epoch', 'run_id')
local epoch = marker[1]
if not epoch then return {run_id(), policy(), '', '', -1, '', {}, {}} end

local tally = key('tally', epoch)
local sizes = call('HMGET', tally, 'docs', 'pend', 'notes', 'all')
local damaged = ''
local function expect(size, actual, what)
  if damaged == '' and (not size or tonumber(size) ~= actual) then damaged = what end
end
expect(sizes[1], call('HLEN', key('docs', epoch)), 'docs')
expect(sizes[2], call('HLEN', key('pend', epoch)), 'pend')
expect(sizes[3], call('ZCARD', key('age', epoch)), 'age')
local documents = call('SCARD', key('all', epoch))
expect(sizes[4], documents, 'all')

local count, members, values = tonumber(ARGV[1]), {}, {}
local function values_of(index)
  if not values[index] then
    values[index] = tonumber(call('HGET', tally, 'v:' .. index) or '0')
    expect(values[index], call('HLEN', tally .. ':' .. index), index)
  end
  return values[index]
end
local function in_set(entry)
  local size = call('SCARD', set_key(epoch, entry))
  local index, code = split_entry(entry)
  values_of(index)
  expect(call('HGET', tally .. ':' .. index, code) or '0', size, index)
  return size
end
local function in_range(index, first, last)
  expect(call('HGET', tally, 'o:' .. index) or '0', call('ZCARD', order_key(epoch, index)), '>' .. index)
  return call('ZLEXCOUNT', order_key(epoch, index), '[' .. first, '(' .. last)
end
for i = 2, count + 1 do
  local index, first, last = split_range(ARGV[i])
  members[i - 1] = index and in_range(index, first, last) or in_set(ARGV[i])
end

local different = {}
for i = count + 2, #ARGV do different[#different + 1] = values_of(ARGV[i]) end
return {run_id(), policy(), epoch, marker[2] or '', documents, damaged, members, different}
