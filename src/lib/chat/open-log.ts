/** Finds or starts the turn of a request. */
import { callSafely } from "../core/async.ts";
import type { TurnContext } from "../core/context.ts";
import { createClientGoneError, createIdConflict } from "../core/errors.ts";
import type { EventLog } from "../core/event-log.ts";
import type { Ticket } from "../core/coordinator.ts";
import { createBusyError } from "../turn/acquire.ts";
import { replayIfComplete, runTurn } from "../turn/run-turn.ts";
import { abortTurn, createTurn, reportTurnError, type Turn } from "../turn/turn.ts";
import type { ChatSettings } from "./options.ts";

/**
 * Returns the log of the turn that answers a request: of the turn with its response id if that waits or runs, otherwise of a new one.
 *
 * @throws ChatHandlerError `id_conflict`, `thread_busy`, `store_failed`
 */
export async function openLog(context: TurnContext, settings: ChatSettings): Promise<EventLog> {
  const { coordinator, concurrency, limits } = settings;
  const { owner, threadId, responseId, prompt } = context;
  const entry = { owner, threadId, responseId, prompt };
  for (;;) {
    let ticket: Ticket | undefined;
    const turn = createTurn(context, settings, () => ticket?.refuseJoins());
    const stop = () => abortTurn(turn, createClientGoneError());
    const entrance = await coordinator.enter(entry, { concurrency, maxQueued: limits.queue }, { log: turn.log, stop });
    switch (entrance.kind) {
      case "entered":
        ticket = entrance.ticket;
        keepAlive(turn, runTurn(turn, ticket), settings);
        return turn.log;
      case "joined": {
        const log = await coordinator.follow(entry);
        if (log) return log;
        // The turn ended in between: enter again.
        break;
      }
      case "conflict":
        throw createIdConflict("responseId");
      case "busy":
        if (await replayIfComplete(turn)) return turn.log;
        throw createBusyError();
    }
  }
}

/** Asks the platform to keep the process alive until the turn is stored. */
function keepAlive(turn: Turn, finished: Promise<void>, { waitUntil }: ChatSettings): void {
  if (!waitUntil) return;
  callSafely(() => waitUntil(finished)).catch((error: unknown) => reportTurnError(turn, error));
}
