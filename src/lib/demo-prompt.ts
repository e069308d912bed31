/** Reads a prompt as C1's browser client sends it: plain words, or a form or button with its context. */
import { isRecord } from "./demo-history.ts";

/** What a person asked for. */
export interface DemoPrompt {
  /** The words typed, or the text on the button. */
  text: string;
  /** The fields of a submitted form, by name; empty where there was none. */
  fields: [name: string, value: string][];
}

/** The newest prompt of a request whose messages are known to be sound. */
export function latestPrompt(messages: readonly unknown[]): DemoPrompt {
  const message = messages.findLast((candidate) => isRecord(candidate) && candidate.role === "user");
  const content = isRecord(message) ? message.content : "";
  return readPrompt(typeof content === "string" ? content : textParts(content));
}

function readPrompt(content: string): DemoPrompt {
  const wrapped = /<content\b[^>]*>([\s\S]*?)<\/content>/.exec(content);
  const context = /<context>([\s\S]*?)<\/context>/.exec(content);
  return {
    text: wrapped?.[1] === undefined ? content : unescapeMarkup(wrapped[1]),
    fields: context?.[1] === undefined ? [] : readFields(unescapeMarkup(context[1])),
  };
}

function textParts(content: unknown): string {
  if (!Array.isArray(content)) return "";
  return content.map((part: unknown) => (isRecord(part) && typeof part.text === "string" ? part.text : "")).join("\n");
}

/** The fields in `["User clicked…", [{ form: { name: { value, componentType } } }]]`, wherever they stand. */
function readFields(context: string): DemoPrompt["fields"] {
  const fields: DemoPrompt["fields"] = [];
  try {
    JSON.parse(context, (name, value: unknown) => {
      if (isRecord(value) && "componentType" in value) fields.push([name, asText(value.value)]);
      return value;
    });
  } catch {
    // A context that is not JSON names no fields.
  }
  return fields;
}

function asText(value: unknown): string {
  return typeof value === "string" ? value : (JSON.stringify(value) ?? "");
}

const entities: Record<string, string> = { amp: "&", lt: "<", gt: ">", quot: '"', "#39": "'", apos: "'" };

function unescapeMarkup(text: string): string {
  return text.replace(/&(amp|lt|gt|quot|#39|apos);/g, (whole, name: string) => entities[name] ?? whole);
}
