/** Races between calls, on one instance and on two. */
import type { Coordinator } from "../../core/coordinator.ts";
import { atOnce } from "../gate.ts";
import type { CaseSetup, CoordinatorCase } from "./case.ts";

/** Two coordinators that race on the same data; both are the same one in a race between calls. */
type Race = Pick<CoordinatorCase, "name" | "invariant" | "waits"> & {
  race(one: Coordinator, other: Coordinator, setup: CaseSetup): Promise<void>;
};

/** Each race as two cases: between calls to one instance, and between two instances. */
export function races(definitions: readonly Race[]): CoordinatorCase[] {
  return definitions.flatMap(({ race, name, ...rest }) => [
    { ...rest, name: `${name}, between calls`, body: (setup) => race(setup.one, setup.one, setup) },
    { ...rest, name: `${name}, between two instances`, body: (setup) => race(setup.one, setup.other, setup) },
  ]);
}

/** The numbers from 0 up to a count. */
export const numbers = (count: number): number[] => Array.from({ length: count }, (_, index) => index);

/** Starts all works at one moment. They end early when one has failed, so that the calls that led to it are the latest. */
export async function untilOneFails(works: readonly ((hasFailed: () => boolean) => Promise<void>)[]): Promise<void> {
  let hasFailed = false;
  await atOnce(
    works.map((work) => async () => {
      try {
        await work(() => hasFailed);
      } catch (error) {
        hasFailed = true;
        throw error;
      }
    }),
  );
}
