/** Several instances of an app: one store, one model server, and a coordinator that each reaches by a line of its own. */
import { onTestFinished } from "vitest";
import { createMemoryStore, type ThreadStore } from "../../src/index.ts";
import { shareTurns } from "../../src/lib/coordination/shared/share-turns.ts";
import { type Coordinator, coordinatorMethods } from "../../src/lib/core/coordinator.ts";
import type { CoordinatorOptions } from "../../src/coordinator.ts";
import { type Chat, type ChatSetup, startChat } from "./chat.ts";
import { type CoordinatorDatabase, openMemory } from "./coordinators.ts";

/** An instance whose line to the coordinator can fail. */
export interface Instance extends Chat {
  /** `"cut"`: calls are rejected. `"silent"`: they never settle. `"lossy"`: they take effect, and their answers are lost. */
  line: "whole" | "cut" | "silent" | "lossy";
}

export interface Instances {
  readonly instances: readonly [Instance, Instance, ...Instance[]];
  readonly database: CoordinatorDatabase;
  readonly store: ThreadStore;
}

/** Options of {@link startInstances}. */
export interface InstancesSetup extends Omit<ChatSetup, "coordinator"> {
  /** @default 2 */
  count?: number;
  /** @default a database in memory */
  database?: CoordinatorDatabase;
  coordinator?: CoordinatorOptions;
}

/** Starts instances. The first one's model server answers for all. */
export async function startInstances({
  count = 2,
  database = openMemory(),
  coordinator: options = {},
  ...setup
}: InstancesSetup = {}): Promise<Instances> {
  const store = setup.backingStore ?? createMemoryStore();
  const instances: Instance[] = [];
  for (let number = 0; number < count; number++) {
    const line: Pick<Instance, "line"> = { line: "whole" };
    const coordinator = shareTurns(withLine(database.connect(options), line));
    const [first] = instances;
    const chat = await startChat({ ...setup, ...(first && { client: first.model.client() }), backingStore: store, coordinator });
    instances.push(
      Object.defineProperty(first ? { ...chat, model: first.model } : { ...chat }, "line", {
        get: () => line.line,
        set(state: Instance["line"]) {
          line.line = state;
        },
      }) as Instance,
    );
  }
  onTestFinished(async () => {
    for (const instance of instances) instance.line = "cut";
    await database.close();
  });
  return { instances: instances as unknown as Instances["instances"], database, store };
}

/** A coordinator behind a line that can fail. */
function withLine(coordinator: Coordinator, state: Pick<Instance, "line">): Coordinator {
  const methods = coordinatorMethods.map((name) => [
    name,
    async (...args: unknown[]) => {
      if (state.line === "cut") throw new Error("connect ECONNREFUSED");
      if (state.line === "silent") return new Promise(() => {});
      const result: unknown = await (coordinator[name] as (...args: unknown[]) => unknown)(...args);
      return state.line === "whole" ? result : new Promise(() => {});
    },
  ]);
  const subscribe: Coordinator["subscribe"] = (thread, type, listener) =>
    coordinator.subscribe?.(thread, type, (hint) => state.line === "whole" && listener(hint)) ?? (() => {});
  return { ...coordinator, ...Object.fromEntries(methods), ...(coordinator.subscribe && { subscribe }) };
}
