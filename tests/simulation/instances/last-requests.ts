/** The last requests of a schedule: after all is well, every prompt gets its answer, and every cursor its rest. */
import type { ThreadStore } from "../../../src/index.ts";
import { isSame } from "../records.ts";
import { type Asked, cursorOf } from "./clients.ts";
import { type ClientRequest, type InstancesLedger, pace } from "./ledger.ts";

/** What they need of the run. */
interface LastRequestsContext {
  ledger: InstancesLedger;
  store: ThreadStore;
  ask(asked: Asked, isReading: boolean, at: number): ClientRequest;
  settle(): Promise<void>;
  /** By how much the clock of the database was turned back, in milliseconds. */
  turnedBack(): number;
}

/** Most cursors that are tried at the end of a schedule. */
const maxCursors = 2;

export const isSameTurn = (one: ClientRequest, other: ClientRequest): boolean =>
  one.responseId === other.responseId && isSame(one.thread, other.thread);

/** What a request asked for. */
export const pick = ({ thread, promptId, content, responseId }: ClientRequest): Omit<Asked, "kind"> => ({
  thread,
  promptId,
  content,
  responseId,
});

export function createLastRequests({ ledger, store, ask, settle, turnedBack }: LastRequestsContext) {
  const { requests, check, clock } = ledger;

  const send = async (asked: Asked, at: number) => {
    const sent = ask(asked, true, at);
    await settle();
    return sent;
  };

  /** Lets so much time pass, by any clock. */
  const wait = async (ms: number) => {
    clock.after(ms + turnedBack(), () => {});
    await settle();
  };

  /** Without faults, the same ids give every prompt one complete answer, on every instance. */
  const retryAll = async () => {
    const unique = requests.filter(
      (request, index) =>
        request.kind === "prompt" && requests.findIndex((other) => other.kind === "prompt" && isSameTurn(other, request)) === index,
    );
    // The leases of crashed instances end.
    await wait(pace.leaseMs);
    for (const [index, request] of unique.entries()) {
      const asked: Asked = { ...pick(request), kind: "prompt" };
      let first = await send(asked, index);
      // A stop that came too early still waits.
      if (first.outcome === "turn_stopped") first = await send(asked, index);
      check(first.outcome === "clean", "the same ids get a complete answer", () => `${request.responseId} gave ${first.outcome}`);
      const made = ledger.runs.length;
      const again = await send(asked, index + 1);
      check(
        again.outcome === "clean" && again.received.equals(first.received),
        "a replay equals the answer",
        () => `${request.responseId} gave ${again.outcome}`,
      );
      check(ledger.runs.length === made, "a replay calls no model", () => request.responseId);
    }
  };

  /** When only the store has the answers, a cursor of a stored attempt gets the rest, and any other cursor is gone. */
  const resumeAll = async () => {
    const cursors = new Map<string, ClientRequest>();
    for (const request of requests) if (request.attempt !== undefined) cursors.set(request.attempt, request);
    if (cursors.size === 0) return;
    await wait(pace.retentionMs + pace.leaseMs);
    // Those of the newest attempts are the stored ones.
    const tried = [...cursors.values()].slice(0, maxCursors);
    for (const [index, request] of tried.entries()) {
      const messages = await store.listMessages(request.thread);
      const stored = messages.find(({ id }) => id === request.responseId);
      const sent = await send({ ...pick(request), kind: "resume", cursor: cursorOf(request) }, index + 1);
      const expected = stored?.attempt === request.attempt ? "clean" : "cursor_gone";
      check(
        sent.outcome === expected,
        "a cursor continues a stored answer of its own attempt, and no other",
        () => `request ${sent.number} got ${sent.outcome}, not ${expected}`,
      );
    }
  };

  return { retryAll, resumeAll };
}
