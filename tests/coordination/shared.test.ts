/** Turns on several instances: order, joins, resume, stop, and what survives the failure of an instance or of the coordinator. */
import { setTimeout as delay } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { chatBody, expectError, readResponse, summarize } from "../support/chat.ts";
import { type CoordinatorDatabase, openMemory, openPostgres, openRedis } from "../support/coordinators.ts";
import { type Instance, type InstancesSetup, startInstances } from "../support/instances.ts";
import { answerAfter, answerThenStall, createGate, echoPrompt, lastPrompt } from "../support/model-scripts.ts";
import type { Script } from "../support/model-server.ts";
import { failOnUnhandledErrors } from "../support/unhandled-errors.ts";
import { describeWith, remedyFor } from "../services/include.ts";

failOnUnhandledErrors();

const { REDIS_URL = "", DATABASE_URL = "" } = process.env;
const hasRedis = REDIS_URL !== "";
const hasPostgres = DATABASE_URL !== "";

const first = { threadId: "t", responseId: "r1" };
/** Keeps the queue full for a while. */
const slowly: Script = async (call) => {
  await delay(300);
  await echoPrompt(call);
};

const whole = (text: string) => ({ status: 200, text, failed: false });

/** Reads a response until some text has come, and leaves its body open. */
async function readUntil(response: Response, text: string) {
  const reader = response.body!.getReader();
  const decoder = new TextDecoder();
  let seen = "";
  let bytes = 0;
  while (!seen.includes(text)) {
    const { value, done } = await reader.read();
    if (done) throw new Error(`The body ended with ${seen}`);
    bytes += value.length;
    seen += decoder.decode(value, { stream: true });
  }
  const [attempt] = (response.headers.get("X-Chat-Handler-Offset") ?? "").split("_");
  return { reader, seen, cursor: `${attempt}_${bytes}` };
}

const backends: [name: string, isThere: boolean, open: () => CoordinatorDatabase | Promise<CoordinatorDatabase>, remedy: string][] = [
  ["memory with hints", true, () => openMemory({ ticketPollMs: 1000, logPollMs: 1000 }), ""],
  ["memory by polling alone", true, () => openMemory({ hasHints: false }), ""],
  ["Redis with a subscriber", hasRedis, () => openRedis({ hasSubscriber: true }), remedyFor("REDIS_URL")],
  ["Redis by polling alone", hasRedis, () => openRedis({ hasSubscriber: false }), remedyFor("REDIS_URL")],
  ["PostgreSQL", hasPostgres, openPostgres, remedyFor("DATABASE_URL")],
];

