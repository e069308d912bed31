/** The event log: readers lose, repeat and split nothing, whenever they read. */
import fc from "fast-check";
import { describe, expect, it, vi } from "vitest";
import { EventLog, type EventLogReader, maxEventText } from "../../src/lib/core/event-log.ts";
import { sizeOf, type TextEvent, type TurnEvent } from "../../src/lib/core/events.ts";

const text = (value: string): TextEvent => ({ type: "text", text: value });
const reasoning = (value: string): TextEvent => ({ type: "reasoning", text: value });
const toolArguments = (id: string, value: string): TextEvent => ({ type: "tool-arguments", id, text: value });
const end: TurnEvent = { type: "end", status: "complete" };

const createLog = (...events: TurnEvent[]): EventLog => {
  const log = new EventLog({ onAbandoned() {} });
  for (const event of events) log.append(event);
  return log;
};

const createReader = (position = 0): EventLogReader & { position: number; notify: ReturnType<typeof vi.fn<() => void>> } => ({
  position,
  notify: vi.fn<() => void>(),
});

/** The events with adjacent text of one kind in one event: the form in which two lists of events are compared. */
function merge(events: readonly TurnEvent[]): TurnEvent[] {
  const merged: TurnEvent[] = [];
  for (const event of events) {
    const last = merged.at(-1);
    const isSameKind =
      last && "text" in last && last.type === event.type && ("id" in last ? last.id : "") === ("id" in event ? event.id : "");
    if ("text" in event && event.text === "") continue;
    if (isSameKind && "text" in event) merged[merged.length - 1] = { ...last, text: last.text + event.text } as TurnEvent;
    else merged.push(event);
  }
  return merged;
}

/** Reads from a position to the end of what can be read. */
function readAll(log: EventLog, position = 0): TurnEvent[] {
  const events: TurnEvent[] = [];
  for (;;) {
    const slice = log.readFrom(position);
    if (slice.events.length === 0) return events;
    events.push(...slice.events);
    position = slice.position;
  }
}

/** Text with characters of one and of two code units, now and then longer than one event may be. */
const anyText = fc.oneof(
  { weight: 12, arbitrary: fc.string({ unit: fc.constantFrom("a", "ä", "€", "😀"), maxLength: 6 }) },
  { weight: 1, arbitrary: fc.integer({ min: -3, max: 3 }).map((more) => `${"x".repeat(maxEventText - 10 + more)}${"😀".repeat(5)}`) },
);

/** Events of a turn. A text is appended in two pieces, which may split a character in its middle. */
const anyEvents: fc.Arbitrary<TurnEvent[]> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc
      .tuple(
        anyText,
        fc.nat(),
        fc.constantFrom(text, reasoning, (value: string) => toolArguments("one", value)),
      )
      .map(([value, at, create]) => {
        const middle = at % (value.length + 1);
        return [create(value.slice(0, middle)), create(value.slice(middle))];
      }),
  },
  { weight: 1, arbitrary: fc.constant<TurnEvent[]>([toolArguments("other", "{}")]) },
  { weight: 1, arbitrary: fc.constant<TurnEvent[]>([{ type: "step-start" }]) },
  { weight: 1, arbitrary: fc.constant<TurnEvent[]>([{ type: "tool-result", id: "one", content: "result" }]) },
);

