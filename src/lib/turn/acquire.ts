/** The beginning of a turn: its place in the queue, what the store already has of it, and its prompt in the store. */
import { withTimeout } from "../core/async.ts";
import type { Lease, QueueTicket } from "../core/turn-registry.ts";
import { ChatHandlerError } from "../core/errors.ts";
import { type ExistingTurn, loadDistantTurn, loadRecentTurn } from "./existing-turn.ts";
import { titleOf } from "./title.ts";
import type { Turn } from "./turn.ts";

/** The result of {@link acquireThread}: the right to run, or the answer, which waits for nobody. */
export interface Acquired {
  lease?: Lease;
  answered?: ExistingTurn;
}

/** Waits for the turns ahead. A complete answer in the store ends the wait. */
export async function acquireThread(turn: Turn, ticket: QueueTicket): Promise<Acquired> {
  if (ticket.ahead === 0) return { lease: await ticket.waitForLease() };
  const answered = await findAnswer(turn);
  if (answered) return { answered };
  const lease = await waitForLease(turn, ticket, turn.settings.timeouts.queue);
  turn.progress.wasThreadKnown ||= lease.hasPredecessorStarted;
  return { lease };
}

/** Returns the complete answer. A function of its own: a suspended one would keep the history that it read while the turn waits. */
async function findAnswer(turn: Turn): Promise<ExistingTurn | undefined> {
  const existing = await loadRecentTurn(turn);
  return existing.state === "complete" ? existing : undefined;
}

/** The error of a turn that the queue does not admit. */
export function createBusyError(): ChatHandlerError {
  return new ChatHandlerError("thread_busy", "Another answer is being written. Try again.", { retryAfter: "1" });
}

async function waitForLease(turn: Turn, ticket: QueueTicket, timeout: number): Promise<Lease> {
  try {
    return await withTimeout(timeout, ticket.waitForLease(), createBusyError);
  } catch (error) {
    if (turn.log.hasReaders && !turn.abortReason) throw error;
    // Nobody is there to try again. The prompt was sent, so it waits on and is stored.
    return ticket.waitForLease();
  }
}

/**
 * Stores the prompt, unless it is stored already. Returns what the store had of the turn before.
 *
 * @throws ChatHandlerError `thread_deleted`, `id_conflict` (of an id that was used for something else)
 */
export async function storePrompt(turn: Turn): Promise<ExistingTurn> {
  const { store } = turn.settings;
  const existing = await loadRecentTurn(turn);
  if (existing.state === "complete") return existing;
  // The thread routes store a first prompt before its turn.
  if (existing.hasPrompt) return existing;
  await turn.throwUnlessItMayWrite();
  // Stored even if the client has disconnected: the user sees the prompt as sent.
  const storedIds = await store.appendMessages(turn.thread, [turn.prompt], { title: titleOf(turn) });
  if (storedIds.includes(turn.prompt.id)) return existing;
  // The prompt is further back than the messages that were read.
  return loadDistantTurn(turn);
}
