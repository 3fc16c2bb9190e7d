-- Answers an index condition from one epoch, and says whether it may be believed. Atomic.
--
-- ARGV[1]  epoch, and ARGV[2] the known run_id (reading.lua)
-- ARGV[3]  "1": return the members too
-- ARGV[4]  write deadline, ms
-- ARGV[5]  number of clauses, then for each: number of terms, terms
--
-- Returns {"ok", run_id, policy or "", count, overdue, in doubt, members or false}: count leaves out what is in doubt;
-- overdue is 1 when a note is older than the deadline. Otherwise as reading.lua says.

local wants_members = ARGV[3] == '1'
local refusal = distrust()
if refusal then return refusal end
local clauses, wrong = read_clauses(5)
if not clauses then return drift(wrong) end

local pending = pending_stems()
local overdue = overdue_notes(tonumber(ARGV[4]))

local function answer(count, doubtful, stems)
  return {'ok', run, rule, count, overdue, doubtful, stems}
end

-- A document that is written may stand in a range twice.
local function places(stem, term)
  local index, first, last = split_range(term)
  if not index then return call('SISMEMBER', set_key(epoch, term), stem) end
  local number = 0
  for _, code in ipairs(codes_of(entries_of(stem), index)) do
    if is_between(code, first, last) then number = number + 1 end
  end
  return number
end

if not wants_members and #clauses == 1 and #clauses[1].terms == 1 then
  local term, count, doubtful = clauses[1].terms[1], clauses[1].size, {}
  for _, stem in ipairs(pending) do
    local number = places(stem, term)
    if number > 0 then doubtful[#doubtful + 1] = stem end
    count = count - number
  end
  return answer(count, doubtful, false)
end

table.sort(clauses, function(one, other) return one.size < other.size end)

-- The smallest clause names the candidates; if it is a set, all clauses that are sets do. Returns these, and the clauses
-- that are left.
local function candidates()
  local stems, sets, others = {}, {}, {}
  for i, clause in ipairs(clauses) do
    if is_set(clauses[1]) and is_set(clause) then
      sets[#sets + 1] = set_key(epoch, clause.terms[1])
    elseif i > 1 then
      others[#others + 1] = clause
    end
  end
  if #sets > 0 then return call('SINTER', unpack(sets)), others end
  for stem in pairs(members(clauses[1])) do stems[#stems + 1] = stem end
  return stems, others
end

local stems, others = candidates()
local kept, doubtful = {}, {}
for _, clause in ipairs(others) do prepare(clause, #stems) end
for _, stem in ipairs(stems) do
  if meets_all(stem, others) then
    kept[#kept + 1] = stem
    if is_pending[stem] then doubtful[#doubtful + 1] = stem end
  end
end
return answer(#kept - #doubtful, doubtful, wants_members and kept)
