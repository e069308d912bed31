/**
 * The text of a running turn: written once by the turn, read by any number of responses, each at its own pace
 * and each from the beginning. The text has to be kept until it is stored, so a late or slow reader costs nothing
 * more than what it has still to read.
 */

/** How far the turn may run ahead of its fastest reader, in characters. Bounds what an unread answer occupies. */
const readAhead = 64 * 1024;
/** From this many characters on, a write is not held back. */
const largeText = 64 * 1024;

/** What the turn holds: the writing side. */
export class Answer {
  /** Characters written so far. */
  length = 0;
  /** When the first text was shown, by `performance.now()`. */
  openedAt: number | undefined;
  /** Whether there will be no more text. */
  hasEnded = false;
  /** What it ended with, where it is not whole. */
  failure: Error | undefined;
  readonly #parts: string[] = [];
  #gathered = "";
  #flushedAt = -Infinity;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #readers: readonly AnswerReader[] = [];
  #wake: (() => void) | undefined;
  readonly #flushInterval: number;
  readonly #onAbandoned: () => void;

  /**
   * @param flushInterval - Milliseconds between two flushes. The first text is shown at once; text that follows sooner
   * is gathered, which costs an eye nothing and saves most of the writes.
   * @param onAbandoned - Called when the last reader leaves before the end.
   */
  constructor(flushInterval: number, onAbandoned: () => void) {
    this.#flushInterval = flushInterval;
    this.#onAbandoned = onAbandoned;
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
    const isHalf = !this.hasEnded && /[\ud800-\udbff]$/.test(this.#gathered.slice(-1));
    const text = isHalf ? this.#gathered.slice(0, -1) : this.#gathered;
    if (!text) return;
    this.#gathered = this.#gathered.slice(text.length);
    this.#flushedAt = performance.now();
    this.openedAt ??= this.#flushedAt;
    // Pieces are joined with their like, so that there are few: a thousand small strings occupy several times what is in them.
    let part = text;
    for (let last; (last = this.#parts.at(-1)) && last.length <= part.length; this.#parts.pop()) part = [last, part].join("");
    this.#parts.push(part);
    for (const reader of this.#readers) reader.show(text);
  }

  /** Whether the fastest reader is so far behind that the model should wait. */
  isFull(): boolean {
    return this.#readers.every(({ unread }) => unread.length + this.#gathered.length > readAhead);
  }

  /** Resolves when anything about the answer's readers has changed. Only the turn waits for it. */
  changed(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }

  /** Lets the turn look again. */
  touch(): void {
    this.#wake?.();
  }

  /** All text written so far. */
  text(): string {
    return this.#parts.join("") + this.#gathered;
  }

  /** Ends the answer: whole, or with the failure that every reader will see after the text. */
  end(failure?: Error): void {
    this.hasEnded = true;
    this.failure = failure;
    this.flush();
    for (const reader of this.#readers) reader.show("");
  }

  /** A reader that starts at the beginning. */
  join(): AnswerReader {
    const reader = new AnswerReader(this);
    reader.show(this.#parts.join(""));
    this.#readers = [...this.#readers, reader];
    return reader;
  }

  /** Lets a reader go. */
  leave(reader: AnswerReader): void {
    this.#readers = this.#readers.filter((other) => other !== reader);
    if (!this.#readers[0] && !this.hasEnded) this.#onAbandoned();
    this.touch();
  }
}

/** One response's way through the answer. */
export class AnswerReader {
  /** Text that it has still to take. */
  unread = "";
  readonly #answer: Answer;
  #left: Error | undefined;
  #onReady: ((failure: Error | undefined) => void) | undefined;

  /** Made by {@link Answer.join}. */
  constructor(answer: Answer) {
    this.#answer = answer;
  }

  /** Calls back once, when there is text to take or the end of a whole answer, or when there will be none for a reason. */
  onceReady(callback: (failure: Error | undefined) => void): void {
    this.#onReady = callback;
    this.show("");
  }

  /** The text there is; `""` at the end. */
  take(): string {
    const text = this.unread;
    this.unread = "";
    this.#answer.touch();
    return text;
  }

  /** Adds text to what it has to take. */
  show(text: string): void {
    this.unread += text;
    const callback = this.#onReady;
    const failure = this.#left ?? (this.unread ? undefined : this.#answer.failure);
    if (!callback || !(failure || this.unread || this.#answer.hasEnded)) return;
    this.#onReady = undefined;
    callback(failure);
  }

  /** Stops reading: who waits for text gets the reason. */
  leave(reason: Error): void {
    if (this.#left) return;
    this.#left = reason;
    this.unread = "";
    this.show("");
    this.#answer.leave(this);
  }
}
