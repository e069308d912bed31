/** When the model may be called, and with what. */
import type { ChatCompletionCreateParamsStreaming, ChatCompletionMessageParam } from "openai/resources/chat/completions";
import type { TurnContext } from "../../src/index.ts";
import { findProblem } from "../../src/lib/demo-model/history.ts";
import { atWork } from "./asking.ts";
import type { Ledger } from "./ledger.ts";
import type { Script } from "./plan.ts";
import { type Attempt, type Call, callsIn, isSame, nameOf, type Process, textOf } from "./records.ts";
import { saidBy } from "./script-text.ts";

/** The rules of the model. */
export interface AskedRules {
  /** The handler takes up a turn; gives the model name by which its calls are known. */
  begins(process: Process, context: TurnContext): string;
  /** The handler calls the model. */
  asked(body: ChatCompletionCreateParamsStreaming, script: Script): Call;
  /** Nobody pays for a call that nobody waits for. */
  check(): void;
}

/** @param last - The handler's `history.maxMessages`. */
export function createAskedRules(ledger: Ledger, last: number): AskedRules {
  const { mirror, requests, attempts, calls, wholes, schedule, unless, happened } = ledger;

  /** The step in which the turn at work has last read its thread. */
  const lookedAt = () => ledger.looksOf(atWork()).at(-1)?.step ?? 0;

  const checkBeginning = (process: Process, { owner, threadId, responseId, prompt }: TurnContext) => {
    const thread = { owner, threadId };
    const name = nameOf(thread, responseId);
    const running = attempts.find((attempt) => attempt.process === process && isSame(attempt.thread, thread) && !attempt.ended);
    unless(!running, "one turn at a time runs on a thread", () => `${name} begins while ${running?.responseId} runs`);
    const whole = wholes.get(name);
    const isUnseen = !whole || whole.isLate || whole.step > lookedAt();
    // An answer to another prompt, further back than the history reaches, is found out when this one is to be stored.
    const isBeyond = whole && whole.promptId !== prompt.id && last < 100;
    unless(isUnseen || isBeyond, "no model call is made for an answer that is stored", () => name);
    const isDeleted = happened(thread, ledger.firstAsked(thread, prompt.id), "deletion");
    unless(isDeleted || mirror.find(thread, prompt.id), "the prompt is stored before the model is called", () => nameOf(thread, prompt.id));
  };

  /** The history ends with the prompt, and holds nothing of other threads, and nothing that was said to this prompt before. */
  const checkHistory = (attempt: Attempt, messages: ChatCompletionMessageParam[]) => {
    const { thread, promptId } = attempt;
    const sent = () => `for ${nameOf(thread, promptId)}: ${JSON.stringify(messages)}`;
    const texts = messages.map(textOf);
    const isAsked = requests.some(
      (request) => request.promptId === promptId && isSame(request.thread, thread) && request.content === texts.at(-1),
    );
    unless(isAsked, "the history ends with the prompt", sent);
    for (const [index, text] of texts.entries()) {
      const isOwn = messages[index]?.role !== "user" || text.startsWith(nameOf(thread));
      const isOthers = callsIn(text).some(
        (number) => !isSame(calls[number]!.attempt.thread, thread) || calls[number]!.attempt.promptId === promptId,
      );
      unless(isOwn && !isOthers, "the history is of this thread, without what was said to this prompt before", sent);
    }
    if (last >= 100) checkAnswers(attempt, messages, texts, sent);
  };

  /** Every whole answer that was there when the handler looked is in the history, behind its prompt. */
  const checkAnswers = ({ thread, promptId }: Attempt, messages: ChatCompletionMessageParam[], texts: string[], sent: () => string) => {
    const order = mirror.list(thread).map(({ stored }) => stored.id);
    for (const whole of wholes.values()) {
      const isBefore = isSame(whole.thread, thread) && order.indexOf(whole.promptId) < order.indexOf(promptId);
      if (!isBefore || whole.contents.includes("") || whole.step >= lookedAt()) continue;
      const from = texts.indexOf(textOf(mirror.find(thread, whole.promptId)!.stored.message));
      const to = messages.findIndex(({ role }, index) => index > from && role === "user");
      const isThere = from !== -1 && texts.slice(from, to).some((text) => whole.contents.includes(text));
      unless(isThere, "the history holds each whole answer behind its prompt", () => `${whole.responseId} ${sent()}`);
    }
  };

  return {
    begins(process, context) {
      const { owner, threadId, responseId, prompt } = context;
      if (!process.isDead) checkBeginning(process, context);
      const startedAt = { step: schedule.step, ms: performance.now() };
      attempts.push({ process, thread: { owner, threadId }, promptId: prompt.id, responseId, startedAt, calls: [], ended: undefined });
      return String(attempts.length - 1);
    },

    asked({ model, messages }, script) {
      const attempt = attempts[Number(model)]!;
      if (!attempt.process.isDead) {
        const fault = findProblem(messages);
        unless(!fault, "the model gets a valid history", () => `${fault?.message} ${fault?.param} ${JSON.stringify(messages)}`);
        if (attempt.calls.length === 0) checkHistory(attempt, messages);
        else
          unless(messages.at(-1)?.role === "tool", "a further call brings the results of the one before", () => JSON.stringify(messages));
      }
      const number = calls.length;
      const tools = script.ending !== "tools" ? [] : script.tools.length > 0 ? script.tools : ["ok"];
      const toolCallIds = tools.map((_, index) => `tool-${number}-${index}`);
      const call: Call = { number, attempt, script, text: saidBy(number, script), toolCallIds, said: 0, isFinished: false, isOpen: false };
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
            !request.hasLeft &&
            !request.outcome,
        );
        unless(isWanted, "a model call is closed when nobody waits for it", () => `call ${number} for ${nameOf(thread, responseId)}`);
      }
    },
  };
}
