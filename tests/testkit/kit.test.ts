/** What the kit must be given, and how it reports. */
import { inspect } from "node:util";
import { describe, expect, test } from "vitest";
import { createMemoryStore, type MessageStore, type ThreadStore } from "../../src/index.ts";
import { messageStoreCases, InvariantError, testMessageStore, type KitCase } from "../../src/testkit.ts";

const cases = messageStoreCases({ threads: true, create: () => createMemoryStore() });

function named(name: string, from: readonly KitCase[] = cases): KitCase {
  const found = from.find((one) => one.name === name);
  if (!found) throw new Error(`No case is named "${name}"`);
  return found;
}

/** Runs the case and gives the error it must reject with. */
async function failureOf(found: KitCase): Promise<InvariantError> {
  const error: unknown = await found.run().catch((error: unknown) => error);
  if (!(error instanceof InvariantError)) throw new Error("The case did not fail as it should", { cause: error });
  return error;
}

/** A store with the messages tier alone. */
function messagesOnly(): MessageStore {
  const { listMessages, appendMessages, updateMessage, deleteMessages } = createMemoryStore();
  return { listMessages, appendMessages, updateMessage, deleteMessages };
}

describe("cases", () => {
  test("have a name of their own and the sentence they prove", () => {
    expect(new Set(cases.map(({ name }) => name)).size).toBe(cases.length);
    for (const { invariant } of cases) expect(invariant).toMatch(/^[A-Z`].+\.$/);
  });

  test("are skipped, and say why, where the store lacks what they need", () => {
    const skipped = cases.filter(({ skip }) => skip);
    expect(skipped.every(({ skip }) => /^`(peer|reopen)` is not given$/.test(skip!))).toBe(true);
    expect(skipped.map(({ name }) => name)).toContain("what was stored is there after reopening");

    const fewer = messageStoreCases({ threads: false, create: messagesOnly });
    expect(named("pages of any size give every thread once, in order", fewer).skip).toBe("the store has no threads");
    expect(named("messages come back as they were appended", fewer).skip).toBeUndefined();
    expect(fewer.map(({ name }) => name)).toEqual(cases.map(({ name }) => name));
  });

  test("run as often as one likes, and at once", async () => {
    await Promise.all([...cases, ...cases].filter(({ skip }) => !skip).map(({ run }) => run()));
  });
});

describe("tiers", () => {
  const tiers = (subject: object) => named("the store has the tiers it declares", messageStoreCases(subject as never));

  test("that are declared and there pass", async () => {
    await expect(tiers({ threads: true, create: createMemoryStore }).run()).resolves.toBeUndefined();
    await expect(tiers({ threads: false, create: messagesOnly }).run()).resolves.toBeUndefined();
    const { deleteOwner: _, ...begun } = createMemoryStore();
    await expect(tiers({ threads: false, create: () => begun }).run()).resolves.toBeUndefined();
  });

  test("that are not declared fail", async () => {
    const { message } = await failureOf(tiers({ create: createMemoryStore }));
    expect(message).toContain("Declare `threads: true`");
    expect((await failureOf(tiers({ create: messagesOnly }))).message).toContain("`threads: false`");
  });

  test("that are declared and not there fail", async () => {
    const { message } = await failureOf(tiers({ threads: true, create: messagesOnly }));
    expect(message).toContain("The store has no listThreads, getThread, createThread, renameThread, deleteThread, deleteOwner");
    expect((await failureOf(tiers({ threads: false, create: () => ({}) }))).message).toContain(
      "The store has no listMessages, appendMessages, updateMessage, deleteMessages",
    );
  });

  test("that are there and declared not to be fail", async () => {
    const { message } = await failureOf(tiers({ threads: false, create: createMemoryStore }));
    expect(message).toContain("Declare `threads: true` for a store that implements ThreadStore");
  });
});

describe("a failure", () => {
  const failing = (change: Partial<MessageStore>, name: string) =>
    failureOf(named(name, messageStoreCases({ threads: false, create: () => ({ ...messagesOnly(), ...change }) }, { timeout: 100 })));

  test("names the invariant, what was found, and the calls", async () => {
    const error = await failing({ deleteMessages: async () => {} }, "messages appended after a deletion come last");
    expect(error.name).toBe("InvariantError");
    expect(error.message).toBe(`INVARIANT: The order of messages is that of appending, by the store's own sequence and never by a clock.

The thread:
  expected 5 items, got 7; they part at [0], expected ["c", "d", "e", "g", "a"], got ["a", "b", "c", "d", "e", "f", … and 1 more]

The latest changes, and what was read after them:
${error.calls.map((call) => `  ${call}`).join("\n")}`);
    expect(error.invariant).toBe(error.message.slice("INVARIANT: ".length, error.message.indexOf("\n")));
    expect(error.calls).toHaveLength(6);
    expect(error.calls[1]).toBe('2. store.deleteMessages({ owner: "", threadId: "thread" }, ["a", "b"]) → undefined');
  });

  test("names the latest changes and what was read after them, and tells the other calls apart", async () => {
    const { deleteMessages, ...rest } = messagesOnly();
    const notAll: MessageStore["deleteMessages"] = async (thread, ids) => (ids.length === 8 ? undefined : deleteMessages(thread, ids));
    const { message, calls } = await failing({ ...rest, deleteMessages: notAll }, "deleting messages removes those and no others");
    const [, suspects, others] = message.split(/\n\n(?:The latest changes, and what was read after them|The other calls):\n/);
    expect(suspects!.split("\n").map((line) => line.trim())).toEqual(calls.slice(-2));
    expect(others!.split("\n").map((line) => line.trim())).toEqual(calls.slice(0, -2));
  });

  test("is printed once: its fields are in its message already", async () => {
    const printed = inspect(await failing({ deleteMessages: async () => {} }, "deleting messages removes those and no others"));
    for (const part of ["removes those ids, whole batches at once", "store.deleteMessages(", "expected 5 items, got 8"])
      expect(printed.split(part)).toHaveLength(2);
  });

  test("names the calls that were still running", async () => {
    const { message } = await failing({ deleteMessages: () => new Promise(() => {}) }, "deleting messages removes those and no others");
    expect(message).toMatch(/The case was not done after 100 ms\. Still running:\n {2}store\.deleteMessages\(.*\)\n/);
  });

  test("shows where two values part, at most five times", async () => {
    const error = await failing({ updateMessage: async () => true }, "an update changes the fields it names, in place");
    expect(error.message).toContain('\n  at [1].message.content: expected "new text", got "answer b"\n');

    const { listMessages, ...others } = messagesOnly();
    const emptied: MessageStore["listMessages"] = async (...query) =>
      (await listMessages(...query)).map((stored) => ({ ...stored, id: "" }));
    const { message } = await failing({ ...others, listMessages: emptied }, "messages come back as they were appended");
    expect(message).toContain('at [4].id: expected "9", got ""\n  and 2 more differences\n');
  });

  test("shortens large values and long logs", async () => {
    const { appendMessages, listMessages } = messagesOnly();
    const cut: Partial<MessageStore> = {
      appendMessages,
      listMessages: async (thread, options) =>
        (await listMessages(thread, options)).map((stored) => ({
          ...stored,
          message: { role: "user", content: typeof stored.message.content === "string" ? stored.message.content.slice(0, 70_000) : "" },
        })),
    };
    const { message } = await failing(cut, "a message of 1 MB is kept");
    expect(message).toMatch(/at \[1\]\.message\.content: expected 720000 characters, got 70000; they part at 70000/);
    expect(message.length).toBeLessThan(5_000);

    const { calls } = await failing({ deleteMessages: async () => {} }, "odd thread ids are kept apart");
    expect(calls).toHaveLength(31);
    expect(calls[0]).toMatch(/^\(\d+ earlier calls\)$/);
  });

  test("tells of a call that rejects and keeps its error", async () => {
    const cause = new Error("connection refused");
    const error = await failing({ listMessages: () => Promise.reject(cause) }, "an unknown thread is empty");
    expect(error.message).toContain(
      'store.listMessages({ owner: "", threadId: "thread" }) rejected, which it must not: Error: connection refused',
    );
    expect(error.calls[0]).toMatch(/rejected: Error: connection refused$/);
    expect(error.cause).toBe(cause);
  });

  test("tells of a method that is not there", async () => {
    const error = await failing({ deleteMessages: undefined } as never, "messages appended after a deletion come last");
    expect(error.message).toContain("\n\nThe store has no deleteMessages\n\n");
    // Also where a case takes a rejection for a refusal.
    const poisoned = await failing({ appendMessages: 1 } as never, "a batch that ends in a BigInt is stored whole or not at all");
    expect(poisoned.message).toContain("\n\nThe store has no appendMessages");
  });

  test.each<[method: keyof ThreadStore, result: unknown, name: string, finding: string]>([
    ["listMessages", undefined, "messages appended after a deletion come last", "an array of messages, not undefined"],
    ["appendMessages", undefined, "an id repeated in a batch is stored once, as it came first", "an array of ids, not undefined"],
    ["appendMessages", 3, "an id repeated in a batch is stored once, as it came first", "an array of ids, not 3"],
    ["listThreads", [], "a thread is there from its first message on", "{ threads: [] }, not []"],
  ])("names %s that resolves to %j", async (method, result, name, finding) => {
    const create = () => ({ ...createMemoryStore(), [method]: async () => result });
    const error = await failureOf(named(name, messageStoreCases({ threads: true, create })));
    expect(error.message).toContain(`\n\nstore.${method} must resolve to ${finding}\n\n`);
    expect(error.cause).toBeInstanceOf(TypeError);
  });

  test("tells of a rejection rather than of a result before it that nothing depended on", async () => {
    const change = { appendMessages: async () => undefined, listMessages: () => Promise.reject(new Error("connection refused")) };
    const error = await failing(change as never, "messages come back as they were appended");
    expect(error.message).toContain(
      'store.listMessages({ owner: "", threadId: "thread" }) rejected, which it must not: Error: connection refused',
    );
  });

  test("tells of a call that never settles", async () => {
    const error = await failing({ listMessages: () => new Promise(() => {}) }, "an unknown thread is empty");
    expect(error.message).toContain("The case was not done after 100 ms");
    expect(error.calls[0]).toMatch(/has not settled$/);
  });
});

describe("stores", () => {
  /** Notes what happens to each store that the kit opens. */
  function tracked() {
    const events: string[] = [];
    let opened = 0;
    const open = (how: string, change: Partial<MessageStore> = {}) => {
      const id = `${how}${++opened}`;
      events.push(`open ${id}`);
      return { ...messagesOnly(), ...change, id };
    };
    const destroy = ({ id }: { id: string }) => void events.push(`destroy ${id}`);
    return { events, open, destroy };
  }

  test("are destroyed after a case, with their peers, the newest first", async () => {
    const { events, open, destroy } = tracked();
    const subject = { threads: false as const, create: () => open("store"), peer: () => open("peer"), destroy };
    await failureOf(named("what one instance stored the other sees at once", messageStoreCases(subject)));
    expect(events).toEqual(["open store1", "open peer2", "destroy peer2", "destroy store1"]);
  });

  test("that were reopened are destroyed in place of the first", async () => {
    const { events, open, destroy } = tracked();
    const reopen = ({ id }: { id: string }) => {
      events.push(`close ${id}`);
      return open("store");
    };
    const subject = { threads: false as const, create: () => open("store"), reopen, destroy };
    await failureOf(named("what was stored is there after reopening", messageStoreCases(subject)));
    expect(events).toEqual(["open store1", "close store1", "open store2", "destroy store2"]);
  });

  test("that cannot be destroyed fail the case, unless it failed before", async () => {
    const destroy = () => Promise.reject(new Error("still in use"));
    const found = named("an unknown thread is empty", messageStoreCases({ threads: false, create: messagesOnly, destroy }));
    await expect(found.run()).rejects.toThrow("still in use");
    const listMessages = () => Promise.reject(new Error("connection refused"));
    const create = () => ({ ...messagesOnly(), listMessages });
    const failed = named("an unknown thread is empty", messageStoreCases({ threads: false, create, destroy }));
    expect((await failureOf(failed)).message).toContain("connection refused");
  });

  test("that cannot be created fail the case with their own error", async () => {
    const create = (): MessageStore => {
      throw new Error("no database");
    };
    await expect(named("an unknown thread is empty", messageStoreCases({ threads: false, create })).run()).rejects.toThrow("no database");
  });
});

describe("misuse says what to do:", () => {
  const subject = { threads: true as const, create: () => createMemoryStore() };
  const example = 'testMessageStore("my store", { create: () => createMyStore(), threads: true }';
  const remedy = "chat-handler: there is no create(): pass { create: () => createMyStore(), threads: true }";
  test.each<[what: string, args: unknown[], message: string]>([
    ["nothing at all", [], example],
    ["no name", [subject, { test }], example],
    ["no subject", ["memory", undefined, { test }], remedy],
    ["null for a subject", ["memory", null, { test }], remedy],
    ["a store for a subject", ["memory", createMemoryStore(), { test }], remedy],
    ["a factory for a subject", ["memory", createMemoryStore, { test }], remedy],
    ["a create that is a store", ["memory", { threads: true, create: createMemoryStore() }, { test }], remedy],
    ["a test that is none", ["memory", subject, { test: {} }], "chat-handler: there is no test function with a skip: pass your runner's"],
    [
      "a test without skip",
      ["memory", subject, { test: () => {} }],
      "chat-handler: there is no test function with a skip: pass your runner's",
    ],
    ["no test at all", ["memory", subject], "chat-handler: there is no test function with a skip"],
  ])("%s", (_, args, message) => {
    const register = () => (testMessageStore as (...args: unknown[]) => void)(...args);
    expect(register).toThrow(TypeError);
    expect(register).toThrow(message);
  });

  test.each([undefined, null, "store"])("a create, peer or reopen that gives %j", async (nothing) => {
    const functions = {
      create: "an unknown thread is empty",
      peer: "what one instance stored the other sees at once",
      reopen: "what was stored is there after reopening",
    };
    for (const [name, of] of Object.entries(functions)) {
      const broken: object = { ...subject, [name]: async () => nothing };
      const message = `chat-handler: create, peer and reopen must return a store, not ${JSON.stringify(nothing)}`;
      await expect(named(of, messageStoreCases(broken as never)).run()).rejects.toThrow(message);
    }
  });
});
