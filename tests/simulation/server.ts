/** A server: a process with a handler, which may be killed. */
import { type ChatHandler, createChatHandler, type ThreadStore } from "../../src/index.ts";
import { createTools } from "../../src/tools.ts";
import { steps, timeouts } from "./explanations.ts";
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
}

/** A running server. */
export interface Server {
  process: Process;
  handler: ChatHandler;
}

/** Starts a server. */
export function startServer(number: number, { plan, store, schedule, reference, nextScript, nextFault, nextId }: World): Server {
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

  const handler = createChatHandler({
    store: createScheduledStore(store, process, () => nextFault() ?? "none", schedule, reference),
    client: createScheduledModel(plan.client, nextScript, schedule, reference.modelCalls),
    model(context) {
      reference.arrival.turnStarts({ process, thread: context, responseId: context.responseId });
      return reference.modelCalls.turnStarts(process, context);
    },
    tools: createTools([{ name: "look", run: (args) => look((args as { id: string }).id) }]),
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
  });
  return { process, handler };
}
