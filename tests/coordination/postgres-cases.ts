/** What the coordinator does on any PostgreSQL, however it is reached. */
import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import { maxSliceLength, type EntryPolicy, type Ticket, type TicketRequest } from "../../src/lib/core/coordinator.ts";
import {
  createPostgresCoordinator,
  createPostgresStore,
  type PostgresClient,
  type PostgresCoordinator,
  type PostgresCoordinatorOptions,
} from "../../src/postgres.ts";
import { testCoordinator, type CoordinatorSubject } from "../../src/testkit.ts";

export type Connection = PostgresClient & { close(): Promise<void> };

export const queue: EntryPolicy = { concurrency: "queue", maxQueued: 100 };
export const reader = { follower: "reader" };

const tables = ["slots", "tickets", "followers", "stops", "turn_log"];

export function turn(responseId: string, changes: Partial<TicketRequest> = {}): TicketRequest {
  const attempt = `attempt of ${responseId}`;
  return { owner: "ada", threadId: "thread", responseId, promptId: "prompt", promptDigest: "digest", attempt, ...changes };
}

/** Enters a turn that must get a place. */
export async function enter(coordinator: PostgresCoordinator, request: TicketRequest): Promise<Ticket> {
  const entrance = await coordinator.enter(request, queue, reader);
  if (entrance.kind !== "entered") throw new Error(`The turn is ${entrance.kind}`);
  return entrance.ticket;
}

/** Makes this much time pass for everything in the schema, by moving its times back. */
async function advance(client: PostgresClient, schema: string, ms: number): Promise<void> {
  for (const [table, columns] of Object.entries({
    tickets: ["expires_at", "left_at", "sweep_at"],
    followers: ["expires_at"],
    stops: ["expires_at"],
  })) {
    const changes = columns.map((column) => `${column} = ${column} - ${ms} * interval '1 millisecond'`);
    await client.query(`UPDATE "${schema}".chat_${table} SET ${changes.join(", ")}`);
  }
}

/** Empties all tables, as a crash does. */
async function forget(client: PostgresClient, schema: string): Promise<void> {
  await client.query(`TRUNCATE ${tables.map((table) => `"${schema}".chat_${table}`).join(", ")}`);
}

type Opened = PostgresCoordinator & { schema: string; client: Connection };

/** How a PostgreSQL is reached in the tests. */
export interface Access {
  /** Opens the client of one more instance. */
  open(): Connection;
  /** Creates an empty schema. */
  newSchema(): Promise<string>;
  /** Whether expiry is waited for in real time. */
  waits: boolean;
  /** Whether the database runs in this process. */
  usesProcessClock?: boolean;
}

/** Returns functions that open coordinators. */
function opener({ open, newSchema }: Access) {
  function openOn(schema: string, options: PostgresCoordinatorOptions = {}): Opened {
    const client = open();
    return { ...createPostgresCoordinator(client, { schema, ...options }), schema, client };
  }

  async function create(options: PostgresCoordinatorOptions = {}): Promise<Opened> {
    const coordinator = openOn(await newSchema(), options);
    await coordinator.migrate();
    return coordinator;
  }

  return { openOn, create };
}

/** The subject of the kit. */
export function coordinatorSubject(access: Access): CoordinatorSubject<Opened> {
  const { openOn, create } = opener(access);
  return {
    create,
    peer: ({ schema }, times) => openOn(schema, times),
    hints: false,
    destroy: ({ client }) => client.close(),
    ...(!access.waits && { advance: (ms: number, { client, schema }: Opened) => advance(client, schema, ms) }),
    forget: ({ client, schema }) => forget(client, schema),
    usesProcessClock: access.usesProcessClock,
  };
}

