/** Measures how long stops, hand-overs and followers take between processes. Prints the figures: a busy machine has others. */
import { describe, expect, test } from "vitest";
import { chatBody } from "../../support/chat.ts";
import { createGate } from "../../support/model-scripts.ts";
import { askAndFollow, echoAfter, openStage, wholeEcho } from "./setup.ts";

const rounds = 20;

function percentiles(name: string, milliseconds: number[]): void {
  const sorted = milliseconds.toSorted((a, b) => a - b);
  const at = (share: number): string => `${sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))]!.toFixed(1)} ms`;
  console.log(`${name}: p50 ${at(0.5)}, p99 ${at(0.99)} (${sorted.length} times)`);
}

describe.each(["Redis", "PostgreSQL"] as const)("over %s", (name) => {
  const stage = openStage(name, [], { coordinator: { leaseMs: 10_000 } });

  test("a stop on another instance ends the model call", async () => {
    const [one, other] = stage.healthy;
    const times: number[] = [];
    for (let n = 0; n < rounds; n++) {
      const prompt = `stop ${n}`;
      stage.script(prompt, echoAfter(new Promise(() => {})));
      const asked = one.ask(chatBody(prompt, n, "stop"));
      await asked.until("Answer");
      const [call] = stage.callsOf(prompt);
      const sentAt = performance.now();
      const stopping = other.stop({ threadId: "stop", responseId: `r${n}` });
      times.push((await call!.disconnected) - sentAt);
      expect(await stopping).toBe(204);
      await asked.received;
    }
    percentiles(`${name}, from a stop to the end of the model call`, times);
    expect(Math.min(...times)).toBeLessThan(5000);
  });

  test("the next turn of the queue, on another instance, begins", async () => {
    const [one, other] = stage.healthy;
    const times: number[] = [];
    let gate = createGate();
    let running = one.ask(chatBody("next 0", 0, "next"));
    stage.script("next 0", echoAfter(gate.opened));
    for (let n = 1; n <= rounds; n++) {
      await running.until("Answer");
      const nextGate = createGate();
      stage.script(`next ${n}`, echoAfter(nextGate.opened));
      const next = (n % 2 ? other : one).ask(chatBody(`next ${n}`, n, "next"));
      await new Promise((resolve) => setTimeout(resolve, 100));
      gate.open();
      await running.received;
      const endedAt = performance.now();
      await stage.called(`next ${n}`);
      times.push(performance.now() - endedAt);
      running = next;
      gate = nextGate;
    }
    gate.open();
    expect(await running.received).toEqual(wholeEcho(`next ${rounds}`));
    percentiles(`${name}, from the end of an answer to the model call of the next`, times);
    expect(Math.min(...times)).toBeLessThan(5000);
  });

  test("text arrives at a reader on another instance", async () => {
    const [one, other] = stage.healthy;
    const times: number[] = [];
    for (let n = 0; n < rounds; n++) {
      const prompt = `follow ${n}`;
      const gate = createGate();
      stage.script(prompt, echoAfter(gate.opened));
      const { asked, follower } = await askAndFollow(one, other, chatBody(prompt, n, "follow"));
      gate.open();
      await asked.until(prompt);
      const readAt = performance.now();
      await follower.until(prompt);
      times.push(performance.now() - readAt);
      await Promise.all([asked.received, follower.received]);
    }
    percentiles(`${name}, a reader on another instance is behind by`, times);
    expect(Math.min(...times)).toBeLessThan(5000);
  });
});
