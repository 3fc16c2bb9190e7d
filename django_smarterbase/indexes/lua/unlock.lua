-- Gives back the locks of a transaction. Atomic.
--
-- ARGV[1]  the transaction's token
-- ARGV[2+] stems
--
-- Returns how many of them it still had.

local had = 0
for i = 2, #ARGV do
  local text = call('HGET', base .. 'locks', ARGV[i])
  if text and string.match(text, '^%S+') == ARGV[1] then
    had = had + call('HDEL', base .. 'locks', ARGV[i])
  end
end
return had
