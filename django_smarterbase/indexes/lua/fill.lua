-- Enters documents as a rebuild read them, where no writer has noted anything yet. Atomic.
--
-- ARGV[1]  the epoch being built
-- ARGV[2+] for each document: stem, "e<etag>", entries
--
-- Returns 1, or 0 when the epoch is no longer live.

local epoch = ARGV[1]
if not live(epoch) or not call('HGET', key('tally', epoch), 'tick') then return 0 end
for i = 2, #ARGV, 3 do
  local stem, etag, entries = ARGV[i], ARGV[i + 1], ARGV[i + 2]
  if not record_of(epoch, stem) then
    set_record(epoch, stem, 0, etag, entries)
    add(epoch, stem, entries)
  end
end
return 1
