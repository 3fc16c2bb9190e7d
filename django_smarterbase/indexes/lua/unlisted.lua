-- Walks the records of the complete epoch for documents that a check has not seen.
--
-- ARGV[1]  the epoch
-- ARGV[2]  the check's token
-- ARGV[3]  cursor, "0" at first
-- ARGV[4]  about how many records to look at
--
-- Returns {cursor ("0" at the end), {stem, ...}}, or 0 when the epoch is not the marked one. What the check has seen
-- may be forgotten meanwhile (its key is cleared by a rebuild): then all are returned.

local epoch, seen, unlisted = ARGV[1], key('seen', ARGV[2]), {}
if call('HGET', KEYS[1], 'epoch') ~= epoch then return 0 end
local page = call('HSCAN', key('docs', epoch), ARGV[3], 'COUNT', ARGV[4])
for i = 1, #page[2], 2 do
  local record = parse_record(page[2][i + 1])
  if record.etag ~= '-' and call('SISMEMBER', seen, page[2][i]) == 0 then unlisted[#unlisted + 1] = page[2][i] end
end
return {page[1], unlisted}
