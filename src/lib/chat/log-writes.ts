/** Reads an event log for one response: what to write, and when. */
import { type EventLog, type EventLogReader, maxEventText } from "../core/event-log.ts";
import { type EndEvent, sizeOf, type TurnEvent } from "../core/events.ts";

/** The writes of one response, in the form that `for await` reads. */
export class LogWrites implements EventLogReader, AsyncIterator<string, undefined>, AsyncIterable<string> {
  /** What the client has consumed. A write counts when the client asks for the next one. */
  position = 0;
  /** Whether the end of the log has been read. */
  isEnded = false;
  #readPosition = 0;
  #isDemanded = false;
  /** Whether it waits out the flush interval. */
  #isDelayed = false;
  #lastWriteAt = -Infinity;
  #wake: (() => void) | undefined;
  /** Gone when the writes are closed: a server may hold the response for longer, and the log can be large. */
  #log: EventLog | undefined;
  readonly #toText: (event: TurnEvent) => string;
  readonly #flushInterval: number;

  /**
   * @param toText - Returns the text to write for an event.
   * @param flushInterval - Milliseconds between two writes, and between the last write and the end of a broken answer: a browser drops what it has
   * not read when the connection breaks. The first write, and the last one of a complete answer, do not wait.
   */
  constructor(log: EventLog, toText: (event: TurnEvent) => string, flushInterval: number) {
    this.#log = log;
    this.#toText = toText;
    this.#flushInterval = flushInterval;
    log.subscribe(this);
  }

  /** The client asks for one write. */
  demand(): void {
    this.#isDemanded = true;
    this.position = this.#readPosition;
    this.#log?.wakeWriter();
    this.notify();
  }

  /** The end of the log, if it has one. */
  get end(): EndEvent | undefined {
    return this.#log?.end;
  }

  /** Whether the log has its end, and nothing before it. */
  get isEmpty(): boolean {
    return this.end !== undefined && this.#log?.length === sizeOf(this.end);
  }

  /** Characters that the client has not consumed. */
  get unread(): number {
    return this.#log ? this.#log.length - this.position : 0;
  }

  /** Ends the writes and leaves the log. */
  close(): void {
    const log = this.#log;
    this.#log = undefined;
    this.notify();
    log?.unsubscribe(this);
  }

  notify(): void {
    // Events that arrive within the interval wake nobody: a token then costs no promise.
    if (!this.#isDelayed || this.#endsDelay()) this.#wake?.();
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  /** The next write, once it is demanded, due, and there is something to write. */
  async next(): Promise<IteratorResult<string, undefined>> {
    for (;;) {
      while (this.#log && (!this.#isDemanded || !this.#hasEvents(this.#log))) await this.#change();
      const wait = this.#lastWriteAt + this.#flushInterval - performance.now();
      if (wait > 0 && !this.#endsDelay()) await this.#delay(wait);
      if (!this.#log || this.isEnded) return { done: true, value: undefined };
      const text = this.#readText(this.#log);
      if (text === "") {
        // Events without text are consumed at once.
        this.demand();
        continue;
      }
      this.#isDemanded = false;
      this.#lastWriteAt = performance.now();
      return { done: false, value: text };
    }
  }

  #hasEvents({ readableLength }: EventLog): boolean {
    return this.isEnded || readableLength > this.#readPosition;
  }

  #readText(log: EventLog): string {
    const { events, position } = log.readFrom(this.#readPosition);
    this.#readPosition = position;
    if (events.at(-1)?.type === "end") this.isEnded = true;
    return events.map(this.#toText).join("");
  }

  /** Resolves when something was appended, demanded or closed. */
  #change(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }

  /** Waits out the rest of the interval. */
  async #delay(wait: number): Promise<void> {
    this.#isDelayed = true;
    const change = this.#change();
    // In the request's own context: workerd does not let one request clear the timer of another.
    const timer = setTimeout(() => this.#wake?.(), wait);
    await change;
    clearTimeout(timer);
    this.#isDelayed = false;
  }

  /** Whether nothing needs to wait: the client has disconnected, the answer is complete, or the client is far behind. */
  #endsDelay(): boolean {
    if (!this.#log) return true;
    const { end, readableLength } = this.#log;
    return end?.status === "complete" || readableLength - this.#readPosition >= maxEventText;
  }
}
