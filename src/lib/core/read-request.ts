/** Admission: what of a request becomes a prompt, and what is refused before anything else happens. */
import type { ChatCompletionContentPart } from "openai/resources/chat/completions";
import { within } from "./async.ts";
import { asChatHandlerError, ChatHandlerError, clientGone, invalid } from "./errors.ts";
import type { Limits, RequestContext } from "../chat/options.ts";
import { partFields, type Prompt, type PromptContent } from "./prompt.ts";

/** Reads and checks a chat request. Throws a `ChatHandlerError` that names what is wrong. */
export async function readChatRequest(request: Request, limits: Limits, bodyTimeout: number): Promise<RequestContext> {
  const body = record(await readJson(request, limits.bodyBytes, bodyTimeout), "");
  const prompt = admitPrompt(body["prompt"], "prompt", limits);
  const threadId = admitId(body["threadId"], "threadId", limits);
  const responseId = admitId(body["responseId"], "responseId", limits);
  if (prompt.id === responseId) throw invalid("responseId", "must differ from prompt.id");
  return { request, threadId, responseId, prompt };
}

/** The JSON of a body: of no more than `limit` bytes, and no longer waited for than `timeout` milliseconds. */
export async function readJson(request: Request, limit: number, timeout: number): Promise<unknown> {
  const { headers } = request;
  // Only JSON: a form post, which a browser sends across origins without asking, must not get here with its cookies.
  if (!/^application\/json\s*(;|$)/i.test(headers.get("Content-Type") ?? "")) {
    throw new ChatHandlerError("unsupported_media_type", "Send the body as application/json.");
  }
  const length = headers.get("Content-Length") ?? "";
  // A server holds its client to a length that was declared, and gives such a body whole for far less than a stream of it. It is not that
  // of a body which an adapter has unpacked.
  const isBounded = /^\d+$/.test(length) && Number(length) <= limit && !headers.has("Content-Encoding");
  let reader: ReadableStreamDefaultReader<Uint8Array> | undefined;
  let size = 0;
  const next = async () => (reader ? reader.read() : { done: true, value: await request.arrayBuffer() });
  const read = async () => {
    if (!isBounded) reader = request.body?.getReader();
    const decoder = new TextDecoder("utf-8", { fatal: true });
    let text = "";
    for (;;) {
      const { done, value } = await next().catch((cause: unknown) => {
        throw size > 0 || request.signal?.aborted ? clientGone() : cause; // else it was read before
      });
      size += value?.byteLength ?? 0;
      if (size > limit) throw new ChatHandlerError("body_too_large", `The body is larger than ${limit} bytes.`);
      text += decoder.decode(value, { stream: !done });
      if (done) return JSON.parse(text) as unknown;
    }
  };
  try {
    return await within(timeout, read(), () => new ChatHandlerError("invalid_request", `The body took longer than ${timeout} ms.`));
  } catch (cause) {
    void reader?.cancel(cause).catch(() => {});
    throw asChatHandlerError(
      cause,
      "invalid_json",
      size > 0 ? "The body is not JSON in UTF-8." : "There is no body, or it was read before.",
    );
  }
}

/** The value as a JSON object. */
export function record(value: unknown, param: string): Record<string, unknown> {
  if (typeof value !== "object" || !value || Array.isArray(value)) throw invalid(param, "must be an object");
  return value as Record<string, unknown>;
}

/** The value as an id: a bounded string that every store can hold. */
export function admitId(value: unknown, param: string, { idCharacters }: Pick<Limits, "idCharacters">): string {
  const id = admitText(value, param);
  if (!id || id.length > idCharacters || /\p{Cc}/u.test(id))
    throw invalid(param, `must have 1 to ${idCharacters} characters, no control characters`);
  return id;
}

/** The value as a prompt: a user message, and nothing else of it. */
export function admitPrompt(value: unknown, param: string, limits: Pick<Limits, "idCharacters" | "promptCharacters">): Prompt {
  const prompt = record(value, param);
  const id = admitId(prompt["id"], `${param}.id`, limits);
  if (prompt["role"] !== "user") throw invalid(`${param}.role`, "must be user");
  return { id, role: "user", content: admitContent(prompt["content"], `${param}.content`, limits) };
}

function admitContent(value: unknown, param: string, { promptCharacters }: Pick<Limits, "promptCharacters">): PromptContent {
  const parts = Array.isArray(value) ? value.map((part, index) => admitPart(part, `${param}[${index}]`)) : undefined;
  const said = parts ? parts.map((part) => (part.type === "text" ? part.text : "")).join("") : admitText(value, param);
  if (said.trim() === "" && !parts?.some(({ type }) => type !== "text")) throw invalid(param, "must not be empty");
  if (said.length > promptCharacters) throw invalid(param, `must have at most ${promptCharacters} characters`);
  return parts ?? said;
}

/** A content part with the fields we know, and no others. */
function admitPart(value: unknown, param: string): ChatCompletionContentPart {
  const part = record(value, param);
  const type = part["type"] as string;
  const fields = partFields.get(type);
  if (!fields) throw invalid(`${param}.type`, `must be one of ${[...partFields.keys()].join(", ")}`);
  const isText = type === "text";
  const path = isText ? param : `${param}.${type}`;
  const given = isText ? part : record(part[type], path);
  const admitted: Record<string, string> = {};
  for (const name of fields) {
    if (name === fields[0] || given[name] !== undefined) admitted[name] = admitText(given[name], `${path}.${name}`);
  }
  const { url } = admitted;
  if (url !== undefined && !/^(https?:|data:image\/)/i.test(url)) throw invalid(`${path}.url`, "must be an http or data:image URL");
  return (isText ? { type, ...admitted } : { type, [type]: admitted }) as unknown as ChatCompletionContentPart;
}

/** The value as text. */
export function admitText(value: unknown, param: string): string {
  // JSON can carry half a surrogate pair; no provider takes it and no UTF-8 database keeps it.
  if (typeof value !== "string" || !value.isWellFormed()) throw invalid(param, "must be well-formed text");
  return value;
}
