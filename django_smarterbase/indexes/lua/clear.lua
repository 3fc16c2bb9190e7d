-- Removes keys of epochs that are not live. Atomic.
--
-- KEYS[2+] keys under the table's tag, as SCAN found them
--
-- Returns how many were removed. Whether an epoch is live is looked up here, since one may have been registered
-- after the SCAN began.

local removed = 0
for i = 2, #KEYS do
  local epoch = string.match(string.sub(KEYS[i], #base + 1), '^%l+:([^:]+)')
  if epoch and not live(epoch) then removed = removed + call('UNLINK', KEYS[i]) end
end
return removed
