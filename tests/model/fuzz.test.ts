/** Random answers, each in a random dialect, cut into random reads: the text and the tool runs are those of the plain stream. */
import fc from "fast-check";
import { expect, it } from "vitest";
import { createTools } from "../../src/tools.ts";
import { chatBody, readResponse, startChat } from "../support/chat.ts";
import { answerWith, doneEvent, sendPieces, toEvent } from "../support/model-scripts.ts";

/** What a model says: text, and calls with their arguments. */
interface Answer {
  texts: string[];
  calls: { name: string; args: Record<string, string> }[];
}

/** How a server writes it. */
interface Dialect {
  /** How calls are told apart. `"zero"`: each has index 0. */
  index: "counted" | "zero" | "missing";
  id: "first" | "each" | "changing" | "empty";
  name: "first" | "each";
  args: "pieces" | "cumulative" | "whole" | "object";
  finish: "last" | "each";
  text: "text" | "parts";
  keepAlive: string;
  pieces: number;
}

/** Without `{`: a piece that repeats the arguments so far, letter for letter, is how some servers write them. */
const texts = (maxLength: number) => fc.string({ maxLength }).filter((text) => !text.includes("{"));

const answers = fc.record<Answer>({
  texts: fc.array(fc.string({ unit: "grapheme", minLength: 1, maxLength: 8 }), { maxLength: 4 }),
  calls: fc.array(
    fc.record({
      name: fc.constantFrom("get_weather", "get_time"),
      args: fc.dictionary(texts(4), texts(8), { minKeys: 1, maxKeys: 3, noNullPrototype: true }),
    }),
    { minLength: 1, maxLength: 3 },
  ),
});

const dialects = fc
  .record<Dialect>({
    index: fc.constantFrom("counted", "zero", "missing"),
    id: fc.constantFrom("first", "each", "changing", "empty"),
    name: fc.constantFrom("first", "each"),
    args: fc.constantFrom("pieces", "cumulative", "whole", "object"),
    finish: fc.constantFrom("last", "each"),
    text: fc.constantFrom("text", "parts"),
    keepAlive: fc.constantFrom("", ": ping\n\n", "data:\n\n", "data: : PROCESSING\n\n", 'data: {"choices":[]}\n\n'),
    pieces: fc.integer({ min: 1, max: 5 }),
  })
  // With changing ids and repeated names, nothing but the arguments could tell a call from its rest.
  .filter(({ id, name }) => id !== "changing" || name === "first");

function write({ texts, calls }: Answer, dialect: Dialect): string {
  const events: string[] = [];
  const push = (delta: object) =>
    events.push(toEvent({ choices: [{ index: 0, delta, finish_reason: dialect.finish === "each" ? "tool_calls" : null }] }));
  for (const text of texts) push({ content: dialect.text === "parts" ? [{ type: "text", text }] : text });
  for (const [number, { name, args }] of calls.entries()) {
    for (const [part, piece] of cut(args, dialect).entries()) {
      const isFirst = part === 0;
      const id = { first: isFirst ? `c${number}` : undefined, each: `c${number}`, changing: `c${number}-${part}`, empty: "" }[dialect.id];
      const index = { counted: number, zero: 0, missing: undefined }[dialect.index];
      push({
        tool_calls: [
          { index, id, type: "function", function: { name: isFirst || dialect.name === "each" ? name : undefined, arguments: piece } },
        ],
      });
    }
  }
  events.push(toEvent({ choices: [{ index: 0, delta: {}, finish_reason: "tool_calls" }] }));
  return [...events, ""].join(dialect.keepAlive) + doneEvent;
}

function cut(args: Record<string, string>, { args: form, pieces }: Dialect): unknown[] {
  const json = JSON.stringify(args);
  if (form === "object") return [args];
  if (form === "whole") return [json];
  const size = Math.ceil(json.length / pieces);
  const ends = Array.from({ length: Math.ceil(json.length / size) }, (_, part) => (part + 1) * size);
  return ends.map((end) => (form === "cumulative" ? json.slice(0, end) : json.slice(end - size, end)));
}

it("reads every dialect as the plain stream", { timeout: 120_000 }, async () => {
  let ran: unknown[] = [];
  const run = (name: string) => (args: unknown) => void ran.push([name, args]);
  const tools = createTools(["get_weather", "get_time"].map((name) => ({ name, run: run(name) })));
  const chat = await startChat({ tools });
  let turns = 0;
  await fc.assert(
    fc.asyncProperty(answers, dialects, fc.array(fc.nat(2_000), { maxLength: 6 }), async (answer, dialect, cuts) => {
      ran = [];
      const bytes = Buffer.from(write(answer, dialect));
      const ends = [...cuts.map((position) => position % bytes.length), bytes.length].toSorted((a, b) => a - b);
      const reads = ends.map((end, index) => bytes.subarray(ends[index - 1] ?? 0, end)).filter(({ length }) => length > 0);
      chat.model.next(sendPieces(...reads), answerWith("Done."));
      const seen = await readResponse(chat.post(chatBody("Hi", `${++turns}`, `thread-${turns}`)));
      expect(seen).toEqual({ status: 200, text: `${answer.texts.join("")}Done.`, failed: false });
      expect(ran).toEqual(answer.calls.map(({ name, args }) => [name, args]));
    }),
    { numRuns: 200 },
  );
});
