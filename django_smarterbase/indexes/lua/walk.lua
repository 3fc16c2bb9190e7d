-- Names the documents of a page of an ordered index, as far as they meet a condition. Atomic.
--
-- ARGV[1]  epoch, and ARGV[2] the known run_id (reading.lua)
-- ARGV[3]  write deadline, ms
-- ARGV[4]  index, and ARGV[5], ARGV[6] between which codes of it: the first, and the one after the last
-- ARGV[7]  "1": from the last to the first
-- ARGV[8]  the code of NULL, when NULLs stand at the other end than they do by their codes; otherwise ""
-- ARGV[9]  number of columns of which equal values must not be torn apart; 0 when the code tells all that counts
-- ARGV[10] where the page begins, and ARGV[11] the number after its last document; documents in doubt do not count
-- ARGV[12] "1": what comes before the page may be left out
-- ARGV[13] number of clauses, then for each: number of terms, terms; then the last argument (reading.lua)
--
-- Returns {"ok", run_id, policy or "", overdue, "more" | "ended" | "beyond", left out, in doubt, {stem, ETag, ...}}. The
-- documents that stand before and in the page are there, but for as many as "left out" says, which stand before all
-- others; none of the documents in doubt that could stand before the end of the page is missing. "ended": there are no
-- others at all. "beyond": to find them takes too long, and nothing is named.
--
-- A document in doubt stands at every place that its record and its notes give it. Let d be their number: whatever they
-- turn out to be, a certain document before which a - d others stand comes at place a at the latest.

local MOST_SORTED = 2000
local MOST_VISITED = 10000
local CHUNK = 200

local index, first, last, backwards = ARGV[4], ARGV[5], ARGV[6], ARGV[7] == '1'
local null, group = ARGV[8], tonumber(ARGV[9])
local from, upto, may_skip = tonumber(ARGV[10]), tonumber(ARGV[11]), ARGV[12] == '1'
local order = order_key(epoch, index)

local refusal = distrust()
if refusal then return refusal end
if not order_agrees(index) then return drift(order) end
local clauses, wrong = read_clauses(13)
if not clauses then return drift(wrong) end

local function range_size(low, high)
  return call('ZLEXCOUNT', order, low, high)
end

local total, below = range_size('[' .. first, '(' .. last), range_size('-', '(' .. first)
local above = call('ZCARD', order) - below - total

-- The place in the index at which the walk begins: NULLs come last in an ascending order that moves them, or first.
local begin = 0
if null ~= '' then
  local nulls = range_size('[' .. null, '(' .. string.sub(null, 1, -2) .. '"')
  begin = backwards and total - nulls or nulls
end

local function members_at(place, count)
  local at = (place + begin) % total
  count = math.min(count, total - at, total - place)
  if backwards then return call('ZREVRANGE', order, above + at, above + at + count - 1) end
  return call('ZRANGE', order, below + at, below + at + count - 1)
end

local function place_of(stem, code)
  local rank = call(backwards and 'ZREVRANK' or 'ZRANK', order, member_of(code, stem))
  local at = rank and rank - (backwards and above or below)
  return at and at >= 0 and at < total and (at - begin) % total or nil
end

-- The beginning of a code (or of a member, which begins with one) that it shares with all that must not be torn from it;
-- nil when it stands for itself.
local function bond(code)
  local position = string.find(code, '"', 1, true)
  local ending = 0
  for _ = 1, group do ending = string.find(code, '!', ending + 1, true) end
  if group > 0 and not (position and position < ending) then position = ending end
  return position and string.sub(code, 1, position)
end

