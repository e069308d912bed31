/**
 * A thousand turns over three instances that are killed and frozen at random. `SEED=<number>` repeats the choices of a run, as far as processes
 * repeat anything.
 */
import { setTimeout as delay } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import type { StoredMessage } from "../../../src/index.ts";
import { chatBody } from "../../support/chat.ts";
import { doneEvent, finishEvent, lastPrompt, textEvent } from "../../support/model-scripts.ts";
import type { Script } from "../../support/model-server.ts";
import type { Asked, Instance, Received } from "./instances.ts";
import { createRandom, type Random } from "./random.ts";
import { leaseMs, openStage, since, type Stage } from "./setup.ts";

const seed = Number(process.env.SEED ?? Math.floor(Math.random() * 1e9));
const threads = 25;
/** Each thread is open in two tabs. Each sends its prompts one after the other. */
const tabs = 2;
const promptsOfTab = 20;
const retentionMs = 2000;

/** What is known of a prompt when it is answered. */
interface Answered {
  prompt: string;
  threadId: string;
  n: string;
  /** What the last client received. */
  text: string;
  /** How often a client of it received no clean end. */
  failures: number;
}

/** The answers of different calls differ, so that a mixture of two attempts is noticed. */
const piecesOf = (prompt: string, call: number): string[] =>
  Array.from({ length: 2 + (prompt.length % 4) }, (_, index) => `${prompt}, call ${call}, piece ${index}. `);

describe.each(["Redis", "PostgreSQL"] as const)("over %s", (name) => {
  const calls = new Map<string, number>();
  const random = createRandom(seed);
  const answer: Script = async (call) => {
    const prompt = lastPrompt(call.body);
    const number = (calls.get(prompt) ?? 0) + 1;
    calls.set(prompt, number);
    for (const piece of piecesOf(prompt, number)) {
      await delay(random.between(20, 200));
      await call.send(textEvent(piece));
    }
    await call.send(finishEvent() + doneEvent);
  };
  const stage = openStage(name, [], { coordinator: { leaseMs, retentionMs, whenUnreachable: "refuse" } }, answer);

  test(
    `${threads * tabs * promptsOfTab} turns lose nothing, double nothing, and leave nothing (SEED=${seed})`,
    { timeout: 280_000 },
    async () => {
      const startedAt = performance.now();
      const instances = [...stage.healthy, await stage.start()];
      let isOver = false;
      const breaking = breakInstances(instances, createRandom(seed + 1), () => isOver);
      const working = Array.from({ length: threads * tabs }, (_, index) =>
        workOnTab(stage, instances, `thread ${index % threads}`, Math.floor(index / threads), createRandom(seed + 2 + index)),
      );
      const answered = (await Promise.all(working)).flat();
      isOver = true;
      const { kills, freezes } = await breaking;
      const seconds = since(startedAt);

      for (let index = 0; index < threads; index++) await expectThread(stage, `thread ${index}`, answered, calls);
      const total = [...calls.values()].reduce((sum, count) => sum + count, 0);
      const failures = answered.reduce((sum, { failures }) => sum + failures, 0);
      console.log(
        `${name}: ${answered.length} turns in ${seconds}, ${kills} kills, ${freezes} freezes, ${total} model calls, ${failures} failed requests`,
      );
      expect(answered).toHaveLength(threads * tabs * promptsOfTab);
      for (const { prompt, failures } of answered) expect([prompt, calls.get(prompt)! <= 1 + failures]).toEqual([prompt, true]);
      expect(kills).toBeGreaterThan(2);

      // No thread is stuck.
      const last = instances.map((instance, index) => instance.ask(chatBody(`last ${index}`, `last ${index}`, `thread ${index}`)).received);
      expect((await Promise.all(last)).map(({ status, failed }) => ({ status, failed }))).toEqual(
        last.map(() => ({ status: 200, failed: false })),
      );
      expect(await waitForNothing(stage)).toEqual([]);
    },
  );
});

/** Kills or freezes one instance after the other, and brings it back. */
async function breakInstances(instances: Instance[], random: Random, isOver: () => boolean): Promise<{ kills: number; freezes: number }> {
  const done = { kills: 0, freezes: 0 };
  while (!isOver()) {
    await delay(random.between(300, 1500));
    const instance = random.pick(instances);
    if (random.next() < 0.2) {
      instance.freeze();
      await delay(random.between(500, leaseMs + 1500));
      instance.thaw();
      done.freezes++;
    } else {
      await instance.kill();
      await delay(random.between(0, 500));
      await instance.start();
      done.kills++;
    }
  }
  return done;
}