for (const [name, isThere, open, remedy] of backends)
  describeWith(
    name,
    isThere,
    remedy,
  )(`over ${name}`, () => {
    const start = async (setup: InstancesSetup) => startInstances({ database: await open(), ...setup });

    it("the same ids on three instances cost one model call, and all read the same", async () => {
      const gate = createGate();
      const script = answerAfter([Promise.resolve(), "Grüße "], [gate.opened, "an 😀 alle."]);
      const { instances, store } = await start({ count: 3, script });
      const answers = instances.map((instance) => instance.post(chatBody("Hi")));
      const early = await Promise.all(answers);
      gate.open();
      expect(await Promise.all(early.map(readResponse))).toEqual([1, 2, 3].map(() => whole("Grüße an 😀 alle.")));
      expect(instances[0].model.calls).toHaveLength(1);
      expect(new Set(early.map(({ headers }) => headers.get("X-Chat-Handler-Offset"))).size).toBe(1);
      expect(summarize(await store.listMessages({ owner: "", threadId: "t" }))).toHaveLength(2);
    });

    it("prompts of one thread run one at a time in the order in which they came", async () => {
      const { instances, store } = await start({ count: 3, script: slowly });
      // Each has its connection by then.
      for (const instance of instances) expect((await instance.resume({ threadId: "t" })).status).toBe(204);
      const answers: Promise<Response>[] = [];
      for (let n = 1; n <= 6; n++) {
        answers.push(instances[n % 3]!.post(chatBody(`Prompt ${n}`, n)));
        await delay(100);
      }
      const texts = await Promise.all(answers.map(async (answer) => (await readResponse(answer)).text));
      expect(texts).toEqual([1, 2, 3, 4, 5, 6].map((n) => `Answer to Prompt ${n}.`));
      const ids = (await store.listMessages({ owner: "", threadId: "t" })).map(({ id }) => id);
      expect(ids).toEqual([1, 2, 3, 4, 5, 6].flatMap((n) => [`p${n}`, `r${n}`]));
    });

    it("an answer is resumed on another instance, from its beginning and from a cursor", async () => {
      const gate = createGate();
      const script = answerAfter([Promise.resolve(), "Grüße "], [gate.opened, "an alle."]);
      const { instances } = await start({ script, disconnect: { graceMs: 60_000 } });
      const { reader, cursor, seen } = await readUntil(await instances[0].post(chatBody("Hi")), "Grüße");
      await reader.cancel();
      const fromStart = instances[1].resume({ threadId: "t" });
      const fromCursor = instances[1].resume({ ...first, offset: cursor });
      expect((await fromStart).headers.get("X-Chat-Handler-Response-Id")).toBe("r1");
      for (const instance of instances) await expectError(await instance.resume({ ...first, offset: "other_3" }), 410, "cursor_gone");
      gate.open();
      expect(await readResponse(fromStart)).toEqual(whole("Grüße an alle."));
      expect(seen + (await readResponse(fromCursor)).text).toBe("Grüße an alle.");
      await instances[0].waitForTurns();
      expect((await instances[1].resume({ threadId: "t" })).status).toBe(204);
      expect(await readResponse(instances[1].resume({ ...first, offset: cursor }))).toEqual(whole("an alle."));
      await expectError(await instances[1].resume({ ...first, offset: "other_3" }), 410, "cursor_gone");
      expect(instances[0].model.calls).toHaveLength(1);
    });

    it("resume and stop without a response id reach the turn that runs, also where another one waits", async () => {
      const { instances, store } = await start({ script: answerThenStall("Partial"), disconnect: "continue" });
      const running = await instances[0].post(chatBody("Hi", 1));
      const waiting = instances[1].post(chatBody("Hi", 2));
      await delay(300);
      const resumed = await instances[1].resume({ threadId: "t" });
      expect(resumed.headers.get("X-Chat-Handler-Response-Id")).toBe("r1");
      expect((await instances[1].stop({ threadId: "t" })).status).toBe(204);
      for (const response of [running, resumed]) expect((await readResponse(response)).failed).toBe(true);
      await waiting;
      expect(summarize(await store.listMessages({ owner: "", threadId: "t" })).slice(0, 3)).toEqual([
        'user p1 complete "Hi"',
        'assistant r1 stopped "Partial"',
        'user p2 complete "Hi"',
      ]);
      await instances[0].stop({ threadId: "t", responseId: "r2" });
    });

    it("a stop reaches the instance that runs the turn, and persists if it comes first", async () => {
      const { instances, store } = await start({ script: answerThenStall("Partial") });
      const { reader } = await readUntil(await instances[0].post(chatBody("Hi")), "Partial");
      expect((await instances[1].stop(first)).status).toBe(204);
      await expect(reader.read()).rejects.toThrow(/./);
      await (
        await instances[0].model.call(0)
      ).disconnected;
      expect(summarize(await store.listMessages({ owner: "", threadId: "t" }))[1]).toBe('assistant r1 stopped "Partial"');
      expect((await instances[1].stop({ threadId: "t", responseId: "r2" })).status).toBe(204);
      await expectError(await instances[0].post(chatBody("Next", 2)), 409, "turn_stopped");
      expect(instances[0].model.calls).toHaveLength(1);
      instances[0].model.always(echoPrompt);
      expect(await readResponse(instances[1].post(chatBody("Hi")))).toEqual(whole("Answer to Hi."));
    });

    it("a turn goes on while anyone reads it on any instance, and stops when all have left", async () => {
      const { instances } = await start({ script: answerThenStall("Partial") });
      const one = await readUntil(await instances[0].post(chatBody("Hi")), "Partial");
      const other = await readUntil(await instances[1].post(chatBody("Hi")), "Partial");
      await one.reader.cancel();
      await delay(200);
      const call = await instances[0].model.call(0);
      expect(call.disconnectedAt).toBeUndefined();
      await other.reader.cancel();
      await call.disconnected;
      await instances[0].waitForTurns();
      expect(instances[0].turnEnds).toMatchObject([{ status: "stopped" }]);
    });

    it('"interrupt" stops the turn of another instance and goes on', async () => {
      const { instances, store } = await start({ concurrency: "interrupt", script: answerThenStall("Partial") });
      const { reader } = await readUntil(await instances[0].post(chatBody("One")), "Partial");
      instances[0].model.always(echoPrompt);
      expect(await readResponse(instances[1].post(chatBody("Two", 2)))).toEqual(whole("Answer to Two."));
      await expect(reader.read()).rejects.toThrow(/./);
      expect(summarize(await store.listMessages({ owner: "", threadId: "t" }))).toEqual([
        'user p1 complete "One"',
        'assistant r1 stopped "Partial"',
        'user p2 complete "Two"',
        'assistant r2 complete "Answer to Two."',
      ]);
    });

    it.each(["cut", "silent"] as const)(
      "an instance whose line is %s frees its thread within the lease, and writes nothing when it is back",
      async (state) => {
        const settings = { leaseMs: 1500 };
        const gate = createGate();
        const script = answerAfter([Promise.resolve(), "Late "], [gate.opened, "answer."]);
        const { instances, store } = await start({ coordinator: settings, script });
        const stuck = await readUntil(await instances[0].post(chatBody("Hi")), "Late");
        const follower = await readUntil(await instances[1].post(chatBody("Hi")), "Late");
        instances[0].line = state;
        await expect(follower.reader.read()).rejects.toThrow(/./);
        instances[0].model.always(echoPrompt);
        expect(await readResponse(instances[1].post(chatBody("Next", 2)))).toEqual(whole("Answer to Next."));
        expect(await readResponse(instances[1].post(chatBody("Hi")))).toEqual(whole("Answer to Hi."));
        instances[0].line = "whole";
        await expect(stuck.reader.read()).rejects.toThrow(/./);
        gate.open();
        await instances[0].waitForTurns();
        expect(summarize(await store.listMessages({ owner: "", threadId: "t" }))).toEqual([
          'user p1 complete "Hi"',
          'user p2 complete "Next"',
          'assistant r2 complete "Answer to Next."',
          'assistant r1 complete "Answer to Hi."',
        ]);
        expect(instances[0].turnEnds).toMatchObject([{ status: "failed", error: { code: "lease_lost" } }]);
      },
    );

    it("a coordinator that forgets everything costs no answer: the turn, its follower and the queue go on", async () => {
      const settings = { leaseMs: 3000 };
      const gate = createGate();
      const script: Script = (call) =>
        lastPrompt(call.body) === "Hi" ? answerAfter([Promise.resolve(), "One 😀 "], [gate.opened, "two."])(call) : echoPrompt(call);
      const { instances, database, store } = await start({ coordinator: settings, script });
      const one = await readUntil(await instances[0].post(chatBody("Hi")), "One");
      const other = await readUntil(await instances[1].post(chatBody("Hi")), "One");
      const next = instances[1].post(chatBody("Next", 2));
      await delay(100);
      await database.forget();
      await delay(1500);
      gate.open();
      const rest = async ({ reader, seen }: typeof one) => {
        let text = seen;
        for (let read = await reader.read(); !read.done; read = await reader.read()) text += new TextDecoder().decode(read.value);
        return text;
      };
      expect(await Promise.all([rest(one), rest(other)])).toEqual(["One 😀 two.", "One 😀 two."]);
      expect(await readResponse(next)).toEqual(whole("Answer to Next."));
      // The order is lost with the coordinator, and nothing else.
      expect((await store.listMessages({ owner: "", threadId: "t" })).map(({ id }) => id).toSorted()).toEqual(["p1", "p2", "r1", "r2"]);
      expect(instances[0].model.calls).toHaveLength(2);
    });
  });

