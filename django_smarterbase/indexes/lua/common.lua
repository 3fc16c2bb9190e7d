-- Shared by every script of this folder: it stands before their text when they are loaded, followed by reading.lua for
-- those that answer a question from one epoch, and by writing.lua for all others: a function costs each run its making.
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
  local blank = string.find(member, ' ', 1, true)
  if blank then return string.sub(member, blank + 1) end
  return string.match(member, '.*!t([^!]*)!$') or string.match(member, '^t([^!]*)!$')
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

-- The epoch is trusted no more and fed no more. What it holds is left to the next rebuild's cleaning.
local function drop(epoch)
  call('HDEL', base .. 'live', epoch)
  if call('HGET', KEYS[1], 'epoch') == epoch then call('DEL', KEYS[1]) end
end

local function parse_record(text)
  if not text then return nil end
  local ticket, etag, entries = string.match(text, '^(%d+) (%S+) ?(.*)$')
  return {ticket = tonumber(ticket), etag = etag, entries = entries}
end

local function record_of(epoch, stem)
  return parse_record(call('HGET', key('docs', epoch), stem))
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

local function mark_entries(marked, entries)
  for entry in string.gmatch(entries, '%S+') do marked[entry] = true end
end

local function justified(record, notes)
  local marked = {}
  if record then mark_entries(marked, record.entries) end
  for _, note in ipairs(notes) do mark_entries(marked, note.entries) end
  return marked
end
