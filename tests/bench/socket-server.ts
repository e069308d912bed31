/** The server of one subject in its own process. All subjects use the same adapter. */
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { getRequestListener } from "@hono/node-server";
import { answerParent, collectGarbage, cpuTime } from "./child.ts";
import { createSubject, subjectName } from "./subjects/index.ts";

/** The requests of the parent: start listening, CPU time in microseconds, memory in bytes. */
export type ServerQuestion = { kind: "listen"; modelPort: number } | { kind: "cpu" } | { kind: "memory" };

/** Memory of the process in bytes: resident, and in use after a garbage collection. */
export interface Memory {
  resident: number;
  inUse: number;
}

/** The response. Only the requested part is meaningful. */
export interface ServerAnswer extends Memory {
  port: number;
  cpu: number;
}

const name = subjectName(process.argv[2]);
const nothing: ServerAnswer = { port: 0, cpu: 0, resident: 0, inUse: 0 };

async function measureMemory(): Promise<Memory> {
  const { rss: resident } = process.memoryUsage();
  await collectGarbage();
  const { heapUsed, external } = process.memoryUsage();
  return { resident, inUse: heapUsed + external };
}

async function listen(modelPort: number): Promise<number> {
  const handler = await createSubject[name]({ baseURL: `http://127.0.0.1:${modelPort}/v1`, fetch: globalThis.fetch });
  const listener = getRequestListener(handler);
  const server = createServer((request, response) => void listener(request, response));
  await new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", 2048, resolve));
  return (server.address() as AddressInfo).port;
}

answerParent(async (question: ServerQuestion): Promise<ServerAnswer> => {
  switch (question.kind) {
    case "listen":
      return { ...nothing, port: await listen(question.modelPort) };
    case "cpu":
      return { ...nothing, cpu: cpuTime() };
    case "memory":
      return { ...nothing, ...(await measureMemory()) };
  }
});
