/** Coordinators that mix up ids, cache, fail when calls meet, or hint at what is not there. */
import type { Coordinator, CoordinatorHint } from "../../src/lib/core/coordinator.ts";
import { keyOf, type ThreadKey } from "../../src/lib/core/store.ts";
import { broken, roundTrip, type BrokenCoordinator } from "./broken-coordinators.ts";

type Methods = Omit<Coordinator, "settings" | "subscribe">;

/** Changes the ids of every call, and returns those that it was called with. */
function withIds(good: Coordinator, change: (ids: ThreadKey & { responseId?: string }) => object): Methods {
  const to = <Key extends ThreadKey>(key: Key): Key => ({ ...key, ...change(key) });
  return {
    async enter(turn, ...rest) {
      const entrance = await good.enter(to(turn), ...rest);
      return entrance.kind === "entered" ? { ...entrance, ticket: { ...entrance.ticket, ...turn } } : entrance;
    },
    renew: (ticket) => good.renew(to(ticket)),
    check: (ticket) => good.check(to(ticket)),
    start: (ticket) => good.start(to(ticket)),
    append: (ticket, ...rest) => good.append(to(ticket), ...rest),
    close: (ticket, ...rest) => good.close(to(ticket), ...rest),
    end: (ticket, ...rest) => good.end(to(ticket), ...rest),
    read: (turn, ...rest) => good.read(to(turn), ...rest),
    unfollow: (ticket, ...rest) => good.unfollow(to(ticket), ...rest),
    stop: (turn) => good.stop(to(turn)),
    find: (key) => good.find(to(key)),
  };
}

/** Changes the response id of every call. */
const withResponses = (good: Coordinator, change: (id: string) => string): Methods =>
  withIds(good, ({ responseId }) => (responseId === undefined ? {} : { responseId: change(responseId) }));

const threads = "odd thread ids are kept apart";
const owners = "odd owners are kept apart";
const responses = "odd response ids are different turns";

export const brokenKeys: BrokenCoordinator[] = [
  broken("compares owners without case", "keys", owners, (good) => withIds(good, ({ owner }) => ({ owner: owner.toLowerCase() }))),
  broken("compares threads without spaces at the end", "keys", threads, (good) =>
    withIds(good, ({ threadId }) => ({ threadId: threadId.trimEnd() })),
  ),
  broken("compares threads without accents", "keys", threads, (good) =>
    withIds(good, ({ threadId }) => ({ threadId: threadId.normalize("NFC") })),
  ),
  broken("ignores the owner", "keys", owners, (good) => withIds(good, () => ({ owner: "" }))),
  broken("cuts threads at 255 characters", "keys", threads, (good) =>
    withIds(good, ({ threadId }) => ({ threadId: threadId.slice(0, 255) })),
  ),
  broken(
    "joins owner and thread with a colon",
    "keys",
    "owners and thread ids that give the same text when joined are kept apart",
    (good) => withIds(good, ({ owner, threadId }) => ({ owner: "", threadId: `${owner}:${threadId}` })),
  ),
  broken("keeps responses in an object", "keys", responses, (good) => {
    const attempts: Record<string, string> = {};
    return {
      async enter(turn, ...rest) {
        if (turn.responseId in attempts && !Object.hasOwn(attempts, turn.responseId)) return { kind: "conflict" };
        attempts[turn.responseId] = turn.attempt;
        return good.enter(turn, ...rest);
      },
    };
  }),
  broken(
    "replaces what UTF-8 cannot hold",
    "keys",
    "owners and threads that a database may be unable to hold are kept apart or refused",
    (good) => withIds(good, ({ owner, threadId }) => ({ owner: owner.toWellFormed(), threadId: threadId.toWellFormed() })),
  ),
  broken("ends owners at NUL", "keys", "owners and threads that a database may be unable to hold are kept apart or refused", (good) =>
    withIds(good, ({ owner }) => ({ owner: owner.split("\0")[0] })),
  ),
  broken("compares responses without case", "keys", responses, (good) => withResponses(good, (id) => id.toLowerCase())),
  broken("reads responses as numbers", "keys", responses, (good) =>
    withResponses(good, (id) => (/^\d+$/.test(id) ? String(Number(id)) : id)),
  ),
  broken("cuts responses at 511 characters", "keys", "long response ids that differ late are different turns", (good) =>
    withResponses(good, (id) => id.slice(0, 511)),
  ),
  broken(
    "replaces half a surrogate pair in a response",
    "keys",
    "response ids that a database may be unable to hold are different turns or refused",
    (good) => withResponses(good, (id) => id.toWellFormed()),
  ),
  broken("finds the response that it compares", "keys", responses, (good) => ({
    find: async (key) => (await good.find(key))?.normalize("NFKC"),
  })),
  broken("refuses ids of 512 bytes", "keys", "owners, threads and response ids of the greatest length fit together", (good) => ({
    async enter(turn, ...rest) {
      if (turn.owner.length + turn.threadId.length + turn.responseId.length > 1024) throw new Error("Index row size exceeds the maximum");
      return good.enter(turn, ...rest);
    },
  })),
];

