/** How the kit opens and closes the coordinator that it tests. */
import type { Coordinator, CoordinatorSettings } from "../../core/coordinator.ts";

type MaybePromise<T> = T | Promise<T>;

/** The settings that an instance must have. In milliseconds, from 100 to 3,600,000. */
export type CoordinatorTimes = Pick<CoordinatorSettings, "leaseMs" | "retentionMs">;

/** The functions that the kit needs for a coordinator. */
export interface CoordinatorSubject<Instance extends Coordinator = Coordinator> {
  /**
   * Opens a coordinator without data: a new schema or key prefix. Called once per case. Add what the functions below need, such as a
   * connection, to the coordinator: `{ ...createMyCoordinator(client, times), client }`.
   */
  create(times: CoordinatorTimes): MaybePromise<Instance>;
  /** Opens an independent instance on the data of the first, as another process does: with its own client, connection and settings. */
  peer(first: Instance, times: CoordinatorTimes): MaybePromise<Instance>;
  /** Declares whether the coordinator has `subscribe`. The kit fails if it has, or lacks, what this denies. */
  hints: boolean;
  /**
   * Closes a coordinator and removes its data. Called at the end of each case, passed or failed, with each that is open: every peer, the
   * newest first, then the one from `create`.
   */
  destroy?: ((coordinator: Instance) => MaybePromise<void>) | undefined;
  /**
   * Sets the database's clock forward. Without it, the cases about expiry wait for real time, about half a minute in all.
   *
   * @param first - The coordinator from `create`. The clock is that of its data.
   */
  advance?: ((ms: number, first: Instance) => MaybePromise<void>) | undefined;
  /** Removes all data while the instances stay open, as a database that is flushed. Without it, the kit skips the cases about that. */
  forget?: ((first: Instance) => MaybePromise<void>) | undefined;
  /**
   * Declares that the database runs in this process and uses its clock, as PGlite does. Then the kit skips the cases that set this clock wrong.
   *
   * @default false
   */
  usesProcessClock?: boolean | undefined;
}
