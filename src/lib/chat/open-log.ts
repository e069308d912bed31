/** Finds or starts the turn of a request. */
import { callSafely } from "../core/async.ts";
import type { TurnContext } from "../core/context.ts";
import { createIdConflict } from "../core/errors.ts";
import type { EventLog } from "../core/event-log.ts";
import { createBusyError } from "../turn/acquire.ts";
import { replayIfComplete } from "../turn/begin-turn.ts";
import { runTurn } from "../turn/run-turn.ts";
import { Turn } from "../turn/turn.ts";
import type { ChatSettings } from "./options.ts";

/** The log that answers a request. */
export interface OpenedLog {
  log: EventLog;
  /** Whether the request may enter again if the log fails with `lease_lost` and is empty: it waited, and its own instance has done nothing. */
  mayEnterAgain(): boolean;
}

/**
 * Returns the log of the turn that answers a request: of the turn with its response id if that waits or runs, otherwise of a new one.
 *
 * @throws ChatHandlerError `id_conflict`, `thread_busy`, `store_failed`
 */
export async function openLog(context: TurnContext, settings: ChatSettings): Promise<OpenedLog> {
  const { registry, concurrency, limits } = settings;
  const policy = { concurrency, maxQueued: limits.queue };
  const turn = new Turn(context, settings);
  // A prompt that is sent again must not interrupt the turn that runs.
  if (concurrency === "interrupt" && (await replayIfComplete(turn))) return replayed(turn);
  const entrance = await registry.enter(context, policy, turn);
  switch (entrance.kind) {
    case "entered":
      turn.log.ended = runTurn(turn, entrance.ticket);
      keepAlive(turn, settings);
      return { log: turn.log, mayEnterAgain: () => turn.progress.startedAt === undefined };
    case "joined":
      return { log: entrance.log, mayEnterAgain: () => entrance.isRemote === true };
    case "conflict":
      throw createIdConflict("responseId");
    case "busy":
      if (await replayIfComplete(turn)) return replayed(turn);
      throw createBusyError();
  }
}

const replayed = ({ log }: Turn): OpenedLog => ({ log, mayEnterAgain: () => false });

/** Asks the platform to keep the process alive until the turn is stored. */
function keepAlive(turn: Turn, { waitUntil }: ChatSettings): void {
  if (!waitUntil) return;
  const finished = turn.log.ended.then(() => turn.progress.notified);
  callSafely(() => waitUntil(finished)).catch((error: unknown) => turn.report(error));
}
