/**
 * What happens in Redis. A script runs to its end before any other command is served, so each is atomic.
 *
 * Of an owner there are three keys: `threads` (thread ids by activity), `info` (of each thread "created:updated:title") and, if
 * threads expire, `expiry` (thread ids by the time they do). Of a thread there are two: `order` (message ids in order) and `bodies`
 * (message by id).
 */
import type { RedisScript } from "./redis-client.ts";

/** Common to the scripts that look at an owner's threads: KEYS 1 to 3 are the owner's. Begins by forgetting what has expired. */
const ownersThreads = `
local threads, info, expiry = KEYS[1], KEYS[2], KEYS[3]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local function forget(thread)
  redis.call('ZREM', threads, thread)
  redis.call('ZREM', expiry, thread)
  return redis.call('HDEL', info, thread)
end

for _, thread in ipairs(redis.call('ZRANGEBYSCORE', expiry, '-inf', now)) do forget(thread) end
`;

/** Common to the scripts by which a thread becomes active: KEYS 4 and 5 are the thread's. */
const activity = `${ownersThreads}
local order, bodies = KEYS[4], KEYS[5]

local function highest(key)
  local top = redis.call('ZREVRANGE', key, 0, 0, 'WITHSCORES')
  return top[2] and tonumber(top[2]) or 0
end

-- The keys of a thread expire together, those of the owner with the last thread, if all threads expire.
local function keep(thread, ttl)
  if ttl > 0 then
    redis.call('ZADD', expiry, now + ttl, thread)
    for _, key in ipairs({order, bodies}) do redis.call('PEXPIREAT', key, now + ttl) end
  elseif redis.call('ZCARD', expiry) > 0 then
    redis.call('ZREM', expiry, thread)
    for _, key in ipairs({order, bodies, threads, info, expiry}) do redis.call('PERSIST', key) end
  end
  if ttl > 0 and redis.call('ZCARD', expiry) == redis.call('ZCARD', threads) then
    for _, key in ipairs({threads, info, expiry}) do redis.call('PEXPIREAT', key, highest(expiry)) end
  end
end

local function touch(thread, description, ttl)
  redis.call('HSET', info, thread, description)
  redis.call('ZADD', threads, highest(threads) + 1, thread)
  keep(thread, ttl)
end
`;

/** ARGV: thread, now, ttl, title, required id or "", then id and body of each message. Gives the places, from 0, of what it stored. */
export const appendMessages: RedisScript = {
  lua: `${activity}
local thread, at, ttl, title, required = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4], ARGV[5]
local known = redis.call('HGET', info, thread)
if required ~= '' and not (known and redis.call('HEXISTS', bodies, required) == 1) then return {} end
if not known then redis.call('DEL', order, bodies) end

local last = highest(order)
local stored = {}
for i = 6, #ARGV, 2 do
  if redis.call('HSETNX', bodies, ARGV[i], ARGV[i + 1]) == 1 then
    last = last + 1
    redis.call('ZADD', order, last, ARGV[i])
    stored[#stored + 1] = (i - 6) / 2
  end
end
if #stored > 0 then
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
redis.call('DEL', order, bodies)
local description = at .. ':' .. at .. ':' .. title
touch(thread, description, ttl)
return description
`,
};

/** KEYS: order, bodies. ARGV: index of the first message, from the end if negative. Gives the bodies. */
export const listMessages: RedisScript = {
  lua: `
local bodies = {}
local ids = redis.call('ZRANGE', KEYS[1], ARGV[1], -1)
for i = 1, #ids, 1000 do -- as many values as fit Lua's stack
  for _, body in ipairs(redis.call('HMGET', KEYS[2], unpack(ids, i, math.min(i + 999, #ids)))) do bodies[#bodies + 1] = body end
end
return bodies
`,
};

/** KEYS: bodies. ARGV: id, the body it must still have, the new one. Gives 1, or the body it has, or nothing. */
export const swapMessage: RedisScript = {
  lua: `
local body = redis.call('HGET', KEYS[1], ARGV[1])
if body ~= ARGV[2] then return body end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
return 1
`,
};

/** KEYS: order, bodies. ARGV: ids. */
export const deleteMessages: RedisScript = {
  lua: `
for _, id in ipairs(ARGV) do
  redis.call('ZREM', KEYS[1], id)
  redis.call('HDEL', KEYS[2], id)
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

/** KEYS from 4: order and bodies of each thread. ARGV: the threads. Gives how many were there. */
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
