/** Rules for the store: what may be stored, and what must be. */
import { isDeepStrictEqual } from "node:util";
import type { StoredMessage, ThreadKey } from "../../src/index.ts";
import { findProblem } from "../../src/lib/demo-model/history.ts";
import { type Ledger, textOfAttempt } from "./ledger.ts";
import { type Attempt, type Call, callsIn, isPrefix, isRival, isSame, nameOf, type Process, textOf } from "./records.ts";
import { finishReasonOf } from "./scheduled-model.ts";

/** Which process has appended, and for which request. */
interface Appending {
  process: Process;
  asker: number;
  /** Whether the append took effect after its timeout. */
  isLate: boolean;
}

/** The rules. */
export interface StoredRules {
  /** Called when messages with these ids were appended. */
  appended(by: Appending, thread: ThreadKey, messages: readonly StoredMessage[], ids: readonly string[]): void;
  /** Called when a message was changed. */
  updated(process: Process, thread: ThreadKey, id: string, isLate: boolean): void;
  /** Called when an attempt has failed. Its text must be stored, unless the store rejected it. */
  failed(attempt: Attempt): void;
  /** Checks that complete answers do not disappear. */
  check(): void;
}

export function createStoredRules(ledger: Ledger): StoredRules {
  const { expectedStore, requests, attempts, calls, completeAnswers, schedule, check, happened, attemptsAt } = ledger;

  /** The call whose text is in a message. */
  const callOf = (process: Process, thread: ThreadKey, { id, message }: StoredMessage): Call | undefined => {
    const toolCallId = message.role === "assistant" ? message.tool_calls?.[0]?.id : undefined;
    if (toolCallId) return calls.find(({ toolCallIds }) => toolCallIds[0] === toolCallId);
    // After tool calls, a model may end without text. An append may come late, after that of another attempt.
    if (message.content === "") {
      const lastCalls = attemptsAt(thread, id).flatMap((attempt) => (attempt.process === process ? attempt.calls.slice(-1) : []));
      return lastCalls.findLast(({ text }) => text === "") ?? lastCalls.at(-1);
    }
    return calls[callsIn(textOf(message))[0] ?? -1];
  };

  /** Checks an assistant message: it must have the text of one call, all of it if it is complete, or a partial status.*/
  const checkAssistantMessage = (process: Process, thread: ThreadKey, stored: StoredMessage): Call | undefined => {
    const { id, promptId, message, status, finishReason } = stored;
    const call = callOf(process, thread, stored);
    const detail = () => `${nameOf(thread, id)} (${status}, ${finishReason}) is ${textOf(message).slice(0, 200)}`;
    const isOwn = call && isSame(call.attempt.thread, thread) && call.attempt.promptId === promptId;
    check(isOwn, "only text of the model for this prompt is stored as its answer", detail);
    if (!call) return undefined;
    const { script, text, attempt } = call;
    const isStep = message.role === "assistant" && message.tool_calls !== undefined;
    const isComplete = status === "complete";
    check(isStep || id === attempt.responseId, "the final message has the response id", detail);
    check(isPrefix(textOf(message), text), "what is stored of a call is the beginning of what it said", detail);
    check(!isComplete || (textOf(message) === text && call.isFinished), "partial answers are marked", detail);
    check(!isComplete || isStep === (script.ending === "tools"), "a tool call is not an answer", detail);
    check(!isComplete || !["length", "content_filter"].includes(script.ending), "answers cut short are marked", detail);
    check(finishReason === undefined || finishReason === finishReasonOf(script), "the finish reason is that of the call", detail);
    return call;
  };

  /** All complete text of a turn. */
  const completeText = (thread: ThreadKey, promptId: string) =>
    expectedStore
      .list(thread)
      .map(({ stored }) =>
        stored.promptId === promptId && stored.message.role === "assistant" && stored.status === "complete" ? textOf(stored.message) : "",
      )
      .join("");

  const becomesWhole = (thread: ThreadKey, { id, promptId, message }: StoredMessage, call: Call, isLate: boolean) => {
    const [text, storedText] = [textOfAttempt(call.attempt), completeText(thread, promptId)];
    check(
      storedText === text,
      "a complete answer is stored with all of its steps",
      () => `${nameOf(thread, id)} holds ${storedText}, not ${text}`,
    );
    const { step } = schedule;
    completeAnswers.set(nameOf(thread, id), {
      thread,
      responseId: id,
      promptId,
      step,
      isLate,
      isConfirmed: false,
      contents: [textOf(message)],
      texts: [text],
    });
  };

  /** Checks that a waiting prompt does not create a deleted thread again. */
  const checkDeletedThread = ({ process, asker }: Appending, thread: ThreadKey) => {
    // The handler reads the history when the prompt arrives, and again after the wait.
    const looks = ledger.readsOf(asker).flatMap(({ step, isOfAll }) => (isOfAll ? [] : step));
    const [first = 0, last = 0] = [looks[0], looks.at(-1)];
    const deleted = ledger.deletions.find(
      ({ step, thread: where, deletedMessages }) =>
        isSame(where, thread) && step > first && step < last && deletedMessages.some((message) => message.process === process),
    );
    const isRevived = deleted && expectedStore.list(thread).length === 1 && !happened(thread, first, "store fault", "late write");
    check(!isRevived, "a thread that is deleted while a prompt waits stays deleted", () => `${nameOf(thread)}, request ${asker}`);
  };

  const checkPrompt = (thread: ThreadKey, [prompt, ...others]: readonly StoredMessage[]) => {
    const isAsked = requests.some(
      ({ promptId, content, thread: where }) => promptId === prompt?.id && content === prompt.message.content && isSame(where, thread),
    );
    const isRight = isAsked && others.length === 0 && prompt?.promptId === prompt?.id && prompt?.status === "complete";
    check(isRight, "prompts are stored unchanged", () => JSON.stringify(prompt));
  };

  const checkBatch = (process: Process, thread: ThreadKey, messages: readonly StoredMessage[], ids: readonly string[], isLate: boolean) => {
    const detail = () => `${nameOf(thread)}: ${JSON.stringify(messages)}`;
    const assistantMessages = messages
      .filter(({ message }) => message.role === "assistant")
      .map((stored) => ({ stored, call: checkAssistantMessage(process, thread, stored) }));
    const [attempt, ...others] = new Set(assistantMessages.map(({ call }) => call?.attempt));
    check(attempt?.process === process && others.length === 0, "a batch belongs to one attempt", detail);
    // A last step without text is stored empty, and not sent to the model later.
    const history = messages.map(({ message }) => message).filter(({ content }) => content !== "");
    const fault = findProblem([{ role: "user", content: "?" }, ...history]);
    check(fault === undefined, "calls and results are paired in each batch", () => `${fault?.message} ${detail()}`);
    if (ids.length === 0 || !attempt) return;

    const { promptId, startedAt } = attempt;
    const isThere = messages.every((message) => isDeepStrictEqual(expectedStore.find(thread, message.id)?.stored, message));
    const isTaken = expectedStore.find(thread, attempt.responseId)?.stored.promptId !== promptId;
    const isRaced =
      isTaken || happened(thread, startedAt.step, "store fault", "late write") || attempts.some((other) => isRival(other, attempt));
    // Otherwise an id was already stored, by another process or a late write.
    check(isThere || isRaced, "a batch is stored whole or not at all", () => `only ${ids.join()} of ${detail()}`);
    const threadMessages = expectedStore.list(thread);
    const behind = threadMessages.slice(threadMessages.findIndex(({ stored }) => stored.id === promptId));
    const stranger = behind.find(
      (other) => other.stored.promptId !== promptId && other.process === process && other.step > startedAt.step && !other.isLate,
    );
    check(isLate || !stranger, "an answer is next to its prompt", () => `${stranger?.stored.id} came between, ${detail()}`);
    const { stored, call } = assistantMessages.at(-1)!;
    if (call && stored.status === "complete" && ids.includes(attempt.responseId)) becomesWhole(thread, stored, call, isLate);
  };

  const checkThread = (thread: ThreadKey) => {
    const seen = new Set<string>();
    for (const { stored } of expectedStore.list(thread)) {
      check(!seen.has(stored.id), "an id is stored once", () => nameOf(thread, stored.id));
      seen.add(stored.id);
      check(seen.has(stored.promptId), "every answer has its prompt", () => nameOf(thread, stored.id));
    }
  };

  return {
    appended(by, thread, messages, ids) {
      if (messages[0]?.message.role !== "user") checkBatch(by.process, thread, messages, ids, by.isLate);
      else {
        checkPrompt(thread, messages);
        if (!by.isLate) checkDeletedThread(by, thread);
      }
      checkThread(thread);
    },

    updated(process, thread, id, isLate) {
      const { stored } = expectedStore.find(thread, id)!;
      const call = checkAssistantMessage(process, thread, stored);
      if (call && stored.status === "complete" && !completeAnswers.get(nameOf(thread, id))?.isConfirmed)
        becomesWhole(thread, stored, call, isLate);
    },

    failed(attempt) {
      const { thread, promptId, responseId, startedAt, process, calls } = attempt;
      const isReplaced = attempts
        .slice(attempts.indexOf(attempt) + 1)
        .some((other) => other.promptId === promptId && isSame(other.thread, thread));
      const isTaken = (expectedStore.find(thread, responseId)?.stored.promptId ?? promptId) !== promptId;
      const isRaced = attempts.some((other) => isRival(other, attempt));
      const isLost = process.isDead || happened(thread, startedAt.step, "store fault", "late write", "deletion");
      if (isReplaced || isTaken || isRaced || isLost) return;
      const texts = expectedStore
        .list(thread)
        .map(({ stored }) => (stored.promptId === promptId && stored.message.role === "assistant" ? textOf(stored.message) : ""));
      for (const { receivedText } of requests) {
        if (!calls.some(({ number }) => number === callsIn(receivedText)[0])) continue;
        check(
          isPrefix(receivedText, texts.join("")),
          "the text of a failed attempt is stored",
          () => `${nameOf(thread, responseId)} showed ${receivedText.slice(0, 200)}`,
        );
      }
    },

    check() {
      for (const [name, { thread, responseId, contents, isConfirmed }] of completeAnswers) {
        const stored = expectedStore.find(thread, responseId)?.stored;
        const isThere = stored?.status === "complete" && stored.message.content === contents.at(-1);
        check(isThere || !isConfirmed, "a complete answer does not change", () => `${name} is ${JSON.stringify(stored ?? "gone")}`);
        if (!isThere) completeAnswers.delete(name);
      }
    },
  };
}
