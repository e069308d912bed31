/** A network that is cut, or that is silent, between one instance and the coordinator. */
import { setTimeout as delay } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { chatBody } from "../../support/chat.ts";
import { createGate, echoOf } from "../../support/model-scripts.ts";
import type { Link } from "./link.ts";
import {
  askAndFollow,
  askUntilWhole,
  echoAfter,
  expectErrorOrWhole,
  leaseMs,
  openStage,
  since,
  type Stage,
  wholeEcho,
  type ConfigChange,
} from "./setup.ts";

/** Starts an instance whose connections to the coordinator can fail. */
async function startBehindLink(stage: Stage, { coordinator: options, ...change }: ConfigChange = {}) {
  const { url, subscriberUrl } = stage.backend.connections.coordinator;
  const link = await stage.openLink(url);
  const behind = { url: link.url, ...(subscriberUrl !== undefined && { subscriberUrl: link.url }) };
  return { link, victim: await stage.start({ ...change, coordinator: { ...options, ...behind } }) };
}

/** A turn behind a link that is followed on one instance while the next turn of its thread waits on another. It goes on when the gate opens. */
async function startFollowedTurn(stage: Stage, prompt: string, threadId: string, change?: ConfigChange) {
  const [one, other] = stage.healthy;
  const gate = createGate();
  stage.script(prompt, echoAfter(gate.opened));
  const { link, victim } = await startBehindLink(stage, change);
  const { asked, follower } = await askAndFollow(victim, one, chatBody(prompt, 1, threadId));
  const waiting = other.ask(chatBody(`${prompt} next`, 2, threadId));
  await delay(300);
  return { link, victim, gate, asked, follower, waiting };
}

const failures: { name: string; start(link: Link): void; end(link: Link): void }[] = [
  { name: "cut", start: (link) => link.cut(), end: (link) => link.heal() },
  { name: "silent, and late bytes arrive,", start: (link) => link.silence(), end: (link) => link.heal() },
  { name: "silent, and then reset,", start: (link) => link.silence(), end: (link) => link.heal("reset") },
];

