/** SIGKILL of the instance that has a turn, at each of its steps. */
import { setTimeout as delay } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { chatBody } from "../../support/chat.ts";
import { answerThenStall, callTools, createGate, echoOf, echoPrompt, neverAnswer } from "../../support/model-scripts.ts";
import type { Script } from "../../support/model-server.ts";
import type { Asked, Instance } from "./instances.ts";
import { expectErrorOrWhole, leaseMs, openStage, since, type Stage, untilStored, wholeEcho, type ConfigChange } from "./setup.ts";

/** A step of a turn, and how to bring a turn to it. */
interface Step {
  name: string;
  config?: ConfigChange;
  script?: Script;
  /** Model calls until then. */
  calls: number;
  /** Resolves when the turn, whose prompt is stored, is at the step. */
  reach(stage: Stage, turn: { prompt: string; threadId: string; victim: Instance; asked: Asked; follower: Asked }): Promise<unknown>;
}

const steps: Step[] = [
  {
    name: "after its prompt was stored",
    config: { slow: { preparing: 60_000 } },
    calls: 0,
    reach: async () => {},
  },
  {
    name: "before the first text",
    script: neverAnswer,
    calls: 1,
    reach: (stage, { prompt }) => stage.called(prompt),
  },
  {
    name: "in the text",
    script: answerThenStall("Answer to "),
    calls: 1,
    reach: (_, { asked, follower }) => Promise.all([asked.until("Answer to "), follower.until("Answer to ")]),
  },
  {
    name: "in a tool",
    config: { slow: { tool: 60_000 } },
    script: callTools({ id: "call", name: "wait", args: {} }),
    calls: 1,
    reach: (_, { victim }) => victim.until("tool"),
  },
];

