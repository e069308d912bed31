/** What the instances of a schedule share, and how one starts. */
import { type ChatHandlerOptions, createChatHandler, type ThreadStore } from "../../../src/index.ts";
import { shareTurns } from "../../../src/lib/coordination/shared/share-turns.ts";
import { createTools } from "../../../src/tools.ts";
import { type CoordinatorData, createSimpleCoordinator } from "../../testkit/simple-coordinator.ts";
import type { Script } from "../plan.ts";
import { type Call, isSame, nameOf } from "../records.ts";
import { createScheduledModel } from "../scheduled-model.ts";
import { textOfScript } from "../script-text.ts";
import { ownerHeader } from "../server.ts";
import type { AnswerRules } from "./answer-rules.ts";
import type { DeletionRules } from "./deletion-rules.ts";
import { Instance } from "./instance.ts";
import { type InstancesLedger, pace, type Run, steps, timeouts } from "./ledger.ts";
import type { CallFault, HintFate, StoreFault } from "./plan.ts";
import type { CoordinatorHistory } from "./losses.ts";
import type { QueueRules } from "./queue-rules.ts";
import { createScheduledCoordinator } from "./scheduled-coordinator.ts";
import { createScheduledStore } from "./scheduled-store.ts";

/** What all instances of a schedule share. */
export interface World {
  ledger: InstancesLedger;
  store: ThreadStore;
  database: CoordinatorData;
  /** How far the clock of the coordinator's database is ahead, in milliseconds. */
  databaseOffset: number;
  history: CoordinatorHistory;
  rules: { answers: AnswerRules; queue: QueueRules; deletions: DeletionRules };
  nextScript(): Script | undefined;
  nextCall(): CallFault;
  nextStore(): StoreFault;
  nextHint(): HintFate;
  nextId(): string;
}

/** Starts an instance. */
export function startInstance(number: number, world: World): Instance {
  const { ledger, store, database, rules, nextId } = world;
  const { schedule, clock, plan, runs, calls, check } = ledger;
  const instance = new Instance(number, schedule, clock);

  const inner = createSimpleCoordinator(database, {
    ...pace,
    now: () => clock.time + world.databaseOffset,
    hasHints: plan.hasHints,
    whenUnreachable: plan.whenUnreachable,
    whenUnrenewed: plan.whenUnrenewed,
  });
  const coordinator = shareTurns(createScheduledCoordinator(inner, instance, ledger, world, rules.queue, world.history));

  const modelCalled = (model: string, script: Script): Call => {
    const run = runs[Number(model)]!;
    const previous = runs.find(
      (other) =>
        other !== run &&
        other.responseId === run.responseId &&
        isSame(other.thread, run.thread) &&
        !other.process.isDead &&
        other.calls.some(({ isOpen, isFinished }) => isOpen && !isFinished),
    );
    check(!previous || ledger.hasFault || ledger.hasStoreFault, "one model call answers a response id", () =>
      nameOf(run.thread, run.responseId),
    );
    const toldLostAt = run.entry?.toldLostAt ?? Infinity;
    check(toldLostAt >= schedule.step, "an instance that was told that it lost its lease calls no model", () =>
      nameOf(run.thread, run.responseId),
    );
    const callNumber = calls.length;
    const isTools = script.ending === "tools";
    const call: Call = {
      number: callNumber,
      attempt: run,
      script,
      text: textOfScript(callNumber, script),
      toolCallIds: isTools ? [`tool-${callNumber}-0`] : [],
      sentCharacters: 0,
      isFinished: false,
      isOpen: false,
    };
    calls.push(call);
    run.calls.push(call);
    return call;
  };

  const options: ChatHandlerOptions = {
    store: createScheduledStore(store, instance, ledger, world.nextStore, rules),
    client: createScheduledModel(
      plan.client,
      world.nextScript,
      { note: schedule.note, offer: (label, act, process) => (process as Instance).offer(label, act) },
      { modelCalled: ({ model }, script) => modelCalled(model, script) },
    ),
    model({ owner, threadId, responseId, prompt }) {
      const thread = { owner, threadId };
      const entry = rules.queue.runStarts(instance, thread, responseId);
      const run: Run = {
        process: instance,
        thread,
        promptId: prompt.id,
        responseId,
        startedAt: ledger.now(),
        calls: [],
        ended: undefined,
        entry,
        readAt: clock.time,
      };
      runs.push(run);
      return String(runs.length - 1);
    },
    tools: createTools([
      {
        name: "look",
        run: (args) => new Promise((resolve) => instance.offer(`tool ${JSON.stringify(args)}`, () => resolve({ found: args }))),
      },
    ]),
    authorize: ({ request }) => ({ owner: request.headers.get(ownerHeader) ?? "" }),
    coordinator,
    concurrency: plan.concurrency,
    disconnect: plan.disconnect,
    flushInterval: plan.flushInterval,
    generateId: nextId,
    timeouts,
    limits: { steps },
    onTurnEnd({ responseId, owner, threadId, status }) {
      if (instance.isDead) return;
      const thread = { owner, threadId };
      const run = runs.find(
        (other) => other.process === instance && other.responseId === responseId && isSame(other.thread, thread) && !other.ended,
      );
      if (run) run.ended = { status } as Run["ended"];
    },
    onError(error) {
      if (error.code === "internal") schedule.break("no internal error happens", `${error.message} ${String(error.cause)}`);
      if (error.code === "coordinator_failed" && !ledger.hasFault && !ledger.hasLostText)
        schedule.break("a coordinator that works is not reported", `${error.message} ${String(error.cause)}`);
      if (error.code === "client_gone") schedule.break("a disconnect is not reported as an error", "onError was called");
    },
    waitUntil(turn) {
      instance.turnsBegun++;
      turn.then(
        () => instance.turnsSettled++,
        (error: unknown) => schedule.break("the promise of waitUntil never rejects", String(error)),
      );
    },
  };
  instance.handler = createChatHandler(options);
  return instance;
}
