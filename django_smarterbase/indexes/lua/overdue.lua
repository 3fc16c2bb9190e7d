-- Finds notes to be settled, oldest ticket first. Atomic.
--
-- ARGV[1]  write deadline, ms
-- ARGV[2]  how many at most, in each live epoch
--
-- Returns {epoch, stem, token, record or "", notes or "", ...}: the notes older than the deadline and the records as
-- they are now. A creation's note is returned only when all notes of its document are that old, and then with their
-- text, since what it settles must account for all of them (see finish.lua).

local deadline, found, time = tonumber(ARGV[1]), {}, now()

local function is_old(note)
  return time - note.time > deadline
end

local function all_old(notes)
  for _, note in ipairs(notes) do
    if not is_old(note) then return false end
  end
  return true
end

local function collect(epoch, stem, note, notes)
  if not note.existed and not all_old(notes) then return end
  found[#found + 1] = epoch
  found[#found + 1] = stem
  found[#found + 1] = note.token
  found[#found + 1] = call('HGET', key('docs', epoch), stem) or ''
  found[#found + 1] = note.existed and '' or call('HGET', key('pend', epoch), stem)
end

for _, epoch in ipairs(call('HKEYS', base .. 'live')) do
  for _, member in ipairs(call('ZRANGE', key('age', epoch), 0, tonumber(ARGV[2]) - 1)) do
    local stem, token = string.match(member, '^(%S+) (%S+)$')
    local notes = notes_of(epoch, stem)
    local note = take(notes, token)
    if not note or not is_old(note) then break end
    collect(epoch, stem, note, notes)
  end
end
return found
