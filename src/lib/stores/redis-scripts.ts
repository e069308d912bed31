/**
 * What happens in Redis. A script runs to its end before any other command is served, so each is atomic.
 *
 * Of an owner there are three keys: `threads` (thread ids by activity), `info` (of each thread "created:updated:title") and, if
 * threads expire, `expiry` (thread ids by the time they do). Of a thread there are two: `messages` (by place) and `places` (of each
 * message id, and the last one given under "last"; ids are JSON, in quotes). Messages hold their id, so no two are alike.
 */
import type { RedisScript } from "./redis-client.ts";

/** Common to the scripts that look at an owner's threads: KEYS 1 to 3 are the owner's. Begins by forgetting what has expired. */
const ownersThreads = `
local threads, info, expiry = KEYS[1], KEYS[2], KEYS[3]
local expiring = redis.call('EXISTS', expiry) == 1

local function now()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

local function forget(thread)
  redis.call('ZREM', threads, thread)
  redis.call('ZREM', expiry, thread)
  return redis.call('HDEL', info, thread)
end

if expiring then
  for _, thread in ipairs(redis.call('ZRANGEBYSCORE', expiry, '-inf', now())) do forget(thread) end
end
`;

/** Common to the scripts by which a thread becomes active: KEYS 4 and 5 are the thread's. */
const activity = `${ownersThreads}
local messages, places = KEYS[4], KEYS[5]

local function highest(key)
  local top = redis.call('ZREVRANGE', key, 0, 0, 'WITHSCORES')
  return top[2] and tonumber(top[2]) or 0
end

-- The keys of a thread expire together; those of the owner with the last thread, if all threads expire.
local function keepFor(thread, ttl)
  local till = now() + ttl
  redis.call('ZADD', expiry, till, thread)
  for _, key in ipairs({messages, places}) do redis.call('PEXPIREAT', key, till) end
  if redis.call('ZCARD', expiry) == redis.call('ZCARD', threads) then
    for _, key in ipairs({threads, info, expiry}) do redis.call('PEXPIREAT', key, highest(expiry)) end
  end
end

local function keep(thread)
  redis.call('ZREM', expiry, thread)
  for _, key in ipairs({messages, places, threads, info, expiry}) do redis.call('PERSIST', key) end
end

local function touch(thread, description, ttl)
  redis.call('HSET', info, thread, description)
  redis.call('ZADD', threads, highest(threads) + 1, thread)
  if ttl > 0 then keepFor(thread, ttl) elseif expiring then keep(thread) end
end
`;

/** ARGV: thread, now, ttl, title, required id or "", then id and body of each message. Gives the places, from 0, of what it stored. */
export const appendMessages: RedisScript = {
  lua: `${activity}
local thread, at, ttl, title, required = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4], ARGV[5]
local known = redis.call('HGET', info, thread)
if required ~= '' and not (known and redis.call('HEXISTS', places, required) == 1) then return {} end
if not known then redis.call('DEL', messages, places) end

local stored = {}
local last = tonumber(redis.call('HGET', places, 'last') or 0)
for i = 6, #ARGV, 2 do
  if redis.call('HSETNX', places, ARGV[i], last + 1) == 1 then
    last = last + 1
    redis.call('ZADD', messages, last, ARGV[i + 1])
    stored[#stored + 1] = (i - 6) / 2
  end
end
if #stored > 0 then
  redis.call('HSET', places, 'last', last)
  local created = at
  if known then created, title = string.match(known, '^(%d+):%d+:(.*)$') end
  touch(thread, created .. ':' .. at .. ':' .. title, ttl)
end
return stored
`,
};

/** ARGV: thread, now, ttl, title. Gives the thread's info. */
export const createThread: RedisScript = {
  lua: `${activity}
local thread, at, ttl, title = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4]
local known = redis.call('HGET', info, thread)
if known then return known end
redis.call('DEL', messages, places)
local description = at .. ':' .. at .. ':' .. title
touch(thread, description, ttl)
return description
`,
};

/** KEYS: messages, places. ARGV: id, the body it must still have, the new one. Gives 1, or the body it has, or nothing. */
export const swapMessage: RedisScript = {
  lua: `
local place = redis.call('HGET', KEYS[2], ARGV[1])
if not place then return false end
local body = redis.call('ZRANGEBYSCORE', KEYS[1], place, place)[1]
if body ~= ARGV[2] then return body end
redis.call('ZREM', KEYS[1], body)
redis.call('ZADD', KEYS[1], place, ARGV[3])
return 1
`,
};

/** KEYS: messages, places. ARGV: ids. */
export const deleteMessages: RedisScript = {
  lua: `
for _, id in ipairs(ARGV) do
  local place = redis.call('HGET', KEYS[2], id)
  if place then
    redis.call('ZREMRANGEBYSCORE', KEYS[1], place, place)
    redis.call('HDEL', KEYS[2], id)
  end
end
`,
};

/** ARGV: the activity to begin below, how many. Gives id, activity and info of each thread, in one list. */
export const listThreads: RedisScript = {
  lua: `${ownersThreads}
local found = redis.call('ZREVRANGEBYSCORE', threads, '(' .. ARGV[1], '-inf', 'WITHSCORES', 'LIMIT', 0, ARGV[2])
local page = {}
for i = 1, #found, 2 do
  page[#page + 1] = found[i]
  page[#page + 1] = found[i + 1]
  page[#page + 1] = redis.call('HGET', info, found[i])
end
return page
`,
};

/** ARGV: thread. Gives its info, or nothing. */
export const getThread: RedisScript = {
  lua: `${ownersThreads}
return redis.call('HGET', info, ARGV[1])
`,
};

/** ARGV: thread, title. Gives whether it was there. */
export const renameThread: RedisScript = {
  lua: `${ownersThreads}
local known = redis.call('HGET', info, ARGV[1])
if not known then return 0 end
redis.call('HSET', info, ARGV[1], string.match(known, '^%d+:%d+:') .. ARGV[2])
return 1
`,
};

/** KEYS from 4: messages and places of each thread. ARGV: the threads. Gives how many were there. */
export const deleteThreads: RedisScript = {
  lua: `${ownersThreads}
local removed = 0
for i, thread in ipairs(ARGV) do
  redis.call('UNLINK', KEYS[2 * i + 2], KEYS[2 * i + 3])
  removed = removed + forget(thread)
end
return removed
`,
};
