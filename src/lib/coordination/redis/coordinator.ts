/** Coordinates turns in Redis, through the app's own client. */
import { coordinatorOptionNames, resolveCoordinatorSettings, type CoordinatorOptions } from "../../core/coordinator-options.ts";
import { maxSliceLength, type Ticket, type TicketKey } from "../../core/coordinator.ts";
import type { ThreadKey } from "../../core/store.ts";
import type { SharedCoordinator } from "../../core/turn-registry.ts";
import { checkOptionNames, throwUsageError } from "../../core/usage-error.ts";
import { redisCommands, type RedisClient, type RedisScript } from "../../redis-client/redis-client.ts";
import { connectSubscriber, type RedisSubscriber } from "../../redis-client/subscriber.ts";
import { shareTurns } from "../shared/share-turns.ts";
import { createRedisHints } from "./hints.ts";
import { createThreadNames } from "./names.ts";
import {
  checkAttempt,
  checkData,
  checkFollower,
  checkPosition,
  parseEntrance,
  parsePlace,
  parseSlice,
  parseStatus,
  writePrompt,
} from "./values.ts";
import * as scripts from "./scripts.ts";

/** Options of {@link createRedisCoordinator}. */
export interface RedisCoordinatorOptions extends CoordinatorOptions {
  /** The beginning of all keys and channels. It must not contain braces: a cluster assigns slots by the text between them. @default "chat:" */
  prefix?: string | undefined;
  /**
   * A second client, with its own connection, on which Redis pushes text and stops: `client.duplicate()`, connected and with an `error` listener.
   *
   * @default none: the coordinator polls every 100 ms
   */
  subscriber?: RedisSubscriber | undefined;
  /**
   * Publishes with `SPUBLISH`, only to the node of the thread, for a cluster of Redis 7 or newer. Set it to the same value on all instances. With
   * ioredis, create the subscriber with `shardedSubscribers: true`.
   *
   * @default false
   */
  sharded?: boolean | undefined;
}

/** How many stops of turns that have not entered are kept for a thread. */
const maxEarlyStops = 100;

/**
 * Creates a coordinator in Redis 6 or newer, or in a compatible server that runs Lua scripts. Pass it to all instances of your app, and they run the turns
 * of a thread one at a time, share one model call for each answer, and follow and stop the turns of each other.
 *
 * Each call is one script, and so atomic. All keys of a thread are in one slot of a cluster, and expire `leaseMs` and `retentionMs` after its last turn.
 * Leases follow the server's clock: a jump of that clock ends them early or late. The server must not evict keys: use `maxmemory-policy noeviction`. If it
 * loses data, turns that run go on, and the store decides which answer counts. Let commands fail while the server is unreachable, or
 * a turn waits for it: `disableOfflineQueue: true` of node-redis, `enableOfflineQueue: false` or a low `maxRetriesPerRequest` of ioredis.
 *
 * @throws TypeError for an unknown client, subscriber or option, or an invalid value.
 *
 * @example
 * const redis = createClient({ url: process.env.REDIS_URL, disableOfflineQueue: true });
 * const subscriber = redis.duplicate();
 * for (const connection of [redis, subscriber]) await connection.on("error", console.error).connect();
 * const chat = createChatHandler({ store, client, model, authorize, coordinator: createRedisCoordinator(redis, { subscriber }) });
 */
