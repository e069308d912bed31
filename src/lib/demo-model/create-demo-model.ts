/** `createDemoModel`: a `fetch` that answers chat completions like a provider, in this process. */
import { type DemoAnswer, createDemoAnswer } from "./answers.ts";
import { findProblem, isRecord } from "./history.ts";
import { throwUsageError } from "../core/usage-error.ts";

/** Options of {@link createDemoModel}. */
export interface DemoModelOptions {
  /** Speed of an answer. A token has a few characters. `0` or `Infinity`: as fast as it is read. @default 50 */
  tokensPerSecond?: number | undefined;
  /** `"c1"` answers with C1's components, `"text"` with plain text. @default "c1" */
  format?: "c1" | "text" | undefined;
}

/**
 * Creates a `fetch` for the OpenAI client that answers `POST …/chat/completions` like a provider, streamed or not. Use it in demos and tests:
 * it needs no key and no network.
 *
 * A word in the newest prompt chooses a prepared answer: `card`, `table`, `chart`, `form` or `long`. The answer to a submitted form lists its
 * values. `break` cuts the connection in the middle of the answer, and `fail` returns status 500. A history that a provider would reject (calls
 * without results, results without calls, empty content) returns status 400. An abort ends the answer at once.
 *
 * @throws TypeError for a wrong option.
 *
 * @example
 * const client = new OpenAI({ apiKey: "demo", baseURL: "http://demo.invalid/v1", fetch: createDemoModel() });
 */
export function createDemoModel(options: DemoModelOptions = {}): (input: string | URL | Request, init?: RequestInit) => Promise<Response> {
  const { tokensPerSecond = 50, format = "c1" } = options;
  if (!(tokensPerSecond >= 0)) throwUsageError("tokensPerSecond must be a number of at least 0.");
  if (format !== "c1" && format !== "text") throwUsageError('format must be "c1" or "text".');
  const pace = tokensPerSecond === 0 ? Infinity : tokensPerSecond;

  return async (input, init) => {
    const request = new Request(input, init);
    const signal = init?.signal ?? request.signal;
    signal.throwIfAborted();
    if (request.method !== "POST" || !new URL(request.url).pathname.endsWith("/chat/completions")) {
      return createErrorResponse(404, "The demo model supports only POST /chat/completions.");
    }
    const body: unknown = await request.json().catch(() => undefined);
    if (!isRecord(body)) return createErrorResponse(400, "The body must be a JSON object.");
    if (typeof body.model !== "string") return createErrorResponse(400, "model must be the name of a model.", "model");
    const problem = findProblem(body.messages);
    if (problem !== undefined) return createErrorResponse(400, problem.message, problem.param);

    const messages: readonly unknown[] = Array.isArray(body.messages) ? body.messages : [];
    const answer = createDemoAnswer(messages, format);
    if (answer.ending === "rejected") return createErrorResponse(500, "The demo model failed, because the prompt contains the word fail.");
    const completion = createCompletion(answer, body.model, messages);
    return body.stream === true
      ? streamCompletion(completion, wantsUsage(body.stream_options), pace, signal)
      : sendCompletion(completion, pace, signal);
  };
}

/** An answer, split into tokens, with the fields of a chat completion. */
interface Completion extends DemoAnswer {
  id: string;
  model: string;
  created: number;
  deltas: string[];
  usage: { prompt_tokens: number; completion_tokens: number; total_tokens: number };
}

function createCompletion(answer: DemoAnswer, model: string, messages: readonly unknown[]): Completion {
  // A token is up to five characters of a word, with the space before them. The u flag keeps surrogate pairs together.
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

async function sendCompletion(completion: Completion, pace: number, signal: AbortSignal): Promise<Response> {
  const { id, model, created, text, ending, deltas, usage } = completion;
  await pause((deltas.length / pace) * 1000, signal);
  if (ending === "cut") throw createConnectionError();
  const message = { role: "assistant", content: text, refusal: null };
  const choices = [{ index: 0, message, finish_reason: "stop", logprobs: null }];
  return Response.json({ id, object: "chat.completion", created, model, choices, usage });
}

/** The answer as server-sent events. Each is sent when it is due and demanded. */
function streamCompletion(completion: Completion, withUsage: boolean, pace: number, signal: AbortSignal): Response {
  const encoder = new TextEncoder();
  const events = streamEvents(completion, withUsage);
  const cancelled = new AbortController();
  const ended = AbortSignal.any([signal, cancelled.signal]);
  const started = Date.now();
  let sent = 0;
  const body = new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        await pause(started + (sent / pace) * 1000 - Date.now(), ended);
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
  if (ending === "cut") throw createConnectionError();
  yield choice({}, "stop");
  if (withUsage) yield event({ choices: [], usage });
  yield "data: [DONE]\n\n";
}

function wantsUsage(streamOptions: unknown): boolean {
  return isRecord(streamOptions) && streamOptions.include_usage === true;
}

/** The error with which `fetch` rejects when the server closes a connection too early. */
function createConnectionError(): TypeError {
  return new TypeError("terminated");
}

/** Waits. Rejects with the signal's reason when it aborts. */
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

/** An error in OpenAI's format. `X-Should-Retry` prevents the SDK from retrying, which would take seconds. */
function createErrorResponse(status: number, message: string, param: string | null = null): Response {
  const type = status < 500 ? "invalid_request_error" : "server_error";
  return Response.json({ error: { message, type, param, code: null } }, { status, headers: { "X-Should-Retry": "false" } });
}
