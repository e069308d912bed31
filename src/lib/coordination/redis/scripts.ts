/**
 * The Lua scripts, one for each method. Redis runs a script to its end before it serves any other command, so each is atomic. All of them
 * can run again with the same arguments, because clients send a command again after a lost connection.
 *
 * Response ids are JSON, so that half a surrogate pair survives. A prompt is its id as JSON and its digest.
 */
import type { RedisScript } from "../../redis-client/redis-client.ts";
import { entryLua, queueLua, ticketLua } from "./lua.ts";

/**
 * ARGV from 7: attempt, response id, prompt, concurrency, most turns that may wait, follower. Returns "joined" and the attempt, "conflict",
 * "busy", or "entered" with place, epoch, turns ahead, and the ticket's status.
 */
export const enter: RedisScript = {
  lua: `${entryLua}
local attempt, response, prompt, concurrency, maxQueued, follower = unpack(ARGV, 7)

local function entered(record, known)
  local ahead = 0
  for _, other in ipairs(redis.call('ZRANGE', queue, 0, -1)) do
    if other == attempt then break end
    if isLive(other) then ahead = ahead + 1 end
  end
  return {'entered', known.place, epoch, ahead, unpack(status(record))}
end

local record, known = findTicket(attempt)
if known then
  if record then
    extend(attempt)
    record.isLive = true
  end
  return entered(record, known)
end

local live, expired = {}, {}
for _, other in ipairs(redis.call('ZRANGE', queue, 0, -1)) do
  if isLive(other) then table.insert(live, load(other)) else table.insert(expired, other) end
end
local isRejected = #live > tonumber(maxQueued)
for _, other in ipairs(live) do
  if other.state == 'open' and other.response == response then
    if other.prompt ~= prompt then return {'conflict'} end
    follow(other, follower)
    return {'joined', other.attempt}
  end
  if other.state == 'open' and concurrency == 'reject' then isRejected = true end
end
if isRejected then return {'busy'} end

for _, other in ipairs(expired) do drop(other) end
if concurrency == 'interrupt' then
  for _, other in ipairs(live) do
    other.stop = 1
    save(other)
  end
  if #live > 0 then publishThread() end
end

-- Removes what is no longer kept. Attempts that were restored stay: their tickets would be accepted again.
if tonumber(redis.call('HGET', thread, 'prune') or 0) <= now then
  for _, field in ipairs(redis.call('HKEYS', thread)) do
    local past = load(string.match(field, '^attempt:(.*)$') or '')
    if past and past.endedAt > 0 and past.endedAt + retentionMs <= now and past.restored == 0 then
      redis.call('HDEL', thread, field, 'turn:' .. past.attempt, 'prompt:' .. past.attempt)
      local latest = 'response:' .. past.response
      if redis.call('HGET', thread, latest) == past.attempt then redis.call('HDEL', thread, latest) end
    end
  end
  redis.call('HSET', thread, 'prune', now + retentionMs)
end

local new = enqueue(attempt, math.max(sequence + 1, now), response, prompt, 0)
return entered(new, new)
`,
};

/** ARGV from 7: attempt, place, epoch, response id, prompt. Returns the ticket's status. */
export const renew: RedisScript = {
  lua: `${entryLua}
local attempt, place, givenEpoch, response, prompt = unpack(ARGV, 7)
place = tonumber(place)
local record, known = findTicket(attempt)
if record then
  extend(attempt)
  record.isLive = true
elseif not known and (givenEpoch ~= epoch or place > sequence) then
  local latest = redis.call('HGET', thread, 'response:' .. response)
  record = enqueue(attempt, place, response, prompt, 1)
  publishThread()
  if latest and isLive(latest) then redis.call('HSET', thread, 'response:' .. response, latest) end
end
return status(record)
`,
};

/** Returns the ticket's status. */
export const check: RedisScript = { lua: `${ticketLua}return status(record)` };

/** Marks a ticket as started, and those that are behind it now. */
const startLua = `
local function recordStart(record)
  if record.started == 1 then return end
  record.started = 1
  save(record)
  local allBehind = redis.call('ZRANGE', queue, rankOf(record) + 1, -1)
  for _, other in ipairs(allBehind) do
    local behind = load(other)
    behind.predecessorStarted = 1
    save(behind)
  end
  if #allBehind > 0 then publishThread() end
end
`;

/** Returns the ticket's status. */
export const start: RedisScript = {
  lua: `${ticketLua}${startLua}
if record then recordStart(record) end
return status(record)
`,
};

