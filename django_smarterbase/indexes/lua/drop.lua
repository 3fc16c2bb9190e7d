-- Withdraws trust: drops one epoch, or with "" every epoch, the marker and the right to rebuild, of whatever
-- type these keys are. Atomic.
--
-- ARGV[1]  epoch or ""

if ARGV[1] == '' then
  call('UNLINK', KEYS[1], base .. 'live', base .. 'builder')
else
  drop(ARGV[1])
end
return 1
