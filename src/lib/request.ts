/** Admission: what of a request becomes a prompt, and what is refused before anything else happens. */
import type { ChatCompletionContentPart } from "openai/resources/chat/completions";
import { within } from "./deadline.ts";
import { asChatHandlerError, ChatHandlerError } from "./errors.ts";
import type { Limits } from "./options.ts";
import type { Prompt, PromptContent } from "./prompt.ts";

/** The three things a client says. */
export interface ChatRequest {
  /** The user message. */
  prompt: Prompt;
  /** The thread it belongs to. */
  threadId: string;
  /** The client's name for the answer. */
  responseId: string;
}

/** Reads and checks a chat request. Throws a `ChatHandlerError` that names what is wrong. */
export async function readChatRequest(request: Request, limits: Limits, bodyTimeout: number): Promise<ChatRequest> {
  const body = await readJson(request, limits.bodyBytes, bodyTimeout);
  const fields = record(body, "");
  const prompt = record(fields["prompt"], "prompt");
  const threadId = id(fields["threadId"], "threadId", limits);
  const responseId = id(fields["responseId"], "responseId", limits);
  const promptId = id(prompt["id"], "prompt.id", limits);
  if (promptId === responseId) throw invalid("responseId", "must differ from prompt.id");
  if (prompt["role"] !== "user") throw invalid("prompt.role", 'must be "user"');
  return { prompt: { id: promptId, role: "user", content: content(prompt["content"], limits) }, threadId, responseId };
}

/** The JSON body of a POST, or of another method that carries one. */
export async function readJson(request: Request, limit: number, timeout: number): Promise<unknown> {
  // Only JSON: a form post, which a browser sends across origins without asking, must not get here with its cookies.
  if (!/^application\/json\s*(;|$)/i.test(request.headers.get("Content-Type") ?? "")) {
    throw new ChatHandlerError("unsupported_media_type", "Send the body as Content-Type: application/json.");
  }
  if (request.bodyUsed) {
    throw new ChatHandlerError("internal", "The body was read before the handler got it: mount it before any body parser.");
  }
  if (Number(request.headers.get("Content-Length") ?? 0) > limit) throw tooLarge(limit);
  if (!request.body) throw new ChatHandlerError("invalid_json", "The body is empty.");

  const text = await readText(request.body, limit, timeout);
  try {
    return JSON.parse(text) as unknown;
  } catch (cause) {
    throw notJson(cause);
  }
}

/** A body whose length is not to be trusted: reading stops as soon as there is too much of it, or it takes too long. */
async function readText(body: ReadableStream<Uint8Array>, limit: number, timeout: number): Promise<string> {
  const reader = body.getReader();
  const read = async () => {
    const decoder = new TextDecoder("utf-8", { fatal: true });
    let text = "";
    let left = limit;
    for (;;) {
      const { done, value } = await reader.read();
      if (value && (left -= value.byteLength) < 0) throw tooLarge(limit);
      try {
        text += decoder.decode(value, { stream: !done });
      } catch (cause) {
        throw notJson(cause);
      }
      if (done) return text;
    }
  };
  try {
    return await within(timeout, read(), () => new ChatHandlerError("invalid_request", `The body took longer than ${timeout} ms.`));
  } catch (error) {
    void reader.cancel(error).catch(() => {});
    throw asChatHandlerError(error, "client_gone", "The body broke off.");
  }
}

const notJson = (cause: unknown) => new ChatHandlerError("invalid_json", "The body is not JSON in UTF-8.", { cause });
const tooLarge = (limit: number) => new ChatHandlerError("body_too_large", `The body is larger than ${limit} bytes.`);

/** A 400 that names the field. */
export function invalid(param: string, problem: string): ChatHandlerError {
  return new ChatHandlerError("invalid_request", `${param || "The body"} ${problem}.`, param ? { param } : undefined);
}

/** The value as a JSON object. */
export function record(value: unknown, param: string): Record<string, unknown> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw invalid(param, "must be a JSON object");
  return value as Record<string, unknown>;
}

/** The value as an id: a bounded string that every store can hold. */
export function id(value: unknown, param: string, limits: Pick<Limits, "idCharacters">): string {
  const given = text(value, param);
  const most = limits.idCharacters;
  if (given === "" || given.length > most || /\p{Cc}/u.test(given)) {
    throw invalid(param, `must have 1 to ${most} characters and no control characters`);
  }
  return given;
}

function content(value: unknown, limits: Limits): PromptContent {
  const param = "prompt.content";
  const isText = typeof value === "string";
  if (!isText && !Array.isArray(value)) throw invalid(param, "must be a string or an array of content parts");
  const admitted = isText ? text(value, param) : value.map((part, index) => contentPart(part, `${param}[${index}]`));
  const texts = typeof admitted === "string" ? [admitted] : admitted.map((part) => (part.type === "text" ? part.text : ""));
  const hasMore = typeof admitted !== "string" && admitted.some(({ type }) => type !== "text");
  if (!hasMore && texts.every((said) => said.trim() === "")) throw invalid(param, "must not be empty");
  if (texts.join("").length > limits.promptCharacters) throw invalid(param, `must have at most ${limits.promptCharacters} characters`);
  return admitted;
}

/**
 * The kinds of content parts and, for each, its fields; those with a pattern must match it, and `?` marks what may be missing.
 * There is no `file_id`: it names a file of the app's account at the provider, perhaps another person's.
 */
const partFields: Record<string, Record<string, RegExp>> = {
  text: { text: /^/ },
  image_url: { url: /^(https?:\/\/|data:image\/)/i, "detail?": /^(auto|low|high)$/ },
  input_audio: { data: /^/, format: /^(wav|mp3)$/ },
  file: { file_data: /^/, "filename?": /^/ },
};

/** A content part with the fields we know, and no others. */
function contentPart(value: unknown, param: string): ChatCompletionContentPart {
  const part = record(value, param);
  const type = String(part["type"]);
  const fields = Object.hasOwn(partFields, type) ? partFields[type] : undefined;
  if (!fields) throw invalid(`${param}.type`, `must be one of ${Object.keys(partFields).join(", ")}`);
  const isText = type === "text";
  const path = isText ? param : `${param}.${type}`;
  const given = isText ? part : record(part[type], path);
  const admitted: Record<string, string> = {};
  for (const [field, pattern] of Object.entries(fields)) {
    const name = field.replace("?", "");
    if (name !== field && given[name] === undefined) continue;
    admitted[name] = text(given[name], `${path}.${name}`, pattern);
  }
  return (isText ? { type, ...admitted } : { type, [type]: admitted }) as unknown as ChatCompletionContentPart;
}

function text(value: unknown, param: string, pattern: RegExp = /^/): string {
  // JSON can carry half a surrogate pair; no provider takes it and no UTF-8 database keeps it.
  if (typeof value !== "string" || !value.isWellFormed()) throw invalid(param, "must be well-formed text");
  if (!pattern.test(value)) throw invalid(param, `must match ${pattern.source}`);
  return value;
}
