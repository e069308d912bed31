/** Runs one schedule, from an empty store to the last replay. */
import { isDeepStrictEqual } from "node:util";
import type { ThreadKey, ThreadStore } from "../../src/index.ts";
import { plainClock } from "./clock.ts";
import { type RequestBody, promptText, send } from "./clients.ts";
import { retryAllPrompts } from "./retries.ts";
import { type Action, type Plan, type Reading, threads } from "./plan.ts";
import { type ChatRequest, nameOf } from "./records.ts";
import { createReference } from "./reference.ts";
import { createSchedule } from "./schedule.ts";
import { type Neighbor, startServer, type World } from "./server.ts";

/** A schedule, which can run once. */
export interface Run {
  /** Rejects with a `BrokenInvariant` if the handler makes a mistake. */
  play(): Promise<void>;
  /** What has happened. */
  readonly trace: readonly string[];
  /** The requests so far. */
  readonly requests: readonly ChatRequest[];
}

/**
 * Creates a schedule over an empty store.
 *
 * @param floating - Collects unhandled rejections.
 * @param neighbor - Somebody who uses the same servers, and whom the schedule must not notice.
 */
export function createRun(plan: Plan, store: ThreadStore, floating: readonly unknown[], neighbor?: Neighbor): Run {
  const clock = neighbor?.clock ?? plainClock;
  const afterStep = () => {
    reference.check();
    if (floating.length > 0) schedule.break("no rejection is unhandled", String(floating[0]));
  };
  const schedule = createSchedule(plan.order, afterStep, { clock, beforeStep: neighbor?.act });
  const reference = createReference(schedule, plan);
  const { expectedStore, requests } = reference.ledger;
  const actions = [...plan.actions];
  const scripts = [...plan.scripts];
  const faults = [...plan.faults];
  const prompts = new Map<string, number>();
  let [ids, lives] = [0, 0];

  const world: World = {
    plan,
    store,
    schedule,
    reference,
    nextScript: () => scripts.shift(),
    nextFault: () => faults.shift(),
    nextId: () => ids++,
    neighbor,
  };
  // Two processes cannot detect that a prompt is answered under two response ids, and no client of ours sends that.
  const isAmbiguous = actions.some(({ action }) => action.do === "clash" && action.other === "response");
  const servers = Array.from({ length: isAmbiguous ? 1 : plan.processes }, () => startServer(lives++, world));

  const ask = (asked: RequestBody, reading: Reading, at: number): ChatRequest => {
    const { process, handler } = servers[at % servers.length]!;
    const name = `${nameOf(asked.thread)}: ${asked.promptId} → ${asked.responseId}`;
    schedule.note(`request ${requests.length} to process ${process.number} for ${name}, reads ${reading}`);
    return send(asked, reading, process, handler, schedule, reference);
  };

  /** Every thread uses the same ids, so only the thread distinguishes them. */
  const fresh = (thread: ThreadKey): RequestBody => {
    const number = prompts.get(nameOf(thread)) ?? 0;
    prompts.set(nameOf(thread), number + 1);
    return { thread, promptId: `p${number}`, content: promptText(thread, `p${number}`), responseId: `r${number}` };
  };

  const clash = ({ thread, promptId, content, responseId }: RequestBody, other: "prompt" | "content" | "response"): RequestBody => {
    if (other === "content") return { thread, promptId, content: promptText(thread, promptId, " in other words"), responseId };
    return other === "prompt" ? { ...fresh(thread), responseId } : { thread, promptId, content, responseId: fresh(thread).responseId };
  };

  const save = async ({ thread, responseId: id }: ChatRequest) => {
    const stored = expectedStore.find(thread, id)?.stored;
    if (stored?.status !== "complete" || typeof stored.message.content !== "string") return;
    const context = `<context>${schedule.step}</context>`;
    const message = { ...stored.message, content: `${stored.message.content}${context}` } as typeof stored.message;
    await store.updateMessage(thread, id, { message });
    expectedStore.update(thread, id, { message });
    reference.formSaved(thread, id, context);
  };

  const crash = (at: number) => {
    const { process } = servers[at % servers.length]!;
    process.isDead = true;
    schedule.drop(process);
    neighbor?.crashed(process);
    servers[at % servers.length] = startServer(lives++, world);
  };

  const act = async (action: Action, at: number): Promise<void> => {
    const request = "of" in action ? requests.at(-1 - action.of) : undefined;
    switch (action.do) {
      case "send":
        ask(fresh(threads[action.thread]!), action.reading, at);
        break;
      case "again":
        if (request) ask(request, action.reading, at);
        break;
      case "everywhere":
        if (request) for (const index of servers.keys()) ask(request, "all", index);
        break;
      case "clash":
        if (request) ask(clash(request, action.other), "all", at);
        break;
      case "stop":
        if (request && !request.hasDisconnected && !request.process.isDead) request.disconnect(action.how);
        break;
      case "delete":
        await store.deleteThread(threads[action.thread]!);
        reference.threadDeleted(threads[action.thread]!);
        break;
      case "save":
        if (request) await save(request);
        break;
      case "wait":
        await schedule.passTime(action.timers);
        break;
      case "crash":
        crash(at);
    }
  };

  const actNext = () => {
    const next = actions.shift();
    if (!next) return;
    const { after, at, action } = next;
    schedule.offerAfter(after, `next: ${JSON.stringify(action)}`, async () => {
      await act(action, at);
      actNext();
    });
  };

  const settle = async () => {
    await schedule.settle();
    for (const request of requests) request.read();
    await schedule.settle();
    reference.checkSettled();
    for (const { process } of servers) {
      if (process.turnsSettled !== process.turnsBegun)
        schedule.break("every turn ends", `${process.turnsSettled} of ${process.turnsBegun} do`);
    }
    if (clock.count() !== 0) schedule.break("no timer is left", `${clock.count()} are`);
    for (const thread of threads) {
      const [stored, expected] = [await store.listMessages(thread), expectedStore.list(thread).map(({ stored }) => stored)];
      if (!isDeepStrictEqual(stored, expected))
        schedule.break("the store contains the appended messages", `${nameOf(thread)}: ${JSON.stringify(stored)}`);
    }
    await schedule.settle();
  };

  const play = async () => {
    actNext();
    await settle();
    scripts.length = 0;
    faults.length = 0;
    schedule.calm();
    schedule.note("from here on, all is well");
    await retryAllPrompts(reference, plan.last, async (asked) => {
      const request = ask(asked, "all", 0);
      await settle();
      return request;
    });
  };

  return { play, trace: schedule.trace, requests };
}
