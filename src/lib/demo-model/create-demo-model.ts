/** A stand-in for a model's provider: a `fetch` that answers chat completions in this very process. */
import { type DemoAnswer, demoAnswer } from "./answers.ts";
import { findFault, isRecord } from "./history.ts";
import { throwUsageError } from "../core/usage-error.ts";

/** Options of {@link createDemoModel}. */
export interface DemoModelOptions {
  /** How fast an answer comes, in tokens of a few characters. `0` or `Infinity`: as fast as it is read. @default 50 */
  tokensPerSecond?: number | undefined;
  /** `"c1"` answers with C1's components, for C1's browser client; `"text"` with plain text. @default "c1" */
  format?: "c1" | "text" | undefined;
}

/**
 * A model that needs no key and no network, for examples and tests: a `fetch` for the OpenAI SDK that answers
 * `POST …/chat/completions`, streamed or whole, as a provider does.
 *
 * ```ts
 * const client = new OpenAI({ apiKey: "demo", baseURL: "http://demo.invalid/v1", fetch: createDemoModel() });
 * ```
 *
 * It is no AI. Words in the newest prompt choose an answer written beforehand: `card`, `table`, `chart`, `form`, `long`. A
 * submitted form is answered with what it held; `break` cuts the connection in the middle of the answer, and `fail` refuses with
 * status 500. A history that a provider would refuse (calls without results, results without calls, empty content) is refused
 * with status 400. An abort ends the answer at once and leaves no timer behind.
 *
 * @throws TypeError for an option it does not know how to use.
 */
export function createDemoModel(options: DemoModelOptions = {}): (input: string | URL | Request, init?: RequestInit) => Promise<Response> {
  const { tokensPerSecond = 50, format = "c1" } = options;
  if (!(tokensPerSecond >= 0)) throwUsageError("tokensPerSecond must be a number of at least 0");
  if (format !== "c1" && format !== "text") throwUsageError('format must be "c1" or "text"');
  const pace = tokensPerSecond === 0 ? Infinity : tokensPerSecond;

  return async (input, init) => {
    const request = new Request(input, init);
    const signal = init?.signal ?? request.signal;
    signal.throwIfAborted();
    if (request.method !== "POST" || !new URL(request.url).pathname.endsWith("/chat/completions")) {
      return refusal(404, "The demo model knows POST /chat/completions only.");
    }
    const body: unknown = await request.json().catch(() => undefined);
    if (!isRecord(body)) return refusal(400, "The body must be a JSON object.");
    if (typeof body.model !== "string") return refusal(400, "A request must name a model.", "model");
    const fault = findFault(body.messages);
    if (fault !== undefined) return refusal(400, fault.message, fault.param);

    const messages: readonly unknown[] = Array.isArray(body.messages) ? body.messages : [];
    const answer = demoAnswer(messages, format);
    if (answer.ending === "refused") return refusal(500, "The demo model fails, as it was asked to.");
    const completion = describe(answer, body.model, messages);
    return body.stream === true
      ? streamedResponse(completion, wantsUsage(body.stream_options), pace, signal)
      : wholeResponse(completion, pace, signal);
  };
}

/** An answer on its way: its pieces, and what is said about it. */
interface Completion extends DemoAnswer {
  id: string;
  model: string;
  created: number;
  deltas: string[];
  usage: { prompt_tokens: number; completion_tokens: number; total_tokens: number };
}

function describe(answer: DemoAnswer, model: string, messages: readonly unknown[]): Completion {
  // A word, or a part of one, with the space before it. The u flag keeps a character of two code units together.
  const deltas = answer.text.match(/\s*\S{1,5}|\s+/gu) ?? [];
  const prompt = Math.ceil(JSON.stringify(messages).length / 4);
  return {
    ...answer,
    id: `chatcmpl-demo-${crypto.randomUUID()}`,
    model,
    created: Math.floor(Date.now() / 1000),
    deltas,
    usage: { prompt_tokens: prompt, completion_tokens: deltas.length, total_tokens: prompt + deltas.length },
  };
}

async function wholeResponse(completion: Completion, pace: number, signal: AbortSignal): Promise<Response> {
  const { id, model, created, text, ending, deltas, usage } = completion;
  await pause((deltas.length / pace) * 1000, signal);
  if (ending === "cut") throw cutOff();
  const message = { role: "assistant", content: text, refusal: null };
  const choices = [{ index: 0, message, finish_reason: "stop", logprobs: null }];
  return Response.json({ id, object: "chat.completion", created, model, choices, usage });
}

/** The answer as server-sent events, each at its time and none before it is asked for. */
function streamedResponse(completion: Completion, withUsage: boolean, pace: number, signal: AbortSignal): Response {
  const encoder = new TextEncoder();
  const events = streamEvents(completion, withUsage);
  const cancelled = new AbortController();
  const gone = AbortSignal.any([signal, cancelled.signal]);
  const started = Date.now();
  let sent = 0;
  const body = new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        await pause(started + (sent / pace) * 1000 - Date.now(), gone);
        const { done, value } = events.next();
        if (done) return controller.close();
        controller.enqueue(encoder.encode(value));
        sent += 1;
      },
      cancel: () => cancelled.abort(),
    },
    { highWaterMark: 0 },
  );
  return new Response(body, { headers: { "Content-Type": "text/event-stream; charset=utf-8", "Cache-Control": "no-cache" } });
}

function* streamEvents(completion: Completion, withUsage: boolean): Generator<string, void> {
  const { id, model, created, deltas, ending, usage } = completion;
  const event = (fields: object): string => {
    const chunk = { id, object: "chat.completion.chunk", created, model, ...(withUsage && { usage: null }), ...fields };
    return `data: ${JSON.stringify(chunk)}\n\n`;
  };
  const choice = (delta: object, finish_reason: "stop" | null): string =>
    event({ choices: [{ index: 0, delta, logprobs: null, finish_reason }] });

  yield choice({ role: "assistant", content: "" }, null);
  for (const content of deltas) yield choice({ content }, null);
  if (ending === "cut") throw cutOff();
  yield choice({}, "stop");
  if (withUsage) yield event({ choices: [], usage });
  yield "data: [DONE]\n\n";
}

function wantsUsage(streamOptions: unknown): boolean {
  return isRecord(streamOptions) && streamOptions.include_usage === true;
}

/** What `fetch` throws when the other side closes a connection before its time. */
function cutOff(): TypeError {
  return new TypeError("terminated");
}

/** Waits, or rejects with the signal's reason as soon as it is aborted. */
async function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  if (milliseconds <= 0) return;
  await new Promise<void>((resolve) => {
    const wake = (): void => {
      clearTimeout(timer);
      signal.removeEventListener("abort", wake);
      resolve();
    };
    const timer = setTimeout(wake, milliseconds);
    signal.addEventListener("abort", wake);
  });
  signal.throwIfAborted();
}

/** An error as OpenAI sends it. `X-Should-Retry` spares the person the SDK's waits before a second and a third try. */
function refusal(status: number, message: string, param: string | null = null): Response {
  const type = status < 500 ? "invalid_request_error" : "server_error";
  return Response.json({ error: { message, type, param, code: null } }, { status, headers: { "X-Should-Retry": "false" } });
}
