/** Starts, kills and freezes instances, and sends them requests as a browser does. */
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { post } from "../../support/handler-server.ts";
import type { InstanceConfig, InstanceEvent } from "./instance.ts";

/** What a client received: status 0 if there was no response. */
export interface Received {
  status: number;
  text: string;
  /** Whether the request or the body failed. */
  failed: boolean;
  /** The body's beginning, as a cursor. */
  cursor?: string;
}

/** A request that is under way. */
export interface Asked {
  /** Resolves when the body ends or fails. */
  readonly received: Promise<Received>;
  /** What has arrived so far. */
  readonly text: string;
  /** Resolves when this text has arrived. Rejects if the body ends without it. */
  until(text: string): Promise<void>;
  /** Disconnects. */
  leave(): void;
}

export interface Instance {
  readonly events: InstanceEvent[];
  readonly isRunning: boolean;
  /** Sends a prompt. */
  ask(body: object): Asked;
  resume(query: Record<string, string>): Asked;
  stop(body: object): Promise<number>;
  /** Resolves when the instance has printed an event of this type. */
  until(type: InstanceEvent["type"]): Promise<void>;
  /** Sends SIGKILL. */
  kill(): Promise<void>;
  /** Starts it again after it was killed, on its port. */
  start(): Promise<void>;
  freeze(): void;
  thaw(): void;
}

/** Requests that take longer than this hang. */
const hangs = 45_000;

export async function startInstance(config: InstanceConfig): Promise<Instance> {
  const program = fileURLToPath(new URL("./instance.ts", import.meta.url));
  const events: InstanceEvent[] = [];
  let child: ChildProcess;
  let port = config.port;
  let notify: (() => void)[] = [];
  let output = "";

  async function start(): Promise<void> {
    const started = spawn(process.execPath, [program, JSON.stringify({ ...config, port })], { stdio: "pipe" });
    child = started;
    started.once("exit", () => {
      for (const wake of notify.splice(0)) wake();
    });
    started.stderr.setEncoding("utf8").on("data", (text: string) => (output += text));
    const known = events.length;
    createInterface(started.stdout).on("line", (line) => {
      events.push(JSON.parse(line) as InstanceEvent);
      for (const wake of notify.splice(0)) wake();
    });
    port = await waitFor(() => events.slice(known).find((event) => event.type === "listening")?.port);
  }

  /** Waits until an event makes this return something. */
  async function waitFor<T>(find: () => T | undefined): Promise<T> {
    for (;;) {
      const found = find();
      if (found !== undefined) return found;
      if (child.exitCode !== null) throw new Error(`The instance ended by itself:\n${output}`);
      await new Promise<void>((resolve) => notify.push(resolve));
    }
  }

  const send = (path: string, init?: RequestInit): Asked => request(`http://127.0.0.1:${port}${path}`, init);

  await start();
  return {
    events,
    get isRunning() {
      return child.exitCode === null && child.signalCode === null;
    },
    ask: (body) => send("/", post(body)),
    resume: (query) => send(`/resume?${new URLSearchParams(query)}`),
    stop: async (body) => (await send("/stop", post(body)).received).status,
    until: async (type) => void (await waitFor(() => events.find((event) => event.type === type))),
    async kill() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      child.kill("SIGKILL");
      await once(child, "exit");
    },
    start,
    freeze: () => child.kill("SIGSTOP"),
    thaw: () => child.kill("SIGCONT"),
  };
}

/** Sends a request and reads its response as it comes. */
function request(url: string, init: RequestInit = {}): Asked {
  const controller = new AbortController();
  const signal = AbortSignal.any([controller.signal, AbortSignal.timeout(hangs)]);
  const result: Received = { status: 0, text: "", failed: false };
  let notify: (() => void)[] = [];
  let isOver = false;

  async function read(): Promise<Received> {
    const decoder = new TextDecoder();
    try {
      const response = await fetch(url, { ...init, signal });
      result.status = response.status;
      const cursor = response.headers.get("X-Chat-Handler-Offset");
      if (cursor !== null) result.cursor = cursor;
      for await (const bytes of response.body ?? []) {
        result.text += decoder.decode(bytes, { stream: true });
        for (const wake of notify.splice(0)) wake();
      }
    } catch {
      result.failed = true;
      if (signal.aborted && !controller.signal.aborted) throw new Error(`${url} hung after ${JSON.stringify(result)}`);
    } finally {
      isOver = true;
      for (const wake of notify.splice(0)) wake();
    }
    return result;
  }

  const received = read();
  received.catch(() => {});
  return {
    received,
    get text() {
      return result.text;
    },
    async until(text) {
      while (!result.text.includes(text)) {
        if (isOver) throw new Error(`${url} ended without ${text}: ${JSON.stringify(result)}`);
        await new Promise<void>((resolve) => notify.push(resolve));
      }
    },
    leave: () => controller.abort(),
  };
}
