/** Measures one opened subject. */
import assert from "node:assert/strict";
import OpenAI from "openai";
import { createChatHandler, type ThreadStore } from "../../../src/index.ts";
import { createDemoModel } from "../../../src/demo-model.ts";
import { makeAnswer, makePrompt, makePrompts } from "./messages.ts";
import { type Slices, runInTurns, type Timed } from "./slices.ts";
import { owner, type Plan, type Subject } from "./subject.ts";

/** The amount of work. */
export interface StorePlan {
  slices: Slices;
  /** Number of messages of the long thread, and of threads of the owner with many. The short ones have 100. */
  many: number;
}

/** An operation of both the store and the bare statements. */
export type Operation = "append" | "append16" | "answer" | "read";

/** An operation that runs with little and with much data. */
export type Growth = "read" | "append" | "page" | "activity";

/** All measurements of a subject. */
export interface StoreResult {
  versions: string[];
  operations: Record<Operation, Record<"ours" | "bare", Timed>>;
  /** The three calls of a plain turn, in sequence. */
  turn: Timed;
  /** Calls of the client. */
  calls: Record<"append" | "read" | "page" | "turn", number>;
  growth?: Record<Growth, Record<"few" | "many", Timed>>;
  plans: Plan[];
}

const few = 100;
const lanes = 16;
const lastCount = 50;
/** The characters that a turn reads by default. No thread here has so many. */
const maxCharacters = 3_200_000;
const batchSize = 1000;

const threadKey = (threadId: string) => ({ owner, threadId });

export async function measure(subject: Subject, plan: StorePlan, grows: boolean): Promise<StoreResult> {
  await prepare(subject);
  const operations = await measureOperations(subject, plan.slices);
  const { turn } = await runInTurns({ turn: { run: () => storeCalls(subject.store) } }, plan.slices);
  const calls = await countCalls(subject);
  const growth = grows ? await measureGrowth(subject, plan) : undefined;
  return {
    versions: subject.versions,
    operations,
    turn,
    calls,
    ...(growth && { growth }),
    plans: (grows && (await subject.plans?.())) || [],
  };
}

/** Creates a thread of a hundred messages for each lane, and checks that store and bare statements do the same. */
async function prepare({ store, bare, settle }: Subject): Promise<void> {
  const prompts = makePrompts(few);
  const answer = makeAnswer(prompts[0]!);
  for (let lane = 0; lane < lanes; lane++) {
    assert.equal((await store.appendMessages(threadKey(`lane-${lane}`), prompts)).length, few);
    for (const prompt of prompts) await bare.append(`lane-${lane}`, prompt);
  }
  for (let time = 0; time < 2; time++) {
    await store.appendMessages(threadKey("lane-3"), [answer], { replacesAnswerTo: answer.promptId });
    await bare.appendAnswer("lane-3", answer);
  }
  for (const given of [await store.listMessages(threadKey("lane-3"), { last: lastCount }), await bare.readLast("lane-3", lastCount)]) {
    assert.deepEqual(given, [...prompts, answer].slice(-lastCount));
  }
  await settle?.();
}

async function measureOperations({ store, bare }: Subject, slices: Slices): Promise<StoreResult["operations"]> {
  let turns = 0;
  const next = () => `lane-${turns++ % lanes}`;
  let prompt = makePrompt();
  let thread = "";
  return {
    append: await runInTurns(
      {
        ours: { run: () => store.appendMessages(threadKey(next()), [makePrompt()]) },
        bare: { run: () => bare.append(next(), makePrompt()) },
      },
      slices,
    ),
    append16: await runInTurns(
      {
        ours: { lanes, run: (lane) => store.appendMessages(threadKey(`lane-${lane}`), [makePrompt()]) },
        bare: { lanes, run: (lane) => bare.append(`lane-${lane}`, makePrompt()) },
      },
      slices,
    ),
    answer: await runInTurns(
      {
        ours: {
          before: () => store.appendMessages(threadKey((thread = next())), [(prompt = makePrompt())]),
          run: () => store.appendMessages(threadKey(thread), [makeAnswer(prompt)], { replacesAnswerTo: prompt.id }),
        },
        bare: {
          before: () => bare.append((thread = next()), (prompt = makePrompt())),
          run: () => bare.appendAnswer(thread, makeAnswer(prompt)),
        },
      },
      slices,
    ),
    read: await runInTurns(
      {
        ours: { run: () => store.listMessages(threadKey(next()), { last: lastCount, maxCharacters }) },
        bare: { run: () => bare.readLast(next(), lastCount) },
      },
      slices,
    ),
  };
}

