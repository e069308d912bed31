/** A model client for the handler. Each network read of an answer is a step, and the plan decides how the answer ends. */
import OpenAI from "openai";
import type { ChatCompletionChunk, ChatCompletionCreateParamsStreaming } from "openai/resources/chat/completions";
import type { ModelClient } from "../../src/index.ts";
import type { ModelCallRules } from "./model-call-rules.ts";
import { type Plan, plainScript, type Script } from "./plan.ts";
import type { Call } from "./records.ts";
import type { Schedule } from "./schedule.ts";
import { textOfPiece, textOfScript } from "./script-text.ts";

/** One network read of an answer, or one chunk. */
interface Part {
  chunks: ChatCompletionChunk[];
  /** Whether it contains the finish reason. */
  isLast: boolean;
}

const encoder = new TextEncoder();

/** The number of characters of the first pieces of a call. */
const lengthOf = ({ number, script }: Call, pieces: number) =>
  textOfScript(number, { ...script, pieces: Math.min(pieces, script.pieces) }).length;

const finishReasons = { stop: "stop", linger: "stop", tools: "tool_calls", length: "length", content_filter: "content_filter" } as const;

/** The finish reason of a script, if it has one. */
export const finishReasonOf = ({ ending }: Script): ChatCompletionChunk.Choice["finish_reason"] =>
  ending in finishReasons ? finishReasons[ending as keyof typeof finishReasons] : null;

/** Creates the client that the plan names. */
export function createScheduledModel(
  form: Plan["client"],
  scripts: () => Script | undefined,
  schedule: Pick<Schedule, "offer" | "note">,
  asked: Pick<ModelCallRules, "modelCalled">,
): ModelClient {
  const begin = (body: ChatCompletionCreateParamsStreaming) => {
    const call = asked.modelCalled(body, scripts() ?? plainScript);
    return { call, process: call.attempt.process, name: `model call ${call.number}` };
  };

  /** A response whose body returns one part for each read. */
  const respond = ({ call, process, name }: ReturnType<typeof begin>, signal: AbortSignal): Promise<Response> =>
    new Promise((resolve, reject) => {
      const { script } = call;
      const { reads, finishedBy } = readsOf(call);
      let next = 0;
      call.isOpen = true;
      let controller: ReadableStreamDefaultController<Uint8Array> | undefined;
      let withdraw = () => {};

      const over = () => {
        call.isOpen = false;
        withdraw();
        signal.removeEventListener("abort", abort);
      };
      const abort = () => {
        over();
        schedule.note(`${name} is aborted`);
        reject(signal.reason);
        controller?.error(signal.reason);
      };
      const step = (label: string, act: () => void) => {
        withdraw = schedule.offer(`${name} ${label}`, act, process);
      };
      const speak = () => {
        const read = reads[next++];
        if (!read) {
          over();
          if (script.ending === "cut") controller?.error(new TypeError("terminated"));
          else controller?.close();
          return;
        }
        if (next >= finishedBy) call.isFinished = true;
        // An incomplete event has no text yet.
        call.sentCharacters = lengthOf(call, script.lag > 0 ? next - 1 : next);
        controller?.enqueue(read);
      };
      const answer = () => {
        if (script.ending === "refuse" || script.ending === "busy") {
          over();
          const status = script.ending === "busy" ? 429 : 500;
          return resolve(Response.json({ error: { message: "no" } }, { status, headers: { "X-Should-Retry": "false" } }));
        }
        if (script.ending === "unreachable") {
          over();
          return reject(new TypeError("fetch failed"));
        }
        const body = new ReadableStream<Uint8Array>(
          {
            start: (given) => void (controller = given),
            pull() {
              const isSilent = next === reads.length && (script.ending === "stall" || script.ending === "linger");
              // Settles at once, because a pending pull would block the stream's other steps.
              if (!isSilent) step(next === reads.length ? "ends" : "speaks", speak);
            },
            cancel: over,
          },
          { highWaterMark: 0 },
        );
        resolve(new Response(body, { headers: { "Content-Type": "text/event-stream" } }));
      };
      if (signal.aborted) return abort();
      signal.addEventListener("abort", abort);
      if (script.ending !== "stall" || script.pieces > 0) step(`answers, to end with ${script.ending}`, answer);
    });

  /** An iterable that ignores the signal, like that of a careless wrapper. It may arrive after an abort. */
  const iterate = ({ call, process, name }: ReturnType<typeof begin>): Promise<AsyncIterable<ChatCompletionChunk>> =>
    new Promise((resolve, reject) => {
      const { script } = call;
      const chunks = partsOf(call).flatMap((part) => part.chunks.map((chunk) => ({ chunk, isLast: part.isLast })));
      let withdraw = () => {};
      let finish = () => {};
      let spoken = 0;
      const over = () => {
        call.isOpen = false;
        withdraw();
      };
      const next = (): Promise<IteratorResult<ChatCompletionChunk>> =>
        new Promise((resolve, reject) => {
          finish = () => resolve({ done: true, value: undefined });
          if (!call.isOpen) return finish();
          const part = chunks[0];
          if (!part && (script.ending === "stall" || script.ending === "linger")) return;
          withdraw = schedule.offer(
            `${name} ${part ? "speaks" : "ends"}`,
            () => {
              chunks.shift();
              call.sentCharacters = lengthOf(call, ++spoken);
              if (part?.isLast) call.isFinished = true;
              if (part) return resolve({ done: false, value: part.chunk });
              over();
              if (script.ending === "cut" || script.ending === "garbage") reject(new TypeError("terminated"));
              else finish();
            },
            process,
          );
        });
      const answer = () => {
        if (script.ending === "refuse" || script.ending === "busy" || script.ending === "unreachable") {
          over();
          return reject(Object.assign(new Error("no"), script.ending === "busy" && { status: 429, headers: new Headers() }));
        }
        call.isOpen = true;
        const giveBack = async () => {
          over();
          finish();
          return { done: true as const, value: undefined };
        };
        resolve({ [Symbol.asyncIterator]: () => ({ next, return: giveBack }) });
      };
      if (script.ending === "stall" && script.pieces === 0) return;
      schedule.offer(`${name} answers, to end with ${script.ending}`, answer, process);
    });

  if (form === "openai") {
    return new OpenAI({
      apiKey: "none",
      baseURL: "http://model.test/v1",
      maxRetries: 0,
      fetch: (_url, init) =>
        respond(
          begin(JSON.parse(init?.body as string) as ChatCompletionCreateParamsStreaming),
          init?.signal ?? new AbortController().signal,
        ),
    });
  }
  const create: ModelClient["chat"]["completions"]["create"] = (body, { signal }) => {
    const begun = begin(structuredClone(body));
    if (form === "iterable") return iterate(begun);
    const response = respond(begun, signal).then((response) => {
      if (response.ok) return response;
      throw Object.assign(new Error("no"), { status: response.status, headers: response.headers });
    });
    const iterable = new Promise<never>(() => {});
    return Object.assign(iterable, { asResponse: () => response });
  };
  return { chat: { completions: { create } } };
}