/** Registers the kit, and the tests of what is particular to PostgreSQL. */
export function testPostgresCoordinator(name: string, access: Access): void {
  const { openOn, create } = opener(access);
  testCoordinator(name, coordinatorSubject(access), { test });

  test(`${name}: a missing schema is an error that names migrate()`, async () => {
    const { client, ...coordinator } = openOn(await access.newSchema());
    for (const call of [
      () => coordinator.enter(turn("a"), queue, reader),
      () => coordinator.check({ ...turn("a"), place: "1.1" }),
      () => coordinator.find(turn("a")),
    ]) {
      await expect(call()).rejects.toThrow(/tables of the chat coordinator are missing .* call `await coordinator.migrate\(\)`/);
    }
    await client.close();
  });

  test(`${name}: migrates before the first call, once, beside the store in one schema`, async () => {
    const { client, schema, ...coordinator } = openOn(await access.newSchema(), { migrate: true });
    const store = createPostgresStore(client, { schema, migrate: true });
    const others = [openOn(schema, { migrate: true }), openOn(schema, { migrate: true, prefix: "other_" })];
    await Promise.all([...[coordinator, ...others].map((one) => one.find(turn("a"))), store.getThread(turn("a"))]);
    await enter(others[1]!, turn("a"));
    expect(await others[0]!.find(turn("a"))).toBeUndefined();
    expect(await others[1]!.find(turn("a"))).toBe("a");
    for (const one of [client, ...others.map(({ client }) => client)]) await one.close();
  });

  test(`${name}: owners and ids may be any strings`, async () => {
    const coordinator = await create();
    const texts = ["", "\0", "a\0", "\ud800", "a\udc00b", "\ufeff", '"', "\\u0000", "é", "e\u0301", "x".repeat(5000)];
    for (const text of texts) {
      const requests = [
        turn("a", { owner: text, attempt: text }),
        turn("a", { threadId: `thread${text}`, attempt: text }),
        turn(text, { threadId: "responses", attempt: text, promptId: text }),
      ];
      for (const request of requests) {
        await enter(coordinator, request);
        expect(await coordinator.find(request)).toBe(texts[0] !== text && request.threadId === "responses" ? texts[0] : request.responseId);
        expect(await coordinator.enter({ ...request, attempt: "other" }, queue, { follower: text })).toEqual({
          kind: "joined",
          attempt: text,
        });
        expect(await coordinator.read(request, text, 0, { follower: text })).toMatchObject({ attempt: text, length: 0 });
        expect(await coordinator.close({ ...request, place: "1.1" }, { unlessFollowed: true })).toBe(false);
        await coordinator.unfollow(request, { follower: text });
        expect(await coordinator.close({ ...request, place: "1.1" }, { unlessFollowed: true })).toBe(true);
      }
    }
    await coordinator.client.close();
  });

  test(`${name}: polls of one tick share a statement and its failure`, async () => {
    const { client, schema } = await create();
    const statements: string[] = [];
    let isDown = false;
    let rows = 0;
    const counted: PostgresClient = {
      async query(text, values) {
        statements.push(text);
        if (isDown) throw new Error("The server is gone");
        const result = await client.query(text, values);
        rows += result.rows.length;
        return result;
      },
    };
    const coordinator = createPostgresCoordinator(counted, { schema });
    const tickets: Ticket[] = [];
    for (let index = 0; index < 40; index++) tickets.push(await enter(coordinator, turn(String(index), { threadId: String(index % 20) })));

    statements.length = 0;
    rows = 0;
    const polled = await Promise.all(
      tickets.map((ticket) => Promise.all([coordinator.check(ticket), coordinator.read(ticket, undefined, 0, reader)])),
    );
    expect(statements).toHaveLength(2); // 80 calls, at most 64 in one statement
    expect(rows).toBe(60); // 40 reads, and the 20 tickets that wait
    for (const [index, [status, slice]] of polled.entries()) {
      expect(status.state).toBe(index < 20 ? "granted" : "waiting");
      expect(slice).toEqual({ attempt: tickets[index]!.attempt, data: "", length: 0, state: index < 20 ? "running" : "waiting" });
    }

    isDown = true;
    const failed = await Promise.allSettled(tickets.slice(0, 3).map((ticket) => coordinator.check(ticket)));
    expect(failed.map(({ status }) => status)).toEqual(["rejected", "rejected", "rejected"]);
    isDown = false;
    await expect(coordinator.check(tickets[0]!)).resolves.toMatchObject({ state: "granted" });
    await client.close();
  });

  test(`${name}: a start goes with the next poll, or with an end that comes before`, async () => {
    const { client, schema } = await create();
    const statements: string[] = [];
    const counted: PostgresClient = {
      query(text, values) {
        statements.push(text);
        return client.query(text, values);
      },
    };
    const coordinator = createPostgresCoordinator(counted, { schema });
    const [first, other] = [await enter(coordinator, turn("a")), await enter(coordinator, turn("x", { threadId: "other" }))];
    const behind = await enter(coordinator, turn("b"));
    statements.length = 0;
    const started = coordinator.start(first);
    expect(statements).toEqual([]);
    expect(await coordinator.end(first, 0, "", { hasStarted: true })).toBe(true);
    expect((await started).state).toBe("lost");
    await sleep(150);
    expect(statements).toHaveLength(1);
    expect(await coordinator.check(behind)).toMatchObject({ state: "granted", hasPredecessorStarted: true });

    statements.length = 0;
    await Promise.all([coordinator.start(behind), coordinator.check(other)]);
    expect(statements).toHaveLength(1);
    await coordinator.start(other);
    expect(statements).toHaveLength(2);
    await client.close();
  });

  test(`${name}: a long log is kept in pieces and read in slices, from any position`, async () => {
    const { client, ...coordinator } = await create();
    const ticket = await enter(coordinator, turn("a"));
    const text = Array.from({ length: 120_000 }, (_, index) => `${index},`).join("");
    let sent = 0;
    for (const length of [1, 40_000, 7, 400_000, text.length]) {
      await coordinator.append(ticket, sent, text.slice(sent, sent + length));
      sent = Math.min(sent + length, text.length);
    }
    expect(await coordinator.check(ticket)).toMatchObject({ logLength: text.length });
    for (const position of [0, 1, 40_000, 40_001, 200_000, text.length - maxSliceLength, text.length - 1]) {
      const slice = await coordinator.read(ticket, ticket.attempt, position, reader);
      expect(slice!.data === text.slice(position, position + maxSliceLength)).toBe(true);
      expect(slice!.length).toBe(text.length);
    }
    expect(await coordinator.read(ticket, undefined, text.length, reader)).toMatchObject({ data: "" });
    await client.close();
  });

  test(`${name}: everything that has ended is deleted after its retention, by later calls`, async () => {
    const coordinator = await create({ leaseMs: 1000, retentionMs: 1000 });
    const { client, schema } = coordinator;
    for (let index = 0; index < 20; index++) {
      const ticket = await enter(coordinator, turn(`turn ${index}`, { threadId: String(index) }));
      await coordinator.append(ticket, 0, "text");
      await coordinator.read(ticket, undefined, 0, reader);
      await coordinator.stop(turn("never enters", { threadId: String(index) }));
      if (index % 2 === 0) await coordinator.end(ticket, 4, "end");
    }
    await advance(client, schema, 2500);
    for (let index = 0; index < 4; index++) await coordinator.end(await enter(coordinator, turn(`late ${index}`)), 0, "");
    const counts: Record<string, unknown> = {};
    for (const table of tables) {
      const { rows } = await client.query(`SELECT count(*)::integer AS count FROM "${schema}".chat_${table}`);
      counts[table] = (rows[0] as { count: number }).count;
    }
    expect(counts).toMatchObject({ tickets: 4, followers: 0, stops: 0, turn_log: 0 });
    await client.close();
  });

  test(`${name}: a turn that runs longer than its retention is not swept`, async () => {
    const coordinator = await create({ leaseMs: 1000, retentionMs: 1000 });
    const { client, schema } = coordinator;
    const long = await enter(coordinator, turn("long"));
    await coordinator.append(long, 0, "text");
    for (let round = 0; round < 4; round++) {
      await advance(client, schema, 900);
      await coordinator.renew(long);
      await coordinator.end(await enter(coordinator, turn(`short ${round}`, { threadId: "other" })), 0, "");
    }
    expect(await coordinator.append(long, 4, "more")).toMatchObject({ state: "granted", logLength: 8 });
    await client.close();
  });

  test(`${name}: a dead attempt hands its stop to the next one, unless that comes much later`, async () => {
    const coordinator = await create({ leaseMs: 1000 });
    const { client, schema } = coordinator;
    await enter(coordinator, turn("a"));
    expect(await coordinator.stop(turn("a"))).toBe("requested");
    await advance(client, schema, 1500);
    const second = await enter(coordinator, turn("a", { attempt: "second" }));
    expect(await coordinator.check(second)).toMatchObject({ state: "granted", isStopRequested: true });
    await coordinator.end(second, 0, "");
    const third = await enter(coordinator, turn("a", { attempt: "third" }));
    expect(await coordinator.check(third)).toMatchObject({ isStopRequested: false });

    await coordinator.stop(third);
    await advance(client, schema, 122_000);
    expect(await coordinator.check(await enter(coordinator, turn("a", { attempt: "much later" })))).toMatchObject({
      isStopRequested: false,
    });
    await client.close();
  });

  test(`${name}: a ticket that left is lost for ever, also after it was swept`, async () => {
    const coordinator = await create({ leaseMs: 1000, retentionMs: 1000 });
    const { client, schema } = coordinator;
    const left = await enter(coordinator, turn("left"));
    await coordinator.end(left, 0, "");
    const dead = await enter(coordinator, turn("dead"));
    await advance(client, schema, 5000);
    await coordinator.end(await enter(coordinator, turn("late", { threadId: "other" })), 0, "");
    for (const ticket of [left, dead]) {
      expect(await coordinator.renew(ticket)).toMatchObject({ state: "lost" });
      expect(await coordinator.end(ticket, 0, "late")).toBe(false);
    }
    await client.close();
  });

  test(`${name}: nothing is added to the log of a turn that waits`, async () => {
    const { client, ...coordinator } = await create();
    const [first, second] = [await enter(coordinator, turn("a")), await enter(coordinator, turn("b"))];
    expect(await coordinator.append(second, 0, "early")).toMatchObject({ state: "waiting", logLength: 0 });
    await coordinator.end(first, 0, "");
    expect(await coordinator.append(second, 0, "text")).toMatchObject({ state: "granted", logLength: 4 });
    await client.close();
  });

  test(`${name}: an end that is repeated was successful; another end, or that of a lost ticket, is not`, async () => {
    const coordinator = await create({ leaseMs: 1000 });
    const { client, schema } = coordinator;
    const ticket = await enter(coordinator, turn("a"));
    expect(await coordinator.end(ticket, 0, "end")).toBe(true);
    expect(await coordinator.end(ticket, 0, "end")).toBe(true);
    expect(await coordinator.end(ticket, 0, "another end")).toBe(false);
    expect(await coordinator.read(ticket, undefined, 0, reader)).toMatchObject({ data: "end", state: "ended" });
    const lost = await enter(coordinator, turn("lost"));
    await advance(client, schema, 1500);
    await enter(coordinator, turn("b"));
    expect(await coordinator.end(lost, 0, "end")).toBe(false);
    await client.close();
  });
}

test("misuse of createPostgresCoordinator fails at construction and names the remedy", () => {
  const client: PostgresClient = { query: async () => ({ rows: [] }) };
  const wrong: [unknown, object, RegExp][] = [
    [undefined, {}, /^chat-handler: createPostgresCoordinator needs a client .*new Pool\(\) of pg/],
    [client, { prefix: "a-b" }, /prefix must be a name/],
    [client, { leaseMs: 1 }, /leaseMs must be a whole number/],
    [client, { migrate: "yes" }, /migrate must be true or false/],
    [client, { table: "x" }, /^chat-handler: createPostgresCoordinator has no option "table": its options are leaseMs, .*, migrate$/],
  ];
  for (const [client, options, message] of wrong) {
    expect(() => createPostgresCoordinator(client as PostgresClient, options)).toThrow(message);
  }
});
