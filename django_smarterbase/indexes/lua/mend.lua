-- Makes the records of an epoch being built what the documents say, unless a writer finished meanwhile. Atomic.
--
-- ARGV[1]  the epoch being built
-- ARGV[2+] for each document: stem, the record as it was before the document was read (or ""), "e<etag>" or "-"
--          (there is no document), entries
--
-- Returns 0 when the epoch is no longer live, otherwise the list of the stems whose record has changed.

local epoch, again = ARGV[1], {}
local info = live(epoch)
if not info or not call('HGET', key('tally', epoch), 'tick') then return 0 end
for i = 2, #ARGV, 4 do
  local stem, before, etag, entries = ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3]
  local text = call('HGET', key('docs', epoch), stem)
  if (text or '') ~= before then
    again[#again + 1] = stem
  else
    local old = parse_record(text)
    if not old or old.etag ~= etag then
      add(epoch, stem, entries)
      local record = set_record(epoch, stem, old and old.ticket or 0, etag, entries)
      if old then prune(epoch, stem, old.entries, record, notes_of(epoch, stem)) end
    end
  end
end
return again
