/** A turn of this instance with a ticket of the coordinator. */
import { callSafely } from "../../core/async.ts";
import type {
  Coordinator,
  CoordinatorEntrance,
  CoordinatorHint,
  EnteredEntrance,
  Ticket,
  TicketRequest,
  TicketStatus,
} from "../../core/coordinator.ts";
import { createCoordinatorError, createLeaseLostError, createStoppedError } from "../../core/errors.ts";
import type { EventLogReader } from "../../core/event-log.ts";
import type { Lease, LocalTurn, QueueTicket } from "../../core/turn-registry.ts";
import type { QueuedTurn } from "../queued-turn.ts";
import { type Call, giveBack } from "./calls.ts";
import { LogPublisher, type PublisherOwner } from "./publisher.ts";
import { now, TicketWatch, type WatchedTicket } from "./ticket-watch.ts";

/** Stands for all readers on other instances. They read as fast as they can, so it never holds the writer back. */
const remoteReaders: EventLogReader = { position: Infinity, notify() {} };

/** What all turns have of their registry. */
export interface SharedTurnContext {
  coordinator: Coordinator;
  call: Call;
  /** Called once, when it has left. */
  onLeft(turn: SharedTurn): void;
}

/** Both ticket and lease, on one instance of many. */
export class SharedTurn implements QueueTicket, Lease, PublisherOwner, WatchedTicket {
  readonly ahead: number;
  ticket: Ticket;
  isGranted = false;
  hasStarted = false;
  hasPredecessorStarted = false;
  /** Settles when it is known whether anyone can still join, and is gone then. */
  #closing: Promise<unknown> | undefined;
  readonly #context: SharedTurnContext;
  /** Its place among the turns of this process. */
  readonly #queued: QueuedTurn;
  /** Created when somebody follows, or at the end: most turns have their only reader beside them. */
  #publisher: LogPublisher | undefined;
  /** Gone once it is granted: every open stream would keep it. */
  #lease: PromiseWithResolvers<Lease> | undefined;
  readonly #unsubscribe: (() => void) | undefined;
  readonly #watch: TicketWatch;
  #isLost = false;
  /** Whether nobody can join any more. */
  #isClosed = false;
  #hasLeft = false;
  /** When the first of the last calls failed that have all failed, by `performance.now()`. Only that failure is reported. */
  #failingSince: number | undefined;
  isFollowed = false;

