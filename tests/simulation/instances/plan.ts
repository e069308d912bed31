/** The plan of a schedule of several instances that share a coordinator. */
import fc from "fast-check";
import type { ThreadKey } from "../../../src/index.ts";
import type { Ending, Script } from "../plan.ts";
import { timePasses } from "../plan.ts";

/** The threads. The first one is used most. */
export const threads: readonly ThreadKey[] = [
  { owner: "ada", threadId: "t" },
  { owner: "ada", threadId: "u" },
];

/** How the coordinator is reached. `cut`: calls fail. `silent`: they never settle. `lossy`: they take effect, and their answers are lost. */
export type Line = "whole" | "cut" | "silent" | "lossy";

/** How one call of the coordinator ends. `slow`: its effect and its answer are two steps. `late`: it takes effect after its caller gave up. */
export type CallFault = "none" | "slow" | "refuse" | "lose" | "never" | "silent" | "late";

/** How one call of the store ends. */
export type StoreFault = "none" | "slow" | "refuse" | "lose";

/** What happens to a hint. */
export type HintFate = "now" | "lost" | "twice" | "late";

/** Where a client continues. `named`: from the beginning of its answer. `any`: whatever runs on the thread. */
export type Cursor = "own" | "named" | "any";

/**
 * What the coordinator loses of each thread. `log`: the logs that have no end yet. `tail`: the newest appends to them. `tickets`: everything but the
 * logs. `recent`: its newest changes, as after a failover to a replica that lagged.
 */
export type Loss = "tail" | "log" | "tickets" | "recent";

/** One action. `of` counts back from the newest request, which is 0. `at` is the instance. */
export type Action =
  | { do: "send"; thread: number; isReading: boolean }
  | { do: "again"; of: number; isReading: boolean }
  | { do: "leave"; of: number; how: "abort" | "cancel" }
  | { do: "resume"; of: number; cursor: Cursor }
  /** Leaves, and comes back on another instance. */
  | { do: "reload"; of: number; cursor: Cursor }
  /** Without `isNamed`, of whatever runs on the thread, pressed twice. */
  | { do: "stop"; of: number; isNamed: boolean }
  | { do: "delete"; thread: number }
  | { do: "wait"; timers: number }
  | { do: "crash" }
  /** For so many milliseconds. With `clockStops`, its monotonic clock stands still. */
  | { do: "freeze"; ms: number; clockStops: boolean }
  | { do: "line"; line: Line }
  | { do: "jump"; clock: "database" | "wall"; ms: number }
  /** The coordinator loses everything. */
  | { do: "forget" }
  /** The coordinator loses a part, now or before the next end of a turn takes effect. `back` counts appends to each log, or changes. */
  | { do: "lose"; what: Loss; back: number; isAtEnd: boolean }
  /** No hint reaches an instance for so many milliseconds. */
  | { do: "mute"; ms: number };

/** A plan. Beyond the end of a list, the simplest behavior is used. */
export interface InstancesPlan {
  instances: number;
  client: "response" | "iterable";
  flushInterval: 0 | 30;
  concurrency: "queue" | "reject" | "interrupt";
  disconnect: "stop" | "continue" | { graceMs: number };
  whenUnreachable: "local" | "refuse";
  whenUnrenewed: "finish" | "abort";
  hasHints: boolean;
  actions: { after: number; at: number; action: Action }[];
  scripts: Script[];
  calls: CallFault[];
  stores: StoreFault[];
  hints: HintFate[];
  order: number[];
}

const weighted = <T>(...choices: [weight: number, value: T][]) =>
  fc.oneof(...choices.map(([weight, value]) => ({ weight, arbitrary: fc.constant(value) })));
const many = <T>(arbitrary: fc.Arbitrary<T>, maxLength: number) => fc.array(arbitrary, { maxLength, size: "max" });

const thread = weighted([5, 0], [1, 1]);
const of = weighted([6, 0], [3, 1], [2, 2], [1, 3], [1, 4]);
const cursor = weighted<Cursor>([2, "own"], [2, "named"], [1, "any"]);
const isReading = weighted([8, true], [1, false]);

