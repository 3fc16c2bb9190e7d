-- A page of the history, newest first. Reads only.
--
-- KEYS[1..2]  the history's stream, and its counter of dropped profiles
-- ARGV[1]  the ID that the page before ended with; "+" for the first
-- ARGV[2]  how many profiles, at most
--
-- Returns { how many profiles were dropped, ID, profile, ID, profile, ... }.

local page = { tonumber(call('GET', KEYS[2]) or 0) }
-- One more, since the one that the page before ended with is not of this page.
for _, entry in ipairs(call('XREVRANGE', KEYS[1], ARGV[1], '-', 'COUNT', tonumber(ARGV[2]) + 1)) do
  if entry[1] ~= ARGV[1] and #page < 2 * tonumber(ARGV[2]) then
    page[#page + 1] = entry[1]
    page[#page + 1] = entry[2][2]
  end
end
return page
