/** Validates the values of a request. Each function returns the value with its type, or throws a 400 that names the field. */
import type { ChatCompletionContentPart } from "openai/resources/chat/completions";
import { countCharacters } from "./count-characters.ts";
import { createInvalidRequest } from "./errors.ts";
import type { Limits } from "./limits.ts";
import { partFields, type Prompt, type PromptContent } from "./prompt.ts";

/** The limits of a prompt. */
export type PromptLimits = Pick<Limits, "idCharacters" | "promptCharacters" | "parts">;

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
export function parsePrompt(value: unknown, param: string, limits: PromptLimits): Prompt {
  const prompt = parseRecord(value, param);
  const id = parseId(prompt["id"], `${param}.id`, limits);
  if (prompt["role"] !== "user") throw createInvalidRequest(`${param}.role`, "must be user");
  return { id, role: "user", content: parseContent(prompt["content"], `${param}.content`, limits) };
}

/** Throws for a content part of a kind that the app does not accept. */
export function checkPartTypes({ content }: Prompt, accepted: readonly string[]): void {
  if (typeof content === "string") return;
  for (const { type } of content) {
    if (!accepted.includes(type)) throw createInvalidRequest("prompt.content", `must have only parts of type ${accepted.join(", ")}`);
  }
}

/** Returns the value as the content of a prompt: text, or OpenAI's content parts with the fields we know. */
function parseContent(value: unknown, param: string, { promptCharacters, parts: maxParts }: PromptLimits): PromptContent {
  if (Array.isArray(value) && value.length > maxParts) throw createInvalidRequest(param, `must have at most ${maxParts} parts`);
  const content = Array.isArray(value) ? value.map((part, index) => parsePart(part, `${param}[${index}]`)) : parseText(value, param);
  if (isEmpty(content)) throw createInvalidRequest(param, "must not be empty");
  if (countContent(content) > promptCharacters) throw createInvalidRequest(param, `must have at most ${promptCharacters} characters`);
  return content;
}

/** Whether content has only blank text. */
function isEmpty(content: PromptContent): boolean {
  if (typeof content === "string") return content.trim() === "";
  return content.every((part) => part.type === "text" && part.text.trim() === "");
}

/** The characters of the values. The names of types are ours. */
function countContent(content: PromptContent): number {
  if (typeof content === "string") return content.length;
  return content.reduce((characters, part) => characters + countCharacters(part) - part.type.length, 0);
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
