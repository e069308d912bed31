/** The app's `onTurnEnd`. */
import { callSafely } from "../core/async.ts";
import type { ChatHandlerError } from "../core/errors.ts";
import type { MessageStatus } from "../core/store.ts";
import type { TurnEndEvent } from "./settings.ts";
import type { Turn } from "./turn.ts";
import { sumUsage } from "../model/usage.ts";

/** Calls `onTurnEnd` with what happened. Resolves when it has finished. */
export async function notifyTurnEnd(turn: Turn, status: MessageStatus, error: ChatHandlerError | undefined): Promise<void> {
  try {
    const event = createTurnEndEvent(turn, status, error);
    await callSafely(() => turn.settings.onTurnEnd?.(event));
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
