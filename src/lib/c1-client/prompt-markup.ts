/** Prompts in C1's markup. C1Chat parses all prompts of a thread as XML with JSON in `<context>`. If one is invalid, it shows none. */

/** Any JSON value. */
export type JsonValue = string | number | boolean | null | JsonValue[] | { [name: string]: JsonValue };

/** The content of a prompt as the routes return it: text, or content parts. */
export type LoadedContent = string | { text?: string }[];

/** Converts the content of a prompt to valid markup. Removes a `<context>` that is not valid JSON. */
export function toC1Markup(content: LoadedContent): string {
  const text = typeof content === "string" ? content : content.flatMap((part) => part.text ?? []).join(" ");
  if (!/^\s*<content\b/.test(text)) return `<content thesys="true">${escapeMarkup(text)}</content>`;
  const start = text.indexOf("<context");
  if (start < 0) return text;
  const [, state = ""] = /^<context>([^<]*)<\/context>\s*$/.exec(text.slice(start)) ?? [];
  const withoutContext = text.slice(0, start);
  try {
    return `${withoutContext}<context>${escapeMarkup(JSON.stringify(JSON.parse(unescapeMarkup(state))))}</context>`;
  } catch {
    return withoutContext;
  }
}

/** Splits valid markup into the text that a person reads and the state that came with it. */
export function parseC1Markup(markup: string): { text: string; context: JsonValue[] | undefined } {
  const [, text = ""] = /^\s*<content\b[^>]*>([\s\S]*?)<\/content>/.exec(markup) ?? [];
  const [, state] = /<context>([^<]*)<\/context>\s*$/.exec(markup) ?? [];
  return { text: unescapeMarkup(text), context: state === undefined ? undefined : (JSON.parse(unescapeMarkup(state)) as JsonValue[]) };
}

/** The order matters: `&amp;` is escaped first and unescaped last. `&#x27;` is only unescaped. */
const entities: readonly [entity: string, character: string][] = [
  ["&lt;", "<"],
  ["&gt;", ">"],
  ["&quot;", '"'],
  ["&#x27;", "'"],
  ["&#39;", "'"],
  ["&amp;", "&"],
];

function unescapeMarkup(text: string): string {
  return entities.reduce((result, [entity, character]) => result.replaceAll(entity, character), text);
}

function escapeMarkup(text: string): string {
  return entities.reduceRight((result, [entity, character]) => result.replaceAll(character, entity), text);
}
