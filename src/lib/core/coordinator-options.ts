/** The options that all coordinators have. */
import type { CoordinatorSettings } from "./coordinator.ts";
import { throwUsageError } from "./usage-error.ts";

/** Options of every coordinator. */
export interface CoordinatorOptions {
  /**
   * How long a lease lasts without a renewal, in milliseconds. After that its instance counts as dead, and the thread is free. An instance renews
   * three times in each lease.
   *
   * @default 10000
   */
  leaseMs?: number | undefined;
  /**
   * How long an ended answer can be continued from a cursor, at least, and how long a stop waits for its turn, in milliseconds.
   *
   * @default 120000
   */
  retentionMs?: number | undefined;
  /**
   * What a new turn does when the coordinator cannot be reached. `"local"`: it runs in the order of its own process, and the error is reported.
   * `"refuse"`: it fails with 503.
   *
   * @default "local"
   */
  whenUnreachable?: "local" | "refuse" | undefined;
  /**
   * What a running turn does when its lease cannot be renewed. `"finish"`: it finishes, and the store decides. `"abort"`: it aborts the model call
   * before the lease ends, and stores nothing.
   *
   * @default "finish"
   */
  whenUnrenewed?: "finish" | "abort" | undefined;
}

/** The names of {@link CoordinatorOptions}. */
export const coordinatorOptionNames: readonly (keyof CoordinatorOptions)[] = ["leaseMs", "retentionMs", "whenUnreachable", "whenUnrenewed"];

/** The pace of a coordinator, which its database decides. */
export type CoordinatorPace = Pick<CoordinatorSettings, "ticketPollMs" | "logPollMs" | "flushMs">;

/**
 * Fills in the defaults.
 *
 * @throws TypeError for a value that is out of range. The message names the option.
 */
export function resolveCoordinatorSettings(options: CoordinatorOptions, pace: CoordinatorPace): CoordinatorSettings {
  const { leaseMs = 10_000, retentionMs = 120_000, whenUnreachable = "local", whenUnrenewed = "finish" } = options;
  checkMilliseconds("leaseMs", leaseMs);
  checkMilliseconds("retentionMs", retentionMs);
  if (whenUnreachable !== "local" && whenUnreachable !== "refuse") throwUsageError('whenUnreachable must be "local" or "refuse".');
  if (whenUnrenewed !== "finish" && whenUnrenewed !== "abort") throwUsageError('whenUnrenewed must be "finish" or "abort".');
  return { leaseMs, retentionMs, followMs: leaseMs, whenUnreachable, whenUnrenewed, ...pace };
}

function checkMilliseconds(name: string, value: unknown): void {
  if (Number.isInteger(value) && (value as number) >= 100 && (value as number) <= 3_600_000) return;
  throwUsageError(`${name} must be a whole number of milliseconds from 100 to 3600000.`);
}
