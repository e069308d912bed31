/** What the kit for coordinators must be given, and how it reports. */
import { describe, expect, test, vi } from "vitest";
import type { Coordinator } from "../../src/lib/core/coordinator.ts";
import { coordinatorCases, InvariantError, testCoordinator, type CoordinatorSubject, type TestFunction } from "../../src/testkit.ts";
import { openOn, settableClock, type Opened } from "./coordinator-subject.ts";
import { createSimpleCoordinator, forgetAll } from "./simple-coordinator.ts";

const subject: CoordinatorSubject<Opened> = {
  create: (times) => openOn(settableClock(), createSimpleCoordinator)(times),
  peer: ({ withTimes }, times) => withTimes(times),
  hints: true,
  advance: (ms, { clock }) => clock.advance(ms),
};

const named = (name: string, of: CoordinatorSubject<Opened> = subject, timeout = 30_000) => {
  const found = coordinatorCases(of, { timeout }).find((one) => one.name === name);
  if (!found) throw new Error(`No case is named "${name}"`);
  return found;
};

/** A subject whose coordinators are changed. */
function changed(change: (good: Coordinator) => Partial<Coordinator>): CoordinatorSubject<Opened> {
  const create: typeof createSimpleCoordinator = (data, options) => {
    const good = createSimpleCoordinator(data, options);
    return { ...good, ...change(good) };
  };
  return { ...subject, create: (times) => openOn(settableClock(), create)(times) };
}

async function failureOf(name: string, of: CoordinatorSubject<Opened>, timeout?: number): Promise<InvariantError> {
  const error: unknown = await named(name, of, timeout)
    .run()
    .catch((error: unknown) => error);
  if (!(error instanceof InvariantError)) throw new Error("The case did not fail as it should", { cause: error });
  return error;
}

describe("cases", () => {
  const cases = coordinatorCases(subject);

  test("have a name of their own and the sentence they prove", () => {
    expect(new Set(cases.map(({ name }) => name)).size).toBe(cases.length);
    for (const { invariant } of cases) expect(invariant).toMatch(/^[A-Z`].+\.$/);
  });

  test("are skipped, and say why, where the subject lacks what they need", () => {
    const reasons = (of: Partial<CoordinatorSubject<Opened>>) =>
      new Set(coordinatorCases({ ...subject, ...of }).flatMap(({ skip }) => skip ?? []));
    expect(reasons({})).toEqual(new Set(["`forget` is not given"]));
    expect(reasons({ forget: ({ data }) => forgetAll(data) })).toEqual(new Set());
    expect(reasons({ hints: false })).toContain("the coordinator has no hints");
    expect(reasons({ usesProcessClock: true })).toContain("the database uses the clock of this process");
  });

  test("are registered with a runner, with a time limit above that of the case", () => {
    const runner = Object.assign(vi.fn<TestFunction>(), { skip: vi.fn<TestFunction["skip"]>() });
    testCoordinator("mine", subject, { test: runner, timeout: 1_000 });
    expect(runner.mock.calls.length + runner.skip.mock.calls.length).toBe(cases.length);
    expect(runner).toHaveBeenCalledWith("mine: a turn without a log may end", expect.any(Function), 11_000);
    const skipped = "mine: looking at a forgotten ticket does not lose it (skipped: `forget` is not given)";
    expect(runner.skip).toHaveBeenCalledWith(skipped, expect.any(Function));
  });

  test("close every coordinator, the newest first", async () => {
    const events: string[] = [];
    const names = new Map<Opened, string>();
    const open = (opened: Opened, name: string) => {
      names.set(opened, name);
      events.push(`open ${name}`);
      return opened;
    };
    await named("a waiting ticket that expires does not delay those behind it", {
      ...subject,
      create: async (times) => open(await subject.create(times), "first"),
      peer: async (first, times) => open(await subject.peer(first, times), `peer ${names.size}`),
      destroy: (opened) => void events.push(`close ${names.get(opened)}`),
    }).run();
    expect(events).toEqual(["open first", "open peer 1", "open peer 2", "close peer 2", "close peer 1", "close first"]);
  });
});

describe("a failure", () => {
  test("names the invariant, what was found, and the latest calls", async () => {
    const { message } = await failureOf(
      "a turn that has ended is not joined",
      changed((good) => ({ end: async (ticket) => (await good.renew(ticket)).state !== "lost" })),
    );
    expect(message).toContain("INVARIANT: A turn joins if an attempt with its response id waits or runs");
    expect(message).toContain('\n\nWhat the entry of "a" resolved to:\n  expected "entered", got "conflict"\n\nThe latest calls:\n');
    expect(message).toMatch(
      /\n {2}2\. one\.end\(<response "a", attempt "attempt-\d+", place "\d+">, 0, "end"\) → true\n {2}3\. other\.enter\(<response "a", prompt "another", attempt "attempt-\d+">, .+\) → \{ kind: "conflict" \}$/,
    );
  });

  test("names a call that rejects, and one that never settles", async () => {
    const cause = new Error("connection refused");
    const rejected = await failureOf(
      "a turn without a log may end",
      changed(() => ({ end: () => Promise.reject(cause) })),
    );
    expect(rejected.message).toMatch(/one\.end\(.+\) rejected, which it must not: Error: connection refused/);
    expect(rejected.cause).toBe(cause);
    const pending = changed(() => ({ end: () => new Promise(() => {}) }));
    const late = await failureOf("a turn without a log may end", pending, 100);
    expect(late.message).toMatch(/The case was not done after 100 ms\. Still running:\n {2}one\.end\(/);
  });

  test("names a method that is missing, and a result of another kind", async () => {
    const missing = changed(() => ({ find: undefined }) as object);
    expect((await failureOf("the coordinator has what it declares", missing)).message).toContain("The coordinator has no find");
    expect((await failureOf("the turn that runs is found, or the first that waits", missing)).message).toContain(
      "The coordinator has no find",
    );
    const other = changed(() => ({ check: async () => undefined }) as object);
    const { message } = await failureOf("whoever joins is a follower at once", other);
    expect(message).toContain("one.check must resolve to a TicketStatus, not undefined");
  });

  test("says that hints must be declared, and settings be there", async () => {
    const undeclared = { ...subject, hints: false };
    const { message } = await failureOf("the coordinator has what it declares", undeclared);
    expect(message).toContain("Declare `hints: true` for a coordinator with `subscribe`");
    const unset = changed(({ settings }) => ({ settings: { ...settings, flushMs: undefined as never } }));
    expect((await failureOf("the coordinator has what it declares", unset)).message).toContain("settings.flushMs must be a number");
  });
});

test.each<[what: string, args: unknown[], message: string]>([
  ["nothing at all", [], 'the name comes first: testCoordinator("my coordinator", {'],
  ["no subject", ["mine", undefined, { test }], "there is no create(): pass {"],
  ["a coordinator for a subject", ["mine", createSimpleCoordinator, { test }], "there is no create(): pass {"],
  ["no peer", ["mine", { create() {}, hints: true }, { test }], "there is no peer(): pass {"],
  ["no test function", ["mine", subject], "as in testCoordinator(name, subject, { test })"],
])("misuse says what to do: %s", (_, args, message) => {
  expect(() => (testCoordinator as (...args: unknown[]) => void)(...args)).toThrow(message);
});

test("a subject that opens something else fails with the name of its function", async () => {
  const wrong = { ...subject, create: () => undefined as never };
  await expect(named("a turn without a log may end", wrong).run()).rejects.toThrow(
    "create and peer must return a coordinator, not undefined",
  );
});
