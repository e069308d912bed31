/** The prepared answers of the demo model. A word in the prompt chooses one. */
import { type DemoBlock, renderC1, renderText } from "./blocks.ts";
import { isRecord } from "./history.ts";
import { type DemoPrompt, latestPrompt } from "./prompt.ts";

/** An answer and how it ends: completely, with a cut connection, or with an error before the first word. */
export interface DemoAnswer {
  text: string;
  ending: "complete" | "cut" | "rejected";
}

/** Creates the answer to the newest prompt. The first answer of a thread starts with a notice that this is no real AI. */
export function createDemoAnswer(messages: readonly unknown[], format: "c1" | "text"): DemoAnswer {
  const prompt = latestPrompt(messages);
  if (/\bfail\b/i.test(prompt.text)) return { text: "", ending: "rejected" };
  const isFirst = !messages.some((message) => isRecord(message) && message.role === "assistant");
  const blocks = [...(isFirst ? [notice] : []), ...blocksFor(prompt)];
  const text = format === "c1" ? renderC1(blocks) : renderText(blocks);
  // Two thirds of the answer are enough to see, and never include its end.
  return /\bbreak\b/i.test(prompt.text) ? { text: text.slice(0, (text.length * 2) / 3), ending: "cut" } : { text, ending: "complete" };
}

function blocksFor(prompt: DemoPrompt): readonly DemoBlock[] {
  if (prompt.fields.length > 0) return submitAnswer(prompt);
  return answers.find(([words]) => words.test(prompt.text))?.[1] ?? plainAnswer(prompt);
}

const notice: DemoBlock = {
  type: "notice",
  title: "This is the embedded demo model, no real AI",
  text: "Its answers are prepared. Set THESYS_API_KEY to use C1.",
};

const ask = {
  card: "Give me an overview card",
  chart: "Show revenue as a chart",
  table: "Compare the plans in a table",
  form: "Give me a contact form",
};

function suggest(...prompts: string[]): DemoBlock {
  return { type: "suggestions", prompts };
}

const revenue: DemoBlock = {
  type: "chart",
  title: "Revenue by quarter, in thousands",
  labels: ["Q1", "Q2", "Q3", "Q4"],
  series: [
    { category: "Last year", values: [96, 118, 125, 148] },
    { category: "This year", values: [120, 150, 142, 191] },
  ],
};

const plans: DemoBlock = {
  type: "table",
  columns: ["Plan", "Price a month", "Seats", "Support"],
  rows: [
    ["Starter", "$0", "1", "Community"],
    ["Team", "$24", "10", "Mail, within a day"],
    ["Business", "$96", "50", "Phone, within an hour"],
  ],
};

const contactForm: DemoBlock = {
  type: "form",
  name: "contact",
  fields: [
    { name: "fullname", label: "Your name", placeholder: "Ada Lovelace" },
    { name: "topic", label: "What is it about?", placeholder: "Pick one", options: ["Sales", "Support", "Something else"] },
    { name: "note", label: "Your message", placeholder: "A few words" },
  ],
  submit: "Send it",
};

const longText = Array.from(
  { length: 40 },
  (_, index) => `**Part ${index + 1}.** This answer is long, so that you have time to stop it. The partial answer is stored.`,
).join("\n\n");

const breakingText =
  "This answer breaks off before its end, as if the connection to the model was lost. The stream ends with an error, so that the browser can " +
  "detect it. The partial answer is stored with the status failed. You will never see these last words.";

/** The first entry that matches the prompt is the answer. */
const answers: readonly (readonly [words: RegExp, blocks: readonly DemoBlock[]])[] = [
  [/\bbreak\b/i, [{ type: "text", text: breakingText }]],
  [/\b(?:long|slow|slowly|story)\b/i, [{ type: "text", text: longText }]],
  [
    /\b(?:cards?|dashboard|overview|summary)\b/i,
    [
      { type: "header", title: "The year at a glance", subtitle: "A card with a chart and a table" },
      { type: "text", text: "Revenue rose by **24 %**; the fourth quarter gained most." },
      revenue,
      { type: "text", text: "These plans are on sale:" },
      plans,
      suggest(ask.form),
    ],
  ],
  [
    /\b(?:charts?|graphs?|plots?|trends?|revenue)\b/i,
    [
      { type: "text", text: "Every quarter was better than the year before; the last one was the best." },
      revenue,
      suggest(ask.table, ask.form),
    ],
  ],
  [
    /\b(?:tables?|compare|comparison|plans?)\b/i,
    [{ type: "text", text: "Three plans, from one person to a whole business:" }, plans, suggest(ask.chart, ask.form)],
  ],
  [
    /\b(?:forms?|contact|survey)\b/i,
    [{ type: "text", text: "Fill in this form. Your values are still there after a reload." }, contactForm],
  ],
];

function submitAnswer({ text, fields }: DemoPrompt): readonly DemoBlock[] {
  return [
    { type: "text", text: `You pressed "${text}". This is what arrived:` },
    { type: "table", columns: ["Field", "Value"], rows: fields },
    suggest(ask.card, ask.chart, ask.table),
  ];
}

function plainAnswer({ text }: DemoPrompt): readonly DemoBlock[] {
  return [
    {
      type: "text",
      text: `You wrote: "${text}". Send *card*, *table*, *chart* or *form* to see one. Send *long* for an answer that you can stop, and *break* for one that breaks.`,
    },
    suggest(ask.card, ask.chart, ask.table, ask.form),
  ];
}
