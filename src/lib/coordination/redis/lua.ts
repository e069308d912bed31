/**
 * The Lua functions that the scripts share.
 *
 * The keys of a thread:
 * - `thread`, a hash: `epoch` (new when the database has forgotten the thread), `sequence` (the last place
 *   that was used), `prune` (when to prune next), `attempt:<attempt>` (its record), `turn:<attempt>` (its response id), `prompt:<attempt>`,
 *   `lease:<attempt>` (when it expires, while it waits or runs) and `response:<response id>` (its latest attempt). No value is longer than
 *   64 bytes with ids of 36 characters: Redis keeps such a hash in half the memory;
 * - `queue`, a sorted set: attempts that wait or run, by place;
 * - `followers`, a sorted set: the attempt's place and the follower, by the time until which it counts. Places are short: Redis keeps small sets of short
 *   members in a tenth of the memory;
 * - `stops`, a sorted set: response ids that were stopped before they entered, by the time at which that is forgotten;
 * - `log`, a string for each attempt.
 *
 * A place is the time of the entry in milliseconds, or one more than the last place. So it comes before every place that is given
 * after the database has forgotten it.
 *
 * Nobody stores which attempt is granted. It is the first in the queue that has not expired.
 */

/** The beginning of every script. */
const keys = `
local thread, queue, followers, stops, log = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local leaseMs, retentionMs, followMs = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local publish, threadChannel, logChannel = ARGV[4], ARGV[5], ARGV[6]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local info = redis.call('HMGET', thread, 'epoch', 'sequence')
local epoch, sequence = info[1], tonumber(info[2] or 0)
-- A server that evicts keys could leave a part.
if not epoch then redis.call('DEL', queue, followers) end
`;

const records = `
local function load(attempt)
  local fields = redis.call('HMGET', thread, 'attempt:' .. attempt, 'turn:' .. attempt, 'prompt:' .. attempt, 'lease:' .. attempt)
  local text, response, prompt, expiry = unpack(fields)
  if not text then return end
  local state, stop, started, predecessorStarted, restored, place, endedAt, length =
    string.match(text, '^(%l+) (%d) (%d) (%d) (%d) (%d+) (%d+) (%d+)$')
  return {
    attempt = attempt, state = state, stop = tonumber(stop), started = tonumber(started),
    predecessorStarted = tonumber(predecessorStarted), restored = tonumber(restored), place = tonumber(place), endedAt = tonumber(endedAt),
    length = tonumber(length), response = response, prompt = prompt,
    isQueued = expiry ~= false, isLive = expiry and tonumber(expiry) > now,
  }
end

local function save(record)
  local values = {
    record.state, record.stop, record.started, record.predecessorStarted, record.restored, record.place, record.endedAt, record.length,
  }
  redis.call('HSET', thread, 'attempt:' .. record.attempt, table.concat(values, ' '))
end

local function isLive(attempt)
  local expiry = redis.call('HGET', thread, 'lease:' .. attempt)
  return expiry and tonumber(expiry) > now
end

-- Keeps keys for a lease and the retention. An instance with shorter times must not shorten those of another.
local function keep(...)
  for _, key in ipairs({...}) do
    if redis.call('PTTL', key) < leaseMs + retentionMs then redis.call('PEXPIRE', key, leaseMs + retentionMs) end
  end
end

local function extend(attempt)
  redis.call('HSET', thread, 'lease:' .. attempt, now + leaseMs)
  keep(thread, queue, log)
end

-- Returns how many are ahead. A server that evicts keys could lose the queue, but not the places.
local function rankOf(record)
  local rank = redis.call('ZRANK', queue, record.attempt)
  if rank then return rank end
  redis.call('ZADD', queue, record.place, record.attempt)
  keep(queue)
  return redis.call('ZRANK', queue, record.attempt)
end

-- Returns the attempts ahead that have expired, or nothing if one ahead is live.
local function expiredAhead(record)
  local rank = rankOf(record)
  if rank == 0 then return {} end
  local ahead = redis.call('ZRANGE', queue, 0, rank - 1)
  for _, other in ipairs(ahead) do
    if isLive(other) then return end
  end
  return ahead
end
`;

