-- Announces writes in every live epoch: a ticket, a pending note, the new entries. Atomic.
--
-- ARGV[1]  the writer's definition hash
-- ARGV[2]  the write's token
-- ARGV[3]  "1": refuse when another write of one of the documents is under way (stores without conditional writes)
-- ARGV[4]  write deadline, ms
-- ARGV[5]  "+<token>": refuse when another transaction than this has locked one of the documents; "": do not look
-- ARGV[6+] for each document: stem, existed ("1" or "0"), entries
--
-- Returns {"ok", epoch, ...} (the epochs fed), {"none"} (no epoch is live), {"definitions"} (a live epoch is built for
-- other definitions, so nothing was announced), or {"busy", stem}, {"overdue", stem} (only with ARGV[3] = "1"),
-- {"locked", stem} (not with ARGV[5] = "").

local definition, token, exclusive, deadline = ARGV[1], ARGV[2], ARGV[3] == '1', tonumber(ARGV[4])
local run, time, fed = run_id(), now(), {}

-- First of all: who cannot announce a write makes it all the same.
if ARGV[5] ~= '' and call('EXISTS', base .. 'locks') == 1 then
  local owner = string.sub(ARGV[5], 2)
  for i = 6, #ARGV, 3 do
    if locked_by_other(ARGV[i], owner, time) then return {'locked', ARGV[i]} end
  end
end

local all = call('HGETALL', base .. 'live')
for i = 1, #all, 2 do
  local epoch, info = all[i], parse_live(all[i + 1])
  if info.run ~= run or not call('HGET', key('tally', epoch), 'tick') then
    drop(epoch)
  elseif info.definition ~= definition then
    return {'definitions'}
  else
    fed[#fed + 1] = epoch
  end
end
if #fed == 0 then return {'none'} end

if exclusive then
  for i = 6, #ARGV, 3 do
    for _, epoch in ipairs(fed) do
      for _, note in ipairs(notes_of(epoch, ARGV[i])) do
        if note.token ~= token then return {time - note.time > deadline and 'overdue' or 'busy', ARGV[i]} end
      end
    end
  end
end

for _, epoch in ipairs(fed) do
  for i = 6, #ARGV, 3 do
    local stem, existed, entries = ARGV[i], ARGV[i + 1], ARGV[i + 2]
    local notes = notes_of(epoch, stem)
    if not take(notes, token) then
      local ticket = bump(epoch, 'tick', 1)
      local line = table.concat({token, string.format('%.0f', ticket), string.format('%.0f', time), existed, entries}, ' ')
      notes[#notes + 1] = {line = line}
      store_notes(epoch, stem, notes)
      if call('ZADD', key('age', epoch), ticket, stem .. ' ' .. token) == 1 then bump(epoch, 'notes', 1) end
    end
    add(epoch, stem, entries)
  end
end
table.insert(fed, 1, 'ok')
return fed
