/** The log of a turn that runs on another instance, as far as it has come here. */
import type { Coordinator, CoordinatorHint, LogSlice, TicketKey } from "../../core/coordinator.ts";
import { createLeaseLostError } from "../../core/errors.ts";
import { EventLog, type EventLogOwner } from "../../core/event-log.ts";
import type { TurnEvent } from "../../core/events.ts";
import type { Call } from "./calls.ts";
import { EventDecoder } from "./event-text.ts";

/** What a remote log has of its registry. */
export interface RemoteLogContext {
  coordinator: Coordinator;
  call: Call;
  /** Called once, when it follows no more. */
  onLeft(log: RemoteLog): void;
}

/** Follows a log and fills another with the same events. All readers of this instance share it. */
export class RemoteLog implements EventLogOwner {
  readonly key: TicketKey;
  readonly log: EventLog;
  readonly #follower: { follower: string };
  readonly #context: RemoteLogContext;
  readonly #left = Promise.withResolvers<void>();
  #unsubscribe: (() => void) | undefined;
  readonly #decoder = new EventDecoder();
  /** How much of the other log has arrived, in its characters. */
  #position = 0;
  #hasLeft = false;
  #reading: Promise<void> | undefined;
  #mustReadAgain = false;
  #readAt = 0;
  /** Whether a hint has continued what is here. */
  #isHinted = false;
  /** When it must read although all hints have come: reading is what makes it a follower. */
  #followAt = 0;
  /** When all of the other log that is here was last there, by `performance.now()`. */
  #seenAt = performance.now();

  constructor(key: TicketKey, follower: { follower: string }, context: RemoteLogContext) {
    this.key = key;
    this.#follower = follower;
    this.#context = context;
    this.log = new EventLog(this, key.attempt);
    this.log.ended = this.#left.promise;
  }

  /** @param first - What was read already, from the beginning. */
  start(first?: LogSlice): void {
    this.#unsubscribe = this.#context.coordinator.subscribe?.(
      this.key,
      "log",
      (hint) => this.#receive(hint),
      () => this.#readUnlessHinted(),
    );
    this.#scheduleNextRead();
    if (!first || this.#take(first)) this.read();
  }

  #scheduleNextRead(): void {
    const { logPollMs, followMs } = this.#context.coordinator.settings;
    const now = performance.now();
    this.#followAt = now + followMs / 3;
    this.#readAt = Math.min(now + logPollMs, this.#followAt);
  }

  /**
   * Now that hints come, reads what was added before. Usually the turn sends its text a little later, because it was not followed before: then its
   * hint says that nothing is missing.
   */
  #readUnlessHinted(): void {
    const { flushMs } = this.#context.coordinator.settings;
    setTimeout(() => this.#isHinted || this.read(), flushMs);
  }

  /** Reads on if it is time to. */
  tick(now: number): void {
    if (now >= this.#readAt) this.read();
  }

  /** Reads on. One read at a time. */
  read(): void {
    if (this.#hasLeft) return;
    if (this.#reading) {
      this.#mustReadAgain = true;
      return;
    }
    this.#reading = this.#readAll().finally(() => {
      this.#reading = undefined;
      if (!this.#mustReadAgain) return;
      this.#mustReadAgain = false;
      this.read();
    });
  }

  /** The last reader of this instance has left. */
  onAbandoned(): void {
    this.#leave();
    void this.#unfollow();
  }

  async #unfollow(): Promise<void> {
    const { coordinator, call } = this.#context;
    // A read that is under way would make it a follower again.
    await this.#reading;
    await call(() => coordinator.unfollow(this.key, this.#follower)).catch(() => {});
  }

  #receive(hint: CoordinatorHint): void {
    if (hint.type !== "log" || hint.attempt !== this.key.attempt || this.#hasLeft) return;
    if (hint.position !== this.#position || this.#reading) return this.read();
    const { logPollMs } = this.#context.coordinator.settings;
    this.#isHinted = true;
    this.#seenAt = performance.now();
    this.#readAt = Math.min(this.#seenAt + logPollMs, this.#followAt);
    this.#append(hint.data);
    // The end is in the text. Without it, a read finds out why.
    if (hint.isEnded) this.read();
  }

  async #readAll(): Promise<void> {
    const { coordinator, call } = this.#context;
    const { leaseMs } = coordinator.settings;
    this.#scheduleNextRead();
    try {
      while (!this.#hasLeft) {
        const slice = await call(() => coordinator.read(this.key, this.key.attempt, this.#position, this.#follower));
        if (this.#hasLeft || !this.#take(slice)) break;
      }
    } catch {
      // Maybe the next look succeeds.
    }
    if (performance.now() - this.#seenAt > leaseMs) this.#fail();
  }

  /** Returns whether there is more to read at once. */
  #take(slice: LogSlice | undefined): boolean {
    // The database has lost the log, or a part of it. The turn sends it again as it was, if it still can.
    if (!slice) return false;
    if (slice.length >= this.#position) this.#seenAt = performance.now();
    this.#append(slice.data);
    const isRead = this.#position >= slice.length;
    if (isRead && (slice.state === "lost" || slice.state === "ended")) this.#fail();
    return !isRead && slice.data !== "";
  }

  #append(data: string): void {
    this.#position += data.length;
    for (const event of this.#decode(data)) {
      // The cursors of a replay are those of the answer, which outlives the replay.
      if (event.type === "step-start" && event.attempt !== undefined) this.log.attempt = event.attempt;
      if (!this.#hasLeft) this.log.append(event);
      if (event.type === "end") this.#leave();
    }
  }

  #decode(data: string): TurnEvent[] {
    try {
      return this.#decoder.push(data);
    } catch {
      // Damaged: nothing behind it can be read.
      this.#fail();
      return [];
    }
  }

  /** The other log will not come to its end. */
  #fail(): void {
    if (this.#hasLeft) return;
    this.log.append({ type: "end", status: "failed", error: createLeaseLostError() });
    this.#leave();
  }

  #leave(): void {
    if (this.#hasLeft) return;
    this.#hasLeft = true;
    this.#unsubscribe?.();
    this.#left.resolve();
    this.#context.onLeft(this);
  }
}
