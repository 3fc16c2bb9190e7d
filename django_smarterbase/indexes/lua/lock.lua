-- Locks rows for a transaction, or says who is in the way. Atomic.
--
-- ARGV[1]  the transaction's token
-- ARGV[2]  write deadline, ms: so long the locks last, those that it has already as long again
-- ARGV[3]  "all": no lock unless all can be had; "some": those that can be had
-- ARGV[4]  "1": a row that a writer has announced, and may be writing, can not be had either
-- ARGV[5+] stems
--
-- Returns the stems that cannot be had.

local token, lasting, time, busy, free = ARGV[1], tonumber(ARGV[2]), now(), {}, {}

local epochs = {}
if ARGV[4] == '1' then epochs = call('HKEYS', base .. 'live') end

local function is_being_written(stem)
  for _, epoch in ipairs(epochs) do
    for _, note in ipairs(notes_of(epoch, stem)) do
      -- What is older has taken effect or never will.
      if time - note.time <= lasting then return true end
    end
  end
  return false
end

for i = 5, #ARGV do
  local stem = ARGV[i]
  if locked_by_other(stem, token, time) or is_being_written(stem) then
    busy[#busy + 1] = stem
  else
    free[#free + 1] = stem
  end
end
if (ARGV[3] == 'all' and #busy > 0) or #free == 0 then return busy end

local value = token .. ' ' .. string.format('%.0f', time + lasting)
for _, stem in ipairs(free) do call('HSET', base .. 'locks', stem, value) end
-- All locks are made to last as long, so the hash outlives each of them.
call('PEXPIRE', base .. 'locks', lasting)
return busy