/** ARGV from 10: position, data. Returns the ticket's status, or "gap" and the length of the log. */
export const append: RedisScript = {
  lua: `${ticketLua}
local position, data = tonumber(ARGV[10]), ARGV[11]
local standing = status(record)
local length = standing[5]
if standing[1] ~= 'granted' then return standing end
if position > length then return {'gap', length} end
local piece = string.sub(data, length - position + 1)
if piece == '' then return standing end
standing[5] = redis.call('APPEND', log, piece)
if length == 0 then keep(log) end
if standing[3] == 1 then publishLog(record.attempt, length, piece, 0) end
return standing
`,
};

/** ARGV from 10: 1 if a follower keeps it open. Returns "closed" or "open". */
export const close: RedisScript = {
  lua: `${ticketLua}
if not record then return {'open'} end
if record.state == 'closed' then return {'closed'} end
if ARGV[10] == '1' and isFollowed(record) then return {'open'} end
record.state = 'closed'
save(record)
publishThread()
return {'closed'}
`,
};

/** ARGV from 10: position, data, 1 if it has started. Returns "ended", "lost", or "gap" and the length of the log. */
export const end: RedisScript = {
  lua: `${ticketLua}${startLua}
local position, data = tonumber(ARGV[10]), ARGV[11]
if not record then
  -- The same end again, because the client or the turn did not receive the first reply.
  local isAgain = known and known.state == 'ended' and known.length == position + #data
  return {isAgain and 'ended' or 'lost'}
end
local length = status(record)[5]
if position > length then return {'gap', length} end
if ARGV[12] == '1' then recordStart(record) end
local piece = string.sub(data, length - position + 1)
if piece ~= '' then redis.call('APPEND', log, piece) end
-- A string that grew in pieces takes up to twice its length, at most a megabyte more. Setting it again frees that.
if length > 0 and length < 1048576 then redis.call('SET', log, redis.call('GET', log)) end
redis.call('PEXPIRE', log, retentionMs)
publishLog(record.attempt, length, piece, 1)
leave(record, 'ended', length + #piece)
if redis.call('ZCARD', queue) > 0 then publishThread() end
keep(thread, queue)
return {'ended'}
`,
};

/** ARGV from 7: response id. Returns its latest attempt. */
export const latestAttempt: RedisScript = { lua: `return redis.call('HGET', KEYS[1], 'response:' .. ARGV[7])` };

/** ARGV from 7: attempt, response id, position, most characters, follower or "". Returns state, length and data, or nothing. */
export const read: RedisScript = {
  lua: `${queueLua}
local attempt, response, position, most, follower = unpack(ARGV, 7)
local record = load(attempt)
if not record or record.response ~= response then return false end
local length = redis.call('STRLEN', log)
local state = record.state
if record.endedAt > 0 then
  if record.endedAt + retentionMs <= now then return false end
  -- The log was evicted: what is left must not pass for the whole.
  if state == 'ended' and length ~= record.length then return false end
elseif record.isLive then
  if state == 'open' then state = expiredAhead(record) and 'running' or 'waiting' end
  if follower ~= '' then follow(record, follower) end
else
  state = 'lost'
end
return {state, length, redis.call('GETRANGE', log, position, position + most - 1)}
`,
};

/** ARGV from 7: attempt, follower. */
export const unfollow: RedisScript = {
  lua: `${queueLua}
local record = load(ARGV[7])
if record and redis.call('ZREM', followers, record.place .. ' ' .. ARGV[8]) == 1 then publishThread() end
`,
};

/** ARGV from 7: response id, most stops to keep. Returns "requested", "ended" or "recorded". */
export const stop: RedisScript = {
  lua: `${queueLua}
local response = ARGV[7]
local isRequested = false
for _, attempt in ipairs(redis.call('ZRANGE', queue, 0, -1)) do
  local record = load(attempt)
  if record.response == response then
    record.stop = 1
    save(record)
    isRequested = true
  end
end
if isRequested then
  publishThread()
  return 'requested'
end
local latest = redis.call('HGET', thread, 'response:' .. response)
local record = latest and load(latest)
if record and record.state == 'ended' and record.endedAt + retentionMs > now then return 'ended' end
redis.call('ZREMRANGEBYSCORE', stops, '-inf', now)
redis.call('ZADD', stops, now + retentionMs, response)
redis.call('ZREMRANGEBYRANK', stops, 0, -1 - ARGV[8])
redis.call('PEXPIRE', stops, retentionMs)
return 'recorded'
`,
};

/** Returns the response id of the first live attempt. */
export const find: RedisScript = {
  lua: `${queueLua}
for _, attempt in ipairs(redis.call('ZRANGE', queue, 0, -1)) do
  if isLive(attempt) then return load(attempt).response end
end
return false
`,
};
