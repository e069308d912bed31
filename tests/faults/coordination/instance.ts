/** An instance of an app, as a process: `node instance.ts <InstanceConfig as JSON>`. Prints one JSON line for each {@link InstanceEvent}. */
import { writeSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import OpenAI from "openai";
import { type ChatHandlerOptions, createChatHandler } from "../../../src/index.ts";
import { toNodeHandler } from "../../../src/node.ts";
import { createTools } from "../../../src/tools.ts";
import { type Connections, connectCoordinator, connectStore } from "./connections.ts";

/** What an instance is started with. */
export interface InstanceConfig extends Connections, Pick<ChatHandlerOptions, "concurrency" | "disconnect"> {
  /** 0: any free one. */
  port: number;
  modelUrl: string;
  /** How long the tool `wait`, and what runs before the model, take in milliseconds. */
  slow: { tool?: number; preparing?: number };
  /** The deadline of a turn in milliseconds. */
  turnTimeout?: number;
}

/** What an instance prints. */
export type InstanceEvent =
  | { type: "listening"; port: number }
  | { type: "error"; code: string; message: string; cause: string }
  | { type: "tool" };

const config = JSON.parse(process.argv[2]!) as InstanceConfig;

// A test run that ends early, in whatever way, leaves no instance behind.
process.stdin.on("end", () => process.exit()).resume();

// Synchronous: what was printed before SIGKILL is read.
const print = (event: InstanceEvent): unknown => writeSync(1, `${JSON.stringify(event)}\n`);

const wait = {
  name: "wait",
  async run() {
    print({ type: "tool" });
    await delay(config.slow.tool ?? 0);
    return "done";
  },
};

const chat = createChatHandler({
  store: await connectStore(config),
  coordinator: await connectCoordinator(config),
  client: new OpenAI({ apiKey: "none", baseURL: config.modelUrl, maxRetries: 0 }),
  model: "test-model",
  systemPrompt: async () => {
    await delay(config.slow.preparing ?? 0);
    return "Be brief.";
  },
  tools: createTools([wait]),
  concurrency: config.concurrency,
  disconnect: config.disconnect,
  timeouts: { turn: config.turnTimeout },
  onError: ({ code, message, cause }) => print({ type: "error", code, message, cause: String(cause) }),
});

const handle = toNodeHandler((request) => {
  const { pathname } = new URL(request.url);
  if (pathname === "/resume") return chat.resume(request);
  return pathname === "/stop" ? chat.stop(request) : chat(request);
});

const server = createServer((request, response) => void handle(request, response));
server.listen(config.port, "127.0.0.1", () => print({ type: "listening", port: (server.address() as AddressInfo).port }));
