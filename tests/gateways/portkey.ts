/** Starts Portkey's gateway, which translates between OpenAI's wire format and those of other providers. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import OpenAI from "openai";
import { freePort } from "../services/service.ts";

const startScript = join(import.meta.dirname, "node_modules/@portkey-ai/gateway/build/start-server.js");
/** How long it may take to start, in milliseconds. */
const startTime = 30_000;

/** A running gateway. */
export interface Gateway {
  /** Creates a client whose calls go to a provider's server at `upstream`, in the wire format of the provider. */
  client(provider: string, upstream: string): OpenAI;
  stop(): Promise<void>;
}

/** Starts the gateway in a process of its own. Rejects if it does not answer in time. */
export async function startGateway(): Promise<Gateway> {
  const port = await freePort();
  const child = spawn(process.execPath, [startScript, "--headless", `--port=${port}`], { stdio: "ignore" });
  const ended = once(child, "exit");
  const url = `http://127.0.0.1:${port}`;
  const deadline = performance.now() + startTime;
  while (!(await isAnswering(url))) {
    if (child.exitCode !== null || performance.now() > deadline) throw new Error("The gateway did not start.");
    await delay(100);
  }
  return {
    client: (provider, upstream) =>
      new OpenAI({
        apiKey: "sk-secret-key",
        baseURL: `${url}/v1`,
        defaultHeaders: { "x-portkey-provider": provider, "x-portkey-custom-host": upstream },
        maxRetries: 0,
        logLevel: "off",
      }),
    async stop() {
      child.kill("SIGKILL");
      await ended;
    },
  };
}

async function isAnswering(url: string): Promise<boolean> {
  try {
    const response = await fetch(url);
    await response.body?.cancel();
    return true;
  } catch {
    return false;
  }
}
