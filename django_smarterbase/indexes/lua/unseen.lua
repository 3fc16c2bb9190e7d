-- Walks the records of documents that the listing did not show.
--
-- ARGV[1]  the epoch being built
-- ARGV[2]  cursor, "0" at first
-- ARGV[3]  about how many records to look at
--
-- Returns {cursor ("0" at the end), {stem, record, ...}}, or 0 when the epoch is no longer live.

local epoch, unseen = ARGV[1], {}
if not live(epoch) then return 0 end
local page = call('HSCAN', key('docs', epoch), ARGV[2], 'COUNT', ARGV[3])
for i = 1, #page[2], 2 do
  local stem, text = page[2][i], page[2][i + 1]
  if parse_record(text).etag ~= '-' and call('SISMEMBER', key('seen', epoch), stem) == 0 then
    unseen[#unseen + 1] = stem
    unseen[#unseen + 1] = text
  end
end
return {page[1], unseen}
