/** The app's `onTurnEnd`. */
import { callSafely, withTimeout } from "../core/async.ts";
import type { ChatHandlerError } from "../core/errors.ts";
import type { MessageStatus } from "../core/store.ts";
import type { TurnEndEvent } from "./settings.ts";
import type { Turn } from "./turn.ts";
import { sumUsage } from "../model/usage.ts";

/** Calls `onTurnEnd` with what happened. Resolves when it has finished, or has taken longer than a turn may. */
export async function notifyTurnEnd(turn: Turn, status: MessageStatus, error: ChatHandlerError | undefined): Promise<void> {
  const { onTurnEnd, timeouts } = turn.settings;
  if (!onTurnEnd) return;
  try {
    const notified = callSafely(() => onTurnEnd(createTurnEndEvent(turn, status, error)));
    await withTimeout(timeouts.turn, notified, () => new Error(`onTurnEnd took longer than ${timeouts.turn} ms.`));
  } catch (thrown) {
    turn.report(thrown);
  }
}

function createTurnEndEvent(turn: Turn, status: MessageStatus, error: ChatHandlerError | undefined): TurnEndEvent {
  const { step, steps, usageOfCompletedSteps, enteredAt, startedAt = enteredAt, firstTextAt } = turn.progress;
  const lastStep = step && !step.isStored ? step : undefined;
  return {
    ...turn.context,
    status,
    finishReason: step?.finishReason,
    usage: sumUsage(usageOfCompletedSteps, lastStep?.usage),
    steps,
    error,
    timings: {
      queued: startedAt - enteredAt,
      firstText: firstTextAt === undefined ? undefined : firstTextAt - enteredAt,
      total: performance.now() - enteredAt,
    },
  };
}
