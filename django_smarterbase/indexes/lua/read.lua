-- Answers an index condition from one epoch, and says whether it may be believed. Atomic.
--
-- ARGV[1]  epoch (the manifest's)
-- ARGV[2]  run_id of the server whose eviction policy the caller knows, or ""
-- ARGV[3]  how many members to return: "all", "none", or "all" of them if they are no more than this number
-- ARGV[4]  write deadline, ms
-- ARGV[5+] the condition: the number of its clauses, then for each the number of its terms, and the terms:
--            "e" index number code ...   the members of the sets of these values
--            "k" number stem ...         the documents of these stems that there are
--            "-" number term ...         all documents but the members of these terms
--            "&" condition               its members
--
-- A document in doubt is in the sets of both its old and its new entries, so it is never left out of a complement.
--
-- Returns {"ok", run_id, policy or "", count, overdue, in doubt, members or false, documents}: count leaves out what is
-- in doubt; overdue is 1 when a note is older than the deadline; documents is how many there are in all. Otherwise
-- {status, run_id, policy, detail}, status "flushed" (no marker), "other" (another epoch's marker), "restarted" or
-- "drift" (and the epoch was dropped).

local epoch, known, wanted, deadline = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])
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

local all = key('all', epoch)
local documents = call('SCARD', all)
if not agrees(sizes[4], documents) then return drift(all) end

-- The sizes of an index's sets, as the tally has them and they are. A value that no document has is no set, which the
-- number of values would tell if its count were lost.
local damage, position = nil, 4
local function word()
  position = position + 1
  return ARGV[position]
end

