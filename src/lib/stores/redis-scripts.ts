/**
 * The Lua scripts. Redis runs a script to its end before it serves any other command, so each script is atomic.
 *
 * An owner has three keys: `threads` (thread ids by activity), `info` ("created:updated:title" of each thread) and, if threads expire,
 * `expiry` (thread ids by the time at which they expire). A thread has two keys: `messages` (bodies by position) and `places`.
 * `places` is a hash. It has three kinds of fields:
 * - a message id: the position, with a minus if the message is not complete, then the prompt id unless the message is a prompt;
 * - "to" and a prompt id: the ids of the answer;
 * - "last": the last position that was used.
 * Ids are JSON, in quotes. A body contains its id, so no two bodies are equal.
 */
import type { RedisScript } from "../redis-client/redis-client.ts";

/** The beginning of scripts on an owner's threads. KEYS 1 to 3 are the owner's. Removes the threads that have expired. */
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

/** The beginning of scripts that make a thread active. KEYS 4 and 5 are the thread's. */
const activity = `${ownersThreads}
local messages, places = KEYS[4], KEYS[5]

local function highest(key)
  local top = redis.call('ZREVRANGE', key, 0, 0, 'WITHSCORES')
  return top[2] and tonumber(top[2]) or 0
end

-- The keys of a thread expire together. The owner's keys expire with the last thread, if all threads expire.
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

/** The beginning of scripts that change messages. The thread's keys are `messages` and `places`. */
const finding = `
-- Returns position and prompt id of a message. The position is negative if it is not complete. A prompt has no prompt id.
local function find(id)
  local found = redis.call('HGET', places, id)
  if not found then return end
  local place, prompt = string.match(found, '^(-?%d+)(.*)$')
  return tonumber(place), prompt
end

local function remove(id)
  local place, prompt = find(id)
  if not place then return end
  redis.call('ZREMRANGEBYSCORE', messages, math.abs(place), math.abs(place))
  redis.call('HDEL', places, id)
  return prompt
end

-- Returns the ids of the answer to a prompt that are still stored. Removed messages may still be listed under the prompt.
local function answerTo(prompt)
  local ids = {}
  for id in string.gmatch(redis.call('HGET', places, 'to' .. prompt) or '', '[^\\n]+') do
    local _, answered = find(id)
    if answered == prompt then ids[#ids + 1] = id end
  end
  return ids
end

local function note(prompt, ids)
  if #ids == 0 then return redis.call('HDEL', places, 'to' .. prompt) end
  redis.call('HSET', places, 'to' .. prompt, table.concat(ids, '\\n'))
end
`;

/**
 * ARGV: thread, now, ttl, title, answered prompt or "". Then for each message: id, prompt ("" for a prompt), "-" if it is not complete,
 * body. Returns the positions of the stored messages in the batch, from 0.
 */
export const appendMessages: RedisScript = {
  lua: `${activity}${finding}
local thread, at, ttl, title, prompt = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4], ARGV[5]
local known = redis.call('HGET', info, thread)
local stored, answers = {}, {}
if prompt ~= '' then
  if not (known and find(prompt)) then return {} end
  local broken = {}
  for _, id in ipairs(answerTo(prompt)) do
    if find(id) > 0 then return {} end
    broken[id] = true
  end
  for i = 6, #ARGV, 4 do
    if find(ARGV[i]) and not broken[ARGV[i]] then return {} end
  end
  for id in pairs(broken) do remove(id) end
  answers[prompt] = {}
end
if not known then redis.call('DEL', messages, places) end

local last = tonumber(redis.call('HGET', places, 'last') or 0)
for i = 6, #ARGV, 4 do
  local id, prompt = ARGV[i], ARGV[i + 1]
  if redis.call('HSETNX', places, id, ARGV[i + 2] .. last + 1 .. prompt) == 1 then
    last = last + 1
    redis.call('ZADD', messages, last, ARGV[i + 3])
    stored[#stored + 1] = (i - 6) / 4
    if prompt ~= '' then
      if not answers[prompt] then answers[prompt] = answerTo(prompt) end
      table.insert(answers[prompt], id)
    end
  end
end
for prompt, ids in pairs(answers) do note(prompt, ids) end
if #stored > 0 then
  redis.call('HSET', places, 'last', last)
  local created = at
  if known then created, title = string.match(known, '^(%d+):%d+:(.*)$') end
  touch(thread, created .. ':' .. at .. ':' .. title, ttl)
end
return stored
`,
};

/** ARGV: thread, now, ttl, title. Returns the thread's info. */
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

/** KEYS: messages, places. ARGV: id, expected body, "-" if the new one is not complete, new body. Returns 1, or the body that is there, or nothing. */
export const swapMessage: RedisScript = {
  lua: `
local messages, places = KEYS[1], KEYS[2]
${finding}
local place, prompt = find(ARGV[1])
if not place then return false end
place = math.abs(place)
local body = redis.call('ZRANGEBYSCORE', messages, place, place)[1]
if body ~= ARGV[2] then return body end
-- Adds first: a key that is empty for a moment loses its time of expiry.
if body ~= ARGV[4] then
  redis.call('ZADD', messages, place, ARGV[4])
  redis.call('ZREM', messages, body)
end
redis.call('HSET', places, ARGV[1], ARGV[3] .. place .. prompt)
return 1
`,
};

/**
 * KEYS: messages. ARGV: how many, bytes. Returns the newest bodies until they have so many bytes, newest first. Each range is eight
 * times as long as the one before: a thread of small messages needs few, and one of large messages is not read whole.
 */
export const listMessages: RedisScript = {
  lua: `
local last, left = tonumber(ARGV[1]), tonumber(ARGV[2])
local bodies, count = {}, 4
while #bodies < last do
  local first = #bodies
  local range = redis.call('ZREVRANGE', KEYS[1], first, math.min(first + count, last) - 1)
  for _, body in ipairs(range) do
    bodies[#bodies + 1] = body
    left = left - #body
    if left <= 0 then return bodies end
  end
  if #range < count then break end
  count = count * 8
end
return bodies
`,
};

/** KEYS: messages, places. ARGV: ids. */
export const deleteMessages: RedisScript = {
  lua: `
local messages, places = KEYS[1], KEYS[2]
${finding}
local prompts = {}
for _, id in ipairs(ARGV) do prompts[remove(id) or ''] = true end
prompts[''] = nil
for prompt in pairs(prompts) do note(prompt, answerTo(prompt)) end
`,
};

/** ARGV: the activity to begin below, how many. Returns id, activity and info of each thread, in one list. */
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

/** ARGV: thread. Returns its info, or nothing. */
export const getThread: RedisScript = {
  lua: `${ownersThreads}
return redis.call('HGET', info, ARGV[1])
`,
};

/** ARGV: thread, title. Returns 1 if the thread was there. */
export const renameThread: RedisScript = {
  lua: `${ownersThreads}
local known = redis.call('HGET', info, ARGV[1])
if not known then return 0 end
redis.call('HSET', info, ARGV[1], string.match(known, '^%d+:%d+:') .. ARGV[2])
return 1
`,
};

/** KEYS from 4: messages and places of each thread. ARGV: the threads. Returns how many were there. */
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
