/** What a prompt may hold, and what of it a person would read. */
import type { ChatCompletionContentPart } from "openai/resources/chat/completions";

/** The content of a prompt: text, or OpenAI's content parts. */
export type PromptContent = string | ChatCompletionContentPart[];

/** The user message of a request, as it was admitted. */
export interface Prompt {
  /** The client's id for it. */
  id: string;
  /** Always the user's. */
  role: "user";
  /** Sent to the model word for word. */
  content: PromptContent;
}

/**
 * The fields of each kind of content part, the required one first. There is no `file_id`: it names a file of the app's account at
 * the provider, perhaps another person's.
 */
export const partFields: ReadonlyMap<string, readonly string[]> = new Map([
  ["text", ["text"]],
  ["image_url", ["url", "detail"]],
  ["input_audio", ["data", "format"]],
  ["file", ["file_data", "filename"]],
]);

const fieldNames = ["role", "content", "type", ...[...partFields].flat(2)];

/** Whether two prompts ask the same. As JSON with their fields in one order: some databases change the order of an object's keys. */
export const asksSame = (one: object, other: object): boolean => JSON.stringify(one, fieldNames) === JSON.stringify(other, fieldNames);

const entities = new Map([
  ["lt", "<"],
  ["gt", ">"],
  ["quot", '"'],
  ["#39", "'"],
  ["#x27", "'"],
  ["amp", "&"],
]);

/**
 * The text a person typed, for titles and logs: of content parts the text, and of C1's
 * `<content thesys="true">A &amp;amp; B</content><context>…</context>` what stands inside `<content>`, unescaped. The model
 * gets the prompt as it came, never this.
 */
export function promptText(content: PromptContent): string {
  const text = typeof content === "string" ? content : content.map((part) => (part.type === "text" ? part.text : "")).join(" ");
  const wrapped = /^\s*<content\b[^>]*>([\s\S]*?)<\/content>/.exec(text)?.[1];
  if (wrapped === undefined) return text.trim();
  return unescapeEntities(wrapped).trim();
}

/** The text behind the entities that C1's client writes. */
export const unescapeEntities = (text: string): string =>
  text.replace(/&([#\w]+);/g, (entity, name: string) => entities.get(name) ?? entity);

/** A thread's title from its first prompt: one line of plain text, see {@link asTitle}. */
export const titleOf = (content: PromptContent): string => asTitle(promptText(content));

/** Any text as a title: one line, well formed, without control characters, at most 80 characters. */
export function asTitle(text: string): string {
  // Cut roughly first: a prompt may be a book.
  const line = text
    .slice(0, 800)
    .toWellFormed()
    .replace(/[\s\p{Cc}]+/gu, " ")
    .trim();
  const characters = [...line];
  return characters.length > 80 ? `${characters.slice(0, 79).join("")}…` : line;
}
