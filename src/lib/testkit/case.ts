/** How a case for a store is written, and how it runs. */
import { type MessageStore, messageStoreMethods, type StoredMessage, type ThreadStore, threadStoreMethods } from "../core/store.ts";
import { CallLog, type CallShape } from "./calls.ts";
import { isRecord, show } from "./expect.ts";
import { storeInvariants, type InvariantName } from "./invariants.ts";
import { runBody } from "./run.ts";
import type { Subject } from "./subject.ts";

/** Opens more instances on the data of the case's store. */
interface Instances<Store> {
  /** Opens a second instance beside the first. Only for a case that needs `peer`. */
  peer(): Promise<Store>;
  /** Closes the first instance and opens another in its place. Only for a case that needs `reopen`. */
  reopen(): Promise<Store>;
  /** Closes the store and opens another one without data, as for the next case. */
  startAgain(): Promise<Store>;
}

/** A case as it is written. */
export interface CaseDefinition<Store extends MessageStore> {
  name: string;
  invariant: InvariantName;
  needs?: "peer" | "reopen" | undefined;
  body(store: Store, instances: Instances<Store>): Promise<void>;
}

/** A case of the tier that every store has. */
export type MessageCase = CaseDefinition<MessageStore>;

/** A case of the tier of stores with threads. */
export type ThreadCase = CaseDefinition<ThreadStore>;

/** The calls of a store, for the failures. */
const storeCalls: CallShape = {
  kind: "store",
  openedBy: "create, peer and reopen",
  methods: [...messageStoreMethods, ...threadStoreMethods],
  readingMethods: new Set(["listMessages", "listThreads", "getThread"]),
  readsShowAll: true,
  resultFault(method, result) {
    const list = lists[method];
    const isList = Array.isArray(method === "listThreads" ? Object(result).threads : result);
    return list && !isList ? list : undefined;
  },
  brief: briefMessages,
};

/** The methods that resolve to a list, and which: a case fails on anything else before it can say what is wrong. */
const lists: Readonly<Record<string, string>> = {
  listMessages: "an array of messages",
  appendMessages: "an array of ids",
  listThreads: "{ threads: [] }",
};

/** Like `show`, but names messages by their ids alone: a line of the log should fit on a screen. */
function briefMessages(value: unknown): string {
  if (!Array.isArray(value) || value.length === 0) return show(value);
  const items: unknown[] = value.slice(0, 6); // may call a getter that throws
  if (!items.every(isMessage)) return show(value);
  return `[${items.map(nameOf).join(", ")}${value.length > items.length ? `, … and ${value.length - items.length} more` : ""}]`;
}

const isMessage = (item: unknown): item is StoredMessage => isRecord(item) && "promptId" in item && "message" in item;

function nameOf({ id, promptId, status }: StoredMessage): string {
  const prompt = promptId === id ? "" : ` to ${show(promptId)}`;
  return `message ${show(id)}${prompt}${status === "complete" ? "" : ` (${status})`}`;
}

/** Runs the case on a new store. Rejects with an `InvariantError` if the store breaks the invariant. */
export async function runStoreCase<Store extends MessageStore>(
  { invariant, body }: CaseDefinition<Store>,
  subject: Subject<Store>,
  timeout: number,
): Promise<void> {
  const log = new CallLog(storeCalls);
  let first = await subject.create();
  const recorded = log.record(first, "store");
  const peers: Store[] = [];

  const instances: Instances<Store> = {
    async peer() {
      if (!subject.peer) throw new Error("The case does not declare that it needs `peer`");
      const peer = await subject.peer(first);
      const recorded = log.record(peer, "peer");
      peers.push(peer);
      return recorded;
    },
    async reopen() {
      if (!subject.reopen) throw new Error("The case does not declare that it needs `reopen`");
      first = await subject.reopen(first);
      return log.record(first, "reopened");
    },
    async startAgain() {
      await subject.destroy?.(first);
      first = await subject.create();
      return log.record(first, "new store");
    },
  };

  await runBody({
    invariant: storeInvariants[invariant],
    log,
    timeout,
    body: () => body(recorded, instances),
    async close() {
      for (const store of [...peers.reverse(), first]) await subject.destroy?.(store);
    },
  });
}
