/** The plan of a schedule: what clients do, how model and store behave, and the order of all steps. */
import fc from "fast-check";
import type { ThreadKey } from "../../src/index.ts";

/** Threads whose keys a careless store would confuse. The first ones are used most. */
export const threads: readonly ThreadKey[] = [
  { owner: "ada", threadId: "t" },
  { owner: "bob", threadId: "t" },
  { owner: "ada", threadId: "t:1" },
  { owner: "ada:t", threadId: "1" },
  { owner: "", threadId: "__proto__" },
];

/** How a client reads its answer: at once, not at all, or not because it disconnects before the handler starts. */
export type Reading = "all" | "none" | "gone";

/** One action of a client, a user or a server. `of` counts back from the newest request, which is 0. */
export type Action =
  /** A new prompt with new ids. */
  | { do: "send"; thread: number; reading: Reading }
  /** The same ids as an earlier request. */
  | { do: "again"; of: number; reading: Reading }
  /** The same ids as an earlier request, to every process at once. */
  | { do: "everywhere"; of: number }
  /** An earlier request with one change, so that its ids are used for something else. */
  | { do: "clash"; of: number; other: "prompt" | "content" | "response" }
  /** The request is aborted, its body cancelled, or both, like on real servers. */
  | { do: "stop"; of: number; how: "abort" | "cancel" | "both" }
  /** Another route deletes the thread. */
  | { do: "delete"; thread: number }
  /** Another route saves form state of a complete answer. */
  | { do: "save"; of: number }
  /** No action for a while. */
  | { do: "wait"; timers: number }
  /** A process is killed, and a new one starts. */
  | { do: "crash" };

/** How a model call ends. */
export type Ending =
  | "stop"
  /** A finish reason, and the connection stays open. */
  | "linger"
  | "tools"
  | "length"
  | "content_filter"
  /** No finish reason. */
  | "close"
  | "cut"
  | "error"
  | "garbage"
  | "stall"
  /** Before the first byte: status 500, status 429, no connection. */
  | "refuse"
  | "busy"
  | "unreachable";

/** The answer of one model call. */
export interface Script {
  /** Pieces of text. */
  pieces: number;
  /** Whether its pieces are long enough to cause backpressure. */
  isLong: boolean;
  /** How many bytes before the end of an event each network read ends. */
  lag: number;
  ending: Ending;
  /** What its tool calls do. */
  tools: ("ok" | "throw" | "hang")[];
}

/** How a store call ends: correctly, rejected, done but rejected, done after its timeout, done as late as possible, or never. */
export type StoreFault = "none" | "refuse" | "throw" | "lose" | "late" | "later" | "never";

/** A plan. Beyond the end of a list, the simplest behavior is used. */
export interface Plan {
  /** The model client: `openai`, one with `asResponse`, or one that returns an iterable. */
  client: "openai" | "response" | "iterable";
  flushInterval: 0 | 30;
  concurrency: "queue" | "reject";
  /** `history.maxMessages`. */
  last: number;
  /** The number of processes. They share only the store. */
  processes: 1 | 2;
  /** Executed one after the other, each after a number of other steps, or when no other step is possible. */
  actions: { after: number; at: number; action: Action }[];
  /** One for each model call. */
  scripts: Script[];
  /** One for each store call. */
  faults: StoreFault[];
  /** Which of the possible steps is next. `timePasses` fires the next timer. */
  order: number[];
}

/** In {@link Plan.order}: fires the next timer. */
export const timePasses = -1;

/** The simplest model call. */
export const plainScript: Script = { pieces: 2, isLong: false, lag: 0, ending: "stop", tools: [] };

const weighted = <T>(...choices: [weight: number, value: T][]) =>
  fc.oneof(...choices.map(([weight, value]) => ({ weight, arbitrary: fc.constant(value) })));

const thread = weighted([10, 0], [4, 1], [1, 2], [1, 3], [1, 4]);
const of = weighted([6, 0], [3, 1], [2, 2], [1, 3], [1, 4]);
const reading = weighted<Reading>([12, "all"], [2, "none"], [1, "gone"]);

