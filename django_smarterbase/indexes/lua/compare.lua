-- Finds the documents whose committed record does not have the ETag that a listing shows. Atomic.
--
-- ARGV[1]  the epoch being built
-- ARGV[2+] for each document: stem, "e<etag>"
--
-- Every stem is noted as seen (key "seen"). Returns 0 when the epoch is no longer live, otherwise
-- {stem, record or "", ...} of the documents that differ.

local epoch, stems, differing = ARGV[1], {}, {}
if not live(epoch) then return 0 end
for i = 2, #ARGV, 2 do stems[#stems + 1] = ARGV[i] end
if #stems > 0 then call_in_parts('SADD', key('seen', epoch), stems) end
for i, text in ipairs(record_texts(epoch, stems)) do
  if not text or parse_record(text).etag ~= ARGV[2 * i + 1] then
    differing[#differing + 1] = stems[i]
    differing[#differing + 1] = text or ''
  end
end
return differing
