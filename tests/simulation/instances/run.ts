/** Runs one schedule of several instances, from an empty store to the last replay. */
import type { ThreadStore } from "../../../src/index.ts";
import { type CoordinatorData, forgetAll, noCoordinatorData } from "../../testkit/simple-coordinator.ts";
import { promptText } from "../clients.ts";
import { nameOf } from "../records.ts";
import { createSchedule } from "../schedule.ts";
import { createAnswerRules } from "./answer-rules.ts";
import { type Asked, cursorOf, send } from "./clients.ts";
import type { InstanceClock } from "./clock.ts";
import { type ClientRequest, createInstancesLedger } from "./ledger.ts";
import { type Action, type Cursor, type InstancesPlan, threads } from "./plan.ts";
import { createDeletionRules } from "./deletion-rules.ts";
import { createFollowerRules } from "./follower-rules.ts";
import { createLastRequests, isSameTurn, pick } from "./last-requests.ts";
import { createCoordinatorHistory } from "./losses.ts";
import { createQueueRules } from "./queue-rules.ts";
import { startInstance, type World } from "./world.ts";

/** How long everything may take to end after all is well, in milliseconds. */
const maxRest = 100_000;

/** How long a line may be broken, in milliseconds. */
const longestBreak = 30_000;

/** A schedule, which can run once. */
export interface InstancesRun {
  /** Rejects with a `BrokenInvariant` if the handlers make a mistake. */
  play(): Promise<void>;
  readonly trace: readonly string[];
}

/**
 * Creates a schedule over an empty store.
 *
 * @param floating - Collects unhandled rejections.
 */
