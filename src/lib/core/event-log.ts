/**
 * The event log: the seam between a turn and its readers. One writer appends; any number of readers follow, each from its own position
 * and at its own pace. The log holds its events until the turn is over, so a slow or late reader costs one position.
 */
import { continuesText, type EndEvent, sizeOf, type TextEvent, type TurnEvent } from "./events.ts";

/** How far the writer may run ahead of the fastest reader, in characters. Bounds the memory of an answer that nobody reads. */
const maxReadAhead = 64 * 1024;
/** How much text one event may hold, in characters. Also about the most that one read returns. */
export const maxEventText: number = 64 * 1024;

/** A reader of a log. */
export interface EventLogReader {
  /** How much of the log its client has consumed, in characters. */
  readonly position: number;
  /** Called after events were appended. Must not throw. */
  notify(): void;
}

/** The writer of a log. */
export interface EventLogOwner {
  /** Called when the last reader leaves before the end. */
  onAbandoned(): void;
}

/** Events that a reader has not seen, and the position after them. */
export interface EventSlice {
  events: TurnEvent[];
  position: number;
}

const resolved = Promise.resolve();

/** An append-only list of events with readers. */
export class EventLog {
  /** Characters appended so far. Positions count from 0 to this. */
  length = 0;
  /**
   * How much of it can be read. One less than the length while the second half of a surrogate pair is missing: an encoder would turn the first
   * half into U+FFFD.
   */
  readableLength = 0;
  /** Whose log it is. A replay has the attempt that made the answer. */
  attempt: string;
  /** The last event, once there is one. */
  end: EndEvent | undefined;
  /** Resolves after the end was appended. Set by the owner: the promise of its own run costs nothing more. */
  ended: Promise<void> = resolved;
  #events: TurnEvent[] = [];
  /** Text that no reader has read: adjacent pieces are collected here at the cost of a string concatenation each. */
  #openText = "";
  /** The first piece of the open text. */
  #openEvent: TextEvent | undefined;
  #readers: readonly EventLogReader[] = [];
  #copier: EventLogReader | undefined;
  #resumeWriter: (() => void) | undefined;
  readonly #owner: EventLogOwner;

  /** @param attempt - Names this log among those of all attempts at its turn. A position without it means nothing. */
  constructor(owner: EventLogOwner, attempt: string = createAttempt()) {
    this.#owner = owner;
    this.attempt = attempt;
  }

  /** Whether anyone reads it. A copier does not count. */
  get hasReaders(): boolean {
    return this.#readers.length > 0;
  }

  /** Lets one reader copy the log for other instances. It neither keeps the turn running nor paces it. */
  copyTo(copier: EventLogReader): void {
    this.#copier = copier;
  }

  /** Adds an event. Adjacent text of one kind becomes one event. */
  append(event: TurnEvent): void {
    this.length += sizeOf(event);
    this.readableLength = this.length;
    if ("text" in event) {
      if (endsWithHighSurrogate(event.text)) this.readableLength--;
      const isContinued = this.#openEvent && continuesText(this.#openEvent, event) && this.#openText.length < maxEventText;
      if (!isContinued) {
        this.#closeText();
        this.#openEvent = event;
      }
      this.#openText += event.text;
    } else {
      this.#closeText();
      this.#add(event);
      if (event.type === "end") this.end = event;
    }
    for (const reader of this.#readers) reader.notify();
    this.#copier?.notify();
  }

  /** The events after a position, at most about 64 Ki characters of them. Empty when there is nothing to read. */
  readFrom(position: number): EventSlice {
    this.#closeText();
    let index = this.#events.length;
    let start = this.length;
    while (index > 0 && start > position) start -= sizeOf(this.#events[--index]!);
    const events: TurnEvent[] = [];
    let next = position;
    // A read that ends within a surrogate pair would lose the character.
    let isWithinPair = false;
    for (; next < this.readableLength && (next - position < maxEventText || isWithinPair); index++) {
      const event = this.#events[index]!;
      const end = Math.min(start + sizeOf(event), this.readableLength);
      const isWhole = next === start && end === start + sizeOf(event);
      events.push("text" in event && !isWhole ? { ...event, text: event.text.slice(next - start, end - start) } : event);
      isWithinPair = "text" in event && endsWithHighSurrogate(event.text);
      start += sizeOf(event);
      next = end;
    }
    return { events, position: next };
  }

  /** The answer's text that was appended after a position. */
  textFrom(position: number): string {
    this.#closeText();
    let start = 0;
    let text = "";
    for (const event of this.#events) {
      if (event.type === "text" && start + event.text.length > position) text += event.text.slice(Math.max(0, position - start));
      start += sizeOf(event);
    }
    return text.toWellFormed();
  }

  /** Adds a reader. Its position says where it starts. */
  subscribe(reader: EventLogReader): void {
    // `concat` allocates one slot, where a spread allocates seventeen in every open stream.
    this.#readers = this.#readers.concat(reader);
    this.wakeWriter();
  }

  /** Removes a reader. */
  unsubscribe(reader: EventLogReader): void {
    const index = this.#readers.indexOf(reader);
    if (index < 0) return;
    // A plain copy: when 10,000 readers leave at once, a filter of the array takes 400 ms, and this 10.
    this.#readers = this.#readers.toSpliced(index, 1);
    if (this.#readers.length === 0 && !this.end) this.#owner.onAbandoned();
    this.wakeWriter();
  }

  /** Whether the fastest reader is so far behind that the writer should wait. A log that nobody reads goes on. */
  shouldPause(): boolean {
    return this.hasReaders && this.#readers.every(({ position }) => this.length - position > maxReadAhead);
  }

  /** Resolves at the next {@link EventLog.wakeWriter}. Only the writer waits for it. */
  waitForReaders(): Promise<void> {
    return new Promise((resolve) => {
      this.#resumeWriter = resolve;
    });
  }

  /** Lets a waiting writer check again: a reader has come, has left, or has consumed something. */
  wakeWriter(): void {
    this.#resumeWriter?.();
  }

  /** Moves the open text to the events. */
  #closeText(): void {
    const open = this.#openEvent;
    if (!open) return;
    let text = this.#openText;
    this.#openEvent = undefined;
    this.#openText = "";
    // Merging each event with a predecessor of at most its own size keeps the list short at a logarithmic cost.
    for (;;) {
      const last = this.#events.at(-1);
      if (!last || !("text" in last) || !continuesText(last, open)) break;
      if (last.text.length > text.length || last.text.length + text.length > maxEventText) break;
      // A join copies; `+` would keep every piece alive in a tree.
      text = [last.text, text].join("");
      this.#events.pop();
    }
    this.#add({ ...open, text });
  }

  #add(event: TurnEvent): void {
    // Most logs have few events. `concat` allocates one slot for each, and a push seventeen in every open stream.
    if (this.#events.length < 4) this.#events = this.#events.concat(event);
    else this.#events.push(event);
  }
}

/** A random id. Node joins a UUID of twenty strings lazily; `toLowerCase` joins them now, which saves 500 bytes in every open stream. */
function createAttempt(): string {
  return crypto.randomUUID().toLowerCase();
}

function endsWithHighSurrogate(text: string): boolean {
  const last = text.charCodeAt(text.length - 1);
  return last >= 0xd800 && last <= 0xdbff;
}
