-- Compares the numbers that the tally of the complete epoch remembers with those that there are. Atomic.
--
-- ARGV[1]  the epoch
-- ARGV[2]  an index, or "" for the documents, the records, the notes and the order of primary keys
-- ARGV[3]  cursor, "0" at first
-- ARGV[4]  about how many values of the index to look at
--
-- Returns 0 when the epoch is not the marked one, otherwise {cursor ("0" at the end), {key, ...}}: the keys whose size
-- is another one.

local epoch, index, wrong = ARGV[1], ARGV[2], {}
if call('HGET', KEYS[1], 'epoch') ~= epoch then return 0 end
local tally = key('tally', epoch)

local function expect(expected, size, name)
  if tonumber(expected or '') ~= size then wrong[#wrong + 1] = name end
end

if ARGV[3] == '0' then
  expect(call('HGET', tally, 'o:' .. index) or '0', call('ZCARD', order_key(epoch, index)), order_key(epoch, index))
end
if index == '' then
  local sizes = call('HMGET', tally, 'docs', 'pend', 'notes', 'all')
  expect(sizes[1], call('HLEN', key('docs', epoch)), key('docs', epoch))
  expect(sizes[2], call('HLEN', key('pend', epoch)), key('pend', epoch))
  expect(sizes[3], call('ZCARD', key('age', epoch)), key('age', epoch))
  expect(sizes[4], call('SCARD', key('all', epoch)), key('all', epoch))
  return {'0', wrong}
end

local counts = tally .. ':' .. index
if ARGV[3] == '0' then expect(call('HGET', tally, 'v:' .. index) or '0', call('HLEN', counts), counts) end
local page = call('HSCAN', counts, ARGV[3], 'COUNT', ARGV[4])
for i = 1, #page[2], 2 do
  local set = set_key(epoch, index .. ':' .. page[2][i])
  expect(page[2][i + 1], call('SCARD', set), set)
end
return {page[1], wrong}