async function workOnTab(stage: Stage, instances: Instance[], threadId: string, tab: number, random: Random): Promise<Answered[]> {
  const answered: Answered[] = [];
  for (let count = 0; count < promptsOfTab; count++) {
    const n = `${tab}.${count}`;
    answered.push(await sendUntilWhole(instances, threadId, n, random));
  }
  return answered;
}

/** Sends a prompt until it has a clean end, each time to any instance: as a browser behind a load balancer does. */
async function sendUntilWhole(instances: Instance[], threadId: string, n: string, random: Random): Promise<Answered> {
  const prompt = `${threadId}, prompt ${n}`;
  const body = chatBody(prompt, n, threadId);
  const pickInstance = (): Instance => random.pick(instances.filter(({ isRunning }) => isRunning).concat(instances[0]!));
  for (let failures = 0; failures < 200;) {
    const asked = pickInstance().ask(body);
    const chance = random.next();
    // The same ids from a second tab, or a network that changes in the middle of the answer.
    const joined = chance < 0.15 ? pickInstance().ask(body) : undefined;
    const received =
      chance > 0.85 ? await readAndResume(asked, pickInstance, { threadId, responseId: `r${n}` }, random) : await asked.received;
    const others = joined ? [await joined.received] : [];
    failures += [received, ...others].filter((one) => !isWhole(one)).length;
    const whole = [received, ...others].filter(isWhole);
    if (whole.length > 0) {
      for (const { text } of whole) expect(text).toBe(whole[0]!.text);
      return { prompt, threadId, n, text: whole[0]!.text, failures };
    }
    await delay(random.between(50, 300));
  }
  throw new Error(`${prompt} was never answered.`);
}

const isWhole = ({ status, failed }: Received): boolean => status === 200 && !failed;

/** Disconnects after a while, and resumes from the cursor on any instance. Resolves to both pieces as one. */
async function readAndResume(
  asked: Asked,
  pickInstance: () => Instance,
  answer: Record<string, string>,
  random: Random,
): Promise<Received> {
  await Promise.race([asked.received, delay(random.between(50, 600))]);
  asked.leave();
  const first = await asked.received;
  if (!first.failed || first.cursor === undefined) return first;
  const [attempt] = first.cursor.split("_");
  const rest = await pickInstance().resume({ ...answer, offset: `${attempt}_${first.text.length}` }).received;
  return { ...rest, text: first.text + rest.text };
}

/** Checks what is stored of a thread. */
async function expectThread({ backend }: Stage, threadId: string, answered: Answered[], calls: Map<string, number>): Promise<void> {
  const own = answered.filter((one) => one.threadId === threadId);
  const stored = await backend.store.listMessages({ owner: "", threadId });
  const ids = stored.map(({ id }) => id);
  expect(ids.toSorted()).toEqual(own.flatMap(({ n }) => [`p${n}`, `r${n}`]).toSorted());
  const byId = new Map<string, StoredMessage>(stored.map((message) => [message.id, message]));
  for (const { prompt, n, text } of own) {
    expect(byId.get(`p${n}`)!.message.content).toBe(prompt);
    const { status, message } = byId.get(`r${n}`)!;
    expect([prompt, status, message.content]).toEqual([prompt, "complete", text]);
    const possible = Array.from({ length: calls.get(prompt)! }, (_, index) => piecesOf(prompt, index + 1).join(""));
    expect(possible).toContain(text);
    expect(ids.indexOf(`p${n}`)).toBeLessThan(ids.indexOf(`r${n}`));
  }
  for (let tab = 0; tab < tabs; tab++) {
    const prompts = ids.filter((id) => id.startsWith(`p${tab}.`));
    expect(prompts).toEqual(Array.from({ length: promptsOfTab }, (_, count) => `p${tab}.${count}`));
  }
}

/** Waits until the coordinator keeps nothing. Resolves to what is left. */
async function waitForNothing({ backend }: Stage): Promise<string[]> {
  let left: string[] = [];
  for (let round = 0; round < 100; round++) {
    left = await backend.leftovers();
    if (left.length === 0) break;
    await delay(300);
  }
  return left;
}
