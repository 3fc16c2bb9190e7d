-- Enters documents as a rebuild read them, where no writer has noted anything yet. Atomic.
--
-- ARGV[1]  the epoch being built
-- ARGV[2+] for each document: stem, "e<etag>", entries
--
-- Returns 1, or 0 when the epoch is no longer live.

local epoch, stems = ARGV[1], {}
if not live(epoch) or not call('HGET', key('tally', epoch), 'tick') then return 0 end
for i = 2, #ARGV, 3 do stems[#stems + 1] = ARGV[i] end
local fresh, etags, entries = {}, {}, {}
for i, text in ipairs(record_texts(epoch, stems)) do
  if not text then
    fresh[#fresh + 1] = stems[i]
    etags[#fresh], entries[#fresh] = ARGV[3 * i], ARGV[3 * i + 1]
  end
end
enter(epoch, fresh, etags, entries)
return 1