local function bound_to(code, tie)
  return tie and string.sub(code, 1, #tie) == tie
end

-- Stems, and for each its member, or its code.
local certain, codes, doubtful, is_doubtful = {}, {}, {}, {}
local function doubt(stem)
  if not is_doubtful[stem] then doubtful[#doubtful + 1] = stem end
  is_doubtful[stem] = true
end

-- How many documents may be left out at once, and the place at which the rest begins.
local function jump()
  if not may_skip or from == 0 or group > 0 or #clauses > 0 then return 0, 0 end
  local places = {}
  for _, stem in ipairs(pending_stems()) do
    for _, code in ipairs(codes_of(entries_of(stem), index)) do
      places[#places + 1] = {stem = stem, place = place_of(stem, code) or total}
    end
  end
  local start = math.min(from - #places, total)
  if start <= 0 then return 0, 0 end
  for _, member in ipairs(members_at(start - 1, 2)) do
    if bond(member) then return 0, 0 end
  end
  local left_out = start
  for _, one in ipairs(places) do
    if one.place < start then
      left_out = left_out - 1
      doubt(one.stem)
    end
  end
  return left_out, start
end

-- Goes through the index until the page is full. Returns "more", "ended" or "beyond", and how many were left out.
local function walk()
  local left_out, place = jump()
  local visited, tie = 0, nil
  local size = #clauses == 0 and math.min(CHUNK, upto - left_out + 1) or CHUNK
  while place < total do
    local found = members_at(place, size)
    for _, member in ipairs(found) do
      local stem = stem_of(member)
      if left_out + #certain >= upto then
        tie = tie or bond(codes[#codes])
        if not bound_to(member, tie) then return 'more', left_out end
      end
      if meets_all(stem, clauses) then
        if is_pending(stem) then
          doubt(stem)
        else
          certain[#certain + 1] = stem
          codes[#codes + 1] = member
        end
      end
    end
    place = place + #found
    visited = visited + #found
    size = CHUNK
    if #clauses > 0 and visited > MOST_VISITED then return 'beyond', 0 end
  end
  return 'ended', left_out
end

-- The code by which a document is sorted here.
local function sorting(code)
  if null == '' or string.sub(code, 1, #null) ~= null then return code end
  return string.sub(null, 1, -3) .. '~' .. string.sub(code, #null)
end

local function precedes(code, other)
  if backwards then code, other = other, code end
  return before(code, other)
end

-- Where a code belongs in a sorted list.
local function place_among(list, code)
  local low, high = 1, #list + 1
  while low < high do
    local middle = math.floor((low + high) / 2)
    if precedes(code, list[middle].key) then high = middle else low = middle + 1 end
  end
  return low
end

-- Sorts the few documents that the smallest clause names. Returns as walk().
local function sort(candidates, others)
  local best, rest = {}, {}
  for stem in pairs(candidates) do
    if meets_all(stem, others) then
      for _, code in ipairs(codes_of(entries_of(stem), index)) do
        if is_between(code, first, last) then
          if is_pending(stem) then
            doubt(stem)
          else
            local found = {stem = stem, code = code, key = sorting(code)}
            table.insert(best, place_among(best, found.key), found)
            if #best > upto then rest[#rest + 1] = table.remove(best) end
          end
        end
      end
    end
  end
  local tie, left = #best > 0 and bond(best[#best].code), #rest
  for _, found in ipairs(rest) do
    if bound_to(found.code, tie) then
      best[#best + 1] = found
      left = left - 1
    end
  end
  for i, found in ipairs(best) do
    certain[i] = found.stem
    codes[i] = found.code
  end
  return left > 0 and 'more' or 'ended', 0
end

local function sorted()
  local others = {unpack(clauses, 2)}
  for _, clause in ipairs(others) do prepare(clause, clauses[1].size) end
  certain, codes, doubtful, is_doubtful = {}, {}, {}, {}
  return sort(members(clauses[1]), others)
end

local function find()
  if #clauses == 0 then return walk() end
  table.sort(clauses, function(one, other) return one.size < other.size end)
  local smallest = clauses[1].size
  local visits = smallest > 0 and upto * total / smallest or 0
  local state, left_out = 'beyond', 0
  if smallest > visits and visits <= MOST_VISITED then
    for _, clause in ipairs(clauses) do prepare(clause, visits) end
    state, left_out = walk()
  end
  if state == 'beyond' and smallest <= MOST_SORTED then return sorted() end
  return state, left_out
end

-- SQLite may sort an odd document by its value where it stands here by what that is taken for, so each may be in the page.
local function doubt_odd()
  for _, stem in ipairs(odd_stems()) do
    for _, code in ipairs(codes_of(entries_of(stem), index)) do
      if is_between(code, first, last) and meets_all(stem, clauses) then doubt(stem) end
    end
  end
end

-- What comes before the page and need not be named, where all of it is at hand.
local function trimmed(left_out)
  local number = math.min(from - #doubtful, #certain)
  if not may_skip or group > 0 or left_out > 0 or number <= 0 then return left_out, 1 end
  if bond(codes[number]) or bond(codes[math.min(number + 1, #codes)]) then return left_out, 1 end
  return number, number + 1
end

local state, left_out = find()
local overdue = overdue_notes(tonumber(ARGV[3]))
if state == 'beyond' then return {'ok', run, rule, overdue, state, 0, {}, {}} end
doubt_odd()
local start = 1
left_out, start = trimmed(left_out)
return {'ok', run, rule, overdue, state, left_out, doubtful, with_etags(certain, start)}
