/** Measures one subject in its own process, without sockets: the model's answer is prepared in memory. */
import { answerParent, cpuTime } from "./child.ts";
import { createSubject, subjectName } from "./subjects/index.ts";
import { answerReads, answerText, chatRequestBody, type Handler } from "./workload.ts";

/** What to run. */
export interface Workload {
  tokens: number;
  tokensPerRead: number;
  turns: number;
}

const name = subjectName(process.argv[2]);

/** A `fetch` whose response delivers the next read whenever the reader pulls. */
const fetchPrepared = (reads: readonly Uint8Array[]) => async (): Promise<Response> => {
  let next = 0;
  const body = new ReadableStream<Uint8Array>(
    {
      pull(controller) {
        const read = reads[next++];
        if (read) controller.enqueue(read);
        else controller.close();
      },
    },
    { highWaterMark: 0 },
  );
  return new Response(body, { headers: { "Content-Type": "text/event-stream" } });
};

async function runTurn(handler: Handler, onBytes: (bytes: Uint8Array) => void): Promise<void> {
  const headers = { "Content-Type": "application/json" };
  const response = await handler(new Request("http://bench.invalid/api/chat", { method: "POST", headers, body: chatRequestBody() }));
  const reader = response.body?.getReader();
  if (!response.ok || !reader) throw new Error(`${name} responded with status ${response.status}.`);
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    onBytes(value);
  }
}

/** Returns the size of an answer in bytes. Throws if the subject does not send the whole answer. */
async function checkedSize(handler: Handler, tokens: number): Promise<number> {
  const decoder = new TextDecoder();
  let text = "";
  let size = 0;
  await runTurn(handler, (bytes) => {
    size += bytes.byteLength;
    text += decoder.decode(bytes, { stream: true });
  });
  if (name === "pass-through") text = [...text.matchAll(/"content":"(.*?)"/g)].map(([, content]) => content).join("");
  if (text !== answerText(tokens)) throw new Error(`${name} did not send the whole answer.`);
  return size;
}

answerParent(async ({ tokens, tokensPerRead, turns }: Workload) => {
  const fetch = fetchPrepared(answerReads(tokens, tokensPerRead));
  const handler = await createSubject[name]({ baseURL: "http://bench.invalid/v1", fetch });
  const expected = await checkedSize(handler, tokens);
  let size = 0;
  const start = cpuTime();
  for (let turn = 0; turn < turns; turn++) {
    await runTurn(handler, (bytes) => {
      size += bytes.byteLength;
    });
  }
  const microseconds = cpuTime() - start;
  if (size !== expected * turns) throw new Error(`${name} sent ${size} bytes instead of ${expected * turns}.`);
  return microseconds / (tokens * turns);
});
