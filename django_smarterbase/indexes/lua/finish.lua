-- Ends writes in the epochs that begin fed. Atomic.
--
-- ARGV[1]  token
-- ARGV[2]  number of epochs, then these
-- ARGV[..] for each document: stem, and "e<etag>" (written), "-" (deleted) or "!" (not written: abort)
--
-- Returns "", or what was found missing in an epoch that was therefore dropped.
--
-- A creation is conditional on absence alone, which says less than an ETag: the document may have been created and
-- deleted by others since begin. Where a later ticket shows traces of that, only the document can tell which write
-- came last, so the creation's note stays until a sweep reads the document.

local token, epochs = ARGV[1], {}
local first = 3 + tonumber(ARGV[2])
for i = 3, first - 1 do epochs[#epochs + 1] = ARGV[i] end
local dropped = ''

local function without_note(epoch, stem, etag)
  local record = record_of(epoch, stem)
  -- A sweep that took the note of a slow writer has read the document, perhaps before the write took effect.
  if etag == '!' or (etag == '-' and not record) or (record and record.etag == etag) then return nil end
  return 'the pending note of ' .. stem
end

local function lacks_record(info, note, others, record)
  if record or not note.existed or info.state ~= 'R' then return false end
  for _, other in ipairs(others) do
    if other.ticket < note.ticket then return false end
  end
  return true
end

local function unclear(note, record, others)
  if note.existed then return false end
  if record and record.ticket >= note.ticket then return true end
  for _, other in ipairs(others) do
    if other.existed and other.ticket > note.ticket then return true end
  end
  return false
end

local function finish(epoch, info, stem, etag)
  local note, others = take(notes_of(epoch, stem), token)
  if not note then return without_note(epoch, stem, etag) end
  local record, missing = record_of(epoch, stem), nil
  if etag ~= '!' and unclear(note, record, others) then return nil end
  if etag == '!' or (record and record.ticket >= note.ticket) then
    prune(epoch, stem, note.entries, record, others)
  else
    if lacks_record(info, note, others, record) then missing = 'the record of ' .. stem end
    add(epoch, stem, note.entries)
    local old = record
    record = set_record(epoch, stem, note.ticket, etag, note.entries)
    if old then prune(epoch, stem, old.entries, record, others) end
  end
  forget(epoch, stem, note, others, record, info.state == 'R')
  return missing
end

for _, epoch in ipairs(epochs) do
  local info = live(epoch)
  if info then
    local missing = nil
    if call('HGET', key('tally', epoch), 'tick') then
      for i = first, #ARGV, 2 do
        missing = finish(epoch, info, ARGV[i], ARGV[i + 1]) or missing
      end
    else
      missing = 'the tally'
    end
    if missing then
      drop(epoch)
      dropped = missing
    end
  end
end
return dropped
