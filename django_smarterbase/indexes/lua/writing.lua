-- Shared by the scripts that do not answer a question from one epoch: it stands between common.lua and their text.

-- Whether the stem stands where the entry says.
local function stands(epoch, stem, entry)
  local index, code = split_ordered(entry)
  if index then return call('ZSCORE', order_key(epoch, index), member_of(code, stem)) ~= false end
  return call('SISMEMBER', set_key(epoch, entry), stem) == 1
end

local function bump(epoch, field, by)
  return call('HINCRBY', key('tally', epoch), field, by)
end

local function parse_live(text)
  local state, definition, run = string.match(text, '^(%S+) (%S+) (%S*)$')
  return {state = state, definition = definition, run = run}
end

local function live(epoch)
  local text = call('HGET', base .. 'live', epoch)
  return text and parse_live(text) or nil
end

local function locked_by_other(stem, token, time)
  local holder, till = string.match(call('HGET', base .. 'locks', stem) or '', '^(%S+) (%d+)$')
  return holder and holder ~= token and tonumber(till) > time
end

local function set_record(epoch, stem, ticket, etag, entries)
  local text = string.format('%.0f', ticket) .. ' ' .. etag .. ' ' .. entries
  if call('HSET', key('docs', epoch), stem, text) == 1 then bump(epoch, 'docs', 1) end
  return {ticket = ticket, etag = etag, entries = entries}
end

local function store_notes(epoch, stem, notes)
  if #notes == 0 then
    if call('HDEL', key('pend', epoch), stem) == 1 then bump(epoch, 'pend', -1) end
    return
  end
  local lines = {}
  for i, note in ipairs(notes) do lines[i] = note.line end
  if call('HSET', key('pend', epoch), stem, table.concat(lines, '\n')) == 1 then bump(epoch, 'pend', 1) end
end

-- Counts the members that a set has got.
local function count_in_set(epoch, entry, added)
  if added == 0 then return end
  if entry == '*' then
    bump(epoch, 'all', added)
    return
  end
  local index, code = split_entry(entry)
  if call('HINCRBY', key('tally', epoch) .. ':' .. index, code, added) == added then bump(epoch, 'v:' .. index, 1) end
end

local function add(epoch, stem, entries)
  for entry in string.gmatch(entries, '%S+') do
    local index, code = split_ordered(entry)
    if not index then
      count_in_set(epoch, entry, call('SADD', set_key(epoch, entry), stem))
    elseif call('ZADD', order_key(epoch, index), 0, member_of(code, stem)) == 1 then
      bump(epoch, 'o:' .. index, 1)
    end
  end
end

local function remove_from_set(epoch, stem, entry)
  if call('SREM', set_key(epoch, entry), stem) == 0 then return end
  if entry == '*' then
    bump(epoch, 'all', -1)
    return
  end
  local index, code = split_entry(entry)
  local counts = key('tally', epoch) .. ':' .. index
  if call('HINCRBY', counts, code, -1) == 0 then
    call('HDEL', counts, code)
    bump(epoch, 'v:' .. index, -1)
  end
end

local function remove(epoch, stem, entry)
  local index, code = split_ordered(entry)
  if not index then
    remove_from_set(epoch, stem, entry)
  elseif call('ZREM', order_key(epoch, index), member_of(code, stem)) == 1 then
    bump(epoch, 'o:' .. index, -1)
  end
end

-- Takes the stem out of the sets of `entries` that neither the record nor a note justifies.
local function prune(epoch, stem, entries, record, notes)
  local keep = justified(record, notes)
  for entry in string.gmatch(entries, '%S+') do
    if not keep[entry] then remove(epoch, stem, entry) end
  end
end

-- Removes a note last of all, so that a script that fails half way leaves the document in doubt. A deletion's
-- record has served its turn when nothing is under way for its document any more and no rebuild compares records.
local function forget(epoch, stem, note, others, record, complete)
  if call('ZREM', key('age', epoch), stem .. ' ' .. note.token) == 1 then bump(epoch, 'notes', -1) end
  store_notes(epoch, stem, others)
  if complete and #others == 0 and record and record.etag == '-' then
    if call('HDEL', key('docs', epoch), stem) == 1 then bump(epoch, 'docs', -1) end
  end
end