const send = fc.record({ do: fc.constant("send" as const), thread, reading });
const retry = fc.record({ do: fc.constant("again" as const), of, reading });
const retryEverywhere = fc.record({ do: fc.constant("everywhere" as const), of });
const clash = fc.record({
  do: fc.constant("clash" as const),
  of,
  other: weighted<"prompt" | "content" | "response">([2, "prompt"], [1, "content"], [3, "response"]),
});
const stop = fc.record({
  do: fc.constant("stop" as const),
  of,
  how: weighted<"abort" | "cancel" | "both">([2, "abort"], [1, "cancel"], [1, "both"]),
});
const wait = fc.record({ do: fc.constant("wait" as const), timers: weighted([1, 1], [2, 2], [2, 4], [1, 8]) });
const deletion = fc.record({ do: fc.constant("delete" as const), thread });
const save = fc.record({ do: fc.constant("save" as const), of });
const crash = fc.record({ do: fc.constant("crash" as const) });

const many = <T>(arbitrary: fc.Arbitrary<T>, maxLength: number) => fc.array(arbitrary, { maxLength, size: "max" });

const actions = (...choices: [weight: number, action: fc.Arbitrary<Action>][]) =>
  many(
    fc.record({
      after: weighted([4, 0], [2, 3], [2, 8], [2, 16], [1, 30]),
      at: weighted([2, 0], [1, 1]),
      action: fc.oneof(...choices.map(([weight, arbitrary]) => ({ weight, arbitrary }))),
    }),
    12,
  );

const scripts = (ending: fc.Arbitrary<Ending>) =>
  many(
    fc.record({
      pieces: weighted([4, 2], [3, 1], [2, 3], [1, 0]),
      isLong: weighted([30, false], [1, true]),
      lag: weighted([3, 0], [1, 1], [1, 5], [1, 17]),
      ending,
      tools: fc.array(weighted<"ok" | "throw" | "hang">([4, "ok"], [1, "throw"], [1, "hang"]), { maxLength: 2 }),
    }),
    12,
  );

const common = {
  client: weighted<Plan["client"]>([2, "openai"], [3, "response"], [2, "iterable"]),
  flushInterval: weighted<0 | 30>([2, 0], [1, 30]),
  concurrency: weighted<Plan["concurrency"]>([5, "queue"], [1, "reject"]),
  last: weighted([4, 100], [1, 4], [1, 2], [1, 1]),
  order: many(fc.oneof({ weight: 25, arbitrary: fc.nat(23) }, { weight: 1, arbitrary: fc.constant(timePasses) }), 140),
};

/** All kinds of actions. */
const wide: fc.Arbitrary<Plan> = fc.record({
  ...common,
  processes: weighted<1 | 2>([4, 1], [1, 2]),
  actions: actions([8, send], [7, retry], [5, stop], [3, wait], [2, clash], [1, deletion], [1, save], [1, crash]),
  scripts: scripts(
    weighted<Ending>(
      [14, "stop"],
      [2, "linger"],
      [7, "tools"],
      [2, "length"],
      [1, "content_filter"],
      [2, "close"],
      [2, "cut"],
      [2, "error"],
      [1, "garbage"],
      [2, "stall"],
      [1, "refuse"],
      [1, "busy"],
      [1, "unreachable"],
    ),
  ),
  faults: fc.oneof(
    fc.constant<StoreFault[]>([]),
    many(weighted<StoreFault>([24, "none"], [1, "refuse"], [1, "throw"], [1, "lose"], [1, "late"], [1, "later"], [1, "never"]), 40),
  ),
});

/** One prompt, sent repeatedly while answers break and writes are slow. This is the hardest case for replacing answers. */
const narrow: fc.Arbitrary<Plan> = fc
  .record({
    ...common,
    processes: weighted<1 | 2>([1, 1], [1, 2]),
    actions: actions([6, retry], [3, retryEverywhere], [2, stop], [3, wait], [1, save], [1, crash]),
    scripts: scripts(weighted<Ending>([4, "cut"], [2, "close"], [2, "length"], [5, "stop"], [3, "tools"])),
    faults: many(weighted<StoreFault>([16, "none"], [1, "lose"], [2, "late"], [2, "later"], [1, "never"]), 40),
  })
  .map((plan) => ({ ...plan, actions: [{ after: 0, at: 0, action: { do: "send", thread: 0, reading: "all" } }, ...plan.actions] }));

/** Random plans. */
export const plans: fc.Arbitrary<Plan> = fc.oneof({ weight: 2, arbitrary: wide }, { weight: 1, arbitrary: narrow });
