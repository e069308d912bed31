/** Validates the values of a request. Each function returns the value with its type, or throws a 400 that names the field. */
import type { ChatCompletionContentPart } from "openai/resources/chat/completions";
import type { Limits } from "./limits.ts";
import { createInvalidRequest } from "./errors.ts";
import { partFields, type Prompt, type PromptContent } from "./prompt.ts";

/** Returns the value if it is a JSON object. `param` is its path in the body; `""` is the body itself. */
export function parseRecord(value: unknown, param: string): Record<string, unknown> {
  if (typeof value !== "object" || !value || Array.isArray(value)) throw createInvalidRequest(param, "must be an object");
  return value as Record<string, unknown>;
}

/** Returns the value if it is well-formed text. */
export function parseText(value: unknown, param: string): string {
  // JSON can contain half a surrogate pair. Providers reject it, and UTF-8 databases cannot store it.
  if (typeof value !== "string" || !value.isWellFormed()) throw createInvalidRequest(param, "must be well-formed text");
  return value;
}

/** Returns the value if it is an id that every store can hold: bounded, not empty, without control characters. */
export function parseId(value: unknown, param: string, { idCharacters }: Pick<Limits, "idCharacters">): string {
  const id = parseText(value, param);
  if (!id || id.length > idCharacters || /\p{Cc}/u.test(id)) {
    throw createInvalidRequest(param, `must have 1 to ${idCharacters} characters, no control characters`);
  }
  return id;
}

/** Returns the value as a prompt: a user message with an id. Drops every other field. */
export function parsePrompt(value: unknown, param: string, limits: Pick<Limits, "idCharacters" | "promptCharacters">): Prompt {
  const prompt = parseRecord(value, param);
  const id = parseId(prompt["id"], `${param}.id`, limits);
  if (prompt["role"] !== "user") throw createInvalidRequest(`${param}.role`, "must be user");
  return { id, role: "user", content: parseContent(prompt["content"], `${param}.content`, limits) };
}

/** Returns the value as the content of a prompt: text, or OpenAI's content parts with the fields we know. */
function parseContent(value: unknown, param: string, { promptCharacters }: Pick<Limits, "promptCharacters">): PromptContent {
  if (!Array.isArray(value)) {
    const text = parseText(value, param);
    checkLength(text, param, promptCharacters);
    return text;
  }
  const parts = value.map((part, index) => parsePart(part, `${param}[${index}]`));
  const texts = parts.map((part) => (part.type === "text" ? part.text : ""));
  const isOnlyText = parts.every(({ type }) => type === "text");
  checkLength(texts.join(""), param, promptCharacters, isOnlyText ? 1 : 0);
  return parts;
}

/** Throws if the text is longer than `most` characters, or blank although at least `least` are required. */
function checkLength(text: string, param: string, most: number, least = 1): void {
  if (text.trim().length < least) throw createInvalidRequest(param, "must not be empty");
  if (text.length > most) throw createInvalidRequest(param, `must have at most ${most} characters`);
}

function parsePart(value: unknown, param: string): ChatCompletionContentPart {
  const part = parseRecord(value, param);
  const type = part["type"] as string;
  const names = partFields.get(type);
  if (!names) throw createInvalidRequest(`${param}.type`, `must be one of ${[...partFields.keys()].join(", ")}`);
  // OpenAI puts the text of a part beside its type, and everything else into an object named like the type.
  if (type === "text") return { type, ...pickText(part, names, param) } as unknown as ChatCompletionContentPart;
  const path = `${param}.${type}`;
  const fields = pickText(parseRecord(part[type], path), names, path);
  const { url } = fields;
  if (url !== undefined && !/^(https?:|data:image\/)/i.test(url))
    throw createInvalidRequest(`${path}.url`, "must be an http or data:image URL");
  return { type, [type]: fields } as unknown as ChatCompletionContentPart;
}

/** Returns the text fields with these names. The first name is required. */
function pickText(source: Record<string, unknown>, names: readonly string[], path: string): Record<string, string> {
  const picked: Record<string, string> = {};
  for (const [index, name] of names.entries()) {
    const isRequired = index === 0;
    if (isRequired || source[name] !== undefined) picked[name] = parseText(source[name], `${path}.${name}`);
  }
  return picked;
}
