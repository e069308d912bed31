/**
 * The text of a running turn: written once by the turn, read by any number of responses, each at its own pace
 * and each from the beginning. The text has to be kept until it is stored, so a late or slow reader costs nothing
 * more than its place in it.
 */
import { type ChatHandlerError, clientGone } from "../core/errors.ts";

/** How far the turn may run ahead of its fastest reader, in characters. Bounds what an unread answer occupies. */
const readAhead = 64 * 1024;
/** From this many characters on, a write is not held back, and a piece grows no further: a reader takes one at once. */
const largeText = 64 * 1024;

/** The upper six bits of a surrogate pair's first half. */
const highSurrogate = 0xd800 >> 10;

/** Whoever reads an answer, at a pace of its own. */
export interface Reader {
  /** How much its client is done with, in characters. */
  readonly place: number;
  /** Hears that there is more text, or the end. */
  look(): void;
}

/** What the turn holds: the writing side. */
export class Answer {
  /** Characters written so far. */
  length = 0;
  /** When the first text was shown, by `performance.now()`. */
  openedAt: number | undefined;
  /** How it ended, once there will be no more text; with a failure, where it is not whole. */
  ending: { failure: Error | undefined } | undefined;
  /** Lets the turn look again, where it waits for a change. */
  wake: (() => void) | undefined;
  #parts: string[] = [];
  #gathered = "";
  #flushedAt = -Infinity;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #readers: readonly Reader[] = [];
  readonly #flushInterval: number;
  readonly #turn: { abort(reason: ChatHandlerError): void };

  /**
   * @param flushInterval - Milliseconds between two flushes. The first text is shown at once; text that follows sooner
   * is gathered, which costs an eye nothing and saves most of the writes.
   * @param turn - Is aborted when the last reader leaves before the end.
   */
  constructor(flushInterval: number, turn: { abort(reason: ChatHandlerError): void }) {
    this.#flushInterval = flushInterval;
    this.#turn = turn;
  }

  /** Adds text; readers see it after at most the flush interval. */
  write(text: string): void {
    this.#gathered += text;
    this.length += text.length;
    const wait = this.#timer ? this.#flushInterval : this.#flushedAt + this.#flushInterval - performance.now();
    if (wait <= 0 || this.#gathered.length >= largeText) this.flush();
    else this.#timer ??= setTimeout(() => this.flush(), wait);
  }

  /** Shows all that was written to the readers now. */
  flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    // Half of a surrogate pair would be encoded as U+FFFD: it waits for its other half.
    let part = this.#gathered;
    if (!this.ending && part.charCodeAt(part.length - 1) >> 10 === highSurrogate) part = part.slice(0, -1);
    if (part) {
      this.#gathered = this.#gathered.slice(part.length);
      this.#flushedAt = performance.now();
      this.openedAt ??= this.#flushedAt;
      // Pieces are joined with their like, so that there are few: a thousand small strings occupy several times what is in them.
      for (let last; part.length < largeText && (last = this.#parts.at(-1)) && last.length <= part.length; this.#parts.pop()) {
        part = [last, part].join("");
      }
      this.#parts = this.#parts.concat(part); // of just the length it needs
    }
    for (const reader of this.#readers) reader.look();
  }

  /** The shown text at this place, to the end of its piece; `""` where there is none. */
  pieceAt(place: number): string {
    let start = this.length - this.#gathered.length;
    let index = this.#parts.length;
    while (start > place) start -= this.#parts[--index]!.length;
    return this.#parts[index]?.slice(place - start) ?? "";
  }

  /** Whether the fastest reader is so far behind that the model should wait. */
  isFull(): boolean {
    return this.#readers.every(({ place }) => this.length - place > readAhead);
  }

  /** Resolves when a reader wants more, or the turn is aborted. Only the turn waits for it. */
  changed(): Promise<void> {
    return new Promise((resolve) => {
      this.wake = resolve;
    });
  }

  /** All text written so far, from this place on. */
  textFrom(start: number): string {
    return (this.#parts.join("") + this.#gathered).slice(start).toWellFormed();
  }

  /** Ends the answer: whole, or with the failure that every reader will see after the text. */
  end(failure?: Error): void {
    this.ending = { failure };
    this.flush();
  }

  /** Takes in a reader, which starts at the beginning. */
  join(reader: Reader): void {
    this.#readers = this.#readers.concat(reader); // of just the length it needs
  }

  /** Lets a reader go. */
  leave(reader: Reader): void {
    this.#readers = this.#readers.filter((other) => other !== reader);
    if (!this.#readers[0] && !this.ending) this.#turn.abort(clientGone());
  }
}
