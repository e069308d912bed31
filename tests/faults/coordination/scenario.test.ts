/** A whole scenario over every way to reach a coordinator, on three instances: join, order, resume, stop, interrupt, disconnect. */
import { setTimeout as delay } from "node:timers/promises";
import { beforeAll, describe, expect, test } from "vitest";
import type { Coordinator } from "../../../src/coordinator.ts";
import { chatBody } from "../../support/chat.ts";
import { createGate, echoOf } from "../../support/model-scripts.ts";
import { connectCoordinator } from "./connections.ts";
import type { Instance } from "./instances.ts";
import { echoAfter, openStage, wholeEcho } from "./setup.ts";

describe.each(["Redis", "Redis Cluster", "PostgreSQL", "PgBouncer"] as const)("over %s", (name) => {
  const stage = openStage(name, [], { disconnect: "stop" });
  let third: Instance;
  let observer: Coordinator;

  beforeAll(async () => {
    const { kind } = stage.backend.connections.coordinator;
    third = await stage.start({ concurrency: "interrupt", coordinator: { kind: kind === "ioredis" ? "node-redis" : kind } });
    observer = await connectCoordinator(stage.backend.connections);
  });

  /** Waits until a turn has its place in the queue. */
  async function untilQueued(threadId: string, responseId: string): Promise<void> {
    while (!(await observer.read({ owner: "", threadId, responseId }, undefined, 0, { follower: "test" }))) await delay(20);
  }

  test("the same ids on all instances cost one model call, and all read the same", async () => {
    const gate = createGate();
    stage.script("join", echoAfter(gate.opened));
    const asked = [...stage.healthy, third].map((instance) => instance.ask(chatBody("join", 1, "join")));
    await Promise.all(asked.map((one) => one.until("Answer to ")));
    gate.open();
    const received = await Promise.all(asked.map((one) => one.received));
    expect(received).toEqual(asked.map(() => wholeEcho("join")));
    expect(new Set(received.map(({ cursor }) => cursor)).size).toBe(1);
    expect(stage.callsOf("join")).toHaveLength(1);
    expect(await stage.stored("join")).toEqual(['user p1 complete "join"', `assistant r1 complete "${echoOf("join")}"`]);
  });

  test("prompts of one thread run in the order in which they came", async () => {
    const [one, other] = stage.healthy;
    const gate = createGate();
    stage.script("order 1", echoAfter(gate.opened));
    const numbers = [1, 2, 3, 4, 5, 6];
    const asked = [];
    for (const n of numbers) {
      asked.push((n % 2 ? one : other).ask(chatBody(`order ${n}`, n, "order")));
      await untilQueued("order", `r${n}`);
    }
    gate.open();
    expect(await Promise.all(asked.map(({ received }) => received))).toEqual(numbers.map((n) => wholeEcho(`order ${n}`)));
    const ids = (await stage.backend.store.listMessages({ owner: "", threadId: "order" })).map(({ id }) => id);
    expect(ids).toEqual(numbers.flatMap((n) => [`p${n}`, `r${n}`]));
  });

  test("an answer is resumed on other instances, from its beginning and from a cursor", async () => {
    const [one, other] = stage.healthy;
    const gate = createGate();
    stage.script("resume", echoAfter(gate.opened));
    const first = one.ask(chatBody("resume", 1, "resume"));
    await first.until("Answer to ");
    const fromStart = other.resume({ threadId: "resume" });
    await fromStart.until("Answer to ");
    // Somebody still reads, on another instance.
    first.leave();
    const { cursor = "", text } = await first.received;
    const [attempt] = cursor.split("_");
    const offset = `${attempt}_${text.length}`;
    const fromCursor = third.resume({ threadId: "resume", responseId: "r1", offset });
    await delay(300);
    gate.open();
    expect(await fromStart.received).toEqual(wholeEcho("resume"));
    expect(text + (await fromCursor.received).text).toBe(echoOf("resume"));
    await expect.poll(async () => (await other.resume({ threadId: "resume" }).received).status).toBe(204);
    expect((await other.resume({ threadId: "resume", responseId: "r1", offset }).received).text).toBe("resume.");
    expect((await other.resume({ threadId: "resume", responseId: "r1", offset: "another_3" }).received).status).toBe(410);
    expect(stage.callsOf("resume")).toHaveLength(1);
  });

  test("a stop reaches the instance that runs the turn, and persists if it comes first", async () => {
    const [one, other] = stage.healthy;
    stage.script("stop", echoAfter(new Promise(() => {})));
    const asked = one.ask(chatBody("stop", 1, "stop"));
    await asked.until("Answer to ");
    expect(await other.stop({ threadId: "stop", responseId: "r1" })).toBe(204);
    expect(await asked.received).toMatchObject({ text: "Answer to ", failed: true });
    await stage.callsOf("stop")[0]!.disconnected;
    expect(await stage.stored("stop")).toEqual(['user p1 complete "stop"', 'assistant r1 stopped "Answer to "']);
    expect(await other.stop({ threadId: "stop", responseId: "r1" })).toBe(204);
    expect(await third.stop({ threadId: "stop", responseId: "r2" })).toBe(204);
    expect(await one.ask(chatBody("stopped early", 2, "stop")).received).toMatchObject({ status: 409 });
    expect(stage.callsOf("stopped early")).toHaveLength(0);
    expect(await other.ask(chatBody("stop", 1, "stop")).received).toEqual(wholeEcho("stop"));
  });

  test('"interrupt" stops the turn of another instance and goes on', async () => {
    const [one] = stage.healthy;
    stage.script("interrupted", echoAfter(new Promise(() => {})));
    const asked = one.ask(chatBody("interrupted", 1, "interrupt"));
    await asked.until("Answer to ");
    expect(await third.ask(chatBody("interrupts", 2, "interrupt")).received).toEqual(wholeEcho("interrupts"));
    expect(await asked.received).toMatchObject({ failed: true });
    expect((await stage.stored("interrupt"))[1]).toBe('assistant r1 stopped "Answer to "');
  });

  test("a turn goes on while anyone reads it on any instance, and stops when all have left", async () => {
    const [one, other] = stage.healthy;
    stage.script("left", echoAfter(new Promise(() => {})));
    const asked = one.ask(chatBody("left", 1, "left"));
    await asked.until("Answer to ");
    const follower = other.ask(chatBody("left", 1, "left"));
    await follower.until("Answer to ");
    asked.leave();
    await delay(500);
    const call = stage.callsOf("left")[0]!;
    expect(call.disconnectedAt).toBeUndefined();
    follower.leave();
    await call.disconnected;
    await expect.poll(async () => (await stage.stored("left"))[1]).toBe('assistant r1 stopped "Answer to "');
  });
});
