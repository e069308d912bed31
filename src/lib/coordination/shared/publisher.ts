/** Copies the log of a turn to the coordinator, for readers on other instances. */
import type { Coordinator, Ticket, TicketStatus } from "../../core/coordinator.ts";
import { createLeaseLostError } from "../../core/errors.ts";
import type { EventLog, EventLogReader } from "../../core/event-log.ts";
import type { TurnEvent } from "../../core/events.ts";
import type { Call } from "./calls.ts";
import { encodeEvents } from "./event-text.ts";

/** What a publisher tells its turn. */
export interface PublisherOwner {
  readonly ticket: Ticket;
  /** Whether the log may grow: only that of a turn that runs. */
  readonly isGranted: boolean;
  /** Whether anyone reads on another instance. While nobody does, nothing is sent: most answers have one reader, beside their turn. */
  readonly isFollowed: boolean;
  receive(status: TicketStatus): void;
  fail(error: unknown): void;
}

/** A piece of the log, and the position after it. */
interface Pending {
  data: string;
  position: number;
}

/** A state of the copy: so many characters of it are so much of the log. */
interface Mark {
  length: number;
  position: number;
}

/** How much longer the next append waits after one that failed, in milliseconds. */
const retryDelay = 400;
/** Most marks that are kept. A database that loses more than these appends loses the log. */
const maxMarks = 64;

/** Copies a log in pieces, one at a time, while anyone follows it. Its end comes with all that is not copied yet. */
export class LogPublisher implements EventLogReader {
  /** How much of the log is copied. */
  position = 0;
  /** The length of the copy. */
  #length = 0;
  /** Sent, and maybe not received: it is sent again as it was. */
  #pending: Pending | undefined;
  #marks: Mark[] = [{ length: 0, position: 0 }];
  /** Whether the copy has lost a part that cannot be added any more. */
  #isBroken = false;
  #isEnding = false;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #sending: Promise<void> | undefined;
  #isAppending = false;
  #lastSentAt = -Infinity;
  /** Counts the beginnings and ends of appends. A status from before the last one says nothing of the length. */
  #version = 0;
  readonly #log: EventLog;
  readonly #owner: PublisherOwner;
  readonly #coordinator: Coordinator;
  readonly #call: Call;

  constructor(log: EventLog, owner: PublisherOwner, coordinator: Coordinator, call: Call) {
    this.#log = log;
    this.#owner = owner;
    this.#coordinator = coordinator;
    this.#call = call;
    log.copyTo(this);
  }

  /** The log has grown. */
  notify(): void {
    if (this.#timer !== undefined || this.#sending || this.#isEnding || this.#log.end) return;
    if (!this.#owner.isGranted || !this.#owner.isFollowed) return;
    const wait = this.#lastSentAt + this.#coordinator.settings.flushMs - performance.now();
    // Timers drop fractions: without rounding up, there would be more appends.
    this.#timer = setTimeout(() => this.#flush(), Math.max(0, Math.ceil(wait)));
  }

  /** Ends the copy: sends what is left with the end of the log. Gives up when the lease has ended. */
  async end(): Promise<void> {
    this.#isEnding = true;
    clearTimeout(this.#timer);
    await this.#sending;
    const { leaseMs } = this.#coordinator.settings;
    for (const until = performance.now() + leaseMs; ;) {
      const rest = this.#isBroken ? [brokenEnd] : this.#readRest(this.#pending?.position ?? this.position);
      const data = (this.#pending?.data ?? "") + encodeEvents(rest);
      try {
        await this.#call(() => this.#coordinator.end(this.#owner.ticket, this.#length, data));
        return;
      } catch (error) {
        this.#owner.fail(error);
        if (performance.now() >= until) return;
        await new Promise((resolve) => setTimeout(resolve, leaseMs / 40));
        await this.#synchronize();
      }
    }
  }

  /** Marks the moment before a call whose status is passed to {@link LogPublisher.compare}. */
  get version(): number {
    return this.#version;
  }

  /** Notes how long the copy is. If the database has lost the end of it, that is sent again. */
  compare({ state, logLength }: TicketStatus, version: number): void {
    if (state === "lost" || version !== this.#version || this.#isAppending || logLength >= this.#length) return;
    const mark = this.#marks.findLast(({ length }) => length === logLength);
    this.#isBroken = mark === undefined;
    this.#pending = undefined;
    this.#length = logLength;
    if (!mark) return;
    this.#marks = this.#marks.filter(({ length }) => length <= logLength);
    this.position = mark.position;
    this.notify();
  }

  #flush(): void {
    this.#timer = undefined;
    const pending = this.#pending ?? this.#read();
    // Events that wait for others are sent with them: the log notifies again then.
    if (!pending || this.#isBroken) return;
    this.#sending = this.#send(pending).finally(() => {
      this.#sending = undefined;
      if (this.#pending || this.#hasNews()) this.notify();
    });
  }

  async #send(pending: Pending): Promise<void> {
    this.#pending = pending;
    this.#lastSentAt = performance.now();
    this.#setAppending(true);
    try {
      const status = await this.#call(() => this.#coordinator.append(this.#owner.ticket, this.#length, pending.data));
      this.#owner.receive(status);
      if (status.state === "lost") this.#isEnding = true;
      this.#pending = undefined;
      this.#length += pending.data.length;
      this.position = pending.position;
      this.#marks = [...this.#marks.slice(-maxMarks), { length: this.#length, position: this.position }];
      this.#setAppending(false);
    } catch (error) {
      this.#setAppending(false);
      this.#owner.fail(error);
      this.#lastSentAt += retryDelay;
      await this.#synchronize();
    }
  }

  #setAppending(isAppending: boolean): void {
    this.#isAppending = isAppending;
    this.#version++;
  }

  /** After a failure: the database may have lost a part of the copy, or received what seemed lost. */
  async #synchronize(): Promise<void> {
    const version = this.#version;
    try {
      const status = await this.#call(() => this.#coordinator.check(this.#owner.ticket));
      this.compare(status, version);
    } catch {
      // The next append fails, too, and comes back here.
    }
  }

  #read(): Pending | undefined {
    const { events, position } = this.#log.readFrom(this.position);
    return isWorthSending(events) ? { data: encodeEvents(events), position } : undefined;
  }

  /** All events after a position. One read returns a part of them. */
  #readRest(position: number): TurnEvent[] {
    const rest: TurnEvent[] = [];
    for (let slice = this.#log.readFrom(position); slice.events.length > 0; slice = this.#log.readFrom(slice.position)) {
      rest.push(...slice.events);
    }
    return rest;
  }

  #hasNews(): boolean {
    return this.#log.readableLength > this.position;
  }
}

const brokenEnd: TurnEvent = { type: "end", status: "failed", error: createLeaseLostError() };

/** The frame of a step waits for its content: sent alone, it would delay the first text. */
function isWorthSending(events: readonly TurnEvent[]): boolean {
  return events.some(({ type }) => type !== "step-start" && type !== "step-end");
}