const seesChanges = "an instance that has looked sees each change of the other";

/** Remembers what a method returned, until this instance itself changes something. */
function caching(good: Coordinator, method: "find" | "check" | "read"): Partial<Coordinator> {
  const cache = new Map<string, unknown>();
  const changing = (["enter", "renew", "start", "append", "close", "end", "stop"] as const).map((name) => [
    name,
    (...args: never[]) => (cache.clear(), Reflect.apply(good[name], good, args)),
  ]);
  const cached = async (...args: unknown[]) => {
    const name = JSON.stringify(args);
    if (!cache.has(name)) cache.set(name, await Reflect.apply(good[method], good, args));
    return cache.get(name);
  };
  return { ...Object.fromEntries(changing), [method]: cached } as Partial<Coordinator>;
}

export const brokenInstances: BrokenCoordinator[] = [
  broken("caches what it has found", "instances", seesChanges, (good) => caching(good, "find")),
  broken("caches how a ticket stands", "instances", seesChanges, (good) => caching(good, "check")),
  broken("caches what it has read", "instances", seesChanges, (good) => caching(good, "read")),
  broken("registers a reader after it has read", "instances", "what an append resolves to says how the ticket stands", (good) => ({
    async read(turn, attempt, position, follower) {
      const slice = await good.read(turn, attempt, position, follower);
      if (slice && follower) await good.unfollow({ ...turn, attempt: slice.attempt }, follower);
      void roundTrip().then(() => good.read(turn, attempt, position, follower));
      return slice;
    },
  })),
  ...(["enter", "append", "end", "stop", "renew"] as const).map((method) =>
    broken(`fails when a call of ${method} meets another`, "atomic", "no call fails because it meets others", (good) => {
      let isBusy = false;
      const call = async (...args: never[]) => {
        if (isBusy) throw new Error("could not serialize access due to concurrent update");
        isBusy = true;
        await roundTrip();
        isBusy = false;
        return Reflect.apply(good[method], good, args);
      };
      return { [method]: call };
    }),
  ),
];

const finds = "a hint of a log says what a read finds";
const alone = "hints reach the listeners of that thread and type alone, until they end";

/** Subscribes to a thread of the right coordinator, and changes what the listener receives. */
const hinting = (
  good: Coordinator,
  change: (hint: CoordinatorHint, listener: (hint: CoordinatorHint) => void) => void,
): Partial<Coordinator> => ({
  subscribe: (thread, type, listener) => good.subscribe!(thread, type, (hint) => change(hint, listener)),
});

export const brokenHints: BrokenCoordinator[] = [
  broken("hints at a piece before it is in the log", "hints", finds, (good, data) => ({
    async append(ticket, position, text) {
      for (const { thread, type, listener } of data.subscriptions)
        if (type === "log" && thread === keyOf(ticket)) listener({ type, attempt: ticket.attempt, position, data: text, isEnded: false });
      await roundTrip();
      await roundTrip();
      return good.append(ticket, position, text);
    },
  })),
  broken("hints at the piece that was sent, at the length that is", "hints", finds, (good) =>
    hinting(good, (hint, listener) => listener(hint.type === "log" ? { ...hint, position: hint.position + hint.data.length } : hint)),
  ),
  broken("hints at no end", "hints", finds, (good) =>
    hinting(good, (hint, listener) => listener(hint.type === "log" ? { ...hint, isEnded: false } : hint)),
  ),
  broken("declares hints, and has none", "members", "the coordinator has what it declares", () => ({ subscribe: undefined }) as object),
  broken("never hints", "hints", "changes of a thread are hinted at", () => ({ subscribe: () => () => {} })),
  broken("does not end a subscription", "hints", alone, (good) => ({
    subscribe(...args) {
      good.subscribe!(...args);
      return () => {};
    },
  })),
  broken("ends all subscriptions with one", "hints", alone, (good, data) => ({
    subscribe(...args) {
      good.subscribe!(...args);
      return () => data.subscriptions.clear();
    },
  })),
  broken("hints to the listeners of all threads", "hints", alone, (good, data) => ({
    subscribe(thread, type, listener) {
      const ends = ["thread", "another"].flatMap((threadId) =>
        ["", "somebody"].map((owner) => good.subscribe!({ owner, threadId }, type, listener)),
      );
      return () => {
        for (const end of ends) end();
        data.subscriptions.forEach((one) => one.listener === listener && data.subscriptions.delete(one));
      };
    },
  })),
  broken("hints at logs to the listeners of the queue", "hints", alone, (good) => ({
    subscribe(thread, type, listener) {
      const ends = (["thread", "log"] as const).map((each) => good.subscribe!(thread, each, listener));
      return () => ends.forEach((end) => end());
    },
  })),
];