  /** @param sentAt - When the entry was sent, by `performance.now()`. */
  constructor({ ticket, ahead, status }: EnteredEntrance, sentAt: number, queued: QueuedTurn, context: SharedTurnContext) {
    const { coordinator } = context;
    this.ticket = ticket;
    this.ahead = ahead;
    this.#context = context;
    this.#queued = queued;
    this.#watch = new TicketWatch(this, coordinator.settings, sentAt);
    if (status.state !== "granted") {
      this.#lease = Promise.withResolvers();
      // Nobody may be waiting when it is rejected.
      this.#lease.promise.catch(() => {});
    }
    this.#unsubscribe = coordinator.subscribe?.(
      ticket,
      "thread",
      (hint) => this.#onHint(hint),
      () => this.#onSubscribed(),
    );
    this.receive(status);
  }

  get #local(): LocalTurn {
    return this.#queued.local;
  }

  #createPublisher(): LogPublisher {
    const { coordinator, call } = this.#context;
    return (this.#publisher ??= new LogPublisher(this.#local.log, this, coordinator, call));
  }

  waitForLease(): Promise<Lease> {
    return this.#lease?.promise ?? Promise.resolve(this);
  }

  refuseJoins(): void {
    this.#queued.refuseJoins();
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#close();
  }

  #close(): void {
    const { coordinator, call } = this.#context;
    this.#trackClosing(call(() => coordinator.close(this.ticket)));
  }

  #trackClosing(closing: Promise<unknown>): void {
    const settled = closing
      .catch(() => {})
      .then(() => {
        if (this.#closing === settled) this.#closing = undefined;
      });
    this.#closing = settled;
  }

  /**
   * Resolves when it is known whether anyone can still join. The coordinator has sent a join here: if this turn was closed before, that has failed, or
   * was forgotten, and is repeated.
   */
  async settleJoins(): Promise<void> {
    if (this.#isClosed && !this.#closing) this.#close();
    await this.#closing;
  }

  async refuseJoinsUnlessFollowed(): Promise<boolean> {
    const { coordinator, call } = this.#context;
    // An entry in the meantime waits for the result: nobody may join a turn that is about to end.
    this.#queued.refuseJoins();
    const closing = call(() => coordinator.close(this.ticket, { unlessFollowed: true }));
    this.#trackClosing(closing);
    try {
      if (await closing) this.#isClosed = true;
      // Joins may also have been refused meanwhile.
      if (this.#isClosed) return true;
      this.#queued.allowJoins();
      // Noticed again when they leave.
      this.#setFollowed(true);
      return false;
    } catch (error) {
      this.fail(error);
      this.refuseJoins();
      return true;
    }
  }

  async mayWrite(): Promise<boolean> {
    while (!this.#isLost && this.#watch.isExpiring(now())) {
      const sentAt = now();
      await this.#watch.renew();
      this.#loseUnlessRenewed(now());
      // After a freeze, the answer or the failure of an old call says nothing.
      if (now() - sentAt <= this.#context.coordinator.settings.leaseMs / 2) break;
    }
    return !this.#isLost;
  }

  markStarted(): void {
    this.#queued.markStarted();
    this.hasStarted = true;
    void this.#ask(() => this.#context.coordinator.start(this.ticket));
  }

  /** Looks for what has changed since the entry. A turn that is about to start receives its status then. */
  #onSubscribed(): void {
    if (!this.isGranted || this.hasStarted) this.#watch.look();
    this.#watch.setHinted();
  }

  #onHint(hint: CoordinatorHint): void {
    const isOnlyFollowed = hint.type === "thread" && hint.followed === this.ticket.attempt && this.isGranted;
    if (!isOnlyFollowed) this.#watch.look();
    else if (!this.#hasLeft && !this.#isLost) this.#setFollowed(true);
  }

  async leave(): Promise<void> {
    this.#hasLeft = true;
    this.#unsubscribe?.();
    if (!this.#isLost) await this.#createPublisher().end();
    this.#queued.leave();
    this.#context.onLeft(this);
  }

  /** Does what is due. */
  tick(time: number): void {
    this.#watch.tick(time);
    this.#loseUnlessRenewed(time);
  }

  /** With `whenUnrenewed: "abort"`, a turn that cannot renew its lease gives up before the lease ends. */
  #loseUnlessRenewed(time: number): void {
    if (!this.isGranted || this.#context.coordinator.settings.whenUnrenewed !== "abort") return;
    if (this.#failingSince !== undefined && this.#watch.isExpiring(time)) this.#lose();
  }

  receive({ state, isStopRequested, isFollowed, hasPredecessorStarted }: TicketStatus): void {
    if (this.#hasLeft || this.#isLost) return;
    this.#watch.postpone();
    this.hasPredecessorStarted ||= hasPredecessorStarted;
    if (state === "lost") return this.#lose();
    if (isStopRequested) this.#local.abort(createStoppedError());
    if (state === "granted") this.#grant();
    this.#setFollowed(isFollowed);
  }

  fail(error: unknown): void {
    if (this.#failingSince === undefined) this.#local.report(createCoordinatorError(error));
    this.#failingSince ??= now();
  }

  check(): Promise<boolean> {
    return this.#ask(() => this.#context.coordinator.check(this.ticket));
  }

  renew(): Promise<boolean> {
    return this.#ask(() => this.#context.coordinator.renew(this.ticket));
  }

  /** Returns whether the coordinator answered. */
  async #ask(work: () => Promise<TicketStatus>): Promise<boolean> {
    this.#watch.postpone();
    if (this.#hasLeft || this.#isLost) return true;
    const version = this.#publisher?.version ?? 0;
    try {
      const status = await this.#context.call(work);
      this.#failingSince = undefined;
      this.receive(status);
      this.#publisher?.compare(status, version);
      return true;
    } catch (error) {
      this.fail(error);
      this.#goOnAlone();
      return false;
    }
  }

  #grant(): void {
    if (this.isGranted) return;
    this.isGranted = true;
    this.#lease?.resolve(this);
    this.#lease = undefined;
    this.#queued.forgetPredecessors();
    this.#publisher?.notify();
  }

  /**
   * A turn that waits while the coordinator cannot be reached goes on in the order of its own process, once the leases of all others have ended. That is
   * counted from a failure: after a freeze, its own last renewal says nothing.
   */
  #goOnAlone(): void {
    const { leaseMs, whenUnreachable } = this.#context.coordinator.settings;
    if (this.isGranted || whenUnreachable === "refuse" || this.#failingSince === undefined) return;
    if (now() - this.#failingSince <= leaseMs) return;
    void this.#queued.waitForLease().then(({ hasPredecessorStarted }) => {
      this.hasPredecessorStarted ||= hasPredecessorStarted;
      if (this.#failingSince !== undefined) this.#grant();
    });
  }

  #lose(): void {
    if (this.#isLost) return;
    this.#isLost = true;
    this.#setFollowed(false);
    this.#queued.refuseJoins();
    if (!this.isGranted) return void this.#enterAgain();
    this.#local.abort(createLeaseLostError());
  }

  /** A turn that waits has not begun, so it can take another place. Its old place may be lost because the process was frozen. */
  async #enterAgain(): Promise<void> {
    const { coordinator, call } = this.#context;
    const attempt = crypto.randomUUID();
    const { owner, threadId, responseId, promptId, promptDigest } = this.ticket;
    const request: TicketRequest = { owner, threadId, responseId, promptId, promptDigest, attempt };
    const policy = { concurrency: "queue", maxQueued: Number.MAX_SAFE_INTEGER } as const;
    const follower = { follower: attempt };
    const sentAt = now();
    const sent = callSafely(() => coordinator.enter(request, policy, follower));
    let entrance: CoordinatorEntrance;
    try {
      entrance = await call(() => sent);
    } catch (error) {
      giveBack(coordinator, sent, request, follower);
      // Until the next look, it waits as before.
      this.#isLost = false;
      if (!this.#isClosed) this.#queued.allowJoins();
      this.fail(error);
      this.#goOnAlone();
      return;
    }
    if (this.#hasLeft || entrance.kind !== "entered") {
      giveBack(coordinator, sent, request, follower);
      if (this.#hasLeft) return;
      const lost = createLeaseLostError();
      this.#local.abort(lost);
      return this.#lease?.reject(lost);
    }
    this.#local.log.attempt = attempt;
    this.ticket = entrance.ticket;
    this.#setJoinable();
    this.#isLost = false;
    this.#watch.setEntered(sentAt);
    this.receive(entrance.status);
  }

  /** Lets others join its new place, unless joins were refused: then of this place, too. */
  #setJoinable(): void {
    if (!this.#isClosed) return this.#queued.allowJoins();
    this.#isClosed = false;
    this.refuseJoins();
  }

  #setFollowed(isFollowed: boolean): void {
    if (isFollowed === this.isFollowed) return;
    this.isFollowed = isFollowed;
    const { log } = this.#local;
    if (isFollowed) {
      log.subscribe(remoteReaders);
      this.#createPublisher().notify();
    } else {
      log.unsubscribe(remoteReaders);
    }
  }
}
