-- Finds the documents whose committed record does not have the ETag that a listing shows. Atomic.
--
-- ARGV[1]  the epoch being built
-- ARGV[2+] for each document: stem, "e<etag>"
--
-- Every stem is noted as seen (key "seen"). Returns 0 when the epoch is no longer live, otherwise
-- {stem, record or "", ...} of the documents that differ.

local epoch, differing = ARGV[1], {}
if not live(epoch) then return 0 end
for i = 2, #ARGV, 2 do
  local stem, etag = ARGV[i], ARGV[i + 1]
  call('SADD', key('seen', epoch), stem)
  local text = call('HGET', key('docs', epoch), stem)
  if not text or parse_record(text).etag ~= etag then
    differing[#differing + 1] = stem
    differing[#differing + 1] = text or ''
  end
end
return differing
