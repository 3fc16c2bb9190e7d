-- Answers an index condition from one epoch, and says whether it may be believed. Atomic.
--
-- ARGV[1]  epoch (the manifest's)
-- ARGV[2]  run_id of the server whose eviction policy the caller knows, or ""
-- ARGV[3]  "1": return the members too
-- ARGV[4]  write deadline, ms
-- ARGV[5]  number of clauses, then for each: number of entries, entries
--
-- Returns {"ok", run_id, policy or "", count, overdue, in doubt, members or false}: count leaves out what is in doubt;
-- overdue is 1 when a note is older than the deadline. Otherwise {status, run_id, policy, detail}, status "flushed"
-- (no marker), "other" (another epoch's marker), "restarted" or "drift" (and the epoch was dropped).

local epoch, known, wants_members, deadline = ARGV[1], ARGV[2], ARGV[3] == '1', tonumber(ARGV[4])
local run = run_id()
local rule = run ~= known and policy() or ''
local tally = key('tally', epoch)

local marker = call('HMGET', KEYS[1], 'epoch', 'run_id')
if not marker[1] then return {'flushed', run, rule, ''} end
if marker[1] ~= epoch then return {'other', run, rule, marker[1]} end
if run == '' or marker[2] ~= run then return {'restarted', run, rule, ''} end

local function drift(what)
  drop(epoch)
  return {'drift', run, rule, what}
end

local sizes = call('HMGET', tally, 'docs', 'pend', 'notes', 'all')
local function agrees(expected, actual)
  return expected and tonumber(expected) == actual
end
if not agrees(sizes[1], call('HLEN', key('docs', epoch))) then return drift(key('docs', epoch)) end
if not agrees(sizes[2], call('HLEN', key('pend', epoch))) then return drift(key('pend', epoch)) end
if not agrees(sizes[3], call('ZCARD', key('age', epoch))) then return drift(key('age', epoch)) end

local checked = {}
local function damaged(entry)
  local size = call('SCARD', set_key(epoch, entry))
  if entry == '*' then return not agrees(sizes[4], size) end
  local index, code = split_entry(entry)
  local counts = tally .. ':' .. index
  if not checked[index] then
    if not agrees(call('HGET', tally, 'v:' .. index) or '0', call('HLEN', counts)) then return true end
    checked[index] = true
  end
  return not agrees(call('HGET', counts, code) or '0', size)
end

local clauses, position = {}, 6
for i = 1, tonumber(ARGV[5]) do
  local size, keys = tonumber(ARGV[position]), {}
  for j = 1, size do
    local entry = ARGV[position + j]
    if damaged(entry) then return drift(set_key(epoch, entry)) end
    keys[j] = set_key(epoch, entry)
  end
  clauses[i] = keys
  position = position + size + 1
end

-- unpack() and the protocol bound the number of arguments, so long unions go in pieces.
local PIECE = 1000
local function union(keys)
  local found = {}
  for from = 1, #keys, PIECE do
    local part = call('SUNION', unpack(keys, from, math.min(from + PIECE - 1, #keys)))
    for _, stem in ipairs(part) do found[stem] = true end
  end
  return found
end

local function listed(found)
  local stems = {}
  for stem in pairs(found) do stems[#stems + 1] = stem end
  return stems
end

local function intersection()
  local single, unions = {}, {}
  for _, keys in ipairs(clauses) do
    if #keys == 1 then single[#single + 1] = keys[1] else unions[#unions + 1] = union(keys) end
  end
  local stems
  if #single > 0 then stems = call('SINTER', unpack(single)) else stems = listed(table.remove(unions)) end
  if #unions == 0 then return stems end
  local kept = {}
  for _, stem in ipairs(stems) do
    local everywhere = true
    for _, found in ipairs(unions) do everywhere = everywhere and found[stem] end
    if everywhere then kept[#kept + 1] = stem end
  end
  return kept
end

local pending = tonumber(sizes[2]) > 0 and call('HKEYS', key('pend', epoch)) or {}
local overdue = 0
local oldest = #pending > 0 and call('ZRANGE', key('age', epoch), 0, 0)[1]
if oldest then
  local stem, token = string.match(oldest, '^(%S+) (%S+)$')
  local note = take(notes_of(epoch, stem), token)
  if note and now() - note.time > deadline then overdue = 1 end
end

local doubtful = {}
if not wants_members and #clauses == 1 and #clauses[1] == 1 then
  local set = clauses[1][1]
  for _, stem in ipairs(pending) do
    if call('SISMEMBER', set, stem) == 1 then doubtful[#doubtful + 1] = stem end
  end
  return {'ok', run, rule, call('SCARD', set) - #doubtful, overdue, doubtful, false}
end

local is_pending = {}
for _, stem in ipairs(pending) do is_pending[stem] = true end
local stems = intersection()
for _, stem in ipairs(stems) do
  if is_pending[stem] then doubtful[#doubtful + 1] = stem end
end
return {'ok', run, rule, #stems - #doubtful, overdue, doubtful, wants_members and stems}
