/** The pace of one response, by a clock that the test moves. */
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { LogWrites } from "../../src/lib/chat/log-writes.ts";
import { EventLog, maxEventText } from "../../src/lib/core/event-log.ts";
import type { TurnEvent } from "../../src/lib/core/events.ts";

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] });
});

afterEach(() => {
  if (vi.getTimerCount() > 0) throw new Error("A timer was left behind.");
  vi.useRealTimers();
});

const interval = 80;
const textOf = (event: TurnEvent) => (event.type === "text" ? event.text : "");

/** A client that always wants the next write. Notes each one with the millisecond in which it came. */
function startClient(log: EventLog, { flushInterval = interval, toText = textOf } = {}) {
  const writes = new LogWrites(log, toText, flushInterval);
  const startedAt = performance.now();
  const seen: [at: number, text: string][] = [];
  let isDone = false;
  const finished = (async () => {
    for (;;) {
      writes.demand();
      const { done, value } = await writes.next();
      if (done) break;
      seen.push([performance.now() - startedAt, value]);
    }
    isDone = true;
  })();
  return { writes, seen, finished, isDone: () => isDone };
}

const createLog = (onAbandoned = () => {}) => new EventLog({ onAbandoned });
const say = (log: EventLog, text: string) => log.append({ type: "text", text });
const complete: TurnEvent = { type: "end", status: "complete" };
const failed: TurnEvent = { type: "end", status: "failed" };
const pass = (ms: number) => vi.advanceTimersByTimeAsync(ms);

describe("the writes of a response", () => {
  it("begin at once, and then keep the interval", async () => {
    const log = createLog();
    const client = startClient(log);
    await pass(500);
    say(log, "a");
    await pass(0);
    for (const text of ["b", "c", "d", "e"]) {
      say(log, text);
      await pass(30);
    }
    await pass(500);
    say(log, "f");
    await pass(0);
    expect(client.seen).toEqual([
      [500, "a"],
      [580, "bcd"],
      [660, "e"],
      [1120, "f"],
    ]);
    log.append(complete);
    await client.finished;
  });

  it("are never closer than the interval, at any pace of the model", async () => {
    const log = createLog();
    const client = startClient(log);
    for (let token = 0; token < 400; token++) {
      say(log, "x");
      await pass((token * 7) % 23);
    }
    await pass(interval);
    const gaps = client.seen.slice(1).map(([at], index) => at - client.seen[index]![0]);
    expect(gaps.length).toBeGreaterThan(20);
    expect(Math.min(...gaps)).toBeGreaterThanOrEqual(interval);
    expect(client.seen.map(([, text]) => text).join("")).toHaveLength(400);
    log.append(complete);
    await client.finished;
  });

  it("are not held back at the end of a complete answer", async () => {
    const log = createLog();
    const client = startClient(log);
    say(log, "a");
    await pass(0);
    say(log, "b");
    await pass(10);
    log.append(complete);
    await pass(0);
    expect(client.seen).toEqual([
      [0, "a"],
      [10, "b"],
    ]);
    await client.finished;
  });

  it("wait out the interval before the end of a broken answer", async () => {
    const log = createLog();
    const client = startClient(log);
    say(log, "a");
    await pass(0);
    say(log, "b");
    await pass(10);
    log.append(failed);
    await pass(69);
    expect(client.seen.length).toBe(1);
    await pass(1);
    expect(client.seen[1]).toEqual([80, "b"]);
    // And once more, so that the client has read the last words when the connection breaks.
    await pass(79);
    expect(client.isDone()).toBe(false);
    await pass(1);
    expect(client.isDone()).toBe(true);
  });

  it.each(["step-end", "step-start"] as const)("wait out the interval at a %s, too", async (type) => {
    const log = createLog();
    const client = startClient(log);
    say(log, "a");
    await pass(0);
    say(log, "b");
    log.append({ type });
    await pass(79);
    expect(client.seen).toHaveLength(1);
    await pass(1);
    expect(client.seen[1]).toEqual([80, "b"]);
    log.append(complete);
    await client.finished;
  });

  it("contain all text before a tool while the tool runs", async () => {
    const log = createLog();
    const client = startClient(log);
    say(log, "a");
    await pass(0);
    say(log, "b");
    log.append({ type: "step-end", finishReason: "tool_calls" });
    log.append({ type: "tool-call", id: "one", name: "wait" });
    await pass(interval);
    expect(client.seen.map(([, text]) => text)).toEqual(["a", "b"]);
    log.append({ type: "tool-result", id: "one", content: "done" });
    // An event without text is not a write, so it does not delay the next one.
    await pass(interval);
    say(log, "c");
    await pass(0);
    expect(client.seen[2]).toEqual([160, "c"]);
    log.append(complete);
    await client.finished;
  });

  it("do not wait with 64 Ki characters to write", async () => {
    const log = createLog();
    const client = startClient(log, { flushInterval: 60_000 });
    say(log, "a");
    await pass(0);
    say(log, "x".repeat(maxEventText - 1));
    await pass(10);
    expect(client.seen).toHaveLength(1);
    say(log, "y");
    await pass(0);
    expect(client.seen[1]?.[0]).toBe(10);
    expect(client.seen[1]?.[1]).toHaveLength(maxEventText);
    log.append(complete);
    await client.finished;
  });

  it("come one by one at an interval of 0", async () => {
    const log = createLog();
    const client = startClient(log, { flushInterval: 0 });
    for (const text of ["a", "b", "c"]) {
      say(log, text);
      await pass(0);
    }
    expect(client.seen.map(([, text]) => text)).toEqual(["a", "b", "c"]);
    log.append(complete);
    await client.finished;
  });

  it("hold no text of other events, and end without a write if there is none", async () => {
    const log = createLog();
    const client = startClient(log);
    log.append({ type: "step-start" });
    log.append({ type: "reasoning", text: "hm" });
    log.append(failed);
    // Nothing was written, so there is nothing to wait for.
    await client.finished;
    expect(client.seen).toEqual([]);
  });
});

