/** Turns on several instances, in moments that are short: between a stop and a retry, between a join and a leave, after a late entry. */
import { setTimeout as delay } from "node:timers/promises";
import { expect, it } from "vitest";
import { chatBody, readResponse } from "../support/chat.ts";
import { openMemory } from "../support/coordinators.ts";
import { startInstances } from "../support/instances.ts";
import { answerAfter, answerThenStall, echoPrompt } from "../support/model-scripts.ts";
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
