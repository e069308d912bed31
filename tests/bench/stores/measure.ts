/** Measures one opened subject. */
import assert from "node:assert/strict";
import OpenAI from "openai";
import { createChatHandler, type ThreadStore } from "../../../src/index.ts";
import { createDemoModel } from "../../../src/demo-model.ts";
import { makeAnswer, makePrompt, makePrompts } from "./messages.ts";
import { type Slices, takeTurns, type Timed } from "./slices.ts";
import { owner, type Plan, type Subject } from "./subject.ts";

/** How much is measured. */
export interface StorePlan {
  slices: Slices;
  /** Messages of the long thread, and threads of the owner who has many. Few are 100 of either. */
  many: number;
}

/** What is done by the store and by the bare statements. */
export type Operation = "append" | "append16" | "answer" | "read";

/** What is done where there is little and where there is much. */
export type Growth = "read" | "append" | "page" | "activity";

/** All that was measured of a subject. */
export interface StoreResult {
  versions: string[];
  operations: Record<Operation, Record<"ours" | "bare", Timed>>;
  /** The three calls of a plain turn, one after the other. */
  turn: Timed;
  /** Calls of the client. */
  calls: Record<"append" | "read" | "page" | "turn", number>;
  growth?: Record<Growth, Record<"few" | "many", Timed>>;
  plans: Plan[];
}

const few = 100;
const lanes = 16;
const lastCount = 50;
const batchSize = 1000;

const inOwnersName = (threadId: string) => ({ owner, threadId });

export async function measure(subject: Subject, plan: StorePlan, grows: boolean): Promise<StoreResult> {
  await prepare(subject);
  const operations = await measureOperations(subject, plan.slices);
  const { turn } = await takeTurns({ turn: { run: () => storeCalls(subject.store) } }, plan.slices);
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

/** Gives each lane a thread of a hundred messages, and checks that store and bare statements do the same. */
async function prepare({ store, bare, settle }: Subject): Promise<void> {
  const prompts = makePrompts(few);
  const answer = makeAnswer(prompts[0]!);
  for (let lane = 0; lane < lanes; lane++) {
    assert.equal((await store.appendMessages(inOwnersName(`lane-${lane}`), prompts)).length, few);
    for (const prompt of prompts) await bare.append(`lane-${lane}`, prompt);
  }
  for (let time = 0; time < 2; time++) {
    await store.appendMessages(inOwnersName("lane-3"), [answer], { replacesAnswerTo: answer.promptId });
    await bare.appendAnswer("lane-3", answer);
  }
  for (const given of [await store.listMessages(inOwnersName("lane-3"), { last: lastCount }), await bare.readLast("lane-3", lastCount)]) {
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
    append: await takeTurns(
      {
        ours: { run: () => store.appendMessages(inOwnersName(next()), [makePrompt()]) },
        bare: { run: () => bare.append(next(), makePrompt()) },
      },
      slices,
    ),
    append16: await takeTurns(
      {
        ours: { lanes, run: (lane) => store.appendMessages(inOwnersName(`lane-${lane}`), [makePrompt()]) },
        bare: { lanes, run: (lane) => bare.append(`lane-${lane}`, makePrompt()) },
      },
      slices,
    ),
    answer: await takeTurns(
      {
        ours: {
          before: () => store.appendMessages(inOwnersName((thread = next())), [(prompt = makePrompt())]),
          run: () => store.appendMessages(inOwnersName(thread), [makeAnswer(prompt)], { replacesAnswerTo: prompt.id }),
        },
        bare: {
          before: () => bare.append((thread = next()), (prompt = makePrompt())),
          run: () => bare.appendAnswer(thread, makeAnswer(prompt)),
        },
      },
      slices,
    ),
    read: await takeTurns(
      {
        ours: { run: () => store.listMessages(inOwnersName(next()), { last: lastCount }) },
        bare: { run: () => bare.readLast(next(), lastCount) },
      },
      slices,
    ),
  };
}

/** What a plain turn asks of its store. */
async function storeCalls(store: ThreadStore): Promise<void> {
  const thread = inOwnersName("lane-0");
  const prompt = makePrompt();
  await store.listMessages(thread, { last: 100 });
  await store.appendMessages(thread, [prompt]);
  await store.appendMessages(thread, [makeAnswer(prompt)], { replacesAnswerTo: prompt.id });
}

/** Each call is made twice: the first may send a script, or prepare a statement. The turn is a real one. */
async function countCalls({ counted: { store, calls } }: Subject): Promise<StoreResult["calls"]> {
  const thread = inOwnersName("counted");
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
  // Few at a time, so that the short thread stays short.
  const append = (thread: string) => ({ most: 25, run: () => store.appendMessages(inOwnersName(thread), [makePrompt()]) });
  let turns = 0;
  const touch = (owner: string) => ({
    run: () => store.appendMessages({ owner, threadId: `thread-${1 + (turns++ % few)}` }, [makePrompt()]),
  });
  assert.equal((await store.listMessages(inOwnersName("long"))).length, many);
  return {
    read: await takeTurns(
      {
        few: { run: () => store.listMessages(inOwnersName("short"), { last: lastCount }) },
        many: { run: () => store.listMessages(inOwnersName("long"), { last: lastCount }) },
      },
      slices,
    ),
    append: await takeTurns({ few: append("short"), many: append("long") }, slices),
    page: await takeTurns({ few: page("few"), many: page("many") }, slices),
    activity: await takeTurns({ few: touch("few"), many: touch("many") }, slices),
  };
}

/** A long thread and a short one, an owner with many threads and one with few. */
async function fillGrowth({ store, fillThreads, settle }: Subject, many: number): Promise<void> {
  const fill = async (threadId: string, count: number) => {
    for (let done = 0; done < count; done += batchSize) {
      await store.appendMessages(inOwnersName(threadId), makePrompts(Math.min(batchSize, count - done)));
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