describe("the position of a client", () => {
  it("counts a write when the client asks for the next one", async () => {
    const log = createLog();
    const writes = new LogWrites(log, textOf, 0);
    say(log, "abc");
    writes.demand();
    await writes.next();
    expect(writes.position).toBe(0);
    writes.demand();
    expect(writes.position).toBe(3);
    writes.close();
  });

  it("wakes the writer of the log at each demand", async () => {
    const log = createLog();
    const writes = new LogWrites(log, textOf, 0);
    let isAwake = false;
    void log.waitForReaders().then(() => (isAwake = true));
    writes.demand();
    await pass(0);
    expect(isAwake).toBe(true);
    writes.close();
  });

  it("passes events without text at once: they hold no writer back", async () => {
    const log = createLog();
    const writes = new LogWrites(log, textOf, 0);
    log.append({ type: "reasoning", text: "x".repeat(100) });
    writes.demand();
    const next = writes.next();
    await pass(0);
    expect(writes.position).toBe(100);
    writes.close();
    expect(await next).toEqual({ done: true, value: undefined });
  });
});

describe("a client that does not ask", () => {
  it("receives nothing, even if there is text", async () => {
    const log = createLog();
    const writes = new LogWrites(log, textOf, 0);
    say(log, "abc");
    let isWritten = false;
    const next = writes.next().finally(() => (isWritten = true));
    await pass(1000);
    expect(isWritten).toBe(false);
    writes.demand();
    expect(await next).toEqual({ done: false, value: "abc" });
    const second = writes.next();
    say(log, "def");
    await pass(1000);
    writes.close();
    // Closed before it requested the second write.
    expect(await second).toEqual({ done: true, value: undefined });
  });
});

describe("a client that disconnects", () => {
  it("ends its writes at once, also within the interval, and leaves the log", async () => {
    const onAbandoned = vi.fn<() => void>();
    const log = createLog(onAbandoned);
    const client = startClient(log);
    say(log, "a");
    await pass(0);
    say(log, "b");
    await pass(10);
    client.writes.close();
    await pass(0);
    expect(client.isDone()).toBe(true);
    expect(onAbandoned).toHaveBeenCalledTimes(1);
  });

  it("ends its writes while it waits for text", async () => {
    const client = startClient(createLog());
    await pass(10);
    client.writes.close();
    await client.finished;
    expect(client.seen).toEqual([]);
  });
});