describe.each(["Redis", "PostgreSQL"] as const)("over %s", (name) => {
  const stage = openStage(name);

  for (const failure of failures) {
    test.concurrent(`an instance whose connection is ${failure.name} for longer than the lease frees its thread, and writes nothing`, async () => {
      const threadId = failure.name;
      const prompt = `long ${failure.name}`;
      const [one] = stage.healthy;
      const { link, victim, gate, asked, follower, waiting } = await startFollowedTurn(stage, prompt, threadId);
      failure.start(link);
      const failedAt = performance.now();
      await expectErrorOrWhole(follower, prompt);
      const followersAt = since(failedAt);
      expect(await waiting.received).toEqual(wholeEcho(`${prompt} next`));
      console.log(
        `${name}, ${failure.name} the follower received an error after ${followersAt}, the next turn ended after ${since(failedAt)}`,
      );
      expect(await one.ask(chatBody(prompt, 1, threadId)).received).toEqual(wholeEcho(prompt));
      const before = await stage.backend.store.listMessages({ owner: "", threadId });
      failure.end(link);
      expect(await asked.received).toMatchObject({ text: "Answer to ", failed: true });
      gate.open();
      // It works again.
      const back = `${prompt} back`;
      expect(await victim.ask(chatBody(back, 3, threadId)).received).toEqual(wholeEcho(back));
      expect(await victim.ask(chatBody(prompt, 1, threadId)).received).toEqual(wholeEcho(prompt));
      const after = await stage.backend.store.listMessages({ owner: "", threadId });
      expect(after.slice(0, -2)).toEqual(before);
      expect(after.map(({ id }) => id)).toEqual(["p1", "p2", "r2", "r1", "p3", "r3"]);
      expect(stage.callsOf(prompt)).toHaveLength(2);
    });

    test.concurrent(`a connection that is ${failure.name} for less than the lease breaks nothing`, async () => {
      const threadId = `short ${failure.name}`;
      const prompt = `short ${failure.name}`;
      const change = { coordinator: { leaseMs: 8000 } };
      const { link, gate, asked, follower, waiting } = await startFollowedTurn(stage, prompt, threadId, change);
      failure.start(link);
      gate.open();
      await delay(1000);
      failure.end(link);
      expect(await asked.received).toEqual(wholeEcho(prompt));
      expect(await follower.received).toEqual(wholeEcho(prompt));
      expect(await waiting.received).toEqual(wholeEcho(`${prompt} next`));
      expect(stage.callsOf(prompt)).toHaveLength(1);
    });
  }

  test.concurrent("an instance without the coordinator answers its own clients, and the store keeps one answer", async () => {
    const prompt = "alone";
    const [one] = stage.healthy;
    const { link, victim } = await startBehindLink(stage);
    link.silence();
    const answers = [victim.ask(chatBody(prompt, 1, prompt)), one.ask(chatBody(prompt, 1, prompt))];
    const outcomes = await Promise.all(answers.map((asked) => expectErrorOrWhole(asked, prompt)));
    expect(outcomes).toContain("whole");
    link.heal();
    // Its entry arrives late, too, and whoever joins that is told to try again.
    expect(await askUntilWhole(victim, chatBody(prompt, 1, prompt))).toEqual(wholeEcho(prompt));
    expect(await stage.stored(prompt)).toEqual([`user p1 complete "${prompt}"`, `assistant r1 complete "${echoOf(prompt)}"`]);
    expect(stage.callsOf(prompt).length).toBeLessThanOrEqual(2);
  });

  test.concurrent("a stop during a partition is accepted, and takes effect when the network is back", async () => {
    const prompt = "stopped at healing";
    const [one] = stage.healthy;
    const { link, victim } = await startBehindLink(stage);
    stage.script(prompt, echoAfter(new Promise(() => {})));
    const asked = victim.ask(chatBody(prompt, 1, prompt));
    await asked.until("Answer");
    link.silence();
    expect(await one.stop({ threadId: prompt, responseId: "r1" })).toBe(202);
    // Of turns on other instances it knows nothing now.
    expect(await victim.stop({ threadId: "other", responseId: "r1" })).toBe(503);
    const healedAt = performance.now();
    link.heal();
    const call = await stage.called(prompt);
    await call.disconnected;
    console.log(`${name}, stopped during a partition: the model call ended ${since(healedAt)} after it`);
    expect(await asked.received).toMatchObject({ text: "Answer to ", failed: true });
    expect(await one.stop({ threadId: prompt, responseId: "r1" })).toBe(204);
    expect(await stage.stored(prompt)).toEqual([`user p1 complete "${prompt}"`, 'assistant r1 stopped "Answer to "']);
  });

  test.concurrent("a stop during a partition that does not end takes effect by the deadline of the turn", async () => {
    const prompt = "stopped by the deadline";
    const [one] = stage.healthy;
    const { link, victim } = await startBehindLink(stage, { turnTimeout: leaseMs + 4000 });
    stage.script(prompt, echoAfter(new Promise(() => {})));
    const asked = victim.ask(chatBody(prompt, 1, prompt));
    await asked.until("Answer");
    link.cut();
    expect(await one.stop({ threadId: prompt, responseId: "r1" })).toBe(202);
    const call = await stage.called(prompt);
    await call.disconnected;
    expect(await asked.received).toMatchObject({ failed: true });
    expect((await stage.stored(prompt))[0]).toBe(`user p1 complete "${prompt}"`);
  });

  test.concurrent("a stop on the instance that runs the turn needs no coordinator", async () => {
    const prompt = "stopped at home";
    const { link, victim } = await startBehindLink(stage);
    stage.script(prompt, echoAfter(new Promise(() => {})));
    const asked = victim.ask(chatBody(prompt, 1, prompt));
    await asked.until("Answer");
    link.cut();
    const call = await stage.called(prompt);
    const stopping = victim.stop({ threadId: prompt, responseId: "r1" });
    await call.disconnected;
    link.heal();
    expect(await stopping).toBe(204);
    expect(await stage.stored(prompt)).toEqual([`user p1 complete "${prompt}"`, 'assistant r1 stopped "Answer to "']);
  });
});

describe("over Redis, when only the subscriber's connection is", () => {
  const stage = openStage("Redis");

  test.concurrent.for(["cut", "silent"] as const)("%s, follows, stops and the queue work by polling", async (state) => {
    const prompt = `subscriber ${state}`;
    const threadId = prompt;
    const [one] = stage.healthy;
    const { coordinator } = stage.backend.connections;
    const link = await stage.openLink(coordinator.url);
    const victim = await stage.start({ coordinator: { subscriberUrl: link.url } });
    const gate = createGate();
    stage.script(prompt, echoAfter(gate.opened));
    // Subscribed by now.
    const asked = one.ask(chatBody(prompt, 1, threadId));
    const follower = victim.ask(chatBody(prompt, 1, threadId));
    await follower.until("Answer");
    if (state === "cut") link.cut();
    else link.silence();
    const waiting = victim.ask(chatBody(`${prompt} next`, 2, threadId));
    stage.script(`${prompt} next`, echoAfter(new Promise(() => {})));
    gate.open();
    expect(await asked.received).toEqual(wholeEcho(prompt));
    expect(await follower.received).toEqual(wholeEcho(prompt));
    await waiting.until("Answer");
    expect(await one.stop({ threadId, responseId: "r2" })).toBe(204);
    expect(await waiting.received).toMatchObject({ failed: true });
    link.heal();
    expect(await victim.ask(chatBody(`${prompt} back`, 3, threadId)).received).toEqual(wholeEcho(`${prompt} back`));
    expect(stage.callsOf(prompt)).toHaveLength(1);
  });
});
