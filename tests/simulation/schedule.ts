/** Everything that can happen is a step; the plan says which of them comes next, so that a schedule can be played again. */
import { vi } from "vitest";
import { timePasses } from "./plan.ts";

/** An invariant that does not hold. */
class BrokenInvariant extends Error {
  override readonly name = "BrokenInvariant";
}

/** The steps that can happen, and what has happened. */
export interface Schedule {
  /** How many steps were taken. */
  readonly step: number;
  /** What has happened, a line for each step and each note. */
  readonly trace: readonly string[];
  /** Adds a step that may happen from now on; the returned function takes it back. Steps of a process end with it. */
  offer(label: string, act: () => unknown, process?: object): () => void;
  /** Adds a step that may happen after so many others, or when there is no other. One at a time. */
  offerAfter(others: number, label: string, act: () => unknown): void;
  /** Something is under way that takes real time: no step is taken before it is over. */
  during(work: Promise<unknown>): void;
  /** Takes back all steps of a process. */
  drop(process: object): void;
  /** Lets the next timers fire, one after the other. */
  passTime(timers: number): Promise<void>;
  /** Adds a line to the trace. */
  note(line: string): void;
  /** Notes that an invariant is broken: the schedule stops, wherever this was found out. */
  break(invariant: string, detail: string): void;
  /** From now on, the oldest step comes first, and time passes only when nothing else can. */
  calm(): void;
  /** Takes steps until nothing can happen any more. */
  settle(): Promise<void>;
}

interface Step {
  label: string;
  act: () => unknown;
  process: object | undefined;
}

/** More steps than any schedule needs. */
const mostSteps = 4000;

/**
 * A schedule.
 *
 * @param order - Indexes into the possible steps, oldest first. At its end, the oldest step is taken each time.
 * @param afterStep - Looks at what has become of each step.
 */
export function createSchedule(order: readonly number[], afterStep: () => void): Schedule {
  const steps: Step[] = [];
  let later: { step: Step; from: number } | undefined;
  const underWay: Promise<unknown>[] = [];
  const trace: string[] = [];
  let broken: BrokenInvariant | undefined;
  let step = 0;
  let choices = 0;

  const note = (line: string) => void trace.push(`${String(step).padStart(4)}  ${line}`);

  const fireTimer = () => {
    if (vi.getTimerCount() === 0) return false;
    vi.advanceTimersToNextTimer();
    note(`time passes: it is ${performance.now()} ms`);
    return true;
  };

  /** All that follows from a step happens before the next one: promises and streams need no more than this. */
  const consequences = async () => {
    while (underWay.length > 0) await underWay.pop();
    await new Promise((resolve) => setImmediate(resolve));
  };

  const take = async () => {
    const choice = order[choices++] ?? 0;
    if (choice === timePasses && fireTimer()) return true;
    if (later && (later.from <= step || steps.length === 0)) {
      // Where nothing else can happen, it is as likely that time passes first.
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
        step++;
        if (step > mostSteps) throw new BrokenInvariant("everything settles: there is no end to what happens");
      } while (await take());
    },
  };
}
