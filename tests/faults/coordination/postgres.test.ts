import { setTimeout as sleep } from "node:timers/promises";
import { Pool } from "pg";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import type { EntryPolicy, Ticket, TicketRequest } from "../../../src/lib/core/coordinator.ts";
import { createPostgresCoordinator, type PostgresCoordinator } from "../../../src/postgres.ts";
import { startPostgres, type PostgresService } from "../../services/postgres.ts";
import { startProxy, type Direction } from "../stores/proxy.ts";

const queue: EntryPolicy = { concurrency: "queue", maxQueued: 10 };
const reader = { follower: "reader" };

let server: PostgresService;
let one: PostgresCoordinator;
let other: PostgresCoordinator;
const pools: Pool[] = [];

function open(connectionString: string): PostgresCoordinator {
  const pool = new Pool({ connectionString, max: 4 });
  pool.on("error", () => {}); // errors of idle connections; each call reports its own errors
  pools.push(pool);
  return createPostgresCoordinator(pool, { leaseMs: 60_000 });
}

function turn(responseId: string, attempt = `attempt of ${responseId}`): TicketRequest {
  return { owner: "ada", threadId: expect.getState().currentTestName!, responseId, promptId: "prompt", promptDigest: "digest", attempt };
}

async function enter(coordinator: PostgresCoordinator, request: TicketRequest): Promise<Ticket> {
  const entrance = await coordinator.enter(request, queue, reader);
  if (entrance.kind !== "entered") throw new Error(`The turn is ${entrance.kind}`);
  return entrance.ticket;
}

/** Repeats a call until it succeeds, as a turn does. */
async function untilReached<Result>(call: () => Promise<Result>): Promise<{ result: Result; failures: number }> {
  for (let failures = 0; ; failures++) {
    try {
      return { result: await call(), failures };
    } catch {
      await sleep(20);
    }
  }
}

beforeAll(async () => {
  server = await startPostgres();
  one = open(server.url);
  other = open(server.url);
  await one.migrate();
}, 60_000);

afterAll(async () => {
  for (const pool of pools) await pool.end();
  await server.stop();
});

test("a restart in the middle of a turn keeps the queue, the log and the stop", { timeout: 60_000 }, async () => {
  const [a, b] = [await enter(one, turn("a")), await enter(other, turn("b"))];
  await one.append(a, 0, "before");
  await other.stop(turn("b"));
  const polling = untilReached(() => other.read(turn("a"), undefined, 3, reader));
  await server.restart();
  await polling;
  const renewed = await untilReached(() => one.renew(a));
  expect(renewed.result).toMatchObject({ state: "granted", logLength: 6 });
  const { result } = await untilReached(() => other.check(b));
  expect(result).toMatchObject({ state: "waiting", isStopRequested: true });
  expect((await untilReached(() => one.append(a, 6, " and after"))).result).toMatchObject({ logLength: 16 });
  expect(await other.read(turn("a"), a.attempt, 0, reader)).toMatchObject({ data: "before and after", state: "running" });
  expect(await one.end(a, 16, "")).toBe(true);
  expect(await other.check(b)).toMatchObject({ state: "granted" });
});

test(
  "kill -9 of the server in the middle of a turn forgets everything at once, and both turns go on at their places",
  { timeout: 60_000 },
  async () => {
    const [a, b] = [await enter(one, turn("a")), await enter(other, turn("b"))];
    await one.append(a, 0, "before");
    await other.end(await enter(other, turn("ended")), 0, "gone");
    await server.kill();
    await expect(one.renew(a)).rejects.toThrow(/./);
    await server.start();
    expect((await untilReached(() => other.renew(b))).result.state).not.toBe("lost");
    // What is appended next would leave a gap. The status says from where to send it again.
    const { result } = await untilReached(() => one.renew(a));
    expect(result).toMatchObject({ state: "granted", logLength: 0 });
    await expect(one.append(a, 6, " and after")).rejects.toThrow(/The log of the turn has 0 characters/);
    expect(await one.append(a, 0, "before and after")).toMatchObject({ logLength: 16 });
    expect(await other.check(b)).toMatchObject({ state: "waiting" });
    expect(await other.read(turn("ended"), undefined, 0, reader)).toBeUndefined();
    expect(await one.end(a, 16, "")).toBe(true);
    expect(await other.check(b)).toMatchObject({ state: "granted" });
    expect(await other.read(turn("a"), undefined, 0, reader)).toMatchObject({ data: "before and after", state: "ended" });
  },
);

test("a turn whose connection is cut at any byte repeats its calls, and its log is whole", { timeout: 120_000 }, async () => {
  const url = new URL(server.url);
  const proxy = await startProxy(Number(url.port));
  onTestFinished(() => proxy.close());
  url.port = String(proxy.port);
  const cut = open(url.href);
  let failures = 0;

  async function play(responseId: string): Promise<void> {
    const entered = await untilReached(() => enter(cut, turn(responseId)));
    const ticket = entered.result;
    const calls = [
      () => cut.append(ticket, 0, "first "),
      () => cut.renew(ticket),
      () => cut.append(ticket, 6, "second "),
      () => cut.start(ticket),
      () => cut.end(ticket, 13, "end"),
    ];
    failures += entered.failures;
    for (const call of calls) {
      const reached = await untilReached<unknown>(call);
      failures += reached.failures;
      expect(reached.result).not.toBe(false);
    }
    expect(await other.read(turn(responseId), ticket.attempt, 0, reader)).toMatchObject({ data: "first second end", state: "ended" });
    expect(await other.find(turn(responseId))).toBeUndefined();
  }

  await play("first"); // connects
  const before = { ...proxy.passed };
  await play("measured");
  const length = { requests: proxy.passed.requests - before.requests, answers: proxy.passed.answers - before.answers };
  for (const direction of ["requests", "answers"] satisfies Direction[]) {
    const step = Math.max(1, Math.floor(length[direction] / 40));
    for (let bytes = 1; bytes < length[direction]; bytes += step) {
      const done = proxy.cutAfter(direction, bytes);
      await play(`${direction} ${bytes}`);
      await done;
    }
  }
  expect(failures).toBeGreaterThan(40);
});