/** The store calls of a plain turn. */
async function storeCalls(store: ThreadStore): Promise<void> {
  const thread = threadKey("lane-0");
  const prompt = makePrompt();
  await store.listMessages(thread, { last: 100, maxCharacters });
  await store.appendMessages(thread, [prompt]);
  await store.appendMessages(thread, [makeAnswer(prompt)], { replacesAnswerTo: prompt.id });
}

/** Makes each call twice, because the first one may send a script or prepare a statement. The turn is a real one. */
async function countCalls({ counted: { store, calls } }: Subject): Promise<StoreResult["calls"]> {
  const thread = threadKey("counted");
  const model = new OpenAI({
    apiKey: "bench",
    baseURL: "http://bench.invalid/v1",
    fetch: createDemoModel({ tokensPerSecond: Infinity, format: "text" }),
  });
  const handler = createChatHandler({ client: model, model: "demo", store, authorize: () => ({ owner }) });
  const takeTurn = async () => {
    const prompt = { id: makePrompt().id, role: "user", content: "Hello" };
    const body = JSON.stringify({ prompt, threadId: "counted", responseId: makePrompt().id });
    const response = await handler(
      new Request("http://bench.invalid/api/chat", { method: "POST", headers: { "Content-Type": "application/json" }, body }),
    );
    assert.equal(response.status, 200);
    await response.text();
  };
  const count = async (work: () => Promise<unknown>): Promise<number> => {
    await work();
    const before = calls();
    await work();
    return calls() - before;
  };
  return {
    append: await count(() => store.appendMessages(thread, [makePrompt()])),
    read: await count(() => store.listMessages(thread, { last: lastCount })),
    page: await count(() => store.listThreads(owner, { limit: 10 })),
    turn: await count(takeTurn),
  };
}

async function measureGrowth(subject: Subject, { slices, many }: StorePlan): Promise<NonNullable<StoreResult["growth"]>> {
  const { store } = subject;
  await fillGrowth(subject, many);
  const page = (owner: string) => ({ run: () => store.listThreads(owner, { limit: few }) });
  // Few calls per slice, so that the short thread stays short.
  const append = (thread: string) => ({ maxCalls: 25, run: () => store.appendMessages(threadKey(thread), [makePrompt()]) });
  let turns = 0;
  const touch = (owner: string) => ({
    run: () => store.appendMessages({ owner, threadId: `thread-${1 + (turns++ % few)}` }, [makePrompt()]),
  });
  assert.equal((await store.listMessages(threadKey("long"))).length, many);
  return {
    read: await runInTurns(
      {
        few: { run: () => store.listMessages(threadKey("short"), { last: lastCount }) },
        many: { run: () => store.listMessages(threadKey("long"), { last: lastCount }) },
      },
      slices,
    ),
    append: await runInTurns({ few: append("short"), many: append("long") }, slices),
    page: await runInTurns({ few: page("few"), many: page("many") }, slices),
    activity: await runInTurns({ few: touch("few"), many: touch("many") }, slices),
  };
}

/** A long thread and a short one, an owner with many threads and one with few. */
async function fillGrowth({ store, fillThreads, settle }: Subject, many: number): Promise<void> {
  const fill = async (threadId: string, count: number) => {
    for (let done = 0; done < count; done += batchSize) {
      await store.appendMessages(threadKey(threadId), makePrompts(Math.min(batchSize, count - done)));
    }
  };
  await fill("long", many);
  await fill("short", few);
  for (const [owner, count] of [
    ["few", few],
    ["many", many],
  ] as const) {
    if (fillThreads) await fillThreads(owner, count);
    else await createThreads(store, owner, count);
    assert.equal((await store.listThreads(owner, { limit: few })).threads.length, few);
  }
  await settle?.();
}

async function createThreads(store: ThreadStore, owner: string, count: number): Promise<void> {
  for (let done = 0; done < count; done += batchSize) {
    const made = Array.from({ length: Math.min(batchSize, count - done) }, (_, index) => {
      const threadId = `thread-${done + index + 1}`;
      return store.createThread({ owner, threadId }, `Thread ${done + index + 1}`);
    });
    await Promise.all(made);
  }
}
