/** Turns on several instances, in moments that are short: between a stop and a retry, between a join and a leave, after a late entry. */
import { setTimeout as delay } from "node:timers/promises";
import { expect, it, vi } from "vitest";
import { chatBody, expectError, readResponse } from "../support/chat.ts";
import { changeCoordinators, openMemory } from "../support/coordinators.ts";
import { startInstances } from "../support/instances.ts";
import {
  answerAfter,
  answerThenStall,
  createGate,
  doneEvent,
  echoPrompt,
  finishEvent,
  sendPieces,
  textEvent,
} from "../support/model-scripts.ts";
import type { Script } from "../support/model-server.ts";
import { failOnUnhandledErrors } from "../support/unhandled-errors.ts";

failOnUnhandledErrors();

it("a stop that waits for the end of its turn does not stop the next attempt", async () => {
  const { instances } = await startInstances({ script: answerThenStall("Partial") });
  const stopped = readResponse(instances[0].post(chatBody("Hi")));
  await instances[0].model.call(0);
  await delay(50);
  const stopping = instances[1].stop({ threadId: "t", responseId: "r1" });
  expect(await stopped).toMatchObject({ failed: true });
  instances[0].model.always(answerAfter([delay(500), "Whole."]));
  expect(await readResponse(instances[0].post(chatBody("Hi")))).toEqual({ status: 200, text: "Whole.", failed: false });
  expect((await stopping).status).toBe(204);
});

it("a stop that was recorded is accepted, also if the coordinator cannot be reached afterwards", async () => {
  const { instances } = await startInstances({ script: answerThenStall("Partial"), coordinator: { leaseMs: 60_000 } });
  const running = readResponse(instances[0].post(chatBody("Hi")));
  await instances[0].model.call(0);
  await delay(50);
  instances[0].line = "cut";
  const stopping = instances[1].stop({ threadId: "t", responseId: "r1" });
  await delay(200);
  instances[1].line = "cut";
  expect((await stopping).status).toBe(202);
  instances[0].line = "whole";
  expect(await running).toMatchObject({ failed: true });
});

it("a second reader of an instance does not keep the turn running after all have left", async () => {
  const { instances } = await startInstances({ script: answerThenStall("Partial"), coordinator: { leaseMs: 60_000 } });
  const controllers = [0, 1, 1].map((index) => {
    const controller = new AbortController();
    const response = instances[index]!.post(chatBody("Hi"), { signal: controller.signal });
    return { controller, response };
  });
  for (const { response } of controllers) expect((await response).status).toBe(200);
  for (const { controller } of controllers) controller.abort();
  const call = await instances[0].model.call(0);
  const hasLeft = await Promise.race([call.disconnected.then(() => true), delay(10_000, false)]);
  expect(hasLeft).toBe(true);
});

it("an answer is resumed from the store if its entry reached the coordinator after its turn had gone on alone", async () => {
  const database = openMemory();
  const { instances } = await startInstances({ database, script: echoPrompt });
  instances[0].line = "cut";
  const response = await instances[0].post(chatBody("Hi"));
  const offset = response.headers.get("X-Chat-Handler-Offset")!;
  expect(await readResponse(response)).toMatchObject({ failed: false });
  const [attempt] = offset.split("_");
  const late = { owner: "", threadId: "t", responseId: "r1", attempt: attempt!, promptId: "p1", promptDigest: "" };
  const coordinator = database.connect();
  const entrance = await coordinator.enter(late, { concurrency: "queue", maxQueued: 1 }, { follower: "f" });
  if (entrance.kind === "entered") await coordinator.end(entrance.ticket, 0, "");
  const resumed = instances[1].resume({ threadId: "t", responseId: "r1", offset });
  expect(await readResponse(resumed)).toEqual({ status: 200, text: "Answer to Hi.", failed: false });
});

it("an answer is resumed from the store if the coordinator has lost a part of its log", async () => {
  let isBroken = false;
  const data = '{"type":"end","status":"failed","error":{"code":"lease_lost","message":"Lost"}}\n';
  const database = changeCoordinators(openMemory(), (coordinator) => ({
    async read(turn, attempt = "", position, follower) {
      if (isBroken) return { attempt, data: data.slice(position), length: data.length, state: "ended" };
      return coordinator.read(turn, attempt, position, follower);
    },
  }));
  const { instances } = await startInstances({ database, script: echoPrompt });
  const response = await instances[0].post(chatBody("Hi"));
  const [attempt] = response.headers.get("X-Chat-Handler-Offset")!.split("_");
  await readResponse(response);
  isBroken = true;
  for (const offset of [0, 7]) {
    const resumed = await readResponse(instances[1].resume({ ...named, offset: `${attempt}_${offset}` }));
    expect(resumed).toEqual({ status: 200, text: "Answer to Hi.".slice(offset), failed: false });
  }
});

