/** Retries after a schedule: without faults, the same ids give every prompt one complete answer. */
import type { RequestBody } from "./clients.ts";
import { type ChatRequest, isRival, isSame, nameOf } from "./records.ts";
import type { Reference } from "./reference.ts";

/**
 * Sends every prompt again. Each must get one complete answer, and the same one again after that.
 *
 * @param last - The handler's `history.maxMessages`.
 */
export async function retryAllPrompts(
  { ledger }: Reference,
  last: number,
  ask: (asked: RequestBody) => Promise<ChatRequest>,
): Promise<void> {
  const { expectedStore, attempts, check, happened } = ledger;

  for (const asked of findRetryablePrompts(ledger)) {
    const { thread, promptId, responseId } = asked;
    const name = nameOf(thread, promptId, responseId);
    const [before, wasWhole] = [attempts.length, expectedStore.find(thread, responseId)?.stored.status === "complete"];
    const first = await ask(asked);
    check(first.outcome === "clean", "the same ids get a complete answer", () => `${name} gave ${first.outcome}`);
    const made = attempts.length;
    check(made - before === (wasWhole ? 0 : 1), "an answer costs one model call", () => name);

    const storeCalls = ledger.storeCalls;
    const again = await ask(asked);
    const reads = ledger.storeCalls - storeCalls;
    check(reads === 1 || last < 100, "a replay reads the store once", () => `${name} called it ${reads} times`);
    check(
      again.outcome === "clean" && again.receivedText === first.receivedText,
      "a replay equals the answer",
      () => `${again.receivedText}, not ${first.receivedText}`,
    );
    check(attempts.length === made, "a replay calls no model", () => name);

    const other = await ask({ ...asked, responseId: `${responseId}-other` });
    check(other.outcome === "id_conflict", "a prompt is answered under one response id", () => `${name}-other gave ${other.outcome}`);

    const turn = expectedStore.list(thread).filter(({ stored }) => stored.promptId === promptId);
    const whole = turn.filter(
      ({ stored: { message, status } }) => status === "complete" && message.role === "assistant" && !message.tool_calls,
    );
    const isAlone =
      turn[0]?.stored.id === promptId && turn.at(-1)?.stored.id === responseId && turn.every(({ stored }) => stored.status === "complete");
    // A slow store or another process may have stored a partial answer of an earlier attempt.
    const isRaced =
      happened(thread, 0, "store fault", "late write") || attempts.some((attempt) => attempts.some((other) => isRival(attempt, other)));
    check(whole.length === 1 && (isAlone || isRaced), "a turn has its prompt and one complete answer", () => JSON.stringify(turn));
  }
}

/** Each prompt once. A prompt whose id was first used for something else cannot be retried. */
function findRetryablePrompts({ expectedStore, requests }: Reference["ledger"]): RequestBody[] {
  const found: RequestBody[] = [];
  for (const { thread, promptId, content } of requests) {
    if (found.some((other) => isSame(other.thread, thread) && other.promptId === promptId)) continue;
    const turn = expectedStore.list(thread).filter(({ stored }) => stored.promptId === promptId);
    const prompt = turn.find(({ stored }) => stored.id === promptId)?.stored.message.content;
    const answer = turn.find(
      ({ stored: { message, status } }) => status === "complete" && message.role === "assistant" && !message.tool_calls,
    );
    const isFree = (responseId: string) =>
      (expectedStore.find(thread, responseId)?.stored.promptId ?? promptId) === promptId &&
      !found.some((other) => isSame(other.thread, thread) && other.responseId === responseId);
    const free = requests.find((other) => other.promptId === promptId && isSame(other.thread, thread) && isFree(other.responseId));
    const responseId = answer?.stored.id ?? free?.responseId;
    if (responseId) found.push({ thread, promptId, content: typeof prompt === "string" ? prompt : content, responseId });
  }
  return found;
}
