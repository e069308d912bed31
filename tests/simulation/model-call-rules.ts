/** Rules for model calls: when the model may be called, and with which messages. */
import type { ChatCompletionCreateParamsStreaming, ChatCompletionMessageParam } from "openai/resources/chat/completions";
import type { TurnContext } from "../../src/index.ts";
import { findProblem } from "../../src/lib/demo-model/history.ts";
import { currentRequest } from "./current-request.ts";
import { findRequestProblem } from "../support/request-validator.ts";
import type { Ledger } from "./ledger.ts";
import type { Script } from "./plan.ts";
import { type Attempt, type Call, callsIn, isSame, nameOf, type Process, textOf } from "./records.ts";
import { textOfScript } from "./script-text.ts";

/** The rules. */
export interface ModelCallRules {
  /** Called when a turn starts. Returns a model name that identifies its calls. */
  turnStarts(process: Process, context: TurnContext): string;
  /** Called when the handler calls the model. */
  modelCalled(body: ChatCompletionCreateParamsStreaming, script: Script): Call;
  /** Checks that no call runs without a waiting client. */
  check(): void;
}

/** @param last - The handler's `history.maxMessages`. */
export function createModelCallRules(ledger: Ledger, last: number): ModelCallRules {
  const { expectedStore, requests, attempts, calls, completeAnswers, schedule, check, happened } = ledger;

  /** The step in which the current turn last read its thread. */
  const findLastRead = () => ledger.readsOf(currentRequest()).at(-1)?.step ?? 0;

  const checkStart = (process: Process, { owner, threadId, responseId, prompt }: TurnContext) => {
    const thread = { owner, threadId };
    const name = nameOf(thread, responseId);
    const running = attempts.find((attempt) => attempt.process === process && isSame(attempt.thread, thread) && !attempt.ended);
    check(!running, "one turn at a time runs on a thread", () => `${name} begins while ${running?.responseId} runs`);
    const whole = completeAnswers.get(name);
    const isUnseen = !whole || whole.isLate || whole.step > findLastRead();
    // An answer to another prompt, further back than the history, is detected only at the commit.
    const isBeyond = whole && whole.promptId !== prompt.id && last < 100;
    check(isUnseen || isBeyond, "no model call is made for a stored answer", () => name);
    const isDeleted = happened(thread, ledger.firstAsked(thread, prompt.id), "deletion");
    check(isDeleted || expectedStore.find(thread, prompt.id), "the prompt is stored before the model is called", () =>
      nameOf(thread, prompt.id),
    );
  };

  /** Checks that the history ends with the prompt, and has nothing of other threads or of earlier answers to this prompt. */
  const checkHistory = (attempt: Attempt, messages: ChatCompletionMessageParam[]) => {
    const { thread, promptId } = attempt;
    const sent = () => `for ${nameOf(thread, promptId)}: ${JSON.stringify(messages)}`;
    const texts = messages.map(textOf);
    const isAsked = requests.some(
      (request) => request.promptId === promptId && isSame(request.thread, thread) && request.content === texts.at(-1),
    );
    check(isAsked, "the history ends with the prompt", sent);
    for (const [index, text] of texts.entries()) {
      const isOwn = messages[index]?.role !== "user" || text.startsWith(nameOf(thread));
      const isOthers = callsIn(text).some(
        (number) => !isSame(calls[number]!.attempt.thread, thread) || calls[number]!.attempt.promptId === promptId,
      );
      check(isOwn && !isOthers, "the history is of this thread, without earlier answers to this prompt", sent);
    }
    if (last >= 100) checkAnswers(attempt, messages, texts, sent);
  };

  /** Checks that every answer that was complete when the handler read the thread is in the history, after its prompt. */
  const checkAnswers = ({ thread, promptId }: Attempt, messages: ChatCompletionMessageParam[], texts: string[], sent: () => string) => {
    const order = expectedStore.list(thread).map(({ stored }) => stored.id);
    for (const whole of completeAnswers.values()) {
      const isBefore = isSame(whole.thread, thread) && order.indexOf(whole.promptId) < order.indexOf(promptId);
      if (!isBefore || whole.contents.includes("") || whole.step >= findLastRead()) continue;
      const from = texts.indexOf(textOf(expectedStore.find(thread, whole.promptId)!.stored.message));
      const to = messages.findIndex(({ role }, index) => index > from && role === "user");
      const isThere = from !== -1 && texts.slice(from, to).some((text) => whole.contents.includes(text));
      check(isThere, "the history has each complete answer after its prompt", () => `${whole.responseId} ${sent()}`);
    }
  };

  return {
    turnStarts(process, context) {
      const { owner, threadId, responseId, prompt } = context;
      if (!process.isDead) checkStart(process, context);
      const startedAt = { step: schedule.step, ms: performance.now() };
      attempts.push({ process, thread: { owner, threadId }, promptId: prompt.id, responseId, startedAt, calls: [], ended: undefined });
      return String(attempts.length - 1);
    },

    modelCalled({ model, messages }, script) {
      const attempt = attempts[Number(model)]!;
      if (!attempt.process.isDead) {
        const fault = findProblem(messages) ?? findRequestProblem({ messages });
        check(!fault, "the model receives a valid history", () => `${fault?.message} ${fault?.param} ${JSON.stringify(messages)}`);
        if (attempt.calls.length === 0) checkHistory(attempt, messages);
        else check(messages.at(-1)?.role === "tool", "the next call of a step has the tool results", () => JSON.stringify(messages));
      }
      const number = calls.length;
      const tools = script.ending !== "tools" ? [] : script.tools.length > 0 ? script.tools : ["ok"];
      const toolCallIds = tools.map((_, index) => `tool-${number}-${index}`);
      const call: Call = {
        number,
        attempt,
        script,
        text: textOfScript(number, script),
        toolCallIds,
        sentCharacters: 0,
        isFinished: false,
        isOpen: false,
      };
      calls.push(call);
      attempt.calls.push(call);
      return call;
    },

    check() {
      for (const { number, isOpen, isFinished, attempt } of calls) {
        const { thread, responseId, process } = attempt;
        if (!isOpen || isFinished || process.isDead) continue;
        const isWanted = requests.some(
          (request) =>
            request.process === process &&
            request.responseId === responseId &&
            isSame(request.thread, thread) &&
            !request.hasDisconnected &&
            !request.outcome,
        );
        check(isWanted, "a model call without readers is closed", () => `call ${number} for ${nameOf(thread, responseId)}`);
      }
    },
  };
}
