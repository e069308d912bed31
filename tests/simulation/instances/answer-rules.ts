/** Rules for what clients receive and what is stored. */
import type { StoredMessage, ThreadKey, ThreadStore } from "../../../src/index.ts";
import { type Call, callsIn, isPrefix, isSame, nameOf, textOf } from "../records.ts";
import { textOfAttempt } from "../ledger.ts";
import { finishReasonOf } from "../scheduled-model.ts";
import { findUnexplained } from "./explanations.ts";
import type { ClientRequest, InstancesLedger } from "./ledger.ts";

/** The rules. */
export interface AnswerRules {
  /** Bytes reach a client. */
  received(request: ClientRequest, bytes: Uint8Array): void;
  /** A response ends. */
  ended(request: ClientRequest, outcome: string): void;
  /** Messages were appended. */
  stored(thread: ThreadKey, messages: readonly StoredMessage[]): Promise<void>;
}

/** A stop that was answered with 204. */
interface Stopped {
  request: ClientRequest;
  answeredAt: number;
}

export function createAnswerRules(ledger: InstancesLedger, store: ThreadStore): AnswerRules {
  const { calls, complete, everComplete, entries, requests, schedule, check, runsAt, entryOf } = ledger;
  /** The most that anyone received of each attempt. */
  const bodies = new Map<string, Buffer>();
  const stopped: Stopped[] = [];

  /** Checks that a text is the beginning of what one run said. */
  const checkText = ({ thread, responseId, number }: ClientRequest, bytes: Buffer) => {
    const text = bytes.toString();
    const [first] = callsIn(text);
    const run = calls[first ?? -1]?.attempt;
    const isOwn = run && run.responseId === responseId && isSame(run.thread, thread);
    check(
      (isOwn && isPrefix(text, textOfAttempt(run))) || text === "",
      "a client receives the beginning of one attempt's text",
      () => `request ${number} for ${nameOf(thread, responseId)} shows ${JSON.stringify(text.slice(-200))}`,
    );
  };

  const findComplete = (thread: ThreadKey, responseId: string) =>
    [...complete.values()].find((one) => one.responseId === responseId && isSame(one.thread, thread));
  /** Its thread may be deleted since, and the answer be written again. */
  const findRead = ({ thread, responseId, attempt }: ClientRequest) =>
    everComplete.findLast((one) => one.responseId === responseId && one.attempt === attempt && isSame(one.thread, thread)) ??
    findComplete(thread, responseId);

  const endsClean = (request: ClientRequest) => {
    const { number, thread, responseId, attempt, offset, received } = request;
    const whole = Buffer.concat([bodies.get(attempt ?? "")?.subarray(0, offset) ?? Buffer.alloc(0), received]).toString();
    const stored = findRead(request);
    check(
      whole === stored?.text,
      "a clean end means that exactly this text is stored as complete",
      () =>
        `request ${number} for ${nameOf(thread, responseId)} showed ${JSON.stringify(whole.slice(-200))}, stored is ${JSON.stringify(stored)}`,
    );
  };

  /** A cursor of a whole answer continues it for as long as it is stored. */
  const checkCursor = (request: ClientRequest) => {
    const { thread, responseId, attempt, number } = request;
    const stored = findRead(request);
    check(
      attempt === stored?.attempt,
      "the cursor of a whole answer is that of the stored attempt",
      () => `request ${number} for ${nameOf(thread, responseId)} has ${attempt}, stored is ${stored?.attempt}`,
    );
  };

  const stopEnds = (request: ClientRequest, outcome: string) => {
    if (outcome !== "empty" || ledger.hasFault || ledger.hasStoreFault) return;
    const { thread, responseId, startedAt, number } = request;
    stopped.push({ request, answeredAt: schedule.step });
    const open = runsAt(thread, responseId).find(
      (run) =>
        run.startedAt.step < startedAt.step && !run.process.isDead && run.calls.some(({ isOpen, isFinished }) => isOpen && !isFinished),
    );
    check(!open, "a stop is answered when the model call has ended", () => `request ${number} for ${nameOf(thread, responseId)}`);
  };

  /** A resume finds what runs, and what is complete. */
  const resumeEnds = ({ thread, responseId, startedAt, number }: ClientRequest, outcome: string) => {
    if (outcome !== "empty" || ledger.hasFault || ledger.hasStoreFault || responseId === "") return;
    const whole = findComplete(thread, responseId);
    const isStopped = requests.some(
      (other) => other.kind === "stop" && (other.responseId === responseId || other.responseId === "") && isSame(other.thread, thread),
    );
    const isWhole = whole && whole.step < startedAt.step;
    const live = entries.filter(({ isOver, instance }) => !isOver && !instance.isDead);
    const running = live.find((entry) => entry.responseId === responseId && isSame(entry.thread, thread));
    const isRunning =
      running &&
      running.enteredAt.step < startedAt.step &&
      running.stopAt === undefined &&
      !running.isClosing &&
      !isStopped &&
      isReadBefore(startedAt.step, thread, responseId);
    check(
      !isWhole && !isRunning,
      "a resume finds the answer that runs or is complete",
      () => `request ${number} for ${nameOf(thread, responseId)}`,
    );
  };

  const isReadBefore = (step: number, thread: ThreadKey, responseId: string) =>
    requests.some(
      (other) =>
        other.kind === "prompt" &&
        other.startedAt.step < step &&
        other.responseId === responseId &&
        isSame(other.thread, thread) &&
        !other.hasDisconnected &&
        !other.outcome &&
        !other.instance.isDead,
    );

  const checkMessage = (thread: ThreadKey, stored: StoredMessage): Call | undefined => {
    const { message, status, id, promptId, finishReason } = stored;
    if (message.role !== "assistant") return undefined;
    const toolCallId = message.tool_calls?.[0]?.id;
    const call = toolCallId ? calls.find(({ toolCallIds }) => toolCallIds[0] === toolCallId) : calls[callsIn(textOf(message))[0] ?? -1];
    if (!call) return undefined;
    const detail = () => `${nameOf(thread, id)} (${status}) is ${textOf(message).slice(0, 200)}`;
    const isOwn = isSame(call.attempt.thread, thread) && call.attempt.promptId === promptId;
    check(isOwn && isPrefix(textOf(message), call.text), "what is stored of a call is the beginning of what it said", detail);
    check(status !== "complete" || (textOf(message) === call.text && call.isFinished), "partial answers are marked", detail);
    check(finishReason === undefined || finishReason === finishReasonOf(call.script), "the finish reason is that of the call", detail);
    return call;
  };

  const checkThread = (thread: ThreadKey, messages: readonly StoredMessage[]) => {
    const detail = () => JSON.stringify(messages.map(({ id, status }) => `${id}:${status}`));
    check(new Set(messages.map(({ id }) => id)).size === messages.length, "an id is stored once", detail);
    const seen = new Set<string>();
    for (const { id, promptId } of messages) {
      seen.add(id);
      check(seen.has(promptId), "every answer has its prompt before it", detail);
    }
    for (const promptId of new Set(messages.map((message) => message.promptId))) checkTurn(thread, promptId, messages);
  };

  const checkTurn = (thread: ThreadKey, promptId: string, messages: readonly StoredMessage[]) => {
    const answer = messages.filter(
      ({ promptId: of, message, status }) => of === promptId && message.role === "assistant" && status === "complete",
    );
    const last = answer.filter(({ message }) => message.role === "assistant" && !message.tool_calls);
    const key = nameOf(thread, promptId);
    const [whole] = last;
    const before = complete.get(key);
    check(last.length <= 1, "a prompt has at most one complete answer", () => key);
    const text = answer.map(({ message }) => textOf(message)).join("");
    check(!before || (whole?.id === before.responseId && text === before.text), "a complete answer is never replaced", () => key);
    if (!whole || before) return;
    const answered = { text, thread, responseId: whole.id, attempt: whole.attempt, step: schedule.step };
    complete.set(key, answered);
    everComplete.push(answered);
    const call = calls[callsIn(textOf(whole.message))[0] ?? -1];
    check(!call || text === textOfAttempt(call.attempt), "a complete answer has all of its steps", () => `${key} is ${text}`);
    const entry = entryOf(whole.attempt ?? "");
    const stop = stopped.find(
      ({ request }) =>
        request.responseId === whole.id && isSame(request.thread, thread) && entry && entry.enteredAt.step < request.startedAt.step,
    );
    check(!stop, "a stopped turn is not complete later", () => `${key}, stopped by request ${stop?.request.number}`);
  };

  return {
    received(request, bytes) {
      const { attempt = "", offset, number } = request;
      const at = offset + request.received.length;
      request.received = Buffer.concat([request.received, bytes]);
      const known = bodies.get(attempt) ?? Buffer.alloc(0);
      const common = Math.min(known.length, at + bytes.length);
      const isSameBytes = at <= known.length && known.subarray(at, common).equals(Buffer.from(bytes).subarray(0, Math.max(0, common - at)));
      check(
        isSameBytes,
        "all who follow an attempt receive the same bytes, and a resume continues at its cursor",
        () => `request ${number} at ${at}`,
      );
      if (at + bytes.length <= known.length || at > known.length) return;
      const longest = Buffer.concat([known.subarray(0, at), bytes]);
      bodies.set(attempt, longest);
      checkText(request, longest);
    },

    ended(request, outcome) {
      request.outcome = outcome;
      const { hasDisconnected, number, kind, thread, responseId } = request;
      schedule.note(`request ${number} ended: ${outcome}`);
      if (kind === "stop") stopEnds(request, outcome);
      if (hasDisconnected) return;
      if (kind === "resume") resumeEnds(request, outcome);
      if (outcome === "clean") {
        endsClean(request);
        return checkCursor(request);
      }
      const doubt = findUnexplained(outcome, request, ledger);
      check(
        doubt === undefined,
        "every error has a cause",
        () => `request ${number} for ${nameOf(thread, responseId)} got ${outcome}, but ${doubt}`,
      );
    },

    async stored(thread, appended) {
      for (const message of appended) checkMessage(thread, message);
      checkThread(thread, await store.listMessages(thread));
    },
  };
}