const send = fc.record({ do: fc.constant("send" as const), thread, isReading });
const again = fc.record({ do: fc.constant("again" as const), of, isReading });
const leave = fc.record({ do: fc.constant("leave" as const), of, how: weighted<"abort" | "cancel">([1, "abort"], [1, "cancel"]) });
const resume = fc.record({ do: fc.constant("resume" as const), of, cursor });
const reload = fc.record({ do: fc.constant("reload" as const), of, cursor });
const stop = fc.record({ do: fc.constant("stop" as const), of, isNamed: weighted([3, true], [1, false]) });
const remove = fc.record({ do: fc.constant("delete" as const), thread });
const wait = fc.record({ do: fc.constant("wait" as const), timers: weighted([2, 1], [2, 3], [1, 8]) });
const crash = fc.record({ do: fc.constant("crash" as const) });
const freeze = fc.record({
  do: fc.constant("freeze" as const),
  ms: weighted([1, 1000], [3, 4000], [1, 9000]),
  clockStops: weighted([3, false], [1, true]),
});
const line = fc.record({ do: fc.constant("line" as const), line: weighted<Line>([3, "whole"], [2, "cut"], [1, "silent"], [1, "lossy"]) });
const jump = fc.record({
  do: fc.constant("jump" as const),
  clock: weighted<"database" | "wall">([3, "database"], [1, "wall"]),
  ms: weighted([2, 4000], [1, 1500], [2, -4000]),
});
const forget = fc.record({ do: fc.constant("forget" as const) });
const back = weighted([3, 1], [2, 2], [1, 5]);
const isAtEnd = weighted([3, false], [1, true]);
const lose = fc.record({
  do: fc.constant("lose" as const),
  what: weighted<Loss>([2, "tail"], [2, "log"], [1, "tickets"], [2, "recent"]),
  back,
  isAtEnd,
});
/** Running turns write their logs again, so nobody notices. */
const loseText = fc.record({ do: fc.constant("lose" as const), what: weighted<Loss>([2, "tail"], [1, "log"]), back, isAtEnd });
const mute = fc.record({ do: fc.constant("mute" as const), ms: weighted([1, 1000], [1, 4000]) });

type Weighted = [weight: number, action: fc.Arbitrary<Action>];
const clients: Weighted[] = [
  [9, send],
  [6, again],
  [4, leave],
  [4, resume],
  [3, reload],
  [4, stop],
  [2, remove],
];

const actions = (...choices: Weighted[]) =>
  many(
    fc.record({
      after: weighted([4, 0], [2, 3], [2, 8], [2, 16], [1, 30]),
      at: fc.nat(2),
      action: fc.oneof(...choices.map(([weight, arbitrary]) => ({ weight, arbitrary }))),
    }),
    11,
  );

const common = {
  instances: weighted([3, 2], [2, 3]),
  client: weighted<InstancesPlan["client"]>([3, "response"], [2, "iterable"]),
  flushInterval: weighted<0 | 30>([2, 0], [1, 30]),
  concurrency: weighted<InstancesPlan["concurrency"]>([5, "queue"], [3, "interrupt"], [1, "reject"]),
  disconnect: weighted<InstancesPlan["disconnect"]>([3, "stop"], [2, { graceMs: 1500 }], [2, "continue"]),
  whenUnreachable: weighted<InstancesPlan["whenUnreachable"]>([3, "local"], [1, "refuse"]),
  whenUnrenewed: weighted<InstancesPlan["whenUnrenewed"]>([3, "finish"], [1, "abort"]),
  hasHints: weighted([2, true], [1, false]),
  scripts: many(
    fc.record({
      pieces: weighted([4, 2], [3, 1], [3, 4], [1, 0]),
      isLong: weighted([30, false], [1, true]),
      lag: weighted([3, 0], [1, 1], [1, 5]),
      ending: weighted<Ending>(
        [12, "stop"],
        [2, "tools"],
        [2, "cut"],
        [1, "close"],
        [3, "stall"],
        [1, "length"],
        [1, "linger"],
        [1, "error"],
      ),
      tools: fc.constant<Script["tools"]>([]),
    }),
    8,
  ),
  hints: many(weighted<HintFate>([8, "now"], [2, "lost"], [1, "twice"], [2, "late"]), 60),
  order: many(fc.oneof({ weight: 25, arbitrary: fc.nat(23) }, { weight: 1, arbitrary: fc.constant(timePasses) }), 160),
};

/** Nothing fails: only order and time differ. */
const healthy: fc.Arbitrary<InstancesPlan> = fc.record({
  ...common,
  actions: actions(...clients, [1, wait]),
  calls: many(weighted<CallFault>([3, "none"], [1, "slow"]), 80),
  stores: many(weighted<StoreFault>([3, "none"], [1, "slow"]), 40),
});

