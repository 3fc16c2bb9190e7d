-- Shared by the scripts that answer a question from one epoch: it stands between common.lua and their text (or telling.lua).
--
-- ARGV[1]  epoch (the manifest's)
-- ARGV[2]  run_id of the server whose eviction policy the caller knows, or ""
-- ARGV[#ARGV]  the entries, separated by blanks, whose documents are in doubt as well, since they stand in indexes both
--          by their values and by what SQLite takes these for (indexes/entries.py)
--
-- Their answers begin with "ok", run_id and policy (or ""). What may not be believed is answered {status, run_id,
-- policy, detail}, status "flushed" (no marker), "other" (another epoch's marker), "restarted" or "drift" (and the
-- epoch was dropped).
--
-- A *condition* is the number of its clauses, then each *clause* as the number of its terms and these *terms*:
--
--   <entry>                         the members of a set
--   ><index>:<code> <code>          the documents from the first code of an ordered index up to before the second
--   (e <index> <number> <code> ...  the members of the sets of these values
--   (k <number> <stem> ...          the documents of these stems that there are
--   (- <clause>                     all documents but those of the clause
--   (& <condition>                  the documents of the condition
--
-- Codes are compared byte by byte, as Redis does. A document in doubt stands where
-- its entries of before and after are, and is never left out of "all but": it may have lost the entries that it has.

local epoch = ARGV[1]
local run = run_id()
local rule = run ~= ARGV[2] and policy() or ''
local tally = key('tally', epoch)
local all = key('all', epoch)
local sizes, documents = {}, 0
local damaged_odd

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
  documents = call('SCARD', all)
  if not agrees(sizes[4], documents) then return drift(all) end
  local damaged = damaged_odd()
  return damaged and drift(damaged) or nil
end

local checked = {}
local function order_agrees(index)
  if checked['>' .. index] == nil then
    local expected = call('HGET', tally, 'o:' .. index) or '0'
    checked['>' .. index] = agrees(expected, call('ZCARD', order_key(epoch, index)))
  end
  return checked['>' .. index]
end

local function values_agree(index)
  if checked[index] == nil then
    checked[index] = agrees(call('HGET', tally, 'v:' .. index) or '0', call('HLEN', tally .. ':' .. index))
  end
  return checked[index]
end

-- Conditions are read from ARGV into tables. A term is {kind, size, ...}, a clause {terms, size, apart}: size is how many
-- members it has at most; apart says that its terms are sets of one index, which no certain document is in twice.
local damage, position

local function word()
  position = position + 1
  return ARGV[position]
end

local function numbers()
  return tonumber(word())
end

-- The sets of values of one index. A value that no document has has no set; the number of values would tell if its
-- count was lost.
local function read_sets(index, codes, terms)
  local counts = tally .. ':' .. index
  if not values_agree(index) then damage = damage or counts end
  for from = 1, #codes, 1000 do
    for i, expected in ipairs(call('HMGET', counts, unpack(codes, from, math.min(from + 999, #codes)))) do
      if expected then
        local set = set_key(epoch, index .. ':' .. codes[from + i - 1])
        local size = call('SCARD', set)
        if tonumber(expected) ~= size then damage = damage or set end
        terms[#terms + 1] = {kind = 'set', key = set, size = size}
      end
    end
  end
end

local function read_range(index, first, last)
  local order = order_key(epoch, index)
  if not order_agrees(index) then damage = damage or order end
  local size = call('ZLEXCOUNT', order, '[' .. first, '(' .. last)
  return {kind = 'range', index = index, first = first, last = last, size = size}
end

-- How many members the set of an entry has; nil and the key when that has lost or gained some.
local function size_of(entry)
  local terms, index, code = {}, split_entry(entry)
  read_sets(index, {code}, terms)
  if damage then return nil, damage end
  return terms[1] and terms[1].size or 0
end

-- The key that is damaged of the sets that name odd documents, or nil.
function damaged_odd()
  for entry in string.gmatch(ARGV[#ARGV], '%S+') do
    local _, wrong = size_of(entry)
    if wrong then return wrong end
  end
end

local function read_words()
  local words = {}
  for i = 1, numbers() do words[i] = word() end
  return words
end

local read_clause, read_condition

local function read_term(text, terms)
  local term
  if text == '(e' then
    local index = word()
    return read_sets(index, read_words(), terms)
  elseif text == '(k' then
    local stems = read_words()
    term = {kind = 'keys', stems = stems, size = #stems}
  elseif text == '(-' then
    local clause = read_clause()
    term = {kind = 'but', clause = clause, size = documents}
  elseif text == '(&' then
    term = read_condition()
  elseif text == '*' then
    term = {kind = 'set', key = all, size = documents}
  else
    local index, first, last = split_range(text)
    if not index then
      local name, code = split_entry(text)
      return read_sets(name, {code}, terms)
    end
    term = read_range(index, first, last)
  end
  terms[#terms + 1] = term
end

function read_clause()
  local number, terms, size = numbers(), {}, 0
  local first = ARGV[position + 1]
  for _ = 1, number do read_term(word(), terms) end
  for _, term in ipairs(terms) do size = size + term.size end
  local apart = number == 1 and string.find(first, '^[>(]') == nil or first == '(e'
  return {terms = terms, size = math.min(size, documents), apart = number == 1 and apart}
end

function read_condition()
  local clauses, size = {}, documents
  for i = 1, numbers() do
    clauses[i] = read_clause()
    size = math.min(size, clauses[i].size)
  end
  return {kind = 'and', clauses = clauses, size = size}
end

-- Reads the condition that stands in ARGV from `start` on. Returns its clauses and the position after them, or nil and
-- the key that is damaged.
local function read_clauses(start)
  position = start - 1
  local clauses = read_condition().clauses
  if damage then return nil, damage end
  return clauses, position + 1
end

local function is_set(clause)
  return #clause.terms == 1 and clause.terms[1].kind == 'set'
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

-- The stems of odd documents, each once: asked once.
local odd
local function odd_stems()
  if odd then return odd end
  odd = {}
  local known = {}
  for entry in string.gmatch(ARGV[#ARGV], '%S+') do
    for _, stem in ipairs(call('SMEMBERS', set_key(epoch, entry))) do
      if not known[stem] then odd[#odd + 1] = stem end
      known[stem] = true
    end
  end
  return odd
end

-- The stems of the documents in doubt, each once: asked once.
local pending, in_doubt
local function pending_stems()
  if pending then return pending end
  pending, in_doubt = tonumber(sizes[2]) > 0 and call('HKEYS', key('pend', epoch)) or {}, {}
  for _, stem in ipairs(pending) do in_doubt[stem] = true end
  for _, stem in ipairs(odd_stems()) do
    if not in_doubt[stem] then pending[#pending + 1] = stem end
    in_doubt[stem] = true
  end
  return pending
end

local function is_pending(stem)
  if not pending then pending_stems() end
  return in_doubt[stem]
end

-- What the record and the notes of a document say of its entries; the record as it stands, as this is done for many.
local function entries_of(stem)
  local texts = {call('HGET', key('docs', epoch), stem) or ''}
  if not is_pending(stem) then return texts[1] end
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

-- How often a document stands in a term; one that is written may stand in a range twice.
local function places(stem, term)
  if term.kind == 'set' then return call('SISMEMBER', term.key, stem) end
  local number = 0
  for _, code in ipairs(codes_of(entries_of(stem), term.index)) do
    if is_between(code, term.first, term.last) then number = number + 1 end
  end
  return number
end

local meets
local function meets_all(stem, clauses)
  for _, clause in ipairs(clauses) do
    if not meets(stem, clause) then return false end
  end
  return true
end

-- Whether a document is a member of a term.
local function stands_in(stem, term)
  if term.kind == 'but' then return is_pending(stem) or not meets(stem, term.clause) end
  if term.kind == 'and' then return meets_all(stem, term.clauses) end
  if term.kind ~= 'keys' then return places(stem, term) > 0 end
  if not term.found then
    term.found = {}
    for _, each in ipairs(term.stems) do term.found[each] = true end
  end
  return term.found[stem] ~= nil
end

function meets(stem, clause)
  if clause.found then return clause.found[stem] ~= nil end
  for _, term in ipairs(clause.terms) do
    if stands_in(stem, term) then return true end
  end
  return false
end

-- A clause whose members are fewer than the questions would be is looked up as a whole; of another each of so many
-- candidates is asked. Whether one is in a set is quickly asked; whether it is in a range takes as long as to look up
-- some of the range.
local RANGE_COST = 10
local members
local function prepare(clause, candidates)
  local questions = 0
  for _, term in ipairs(clause.terms) do
    questions = questions + candidates * (term.kind == 'range' and RANGE_COST or 1)
    if term.kind == 'but' then prepare(term.clause, candidates) end
    for _, inner in ipairs(term.clauses or {}) do prepare(inner, candidates) end
  end
  if not is_set(clause) and clause.size <= 2 * questions then clause.found = clause.found or members(clause) end
end

-- unpack() and the protocol bound the number of arguments, so long unions go in pieces.
local PIECE = 1000
local function each_member(command, keys, visit)
  for from = 1, #keys, PIECE do
    for _, stem in ipairs(call(command, unpack(keys, from, math.min(from + PIECE - 1, #keys)))) do visit(stem) end
  end
end

local function sets_of(clause)
  local keys = {}
  for _, term in ipairs(clause.terms) do
    if term.kind == 'set' then keys[#keys + 1] = term.key end
  end
  return keys
end

-- The documents outside of a clause.
local function others_than(clause, visit)
  local keys = sets_of(clause)
  if #keys < #clause.terms or #keys >= PIECE then
    prepare(clause, documents)
    for _, stem in ipairs(call('SMEMBERS', all)) do
      if is_pending(stem) or not meets(stem, clause) then visit(stem) end
    end
    return
  end
  each_member('SDIFF', {all, unpack(keys)}, visit)
  for _, stem in ipairs(pending_stems()) do
    if call('SISMEMBER', all, stem) == 1 then visit(stem) end
  end
end

local function candidates_of(clauses)
  local smallest = clauses[1]
  for _, clause in ipairs(clauses) do
    if clause.size < smallest.size then smallest = clause end
  end
  local found = {}
  if not smallest then
    for _, stem in ipairs(call('SMEMBERS', all)) do found[stem] = true end
    return found
  end
  for _, clause in ipairs(clauses) do prepare(clause, smallest.size) end
  for stem in pairs(smallest.found or members(smallest)) do
    if meets_all(stem, clauses) then found[stem] = true end
  end
  return found
end

-- {stem: true} of the documents of a clause.
function members(clause)
  local found = {}
  local function note(stem) found[stem] = true end
  each_member('SUNION', sets_of(clause), note)
  for _, term in ipairs(clause.terms) do
    if term.kind == 'range' then
      local range = call('ZRANGEBYLEX', order_key(epoch, term.index), '[' .. term.first, '(' .. term.last)
      for _, member in ipairs(range) do note(stem_of(member)) end
    elseif term.kind == 'keys' then
      for _, stem in ipairs(term.stems) do
        if call('SISMEMBER', all, stem) == 1 then note(stem) end
      end
    elseif term.kind == 'but' then
      others_than(term.clause, note)
    elseif term.kind == 'and' then
      for stem in pairs(candidates_of(term.clauses)) do note(stem) end
    end
  end
  return found
end

-- 1 when a note is older than the deadline (ms).
local function overdue_notes(deadline)
  local oldest = tonumber(sizes[3]) > 0 and call('ZRANGE', key('age', epoch), 0, 0)[1]
  if not oldest then return 0 end
  local stem, token = string.match(oldest, '^(%S+) (%S+)$')
  local note = take(notes_of(epoch, stem), token)
  return note and now() - note.time > deadline and 1 or 0
end

-- {stem, ETag or "", ...} of the stems from a place in their list on.
local function with_etags(stems, start)
  local named = {}
  for from = start, #stems, PIECE do
    local till = math.min(from + PIECE - 1, #stems)
    for i, record in ipairs(call('HMGET', key('docs', epoch), unpack(stems, from, till))) do
      named[#named + 1] = stems[from + i - 1]
      named[#named + 1] = record and string.match(record, '^%d+ (%S+)') or ''
    end
  end
  return named
end
