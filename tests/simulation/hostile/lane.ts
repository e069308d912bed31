/** The steps of a hostile tenant. They are executed between the steps of the honest ones. */
import { setImmediate as soon } from "node:timers/promises";
import type { TenantClock } from "./clock.ts";

/** The possible steps. */
export interface Lane {
  /** Adds a possible step. The returned function removes it. */
  offer(label: string, act: () => unknown, process?: object): () => void;
  /** For the trace of a model call. */
  note(line: string): void;
  /** Removes all steps of a process. */
  drop(process: object): void;
  /** Executes a step, if there is one, and waits for its consequences. Returns whether there was one. */
  run(choice: number): Promise<boolean>;
}

/** Creates a lane. `note` receives a line for each step. */
export function createLane(clock: TenantClock, note: (line: string) => void): Lane {
  let steps: { label: string; act: () => unknown; process: object | undefined }[] = [];

  return {
    offer(label, act, process) {
      const offered = { label, act, process };
      steps.push(offered);
      return () => void (steps = steps.filter((step) => step !== offered));
    },
    note,
    drop: (process) => void (steps = steps.filter((step) => step.process !== process)),
    async run(choice) {
      const [next] = steps.splice(choice % steps.length, 1);
      if (!next) return false;
      note(next.label);
      await clock.asHostile(next.act);
      await soon();
      return true;
    },
  };
}
