-- Shared by the scripts that answer a question from one epoch: it stands between common.lua and their text.
--
-- ARGV[1]  epoch (the manifest's)
-- ARGV[2]  run_id of the server whose eviction policy the caller knows, or ""
--
-- Their answers begin with "ok", run_id and policy (or ""). What may not be believed is answered {status, run_id,
-- policy, detail}, status "flushed" (no marker), "other" (another epoch's marker), "restarted" or "drift" (and the
-- epoch was dropped).
--
-- A *term* is an entry, whose documents are a set; or "><index>:<first code> <code after the last>", those between two
-- codes of an ordered index. Codes are compared byte by byte, as Redis does.

local epoch = ARGV[1]
local run = run_id()
local rule = run ~= ARGV[2] and policy() or ''
local tally = key('tally', epoch)
local sizes = {}

local function drift(what)
  drop(epoch)
  return {'drift', run, rule, what}
end

local function agrees(expected, actual)
  return expected and tonumber(expected) == actual
end

-- The answer when the epoch may not be believed, otherwise nil.
local function distrust()
  local marker = call('HMGET', KEYS[1], 'epoch', 'run_id')
  if not marker[1] then return {'flushed', run, rule, ''} end
  if marker[1] ~= epoch then return {'other', run, rule, marker[1]} end
  if run == '' or marker[2] ~= run then return {'restarted', run, rule, ''} end
  sizes = call('HMGET', tally, 'docs', 'pend', 'notes', 'all')
  if not agrees(sizes[1], call('HLEN', key('docs', epoch))) then return drift(key('docs', epoch)) end
  if not agrees(sizes[2], call('HLEN', key('pend', epoch))) then return drift(key('pend', epoch)) end
  if not agrees(sizes[3], call('ZCARD', key('age', epoch))) then return drift(key('age', epoch)) end
  return nil
end

local checked = {}
local function order_agrees(index)
  if checked['>' .. index] == nil then
    local expected = call('HGET', tally, 'o:' .. index) or '0'
    checked['>' .. index] = agrees(expected, call('ZCARD', order_key(epoch, index)))
  end
  return checked['>' .. index]
end

local function set_agrees(entry, size)
  if entry == '*' then return agrees(sizes[4], size) end
  local index, code = split_entry(entry)
  local counts = tally .. ':' .. index
  if checked[index] == nil then
    checked[index] = agrees(call('HGET', tally, 'v:' .. index) or '0', call('HLEN', counts))
  end
  return checked[index] and agrees(call('HGET', counts, code) or '0', size)
end

-- How many members a term has; nil and the key when that has lost or gained some.
local function size_of(term)
  local index, first, last = split_range(term)
  if index then
    if not order_agrees(index) then return nil, order_key(epoch, index) end
    return call('ZLEXCOUNT', order_key(epoch, index), '[' .. first, '(' .. last)
  end
  local size = call('SCARD', set_key(epoch, term))
  if not set_agrees(term, size) then return nil, set_key(epoch, term) end
  return size
end

-- Reads the clauses that stand in ARGV from `position` on: their number, then for each the number of its terms, and
-- these. Returns {{terms = {...}, size = ...}, ...} and the position after them, or nil and the key that is damaged.
local function read_clauses(position)
  local clauses = {}
  local number = tonumber(ARGV[position])
  position = position + 1
  for i = 1, number do
    local clause = {terms = {}, size = 0}
    for j = 1, tonumber(ARGV[position]) do
      local size, wrong = size_of(ARGV[position + j])
      if not size then return nil, wrong end
      clause.terms[j] = ARGV[position + j]
      clause.size = clause.size + size
    end
    position = position + #clause.terms + 1
    clauses[i] = clause
  end
  return clauses, position
end

local function is_set(clause)
  return #clause.terms == 1 and not split_range(clause.terms[1])
end

-- Lua's own < asks the locale that the server was started in. None that is for people has capitals before small letters.
local BYTEWISE = 'B' < 'a' and '_' < 'a' and '!' < '"'

local function before(code, other)
  if BYTEWISE then return code < other end
  for i = 1, math.min(#code, #other) do
    local mine, its = string.byte(code, i), string.byte(other, i)
    if mine ~= its then return mine < its end
  end
  return #code < #other
end

-- The stems of the documents in doubt; is_pending knows them from then on.
local is_pending = {}
local function pending_stems()
  local stems = tonumber(sizes[2]) > 0 and call('HKEYS', key('pend', epoch)) or {}
  for _, stem in ipairs(stems) do is_pending[stem] = true end
  return stems
end

-- What the record and the notes of a document say of its entries; the record as it stands, as this is done for many.
local function entries_of(stem)
  local texts = {call('HGET', key('docs', epoch), stem) or ''}
  if not is_pending[stem] then return texts[1] end
  for _, note in ipairs(notes_of(epoch, stem)) do texts[#texts + 1] = note.entries end
  return table.concat(texts, ' ')
end

-- The codes of a document in an ordered index: one, or while it is written those of before and after.
local function codes_of(entries, index)
  local codes, known, from, sought = {}, {}, 1, ' >' .. index .. ':'
  entries = ' ' .. entries
  while true do
    local _, last = string.find(entries, sought, from, true)
    if not last then return codes end
    local code = string.match(entries, '^%S+', last + 1)
    if not known[code] then codes[#codes + 1] = code end
    known[code], from = true, last
  end
end

local function is_between(code, first, last)
  return not before(code, first) and before(code, last)
end

local function stands_in(stem, term)
  local index, first, last = split_range(term)
  if not index then return call('SISMEMBER', set_key(epoch, term), stem) == 1 end
  for _, code in ipairs(codes_of(entries_of(stem), index)) do
    if is_between(code, first, last) then return true end
  end
  return false
end

local function meets(stem, clause)
  if clause.found then return clause.found[stem] end
  for _, term in ipairs(clause.terms) do
    if stands_in(stem, term) then return true end
  end
  return false
end

local function meets_all(stem, clauses)
  for _, clause in ipairs(clauses) do
    if not meets(stem, clause) then return false end
  end
  return true
end

-- unpack() and the protocol bound the number of arguments, so long unions go in pieces.
local PIECE = 1000
local function members(clause)
  local found, sets = {}, {}
  for _, term in ipairs(clause.terms) do
    local index, first, last = split_range(term)
    if index then
      for _, member in ipairs(call('ZRANGEBYLEX', order_key(epoch, index), '[' .. first, '(' .. last)) do
        found[stem_of(member)] = true
      end
    else
      sets[#sets + 1] = set_key(epoch, term)
    end
  end
  for from = 1, #sets, PIECE do
    for _, stem in ipairs(call('SUNION', unpack(sets, from, math.min(from + PIECE - 1, #sets)))) do found[stem] = true end
  end
  return found
end

-- Whether documents are in a set is quickly asked; whether they are in a range takes as long as to look up some of it.
local FEW_TERMS = 4
local RANGE_COST = 20
local function prepare(clause, candidates)
  local bound = is_set(clause) and 0 or RANGE_COST * candidates
  if #clause.terms > FEW_TERMS or clause.size <= bound then clause.found = clause.found or members(clause) end
end

-- 1 when a note is older than the deadline (ms).
local function overdue_notes(deadline)
  local oldest = tonumber(sizes[3]) > 0 and call('ZRANGE', key('age', epoch), 0, 0)[1]
  if not oldest then return 0 end
  local stem, token = string.match(oldest, '^(%S+) (%S+)$')
  local note = take(notes_of(epoch, stem), token)
  return note and now() - note.time > deadline and 1 or 0
end
