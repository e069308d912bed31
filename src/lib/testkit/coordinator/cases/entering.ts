/** Turns that enter a thread: in order, as a join, as a conflict. */
import { expectEqual, expectThat } from "../../expect.ts";
import type { Ticket } from "../../../core/coordinator.ts";
import type { CoordinatorCase } from "../case.ts";
import { enter, enterAs, expectJoins, expectKind, expectStates, queue, reader, turn } from "../samples.ts";

export const enteringCases: CoordinatorCase[] = [
  {
    name: "turns are granted in the order in which they entered",
    invariant: "oneGranted",
    async body({ one, other }) {
      const entrances = [];
      // Two turns enter on one instance before any on the other: instances that number places by themselves would give one place twice.
      for (const [id, coordinator] of [
        ["z", one],
        ["y", one],
        ["m", other],
        ["a", one],
      ] as const)
        entrances.push(await enterAs(coordinator, turn(id)));
      expectEqual(
        entrances.map(({ ahead }) => ahead),
        [0, 1, 2, 3],
        "How many turns are ahead of each",
      );
      const states = entrances.map(({ status }) => status.state);
      expectEqual(states, ["granted", "waiting", "waiting", "waiting"], "The states with which they entered");
      const [z, y, m, a] = entrances.map(({ ticket }) => ticket) as [Ticket, Ticket, Ticket, Ticket];
      await expectStates(
        other,
        [
          [z, "granted"],
          [y, "waiting"],
          [m, "waiting"],
          [a, "waiting"],
        ],
        "at first",
      );
      expectEqual((await other.renew(a)).state, "waiting", "The state that the renewal of a waiting ticket resolved to");
      await one.end(z, 0, "");
      await expectStates(
        other,
        [
          [y, "granted"],
          [m, "waiting"],
          [a, "waiting"],
        ],
        "after the first has ended",
      );
      const last = await enterAs(other, turn("n"));
      expectEqual(last.ahead, 3, "How many turns are ahead of one that enters then");
      for (const ticket of [y, m]) await other.end(ticket, 0, "");
      await expectStates(
        one,
        [
          [a, "granted"],
          [last.ticket, "waiting"],
        ],
        "after two more have ended",
      );
      await one.end(a, 0, "");
      await expectStates(one, [[last.ticket, "granted"]], "after the fourth has ended");
    },
  },
  {
    name: "an entry has a status of its own",
    invariant: "members",
    async body({ one }) {
      const { status, ticket } = await enterAs(one, turn("a"));
      const fresh = { state: "granted", isStopRequested: false, isFollowed: false, hasPredecessorStarted: false, logLength: 0 };
      expectEqual(status, fresh, "The status with which a turn entered");
      expectEqual(await one.check(ticket), fresh, "Its status when checked");
      expectEqual(await one.renew(ticket), fresh, "Its status when renewed");
      expectThat(/^[ -~]{1,128}$/.test(ticket.place), `Its place is not ASCII of at most 128 characters: ${ticket.place}`);
    },
  },
  {
    name: "the same turn joins the attempt that waits or runs",
    invariant: "join",
    async body({ one, other }) {
      const a = await enter(one, turn("a"));
      const b = await enter(one, turn("b"));
      await expectJoins(other, turn("a"), a.attempt);
      await expectJoins(one, turn("a"), a.attempt);
      await expectJoins(other, turn("b"), b.attempt);
      for (const policy of [
        { concurrency: "reject", maxQueued: 0 },
        { concurrency: "interrupt", maxQueued: 0 },
      ] as const) {
        const entrance = await other.enter(turn("b"), policy, reader());
        expectEqual(entrance, { kind: "joined", attempt: b.attempt }, `What a join with "${policy.concurrency}" resolved to`);
      }
      expectEqual((await one.check(a)).isStopRequested, false, "Whether joining another turn asked this one to stop");
      const { ahead } = await enterAs(one, turn("c"));
      expectEqual(ahead, 2, "How many turns are ahead of one that enters after the joins");
      await one.end(a, 0, "");
      await expectJoins(other, turn("b"), b.attempt);
    },
  },
  {
    name: "another prompt under the same response id is a conflict",
    invariant: "join",
    async body({ one, other }) {
      const [a] = [await enter(one, turn("a")), await enter(one, turn("b"))];
      for (const [id, changes] of [
        ["a", { promptId: "another" }],
        ["a", { promptDigest: "another" }],
        ["a", { promptDigest: "Digest" }],
        ["b", { promptId: "prompt of b " }],
        ["b", { promptId: "Prompt of b" }],
      ] as const) {
        const entrance = await other.enter(turn(id, changes), queue, reader());
        expectEqual(entrance, { kind: "conflict" }, `What the entry of "${id}" with another prompt resolved to`);
      }
      expectEqual((await one.check(a)).isFollowed, false, "Whether a turn is followed after a conflict");
      expectEqual((await enterAs(one, turn("c"))).ahead, 2, "How many turns are ahead of one that enters after the conflicts");
    },
  },
  {
    name: "a turn that has ended is not joined",
    invariant: "join",
    async body({ one, other }) {
      const a = await enter(one, turn("a"));
      await one.end(a, 0, "end");
      const again = await enterAs(other, turn("a", { promptId: "another" }));
      expectEqual(again.ahead, 0, "How many turns are ahead of the next attempt");
      await expectJoins(one, turn("a", { promptId: "another" }), again.ticket.attempt);
    },
  },
  {
    name: "whoever joins is a follower at once",
    invariant: "join",
    async body({ one, other }) {
      const [a, b] = [await enter(one, turn("a")), await enter(one, turn("b"))];
      for (const ticket of [a, b]) {
        expectEqual((await one.check(ticket)).isFollowed, false, "Whether a turn is followed before anyone joins");
        await expectJoins(other, turn(ticket.responseId), ticket.attempt, reader(ticket.responseId));
        expectEqual((await one.check(ticket)).isFollowed, true, "Whether a turn is followed after a join");
      }
      expectEqual((await one.renew(a)).isFollowed, true, "Whether it is followed, in what a renewal resolved to");
      await one.unfollow(a, reader("a"));
      expectEqual((await other.check(b)).isFollowed, true, "Whether a turn is followed after a follower of another has left");
    },
  },
  {
    name: "entering again with the same attempt returns the same place",
    invariant: "samePlace",
    async body({ one, other }) {
      await enter(one, turn("a"));
      const request = turn("b");
      const first = await enterAs(one, request);
      await enter(other, turn("c"));
      for (const [policy, coordinator] of [
        [queue, one],
        [queue, other],
        [{ concurrency: "reject", maxQueued: 0 }, one],
        [{ concurrency: "interrupt", maxQueued: 0 }, one],
      ] as const) {
        const again = await enterAs(coordinator, request, policy);
        expectEqual(again, first, `What entering again with "${policy.concurrency}" resolved to`);
      }
      expectEqual((await enterAs(other, turn("d"))).ahead, 3, "How many turns are ahead of one that enters then");
      expectEqual(await enterAs(one, request), first, "What entering again with others behind resolved to");
    },
  },
  {
    name: "threads and owners do not wait for each other",
    invariant: "oneGranted",
    async body({ one, other }) {
      const turns = [
        turn("a"),
        turn("a", { threadId: "another" }),
        turn("a", { owner: "somebody" }),
        turn("a", { owner: "somebody", threadId: "another" }),
      ];
      const tickets = [];
      for (const request of turns) {
        const { ticket, ahead, status } = await enterAs(one, request);
        expectEqual([ahead, status.state], [0, "granted"], "Turns ahead of the first of its thread, and its state");
        tickets.push(ticket);
      }
      await one.end(tickets[0]!, 0, "");
      expectKind(await other.enter(turn("a", { threadId: "another" }), queue, reader()), "joined", "What a join elsewhere resolved to");
      await expectStates(
        other,
        tickets.slice(1).map((ticket) => [ticket, "granted"] as const),
        "after a turn of another thread has ended",
      );
    },
  },
];