export function createRedisCoordinator(client: RedisClient, options: RedisCoordinatorOptions = {}): SharedCoordinator {
  const { prefix = "chat:", subscriber, sharded = false } = options;
  const { run } = redisCommands("createRedisCoordinator", client);
  checkOptionNames("createRedisCoordinator", options, [...coordinatorOptionNames, "prefix", "subscriber", "sharded"]);
  if (typeof prefix !== "string" || /[{}]/.test(prefix)) throwUsageError("prefix must be a string without braces");
  if (typeof sharded !== "boolean") throwUsageError("sharded must be true or false");
  if (subscriber && Object.is(subscriber, client)) {
    throwUsageError(
      "subscriber must be a second client, because Redis accepts no other commands on its connection: pass client.duplicate()",
    );
  }
  const pollMs = subscriber ? 1000 : 100;
  // A little longer than the flush interval of C1Chat, which is 80 ms: so a piece is written as soon as it arrives, and never waits for the next one.
  const settings = resolveCoordinatorSettings(options, { ticketPollMs: pollMs, logPollMs: pollMs, flushMs: 84 });
  const nameThread = createThreadNames(prefix, sharded);
  const hints = subscriber && createRedisHints(connectSubscriber("createRedisCoordinator", subscriber, sharded));
  const times = [settings.leaseMs, settings.retentionMs, settings.followMs].map(String);
  const publish = sharded ? "SPUBLISH" : "PUBLISH";

  /** Runs a script on the keys of a thread, and on the log of an attempt. */
  async function runOn(script: RedisScript, thread: ThreadKey, attempt: string | undefined, values: string[]): Promise<unknown> {
    const { keys, channels, logOf } = nameThread(thread);
    const allKeys = attempt === undefined ? [...keys] : [...keys, logOf(attempt)];
    return run(script, allKeys, [...times, publish, channels.thread, channels.log, ...values]);
  }

  /** Runs a script on a ticket. If the database has forgotten the ticket, renewing it puts it back first. */
  async function runOnTicket(script: RedisScript, ticket: Ticket, values: string[] = []): Promise<unknown[]> {
    checkAttempt(ticket.attempt);
    const all = [ticket.attempt, ...parsePlace(ticket.place), ...values];
    const reply = (await runOn(script, ticket, ticket.attempt, all)) as unknown[];
    if (reply[0] !== "forgotten") return reply;
    await renew(ticket);
    const second = (await runOn(script, ticket, ticket.attempt, all)) as unknown[];
    if (second[0] === "forgotten") throw new Error("Redis lost the ticket again at once. Check maxmemory-policy: it must not evict keys.");
    return second;
  }

  function renew(ticket: Ticket): Promise<unknown[]> {
    return runOnTicket(scripts.renew, ticket, [JSON.stringify(ticket.responseId), writePrompt(ticket)]);
  }

  /** Writes a piece to the log of a ticket. */
  async function write(script: RedisScript, ticket: Ticket, position: number, data: string, ...values: string[]): Promise<unknown[]> {
    checkPosition(position);
    checkData(data);
    const reply = await runOnTicket(script, ticket, [String(position), data, ...values]);
    if (reply[0] !== "gap") return reply;
    throw new Error(`The log has only ${Number(reply[1])} of ${position} characters. Write again from there.`);
  }

  return shareTurns({
    settings,

    async enter(turn, { concurrency, maxQueued }, { follower }) {
      checkAttempt(turn.attempt);
      checkFollower(follower);
      const values = [turn.attempt, JSON.stringify(turn.responseId), writePrompt(turn), concurrency, String(maxQueued), follower];
      return parseEntrance(turn, (await runOn(scripts.enter, turn, turn.attempt, values)) as unknown[]);
    },

    async renew(ticket) {
      return parseStatus(await renew(ticket));
    },

    async check(ticket) {
      return parseStatus(await runOnTicket(scripts.check, ticket));
    },

    async start(ticket) {
      return parseStatus(await runOnTicket(scripts.start, ticket));
    },

    async append(ticket, position, data) {
      return parseStatus(await write(scripts.append, ticket, position, data));
    },

    async close(ticket, { unlessFollowed = false } = {}) {
      return (await runOnTicket(scripts.close, ticket, [unlessFollowed ? "1" : "0"]))[0] === "closed";
    },

    async end(ticket, position, data, { hasStarted = false } = {}) {
      return (await write(scripts.end, ticket, position, data, hasStarted ? "1" : "0"))[0] === "ended";
    },

    async read(turn, attempt, position, reader) {
      checkPosition(position);
      if (reader) checkFollower(reader.follower);
      const response = JSON.stringify(turn.responseId);
      const own = attempt ?? ((await runOn(scripts.latestAttempt, turn, undefined, [response])) as string | null);
      if (own === null) return undefined;
      checkAttempt(own);
      const values = [own, response, String(position), String(maxSliceLength), reader?.follower ?? ""];
      return parseSlice(own, (await runOn(scripts.read, turn, own, values)) as unknown[] | null);
    },

    async unfollow(ticket: TicketKey, { follower }) {
      checkAttempt(ticket.attempt);
      checkFollower(follower);
      await runOn(scripts.unfollow, ticket, undefined, [ticket.attempt, follower]);
    },

    async stop(turn) {
      const values = [JSON.stringify(turn.responseId), String(maxEarlyStops)];
      return (await runOn(scripts.stop, turn, undefined, values)) as "requested" | "ended" | "recorded";
    },

    async find(thread) {
      const response = (await runOn(scripts.find, thread, undefined, [])) as string | null;
      return response === null ? undefined : (JSON.parse(response) as string);
    },

    ...(hints && {
      subscribe(thread, type, listener, onSubscribed) {
        const { channels, digest } = nameThread(thread);
        return hints.listen({ channel: channels[type], digest }, listener, onSubscribed);
      },
    }),
  });
}
