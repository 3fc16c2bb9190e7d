-- Makes an epoch the trusted one, if it has stayed live on the very server that it was registered on. Atomic.
--
-- ARGV[1]  the epoch
--
-- Returns 1, or 0 when the epoch was lost. Other epochs are fed no longer; their keys are left to be cleared.

local epoch, run = ARGV[1], run_id()
local info = live(epoch)
if not info or info.run ~= run or not call('HGET', key('tally', epoch), 'tick') then return 0 end
for _, other in ipairs(call('HKEYS', base .. 'live')) do
  if other ~= epoch then call('HDEL', base .. 'live', other) end
end
call('HSET', base .. 'live', epoch, 'R ' .. info.definition .. ' ' .. run)
call('DEL', KEYS[1])
call('HSET', KEYS[1], 'epoch', epoch, 'run_id', run)
call('UNLINK', key('seen', epoch))
return 1
