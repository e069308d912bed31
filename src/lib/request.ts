/** Admission: what of a request becomes a prompt, and what is refused before anything else happens. */
import type { ChatCompletionContentPart } from "openai/resources/chat/completions";
import { readBody } from "./body.ts";
import { ChatHandlerError } from "./errors.ts";
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
    throw new ChatHandlerError("internal", "The request body was read before the handler got it: mount it before any body parser.");
  }
  if (Number(request.headers.get("Content-Length") ?? 0) > limit) throw tooLarge(limit);
  if (!request.body) throw new ChatHandlerError("invalid_json", "The body is empty; send a JSON object.");

  const slow = new ChatHandlerError("invalid_request", `The body did not arrive within ${timeout} ms.`);
  const clock = new AbortController();
  const timer = setTimeout(() => clock.abort(slow), timeout);
  let bytes: Uint8Array | undefined;
  try {
    bytes = await readBody(request.body, limit, clock.signal);
  } catch (error) {
    if (error === slow) throw slow;
    throw new ChatHandlerError("client_gone", "The body broke off.", { cause: error });
  } finally {
    clearTimeout(timer);
  }
  if (!bytes) throw tooLarge(limit);
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes)) as unknown;
  } catch (error) {
    throw new ChatHandlerError("invalid_json", "The body is not valid JSON in UTF-8.", { cause: error });
  }
}

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
  if (typeof value !== "string" || value === "") throw invalid(param, "must be a non-empty string");
  if (value.length > limits.idCharacters) throw invalid(param, `must have at most ${limits.idCharacters} characters`);
  if (!value.isWellFormed() || /\p{Cc}/u.test(value)) throw invalid(param, "must be well-formed text without control characters");
  return value;
}

function content(value: unknown, limits: Limits): PromptContent {
  const param = "prompt.content";
  if (typeof value === "string") {
    checkText(value, param);
    if (value.trim() === "") throw invalid(param, "must not be empty");
    checkLength(value.length, limits);
    return value;
  }
  if (!Array.isArray(value)) throw invalid(param, "must be a string or an array of content parts");
  const parts = value.map((part, index) => contentPart(part, `${param}[${index}]`));
  if (!parts.some((part) => part.type !== "text" || part.text.trim() !== "")) throw invalid(param, "must not be empty");
  checkLength(
    parts.reduce((sum, part) => sum + (part.type === "text" ? part.text.length : 0), 0),
    limits,
  );
  return parts;
}

function checkLength(characters: number, limits: Limits): void {
  if (characters > limits.promptCharacters) throw invalid("prompt.content", `must have at most ${limits.promptCharacters} characters`);
}

function checkText(text: string, param: string): void {
  // JSON can carry half a surrogate pair; no provider takes it and no UTF-8 database keeps it.
  if (!text.isWellFormed()) throw invalid(param, "must be well-formed Unicode");
}

/** A content part with the fields we know, and no others. */
function contentPart(value: unknown, param: string): ChatCompletionContentPart {
  const part = record(value, param);
  switch (part["type"]) {
    case "text":
      return { type: "text", text: text(part["text"], `${param}.text`) };
    case "image_url": {
      const image = record(part["image_url"], `${param}.image_url`);
      const url = text(image["url"], `${param}.image_url.url`);
      if (!/^(https?:\/\/|data:image\/)/i.test(url)) throw invalid(`${param}.image_url.url`, "must be an http(s) or data:image URL");
      const { detail } = image;
      if (detail === undefined) return { type: "image_url", image_url: { url } };
      if (detail !== "auto" && detail !== "low" && detail !== "high") {
        throw invalid(`${param}.image_url.detail`, 'must be "auto", "low" or "high"');
      }
      return { type: "image_url", image_url: { url, detail } };
    }
    case "input_audio": {
      const audio = record(part["input_audio"], `${param}.input_audio`);
      const { format } = audio;
      if (format !== "wav" && format !== "mp3") throw invalid(`${param}.input_audio.format`, 'must be "wav" or "mp3"');
      return { type: "input_audio", input_audio: { data: text(audio["data"], `${param}.input_audio.data`), format } };
    }
    case "file": {
      const file = record(part["file"], `${param}.file`);
      // A file_id names a file of the app's account at the provider, perhaps another person's: a browser may not pick one.
      if ("file_id" in file) throw invalid(`${param}.file.file_id`, "is not allowed; send file_data");
      const filename = file["filename"] === undefined ? undefined : text(file["filename"], `${param}.file.filename`);
      const file_data = text(file["file_data"], `${param}.file.file_data`);
      return { type: "file", file: { file_data, ...(filename !== undefined && { filename }) } };
    }
    default:
      throw invalid(`${param}.type`, 'must be "text", "image_url", "input_audio" or "file"');
  }
}

function text(value: unknown, param: string): string {
  if (typeof value !== "string") throw invalid(param, "must be a string");
  checkText(value, param);
  return value;
}