export function createInstancesRun(
  plan: InstancesPlan,
  store: ThreadStore,
  clock: InstanceClock,
  floating: readonly unknown[],
): InstancesRun {
  let wellSince = Infinity;
  const afterStep = () => {
    queue.check();
    followers.check();
    if (floating.length > 0) schedule.break("no rejection is unhandled", String(floating[0]));
    if (clock.isRacing) schedule.break("no timer fires in a loop", `it is ${clock.time} ms`);
    if (clock.time - wellSince > maxRest) schedule.break("everything settles", `not ${maxRest} ms after all was well`);
  };
  const schedule = createSchedule(plan.order, afterStep, { clock });
  const ledger = createInstancesLedger(schedule, clock, plan);
  const { requests, check } = ledger;
  const queue = createQueueRules(ledger);
  const answers = createAnswerRules(ledger, store);
  const deletions = createDeletionRules(ledger, store);
  const database: CoordinatorData = noCoordinatorData();
  const history = createCoordinatorHistory(database, plan);
  const followers = createFollowerRules(ledger, database, history);
  const [scripts, calls, stores, hints, actions] = [
    [...plan.scripts],
    [...plan.calls],
    [...plan.stores],
    [...plan.hints],
    [...plan.actions],
  ];
  const prompts = new Map<string, number>();
  let [ids, started] = [0, 0];
  /** By how much the clock of the database was turned back, in milliseconds. */
  let turnedBack = 0;

  const world: World = {
    ledger,
    store,
    database,
    databaseOffset: 0,
    history,
    rules: { answers, queue, deletions },
    nextScript: () => scripts.shift(),
    nextCall: () => calls.shift() ?? "none",
    nextStore: () => stores.shift() ?? "none",
    nextHint: () => hints.shift() ?? "now",
    nextId: () => `m${ids++}`,
  };
  const instances = Array.from({ length: plan.instances }, () => startInstance(started++, world));

  const ask = (asked: Asked, isReading: boolean, at: number): ClientRequest => {
    const instance = instances[at % instances.length]!;
    schedule.note(`request ${requests.length} to instance ${instance.number}: ${asked.kind} ${asked.thread.threadId} ${asked.responseId}`);
    return send(asked, isReading, instance, ledger, answers);
  };

  const fresh = (number: number): Asked => {
    const thread = threads[number]!;
    const count = prompts.get(thread.threadId) ?? 0;
    prompts.set(thread.threadId, count + 1);
    return { kind: "prompt", thread, promptId: `p${count}`, content: promptText(thread, `p${count}`), responseId: `r${count}` };
  };

  const resume = (request: ClientRequest, cursor: Cursor, at: number) => {
    const { thread, promptId, content, responseId } = request;
    const asked: Asked = { kind: "resume", thread, promptId, content, responseId: cursor === "any" ? "" : responseId };
    ask({ ...asked, cursor: cursor === "own" ? cursorOf(request) : undefined }, true, at);
  };

  const leave = (request: ClientRequest, how: "abort" | "cancel") => {
    if (!request.hasDisconnected && !request.outcome && !request.instance.isDead) request.disconnect(how);
  };

  const act = async (action: Action, at: number): Promise<void> => {
    const instance = instances[at % instances.length]!;
    // A resume that found nothing names no response.
    const request = "of" in action ? requests.filter(({ responseId }) => responseId !== "").at(-1 - action.of) : undefined;
    const original = request && requests.find((other) => other.kind === "prompt" && isSameTurn(other, request));
    switch (action.do) {
      case "send":
        ask(fresh(action.thread), action.isReading, at);
        break;
      case "again":
        if (original) ask({ ...pick(original), kind: "prompt" }, action.isReading, at);
        break;
      case "leave":
        if (request) leave(request, action.how);
        break;
      case "resume":
        if (request) resume(request, action.cursor, at);
        break;
      case "reload":
        if (!request) break;
        leave(request, "abort");
        resume(request, action.cursor, at);
        break;
      case "stop":
        if (!request) break;
        if (action.isNamed) ask({ ...pick(request), kind: "stop" }, false, at);
        else for (const place of [at, at + 1]) ask({ ...pick(request), kind: "stop", responseId: "" }, false, place);
        break;
      case "delete":
        await deletions.deleteThread(threads[action.thread]!);
        break;
      case "wait":
        await schedule.passTime(action.timers);
        break;
      case "crash":
        ledger.hasCrash = true;
        instance.kill();
        instances[at % instances.length] = startInstance(started++, world);
        break;
      case "freeze":
        if (instance.isFrozen) break;
        ledger.hasFault = true;
        instance.freeze();
        clock.after(action.ms, () => instance.thaw(action.clockStops));
        break;
      case "line":
        if (action.line !== "whole") ledger.hasFault = true;
        instance.line = action.line;
        // A turn whose client has left waits for as long as the line is broken.
        clock.after(longestBreak, () => void (instance.line = "whole"));
        break;
      case "jump":
        ledger.hasFault = true;
        if (action.clock === "database") world.databaseOffset += action.ms;
        if (action.clock === "database" && action.ms < 0) turnedBack -= action.ms;
        else instance.wallOffset += action.ms;
        break;
      case "forget":
        ledger.hasFault = true;
        forgetAll(database);
        break;
      case "lose":
        if (action.what === "tail" || action.what === "log") ledger.hasLostText = true;
        else ledger.hasFault = true;
        if (action.isAtEnd) history.loseAtEnd(action.what, action.back);
        else history.lose(action.what, action.back);
        break;
      case "mute":
        instance.mutedUntil = clock.time + action.ms;
    }
  };

  const actNext = () => {
    const next = actions.shift();
    if (!next) return;
    const { after, at, action } = next;
    schedule.offerAfter(after, `next: ${JSON.stringify({ ...action, at })}`, async () => {
      await act(action, at);
      actNext();
    });
  };

  const settle = async () => {
    await schedule.settle();
    for (const request of requests) request.read();
    await schedule.settle();
    for (const { number, instance, isAnswered, hasDisconnected, outcome } of requests)
      check(instance.isDead || (isAnswered && (hasDisconnected || outcome)), "every request ends", () => `request ${number}`);
    for (const { turnsBegun, turnsSettled } of instances)
      check(turnsBegun === turnsSettled, "every turn ends", () => `${turnsSettled} of ${turnsBegun} do`);
    for (const { number, isOpen, attempt } of ledger.calls)
      check(!isOpen || attempt.process.isDead, "every model call is closed", () => `call ${number}`);
    for (const { ended, process, thread, responseId } of ledger.runs)
      check(ended || process.isDead, "onTurnEnd is called for every turn", () => nameOf(thread, responseId));
    check(clock.count() === 0, "no timer is left", () => `${clock.count()} are`);
    for (const { subscriptions, number } of instances)
      check(subscriptions.size === 0, "no subscription is left", () => `${subscriptions.size} of instance ${number}`);
    await schedule.settle();
  };

  const last = createLastRequests({ ledger, store, ask, settle, turnedBack: () => turnedBack });

  const play = async () => {
    actNext();
    await schedule.settle();
    for (const list of [scripts, calls, stores]) list.length = 0;
    for (const instance of instances) {
      instance.thaw(false);
      instance.line = "whole";
    }
    schedule.calm();
    schedule.note("from here on, all is well");
    wellSince = clock.time;
    await settle();
    await last.retryAll();
    wellSince = clock.time;
    await last.resumeAll();
  };

  return { play, trace: schedule.trace };
}
