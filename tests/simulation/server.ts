/** A server: a process with a handler, which may be killed. */
import { type ChatHandler, type ChatHandlerOptions, createChatHandler, type ThreadStore } from "../../src/index.ts";
import { type ChatTool, createTools } from "../../src/tools.ts";
import { steps, timeouts } from "./explanations.ts";
import type { Clock } from "./clock.ts";
import type { Plan, Script, StoreFault } from "./plan.ts";
import type { Process } from "./records.ts";
import type { Reference } from "./reference.ts";
import type { Schedule } from "./schedule.ts";
import { createScheduledModel } from "./scheduled-model.ts";
import { createScheduledStore } from "./scheduled-store.ts";

/** The header from which `authorize` reads the owner. */
export const ownerHeader = "X-Owner";

/** What all servers of a schedule share. */
export interface World {
  plan: Plan;
  store: ThreadStore;
  schedule: Schedule;
  reference: Reference;
  /** Returns the script of the next model call. */
  nextScript(): Script | undefined;
  /** Returns the fault of the next store call. */
  nextFault(): StoreFault | undefined;
  /** Returns a new number. */
  nextId(): number;
  neighbor?: Neighbor | undefined;
}

/** Somebody who uses the same servers beside the clients of a schedule. */
export interface Neighbor {
  /** Fires the timers of the schedule, and those of the neighbor that are due before them. */
  readonly clock: Clock;
  /** Called before each step of the schedule. */
  act(): Promise<void>;
  /** Returns options that also serve the neighbor. */
  share(options: ChatHandlerOptions, process: Process): ChatHandlerOptions;
  /** Runs a tool for the neighbor. `undefined` for another owner. */
  runTool(owner: string, id: string, process: Process): Promise<unknown> | undefined;
  started(server: Server): void;
  crashed(process: Process): void;
}

/** A running server. */
export interface Server {
  process: Process;
  handler: ChatHandler;
}

/** Starts a server. */
export function startServer(number: number, world: World): Server {
  const { plan, store, schedule, reference, nextScript, nextFault, nextId, neighbor } = world;
  const process: Process = { number, isDead: false, turnsBegun: 0, turnsSettled: 0 };

  /** Runs a tool as the script of its call says. */
  const look = (id: string): Promise<unknown> => {
    const [call = 0, index = 0] = id.split("-").slice(1).map(Number);
    const how = reference.ledger.calls[call]?.script.tools[index] ?? "ok";
    return new Promise((resolve, reject) => {
      if (how === "hang") return;
      schedule.offer(`${id}: ${how}`, () => (how === "ok" ? resolve({ found: id }) : reject(new Error("secret"))), process);
    });
  };

  const runTool: ChatTool["run"] = (args, { owner }) => {
    const { id } = args as { id: string };
    return neighbor?.runTool(owner, id, process) ?? look(id);
  };

  const options: ChatHandlerOptions = {
    store: createScheduledStore(store, process, () => nextFault() ?? "none", schedule, reference),
    client: createScheduledModel(plan.client, nextScript, schedule, reference.modelCalls),
    model(context) {
      reference.arrival.turnStarts({ process, thread: context, responseId: context.responseId });
      return reference.modelCalls.turnStarts(process, context);
    },
    tools: createTools([{ name: "look", run: runTool }]),
    authorize: ({ request }) => ({ owner: decodeURIComponent(request.headers.get(ownerHeader) ?? "") }),
    history: { maxMessages: plan.last },
    concurrency: plan.concurrency,
    generateId: () => `m${nextId()}`,
    flushInterval: plan.flushInterval,
    timeouts,
    limits: { steps },
    onTurnEnd: (turn) => reference.turnEnds(process, turn),
    onError(error) {
      const isOfTool = String(error.cause).includes("The tool look failed");
      if (error.code === "internal" && !isOfTool) schedule.break("no internal error happens", `${error.message} ${String(error.cause)}`);
      if (error.code === "client_gone") schedule.break("a disconnect is not reported as an error", "onError was called");
    },
    waitUntil(turn) {
      process.turnsBegun++;
      turn.then(
        () => process.turnsSettled++,
        (error: unknown) => schedule.break("the promise of waitUntil never rejects", String(error)),
      );
    },
  };
  const server = { process, handler: createChatHandler(neighbor?.share(options, process) ?? options) };
  neighbor?.started(server);
  return server;
}
