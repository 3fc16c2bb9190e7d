-- Takes, keeps or gives back the right to rebuild a table. Atomic.
--
-- ARGV[1]  the epoch being built
-- ARGV[2]  for how long, ms; "0" gives it back
--
-- Returns 1 when the right is this epoch's (or was given back), 0 when another epoch's rebuild has it.

local holder, builder = call('GET', base .. 'builder'), base .. 'builder'
if holder and holder ~= ARGV[1] then return 0 end
if ARGV[2] == '0' then
  call('DEL', builder)
else
  call('SET', builder, ARGV[1], 'PX', ARGV[2])
end
return 1
