/** When a ticket is looked at, and when its lease is renewed. */
import type { CoordinatorSettings } from "../../core/coordinator.ts";

/** What a watch does with its ticket. Both calls resolve to whether the coordinator answered, and never reject. */
export interface WatchedTicket {
  /** Whether its turn may run. */
  readonly isGranted: boolean;
  /** Looks for changes. */
  check(): Promise<boolean>;
  /** Renews the lease, which also looks for changes. */
  renew(): Promise<boolean>;
}

/** With hints, a turn that runs is looked at so many times more rarely: its next renewal finds what a lost hint would have told. */
const hintedPollFactor = 4;

/** Whole milliseconds: a fraction would take memory of its own in every open stream. */
export const now = (): number => Math.floor(performance.now());

/** Watches one ticket. The registry ticks all its watches with one timer. */
export class TicketWatch {
  /** When the last renewal that succeeded was sent. All times are by `performance.now()`. */
  #renewedAt: number;
  #renewAt: number;
  #checkAt: number;
  #isHinted = false;
  #isLooking = false;
  #mustLookAgain = false;
  readonly #ticket: WatchedTicket;
  readonly #settings: CoordinatorSettings;

  /** @param enteredAt - When the entry was sent. */
  constructor(ticket: WatchedTicket, settings: CoordinatorSettings, enteredAt: number) {
    this.#ticket = ticket;
    this.#settings = settings;
    this.#renewedAt = Math.floor(enteredAt);
    this.#renewAt = Math.floor(enteredAt + settings.leaseMs / 3);
    this.#checkAt = Math.floor(enteredAt) + settings.ticketPollMs;
  }

  /** Looks at the ticket if it is time to, and renews it. */
  tick(time: number): void {
    // A turn that waits may be early. Just too late for this tick, it would wait for two of them behind an instance that died.
    const tolerance = this.#ticket.isGranted ? 0 : this.#settings.ticketPollMs / 10;
    if (time >= Math.min(this.#renewAt, this.#checkAt - tolerance)) this.look();
  }

  /** Looks at the ticket now, and renews it if it is time to. One look at a time. */
  look(): void {
    this.#mustLookAgain = this.#isLooking;
    if (this.#isLooking) return;
    this.#isLooking = true;
    // Not an async function: its state would take memory in all turns that are looked at together.
    void this.#lookOnce().then(() => {
      this.#isLooking = false;
      if (this.#mustLookAgain) this.look();
    });
  }

  /** Decided when it is sent: where a call takes longer than a poll, one look follows another, and a renewal beside them would never be sent. */
  #lookOnce(): Promise<unknown> {
    return now() >= this.#renewAt ? this.renew() : this.#ticket.check();
  }

  /** Renews the lease now. Tries again soon if that fails. */
  async renew(): Promise<void> {
    const { leaseMs } = this.#settings;
    const sentAt = now();
    this.#renewAt = Math.floor(sentAt + leaseMs / 3);
    if (await this.#ticket.renew()) this.#renewedAt = sentAt;
    else this.#renewAt = Math.floor(sentAt + leaseMs / 10);
  }

  /** Waits with the next look: a call for the ticket was sent, or has returned its status. */
  postpone(): void {
    const factor = this.#isHinted && this.#ticket.isGranted ? hintedPollFactor : 1;
    this.#checkAt = now() + factor * this.#settings.ticketPollMs;
  }

  /** Hints of changes arrive from now on. */
  setHinted(): void {
    this.#isHinted = true;
    this.postpone();
  }

  /** Starts the time of a new lease. */
  setEntered(enteredAt: number): void {
    this.#renewedAt = enteredAt;
  }

  /** Whether the lease ends soon, because the last renewals failed. */
  isExpiring(time: number): boolean {
    return time - this.#renewedAt > 0.8 * this.#settings.leaseMs;
  }
}
