/** What a thread's turns know of each other: starts, and the turn that is found. */
import { expectEqual } from "../../expect.ts";
import type { Coordinator, Ticket } from "../../../core/coordinator.ts";
import type { CoordinatorCase } from "../case.ts";
import { enter, enterAs, threadOf, turn } from "../samples.ts";

async function expectPredecessors(coordinator: Coordinator, tickets: readonly (readonly [Ticket, boolean])[], when: string): Promise<void> {
  for (const [ticket, expected] of tickets) {
    const { hasPredecessorStarted } = await coordinator.check(ticket);
    expectEqual(hasPredecessorStarted, expected, `Whether a turn ahead of "${ticket.responseId}" started ${when}`);
  }
}

export const threadCases: CoordinatorCase[] = [
  {
    name: "a ticket records that a turn ahead started after it entered",
    invariant: "predecessor",
    async body({ one, other }) {
      const elsewhere = await enter(one, turn("a", { threadId: "another" }));
      const behind = await enter(one, turn("b", { threadId: "another" }));
      const [a, b] = [await enter(one, turn("a")), await enter(other, turn("b"))];
      await expectPredecessors(
        one,
        [
          [a, false],
          [b, false],
        ],
        "at first",
      );
      expectEqual((await one.start(a)).state, "granted", "How a ticket stands when it starts");
      const c = await enterAs(other, turn("c"));
      expectEqual(c.status.hasPredecessorStarted, false, "Whether one that enters after the start says that one ahead started");
      await expectPredecessors(
        other,
        [
          [a, false],
          [b, true],
          [c.ticket, false],
          [elsewhere, false],
          [behind, false],
        ],
        "after the first has started",
      );
      expectEqual((await one.renew(b)).hasPredecessorStarted, true, "Whether a renewal says so");
      await one.end(a, 0, "");
      await expectPredecessors(
        other,
        [
          [b, true],
          [c.ticket, false],
        ],
        "after the first has ended",
      );
      await other.start(b);
      await expectPredecessors(
        one,
        [
          [b, true],
          [c.ticket, true],
        ],
        "after the second has started",
      );
      expectEqual((await one.append(b, 0, "text")).hasPredecessorStarted, true, "Whether an append says so");
    },
  },
  {
    name: "a start that is repeated concerns nobody who entered after the first",
    invariant: "predecessor",
    async body({ one, other }) {
      const a = await enter(one, turn("a"));
      await one.start(a);
      const b = await enter(one, turn("b"));
      await other.start(a);
      await expectPredecessors(
        one,
        [
          [a, false],
          [b, false],
        ],
        "after a second start of the first",
      );
    },
  },
  {
    name: "an end records the start that it is told of",
    invariant: "predecessor",
    async body({ one, other }) {
      const [a, b] = [await enter(one, turn("a")), await enter(one, turn("b"))];
      await other.end(a, 0, "", { hasStarted: true });
      const c = await enter(one, turn("c"));
      await one.start(a);
      await expectPredecessors(
        one,
        [
          [b, true],
          [c, false],
        ],
        "after the end of the first",
      );
      await one.end(b, 0, "", { hasStarted: false });
      expectEqual((await one.check(c)).hasPredecessorStarted, false, "Whether a turn says so after the end of one that had not started");
    },
  },
  {
    name: "a start behind a turn does not concern it",
    invariant: "predecessor",
    async body({ one, other }) {
      const [a, b, c] = [await enter(one, turn("a")), await enter(one, turn("b")), await enter(one, turn("c"))];
      await other.start(b);
      await expectPredecessors(
        one,
        [
          [a, false],
          [b, false],
          [c, true],
        ],
        "after the second has started",
      );
    },
  },
  {
    name: "the turn that runs is found, or the first that waits",
    invariant: "find",
    async body({ one, other }) {
      const thread = threadOf(turn("a"));
      expectEqual(await one.find(thread), undefined, "What is found in an unknown thread");
      const [b, a] = [await enter(one, turn("b")), await enter(other, turn("a"))];
      await enter(one, turn("x", { threadId: "another" }));
      await enter(one, turn("y", { owner: "somebody" }));
      for (const coordinator of [one, other]) expectEqual(await coordinator.find(thread), "b", "What is found while the first runs");
      await other.close(b);
      for (const coordinator of [one, other])
        expectEqual(await coordinator.find(thread), "b", "What is found while the first, closed, runs");
      await one.end(b, 0, "");
      for (const coordinator of [one, other]) expectEqual(await coordinator.find(thread), "a", "What is found after the end of the first");
      await one.end(a, 0, "");
      for (const coordinator of [one, other]) expectEqual(await coordinator.find(thread), undefined, "What is found after the end of both");
      expectEqual(await one.find({ ...thread, owner: "somebody" }), "y", "What is found in a thread of another owner");
    },
  },
  {
    name: "a turn whose ticket has expired is not found",
    invariant: "find",
    waits: true,
    async body({ one, other, open, clock }) {
      const mortal = await open({ leaseMs: 300 });
      const a = await enter(mortal, turn("a"));
      const b = await enter(one, turn("b"));
      await enter(other, turn("c"));
      await clock.wait(400);
      expectEqual(await other.find(threadOf(a)), "b", "What is found once the first has expired");
      await one.end(b, 0, "");
      expectEqual(await one.find(threadOf(a)), "c", "What is found after the end of the second");
    },
  },
];
