/** Sets up a model, databases and instances for the tests of a file. */
import { afterAll, beforeAll, expect } from "vitest";
import { summarize } from "../../support/chat.ts";
import { answerAfter, echoOf, echoPrompt, lastPrompt } from "../../support/model-scripts.ts";
import { type ModelCall, type ModelServer, type Script, startModelServer } from "../../support/model-server.ts";
import { type Backend, type BackendName, openBackend } from "./backends.ts";
import type { InstanceConfig } from "./instance.ts";
import { type Link, openLink } from "./link.ts";
import { type Asked, type Instance, type Received, startInstance } from "./instances.ts";

/** Short, so that the tests are quick, and long enough for a busy machine to renew it. */
export const leaseMs = 3000;

/** What differs from the usual configuration of an instance. */
export type ConfigChange = Partial<Omit<InstanceConfig, "coordinator">> & { coordinator?: Partial<InstanceConfig["coordinator"]> };

/** What the tests of a backend share. */
export interface Stage {
  readonly backend: Backend;
  readonly model: ModelServer;
  /** Instances that no test breaks. */
  readonly healthy: [Instance, Instance];
  /** Starts an instance that the test may break. It is killed in the end. */
  start(change?: ConfigChange): Promise<Instance>;
  /** Opens a link to a database. It is closed in the end. */
  openLink(url: string): Promise<Link>;
  /** Uses a script for the first call with this prompt. Later calls, and other prompts, are answered with {@link echoOf}. */
  script(prompt: string, script: Script): void;
  /** The calls with this prompt. */
  callsOf(prompt: string): ModelCall[];
  /** Resolves when the model is called with this prompt. */
  called(prompt: string): Promise<ModelCall>;
  /** The stored messages of a thread, as text. */
  stored(threadId: string): Promise<string[]>;
}

/**
 * Opens a backend for the tests of a `describe`. Its properties are there from the first test on.
 *
 * @param fallback - Answers prompts without a script.
 */
export function openStage(name: BackendName, settings?: string[], common: ConfigChange = {}, fallback = echoPrompt): Stage {
  const scripts = new Map<string, Script>();
  const instances: Instance[] = [];
  const links: Link[] = [];
  const stage = {
    async start(change: ConfigChange = {}) {
      const { coordinator, store } = stage.backend.connections;
      const config: InstanceConfig = {
        port: 0,
        modelUrl: stage.model.baseURL,
        slow: {},
        store,
        disconnect: "continue",
        concurrency: "queue",
        ...common,
        ...change,
        coordinator: { ...coordinator, leaseMs, ...common.coordinator, ...change.coordinator },
      };
      const instance = await startInstance(config);
      instances.push(instance);
      return instance;
    },
    async openLink(url: string) {
      const link = await openLink(url);
      links.push(link);
      return link;
    },
    script: (prompt: string, script: Script) => void scripts.set(prompt, script),
    callsOf: (prompt: string) => stage.model.calls.filter(({ body }) => lastPrompt(body) === prompt),
    async called(prompt: string) {
      for (;;) {
        const [call] = stage.callsOf(prompt);
        if (call) return call;
        await new Promise((resolve) => setTimeout(resolve, 2));
      }
    },
    stored: async (threadId: string) => summarize(await stage.backend.store.listMessages({ owner: "", threadId })),
  } as Stage & { backend: Backend; model: ModelServer; healthy: [Instance, Instance] };

  beforeAll(async () => {
    stage.backend = await openBackend[name](settings);
    stage.model = await startModelServer((call) => {
      const prompt = lastPrompt(call.body);
      const script = scripts.get(prompt) ?? fallback;
      scripts.delete(prompt);
      return script(call);
    });
    stage.healthy = await Promise.all([stage.start(), stage.start()]);
  }, 120_000);
  afterAll(async () => {
    await Promise.all(instances.map((instance) => instance.kill()));
    for (const link of links) link.close();
    await stage.model?.close();
    await stage.backend?.stop();
  }, 120_000);
  return stage;
}

/** A script that sends the beginning of {@link echoOf}, and the rest when the gate opens. */
export const echoAfter =
  (opened: Promise<void>): Script =>
  (call) =>
    answerAfter([Promise.resolve(), "Answer to "], [opened, `${lastPrompt(call.body)}.`])(call);

/** Waits until the prompt of a thread is stored. */
export async function untilStored(stage: Stage, threadId: string): Promise<void> {
  while ((await stage.stored(threadId)).length === 0) await new Promise((resolve) => setTimeout(resolve, 20));
}

/** What a client receives of {@link echoPrompt}. */
export const wholeEcho = (prompt: string): Received => ({
  status: 200,
  text: echoOf(prompt),
  failed: false,
  cursor: expect.any(String) as string,
});

/** Checks that a client received an error, or the whole answer: never a clean end of anything else. */
export async function expectErrorOrWhole(asked: Asked, prompt: string): Promise<"error" | "whole"> {
  const received = await asked.received;
  if (received.failed || received.status !== 200) {
    if (received.status === 200) expect(echoOf(prompt)).toContain(received.text);
    return "error";
  }
  expect(received).toEqual(wholeEcho(prompt));
  return "whole";
}

/** Asks one instance, and another one for the same answer, and waits until both have received text. */
export async function askAndFollow(one: Instance, other: Instance, body: object): Promise<{ asked: Asked; follower: Asked }> {
  const asked = one.ask(body);
  await asked.until("Answer");
  const follower = other.ask(body);
  await follower.until("Answer");
  return { asked, follower };
}

/** Sends the same ids again until the answer is whole, as a browser does, a few times. Resolves to what the last request received. */
export async function askUntilWhole(instance: Instance, body: object): Promise<Received> {
  for (let tries = 1; ; tries++) {
    const received = await instance.ask(body).received;
    if ((received.status === 200 && !received.failed) || tries === 10) return received;
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}

/** Waits for something that happens before a response ends. */
export async function orEnd(event: Promise<void>, asked: Asked, { events }: Instance): Promise<void> {
  const failIfEnded = async (): Promise<never> => {
    const received = await asked.received;
    throw new Error(`Ended too early: ${JSON.stringify({ received, events })}`);
  };
  await Promise.race([event, failIfEnded()]);
}

/** Seconds since a time of `performance.now()`, for the lines that tests print. */
export const since = (start: number): string => `${((performance.now() - start) / 1000).toFixed(2)} s`;
