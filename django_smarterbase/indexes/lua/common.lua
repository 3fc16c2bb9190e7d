-- Shared by every script of this folder: it stands before their text when they are loaded.
--
-- KEYS[1]  the table's marker key; all other keys are the marker's with another ending (formats: indexes/keys.py),
--          so they share its hash tag and its cluster slot. The endings come encoded from Python.
--
-- Values, each one line of text whose parts are separated by one blank:
--   live[epoch]   "<B|R> <definition> <run_id>"            B: being built, R: complete
--   docs[stem]    "<ticket> <e etag | -> <entries>"        the committed record; "-": the document was deleted
--   pend[stem]    notes, one a line: "<token> <ticket> <time> <existed> <entries>"   time: server time, ms
--   entries       "*" (any document), "<index>:<code>[,<code>]" and "><index>:<code>" (in an ordered index), separated by
--                 blanks; none at all for a deletion
--   locks[stem]   "<token> <until>"                        until: server time, ms
--   tally         hash: tick, docs, pend, notes, all, "v:<index>" (number of distinct values of that index) and
--                 "o:<index>" (number of members of that ordered index)

local base = string.sub(KEYS[1], 1, -(#'marker' + 1))

local function call(command, key, ...)
  local reply = redis.pcall(command, key, ...)
  if type(reply) == 'table' and reply.err then
    error('[key ' .. key .. '] ' .. reply.err, 0)
  end
  return reply
end

local function key(kind, epoch)
  return base .. kind .. ':' .. epoch
end

local function set_key(epoch, entry)
  if entry == '*' then return key('all', epoch) end
  return key('set', epoch) .. ':' .. entry
end

local function split_entry(entry)
  return string.match(entry, '^([^:]*):(.*)$')
end

-- The index of an ordered entry, which may be "" (the primary key's), and its code; nil for any other entry.
local function split_ordered(entry)
  return string.match(entry, '^>([^:]*):(.*)$')
end

-- The index, the first code and the code after the last of "><index>:<first> <after the last>"; nil for an entry.
local function split_range(term)
  return string.match(term, '^>([^:]*):(%S*) (%S*)$')
end

local function order_key(epoch, index)
  return key('order', epoch) .. ':' .. index
end

-- The member of an ordered index: its score is 0, so that Redis sorts by its bytes. Code and stem, separated by a blank;
-- the code alone where it ends with the stem as its text.
local function member_of(code, stem)
  if string.sub(code, -#stem - 2) == 't' .. stem .. '!' then return code end
  return code .. ' ' .. stem
end

local function stem_of(member)
  return string.match(member, ' (.*)$') or string.match(member, 't([^!]*)!$')
end

-- Whether the stem stands where the entry says.
local function stands(epoch, stem, entry)
  local index, code = split_ordered(entry)
  if index then return call('ZSCORE', order_key(epoch, index), member_of(code, stem)) ~= false end
  return call('SISMEMBER', set_key(epoch, entry), stem) == 1
end

local function now()
  local time = redis.call('TIME')
  return tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
end

-- A plain search, since this runs for every read and a pattern takes twice as long as INFO itself.
local function run_id()
  local info = redis.call('INFO', 'server')
  local _, before = string.find(info, 'run_id:', 1, true)
  return before and string.match(info, '^%w+', before + 1) or ''
end

local function policy()
  return string.match(redis.call('INFO', 'memory'), 'maxmemory_policy:([%w-]+)') or ''
end

local function bump(epoch, field, by)
  return call('HINCRBY', key('tally', epoch), field, by)
end

-- The epoch is trusted no more and fed no more. What it holds is left to the next rebuild's cleaning.
local function drop(epoch)
  call('HDEL', base .. 'live', epoch)
  if call('HGET', KEYS[1], 'epoch') == epoch then call('DEL', KEYS[1]) end
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

local function parse_record(text)
  if not text then return nil end
  local ticket, etag, entries = string.match(text, '^(%d+) (%S+) ?(.*)$')
  return {ticket = tonumber(ticket), etag = etag, entries = entries}
end

local function record_of(epoch, stem)
  return parse_record(call('HGET', key('docs', epoch), stem))
end

local function set_record(epoch, stem, ticket, etag, entries)
  local text = string.format('%.0f', ticket) .. ' ' .. etag .. ' ' .. entries
  if call('HSET', key('docs', epoch), stem, text) == 1 then bump(epoch, 'docs', 1) end
  return {ticket = ticket, etag = etag, entries = entries}
end

local function notes_of(epoch, stem)
  local notes = {}
  local text = call('HGET', key('pend', epoch), stem)
  if not text then return notes end
  for line in string.gmatch(text, '[^\n]+') do
    local token, ticket, time, existed, entries = string.match(line, '^(%S+) (%d+) (%d+) (%d) ?(.*)$')
    notes[#notes + 1] = {line = line, token = token, ticket = tonumber(ticket), time = tonumber(time),
                         existed = existed == '1', entries = entries}
  end
  return notes
end

local function take(notes, token)
  local mine, others = nil, {}
  for _, note in ipairs(notes) do
    if note.token == token then mine = note else others[#others + 1] = note end
  end
  return mine, others
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

local function add_to_set(epoch, stem, entry)
  if call('SADD', set_key(epoch, entry), stem) == 0 then return end
  if entry == '*' then
    bump(epoch, 'all', 1)
    return
  end
  local index, code = split_entry(entry)
  if call('HINCRBY', key('tally', epoch) .. ':' .. index, code, 1) == 1 then bump(epoch, 'v:' .. index, 1) end
end

local function add(epoch, stem, entries)
  for entry in string.gmatch(entries, '%S+') do
    local index, code = split_ordered(entry)
    if not index then
      add_to_set(epoch, stem, entry)
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

local function mark_entries(marked, entries)
  for entry in string.gmatch(entries, '%S+') do marked[entry] = true end
end

local function justified(record, notes)
  local marked = {}
  if record then mark_entries(marked, record.entries) end
  for _, note in ipairs(notes) do mark_entries(marked, note.entries) end
  return marked
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
