/** The end of a turn in the store. */
import { ChatHandlerError, createIdConflict, createThreadDeletedError } from "../core/errors.ts";
import type { MessageStatus, StoredMessage } from "../core/store.ts";
import { textOf } from "../history/message-text.ts";
import { refusedFinishReason } from "../history/refusals.ts";
import { isRefusal } from "../model/provider-error.ts";
import { type ExistingTurn, loadExistingTurn } from "./existing-turn.ts";
import type { DraftMessage, Turn } from "./turn.ts";

/** Stores the whole answer. Resolves only when it is in the store. */
export async function commitAnswer(turn: Turn): Promise<void> {
  const { step } = turn.progress;
  // A model that has used its tools may have nothing to add.
  const isSilent = turn.log.textFrom(0) === "" && turn.progress.completedSteps.length === 0;
  if (!step || isSilent) throw new ChatHandlerError("model_failed", "The model sent no text.");
  turn.state = { name: "committing", step };
  await turn.throwUnlessItMayWrite();
  try {
    if (await storeAnswer(turn, "complete")) return;
  } catch (error) {
    // The store may have kept the answer all the same.
    if (!isSameAnswer(turn, await loadExistingTurn(turn))) throw error;
    turn.report(error);
    return;
  }
  await throwUnlessStored(turn);
}

/** Stores the partial answer of a turn that ended early, and marks a prompt that the provider refused. Errors are reported. */
export async function storePartialAnswer(turn: Turn, status: MessageStatus, error: ChatHandlerError): Promise<void> {
  try {
    await turn.throwUnlessItMayWrite();
    await storeAnswer(turn, status);
    if (isRefusal(error) && !turn.progress.step?.text) {
      await turn.settings.store.updateMessage(turn.thread, turn.prompt.id, { finishReason: refusedFinishReason });
    }
  } catch (thrown) {
    turn.report(thrown);
  }
}

/** Stores the answer in place of a broken attempt. Returns whether it is stored. */
async function storeAnswer(turn: Turn, status: MessageStatus): Promise<boolean> {
  const { settings, progress, prompt, thread } = turn;
  const toStored = (id: string, draft: DraftMessage): StoredMessage => ({
    id,
    ...draft,
    promptId: prompt.id,
    status,
    createdAt: settings.now(),
  });
  // New ids at each attempt: an earlier attempt that was stored after all cannot conflict with this one.
  const batch = progress.completedSteps.map((draft) => toStored(settings.generateId(), draft));
  const { step } = progress;
  const lastStep = step && !step.isStored ? step : undefined;
  const content = lastStep?.text ?? "";
  if (content || status === "complete") {
    const { finishReason, usage } = lastStep ?? {};
    const { attempt } = turn.log;
    batch.push({ ...toStored(turn.responseId, { message: { role: "assistant", content }, finishReason, usage }), attempt });
  }
  if (batch.length === 0) return false;
  // Counted before the call: a store may change the array.
  const { length } = batch;
  if (new Set(batch.map(({ id }) => id)).size < length) throw new TypeError("generateId() must return a new id at each call.");
  const storedIds = await settings.store.appendMessages(thread, batch, { replacesAnswerTo: prompt.id });
  return storedIds.length === length;
}

/** The store refused the batch: the answer is there already, the prompt is gone, or another instance answered it. */
async function throwUnlessStored(turn: Turn): Promise<void> {
  const existing = await loadExistingTurn(turn);
  if (!existing.hasPrompt) throw createThreadDeletedError();
  if (!isSameAnswer(turn, existing)) throw createIdConflict("responseId");
}

/** Whether the store has the turn's whole answer, word for word. */
function isSameAnswer(turn: Turn, { state, answer }: ExistingTurn): boolean {
  const text = answer.map(({ message }) => (message.role === "assistant" ? textOf(message) : "")).join("");
  return state === "complete" && text === turn.log.textFrom(0);
}
