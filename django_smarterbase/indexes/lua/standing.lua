-- Counts the notes of an epoch that were left up to a ticket. Atomic.
--
-- ARGV[1]  the epoch being built
-- ARGV[2]  the ticket, or "" for the last one that was taken
--
-- Returns {ticket, number of notes}, or 0 when the epoch is no longer live.

local epoch, ticket = ARGV[1], ARGV[2]
if not live(epoch) then return 0 end
if ticket == '' then ticket = call('HGET', key('tally', epoch), 'tick') end
if not ticket then return 0 end
return {ticket, call('ZCOUNT', key('age', epoch), '-inf', ticket)}
