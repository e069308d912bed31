/** A turn in a queue in memory. */
import type { Lease, LocalTurn, QueueTicket, TurnEntry } from "../core/turn-registry.ts";

const nobody: readonly QueuedTurn[] = [];

/** Both ticket and lease. Every open stream has one, and a class costs less memory than closures. */
export class QueuedTurn implements QueueTicket, Lease {
  readonly entry: TurnEntry;
  readonly local: LocalTurn;
  readonly ahead: number;
  isJoinable = true;
  isStarted = false;
  hasPredecessorStarted = false;
  /** The turns ahead, and those of them that had not started. Both are gone once all have left. */
  #predecessors: readonly QueuedTurn[];
  #notStarted: readonly QueuedTurn[];
  #hasLeft = false;
  /** Only if somebody waits for its end. */
  #left: PromiseWithResolvers<void> | undefined;
  readonly #remove: (turn: QueuedTurn) => void;

  constructor(entry: TurnEntry, local: LocalTurn, ahead: readonly QueuedTurn[], remove: (turn: QueuedTurn) => void) {
    this.entry = entry;
    this.local = local;
    this.ahead = ahead.length;
    this.#remove = remove;
    this.#predecessors = ahead;
    this.#notStarted = ahead.filter(({ isStarted }) => !isStarted);
  }

  async waitForLease(): Promise<Lease> {
    await Promise.all(this.#predecessors.map((turn) => turn.waitUntilLeft()));
    this.hasPredecessorStarted ||= this.#notStarted.some(({ isStarted }) => isStarted);
    this.forgetPredecessors();
    return this;
  }

  /** For a turn that runs. Otherwise a thread whose queue is never empty would keep all its turns in memory. */
  forgetPredecessors(): void {
    this.#predecessors = nobody;
    this.#notStarted = nobody;
  }

  refuseJoins(): void {
    this.isJoinable = false;
  }

  /** For a turn that takes another place before it has begun. */
  allowJoins(): void {
    this.isJoinable = true;
  }

  refuseJoinsUnlessFollowed(): boolean {
    this.refuseJoins();
    return true;
  }

  mayWrite(): boolean {
    return true;
  }

  markStarted(): void {
    this.isStarted = true;
  }

  leave(): void {
    this.#hasLeft = true;
    this.#remove(this);
    this.#left?.resolve();
  }

  async waitUntilLeft(): Promise<void> {
    if (this.#hasLeft) return;
    this.#left ??= Promise.withResolvers();
    await this.#left.promise;
  }
}
