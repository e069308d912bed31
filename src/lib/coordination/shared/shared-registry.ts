/** The turns of this process and, through a coordinator, those of other instances. */
import { callSafely } from "../../core/async.ts";
import type {
  Coordinator,
  CoordinatorEntrance,
  CoordinatorHint,
  EnteredEntrance,
  EntryPolicy,
  Follower,
  LogSlice,
  TicketKey,
  TurnKey,
} from "../../core/coordinator.ts";
import { createCoordinatorError, createStoppedError } from "../../core/errors.ts";
import { EventLog } from "../../core/event-log.ts";
import { comparedText } from "../../core/prompt.ts";
import { keyOf, type ThreadKey } from "../../core/store.ts";
import { endTimeout, type Entrance, type LocalTurn, type TurnEntry, type TurnRegistry } from "../../core/turn-registry.ts";
import { LocalRegistry } from "../local.ts";
import { hash128 } from "../sha256.ts";
import { type Call, createCall, giveBack } from "./calls.ts";
import { RemoteLog } from "./remote-log.ts";
import { SharedTurn, type SharedTurnContext } from "./shared-turn.ts";

/** How long a stop waits between the first two looks, in milliseconds. Each further wait is longer, or a flood of stops would be a larger flood of looks. */
const stopPoll = 50;
const stopPollGrowth = 1.5;

