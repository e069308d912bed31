/** The request to every subject, and the answer of the model. */

/** A chat endpoint under measurement. */
export type Handler = (request: Request) => Promise<Response>;

/** How a subject reaches the model. */
export interface Upstream {
  baseURL: string;
  fetch: typeof fetch;
}

export const model = "bench-model";

const words = [
  "the",
  "quarter",
  "was",
  "strong",
  "in",
  "all",
  "regions",
  "but",
  "one",
  "and",
  "revenue",
  "rose",
  "by",
  "ten",
  "percent",
  ".",
];

/** The text of one token of the answer. */
const tokenText = (index: number): string => ` ${words[index % words.length]}`;

/** The whole answer of this many tokens. */
export const answerText = (tokens: number): string => Array.from({ length: tokens }, (_, index) => tokenText(index)).join("");

const head = `data: {"id":"chatcmpl-CpQ3bSxr0eYbTnBpVYpXnL0rV5a2k","object":"chat.completion.chunk","created":1753000000,"model":"${model}","service_tier":"default","system_fingerprint":"fp_3a1c5e9d20",`;

/** One token as an SSE event, as large as providers send it. The text must not need escaping in JSON. */
export const tokenEvent = (text: string): string =>
  `${head}"choices":[{"index":0,"delta":{"content":"${text}"},"logprobs":null,"finish_reason":null}],"usage":null}\n\n`;

/** The end of an answer. */
export const lastEvents = `${head}"choices":[{"index":0,"delta":{},"logprobs":null,"finish_reason":"stop"}],"usage":null}\n\ndata: [DONE]\n\n`;

/** The network reads of a whole answer. */
export function answerReads(tokens: number, tokensPerRead: number): Uint8Array[] {
  const encoder = new TextEncoder();
  const reads: Uint8Array[] = [];
  for (let first = 0; first < tokens; first += tokensPerRead) {
    const events = Array.from({ length: Math.min(tokensPerRead, tokens - first) }, (_, index) => tokenEvent(tokenText(first + index)));
    reads.push(encoder.encode(events.join("")));
  }
  return [...reads, encoder.encode(lastEvents)];
}

/** The body of a request as C1Chat sends it: a prompt in a new thread. */
export const chatRequestBody = (): string =>
  JSON.stringify({
    prompt: { id: crypto.randomUUID(), role: "user", content: '<content thesys="true">How was the quarter?</content>' },
    threadId: crypto.randomUUID(),
    responseId: crypto.randomUUID(),
  });
