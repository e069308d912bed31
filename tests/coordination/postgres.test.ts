import { setTimeout as sleep } from "node:timers/promises";
import { Client, Pool, type PoolConfig } from "pg";
import { describe, expect, onTestFinished, test } from "vitest";
import type { Ticket } from "../../src/lib/core/coordinator.ts";
import { createPostgresCoordinator, type PostgresCoordinator, type PostgresCoordinatorOptions } from "../../src/postgres.ts";
import { describeWith, installed, remedyFor } from "../services/include.ts";
import { usePostgresSchemas } from "../support/postgres-schemas.ts";
import { coordinatorCases, type KitCase } from "../../src/testkit.ts";
import { coordinatorSubject, enter, queue, reader, testPostgresCoordinator, turn, type Connection } from "./postgres-cases.ts";

type Sql = { unsafe(text: string, values?: (string | null)[]): Promise<unknown[]>; end(): Promise<void> };
const postgres = await installed<(url: string, options: object) => Sql>("../services/node_modules/postgres/src/index.js");

const connectionString = process.env.DATABASE_URL ?? "";
const pooledConnectionString = process.env.PGBOUNCER_URL ?? "";

describeWith(
  "PostgreSQL",
  connectionString !== "",
  remedyFor("DATABASE_URL"),
)("PostgreSQL", () => {
  const { admin, newSchema } = usePostgresSchemas(connectionString);

  function openPool(config: PoolConfig = {}): Connection {
    const pool = new Pool({ connectionString, max: 5, ...config });
    return { query: pool.query.bind(pool), close: () => pool.end() };
  }

  // PGlite waits in real time, these move the times back.
  testPostgresCoordinator("pg Pool", { open: openPool, newSchema, waits: false });

  describeWith(
    "PgBouncer",
    pooledConnectionString !== "",
    remedyFor("PGBOUNCER_URL"),
  )("PgBouncer", () => {
    const open = () => openPool({ connectionString: pooledConnectionString });
    testPostgresCoordinator("pg Pool through PgBouncer in transaction mode", { open, newSchema, waits: false });
  });

  describeWith(
    "postgres.js",
    postgres !== undefined,
    "npm install --prefix tests/services",
  )("postgres.js", () => {
    const open = (): Connection => {
      const sql = postgres!(connectionString, { max: 5, onnotice() {} });
      return { query: async (text, values) => ({ rows: await sql.unsafe(text, values) }), close: () => sql.end() };
    };
    testPostgresCoordinator("postgres.js", { open, newSchema, waits: false });
  });

  async function create(options?: PostgresCoordinatorOptions): Promise<{ one: PostgresCoordinator; schema: string }> {
    const schema = await newSchema();
    const one = createPostgresCoordinator(admin, { schema, ...options });
    await one.migrate();
    return { one, schema };
  }

  describe.each(["read committed", "repeatable read", "serializable"])("with %s", (level) => {
    const options = `-c default_transaction_isolation=${level.replace(" ", "\\ ")}`;

    test("turns that enter on several instances at once run one at a time, in the order of their places", async () => {
      const { schema } = await create();
      const clients = Array.from({ length: 3 }, () => openPool({ options, max: 3 }));
      const instances = clients.map((client) => createPostgresCoordinator(client, { schema }));
      const running = new Map<string, string>();
      const order: Record<string, Ticket[]> = { a: [], b: [] };

      async function run(instance: PostgresCoordinator, threadId: string, responseId: string): Promise<void> {
        const ticket = await enter(instance, turn(responseId, { threadId }));
        while ((await instance.check(ticket)).state !== "granted") await sleep(5);
        expect(running.get(threadId)).toBeUndefined();
        running.set(threadId, responseId);
        order[threadId]!.push(ticket);
        await Promise.all([instance.start(ticket), instance.append(ticket, 0, "text"), instance.renew(ticket)]);
        await sleep(1);
        running.delete(threadId);
        expect(await instance.end(ticket, 4, "end")).toBe(true);
      }

      await Promise.all(
        instances.flatMap((instance, index) =>
          Array.from({ length: 10 }, (_, count) => run(instance, count % 2 === 0 ? "a" : "b", `${index}.${count}`)),
        ),
      );
      for (const tickets of Object.values(order)) {
        expect(tickets).toHaveLength(15);
        const places = tickets.map(({ place }) => Number(place.split(".")[1]));
        expect(places).toEqual(places.toSorted((a, b) => a - b));
      }
      for (const client of clients) await client.close();
    });

    test("of calls that meet on one turn, joins and closes agree, and text is added once", async () => {
      const { schema } = await create();
      const [first, second] = [openPool({ options }), openPool({ options })];
      const [one, other] = [createPostgresCoordinator(first, { schema }), createPostgresCoordinator(second, { schema })];
      const outcomes = new Set<string>();
      for (let round = 0; round < 30; round++) {
        const ticket = await enter(one, turn(`turn ${round}`, { threadId: String(round) }));
        const [entrance, isClosed, stopped, ...statuses] = await Promise.all([
          other.enter({ ...turn(`turn ${round}`, { threadId: String(round) }), attempt: "second" }, queue, reader),
          one.close(ticket, { unlessFollowed: true }),
          other.stop(ticket),
          one.append(ticket, 0, "0123456789"),
          other.append(ticket, 0, "01234"),
          one.renew(ticket),
          other.check(ticket),
        ]);
        expect(entrance.kind).toBe(isClosed ? "entered" : "joined");
        expect(stopped).toBe("requested");
        expect(statuses.map(({ state }) => state)).toEqual(["granted", "granted", "granted", "granted"]);
        expect(await one.check(ticket)).toMatchObject({ isStopRequested: true, logLength: 10 });
        expect(await other.read(ticket, ticket.attempt, 0, reader)).toMatchObject({ data: "0123456789" });
        const ends = await Promise.all([one.end(ticket, 10, "end"), other.end(ticket, 10, "end")]);
        expect(ends).toEqual([true, true]);
        expect(await other.read(ticket, ticket.attempt, 0, reader)).toMatchObject({ data: "0123456789end", state: "ended" });
        outcomes.add(entrance.kind);
      }
      await first.close();
      await second.close();
    });

    // The kit as a whole runs with read committed, the default. Its busiest race asks without a pause: the first test here does so at a pace
    // that retries can keep up with on a slow machine.
    const isCalm = ({ name }: KitCase) => name.includes("between") && !name.startsWith("turns that wait and run at once");
    const races = coordinatorCases(coordinatorSubject({ open: () => openPool({ options }), newSchema, waits: false })).filter(isCalm);
    for (const { name, run } of level === "repeatable read" ? races : []) {
      test(`kit: ${name}`, async () => {
        expect(await run()).toBeUndefined();
      });
    }

    test("the isolation level of the connections is the one asked for", async () => {
      const client = openPool({ options });
      expect(await client.query("SHOW transaction_isolation")).toMatchObject({ rows: [{ transaction_isolation: level }] });
      await client.close();
    });
  });

  /** A transaction that the test holds open while the coordinator waits for it. */
  async function begin(): Promise<Client> {
    const client = new Client({ connectionString });
    await client.connect();
    onTestFinished(() => client.end());
    await client.query("BEGIN");
    return client;
  }

  async function untilWaiting(schema: string, count = 1): Promise<void> {
    for (;;) {
      const text = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND position($1 IN query) > 0";
      const { rows } = await admin.query(text, [schema]);
      if (rows.length >= count) return;
      await sleep(10);
    }
  }

  test("a close that waited for a join sees the follower, and an entry that waited for a close does not join", async () => {
    const { one, schema } = await create();
    const ticket = await enter(one, turn("a"));
    const other = await begin();
    const inOther = createPostgresCoordinator(other, { schema });
    expect(await inOther.enter(turn("a", { attempt: "joins" }), queue, reader)).toMatchObject({ kind: "joined" });
    const closing = one.close(ticket, { unlessFollowed: true });
    await untilWaiting(schema);
    await other.query("COMMIT");
    expect(await closing).toBe(false);

    await one.unfollow(ticket, reader);
    await other.query("BEGIN");
    expect(await inOther.close(ticket, { unlessFollowed: true })).toBe(true);
    const entering = one.enter(turn("a", { attempt: "second" }), queue, reader);
    await untilWaiting(schema);
    await other.query("COMMIT");
    expect(await entering).toMatchObject({ kind: "entered", ahead: 1 });
  });

  test("a turn that waited for the renewal of an expired ticket ahead is not granted, and the other way around", async () => {
    const { one, schema } = await create({ leaseMs: 1000 });
    const expire = (...tickets: Ticket[]) =>
      admin.query(`UPDATE "${schema}".chat_tickets SET expires_at = now() - interval '1 second' WHERE attempt = ANY($1)`, [
        tickets.map(({ attempt }) => JSON.stringify(attempt)),
      ]);
    const a = await enter(one, turn("a"));
    const b = await enter(one, turn("b"));
    await expire(a, b);
    const other = await begin();
    const inOther = createPostgresCoordinator(other, { schema });
    expect(await inOther.renew(a)).toMatchObject({ state: "granted" });
    const renewing = one.renew(b);
    await untilWaiting(schema);
    await other.query("COMMIT");
    expect(await renewing).toMatchObject({ state: "waiting" });

    await expire(a, b);
    await other.query("BEGIN");
    expect(await inOther.renew(b)).toMatchObject({ state: "granted" });
    const late = one.renew(a);
    await untilWaiting(schema);
    await other.query("COMMIT");
    expect(await late).toMatchObject({ state: "lost" });
  });

  test("nothing is asked of a connection that another statement was on", async () => {
    const client = openPool({ maxUses: 1 }); // a new connection for each statement
    const coordinator = createPostgresCoordinator(client, { schema: await newSchema(), migrate: true });
    const ticket = await enter(coordinator, turn("a"));
    expect(await coordinator.append(ticket, 0, "text")).toMatchObject({ state: "granted", logLength: 4 });
    expect(await coordinator.read(ticket, undefined, 0, reader)).toMatchObject({ data: "text" });
    expect(await coordinator.end(ticket, 4, "")).toBe(true);
    await client.close();
  });

  test("a sweep deletes everything that is no longer kept, and nothing else", async () => {
    const { one, schema } = await create({ retentionMs: 1_000 });
    for (let n = 0; n < 30; n++) {
      const ticket = await enter(one, turn(`old${n}`, { threadId: `old${n}` }));
      await one.end(ticket, 0, "what was said");
    }
    for (let n = 0; n < 20; n++) await one.stop(turn(`stop${n}`, { threadId: `stop${n}` }));
    await admin.query(`UPDATE "${schema}".chat_tickets SET sweep_at = now() - interval '1 s', left_at = now() - interval '2 s'`);
    await admin.query(`UPDATE "${schema}".chat_stops SET expires_at = now() - interval '1 s'`);
    const running = await enter(one, turn("running"));
    await one.append(running, 0, "half");
    await one.stop(turn("later", { threadId: "later" }));
    await one.sweep();
    const count = async (table: string) => (await admin.query(`SELECT FROM "${schema}".chat_${table}`)).rowCount;
    expect([await count("tickets"), await count("turn_log"), await count("stops")]).toEqual([1, 1, 1]);
    expect((await one.read(running, undefined, 0, reader))?.data).toBe("half");
  });

  test("polls write nothing while nothing changes, and renewals and appends leave the indexes alone", async () => {
    const { one, schema } = await create();
    const [first, second] = [await enter(one, turn("a")), await enter(one, turn("b"))];
    await one.read(first, undefined, 0, reader);

    const client = await begin();
    const inClient = createPostgresCoordinator(client, { schema });
    await Promise.all([inClient.check(first), inClient.check(second), inClient.read(first, undefined, 0, reader)]);
    const { rows } = await client.query("SELECT pg_current_xact_id_if_assigned() AS id");
    expect(rows).toEqual([{ id: null }]);

    // Few enough for a page: within a transaction, no room is reclaimed.
    for (let count = 0; count < 5; count++) {
      await inClient.renew(first);
      await inClient.append(first, count, "x");
    }
    const stats = await client.query(
      `SELECT n_tup_upd::integer AS updates, n_tup_hot_upd::integer AS hot FROM pg_stat_xact_user_tables WHERE schemaname = $1 AND relname = 'chat_tickets'`,
      [schema],
    );
    expect(stats.rows).toEqual([{ updates: 10, hot: 10 }]);
  });

  // The plan must not depend on what the planner knows of the tables: a connection keeps plans that were made when they were nearly empty.
  test.for(["nothing", "one ticket", "one turn", "everything"])(
    "a call reads few pages among many tickets, with statistics of %s",
    async (known) => {
      const { one, schema } = await create();
      const insertTickets = (numbers: string, turn: string) =>
        admin.query(`INSERT INTO "${schema}".chat_tickets (place, retention, expires_at, sweep_at, is_stopped, is_open, thread, turn, prompt, response, attempt)
        SELECT n, 1, now() + interval '1 hour', now() + interval '1 hour', false, n % 10 = 0, ${turn}, ${turn}, '', n, n FROM ${numbers} n`);
      const analyze = () =>
        admin.query(`ANALYZE ${["tickets", "turn_log", "followers", "stops"].map((table) => `"${schema}".chat_${table}`).join(", ")}`);

      if (known === "one turn") {
        await insertTickets("generate_series(1, 500)", "'one'");
        await analyze();
      }
      const ticket = await enter(one, turn("a"));
      await enter(one, turn("b"));
      await one.append(ticket, 0, "text");
      if (known === "one ticket") await analyze();

      const [thread, attempt] = [JSON.stringify(["ada", "thread"]), JSON.stringify(ticket.attempt)];
      const json = (response: string, attempt: string) =>
        JSON.stringify([thread, JSON.stringify(response), attempt, '["prompt","digest"]', ticket.place]);
      const read = JSON.stringify([[thread, '"a"', null, 0, '"reader"']]);
      const calls = [
        `chat_renew_ticket('${json("a", attempt)}', 10000, 1000)`,
        `chat_append_text('${json("a", attempt)}', 4, '', 10000, 1000)`,
        `chat_poll_turns('[${json("a", attempt)}]', '${read}', '', 10000, 10000, 1000)`,
        `chat_stop_turn('${thread}', '"none"', 1000)`,
        `chat_stop_turn('${thread}', '"a"', 1000)`,
        `chat_enter_turn('${json("a", '"joins"')}', 'queue', 5, '"reader"', 10000, 10000, 1000)`,
        `chat_enter_turn('${json("c", '"new"')}', 'interrupt', 5, '"reader"', 10000, 10000, 1000)`,
        `chat_close_turn('${json("a", attempt)}', 'unless followed', 10000, 1000)`,
        `chat_start_turn('${json("a", attempt)}', 10000, 1000)`,
        `chat_end_turn('${json("a", attempt)}', 4, 'end', 'started', 10000, 1000)`,
      ];
      const client = new Client({ connectionString });
      await client.connect();
      onTestFinished(() => client.end());
      async function countPages(call: string): Promise<number> {
        await client.query("BEGIN");
        const { rows } = await client.query<Record<string, string>>(`EXPLAIN (ANALYZE, BUFFERS) SELECT * FROM "${schema}".${call}`);
        await client.query("ROLLBACK");
        return Number(/Buffers: shared hit=(\d+)/.exec(rows.map((row) => row["QUERY PLAN"]).join("\n"))?.[1]);
      }
      // A first call also reads the catalogue; from the sixth on, the plans are made without a look at the values.
      async function warmUp(): Promise<void> {
        for (const call of calls) for (let round = 0; round < 8; round++) await countPages(call);
      }
      await warmUp();
      await insertTickets("generate_series(1, 20000)", "sha256(n::text::bytea)");
      await admin.query(`INSERT INTO "${schema}".chat_turn_log SELECT n / 20, n, 'text' FROM generate_series(1000, 50000) n`);
      await admin.query(
        `INSERT INTO "${schema}".chat_followers SELECT n, '', now() + interval '1 hour' FROM generate_series(1000, 20000) n`,
      );
      await admin.query(
        `INSERT INTO "${schema}".chat_stops SELECT sha256(n::text::bytea), now() + interval '1 hour' FROM generate_series(1, 20000) n`,
      );
      if (known === "everything") {
        await analyze();
        await warmUp();
      }

      const pages: Record<string, number> = {};
      for (const call of calls) pages[call] = await countPages(call);
      // The tables have 400 to 2,000 pages.
      expect(Object.entries(pages).filter(([, count]) => !(count < 100))).toEqual([]);
    },
  );
});