/** The events of a call. */
function partsOf({ number, script, toolCallIds }: Call): Part[] {
  const { pieces, ending } = script;
  const chunk = (
    delta: ChatCompletionChunk.Choice.Delta,
    finish_reason: ChatCompletionChunk.Choice["finish_reason"] = null,
  ): ChatCompletionChunk => ({
    id: `call-${number}`,
    object: "chat.completion.chunk",
    created: 0,
    model: "m",
    choices: [{ index: 0, delta, finish_reason }],
  });
  const parts: Part[] = Array.from({ length: pieces }, (_, piece) => ({
    chunks: [chunk({ content: textOfPiece(number, piece, script) })],
    isLast: false,
  }));
  if (ending === "refuse" || ending === "busy" || ending === "unreachable") return [];
  if (ending === "error") parts.push({ chunks: [Object.assign(chunk({}), { error: { message: "overloaded" } })], isLast: false });
  if (ending === "tools") {
    const tool_calls = toolCallIds.map((id, index) => ({
      index,
      id,
      type: "function" as const,
      function: { name: "look", arguments: JSON.stringify({ id }) },
    }));
    parts.push({ chunks: [chunk({ tool_calls })], isLast: false });
  }
  const finishReason = finishReasonOf(script);
  if (finishReason) parts.push({ chunks: [chunk({}, finishReason)], isLast: true });
  return parts;
}

/** The events as bytes, one array for each network read, and the number of reads up to the finish reason. A lag ends reads inside events. */
function readsOf(call: Call): { reads: Uint8Array[]; finishedBy: number } {
  const { lag, ending } = call.script;
  const parts = partsOf(call);
  const events = parts.map(({ chunks }) => chunks.map((chunk) => `data: ${JSON.stringify(chunk)}\n\n`).join(""));
  if (ending === "garbage") events.push("data: {nonsense\n\n");
  if (ending === "stop" || ending === "tools") events.push("data: [DONE]\n\n");
  const lengths = events.map((event) => encoder.encode(event).length);
  const bytes = encoder.encode(events.join(""));
  const reads: Uint8Array[] = [];
  let from = 0;
  let end = 0;
  for (const [index, length] of lengths.entries()) {
    end += length;
    const isWithheld = index + 1 < lengths.length || ending === "cut" || ending === "stall";
    const to = isWithheld ? Math.max(end - Math.min(lag, length - 1), from) : end;
    reads.push(bytes.slice(from, to));
    from = to;
  }
  return { reads, finishedBy: finishReasonOf(call.script) ? parts.length : Infinity };
}
