-- Enters documents from the records of an earlier epoch, as far as their ETags are the same. Atomic.
--
-- ARGV[1]  the epoch being built
-- ARGV[2]  the earlier epoch, built for the same definition
-- ARGV[3+] for each document: stem, "e<etag>"
--
-- A record says which entries the document with that ETag has. That stays true however old the record is.
-- Returns 0 when the epoch is no longer live, otherwise the list of the stems that must be read.

-- Whatever is wrong with the earlier epoch only means that more is read.
local function earlier_record(epoch, stem)
  local text = redis.pcall('HGET', key('docs', epoch), stem)
  return type(text) == 'string' and parse_record(text) or nil
end

local epoch, earlier, stems, unknown = ARGV[1], ARGV[2], {}, {}
if not live(epoch) or not call('HGET', key('tally', epoch), 'tick') then return 0 end
for i = 3, #ARGV, 2 do stems[#stems + 1] = ARGV[i] end
local known, etags, entries = {}, {}, {}
for i, text in ipairs(record_texts(epoch, stems)) do
  if not text then
    local stem, etag = stems[i], ARGV[2 * i + 2]
    local record = earlier_record(earlier, stem)
    if record and record.etag == etag then
      known[#known + 1] = stem
      etags[#known], entries[#known] = etag, record.entries
    else
      unknown[#unknown + 1] = stem
    end
  end
end
enter(epoch, known, etags, entries)
return unknown
