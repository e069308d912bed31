/** CPU, latency and memory of a subject's server process, with the model and the clients in processes of their own. */
import { setTimeout as delay } from "node:timers/promises";
import { type Child, startChild } from "./child.ts";
import type { Load } from "./load.ts";
import type { ClientsAnswer, ClientsQuestion } from "./socket-clients.ts";
import type { ModelQuestion } from "./socket-model.ts";
import type { Memory, ServerAnswer, ServerQuestion } from "./socket-server.ts";
import { shuffled } from "./statistics.ts";
import type { SubjectName } from "./subjects/index.ts";

/** What to measure. */
export interface SocketPlan {
  subjects: readonly SubjectName[];
  load: Load;
  rounds: number;
  /** Turns that each server handles before it is measured. */
  warmUpTurns: number;
}

/** One run of one subject. */
export interface SocketSample extends ClientsAnswer {
  /** CPU of the subject's process in microseconds per token, including the start and the end of the streams. */
  cpu: number;
}

/** The measurements of one subject. */
export interface SocketResult {
  /** One for each round. */
  samples: SocketSample[];
  /** Growth for each open stream in bytes: of the resident memory, and of the memory in use after a garbage collection. */
  memory: Memory;
}

/** A load with its results. */
export interface SocketRun {
  load: Load;
  results: Map<SubjectName, SocketResult>;
}

/** Enough turns and tokens for the compiler, but few at a time: memory must grow only with the measured streams. */
const warmUp = (turns: number): Load => ({ streams: turns, tokens: 60, interval: 2, burst: 1, pause: 0, spread: turns * 5 });

/** Many streams: what a server allocates once would otherwise count. Few tokens: all servers must keep up. */
const memoryLoad = (load: Load): Load => ({
  ...load,
  streams: Math.max(load.streams, 1_000),
  tokens: Math.min(load.tokens, 50),
  spread: Math.max(load.spread, 5_000),
});

interface Others {
  model: Child<ModelQuestion, number>;
  clients: Child<ClientsQuestion, ClientsAnswer>;
}

interface Server {
  child: Child<ServerQuestion, ServerAnswer>;
  port: number;
}

async function run(load: Load, port: number, { model, clients }: Others, whileHeld?: () => Promise<void>): Promise<ClientsAnswer> {
  const { streams, tokens, spread } = load;
  await model.ask({ kind: "serve", load, hold: whileHeld !== undefined });
  const reading = clients.ask({ port, streams, tokens, spread });
  if (!whileHeld) return await reading;
  const open = async () => {
    await model.ask({ kind: "held", streams });
    await delay(500); // buffered text is flushed, and the sockets become idle
    await whileHeld();
    await model.ask({ kind: "release" });
  };
  const [seen] = await Promise.all([reading, open()]);
  return seen;
}

async function start(name: SubjectName, { model }: Others): Promise<Server> {
  const child = startChild<ServerQuestion, ServerAnswer>(new URL("./socket-server.ts", import.meta.url), [name]);
  const { port } = await child.ask({ kind: "listen", modelPort: await model.ask({ kind: "listen" }) });
  return { child, port };
}

async function measure({ child, port }: Server, load: Load, others: Others): Promise<SocketSample> {
  const start = await child.ask({ kind: "cpu" });
  const seen = await run(load, port, others);
  const end = await child.ask({ kind: "cpu" });
  return { ...seen, cpu: (end.cpu - start.cpu) / (load.streams * load.tokens) };
}

/** Runs first: later the process would already hold memory from other runs. */
async function measureMemory({ child, port }: Server, { load, warmUpTurns }: SocketPlan, others: Others): Promise<Memory> {
  const held = memoryLoad(load);
  await run(warmUp(warmUpTurns), port, others);
  const before = await child.ask({ kind: "memory" });
  let open = before;
  await run(held, port, others, async () => {
    open = await child.ask({ kind: "memory" });
  });
  // Code is slow for a while after a full garbage collection.
  await run(warmUp(warmUpTurns / 4), port, others);
  return { resident: (open.resident - before.resident) / held.streams, inUse: (open.inUse - before.inUse) / held.streams };
}

/**
 * Each subject has its own server for the whole run. The rounds are interleaved, in a random order each time, and only one server works
 * at a time.
 */
export async function measureSockets(plan: SocketPlan, progress: (text: string) => void): Promise<SocketRun> {
  const { subjects, load, rounds } = plan;
  const others: Others = {
    model: startChild(new URL("./socket-model.ts", import.meta.url)),
    clients: startChild(new URL("./socket-clients.ts", import.meta.url)),
  };
  const servers = new Map<SubjectName, Server>();
  const results = new Map<SubjectName, SocketResult>();
  try {
    for (let round = 1; round <= rounds; round++) {
      for (const name of shuffled(subjects)) {
        progress(`${load.streams} streams, round ${round} of ${rounds}: ${name}`);
        const server = servers.get(name) ?? (await start(name, others));
        servers.set(name, server);
        const result = results.get(name) ?? { samples: [], memory: await measureMemory(server, plan, others) };
        results.set(name, result);
        result.samples.push(await measure(server, load, others));
      }
    }
    return { load, results: new Map(subjects.map((name) => [name, results.get(name)!])) };
  } finally {
    for (const { child } of [...servers.values(), { child: others.model }, { child: others.clients }]) child.stop();
  }
}
