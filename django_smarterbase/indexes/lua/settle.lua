-- Replaces notes by what the documents say, unless a writer finished meanwhile. Atomic.
--
-- ARGV[1+] for each note: epoch, stem, token, record or "", notes or "" (these as overdue.lua gave them, before the
--          document was read), "e<etag>" or "-" (there is no document), entries
--
-- Returns the number of notes that were settled. The others are gone, or must be read again.

local settled = 0

local function highest(notes, ticket)
  for _, note in ipairs(notes) do ticket = math.max(ticket, note.ticket) end
  return ticket
end

local function settle(epoch, info, stem, token, before, notes_before, etag, entries)
  local notes = notes_of(epoch, stem)
  local note, others = take(notes, token)
  local text = call('HGET', key('docs', epoch), stem)
  if not note or (text or '') ~= before then return end
  local closing = {note}
  if notes_before ~= '' then
    if call('HGET', key('pend', epoch), stem) ~= notes_before then return end
    closing, others = notes, {}
  end
  local old = parse_record(text)
  add(epoch, stem, entries)
  local record = set_record(epoch, stem, highest(closing, old and old.ticket or 0), etag, entries)
  for _, closed in ipairs(closing) do prune(epoch, stem, closed.entries, record, others) end
  if old then prune(epoch, stem, old.entries, record, others) end
  for _, closed in ipairs(closing) do
    forget(epoch, stem, closed, others, record, info.state == 'R')
    settled = settled + 1
  end
end

for i = 1, #ARGV, 7 do
  local info = live(ARGV[i])
  if info and call('HGET', key('tally', ARGV[i]), 'tick') then
    settle(ARGV[i], info, ARGV[i + 1], ARGV[i + 2], ARGV[i + 3], ARGV[i + 4], ARGV[i + 5], ARGV[i + 6])
  end
end
return settled
