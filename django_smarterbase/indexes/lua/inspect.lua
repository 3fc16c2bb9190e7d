-- What Redis knows of the table, for checks and commands. Atomic.
--
-- ARGV[1]  write deadline, ms
--
-- Returns {run_id, policy, marker's epoch or "", marker's run_id or "", documents, notes, overdue notes, 1 while a
-- rebuild is under way (otherwise 0), {index, number of its distinct values, ...}}; the numbers are the marked epoch's,
-- -1 without one.

local marker = call('HMGET', KEYS[1], 'epoch', 'run_id')
local epoch, rebuilding = marker[1], call('EXISTS', base .. 'builder')
if not epoch then return {run_id(), policy(), '', '', -1, -1, -1, rebuilding, {}} end
local overdue, time = 0, now()
for _, member in ipairs(call('ZRANGE', key('age', epoch), 0, -1)) do
  local stem, token = string.match(member, '^(%S+) (%S+)$')
  local note = take(notes_of(epoch, stem), token)
  if not note or time - note.time <= tonumber(ARGV[1]) then break end
  overdue = overdue + 1
end
local values, tally = {}, call('HGETALL', key('tally', epoch))
for i = 1, #tally, 2 do
  local index = string.match(tally[i], '^v:(.*)$')
  if index then
    values[#values + 1] = index
    values[#values + 1] = tonumber(tally[i + 1])
  end
end
return {run_id(), policy(), epoch, marker[2] or '', call('SCARD', key('all', epoch)), call('ZCARD', key('age', epoch)),
        overdue, rebuilding, values}