const hints = `
-- Threads share channels, so each message names its thread.
local digest = string.match(thread, '{(.*)}')

local function publishThread(message) redis.call(publish, threadChannel, digest .. ' ' .. (message or '')) end

local function publishLog(attempt, position, data, isEnded)
  -- A long piece would fill the buffers of slow subscribers. They read it instead.
  if #data > 65536 then position, data = position + #data, '' end
  redis.call(publish, logChannel, table.concat({digest, attempt, position, isEnded, data}, ' '))
end

local function isFollowed(record)
  local prefix = record.place .. ' '
  for _, member in ipairs(redis.call('ZRANGEBYSCORE', followers, now + 1, '+inf')) do
    if string.sub(member, 1, #prefix) == prefix then return true end
  end
  return false
end

-- Counts a follower for up to a tenth longer than promised, so that most reads write nothing.
local function follow(record, follower)
  local member = record.place .. ' ' .. follower
  local expiry = tonumber(redis.call('ZSCORE', followers, member) or 0)
  if expiry >= now + followMs then return end
  local longest = math.floor(followMs * 1.1)
  redis.call('ZREMRANGEBYSCORE', followers, '-inf', now)
  redis.call('ZADD', followers, now + longest, member)
  redis.call('PEXPIRE', followers, longest)
  if expiry <= now then publishThread('followed ' .. record.attempt) end
end
`;

const leaving = `
local function leave(record, state, length)
  redis.call('ZREM', queue, record.attempt)
  redis.call('HDEL', thread, 'lease:' .. record.attempt)
  record.state, record.endedAt, record.length = state, now, length
  save(record)
end

-- Removes an expired attempt. The turn has not ended, so its stop waits for the next attempt.
local function drop(attempt)
  local record = load(attempt)
  if record.stop == 1 then
    redis.call('ZADD', stops, now + retentionMs, record.response)
    redis.call('PEXPIRE', stops, retentionMs)
  end
  leave(record, 'lost', 0)
  publishThread()
end
`;

const entering = `
-- Puts an attempt into the queue. A stop that came before it is its own.
local function enqueue(attempt, place, response, prompt, restored)
  if not epoch then
    epoch = time[1] .. '-' .. time[2]
    redis.call('HSET', thread, 'epoch', epoch)
  end
  if place > sequence then redis.call('HSET', thread, 'sequence', place) end
  local stopUntil = redis.call('ZSCORE', stops, response)
  redis.call('ZREM', stops, response)
  local record = {
    attempt = attempt, state = 'open', stop = stopUntil and tonumber(stopUntil) > now and 1 or 0, started = 0,
    predecessorStarted = 0, restored = restored, place = place, endedAt = 0, length = 0, response = response, prompt = prompt, isQueued = true, isLive = true,
  }
  save(record)
  redis.call('HSET', thread, 'turn:' .. attempt, response, 'prompt:' .. attempt, prompt, 'response:' .. response, attempt)
  redis.call('ZADD', queue, place, attempt)
  extend(attempt)
  return record
end
`;

const tickets = `
-- Returns the record of an attempt that still has its place, and whether the attempt is known at all.
local function findTicket(attempt)
  local record = load(attempt)
  if not (record and record.isQueued) then return nil, record end
  if record.isLive then return record, record end
  -- It has expired, so a live attempt behind it has been granted the thread.
  for _, other in ipairs(redis.call('ZRANGE', queue, rankOf(record) + 1, -1)) do
    if isLive(other) then
      drop(attempt)
      return nil, record
    end
  end
  return record, record
end

-- Returns how a ticket stands. An expired attempt ahead of a live one is lost from now on.
local function status(record)
  local length = redis.call('STRLEN', log)
  if not record then return {'lost', 0, 0, 0, length} end
  local expired = expiredAhead(record)
  local state = expired and (record.isLive or #expired == 0) and 'granted' or 'waiting'
  if record.isLive then
    for _, other in ipairs(expired or {}) do drop(other) end
  end
  return {state, record.stop, isFollowed(record) and 1 or 0, record.predecessorStarted, length}
end
`;

/** Reads and changes the queue. KEYS: all of the thread, and the log of the attempt. ARGV: lease, retention, follow, "PUBLISH" or "SPUBLISH", the channels of threads and logs. */
export const queueLua: string = keys + records + hints + leaving;
/** Also puts attempts into the queue, and returns how they stand. */
export const entryLua: string = queueLua + entering + tickets;
/**
 * Also finds the ticket of an attempt: `record`, or nothing if it is lost. ARGV from 7: attempt, place, epoch. The script returns "forgotten" if the
 * place was given before the database forgot the thread, or the end of its queue.
 */
export const ticketLua: string = `${queueLua}${tickets}
local record, known = findTicket(ARGV[7])
if not known and (ARGV[9] ~= epoch or tonumber(ARGV[8]) > sequence) then return {'forgotten'} end
`;
