/** What a hostile tenant does, beside the plan of the honest ones. */
import fc from "fast-check";
import type { Script, StoreFault } from "../plan.ts";

/** How the client of a request reads its answer. */
export type HostileReading = "all" | "none" | "gone";

/** One action. `of` counts back from the newest request, which is 0. */
export type HostileAction =
  /** New prompts, on one thread or on one thread each. */
  | { do: "flood"; thread: number | "each"; count: number; isLong: boolean; reading: HostileReading }
  /** The ids of an earlier request, many times: joins, and replays. */
  | { do: "repeat"; of: number; count: number; reading: HostileReading }
  /** Disconnects the newest requests. */
  | { do: "leave"; count: number; how: "abort" | "cancel" }
  /** A thread route, with an id that an honest owner has, too. */
  | { do: "route"; route: "list" | "load" | "create" | "rename" | "remove" | "form"; thread: number; count: number };

/** The plan of a hostile tenant. Beyond the end of a list, the simplest behavior is used. */
export interface HostilePlan {
  /** A name that a careless key confuses with an honest owner. */
  owner: string;
  actions: HostileAction[];
  scripts: Script[];
  faults: StoreFault[];
  /** How many steps it makes before each step of the honest tenants. */
  pace: number[];
  /** Which of its possible steps is next. */
  order: number[];
}

/** The owners that a hostile tenant may have. */
export const hostileOwners = ["eve", "ADA", "ada ", "bob:t", "*", "%"] as const;

/** A tenant that does nothing. */
export const idle: HostilePlan = { owner: "eve", actions: [], scripts: [], faults: [], pace: [], order: [] };

const weighted = <T>(...choices: [weight: number, value: T][]) =>
  fc.oneof(...choices.map(([weight, value]) => ({ weight, arbitrary: fc.constant(value) })));

const thread = weighted([6, 0], [3, 1], [1, 2], [1, 3], [1, 4]);
const reading = weighted<HostileReading>([4, "none"], [2, "all"], [2, "gone"]);
const count = weighted([3, 1], [3, 4], [2, 20]);
const of = fc.nat(9);

const flood = fc.record({
  do: fc.constant("flood" as const),
  thread: fc.oneof({ weight: 2, arbitrary: thread }, { weight: 1, arbitrary: fc.constant("each" as const) }),
  count,
  isLong: weighted([2, false], [1, true]),
  reading,
});
const repeat = fc.record({ do: fc.constant("repeat" as const), of, count, reading });
const leave = fc.record({ do: fc.constant("leave" as const), count, how: weighted<"abort" | "cancel">([1, "abort"], [1, "cancel"]) });
const route = fc.record({
  do: fc.constant("route" as const),
  route: weighted<"list" | "load" | "create" | "rename" | "remove" | "form">(
    [1, "list"],
    [2, "load"],
    [1, "create"],
    [1, "rename"],
    [2, "remove"],
    [2, "form"],
  ),
  thread,
  count: weighted([3, 1], [1, 8]),
});

const many = <T>(arbitrary: fc.Arbitrary<T>, maxLength: number) => fc.array(arbitrary, { maxLength, size: "max" });

const script: fc.Arbitrary<Script> = fc.record({
  pieces: weighted([3, 2], [1, 1], [1, 0], [1, 5]),
  isLong: weighted([8, false], [1, true]),
  lag: fc.constant(0),
  ending: weighted<Script["ending"]>(
    [6, "stop"],
    [6, "stall"],
    [4, "tools"],
    [1, "linger"],
    [1, "length"],
    [1, "close"],
    [1, "cut"],
    [1, "error"],
    [1, "garbage"],
    [1, "refuse"],
    [1, "busy"],
    [1, "unreachable"],
  ),
  tools: fc.oneof(
    fc.constant<Script["tools"]>([]),
    fc.constant<Script["tools"]>(Array.from({ length: 40 }, () => "ok")),
    many(weighted<Script["tools"][number]>([2, "ok"], [1, "throw"], [3, "hang"]), 12),
  ),
});

/** Random plans of a hostile tenant. */
export const hostilePlans: fc.Arbitrary<HostilePlan> = fc.record({
  owner: fc.constantFrom(...hostileOwners),
  actions: fc.array(fc.oneof({ weight: 4, arbitrary: flood }, { weight: 2, arbitrary: repeat }, leave, { weight: 3, arbitrary: route }), {
    minLength: 1,
    maxLength: 10,
    size: "max",
  }),
  scripts: many(script, 12),
  faults: many(weighted<StoreFault>([12, "none"], [1, "refuse"], [1, "throw"], [1, "lose"], [3, "never"]), 30),
  pace: many(weighted([4, 0], [3, 1], [3, 4], [2, 20]), 80),
  order: many(fc.nat(40), 120),
});