it("a request that waits for an instance enters again by itself when that dies before its first byte", async () => {
  const { instances } = await startInstances({ coordinator: { leaseMs: 400 } });
  const hung = createGate();
  instances[0].model.next(answerAfter([hung.opened, "Never."]));
  void readResponse(instances[0].post(chatBody("Hi"))).catch(() => {});
  await instances[0].model.call(0);
  const waiting = readResponse(instances[1].post(chatBody("Hi")));
  await delay(100);
  instances[0].line = "silent";
  expect(await waiting).toEqual({ status: 200, text: "Answer to Hi.", failed: false });
  hung.open();
});

it("a resume that meets a turn whose readers have left finds nothing", async () => {
  const [gate, hung] = [createGate(), createGate()];
  let isEnding = false;
  const database = changeCoordinators(openMemory(), (coordinator) => ({
    async end(...args) {
      isEnding = true;
      await gate.opened;
      return coordinator.end(...args);
    },
  }));
  const { instances } = await startInstances({ database });
  instances[0].model.next(answerAfter([hung.opened, "Never."]));
  const leaver = new AbortController();
  void Promise.resolve(instances[0].post(chatBody("Hi"), { signal: leaver.signal })).catch(() => {});
  await instances[0].model.call(0);
  leaver.abort();
  while (!isEnding) await delay(10);
  const resumed = [instances[0], instances[1]].map((instance) => instance.resume({ threadId: "t", responseId: "r1" }));
  await delay(100);
  gate.open();
  expect((await Promise.all(resumed)).map(({ status }) => status)).toEqual([204, 204]);
  hung.open();
});

it("a request that joins in the moment in which the others leave gets its answer", async () => {
  const { instances } = await startInstances({ script: echoPrompt });
  const leaver = new AbortController();
  void Promise.resolve(instances[0].post(chatBody("Hi"), { signal: leaver.signal })).catch(() => {});
  const joined = readResponse(instances[0].post(chatBody("Hi")));
  leaver.abort();
  expect(await joined).toEqual({ status: 200, text: "Answer to Hi.", failed: false });
});

it("a reader on another instance does not wait for one beside the turn that does not read", async () => {
  const pieces = Array.from({ length: 30 }, () => textEvent("x".repeat(10_000)));
  const { instances } = await startInstances({ script: sendPieces(...pieces, finishEvent() + doneEvent) });
  const stalled = await instances[0].post(chatBody("Hi"));
  await delay(100);
  const { text, failed } = await readResponse(instances[1].post(chatBody("Hi")));
  expect([text.length, failed]).toEqual([300_000, false]);
  await stalled.body!.cancel();
});

it("a cursor of another attempt is gone while the answer is written again on another instance", async () => {
  const gate = createGate();
  const { instances } = await startInstances({ script: answerAfter([Promise.resolve(), "One "], [gate.opened, "two."]) });
  const response = await instances[0].post(chatBody("Hi"));
  for (const instance of instances)
    await expectError(await instance.resume({ threadId: "t", responseId: "r1", offset: "other_3" }), 410, "cursor_gone");
  gate.open();
  expect(await readResponse(response)).toEqual({ status: 200, text: "One two.", failed: false });
});

/** Two instances, and a turn whose only reader leaves after its text. Nothing is stored before the gate opens. */
async function startClosing(script: Script) {
  const gate = createGate();
  const { instances, store } = await startInstances({ script, timeouts: { store: 10_000 } });
  let appends = 0;
  instances[0].store.injectFaults(({ method }) => (method === "appendMessages" && ++appends === 2 ? { before: gate.opened } : undefined));
  const response = await instances[0].post(chatBody("Hi"));
  const reader = response.body!.getReader();
  await reader.read();
  await vi.waitFor(() => expect(script === whole ? appends : 2).toBe(2));
  await reader.cancel();
  await vi.waitFor(() => expect(appends).toBe(2));
  return { gate, instances, store, offset: response.headers.get("X-Chat-Handler-Offset")! };
}

