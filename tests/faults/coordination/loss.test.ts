/** A coordinator that loses everything in the middle of turns, and one that restarts. */
import { setTimeout as delay } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { chatBody } from "../../support/chat.ts";
import { createGate, echoOf } from "../../support/model-scripts.ts";
import type { Backend } from "./backends.ts";
import { askAndFollow, askUntilWhole, echoAfter, expectErrorOrWhole, openStage, since, type Stage, wholeEcho } from "./setup.ts";

const losses = {
  Redis: [
    { name: "FLUSHALL", lose: (backend: Backend) => backend.forget() },
    { name: "a restart without persistence", lose: (backend: Backend) => restart(backend) },
    { name: "an outage as long as the lease", lose: (backend: Backend) => restart(backend, { outageMs: 3500 }) },
  ],
  PostgreSQL: [
    { name: "TRUNCATE", lose: (backend: Backend) => backend.forget() },
    { name: "a fast restart", lose: (backend: Backend) => restart(backend, { signal: "SIGINT" }) },
    { name: "an immediate restart, which empties unlogged tables", lose: (backend: Backend) => restart(backend, { signal: "SIGQUIT" }) },
    { name: "a crash", lose: (backend: Backend) => restart(backend) },
  ],
} as const;

async function restart(
  { server }: Backend,
  { signal, outageMs = 300 }: { signal?: NodeJS.Signals; outageMs?: number } = {},
): Promise<void> {
  await server.kill(signal);
  await delay(outageMs);
  await server.start();
}

describe.each(["Redis", "PostgreSQL"] as const)("over %s", (name) => {
  // The Redis of the coordinator keeps nothing on its disk.
  const stage = openStage(name, name === "Redis" ? ["--appendonly", "no"] : []);

  for (const { name: lossName, lose } of losses[name]) {
    test(`${lossName} in the middle of turns loses, doubles and replaces no answer, and hangs nobody`, async () => {
      const [one, other] = stage.healthy;
      const gate = createGate();
      const prompt = (n: number) => `${lossName} ${n}`;
      const body = (n: number, threadId: string) => chatBody(prompt(n), n, threadId);
      stage.script(prompt(1), echoAfter(gate.opened));
      const { asked: running, follower } = await askAndFollow(one, other, body(1, lossName));
      const waiting = other.ask(body(2, lossName));
      stage.script(prompt(3), echoAfter(new Promise(() => {})));
      const stopped = one.ask(body(3, `${lossName} stopped`));
      await stopped.until("Answer");
      await delay(300);

      const lostAt = performance.now();
      await lose(stage.backend);
      expect(await askUntilWhole(other, body(4, `${lossName} new`))).toEqual(wholeEcho(prompt(4)));
      await delay(1000);
      gate.open();
      // Nothing broke on its own instance.
      expect(await running.received).toEqual(wholeEcho(prompt(1)));
      const outcome = await expectErrorOrWhole(follower, prompt(1));
      const outcomeOfNext = await expectErrorOrWhole(waiting, prompt(2));
      console.log(`${lossName}: the follower received ${outcome}, the queue ${outcomeOfNext}, ${since(lostAt)} after it`);
      expect([202, 204]).toContain(await other.stop({ threadId: `${lossName} stopped`, responseId: "r3" }));
      expect(await stopped.received).toMatchObject({ failed: true });

      for (const n of [1, 2]) expect(await askUntilWhole(other, body(n, lossName))).toEqual(wholeEcho(prompt(n)));
      await expectAnswers(stage, lossName, [1, 2], prompt);
      expect(await stage.stored(`${lossName} stopped`)).toEqual([`user p3 complete "${prompt(3)}"`, 'assistant r3 stopped "Answer to "']);
      expect(stage.callsOf(prompt(1))).toHaveLength(1);
      expect(stage.callsOf(prompt(2)).length).toBeLessThanOrEqual(2);
      expect([one.isRunning, other.isRunning]).toEqual([true, true]);
    });
  }
});

/** Checks that each prompt and each answer of a thread is there once, and whole. The order is the coordinator's, and may be lost with it. */
async function expectAnswers(stage: Stage, threadId: string, numbers: number[], prompt: (n: number) => string): Promise<void> {
  const expected = numbers.flatMap((n) => [`user p${n} complete "${prompt(n)}"`, `assistant r${n} complete "${echoOf(prompt(n))}"`]);
  expect((await stage.stored(threadId)).toSorted()).toEqual(expected.toSorted());
}
