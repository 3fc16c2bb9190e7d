-- Makes the records of the complete epoch what the documents say, for documents that no writer is at. Atomic.
--
-- ARGV[1]  the epoch
-- ARGV[2+] for each document: stem, the record as it was before the document was read, "e<etag>" or "-" (there is no
--          document), entries
--
-- A document without a record is left alone: records of deletions are forgotten, so that nothing would tell that one
-- was created and deleted again since it was read. A document with a note is left alone too: its writer's finish may
-- have an older ETag to tell. Nothing is amended while another epoch is being built: that may have been compared with
-- the documents before one of them was changed by hand. Returns how many were amended.

local epoch, amended = ARGV[1], 0
if call('HGET', KEYS[1], 'epoch') ~= epoch or not live(epoch) or call('HLEN', base .. 'live') > 1 then return 0 end
for i = 2, #ARGV, 4 do
  local stem, before, etag, entries = ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3]
  local text = call('HGET', key('docs', epoch), stem)
  local old = parse_record(text)
  if old and text == before and old.etag ~= etag and #notes_of(epoch, stem) == 0 then
    add(epoch, stem, entries)
    local record = set_record(epoch, stem, old.ticket, etag, entries)
    prune(epoch, stem, old.entries, record, {})
    amended = amended + 1
  end
end
return amended
