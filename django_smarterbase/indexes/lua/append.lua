-- Adds the profiles of one process to the history. Atomic; the same call again adds nothing.
--
-- KEYS[1..3]  the history's stream, its counter of dropped profiles, and what is known of this sender
-- ARGV[1]  how many profiles the stream may hold (about: whole nodes are cut off)
-- ARGV[2]  how many profiles the sender has dropped until now
-- ARGV[3]  the sender's number of the first profile; the others follow
-- ARGV[4]  for how long the sender is remembered, and ARGV[5] the history when nobody adds to it, seconds
-- ARGV[6..]  profiles as JSON, oldest first; none to report only what was dropped

local known = call('GET', KEYS[3]) or '0 0'
local number, dropped = string.match(known, '^(%d+) (%d+)$')
local last = tonumber(number)
for position = 6, #ARGV do
  local this = tonumber(ARGV[3]) + position - 6
  if this > last then
    call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[1], '*', 'p', ARGV[position])
    last = this
  end
end
if tonumber(ARGV[2]) > tonumber(dropped) then
  call('INCRBY', KEYS[2], tonumber(ARGV[2]) - tonumber(dropped))
end
call('SET', KEYS[3], string.format('%.0f %s', last, ARGV[2]), 'EX', ARGV[4])
call('EXPIRE', KEYS[1], ARGV[5])
call('EXPIRE', KEYS[2], ARGV[5])
return 1
