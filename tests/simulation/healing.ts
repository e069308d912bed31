/** After all that went wrong: the same ids sent again, in peace, give every prompt one whole answer. */
import type { Asked } from "./clients.ts";
import { type ChatRequest, isRival, isSame, nameOf } from "./records.ts";
import type { Reference } from "./reference.ts";

/**
 * Asks every prompt again: it must get a whole answer, once, and the same from then on.
 *
 * @param last - The handler's `history.maxMessages`.
 */
export async function heal({ ledger }: Reference, last: number, ask: (asked: Asked) => Promise<ChatRequest>): Promise<void> {
  const { mirror, attempts, unless, happened } = ledger;

  for (const asked of askable(ledger)) {
    const { thread, promptId, responseId } = asked;
    const name = nameOf(thread, promptId, responseId);
    const [before, wasWhole] = [attempts.length, mirror.find(thread, responseId)?.stored.status === "complete"];
    const first = await ask(asked);
    unless(first.outcome === "clean", "the same ids again give a whole answer", () => `${name} gave ${first.outcome}`);
    const made = attempts.length;
    unless(made - before === (wasWhole ? 0 : 1), "an answer is made once", () => name);

    const storeCalls = ledger.storeCalls;
    const again = await ask(asked);
    const reads = ledger.storeCalls - storeCalls;
    unless(reads === 1 || last < 100, "a replay reads the store once", () => `${name} called it ${reads} times`);
    unless(again.outcome === "clean" && again.shown === first.shown, "a replay is the same", () => `${again.shown}, not ${first.shown}`);
    unless(attempts.length === made, "a replay calls no model", () => name);

    const other = await ask({ ...asked, responseId: `${responseId}-other` });
    unless(other.outcome === "id_conflict", "a prompt is answered under one response id", () => `${name}-other gave ${other.outcome}`);

    const turn = mirror.list(thread).filter(({ stored }) => stored.promptId === promptId);
    const whole = turn.filter(
      ({ stored: { message, status } }) => status === "complete" && message.role === "assistant" && !message.tool_calls,
    );
    const isAlone =
      turn[0]?.stored.id === promptId && turn.at(-1)?.stored.id === responseId && turn.every(({ stored }) => stored.status === "complete");
    // A slow store or another process may have kept a part of an earlier go after all.
    const isRaced =
      happened(thread, 0, "store fault", "late write") || attempts.some((attempt) => attempts.some((other) => isRival(attempt, other)));
    unless(whole.length === 1 && (isAlone || isRaced), "a turn is its prompt and one whole answer", () => JSON.stringify(turn));
  }
}

/** Each prompt once, as it can still be asked: an id that was used first for something else is lost to it. */
function askable({ mirror, requests }: Reference["ledger"]): Asked[] {
  const found: Asked[] = [];
  for (const { thread, promptId, content } of requests) {
    if (found.some((other) => isSame(other.thread, thread) && other.promptId === promptId)) continue;
    const turn = mirror.list(thread).filter(({ stored }) => stored.promptId === promptId);
    const prompt = turn.find(({ stored }) => stored.id === promptId)?.stored.message.content;
    const answer = turn.find(
      ({ stored: { message, status } }) => status === "complete" && message.role === "assistant" && !message.tool_calls,
    );
    const isFree = (responseId: string) =>
      (mirror.find(thread, responseId)?.stored.promptId ?? promptId) === promptId &&
      !found.some((other) => isSame(other.thread, thread) && other.responseId === responseId);
    const free = requests.find((other) => other.promptId === promptId && isSame(other.thread, thread) && isFree(other.responseId));
    const responseId = answer?.stored.id ?? free?.responseId;
    if (responseId) found.push({ thread, promptId, content: typeof prompt === "string" ? prompt : content, responseId });
  }
  return found;
}
