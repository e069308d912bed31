/** What a schedule is made of: what clients do, how the model and the store behave, and in which order everything happens. */
import fc from "fast-check";
import type { ThreadKey } from "../../src/index.ts";

/** Threads that a careless key would fold together. The first ones meet most of what happens. */
export const threads: readonly ThreadKey[] = [
  { owner: "ada", threadId: "t" },
  { owner: "bob", threadId: "t" },
  { owner: "ada", threadId: "t:1" },
  { owner: "ada:t", threadId: "1" },
  { owner: "", threadId: "__proto__" },
];

/** How a client takes its answer: reads it as it comes, does not read it, or has left before the handler begins. */
export type Reading = "all" | "none" | "gone";

/** One thing that a client, a person or the machine does. `of` counts back among the requests so far; 0 is the newest. */
export type Action =
  /** A new prompt with new ids. */
  | { do: "send"; thread: number; reading: Reading }
  /** The same ids as an earlier request. */
  | { do: "again"; of: number; reading: Reading }
  /** The same ids as an earlier request, to every process at once. */
  | { do: "everywhere"; of: number }
  /** An earlier request with one thing about it changed: ids that are used for something else. */
  | { do: "clash"; of: number; other: "prompt" | "content" | "response" }
  /** The request is aborted, its body cancelled, or both, as servers do. */
  | { do: "stop"; of: number; how: "abort" | "cancel" | "both" }
  /** The thread is deleted by another route. */
  | { do: "delete"; thread: number }
  /** The form state of a complete answer is saved by another route, as C1 does. */
  | { do: "save"; of: number }
  /** Nobody does anything for a while. */
  | { do: "wait"; timers: number }
  /** A process dies, and a new one takes its place. */
  | { do: "crash" };

/** How a model call ends. */
export type Ending =
  | "stop"
  /** The finish reason comes, and the connection stays open. */
  | "linger"
  | "tools"
  | "length"
  | "content_filter"
  /** No finish reason comes. */
  | "close"
  | "cut"
  | "error"
  | "garbage"
  | "stall"
  /** Before the first byte: status 500, status 429, no connection. */
  | "refuse"
  | "busy"
  | "unreachable";

/** What a model says in one call. */
export interface Script {
  /** Pieces of text. */
  pieces: number;
  /** Whether its pieces are long enough to fill what a turn may hold ahead of its readers. */
  isLong: boolean;
  /** By how many bytes each network read falls short of the end of an event. */
  lag: number;
  ending: Ending;
  /** How the tools go that it calls. */
  tools: ("ok" | "throw" | "hang")[];
}

/** How a store call goes: as it should, refused, done but rejected, done some time after its caller has given up or as late as can be, or never. */
export type StoreFault = "none" | "refuse" | "throw" | "lose" | "late" | "later" | "never";

/** A schedule. Whatever a list does not say, happens in the plainest way. */
export interface Plan {
  /** How the handler calls the model: the `openai` client, one with `asResponse`, one that gives an iterable. */
  client: "openai" | "response" | "iterable";
  flushInterval: 0 | 30;
  concurrency: "queue" | "reject";
  /** `history.maxMessages`. */
  last: number;
  /** How many processes serve at the same time. They share the store and nothing else. */
  processes: 1 | 2;
  /** One after the other, each after so many steps of the rest, or when nothing else can happen. */
  actions: { after: number; at: number; action: Action }[];
  /** One for each model call. */
  scripts: Script[];
  /** One for each store call. */
  faults: StoreFault[];
  /** Which of the possible steps comes next, each time; `timePasses` lets the next timer fire. */
  order: number[];
}

/** In {@link Plan.order}: time passes until the next timer fires. */
export const timePasses = -1;

/** The plainest model call. */
export const plainScript: Script = { pieces: 2, isLong: false, lag: 0, ending: "stop", tools: [] };

const weighted = <T>(...choices: [weight: number, value: T][]) =>
  fc.oneof(...choices.map(([weight, value]) => ({ weight, arbitrary: fc.constant(value) })));

const thread = weighted([10, 0], [4, 1], [1, 2], [1, 3], [1, 4]);
const of = weighted([6, 0], [3, 1], [2, 2], [1, 3], [1, 4]);
const reading = weighted<Reading>([12, "all"], [2, "none"], [1, "gone"]);

const send = fc.record({ do: fc.constant("send" as const), thread, reading });
const again = fc.record({ do: fc.constant("again" as const), of, reading });
const everywhere = fc.record({ do: fc.constant("everywhere" as const), of });
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

/** A bit of everything. */
const wide: fc.Arbitrary<Plan> = fc.record({
  ...common,
  processes: weighted<1 | 2>([4, 1], [1, 2]),
  actions: actions([8, send], [7, again], [5, stop], [3, wait], [2, clash], [1, deletion], [1, save], [1, crash]),
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

/** One prompt, asked again and again while answers break and writes are slow: what replaces an answer is at its most dangerous here. */
const narrow: fc.Arbitrary<Plan> = fc
  .record({
    ...common,
    processes: weighted<1 | 2>([1, 1], [1, 2]),
    actions: actions([6, again], [3, everywhere], [2, stop], [3, wait], [1, save], [1, crash]),
    scripts: scripts(weighted<Ending>([4, "cut"], [2, "close"], [2, "length"], [5, "stop"], [3, "tools"])),
    faults: many(weighted<StoreFault>([16, "none"], [1, "lose"], [2, "late"], [2, "later"], [1, "never"]), 40),
  })
  .map((plan) => ({ ...plan, actions: [{ after: 0, at: 0, action: { do: "send", thread: 0, reading: "all" } }, ...plan.actions] }));

/** Schedules at random. */
export const plans: fc.Arbitrary<Plan> = fc.oneof({ weight: 2, arbitrary: wide }, { weight: 1, arbitrary: narrow });
