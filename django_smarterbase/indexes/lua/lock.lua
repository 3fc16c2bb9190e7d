-- Locks rows for a transaction, or says who is in the way. Atomic.
--
-- ARGV[1]  the transaction's token
-- ARGV[2]  for how long, ms; locks that it has already last as long again
-- ARGV[3]  "all": no lock unless all can be had; "some": those that can be had; "none": only look
-- ARGV[4+] stems
--
-- Returns the stems that other transactions have locked.

local token, lasting, time, busy = ARGV[1], tonumber(ARGV[2]), now(), {}
local free = {}
for i = 4, #ARGV do
  if locked_by_other(ARGV[i], token, time) then busy[#busy + 1] = ARGV[i] else free[#free + 1] = ARGV[i] end
end
if ARGV[3] == 'none' or (ARGV[3] == 'all' and #busy > 0) or #free == 0 then return busy end

local value = token .. ' ' .. string.format('%.0f', time + lasting)
for _, stem in ipairs(free) do call('HSET', base .. 'locks', stem, value) end
-- All locks are made to last as long, so the hash outlives each of them.
call('PEXPIRE', base .. 'locks', lasting)
return busy