/** Instances, lines, clocks and the coordinator fail. */
const faulty: fc.Arbitrary<InstancesPlan> = fc.record({
  ...common,
  actions: actions(...clients, [4, wait], [3, crash], [4, freeze], [4, line], [2, jump], [1, forget], [2, lose], [1, mute]),
  calls: fc.oneof(
    many(weighted<CallFault>([3, "none"], [1, "slow"]), 60),
    many(weighted<CallFault>([30, "none"], [10, "slow"], [1, "refuse"], [1, "lose"], [1, "never"], [1, "silent"], [1, "late"]), 80),
  ),
  stores: many(weighted<StoreFault>([14, "none"], [4, "slow"], [1, "refuse"], [1, "lose"]), 40),
});

/** Crashes only: the rest goes on as if nothing had happened, within the lease. */
const crashing: fc.Arbitrary<InstancesPlan> = fc.record({
  ...common,
  actions: actions(...clients, [4, crash]),
  calls: many(weighted<CallFault>([3, "none"], [1, "slow"]), 80),
  stores: many(weighted<StoreFault>([3, "none"], [1, "slow"]), 40),
});

const stalling = many(
  fc.record({
    pieces: weighted([1, 1], [2, 3], [1, 0]),
    isLong: fc.constant(false),
    lag: fc.constant(0),
    ending: weighted<Ending>([3, "stall"], [2, "stop"], [1, "cut"]),
    tools: fc.constant<Script["tools"]>([]),
  }),
  4,
);
const timely = many(fc.oneof({ weight: 20, arbitrary: fc.nat(23) }, { weight: 1, arbitrary: fc.constant(timePasses) }), 160);

/** Nothing fails. Readers come and go while an answer stalls. */
const leaving: fc.Arbitrary<InstancesPlan> = fc.record({
  ...common,
  actions: actions([2, send], [5, again], [6, leave], [2, resume], [2, reload], [1, stop]),
  scripts: stalling,
  calls: many(weighted<CallFault>([1, "none"], [1, "slow"]), 80),
  stores: fc.constant<StoreFault[]>([]),
  order: timely,
});

/** Three turns of one thread, and an instance that freezes past its lease: the first one's, or that of one that waits. */
const overtaking: fc.Arbitrary<InstancesPlan> = fc
  .record({
    plan: fc.record({
      ...common,
      concurrency: fc.constant("queue" as const),
      disconnect: weighted<InstancesPlan["disconnect"]>([3, "continue"], [1, "stop"]),
      actions: actions([4, send], [3, again], [2, resume], [1, leave], [1, stop], [2, freeze], [1, crash], [2, wait]),
      scripts: stalling,
      calls: many(weighted<CallFault>([20, "none"], [5, "slow"], [1, "late"]), 40),
      stores: fc.constant<StoreFault[]>([]),
      order: timely,
    }),
    frozen: weighted([1, 0], [1, 1]),
    freeze,
  })
  .map(({ plan, frozen, freeze }) => {
    const enter = (at: number) => ({ after: 6, at, action: { do: "send", thread: 0, isReading: true } as const });
    return { ...plan, actions: [enter(0), enter(1), enter(0), { after: 4, at: frozen, action: freeze }, ...plan.actions] };
  });

/** One long answer with many followers, over a coordinator that may lose its text. */
const following: fc.Arbitrary<InstancesPlan> = fc
  .record({
    ...common,
    actions: actions([4, again], [1, leave], [3, resume], [2, reload], [1, stop], [2, wait], [1, forget], [5, loseText]),
    scripts: many(
      fc.record({
        pieces: weighted([1, 4], [3, 9]),
        isLong: fc.constant(false),
        lag: fc.constant(0),
        ending: weighted<Ending>([4, "stop"], [1, "stall"]),
        tools: fc.constant<Script["tools"]>([]),
      }),
      3,
    ),
    calls: many(weighted<CallFault>([1, "none"], [1, "slow"]), 160),
    stores: fc.constant<StoreFault[]>([]),
    order: many(fc.oneof({ weight: 5, arbitrary: fc.nat(23) }, { weight: 1, arbitrary: fc.constant(timePasses) }), 200),
  })
  .map((plan) => ({
    ...plan,
    actions: [
      { after: 0, at: 0, action: { do: "send", thread: 0, isReading: true } },
      { after: 4, at: 1, action: { do: "again", of: 0, isReading: true } },
      ...plan.actions,
    ],
  }));

/** Random plans. */
export const instancesPlans: fc.Arbitrary<InstancesPlan> = fc.oneof(
  { weight: 4, arbitrary: healthy },
  { weight: 4, arbitrary: faulty },
  { weight: 1, arbitrary: crashing },
  { weight: 2, arbitrary: following },
  { weight: 2, arbitrary: leaving },
  { weight: 2, arbitrary: overtaking },
);
