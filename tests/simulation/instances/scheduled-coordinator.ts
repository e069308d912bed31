/** The coordinator of one instance. Each call is a step, which can be delayed, fail before or after its effect, or never be answered. */
import {
  type Coordinator,
  type CoordinatorEntrance,
  type CoordinatorHint,
  coordinatorMethods,
  type EntryPolicy,
  type Follower,
  type Ticket,
  type TicketRequest,
  type TicketStatus,
  type TurnKey,
} from "../../../src/lib/core/coordinator.ts";
import { keyOf } from "../../../src/lib/core/store.ts";
import type { CoordinatorHistory } from "./losses.ts";
import type { QueueRules } from "./queue-rules.ts";
import type { Instance } from "./instance.ts";
import { callTimeout, type InstancesLedger } from "./ledger.ts";
import type { CallFault, HintFate } from "./plan.ts";

/** How the plan decides. */
export interface CoordinatorFates {
  nextCall(): CallFault;
  nextHint(): HintFate;
}

/** How much later a late hint comes, in milliseconds. */
const hintDelay = 500;

const faultOfLine = { whole: undefined, cut: "refuse", silent: "never", lossy: "silent" } as const;

export function createScheduledCoordinator(
  inner: Coordinator,
  instance: Instance,
  ledger: InstancesLedger,
  fates: CoordinatorFates,
  rules: QueueRules,
  history: CoordinatorHistory,
): Coordinator {
  const { schedule, clock } = ledger;

  const call = (method: (typeof coordinatorMethods)[number], args: unknown[]): Promise<unknown> => {
    const fault = faultOfLine[instance.line] ?? fates.nextCall();
    if (fault !== "none" && fault !== "slow") ledger.hasFault = true;
    const label = `coordinator ${instance.number} ${method} ${rules.label(args[0])}`;
    const settled = ledger.expectAnswer("coordinator");
    const sentAt = clock.time;
    const sentAtInstance = instance.now;
    rules.sent(instance, method, args[0]);
    const { follower } = (args.at(-1) ?? {}) as Partial<Follower>;
    if (follower !== undefined) history.followers.set(follower, instance);
    const act = async () => {
      if (method === "end") history.ending();
      const result = await (inner[method] as (...args: unknown[]) => Promise<unknown>)(...args);
      if (method === "enter") rules.entered(instance, args[0] as TicketRequest, args[1] as EntryPolicy, result as CoordinatorEntrance);
      if (method === "stop") rules.stopped(args[0] as TurnKey);
      if (method === "append") history.appended(args[0] as Ticket, result as TicketStatus);
      history.changed();
      return result;
    };
    return new Promise((resolve, reject) => {
      const fail = (error: unknown) => {
        settled();
        rules.settled(instance, method, args[0]);
        rules.failed(instance, args[0]);
        reject(error);
      };
      const answer = (result: unknown) => {
        const waited = clock.time - sentAt;
        settled();
        if (method === "enter")
          rules.entranceAnswered(instance, args[0] as TicketRequest, args[1] as EntryPolicy, result as CoordinatorEntrance, waited);
        if (method === "end") rules.endAnswered(args[0] as Ticket);
        if (method === "close") rules.closeAnswered(args[0] as Ticket, result === true);
        rules.settled(instance, method, args[0]);
        if (method !== "stop" && method !== "find" && method !== "read") {
          const ticket = method === "enter" ? (result as { ticket?: Ticket }).ticket : (args[0] as Ticket);
          const status = method === "enter" ? (result as { status?: TicketStatus }).status : (result as TicketStatus | undefined);
          if (ticket && typeof status === "object") {
            rules.answered(ticket, method, status, sentAtInstance, waited < callTimeout);
          }
        }
        resolve(result);
      };
      const split = () =>
        schedule.offer(`${label} takes effect`, async () => {
          const done = await act().then(
            (result) => () => answer(result),
            (error: unknown) => () => fail(error),
          );
          if (fault === "slow") instance.offer(`${label} is answered`, done);
        });
      switch (fault) {
        case "none":
          instance.offer(label, () => act().then(answer, fail));
          break;
        case "slow":
        case "silent":
          split();
          break;
        case "refuse":
          instance.offer(`${label} is refused`, () => fail(new Error("connect ECONNREFUSED")));
          break;
        case "lose":
          instance.offer(`${label} takes effect, and its answer is lost`, () =>
            act()
              .catch(() => {})
              .then(() => fail(new Error("read ECONNRESET"))),
          );
          break;
        case "late":
          clock.after(callTimeout + 400, () => {
            schedule.offer(`${label} takes effect late`, () =>
              act().then(
                (result) => instance.offer(`${label} is answered late`, () => answer(result)),
                () => {},
              ),
            );
          });
          break;
        case "never":
      }
    });
  };

  const methods = coordinatorMethods.map((method) => [method, (...args: unknown[]) => call(method, args)]);
  const coordinator: Coordinator = { ...inner, ...Object.fromEntries(methods) };
  if (!inner.subscribe) return coordinator;
  /** How many listeners of each channel are subscribed. */
  const channels = new Map<string, number>();
  return {
    ...coordinator,
    subscribe(thread, type, listener, onSubscribed) {
      let isOpen = true;
      const deliver = (hint: CoordinatorHint) => {
        if (isOpen) instance.offer(`hint for ${instance.number}: ${hint.type}`, () => isOpen && listener(hint));
      };
      const receive = (hint: CoordinatorHint) => {
        if (instance.isDead || instance.line !== "whole" || clock.time < instance.mutedUntil) return;
        const fate = fates.nextHint();
        if (fate === "lost") return;
        if (fate === "late") return clock.after(hintDelay, () => deliver(hint));
        deliver(hint);
        if (fate === "twice") deliver(hint);
      };
      const channel = `${type} ${keyOf(thread)}`;
      let isInEffect = false;
      const open = () => {
        isInEffect = true;
        channels.set(channel, (channels.get(channel) ?? 0) + 1);
        return inner.subscribe!(thread, type, receive);
      };
      let unsubscribe = () => {};
      if (channels.get(channel)) {
        // Listeners share a channel, which is subscribed already.
        unsubscribe = open();
        queueMicrotask(() => isOpen && onSubscribed?.());
      } else {
        unsubscribe = instance.offer(`subscription of ${instance.number}: ${type}`, () => {
          unsubscribe = open();
          onSubscribed?.();
        });
      }
      const end = () => {
        if (isOpen && isInEffect) channels.set(channel, channels.get(channel)! - 1);
        isOpen = false;
        unsubscribe();
        instance.subscriptions.delete(end);
      };
      instance.subscriptions.add(end);
      return end;
    },
  };
}
