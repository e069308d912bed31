/**
 * The text of a running turn: written once by the turn, read by any number of responses, each at its own pace
 * and each from the beginning. The text has to be kept until it is stored, so a late or slow reader costs nothing
 * more than its place in it.
 */

/** How far the turn may run ahead of its fastest reader, in characters. Bounds what an unread answer occupies. */
const readAhead = 64 * 1024;
/** From this many characters on, a write is not held back and a read hands out no more. */
const largeText = 64 * 1024;

/** One response's way through the answer. */
export interface AnswerReader {
  /** Resolves once there is text to read or the answer is whole; rejects if the turn failed with nothing said. */
  opened(): Promise<void>;
  /** The next text, never empty; `undefined` at the end of a whole answer. Rejects when the turn failed. */
  read(): Promise<string | undefined>;
  /** Stops reading. A pending read rejects with the reason. */
  leave(reason: Error): void;
}

/** What the turn holds: the writing side. */
export interface Answer {
  /** Adds text; readers see it after at most the flush interval. */
  write(text: string): void;
  /** Shows all that was written to the readers now. */
  flush(): void;
  /** Whether the fastest reader is so far behind that the model should wait. */
  isFull(): boolean;
  /** Resolves when anything about the answer or its readers has changed. */
  changed(): Promise<void>;
  /** Lets everyone who waits for a change look again. */
  touch(): void;
  /** All text written so far. */
  text(): string;
  /** Characters written so far. */
  length(): number;
  /** When the first text was shown, by `performance.now()`. */
  openedAt(): number | undefined;
  /** Ends the answer: whole, or with the failure that every reader will see after the text. */
  end(failure?: Error): void;
  /** A reader that starts at the beginning. `onLeave` is called once, when it leaves before the end. */
  join(onLeave: () => void): AnswerReader;
}

/**
 * An empty answer.
 *
 * @param flushInterval - Milliseconds between two flushes. The first text is shown at once; text that follows sooner
 * is gathered, which costs an eye nothing and saves most of the writes.
 */
export function createAnswer(flushInterval: number): Answer {
  const parts: string[] = [];
  const places = new Set<{ consumed: number }>();
  let gathered = "";
  let length = 0;
  let flushedAt = -Infinity;
  let openedAt: number | undefined;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let hasEnded = false;
  let failure: Error | undefined;
  let waiting: (() => void)[] = [];

  const changed = () => new Promise<void>((resolve) => waiting.push(resolve));

  const touch = () => {
    const woken = waiting;
    waiting = [];
    for (const wake of woken) wake();
  };

  const flush = () => {
    clearTimeout(timer);
    timer = undefined;
    // Half of a surrogate pair would be encoded as U+FFFD: it waits for its other half.
    const isHalf = !hasEnded && /[\ud800-\udbff]$/.test(gathered.slice(-1));
    const text = isHalf ? gathered.slice(0, -1) : gathered;
    if (text === "") return;
    gathered = gathered.slice(text.length);
    parts.push(text);
    flushedAt = performance.now();
    openedAt ??= flushedAt;
    touch();
  };

  const isFull = () => {
    let furthest = 0;
    for (const { consumed } of places) if (consumed > furthest) furthest = consumed;
    return length - furthest > readAhead;
  };

  return {
    write(text) {
      gathered += text;
      length += text.length;
      const wait = timer ? flushInterval : flushedAt + flushInterval - performance.now();
      if (wait <= 0 || gathered.length >= largeText) flush();
      else timer ??= setTimeout(flush, wait);
    },
    flush,
    isFull,
    changed,
    touch,
    text: () => parts.join("") + gathered,
    length: () => length,
    openedAt: () => openedAt,
    end(reason) {
      hasEnded = true;
      failure = reason;
      flush();
      touch();
    },
    join(onLeave) {
      const place = { consumed: 0 };
      let next = 0;
      let left: Error | undefined;
      places.add(place);
      /** Whether there is text to read; throws where there will be none for a reason. */
      const hasText = () => {
        const error = left ?? (next < parts.length ? undefined : failure);
        if (error) throw error;
        return next < parts.length;
      };
      return {
        async opened() {
          while (!hasText() && !hasEnded) await changed();
        },
        async read() {
          while (!hasText()) {
            if (hasEnded) return void places.delete(place);
            await changed();
          }
          let text = "";
          while (next < parts.length && text.length < largeText) text += parts[next++];
          place.consumed += text.length;
          touch();
          return text;
        },
        leave(reason) {
          if (left || !places.delete(place)) return;
          left = reason;
          onLeave();
          touch();
        },
      };
    },
  };
}
