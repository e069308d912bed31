/** Everything that can happen is a step. The plan decides which step is next, so a schedule can be repeated. */
import { setImmediate as soon } from "node:timers/promises";
import { type Clock, plainClock } from "./clock.ts";
import { timePasses } from "./plan.ts";

/** A broken invariant. */
class BrokenInvariant extends Error {
  override readonly name = "BrokenInvariant";
}

/** The possible steps, and the steps so far. */
export interface Schedule {
  /** The number of steps so far. */
  readonly step: number;
  /** A line for each step and each note. */
  readonly trace: readonly string[];
  /** Adds a possible step. The returned function removes it. The steps of a process end with it. */
  offer(label: string, act: () => unknown, process?: object): () => void;
  /** Adds a step that is possible after a number of other steps, or if there is no other step. One at a time. */
  offerAfter(others: number, label: string, act: () => unknown): void;
  /** Waits for work that takes real time. No step is executed before it is finished. */
  during(work: Promise<unknown>): void;
  /** Removes all steps of a process. */
  drop(process: object): void;
  /** Fires the next timers, one after the other. */
  passTime(timers: number): Promise<void>;
  /** Adds a line to the trace. */
  note(line: string): void;
  /** Reports a broken invariant from anywhere, and stops the schedule. */
  break(invariant: string, detail: string): void;
  /** From now on, the oldest step is next, and timers fire only if there is no other step. */
  calm(): void;
  /** Executes steps until there are none. */
  settle(): Promise<void>;
}

interface Step {
  label: string;
  act: () => unknown;
  process: object | undefined;
}

/** Most steps of a schedule. No schedule needs as many. */
const maxSteps = 4000;

/** What surrounds a schedule. */
interface Surroundings {
  clock?: Clock | undefined;
  /** Called before each step, after the consequences of the last one. */
  beforeStep?: (() => Promise<void>) | undefined;
}

/**
 * Creates a schedule.
 *
 * @param order - Indexes into the possible steps, oldest first. After its end, the oldest step is next.
 * @param afterStep - Called after each step.
 */
export function createSchedule(
  order: readonly number[],
  afterStep: () => void,
  { clock = plainClock, beforeStep }: Surroundings = {},
): Schedule {
  const steps: Step[] = [];
  let later: { step: Step; from: number } | undefined;
  const underWay: Promise<unknown>[] = [];
  const trace: string[] = [];
  let broken: BrokenInvariant | undefined;
  let step = 0;
  let choices = 0;

  const note = (line: string) => void trace.push(`${String(step).padStart(4)}  ${line}`);

  const fireTimer = () => {
    if (!clock.fireNext()) return false;
    note(`time passes: it is ${performance.now()} ms`);
    return true;
  };

  /** Waits for the consequences of a step in promises and streams. */
  const consequences = async () => {
    while (underWay.length > 0) await underWay.pop();
    await soon();
  };

  const take = async () => {
    const choice = order[choices++] ?? 0;
    if (choice === timePasses && fireTimer()) return true;
    if (later && (later.from <= step || steps.length === 0)) {
      // Without other steps, a timer may fire first.
      if (steps.length === 0 && choice % 2 === 1 && fireTimer()) return true;
      steps.push(later.step);
      later = undefined;
    }
    if (steps.length === 0 && fireTimer()) return true;
    const [next] = steps.splice(Math.max(choice, 0) % steps.length, 1);
    if (!next) return false;
    note(next.label);
    await next.act();
    return true;
  };

  return {
    get step() {
      return step;
    },
    trace,
    offer(label, act, process) {
      const offered = { label, act, process };
      steps.push(offered);
      return () => {
        const index = steps.indexOf(offered);
        if (index !== -1) steps.splice(index, 1);
      };
    },
    offerAfter: (others, label, act) => void (later = { from: step + others, step: { label, act, process: undefined } }),
    during: (work) => void underWay.push(work),
    drop(process) {
      for (let index = steps.length - 1; index >= 0; index--) if (steps[index]?.process === process) steps.splice(index, 1);
    },
    async passTime(timers) {
      for (let fired = 0; fired < timers && fireTimer(); fired++) await consequences();
    },
    note,
    break(invariant, detail) {
      broken ??= new BrokenInvariant(`${invariant}: ${detail}`);
    },
    calm: () => void (choices = order.length),
    async settle() {
      do {
        await consequences();
        if (!broken) afterStep();
        if (broken) throw broken;
        await beforeStep?.();
        step++;
        if (step > maxSteps) throw new BrokenInvariant("everything settles: there is no end to what happens");
      } while (await take());
    },
  };
}