const whole = answerAfter([Promise.resolve(), "Whole."]);
const named = { threadId: "t", responseId: "r1" };

it("a resume that meets a turn whose readers have left waits for its end, and gets the answer that was stored meanwhile", async () => {
  const { gate, instances, offset } = await startClosing(whole);
  const queries = [named, { threadId: "t" }, { ...named, offset }];
  const resumed = instances.flatMap((instance) => queries.map((query) => readResponse(instance.resume(query))));
  await delay(100);
  gate.open();
  for (const response of await Promise.all(resumed)) expect(response).toEqual({ status: 200, text: "Whole.", failed: false });
});

it("a resume that meets a turn whose readers have left gets nothing of a partial answer", async () => {
  const { gate, instances } = await startClosing(answerThenStall("Partial"));
  const resumed = instances.flatMap((instance) => [named, { threadId: "t" }].map((query) => instance.resume(query)));
  await delay(100);
  gate.open();
  expect((await Promise.all(resumed)).map(({ status }) => status)).toEqual([204, 204, 204, 204]);
});

it("a cursor of an answer whose readers have left is gone when the answer is being written again", async () => {
  const { gate, instances, offset } = await startClosing(answerThenStall("Partial"));
  const behindText = offset.replace(/\d+$/, String("Partial".length));
  const [again, resumed] = [instances[0].post(chatBody("Hi")), instances[1].resume({ ...named, offset: behindText })];
  await delay(100);
  gate.open();
  await expectError(await resumed, 410, "cursor_gone");
  await (await again).body!.cancel();
});

it("a cursor of a follower of a replay is that of the answer, and outlives the replay", async () => {
  const { instances, database } = await startInstances({ script: echoPrompt });
  const first = await instances[0].post(chatBody("Hi"));
  await readResponse(first);
  const [replaying, gate] = [createGate(), createGate()];
  instances[0].store.injectFaults(() => {
    replaying.open();
    return { before: gate.opened };
  });
  const replay = instances[0].post(chatBody("Hi"));
  await replaying.opened;
  const joined = instances[1].post(chatBody("Hi"));
  await delay(50);
  gate.open();
  const offsets = [first, await replay, await joined].map(({ headers }) => headers.get("X-Chat-Handler-Offset")!);
  expect(new Set(offsets).size).toBe(1);
  for (const response of [replay, joined]) expect(await readResponse(response)).toMatchObject({ text: "Answer to Hi." });
  await database.forget();
  const rest = instances[1].resume({ ...named, offset: `${offsets[2]!.split("_")[0]}_7` });
  expect(await readResponse(rest)).toEqual({ status: 200, text: "to Hi.", failed: false });
});

it("stops without a response id that are sent to any instance until the turn has ended stop one turn", async () => {
  const { instances } = await startInstances({ script: answerThenStall("Partial") });
  const running = readResponse(instances[0].post(chatBody("Hi")));
  await instances[0].model.call(0);
  await delay(50);
  const waiting = readResponse(instances[1].post(chatBody("Next", 2)));
  await delay(50);
  instances[0].model.always(echoPrompt);
  const [stopping, gate] = [createGate(), createGate()];
  instances[0].store.injectFaults(({ method }) => {
    if (method !== "appendMessages") return undefined;
    stopping.open();
    return { before: gate.opened };
  });
  const stop = () => instances.map((instance) => instance.stop({ threadId: "t" }));
  const first = stop();
  await stopping.opened;
  const second = stop();
  await delay(50);
  gate.open();
  expect((await Promise.all([...first, ...second])).map(({ status }) => status)).toEqual([204, 204, 204, 204]);
  expect(await running).toMatchObject({ failed: true });
  expect(await waiting).toEqual({ status: 200, text: "Answer to Next.", failed: false });
});

it("a resume without a response id that meets a turn that ends early follows the next one", async () => {
  const { gate, instances } = await startClosing(answerThenStall("Partial"));
  instances[0].model.always(answerThenStall("Next"));
  const next = instances[1].post(chatBody("Next", 2));
  await delay(100);
  const resumed = instances.map((instance) => instance.resume({ threadId: "t" }));
  await delay(100);
  gate.open();
  const responses = await Promise.all([next, ...resumed]);
  expect(responses.map(({ headers }) => headers.get("X-Chat-Handler-Response-Id"))).toEqual(["r2", "r2", "r2"]);
  for (const { body } of responses) await body?.cancel();
});
