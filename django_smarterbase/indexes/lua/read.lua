-- Answers an index condition from one epoch, and says whether it may be believed. Atomic.
--
-- ARGV[1]  epoch, and ARGV[2] the known run_id (reading.lua)
-- ARGV[3]  which members to return: "all", "none", or a number: all if there are no more
-- ARGV[4]  write deadline, ms
-- ARGV[5]  of how many members at most the records are told
-- ARGV[6]  number of indexes of which they tell, the indexes, then the condition, then the last argument (reading.lua)
--
-- Returns {"ok", run_id, policy or "", count, overdue, in doubt, members or false, documents, {codes, ...} or false}:
-- count leaves out what is in doubt; overdue is 1 when a note is older than the deadline; documents is how many there are
-- in all; the codes of each member as in records.lua, false when there are too many members or none is returned.
-- Otherwise as reading.lua says.

local wanted = ARGV[3]
local refusal = distrust()
if refusal then return refusal end
local prefixes, start = told_indexes(6)
local clauses, wrong = read_clauses(start)
if not clauses then return drift(wrong) end

local overdue = overdue_notes(tonumber(ARGV[4]))
local pending = {}
for _, stem in ipairs(pending_stems()) do
  if call('SISMEMBER', all, stem) == 1 then pending[#pending + 1] = stem end
end

local function answer(count, doubtful, stems)
  local rows = stems and #stems <= tonumber(ARGV[5]) and told(prefixes, stems, 1, #stems)
  return {'ok', run, rule, count, overdue, doubtful, stems, documents, rows}
end

local function sets_of_all()
  local keys = {}
  for i, clause in ipairs(clauses) do
    if not is_set(clause) then return {} end
    keys[i] = clause.terms[1].key
  end
  return keys
end

-- How many certain documents a clause has whose terms have none in common.
local function total(clause)
  local number = 0
  if #pending * #clause.terms > 10000 then return nil end -- uniting the sets takes less time
  for _, term in ipairs(clause.terms) do
    number = number + term.size
    for _, stem in ipairs(pending) do number = number - places(stem, term) end
  end
  return number
end

-- How many certain documents there are, where sizes tell; otherwise nil.
local function counted(doubtful)
  if #clauses == 0 then return documents - #pending end
  if #clauses > 1 then
    local keys = sets_of_all()
    local number = #keys > 1 and #keys <= PIECE and redis.pcall('SINTERCARD', #keys, unpack(keys))
    return type(number) == 'number' and number - #doubtful or nil -- a server before Redis 7 does not know the command
  end
  local clause, term = clauses[1], clauses[1].terms[1]
  if clause.apart or (#clause.terms == 1 and term.kind == 'range') then return total(clause) end
  if #clause.terms == 1 and term.kind == 'but' and term.clause.apart then
    local outside = total(term.clause)
    return outside and documents - #pending - outside
  end
end

if wanted == 'none' then
  local doubtful = {}
  for _, stem in ipairs(pending) do
    if meets_all(stem, clauses) then doubtful[#doubtful + 1] = stem end
  end
  local count = counted(doubtful)
  if count then return answer(count, doubtful, false) end
end

table.sort(clauses, function(one, other) return one.size < other.size end)

-- The smallest clause names the candidates; if it is a set, all clauses that are sets do. Returns these, and the clauses
-- that are left.
local function candidates()
  local stems, sets, others = {}, {}, {}
  for i, clause in ipairs(clauses) do
    if is_set(clauses[1]) and is_set(clause) and #sets < PIECE then
      sets[#sets + 1] = clause.terms[1].key
    elseif i > 1 then
      others[#others + 1] = clause
    end
  end
  if #clauses == 0 then return call('SMEMBERS', all), others end
  if #sets > 0 then return call('SINTER', unpack(sets)), others end
  for stem in pairs(members(clauses[1])) do stems[#stems + 1] = stem end
  return stems, others
end

-- The candidates that meet the other clauses too, and those of them that are in doubt.
local function judged(stems, others)
  local kept, doubtful = {}, {}
  for _, clause in ipairs(others) do prepare(clause, #stems) end
  for _, stem in ipairs(stems) do
    if meets_all(stem, others) then
      kept[#kept + 1] = stem
      if is_pending(stem) then doubtful[#doubtful + 1] = stem end
    end
  end
  return kept, doubtful
end

local kept, others = candidates()
local doubtful = {}
if #others > 0 or #pending_stems() > 0 then kept, doubtful = judged(kept, others) end
local returned = wanted == 'all' or (wanted ~= 'none' and #kept <= tonumber(wanted))
return answer(#kept - #doubtful, doubtful, returned and kept)
