/**
 * The text of a running turn: written once by the turn, read by any number of responses, each at its own pace
 * and each from the beginning. The text has to be kept until it is stored, so a late or slow reader costs nothing
 * more than its place in it.
 */

/** How far the turn may run ahead of its fastest reader, in characters. Bounds what an unread answer occupies. */
const readAhead = 64 * 1024;
/** The most one read hands out, in characters, so that a replay does not become one huge write. */
const readSize = 64 * 1024;

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
  /** Resolves when the answer is no longer full or {@link Answer.interrupt} was called. */
  room(): Promise<void>;
  /** Wakes a writer that waits for room. */
  interrupt(): void;
  /** A place in the text, for {@link Answer.textSince}. */
  mark(): number;
  /** All text written since the mark. */
  textSince(mark: number): string;
  /** Characters written so far. */
  readonly length: number;
  /** When the first text was shown, by `performance.now()`. */
  readonly openedAt: number | undefined;
  /** Ends the answer: whole, or with the failure that every reader will see after the text. */
  end(failure?: Error): void;
  /** A reader that starts at the beginning. `onLeave` is called once, when it leaves before the end. */
  join(onLeave: () => void): AnswerReader;
}

interface Place {
  consumed: number;
  wake: (() => void) | undefined;
}

const endsInHalfPair = (text: string) => {
  const last = text.charCodeAt(text.length - 1);
  return last >= 0xd800 && last <= 0xdbff;
};

/**
 * An empty answer.
 *
 * @param flushInterval - Milliseconds between two flushes. The first text is shown at once; text that follows sooner
 * is gathered, which costs an eye nothing and saves most of the writes.
 */
export function createAnswer(flushInterval: number): Answer {
  const parts: string[] = [];
  const places = new Set<Place>();
  let gathered = "";
  let length = 0;
  let flushedAt = -Infinity;
  let openedAt: number | undefined;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let ended = false;
  let failure: Error | undefined;
  let wakeWriter: (() => void) | undefined;

  const wakeReaders = () => {
    for (const place of places) {
      const { wake } = place;
      place.wake = undefined;
      wake?.();
    }
  };

  const stopTimer = () => {
    if (timer !== undefined) clearTimeout(timer);
    timer = undefined;
  };

  const flush = () => {
    stopTimer();
    let text = gathered;
    gathered = "";
    // Half of a surrogate pair would be encoded as U+FFFD: it waits for its other half.
    if (!ended && endsInHalfPair(text)) {
      gathered = text.slice(-1);
      text = text.slice(0, -1);
    }
    if (text === "") return;
    parts.push(text);
    flushedAt = performance.now();
    openedAt ??= flushedAt;
    wakeReaders();
  };

  const isFull = () => {
    let furthest = 0;
    for (const { consumed } of places) if (consumed > furthest) furthest = consumed;
    return length - furthest > readAhead;
  };

  const interrupt = () => {
    const wake = wakeWriter;
    wakeWriter = undefined;
    wake?.();
  };

  const join = (onLeave: () => void): AnswerReader => {
    const place: Place = { consumed: 0, wake: undefined };
    let next = 0;
    let left: Error | undefined;
    places.add(place);

    const news = () =>
      new Promise<void>((resolve) => {
        place.wake = resolve;
      });

    const take = () => {
      let text = parts[next++] ?? "";
      while (next < parts.length && text.length < readSize) text += parts[next++];
      place.consumed += text.length;
      if (wakeWriter && !isFull()) interrupt();
      return text;
    };

    return {
      async opened() {
        while (!left && parts.length === 0 && !ended) await news();
        if (left) throw left;
        if (parts.length === 0 && failure) throw failure;
      },
      async read() {
        while (!left && next >= parts.length && !ended) await news();
        if (left) throw left;
        if (next < parts.length) return take();
        places.delete(place);
        if (failure) throw failure;
        return undefined;
      },
      leave(reason) {
        if (left || !places.delete(place)) return;
        left = reason;
        place.wake?.();
        onLeave();
        interrupt();
      },
    };
  };

  return {
    write(text) {
      gathered += text;
      length += text.length;
      const wait = flushedAt + flushInterval - performance.now();
      if (wait <= 0 || gathered.length >= readSize) flush();
      else timer ??= setTimeout(flush, wait);
    },
    flush,
    isFull,
    room() {
      return new Promise<void>((resolve) => {
        wakeWriter = resolve;
      });
    },
    interrupt,
    mark() {
      flush();
      return parts.length;
    },
    textSince(mark) {
      return parts.slice(mark).join("") + gathered;
    },
    get length() {
      return length;
    },
    get openedAt() {
      return openedAt;
    },
    end(reason) {
      if (ended) return;
      ended = true;
      failure = reason;
      flush();
      stopTimer();
      wakeReaders();
    },
    join,
  };
}
