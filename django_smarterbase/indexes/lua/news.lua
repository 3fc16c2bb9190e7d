-- What came into the history after a moment, oldest first. Reads only.
--
-- KEYS[1]  the history's stream
-- ARGV[1]  the ID after which to begin; "$" for the newest of now
-- ARGV[2]  how many profiles, at most
--
-- Returns { the ID after which to begin next time, profile, profile, ... }.

if ARGV[1] == '$' then
  local newest = call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)[1]
  return { newest and newest[1] or '0-0' }
end
local news = { ARGV[1] }
for _, entry in ipairs(call('XRANGE', KEYS[1], ARGV[1], '+', 'COUNT', tonumber(ARGV[2]) + 1)) do
  if entry[1] ~= ARGV[1] then
    news[1] = entry[1]
    news[#news + 1] = entry[2][2]
  end
end
return news
