/** What a coordinator can lose: text, tickets, or its newest changes. */
import type { TicketKey, TicketStatus } from "../../../src/lib/core/coordinator.ts";
import type { CoordinatorData, KeptLog, ThreadData } from "../../testkit/simple-coordinator.ts";
import type { Instance } from "./instance.ts";
import type { InstancesPlan, Loss } from "./plan.ts";

/** What has happened to the data of a coordinator. */
export interface CoordinatorHistory {
  /** The instance of each follower. */
  readonly followers: Map<string, Instance>;
  /** Text was added to a log. */
  appended(ticket: TicketKey, status: TicketStatus): void;
  /** A call took effect. */
  changed(): void;
  lose(what: Loss, back: number): void;
  /** Loses it before the next end takes effect. */
  loseAtEnd(what: Loss, back: number): void;
  /** An end is about to take effect. */
  ending(): void;
}

/** Most changes that a plan takes back. */
const maxBack = 5;

/** Records what happens to the data of a coordinator, as far as a plan needs it. */
export function createCoordinatorHistory(data: CoordinatorData, plan: InstancesPlan): CoordinatorHistory {
  /** The lengths of each log after its appends. */
  const lengths = new Map<string, number[]>();
  /** The data after each of the newest changes. The last is how it is now. */
  const copies: CoordinatorData["threads"][] = [new Map()];
  const isCopied = plan.actions.some(({ action }) => action.do === "lose" && action.what === "recent");

  const changed = () => {
    if (!isCopied) return;
    copies.push(copyThreads(data.threads));
    if (copies.length > maxBack + 1) copies.shift();
  };

  const openLogs = (): KeptLog[] =>
    [...data.threads.values()].flatMap(({ logs, queue }) =>
      [...logs.values()].flat().filter(({ attempt }) => queue.some((entry) => entry.attempt === attempt)),
    );

  const cut = (log: KeptLog, back: number) => {
    const known = lengths.get(log.attempt)?.filter((length) => length <= log.text.length) ?? [];
    log.text = log.text.slice(0, known.at(-1 - back) ?? 0);
  };

  const restore = (threads: CoordinatorData["threads"]) => {
    data.threads.clear();
    for (const [key, thread] of copyThreads(threads)) data.threads.set(key, thread);
  };

  let loseNow: (() => void) | undefined;

  const history: CoordinatorHistory = {
    followers: new Map(),
    changed,
    loseAtEnd(what, back) {
      loseNow = () => history.lose(what, back);
    },
    ending() {
      loseNow?.();
      loseNow = undefined;
    },
    appended({ attempt }, { logLength }) {
      lengths.set(attempt, [...(lengths.get(attempt) ?? []), logLength]);
    },
    lose(what, back) {
      switch (what) {
        case "tail":
          for (const log of openLogs()) cut(log, back);
          break;
        case "log":
          for (const log of openLogs()) log.text = "";
          break;
        case "tickets":
          for (const thread of data.threads.values()) Object.assign(thread, { lastPlace: 0, queue: [], left: new Map(), stops: new Map() });
          break;
        case "recent":
          restore(copies.at(-1 - back) ?? copies[0]!);
      }
      changed();
    },
  };
  return history;
}

function copyThreads(threads: CoordinatorData["threads"]): CoordinatorData["threads"] {
  return new Map([...threads].map(([key, thread]) => [key, copyThread(thread)]));
}

function copyThread({ lastPlace, queue, left, logs, stops }: ThreadData): ThreadData {
  return {
    lastPlace,
    queue: queue.map((entry) => ({ ...entry, followers: new Map(entry.followers) })),
    left: new Map(left),
    logs: new Map([...logs].map(([responseId, kept]) => [responseId, kept.map((log) => ({ ...log }))])),
    stops: new Map(stops),
  };
}
