-- The committed records of documents in the complete epoch, of named ones or of some taken at random. Atomic.
--
-- ARGV[1]  the epoch
-- ARGV[2]  how many stems to take at random; "0" when the rest names them
-- ARGV[3+] stems
--
-- Returns 0 when the epoch is not the marked one, otherwise {stem, record or "", ...}.

local epoch, count, found = ARGV[1], ARGV[2], {}
if call('HGET', KEYS[1], 'epoch') ~= epoch then return 0 end
local stems = {}
for i = 3, #ARGV do stems[#stems + 1] = ARGV[i] end
if count ~= '0' then stems = call('SRANDMEMBER', key('all', epoch), count) end
for _, stem in ipairs(stems) do
  found[#found + 1] = stem
  found[#found + 1] = call('HGET', key('docs', epoch), stem) or ''
end
return found
