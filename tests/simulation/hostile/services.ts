/** The store and the model, as a hostile tenant causes them to behave. */
import type { ModelClient, ThreadStore } from "../../../src/index.ts";
import type { Plan, Script, StoreFault } from "../plan.ts";
import type { Call, Process } from "../records.ts";
import { createScheduledModel } from "../scheduled-model.ts";
import { textOfScript } from "../script-text.ts";
import type { Lane } from "./lane.ts";

/** Texts of hostile calls start with numbers that no honest call has. */
const firstCall = 1_000_000;

/** Returns a store for the hostile tenant: each call is a step, and some of them fail or never end. */
export function createHostileStore(inner: ThreadStore, process: Process, lane: Lane, nextFault: () => StoreFault): ThreadStore {
  const call = <T>(what: string, act: () => Promise<T>): Promise<T> => {
    const fault = nextFault();
    if (fault === "throw") throw new Error("The store throws.");
    if (fault === "never" || process.isDead) return new Promise(() => {});
    return new Promise<T>((resolve, reject) => {
      const perform = async () => {
        if (fault === "refuse") return reject(new Error("The store refuses."));
        // The store itself may refuse a cursor.
        await act().then(fault === "lose" ? () => reject(new Error("The store is lost.")) : resolve, reject);
      };
      lane.offer(`store ${process.number} ${what}: ${fault}`, perform, process);
    });
  };
  return {
    listMessages: (thread, options) => call(`listMessages ${thread.threadId}`, () => inner.listMessages(thread, options)),
    appendMessages: (thread, messages, options) =>
      call(`appendMessages ${thread.threadId}`, () => inner.appendMessages(thread, messages, options)),
    updateMessage: (thread, id, change) => call(`updateMessage ${id}`, () => inner.updateMessage(thread, id, change)),
    deleteMessages: (thread, ids) => call("deleteMessages", () => inner.deleteMessages(thread, ids)),
    listThreads: (owner, page) => call("listThreads", () => inner.listThreads(owner, page)),
    getThread: (thread) => call("getThread", () => inner.getThread(thread)),
    createThread: (thread, title) => call("createThread", () => inner.createThread(thread, title)),
    renameThread: (thread, title) => call("renameThread", () => inner.renameThread(thread, title)),
    deleteThread: (thread) => call(`deleteThread ${thread.threadId}`, () => inner.deleteThread(thread)),
    deleteOwner: (owner) => call("deleteOwner", () => inner.deleteOwner(owner)),
  };
}

/** A store that serves each owner as it should. */
export function routeByOwner(storeOf: (owner: string) => ThreadStore): ThreadStore {
  return {
    listMessages: (thread, options) => storeOf(thread.owner).listMessages(thread, options),
    appendMessages: (thread, messages, options) => storeOf(thread.owner).appendMessages(thread, messages, options),
    updateMessage: (thread, id, change) => storeOf(thread.owner).updateMessage(thread, id, change),
    deleteMessages: (thread, ids) => storeOf(thread.owner).deleteMessages(thread, ids),
    listThreads: (owner, page) => storeOf(owner).listThreads(owner, page),
    getThread: (thread) => storeOf(thread.owner).getThread(thread),
    createThread: (thread, title) => storeOf(thread.owner).createThread(thread, title),
    renameThread: (thread, title) => storeOf(thread.owner).renameThread(thread, title),
    deleteThread: (thread) => storeOf(thread.owner).deleteThread(thread),
    deleteOwner: (owner) => storeOf(owner).deleteOwner(owner),
  };
}

/** The model of the hostile tenant, and its tools. */
export interface HostileModel {
  clientOf(process: Process): ModelClient;
  /** Runs a tool as the script of its call says. */
  runTool(id: string, process: Process): Promise<unknown>;
}

/** Creates the model. Its calls end as their scripts say. */
export function createHostileModel(form: Plan["client"], nextScript: () => Script | undefined, lane: Lane): HostileModel {
  const calls: Call[] = [];

  const clientOf = (process: Process): ModelClient =>
    createScheduledModel(form, nextScript, lane, {
      modelCalled(_body, script) {
        const number = firstCall + calls.length;
        const isTools = script.ending === "tools";
        const call: Call = {
          number,
          attempt: { process } as Call["attempt"],
          script,
          text: textOfScript(number, script),
          toolCallIds: isTools ? (script.tools.length > 0 ? script.tools : ["ok"]).map((_, index) => `tool-${number}-${index}`) : [],
          sentCharacters: 0,
          isFinished: false,
          isOpen: false,
        };
        calls.push(call);
        return call;
      },
    });

  const runTool = (id: string, process: Process): Promise<unknown> => {
    const [number = 0, index = 0] = id.split("-").slice(1).map(Number);
    const how = calls[number - firstCall]?.script.tools[index] ?? "ok";
    return new Promise((resolve, reject) => {
      if (how === "hang") return;
      lane.offer(`${id}: ${how}`, () => (how === "ok" ? resolve("a lot ".repeat(5_000)) : reject(new Error("secret"))), process);
    });
  };

  return { clientOf, runTool };
}
