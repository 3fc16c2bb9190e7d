-- Makes a new epoch live, to be fed by every writer from now on. Atomic.
--
-- ARGV[1]  the new epoch
-- ARGV[2]  its definition hash
--
-- Epochs that no one will complete (left by a rebuild that died) or that this definition's writers may not feed are
-- dropped. Returns the server's run_id.

local epoch, definition, run = ARGV[1], ARGV[2], run_id()
local all = call('HGETALL', base .. 'live')
for i = 1, #all, 2 do
  local info = parse_live(all[i + 1])
  if info.state == 'B' or info.definition ~= definition or info.run ~= run then drop(all[i]) end
end
call('HSET', key('tally', epoch), 'tick', 0, 'docs', 0, 'pend', 0, 'notes', 0, 'all', 0)
call('HSET', base .. 'live', epoch, 'B ' .. definition .. ' ' .. run)
return run
