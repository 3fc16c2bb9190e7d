-- What the committed records say of the values of some documents. Atomic.
--
-- ARGV[1]  epoch, and ARGV[2] the known run_id (reading.lua)
-- ARGV[3]  number of indexes, the indexes, then the stems, then the last argument (reading.lua), ""
--
-- Returns {"ok", run_id, policy or "", {codes, ...}}: for each stem "<code>[,<code>] ..." of each index, or false for a
-- document that is in doubt, that there is not, or whose record does not tell. Of several entries in one index the first
-- one is that of the values. Otherwise as reading.lua says.

local refusal = distrust()
if refusal then return refusal end
local prefixes, start = told_indexes(3)
return {'ok', run, rule, told(prefixes, ARGV, start, #ARGV - 1)}
