-- Compares documents with their committed records and with the sets of the complete epoch. Atomic.
--
-- ARGV[1]  the epoch
-- ARGV[2]  the check's token; "" when it need not remember what it has seen
-- ARGV[3]  for how long to remember it, ms
-- ARGV[4+] for each document: stem, "e<etag>", "-" (there is none) or "?" (it cannot be read: it is only remembered),
--          entries
--
-- Returns 0 when the epoch is not the marked one, otherwise {stem, record or "", notes or "", "1" when the record has
-- this ETag, missing, extra, ...} of the documents that differ: missing are entries of the document in whose sets it
-- does not stand, extra those of the record that the document does not have.

local epoch, token, kept, differing = ARGV[1], ARGV[2], ARGV[3], {}
if call('HGET', KEYS[1], 'epoch') ~= epoch then return 0 end

local function absent(stem, entries)
  local found = {}
  for entry in string.gmatch(entries, '%S+') do
    if not stands(epoch, stem, entry) then found[#found + 1] = entry end
  end
  return table.concat(found, ' ')
end

local function beyond(record, entries)
  local own, found = {}, {}
  mark_entries(own, entries)
  for entry in string.gmatch(record and record.entries or '', '%S+') do
    if not own[entry] then found[#found + 1] = entry end
  end
  return table.concat(found, ' ')
end

local function lacks(record, entries)
  local own = {}
  if record then mark_entries(own, record.entries) end
  for entry in string.gmatch(entries, '%S+') do
    if not own[entry] then return true end
  end
  return false
end

local function compare(stem, etag, entries)
  local text = call('HGET', key('docs', epoch), stem)
  local record = parse_record(text)
  local same = (record and record.etag or '-') == etag
  local missing, extra = absent(stem, entries), beyond(record, entries)
  if same and missing == '' and extra == '' and not lacks(record, entries) then return end
  local row = {stem, text or '', call('HGET', key('pend', epoch), stem) or '', same and '1' or '0', missing, extra}
  for _, part in ipairs(row) do differing[#differing + 1] = part end
end

for i = 4, #ARGV, 3 do
  if token ~= '' then call('SADD', key('seen', token), ARGV[i]) end
  if ARGV[i + 1] ~= '?' then compare(ARGV[i], ARGV[i + 1], ARGV[i + 2]) end
end
if token ~= '' then call('PEXPIRE', key('seen', token), kept) end
return differing
