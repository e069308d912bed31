/** SIGSTOP of an instance for longer than its lease, and a commit that the network holds back for as long. */
import { setTimeout as delay } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { chatBody } from "../../support/chat.ts";
import { answerAfter, createGate, echoOf } from "../../support/model-scripts.ts";
import { askAndFollow, echoAfter, expectErrorOrWhole, leaseMs, openStage, orEnd, wholeEcho } from "./setup.ts";

describe.each(["Redis", "PostgreSQL"] as const)("over %s", (name) => {
  const stage = openStage(name);

  test.concurrent("an instance that wakes after its lease writes nothing, and its client sees a broken stream", async () => {
    const threadId = "frozen";
    const prompt = "frozen";
    const [one, other] = stage.healthy;
    const gate = createGate();
    stage.script(prompt, echoAfter(gate.opened));
    const victim = await stage.start();
    const { asked, follower } = await askAndFollow(victim, one, chatBody(prompt, 1, threadId));
    const waiting = victim.ask(chatBody(`${prompt} next`, 2, threadId));
    await delay(500);
    victim.freeze();
    await delay(200); // stopped by now
    // The rest of the answer waits for the instance when it wakes.
    gate.open();
    await expectErrorOrWhole(follower, prompt);
    expect(await other.ask(chatBody(`${prompt} meanwhile`, 3, threadId)).received).toEqual(wholeEcho(`${prompt} meanwhile`));
    expect(await one.ask(chatBody(prompt, 1, threadId)).received).toEqual(wholeEcho(prompt));
    const before = await stage.backend.store.listMessages({ owner: "", threadId });
    victim.thaw();
    expect(await asked.received).toMatchObject({ failed: true });
    // Its turn that waited had not begun, so it takes another place.
    expect(await waiting.received).toEqual(wholeEcho(`${prompt} next`));
    await delay(500);
    const after = await stage.backend.store.listMessages({ owner: "", threadId });
    expect(after.slice(0, before.length)).toEqual(before);
    expect(after.map(({ id }) => id)).toEqual(["p1", "p3", "r3", "r1", "p2", "r2"]);
    expect(victim.events).toContainEqual(expect.objectContaining({ type: "error", code: "lease_lost" }));
    expect(stage.callsOf(prompt)).toHaveLength(2);
  });

  test.concurrent("an instance that wakes with nobody else there goes on", async () => {
    const prompt = "frozen alone";
    const gate = createGate();
    stage.script(prompt, echoAfter(gate.opened));
    const victim = await stage.start();
    const asked = victim.ask(chatBody(prompt, 1, prompt));
    await asked.until("Answer");
    victim.freeze();
    await delay(leaseMs + 500);
    victim.thaw();
    await delay(300);
    gate.open();
    expect(await asked.received).toEqual(wholeEcho(prompt));
    expect(stage.callsOf(prompt)).toHaveLength(1);
  });

  test.concurrent("a commit that arrives after another instance has answered changes nothing", async () => {
    const threadId = "late commit";
    const prompt = "late commit";
    const [one, other] = stage.healthy;
    const { kind, url } = stage.backend.connections.store;
    const link = await stage.openLink(url);
    const gate = createGate();
    const late = "A late answer.";
    stage.script(prompt, answerAfter([Promise.resolve(), "A late "], [gate.opened, "answer."]));
    const victim = await stage.start({ store: { kind, url: link.url } });
    const asked = victim.ask(chatBody(prompt, 1, threadId));
    await asked.until("A late");
    const follower = one.ask(chatBody(prompt, 1, threadId));
    await follower.until("A late");
    const isCommitting = link.silenceAt(late);
    gate.open();
    await orEnd(isCommitting, asked, victim);
    victim.freeze();
    expect(await follower.received).toMatchObject({ failed: true });
    expect(await other.ask(chatBody(prompt, 1, threadId)).received).toEqual(wholeEcho(prompt));
    const before = await stage.backend.store.listMessages({ owner: "", threadId });
    link.heal();
    victim.thaw();
    expect(await asked.received).toMatchObject({ failed: true });
    await delay(500);
    expect(await stage.backend.store.listMessages({ owner: "", threadId })).toEqual(before);
    expect(await stage.stored(threadId)).toEqual([`user p1 complete "${prompt}"`, `assistant r1 complete "${echoOf(prompt)}"`]);
  });
});