describe("an event log", () => {
  it("returns exactly the appended events to every reader, in any order of appends and reads", () => {
    const steps = fc.array(fc.tuple(anyEvents, fc.array(fc.nat({ max: 2 }), { maxLength: 3 })), { maxLength: 30 });
    fc.assert(
      fc.property(steps, (steps) => {
        const log = createLog();
        const appended: TurnEvent[] = [];
        const readers = [0, 1, 2].map(() => ({ position: 0, events: [] as TurnEvent[] }));
        const readOnce = (reader: (typeof readers)[number]) => {
          const { events, position } = log.readFrom(reader.position);
          expect(position - reader.position).toBe(events.reduce((sum, event) => sum + sizeOf(event), 0));
          // Each slice is encoded by itself: half a character would become another one.
          for (const event of merge(events)) expect("text" in event ? event.text.isWellFormed() : true).toBe(true);
          reader.events.push(...events);
          reader.position = position;
          return events.length > 0;
        };
        for (const [events, reads] of steps) {
          for (const event of events) {
            log.append(event);
            appended.push(event);
            for (const index of reads) readOnce(readers[index]!);
          }
        }
        log.append(end);
        appended.push(end);
        const all = merge(appended);
        for (const reader of readers) {
          while (readOnce(reader));
          expect(merge(reader.events)).toEqual(all);
        }
        expect(merge(readAll(log))).toEqual(all);
        expect(log.textFrom(0)).toBe(appended.map((event) => (event.type === "text" ? event.text : "")).join(""));
      }),
      { numRuns: 300 },
    );
  });

  it("merges adjacent text of one kind, and separates other kinds and calls", () => {
    const log = createLog(
      ...Array.from({ length: 1000 }, () => text("a")),
      reasoning("b"),
      reasoning("c"),
      toolArguments("one", "{"),
      toolArguments("one", "}"),
      toolArguments("two", "{}"),
      text("d"),
      { type: "step-end" },
      text("e"),
    );
    expect(log.readFrom(0).events).toEqual([
      text("a".repeat(1000)),
      reasoning("bc"),
      toolArguments("one", "{}"),
      toolArguments("two", "{}"),
      text("d"),
      { type: "step-end" },
      text("e"),
    ]);
  });

  it("has few events for text that is read in small pieces", () => {
    const log = createLog();
    for (let position = 0; position < 10_000; position++) {
      log.append(text("x"));
      expect(log.readFrom(position)).toEqual({ events: [text("x")], position: position + 1 });
    }
    // As many events as 10,000 has binary digits.
    expect(log.readFrom(0).events.length).toBeLessThanOrEqual(14);
    expect(
      readAll(log)
        .map((event) => ("text" in event ? event.text : ""))
        .join(""),
    ).toBe("x".repeat(10_000));
  });

  it("holds no event longer than the bound and one piece, read or unread", () => {
    for (const isRead of [false, true]) {
      const log = createLog();
      for (let count = 0; count < 300; count++) {
        log.append(text("x".repeat(1000)));
        if (isRead) log.readFrom(count * 1000);
      }
      expect(Math.max(...readAll(log).map(sizeOf))).toBeLessThan(maxEventText + 1000);
    }
  });

  it("returns about 64 Ki characters at a read, and the position after them", () => {
    const log = createLog(...Array.from({ length: 5 }, () => text("x".repeat(40_000))));
    const first = log.readFrom(0);
    expect(first.position).toBe(80_000);
    expect(log.readFrom(first.position).position).toBe(160_000);
    expect(log.readFrom(200_000)).toEqual({ events: [], position: 200_000 });
  });

  it("reads from the middle of an event", () => {
    expect(createLog(text("Hello"), { type: "step-end" }, text("World")).readFrom(8).events).toEqual([text("rld")]);
  });

  it("withholds the first half of a character until the second one arrives", () => {
    const log = createLog(text("a\ud83d"));
    expect([log.length, log.readableLength]).toEqual([2, 1]);
    expect(log.readFrom(0)).toEqual({ events: [text("a")], position: 1 });
    expect(log.readFrom(1)).toEqual({ events: [], position: 1 });
    log.append(text("\ude00b"));
    expect(merge(log.readFrom(1).events)).toEqual([text("😀b")]);
  });

  it("never ends a read within a character, not even at its bound", () => {
    const log = createLog(text(`${"x".repeat(maxEventText - 1)}\ud83d`));
    log.readFrom(0);
    log.append(text("\ude00y"));
    const { events, position } = log.readFrom(0);
    const read = events.map((event) => ("text" in event ? event.text : "")).join("");
    expect([position, read.slice(-3)]).toEqual([maxEventText + 2, "😀y"]);
  });

  it("returns an unpaired surrogate once another event follows", () => {
    const log = createLog(text("a\ud83d"), { type: "end", status: "failed" });
    expect(log.readFrom(0).events).toEqual([text("a\ud83d"), { type: "end", status: "failed" }]);
    expect(log.textFrom(0)).toBe("a\ufffd");
  });

  it("returns the text of the answer after a position, and nothing else", () => {
    const log = createLog(text("One "), reasoning("hm"), { type: "step-end" }, text("two"));
    expect(log.textFrom(0)).toBe("One two");
    expect(log.textFrom(2)).toBe("e two");
    expect(log.textFrom(7)).toBe("two");
    expect(log.textFrom(log.length)).toBe("");
  });

  it("counts each event that has no text as one, and the content of a tool's result", () => {
    const log = createLog({ type: "step-start" }, { type: "tool-result", id: "one", content: "1234" }, text("12"));
    expect(log.length).toBe(8);
  });
});

describe("the readers of a log", () => {
  it("are notified of each event until they leave", () => {
    const log = createLog();
    const [one, other] = [createReader(), createReader()];
    log.subscribe(one);
    log.subscribe(other);
    log.append(text("a"));
    log.unsubscribe(one);
    log.append(text("b"));
    expect([one.notify.mock.calls.length, other.notify.mock.calls.length]).toEqual([1, 2]);
  });

  it("abandon the log only when the last of them leaves before the end", () => {
    const onAbandoned = vi.fn<() => void>();
    const log = new EventLog({ onAbandoned });
    const [one, other] = [createReader(), createReader()];
    log.unsubscribe(one);
    expect(onAbandoned).not.toHaveBeenCalled();
    log.subscribe(one);
    log.subscribe(other);
    log.unsubscribe(one);
    log.unsubscribe(one);
    expect(onAbandoned).not.toHaveBeenCalled();
    log.unsubscribe(other);
    expect(onAbandoned).toHaveBeenCalledTimes(1);

    log.subscribe(one);
    log.append(end);
    log.unsubscribe(one);
    expect(onAbandoned).toHaveBeenCalledTimes(1);
  });

  it("let the writer run 64 Ki characters ahead of the fastest of them", () => {
    const log = createLog(text("x".repeat(64 * 1024)));
    const [slow, fast] = [createReader(0), createReader(0)];
    log.subscribe(slow);
    log.subscribe(fast);
    expect(log.shouldPause()).toBe(false);
    log.append(text("x"));
    expect(log.shouldPause()).toBe(true);
    fast.position = 1;
    expect(log.shouldPause()).toBe(false);
    log.unsubscribe(fast);
    expect(log.shouldPause()).toBe(true);
  });

  it("wake a writer that waits for them", async () => {
    const log = createLog();
    log.wakeWriter();
    let isAwake = false;
    const waiting = log.waitForReaders().then(() => (isAwake = true));
    await Promise.resolve();
    expect(isAwake).toBe(false);
    log.wakeWriter();
    await waiting;
  });

  it("wake a writer that waits for them when one comes, and when one leaves", async () => {
    const log = createLog();
    const reader = createReader(0);
    let wakes = 0;
    const countWake = () => wakes++;
    const first = log.waitForReaders().then(countWake);
    log.subscribe(reader);
    await first;
    const second = log.waitForReaders().then(countWake);
    log.unsubscribe(reader);
    await second;
    expect(wakes).toBe(2);
  });
});

it("a log has ended when its end is appended", () => {
  const log = createLog(text("a"));
  expect(log.end).toBeUndefined();
  log.append(end);
  expect(log.end).toBe(end);
});
