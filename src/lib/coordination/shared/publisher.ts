/** Copies the log of a turn to the coordinator, for readers on other instances. */
import type { Coordinator, Ticket, TicketStatus } from "../../core/coordinator.ts";
import { createLeaseLostError } from "../../core/errors.ts";
import type { EventLog, EventLogReader } from "../../core/event-log.ts";
import { sizeOf, type TurnEvent } from "../../core/events.ts";
import type { Call } from "./calls.ts";
import { encodeEvents } from "./event-text.ts";

/** The turn of a publisher: what may be sent, and who receives the results. */
export interface PublisherOwner {
  readonly ticket: Ticket;
  /** Whether the log may grow: only that of a turn that runs. */
  readonly isGranted: boolean;
  /** Whether the turn's prompt is stored. */
  readonly hasStarted: boolean;
  /** Whether anyone reads on another instance. While nobody does, nothing is sent: most answers have one reader, beside their turn. */
  readonly isFollowed: boolean;
  receive(status: TicketStatus): void;
  fail(error: unknown): void;
}

/** A part of the log as text, and the position after it. */
interface Piece {
  data: string;
  position: number;
}

/** The end of a piece: so many characters of the copy are so much of the log. */
interface Mark {
  length: number;
  position: number;
}

/** How much longer the next append waits after one that added nothing, in milliseconds. */
const retryDelay = 400;
/** Most marks that are kept: those of about 40 seconds. A database that loses more than these pieces loses the log. */
const maxMarks = 512;

/** Copies a log in pieces, one at a time, while anyone follows it. Its end comes with all that is not copied yet. */
export class LogPublisher implements EventLogReader {
  /** How much of the log is copied. */
  position = 0;
  /** The length of the copy. */
  #length = 0;
  /**
   * The ends of the newest pieces, in order, also of those that have not arrived or were lost. A piece is sent again exactly as it was: a follower that
   * did not see the loss reads on at its own position.
   */
  readonly #marks: Mark[] = [{ length: 0, position: 0 }];
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
      const data = this.#isBroken ? encodeEvents([brokenEnd]) : this.#readRest();
      try {
        const { ticket, hasStarted } = this.#owner;
        await this.#call(() => this.#coordinator.end(ticket, this.#length, data, { hasStarted }));
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
    const mark = this.#marks.find(({ length }) => length === logLength);
    this.#isBroken = mark === undefined;
    this.#length = logLength;
    if (!mark) return;
    this.position = mark.position;
    this.notify();
  }

  #flush(): void {
    this.#timer = undefined;
    const piece = this.#isBroken ? undefined : this.#nextPiece();
    // Events that wait for others are sent with them: the log notifies again then.
    if (!piece) return;
    this.#sending = this.#send(piece).finally(() => {
      this.#sending = undefined;
      if (this.#hasNews()) this.notify();
    });
  }

  async #send({ data, position }: Piece): Promise<void> {
    this.#lastSentAt = performance.now();
    this.#setAppending(true);
    try {
      const status = await this.#call(() => this.#coordinator.append(this.#owner.ticket, this.#length, data));
      this.#owner.receive(status);
      if (status.state === "lost") this.#isEnding = true;
      if (status.state === "granted") {
        this.#length += data.length;
        this.position = position;
      } else {
        this.#lastSentAt += retryDelay;
      }
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

  #nextPiece(): Piece | undefined {
    const again = this.#readAgain();
    if (again.data) return again;
    const { events, position } = this.#log.readFrom(this.position);
    if (!isWorthSending(events)) return undefined;
    const data = encodeEvents(events);
    this.#marks.push({ length: this.#length + data.length, position });
    if (this.#marks.length > maxMarks) this.#marks.shift();
    return { data, position };
  }

  /** The pieces that were sent before and have not arrived, or were lost. */
  #readAgain(): Piece {
    const piece: Piece = { data: "", position: this.position };
    for (const { position } of this.#marks) {
      if (position <= piece.position) continue;
      piece.data += encodeEvents(readRange(this.#log, piece.position, position));
      piece.position = position;
    }
    return piece;
  }

  /** Everything that has not arrived. */
  #readRest(): string {
    const { data, position } = this.#readAgain();
    return data + encodeEvents(readRange(this.#log, position, Infinity));
  }

  #hasNews(): boolean {
    return this.#log.readableLength > this.position;
  }
}

/** The events between two positions. One read of the log returns a part of them. */
function readRange(log: EventLog, from: number, to: number): TurnEvent[] {
  const range: TurnEvent[] = [];
  for (let position = from; position < to;) {
    const { events } = log.readFrom(position);
    if (events.length === 0) break;
    for (const event of events) {
      if (position >= to) break;
      const isWhole = position + sizeOf(event) <= to;
      range.push("text" in event && !isWhole ? { ...event, text: event.text.slice(0, to - position) } : event);
      position += sizeOf(event);
    }
  }
  return range;
}

const brokenEnd: TurnEvent = { type: "end", status: "failed", error: createLeaseLostError() };

/** The frame of a step waits for its content: sent alone, it would delay the first text. */
function isWorthSending(events: readonly TurnEvent[]): boolean {
  return events.some(({ type }) => type !== "step-start" && type !== "step-end");
}