/** Calls a coordinator for all turns of this process. One timer looks at all of them, so that a coordinator can answer many in one round trip. */
export class SharedRegistry implements TurnRegistry {
  readonly #coordinator: Coordinator;
  readonly #call: Call;
  /** All turns of this process, for the joins that need no coordinator, and for the order when it cannot be reached. */
  readonly #local = new LocalRegistry();
  readonly #turns = new Set<SharedTurn>();
  /** By the whole key: a client may send any attempt, also that of somebody else's answer. */
  readonly #remoteLogs = new Map<string, RemoteLog>();
  /** The last entry of each thread: the order here and there must be the same. */
  readonly #entering = new Map<string, Promise<unknown>>();
  /** One for all turns: an object and a closure for each would stay in every open stream. */
  readonly #turnContext: SharedTurnContext;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(coordinator: Coordinator) {
    this.#coordinator = coordinator;
    this.#call = createCall(coordinator.settings);
    this.#turnContext = { coordinator, call: this.#call, onLeft: (turn) => this.#turns.delete(turn) };
  }

  async enter(entry: TurnEntry, policy: EntryPolicy, local: LocalTurn): Promise<Entrance> {
    const key = keyOf(entry);
    const before = this.#entering.get(key);
    const entrance = (async () => {
      await before;
      return this.#enter(entry, policy, local);
    })();
    const settled = entrance.catch(() => {});
    this.#entering.set(key, settled);
    try {
      return await entrance;
    } finally {
      if (this.#entering.get(key) === settled) this.#entering.delete(key);
    }
  }

  async follow(key: TurnKey, attempt?: string): Promise<EventLog | undefined> {
    const log = this.#local.get(key)?.local.log;
    if (log && (attempt === undefined || log.attempt === attempt)) return log;
    const found = await this.#followElsewhere(key, attempt);
    if (attempt === undefined || (found && !found.end)) return found;
    // An attempt that has ended counts only if no other takes its place.
    return log ?? (await this.#findOtherAttempt(key, attempt)) ?? found;
  }

  #followElsewhere(
    key: TurnKey,
    attempt: string | undefined,
    until: number = performance.now() + endTimeout,
  ): Promise<EventLog | undefined> {
    const known = attempt === undefined ? undefined : this.#remoteLogs.get(ticketKeyOf(key, attempt));
    if (known) return Promise.resolve(known.log);
    const follower = newFollower();
    return this.#whileSubscribed(key, "log", async () => {
      const slice = await this.#ask(() => this.#coordinator.read(key, attempt, 0, follower));
      if (slice?.state === "closed") {
        this.#unfollow({ ...key, attempt: slice.attempt }, follower);
        const hasEnded = (await this.#waitForEnd(key, until, slice)) !== "running";
        return hasEnded ? this.#followElsewhere(key, attempt, until) : undefined;
      }
      if (!slice || slice.state === "lost") return undefined;
      // Without a log: an entry that was given back, because its turn had gone on alone.
      if (slice.state === "ended" && (attempt === undefined || slice.length === 0)) return undefined;
      const own = this.#findOwn(slice.attempt);
      if (!own) return this.#followRemote(key, slice.attempt, follower, slice);
      // A turn of this process that may be about to end.
      await own.settleJoins();
      this.#unfollow({ ...key, attempt: slice.attempt }, follower);
      return this.#local.follow(key);
    });
  }

  /** An empty log of another attempt that waits or runs, which nobody follows: only its `attempt` counts, which is not the one that was asked for. */
  async #findOtherAttempt(key: TurnKey, attempt: string): Promise<EventLog | undefined> {
    const slice = await this.#ask(() => this.#coordinator.read(key, undefined, 0));
    if (!slice || slice.attempt === attempt || slice.state === "lost" || slice.state === "ended") return undefined;
    return new EventLog({ onAbandoned() {} }, slice.attempt);
  }

  async find(thread: ThreadKey): Promise<string | undefined> {
    const [own] = this.#local.queueOf(thread);
    // Only the coordinator knows whether another instance has a turn before one that waits here, or in place of one that ends.
    if (own?.isStarted && own.isJoinable) return own.entry.responseId;
    try {
      return (await this.#call(() => this.#coordinator.find(thread))) ?? own?.entry.responseId;
    } catch (error) {
      if (own) return own.entry.responseId;
      throw createCoordinatorError(error);
    }
  }

  async stop(key: TurnKey): Promise<"stopped" | "requested" | "none"> {
    // Behind an attempt that is about to end, another may wait on any instance.
    const mayHaveSuccessor = this.#local.get(key) === undefined;
    const stopped = await this.#local.stop(key);
    if (stopped === "stopped" && !mayHaveSuccessor) return stopped;
    const until = performance.now() + endTimeout;
    while ((await this.#ask(() => this.#coordinator.stop(key))) === "requested") {
      const state = await this.#waitForEnd(key, until);
      if (state === "ended") return "stopped";
      if (state === "running") return "requested";
      // The database has forgotten the turn, and the stop with it.
    }
    return stopped;
  }

  /**
   * Waits for the end of an attempt: of the one that is read as closed, otherwise of the one that runs now. Stopping that repeatedly instead could stop
   * the next attempt, and following it could keep the next attempt running. A stop also waits for an instance that has lost its lease: it may only be
   * cut off.
   */
  async #waitForEnd(key: TurnKey, until: number, closed?: LogSlice): Promise<"ended" | "running" | "forgotten"> {
    let attempt = closed?.attempt;
    let position = 0;
    let isForgotten = false;
    for (let wait = stopPoll; !isForgotten && performance.now() < until; wait *= stopPollGrowth) {
      try {
        const slice = await this.#call(() => this.#coordinator.read(key, attempt, position));
        if (slice?.state === "ended" || (closed && slice?.state === "lost")) return "ended";
        isForgotten = !slice || slice.length < position;
        if (slice) ({ attempt, length: position } = slice);
      } catch {
        // The stop is recorded, and maybe the next look succeeds.
      }
      await new Promise((resolve) => setTimeout(resolve, Math.max(0, Math.min(wait, until - performance.now()))));
    }
    return isForgotten ? "forgotten" : "running";
  }

  /**
   * Keeps a subscription meanwhile, which the listener that is added at the end of the work finds in effect: less is lost, and less must be read
   * again.
   */
  async #whileSubscribed<T>(key: ThreadKey, type: CoordinatorHint["type"], work: () => Promise<T>): Promise<T> {
    const unsubscribe = this.#coordinator.subscribe?.(key, type, () => {});
    try {
      return await work();
    } finally {
      // The listener's own subscription may take a few promises.
      if (unsubscribe) setTimeout(unsubscribe, 0);
    }
  }

  async stopLater(): Promise<void> {
    // The coordinator has recorded the stop already.
  }

  async #enter(entry: TurnEntry, policy: EntryPolicy, local: LocalTurn): Promise<Entrance> {
    const joined = this.#local.join(entry);
    if (joined) return joined;
    return this.#whileSubscribed(entry, "thread", () => this.#enterShared(entry, policy, local));
  }

  async #enterShared(entry: TurnEntry, policy: EntryPolicy, local: LocalTurn): Promise<Entrance> {
    const { owner, threadId, responseId, prompt } = entry;
    const { attempt } = local.log;
    const request = { owner, threadId, responseId, attempt, promptId: prompt.id, promptDigest: hash128(comparedText(prompt)) };
    const follower = newFollower();
    const sentAt = performance.now();
    const sent = callSafely(() => this.#coordinator.enter(request, policy, follower));
    let entrance: CoordinatorEntrance;
    try {
      entrance = await this.#call(() => sent);
    } catch (error) {
      giveBack(this.#coordinator, sent, request, follower);
      if (this.#coordinator.settings.whenUnreachable === "refuse") throw createCoordinatorError(error);
      local.report(createCoordinatorError(error));
      return this.#local.enter(entry, policy, local);
    }
    switch (entrance.kind) {
      case "conflict":
      case "busy":
        return entrance;
      case "joined": {
        const own = this.#findOwn(entrance.attempt);
        if (!own) return { kind: "joined", log: this.#followRemote(entry, entrance.attempt, follower), isRemote: true };
        // A turn of this process that may be about to end. Then enter again behind it.
        await own.settleJoins();
        this.#unfollow({ ...request, attempt: entrance.attempt }, follower);
        return this.#enter(entry, policy, local);
      }
      case "entered":
        if (policy.concurrency === "interrupt") for (const turn of this.#local.queueOf(entry)) turn.local.abort(createStoppedError());
        return { kind: "entered", ticket: this.#addTurn(entry, local, entrance, sentAt) };
    }
  }

  #addTurn(entry: TurnEntry, local: LocalTurn, entered: EnteredEntrance, sentAt: number): SharedTurn {
    const turn = new SharedTurn(entered, sentAt, this.#local.add(entry, local), this.#turnContext);
    this.#turns.add(turn);
    this.#startTimer();
    return turn;
  }

  #followRemote(turn: TurnKey, attempt: string, follower: Follower, first?: LogSlice): EventLog {
    const { owner, threadId, responseId } = turn;
    const name = ticketKeyOf(turn, attempt);
    const known = this.#remoteLogs.get(name);
    if (known) {
      // All readers of this instance are one follower. A second one would keep the turn running after they have left.
      this.#unfollow(known.key, follower);
      return known.log;
    }
    const remote = new RemoteLog({ owner, threadId, responseId, attempt }, follower, {
      coordinator: this.#coordinator,
      call: this.#call,
      onLeft: () => this.#remoteLogs.delete(name),
    });
    this.#remoteLogs.set(name, remote);
    remote.start(first);
    this.#startTimer();
    return remote.log;
  }

  #findOwn(attempt: string): SharedTurn | undefined {
    return [...this.#turns].find(({ ticket }) => ticket.attempt === attempt);
  }

  #unfollow(turn: TicketKey, follower: Follower): void {
    this.#call(() => this.#coordinator.unfollow(turn, follower)).catch(() => {});
  }

  /** A call that a request waits for. */
  async #ask<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await this.#call(work);
    } catch (error) {
      throw createCoordinatorError(error);
    }
  }

  #startTimer(): void {
    if (this.#timer) return;
    const { ticketPollMs, logPollMs, leaseMs, followMs } = this.#coordinator.settings;
    // A lease may be shorter than a poll, and must be renewed in time.
    this.#timer = setTimeout(() => this.#tick(), Math.min(ticketPollMs, logPollMs, leaseMs / 10, followMs / 10));
  }

  #tick(): void {
    this.#timer = undefined;
    const now = performance.now();
    for (const turn of this.#turns) turn.tick(now);
    for (const log of this.#remoteLogs.values()) log.tick(now);
    if (this.#turns.size > 0 || this.#remoteLogs.size > 0) this.#startTimer();
  }
}

/** The key of an attempt as one string. */
const ticketKeyOf = ({ owner, threadId, responseId }: TurnKey, attempt: string): string =>
  JSON.stringify([owner, threadId, responseId, attempt]);

const newFollower = (): Follower => ({ follower: crypto.randomUUID() });
