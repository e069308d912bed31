/** What may be stored, and what must be. */
import { isDeepStrictEqual } from "node:util";
import type { StoredMessage, ThreadKey } from "../../src/index.ts";
import { findProblem } from "../../src/lib/demo-model/history.ts";
import { type Ledger, textOfAttempt } from "./ledger.ts";
import { type Attempt, type Call, callsIn, isBeginning, isRival, isSame, nameOf, type Process, textOf } from "./records.ts";
import { finishReasonOf } from "./scheduled-model.ts";

/** Who has appended, and for which request. */
interface Appending {
  process: Process;
  asker: number;
  /** Whether the store did it after its caller had given up. */
  isLate: boolean;
}

/** The rules of the store. */
export interface StoredRules {
  /** Messages were appended, those of the given ids. */
  appended(by: Appending, thread: ThreadKey, messages: readonly StoredMessage[], ids: readonly string[]): void;
  /** A message was changed. */
  updated(process: Process, thread: ThreadKey, id: string, isLate: boolean): void;
  /** A go has failed: what was said must be kept, unless the store would not have it. */
  failed(attempt: Attempt): void;
  /** Whole answers stay. */
  check(): void;
}

export function createStoredRules(ledger: Ledger): StoredRules {
  const { mirror, requests, attempts, calls, wholes, schedule, unless, happened, attemptsAt } = ledger;

  /** The call that said what a message holds. */
  const callOf = (process: Process, thread: ThreadKey, { id, message }: StoredMessage): Call | undefined => {
    const toolCallId = message.role === "assistant" ? message.tool_calls?.[0]?.id : undefined;
    if (toolCallId) return calls.find(({ toolCallIds }) => toolCallIds[0] === toolCallId);
    // After calling tools, a model may end without another word.
    if (message.content === "")
      return attemptsAt(thread, id)
        .findLast((attempt) => attempt.process === process)
        ?.calls.at(-1);
    return calls[callsIn(textOf(message))[0] ?? -1];
  };

  /** A message that the model said must be what one of its calls said: all of it if it is complete, marked if it is not. */
  const checkSaid = (process: Process, thread: ThreadKey, stored: StoredMessage): Call | undefined => {
    const { id, promptId, message, status, finishReason } = stored;
    const call = callOf(process, thread, stored);
    const detail = () => `${nameOf(thread, id)} (${status}, ${finishReason}) is ${textOf(message).slice(0, 200)}`;
    const isOwn = call && isSame(call.attempt.thread, thread) && call.attempt.promptId === promptId;
    unless(isOwn, "only what the model said to this prompt is stored as its answer", detail);
    if (!call) return undefined;
    const { script, text, attempt } = call;
    const isStep = message.role === "assistant" && message.tool_calls !== undefined;
    const isComplete = status === "complete";
    unless(isStep || id === attempt.responseId, "the final message has the response id", detail);
    unless(isBeginning(textOf(message), text), "what is stored of a call is the beginning of what it said", detail);
    unless(!isComplete || (textOf(message) === text && call.isFinished), "partial answers are marked", detail);
    unless(!isComplete || isStep === (script.ending === "tools"), "a call of tools is not an answer", detail);
    unless(!isComplete || !["length", "content_filter"].includes(script.ending), "answers cut short are marked", detail);
    unless(finishReason === undefined || finishReason === finishReasonOf(script), "the finish reason is that of the call", detail);
    return call;
  };

  /** All text of a turn that is not marked as a part. */
  const wholeText = (thread: ThreadKey, promptId: string) =>
    mirror
      .list(thread)
      .map(({ stored }) =>
        stored.promptId === promptId && stored.message.role === "assistant" && stored.status === "complete" ? textOf(stored.message) : "",
      )
      .join("");

  const becomesWhole = (thread: ThreadKey, { id, promptId, message }: StoredMessage, call: Call, isLate: boolean) => {
    const [text, kept] = [textOfAttempt(call.attempt), wholeText(thread, promptId)];
    unless(kept === text, "a whole answer is stored with all its steps", () => `${nameOf(thread, id)} holds ${kept}, not ${text}`);
    const { step } = schedule;
    wholes.set(nameOf(thread, id), {
      thread,
      responseId: id,
      promptId,
      step,
      isLate,
      isTold: false,
      contents: [textOf(message)],
      texts: [text],
    });
  };

  /** A prompt that waited in line does not begin anew what was deleted meanwhile. */
  const checkRevival = ({ process, asker }: Appending, thread: ThreadKey) => {
    // It looks as far as the history goes when it comes, and again when its wait is over.
    const looks = ledger.looksOf(asker).flatMap(({ step, isOfAll }) => (isOfAll ? [] : step));
    const [first = 0, last = 0] = [looks[0], looks.at(-1)];
    const deleted = ledger.deletions.find(
      ({ step, thread: where, kept }) =>
        isSame(where, thread) && step > first && step < last && kept.some((message) => message.process === process),
    );
    const isRevived = deleted && mirror.list(thread).length === 1 && !happened(thread, first, "store fault", "late write");
    unless(!isRevived, "a thread that is deleted while a prompt waits stays deleted", () => `${nameOf(thread)}, request ${asker}`);
  };

  const checkPrompt = (thread: ThreadKey, [prompt, ...others]: readonly StoredMessage[]) => {
    const isAsked = requests.some(
      ({ promptId, content, thread: where }) => promptId === prompt?.id && content === prompt.message.content && isSame(where, thread),
    );
    const isRight = isAsked && others.length === 0 && prompt?.promptId === prompt?.id && prompt?.status === "complete";
    unless(isRight, "prompts are stored as they were sent", () => JSON.stringify(prompt));
  };

  const checkBatch = (process: Process, thread: ThreadKey, messages: readonly StoredMessage[], ids: readonly string[], isLate: boolean) => {
    const detail = () => `${nameOf(thread)}: ${JSON.stringify(messages)}`;
    const said = messages
      .filter(({ message }) => message.role === "assistant")
      .map((stored) => ({ stored, call: checkSaid(process, thread, stored) }));
    const [attempt, ...others] = new Set(said.map(({ call }) => call?.attempt));
    unless(attempt?.process === process && others.length === 0, "a batch is of one attempt", detail);
    // A last step in which the model said nothing more is stored empty, and left out of later histories.
    const history = messages.map(({ message }) => message).filter(({ content }) => content !== "");
    const fault = findProblem([{ role: "user", content: "?" }, ...history]);
    unless(fault === undefined, "calls and results are paired in each batch", () => `${fault?.message} ${detail()}`);
    if (ids.length === 0 || !attempt) return;

    const { promptId, startedAt } = attempt;
    const isThere = messages.every((message) => isDeepStrictEqual(mirror.find(thread, message.id)?.stored, message));
    const isTaken = mirror.find(thread, attempt.responseId)?.stored.promptId !== promptId;
    const isRaced =
      isTaken || happened(thread, startedAt.step, "store fault", "late write") || attempts.some((other) => isRival(other, attempt));
    // Else an id of it was there already, of a rival or of a write that was given up.
    unless(isThere || isRaced, "a batch is stored whole or not at all", () => `only ${ids.join()} of ${detail()}`);
    const kept = mirror.list(thread);
    const behind = kept.slice(kept.findIndex(({ stored }) => stored.id === promptId));
    const stranger = behind.find(
      (other) => other.stored.promptId !== promptId && other.process === process && other.step > startedAt.step && !other.isLate,
    );
    unless(isLate || !stranger, "an answer stands next to its prompt", () => `${stranger?.stored.id} came between, ${detail()}`);
    const { stored, call } = said.at(-1)!;
    if (call && stored.status === "complete" && ids.includes(attempt.responseId)) becomesWhole(thread, stored, call, isLate);
  };

  const checkThread = (thread: ThreadKey) => {
    const seen = new Set<string>();
    for (const { stored } of mirror.list(thread)) {
      unless(!seen.has(stored.id), "an id is stored once", () => nameOf(thread, stored.id));
      seen.add(stored.id);
      unless(seen.has(stored.promptId), "no answer is without its prompt", () => nameOf(thread, stored.id));
    }
  };

  return {
    appended(by, thread, messages, ids) {
      if (messages[0]?.message.role !== "user") checkBatch(by.process, thread, messages, ids, by.isLate);
      else {
        checkPrompt(thread, messages);
        if (!by.isLate) checkRevival(by, thread);
      }
      checkThread(thread);
    },

    updated(process, thread, id, isLate) {
      const { stored } = mirror.find(thread, id)!;
      const call = checkSaid(process, thread, stored);
      if (call && stored.status === "complete" && !wholes.get(nameOf(thread, id))?.isTold) becomesWhole(thread, stored, call, isLate);
    },

    failed(attempt) {
      const { thread, promptId, responseId, startedAt, process, calls } = attempt;
      const isReplaced = attempts
        .slice(attempts.indexOf(attempt) + 1)
        .some((other) => other.promptId === promptId && isSame(other.thread, thread));
      const isTaken = (mirror.find(thread, responseId)?.stored.promptId ?? promptId) !== promptId;
      const isRaced = attempts.some((other) => isRival(other, attempt));
      const isLost = process.isDead || happened(thread, startedAt.step, "store fault", "late write", "deletion");
      if (isReplaced || isTaken || isRaced || isLost) return;
      const texts = mirror
        .list(thread)
        .map(({ stored }) => (stored.promptId === promptId && stored.message.role === "assistant" ? textOf(stored.message) : ""));
      for (const { shown } of requests) {
        if (!calls.some(({ number }) => number === callsIn(shown)[0])) continue;
        unless(
          isBeginning(shown, texts.join("")),
          "what was said is kept",
          () => `${nameOf(thread, responseId)} showed ${shown.slice(0, 200)}`,
        );
      }
    },

    check() {
      for (const [name, { thread, responseId, contents, isTold }] of wholes) {
        const stored = mirror.find(thread, responseId)?.stored;
        const isThere = stored?.status === "complete" && stored.message.content === contents.at(-1);
        unless(isThere || !isTold, "a whole answer stays as it is", () => `${name} is ${JSON.stringify(stored ?? "gone")}`);
        if (!isThere) wholes.delete(name);
      }
    },
  };
}