local function read_sets(terms)
  local index, count = word(), tonumber(word())
  local counts, last = tally .. ':' .. index, position + count
  if not agrees(call('HGET', tally, 'v:' .. index) or '0', call('HLEN', counts)) then damage = damage or counts end
  while position < last do
    local till = math.min(position + 1000, last)
    for i, expected in ipairs(call('HMGET', counts, unpack(ARGV, position + 1, till))) do
      if expected then
        local set = set_key(epoch, index .. ':' .. ARGV[position + i])
        local size = call('SCARD', set)
        if tonumber(expected) ~= size then damage = damage or set end
        terms[#terms + 1] = {kind = 'e', key = set, size = size}
      end
    end
    position = till
  end
end

-- Terms are {kind, size, ...}, clauses {terms, size, alike}; size is how many members they have at most, alike says that
-- all terms are sets of one index, which have no certain member in common.
local read_term
local function read_terms()
  local count, terms, size = tonumber(word()), {}, 0
  local alike = count == 1 and ARGV[position + 1] == 'e'
  for _ = 1, count do
    local kind = word()
    if kind == 'e' then read_sets(terms) else terms[#terms + 1] = read_term(kind) end
  end
  for _, term in ipairs(terms) do size = size + term.size end
  return {terms = terms, size = math.min(size, documents), alike = alike}
end

local function read_condition()
  local clauses, size = {}, documents
  for i = 1, tonumber(word()) do
    clauses[i] = read_terms()
    size = math.min(size, clauses[i].size)
  end
  table.sort(clauses, function(one, other) return one.size < other.size end)
  return {kind = '&', clauses = clauses, size = size}
end

function read_term(kind)
  if kind == 'k' then
    local stems = {}
    for i = 1, tonumber(word()) do stems[i] = word() end
    return {kind = kind, stems = stems, size = #stems}
  elseif kind == '-' then
    local clause = read_terms()
    return {kind = kind, clause = clause, size = documents}
  end
  return read_condition()
end

local condition = read_condition()
if damage then return drift(damage) end

local pending = tonumber(sizes[2]) > 0 and call('HKEYS', key('pend', epoch)) or {}
local is_pending = {}
for _, stem in ipairs(pending) do is_pending[stem] = true end

local function each_member(keys, command, visit)
  -- unpack() and the protocol bound the number of arguments, so long unions go in pieces.
  for from = 1, #keys, 1000 do
    for _, stem in ipairs(call(command, unpack(keys, from, math.min(from + 999, #keys)))) do visit(stem) end
  end
end

local function keys_of(terms)
  local keys = {}
  for _, term in ipairs(terms) do
    if term.kind == 'e' then keys[#keys + 1] = term.key end
  end
  return keys
end

local kept

-- {stem: true} of those stems that are members of one of the terms of a clause.
local function among(stems, clause)
  local found, keys = {}, keys_of(clause.terms)
  local function note(stem) found[stem] = true end
  if #stems * #keys < clause.size then
    for _, stem in ipairs(stems) do
      for _, set in ipairs(keys) do
        if call('SISMEMBER', set, stem) == 1 then
          found[stem] = true
          break
        end
      end
    end
  else
    each_member(keys, 'SUNION', note)
  end
  for _, term in ipairs(clause.terms) do
    if term.kind == 'k' then
      for _, stem in ipairs(term.stems) do found[stem] = true end
    elseif term.kind ~= 'e' then
      for _, stem in ipairs(kept(stems, term)) do found[stem] = true end
    end
  end
  return found
end

-- Those of the stems, all of them documents, that are members of a term of kind "-" or "&".
function kept(stems, term)
  if term.kind == '-' then
    local left, out = {}, among(stems, term.clause)
    for _, stem in ipairs(stems) do
      if is_pending[stem] or not out[stem] then left[#left + 1] = stem end
    end
    return left
  end
  for _, clause in ipairs(term.clauses) do
    local left, found = {}, among(stems, clause)
    for _, stem in ipairs(stems) do
      if found[stem] then left[#left + 1] = stem end
    end
    stems = left
  end
  return stems
end

local function known_of(stems)
  local known = {}
  for _, stem in ipairs(stems) do
    if call('SISMEMBER', all, stem) == 1 then known[#known + 1] = stem end
  end
  return known
end

local members
local function complement(clause)
  local keys = keys_of(clause.terms)
  if #keys < #clause.terms or #keys > 1000 then
    return kept(call('SMEMBERS', all), {kind = '-', clause = clause})
  end
  local stems = call('SDIFF', all, unpack(keys))
  for _, stem in ipairs(known_of(pending)) do
    local out = false
    for _, set in ipairs(keys) do out = out or call('SISMEMBER', set, stem) == 1 end
    if out then stems[#stems + 1] = stem end
  end
  return stems
end

local function union(clause)
  if #clause.terms == 1 and clause.terms[1].kind == '-' then return complement(clause.terms[1].clause) end
  local stems, found = {}, {}
  local function note(stem)
    if not found[stem] then
      found[stem] = true
      stems[#stems + 1] = stem
    end
  end
  each_member(keys_of(clause.terms), 'SUNION', note)
  for _, term in ipairs(clause.terms) do
    if term.kind == 'k' then
      for _, stem in ipairs(known_of(term.stems)) do note(stem) end
    elseif term.kind == '-' then
      for _, stem in ipairs(complement(term.clause)) do note(stem) end
    elseif term.kind == '&' then
      for _, stem in ipairs(members(term)) do note(stem) end
    end
  end
  return stems
end

-- The smallest clause is taken first. Where it is a single set, those that are too are intersected by Redis itself.
function members(condition)
  local clauses = condition.clauses
  if #clauses == 0 then return call('SMEMBERS', all) end
  local stems, rest = nil, {}
  if #clauses[1].terms == 1 and clauses[1].terms[1].kind == 'e' then
    local single = {}
    for _, clause in ipairs(clauses) do
      if #clause.terms == 1 and clause.terms[1].kind == 'e' and #single < 1000 then
        single[#single + 1] = clause.terms[1].key
      else
        rest[#rest + 1] = clause
      end
    end
    stems = call('SINTER', unpack(single))
  else
    stems = union(clauses[1])
    for i = 2, #clauses do rest[#rest + 1] = clauses[i] end
  end
  return kept(stems, {kind = '&', clauses = rest})
end

local overdue = 0
local oldest = #pending > 0 and call('ZRANGE', key('age', epoch), 0, 0)[1]
if oldest then
  local stem, token = string.match(oldest, '^(%S+) (%S+)$')
  local note = take(notes_of(epoch, stem), token)
  if note and now() - note.time > deadline then overdue = 1 end
end

local function sum(clause, stems)
  if #stems * #clause.terms > 10000 then return nil end  -- uniting the sets takes less time
  local total = 0
  for _, term in ipairs(clause.terms) do
    total = total + term.size
    for _, stem in ipairs(stems) do total = total - call('SISMEMBER', term.key, stem) end
  end
  return total
end

local function intersected()
  local keys = {}
  for i, clause in ipairs(condition.clauses) do
    if #clause.terms ~= 1 or clause.terms[1].kind ~= 'e' then return nil end
    keys[i] = clause.terms[1].key
  end
  local total = #keys > 1 and #keys < 1000 and redis.pcall('SINTERCARD', #keys, unpack(keys))
  return type(total) == 'number' and total or nil  -- a server before Redis 7 does not know the command
end

-- How many certain members there are, when sizes tell: of sets of one index, and of what lies outside of them; nil
-- otherwise. `doubtful` are the members in doubt.
local function sized(doubtful)
  local clause = condition.clauses[1]
  local existing = known_of(pending)
  if not clause then return documents - #existing end
  if #condition.clauses > 1 then
    local total = intersected()
    return total and total - #doubtful
  end
  if clause.alike then return sum(clause, existing) end
  local term = clause.terms[1]
  if #clause.terms == 1 and term.kind == '-' and term.clause.alike then
    local total = sum(term.clause, existing)
    return total and documents - #existing - total
  end
end

if wanted == 'none' then
  local doubtful = kept(known_of(pending), condition)
  local count = sized(doubtful)
  if count then return {'ok', run, rule, count, overdue, doubtful, false, documents} end
end

local stems, doubtful = members(condition), {}
for _, stem in ipairs(stems) do
  if is_pending[stem] then doubtful[#doubtful + 1] = stem end
end
local returned = wanted == 'all' or (wanted ~= 'none' and #stems <= tonumber(wanted))
return {'ok', run, rule, #stems - #doubtful, overdue, doubtful, returned and stems, documents}
