/** Prompts: what they may contain, and the text of them that a person would read. */
import type { ChatCompletionContentPart } from "openai/resources/chat/completions";
import { throwUsageError } from "./usage-error.ts";

/** The content of a prompt: text, or OpenAI's content parts. */
export type PromptContent = string | ChatCompletionContentPart[];

/** The user message of a request. */
export interface Prompt {
  /** The client's id of the message. */
  id: string;
  /** Always `"user"`: a client cannot send any other role. */
  role: "user";
  /** Sent to the model unchanged. */
  content: PromptContent;
}

/**
 * The fields of each kind of content part. The first one is required. There is no `file_id`: it names a file in the app's account at the
 * provider, which may belong to another user.
 */
export const partFields: ReadonlyMap<string, readonly string[]> = new Map([
  ["text", ["text"]],
  ["image_url", ["url", "detail"]],
  ["input_audio", ["data", "format"]],
  ["file", ["file_data", "filename"]],
]);

/** A kind of content part that a prompt can have. */
export type PromptPartType = "text" | "image_url" | "input_audio" | "file";

/** All kinds of content parts. */
export const promptPartTypes = [...partFields.keys()] as readonly PromptPartType[];

/** Throws for an option `promptParts` that is not a list of kinds. */
export function checkPromptParts(promptParts: readonly PromptPartType[]): void {
  if (!Array.isArray(promptParts) || !promptParts.every((type) => partFields.has(type))) {
    throwUsageError(`promptParts must be an array of ${promptPartTypes.join(", ")}.`);
  }
}

/** Every field that counts when two prompts are compared. */
const comparedFields = ["role", "content", "type", ...[...partFields].flat(2)];

/** Returns what counts when two prompts are compared, as one text. */
export function comparedText(prompt: object): string {
  return JSON.stringify(prompt, comparedFields);
}

/** Whether two user messages have the same content. The order of their fields does not count: some databases change it. */
export function isSamePrompt(one: object, other: object): boolean {
  return comparedText(one) === comparedText(other);
}

/**
 * Returns the text that a person typed, for titles and logs. Of content parts it is the text parts. Of C1's
 * `<content thesys="true">A &amp;amp; B</content><context>…</context>` it is the unescaped inside of `<content>`. The model receives
 * the prompt unchanged, never this text.
 *
 * @example
 * promptText('<content thesys="true">A &amp;amp; B</content>'); // "A & B"
 */
export function promptText(content: PromptContent): string {
  const text = typeof content === "string" ? content : content.map((part) => (part.type === "text" ? part.text : "")).join(" ");
  const inside = /^\s*<content\b[^>]*>([\s\S]*?)<\/content>/.exec(text)?.[1];
  return (inside === undefined ? text : unescapeEntities(inside)).trim();
}

const entities = new Map([
  ["lt", "<"],
  ["gt", ">"],
  ["quot", '"'],
  ["#39", "'"],
  ["#x27", "'"],
  ["amp", "&"],
]);

/** Decodes the entities that C1's client writes. */
export function unescapeEntities(text: string): string {
  return text.replace(/&([#\w]+);/g, (entity, name: string) => entities.get(name) ?? entity);
}

/** The title of a thread that begins with this prompt: its text, otherwise the name of its first file, or a word for what it is. */
export function titleFromPrompt(content: PromptContent): string {
  const title = normalizeTitle(promptText(content));
  if (title || typeof content === "string") return title;
  const names = content.map((part) => (part.type === "file" ? normalizeTitle(part.file.filename ?? "") : ""));
  const [first] = content;
  return names.find((name) => name !== "") ?? partTitles.get(first?.type ?? "") ?? "";
}

/** Titles of prompts without text, by the kind of their first part. */
const partTitles = new Map([
  ["image_url", "Image"],
  ["input_audio", "Audio"],
  ["file", "File"],
]);

/** Turns any text into a title: one well-formed line without control characters, at most 80 characters long. */
export function normalizeTitle(text: string): string {
  // A prompt may be as long as a book, and a title needs only its beginning.
  const line = text
    .slice(0, 800)
    .toWellFormed()
    .replace(/[\s\p{Cc}]+/gu, " ")
    .trim();
  const characters = [...line];
  return characters.length > 80 ? `${characters.slice(0, 79).join("")}…` : line;
}