describe.each(["Redis", "PostgreSQL"] as const)("over %s, kill -9 of an instance", (name) => {
  const stage = openStage(name);

  test.concurrent("whose turn waits in the queue", async () => {
    const threadId = "queued";
    const [one, other] = stage.healthy;
    const gate = createGate();
    stage.script("queued 1", async (call) => {
      await gate.opened;
      await echoPrompt(call);
    });
    const victim = await stage.start();
    const running = one.ask(chatBody("queued 1", 1, threadId));
    await stage.called("queued 1");
    const waiting = victim.ask(chatBody("queued 2", 2, threadId));
    await delay(500);
    const behind = other.ask(chatBody("queued 3", 3, threadId));
    await delay(500);
    await victim.kill();
    const killedAt = performance.now();
    gate.open();
    expect(await running.received).toEqual(wholeEcho("queued 1"));
    expect(await behind.received).toEqual(wholeEcho("queued 3"));
    console.log(`${name}, killed in the queue: the next turn ended after ${since(killedAt)}`);
    expect(await waiting.received).toMatchObject({ failed: true });
    expect(await one.ask(chatBody("queued 2", 2, threadId)).received).toEqual(wholeEcho("queued 2"));
    for (const n of [1, 2, 3]) expect(stage.callsOf(`queued ${n}`)).toHaveLength(1);
    expect(await stage.stored(threadId)).toEqual(
      [1, 3, 2].flatMap((n) => [`user p${n} complete "queued ${n}"`, `assistant r${n} complete "${echoOf(`queued ${n}`)}"`]),
    );
  });

  for (const { name: stepName, config, script, calls, reach } of steps) {
    test.concurrent(`whose turn is ${stepName}`, async () => {
      const threadId = stepName;
      const prompt = `killed ${stepName}`;
      const [one, other] = stage.healthy;
      const victim = await stage.start(config);
      if (script) stage.script(prompt, script);
      const asked = victim.ask(chatBody(prompt, 1, threadId));
      await untilStored(stage, threadId);
      const follower = one.ask(chatBody(prompt, 1, threadId));
      const resumer = other.resume({ threadId, responseId: "r1" });
      const waiting = other.ask(chatBody(`${prompt} next`, 2, threadId));
      await reach(stage, { prompt, threadId, victim, asked, follower });
      await delay(200);
      await victim.kill();
      const killedAt = performance.now();
      expect(await asked.received).toMatchObject({ failed: true });
      const outcomes = await Promise.all([expectErrorOrWhole(follower, prompt), resumer.received]);
      const followersAt = since(killedAt);
      expect(await waiting.received).toEqual(wholeEcho(`${prompt} next`));
      console.log(
        `${name}, killed ${stepName}: the follower received ${outcomes[0]} after ${followersAt}, the next turn ended after ${since(killedAt)}`,
      );
      expect(performance.now() - killedAt).toBeLessThan(leaseMs + 15_000);
      expect(await one.ask(chatBody(prompt, 1, threadId)).received).toEqual(wholeEcho(prompt));
      expect(await other.resume({ threadId, responseId: "r1" }).received).toEqual(wholeEcho(prompt));
      await expectStored(stage, threadId, prompt);
      // The attempt that died, and the one that answered.
      expect(stage.callsOf(prompt).length).toBeLessThanOrEqual(calls + 1);
    });
  }

  test.concurrent("whose turn is committed and not ended", async () => {
    const threadId = "committed";
    const prompt = "committed";
    const [one, other] = stage.healthy;
    const link = await stage.openLink(stage.backend.connections.coordinator.url);
    const victim = await stage.start({ coordinator: { url: link.url } });
    const gate = createGate();
    stage.script(prompt, async (call) => {
      call.head();
      await gate.opened;
      await echoPrompt(call);
    });
    const asked = victim.ask(chatBody(prompt, 1, threadId));
    await stage.called(prompt);
    const follower = one.ask(chatBody(prompt, 1, threadId));
    const waiting = other.ask(chatBody(`${prompt} next`, 2, threadId));
    await delay(300);
    const isEnding = link.silenceAt(stage.backend.endMarker);
    gate.open();
    // The client may have its clean end a moment before.
    await isEnding;
    expect(await stage.stored(threadId)).toEqual([`user p1 complete "${prompt}"`, `assistant r1 complete "${echoOf(prompt)}"`]);
    await victim.kill();
    const killedAt = performance.now();
    // Its own client may have received the clean end.
    await expectErrorOrWhole(asked, prompt);
    const outcome = await expectErrorOrWhole(follower, prompt);
    expect(await waiting.received).toEqual(wholeEcho(`${prompt} next`));
    console.log(`${name}, killed before its end: the follower received ${outcome}, the next turn ended after ${since(killedAt)}`);
    expect(await one.ask(chatBody(prompt, 1, threadId)).received).toEqual(wholeEcho(prompt));
    expect(await other.resume({ threadId, responseId: "r1" }).received).toEqual(wholeEcho(prompt));
    await expectStored(stage, threadId, prompt);
    expect(stage.callsOf(prompt)).toHaveLength(1);
  });

  test.concurrent("whose turn has ended", async () => {
    const threadId = "ended";
    const [one] = stage.healthy;
    const victim = await stage.start();
    const asked = victim.ask(chatBody("ended", 1, threadId));
    expect(await asked.received).toEqual(wholeEcho("ended"));
    const { cursor = "" } = await asked.received;
    // The client has the answer a moment before the coordinator has its end.
    while ((await one.resume({ threadId }).received).status !== 204) await delay(20);
    await victim.kill();
    expect(await one.resume({ threadId, responseId: "r1", offset: cursor }).received).toEqual(wholeEcho("ended"));
    expect(await one.ask(chatBody("ended", 1, threadId)).received).toEqual(wholeEcho("ended"));
    expect(stage.callsOf("ended")).toHaveLength(1);
    expect(await stage.stored(threadId)).toEqual(['user p1 complete "ended"', `assistant r1 complete "${echoOf("ended")}"`]);
  });
});

/** Checks that each prompt and each answer is stored once, and whole. The next turn comes before or after the answer that was made again. */
async function expectStored(stage: Stage, threadId: string, prompt: string): Promise<void> {
  const stored = (await stage.stored(threadId)).filter((line) => !line.startsWith("tool") && !/^assistant (?!r\d)/.test(line));
  expect(stored.toSorted()).toEqual(
    [
      `user p1 complete "${prompt}"`,
      `user p2 complete "${prompt} next"`,
      `assistant r1 complete "${echoOf(prompt)}"`,
      `assistant r2 complete "${echoOf(`${prompt} next`)}"`,
    ].toSorted(),
  );
}