describe("a coordinator that cannot be reached", () => {
  const cut = (...instances: Instance[]) => instances.forEach((instance) => (instance.line = "cut"));

  it('lets turns run in the order of their process with "local", and says so', async () => {
    const { instances } = await startInstances({ script: echoPrompt });
    cut(...instances);
    const answers = [1, 2, 3].map((n) => instances[0].post(chatBody(`Prompt ${n}`, n)));
    for (const [index, answer] of answers.entries()) expect(await readResponse(answer)).toEqual(whole(`Answer to Prompt ${index + 1}.`));
    expect((await instances[0].listStored()).map(({ id }) => id)).toEqual(["p1", "r1", "p2", "r2", "p3", "r3"]);
    expect(instances[0].errors.map(({ code }) => code)).toEqual(["coordinator_failed", "coordinator_failed", "coordinator_failed"]);
  });

  it('refuses turns with "refuse", and stops and resumes of other instances\' turns always', async () => {
    const { instances } = await startInstances({ coordinator: { whenUnreachable: "refuse" } });
    cut(...instances);
    await expectError(await instances[0].post(chatBody("Hi")), 503, "coordinator_failed");
    await expectError(await instances[0].stop(first), 503, "coordinator_failed");
    await expectError(await instances[0].resume(first), 503, "coordinator_failed");
    expect(await instances[0].listStored()).toEqual([]);
  });

  it("in the middle of a turn breaks nothing for its own readers", async () => {
    const gate = createGate();
    const script = answerAfter([Promise.resolve(), "One "], [gate.opened, "two."]);
    const { instances } = await startInstances({ script, coordinator: { leaseMs: 400 } });
    const response = await instances[0].post(chatBody("Hi"));
    cut(instances[0]);
    await delay(800);
    gate.open();
    expect(await readResponse(response)).toEqual(whole("One two."));
    expect(instances[0].errors.map(({ code }) => code)).toEqual(["coordinator_failed"]);
  });

  it('aborts the turn before its lease ends with "abort"', async () => {
    const { instances } = await startInstances({
      script: answerThenStall("Partial"),
      coordinator: { leaseMs: 400, whenUnrenewed: "abort" },
    });
    const response = await instances[0].post(chatBody("Hi"));
    cut(instances[0]);
    expect(await readResponse(response)).toEqual({ status: 200, text: "Partial", failed: true });
    expect((await instances[0].listStored()).map(({ id }) => id)).toEqual(["p1"]);
  });

  it("lets a turn that waits go on when the lease of all others has ended", async () => {
    const gate = createGate();
    const { instances } = await startInstances({
      coordinator: { leaseMs: 400 },
      script: async (call) => {
        await gate.opened;
        await echoPrompt(call);
      },
    });
    const one = instances[0].post(chatBody("One"));
    await instances[0].model.call(0);
    const two = instances[1].post(chatBody("Two", 2));
    await delay(50);
    cut(...instances);
    await delay(600);
    gate.open();
    expect(await Promise.all([readResponse(one), readResponse(two)])).toEqual([whole("Answer to One."), whole("Answer to Two.")]);
  });
});

it("answers that the coordinator lost on the way change nothing", async () => {
  const { instances } = await startInstances({ script: echoPrompt, coordinator: { leaseMs: 400 } });
  instances[0].line = "lossy";
  expect(await readResponse(instances[0].post(chatBody("Hi")))).toEqual(whole("Answer to Hi."));
  instances[0].line = "whole";
  expect(await readResponse(instances[1].post(chatBody("Next", 2)))).toEqual(whole("Answer to Next."));
  expect(await readResponse(instances[1].post(chatBody("Hi")))).toEqual(whole("Answer to Hi."));
  expect(instances[0].model.calls).toHaveLength(2);
});
