/** Attempts that are closed, and the followers that keep one open. */
import { expectEqual } from "../../expect.ts";
import type { CoordinatorCase } from "../case.ts";
import { expectWithin, withShortTime } from "../clock.ts";
import { enter, enterAs, expectJoins, expectLog, expectStates, keyOfTurn, queue, reader, turn } from "../samples.ts";

export const closingCases: CoordinatorCase[] = [
  {
    name: "a closed attempt is not joined, and its response id enters again behind it",
    invariant: "close",
    async body({ one, other }) {
      const a = await enter(one, turn("a"));
      expectEqual(await one.close(a), true, "What the close resolved to");
      expectEqual((await one.renew(a)).state, "granted", "The state of the closed attempt");
      const again = await enterAs(other, turn("a"));
      expectEqual([again.ahead, again.status.state], [1, "waiting"], "Turns ahead of the next attempt, and its state");
      await expectJoins(one, turn("a"), again.ticket.attempt);
      expectEqual((await one.append(a, 0, "text")).state, "granted", "What an append of the closed attempt resolved to");
      await expectStates(
        other,
        [
          [a, "granted"],
          [again.ticket, "waiting"],
        ],
        "before the end of the closed attempt",
      );
      expectEqual((await one.check(a)).isFollowed, false, "Whether a join of the next attempt follows the closed one");
      expectEqual(await one.end(a, 4, ""), true, "What the end of the closed attempt resolved to");
      await expectStates(other, [[again.ticket, "granted"]], "after the end of the closed attempt");
      await expectJoins(one, turn("a"), again.ticket.attempt);
    },
  },
  {
    name: "a closed attempt is read as closed until its end",
    invariant: "read",
    async body({ one, other }) {
      const [a, b] = [await enter(one, turn("a")), await enter(one, turn("b"))];
      await one.append(a, 0, "text");
      for (const ticket of [a, b]) await one.close(ticket);
      for (const coordinator of [one, other]) {
        await expectLog(coordinator, a, { text: "text", state: "closed" }, "of a closed turn that runs");
        await expectLog(coordinator, b, { text: "", state: "closed" }, "of a closed turn that waits");
      }
      const latest = await other.read(keyOfTurn(a), undefined, 4, reader());
      expectEqual(latest, { attempt: a.attempt, data: "", length: 4, state: "closed" }, "The latest log");
      await one.end(a, 4, "");
      await expectLog(other, a, { text: "text", state: "ended" }, "after its end");
      await expectLog(other, b, { text: "", state: "closed" }, "of a closed turn that waited and runs now");
    },
  },
  {
    name: "a waiting turn may be closed",
    invariant: "close",
    async body({ one, other }) {
      await enter(one, turn("a"));
      const b = await enter(one, turn("b"));
      expectEqual(await one.close(b), true, "What the close resolved to");
      const again = await enterAs(other, turn("b", { promptId: "another" }));
      expectEqual([again.ahead, again.status.state], [2, "waiting"], "Turns ahead of the next attempt, and its state");
    },
  },
  {
    name: "a close unless followed leaves a turn open that is followed",
    invariant: "close",
    async body({ one, other }) {
      const a = await enter(one, turn("a"));
      await expectJoins(other, turn("a"), a.attempt);
      for (const coordinator of [one, other])
        expectEqual(await coordinator.close(a, { unlessFollowed: true }), false, "What the close of a followed turn resolved to");
      await expectJoins(one, turn("a"), a.attempt);
      await other.unfollow(a, reader());
      expectEqual(await one.close(a, { unlessFollowed: true }), true, "What the close resolved to after the follower has left");
      expectEqual((await enterAs(other, turn("a"))).ahead, 1, "How many turns are ahead of the next attempt");
      await other.read(keyOfTurn(a), a.attempt, 0, reader());
      expectEqual(await one.close(a, { unlessFollowed: true }), true, "What closing it again resolved to");
    },
  },
  {
    name: "a close without a condition closes a turn that is followed",
    invariant: "close",
    async body({ one, other }) {
      const [a, b] = [await enter(one, turn("a")), await enter(one, turn("b"))];
      for (const ticket of [a, b]) await expectJoins(other, turn(ticket.responseId), ticket.attempt);
      expectEqual(await one.close(a), true, "What the close resolved to");
      expectEqual(await one.close(b, { unlessFollowed: false }), true, "What the close with unlessFollowed: false resolved to");
      for (const id of ["a", "b"]) await enter(other, turn(id));
    },
  },
  {
    name: "a reader of the log is a follower until it ends the reading",
    invariant: "followers",
    async body({ one, other }) {
      const [a, b] = [await enter(one, turn("a")), await enter(one, turn("b"))];
      await other.read(keyOfTurn(a), a.attempt, 0, reader("1"));
      await other.read(keyOfTurn(a), undefined, 0, reader("2"));
      await other.read(keyOfTurn(b), undefined, 0, reader("3"));
      for (const [follower, isFollowed] of [
        ["2", true],
        ["unknown", true],
        ["3", true],
        ["1", false],
      ] as const) {
        await other.unfollow(a, reader(follower));
        expectEqual((await one.check(a)).isFollowed, isFollowed, `Whether it is followed after "${follower}" has left`);
      }
      expectEqual((await one.check(b)).isFollowed, true, "Whether the other turn, which waits, is followed");
      await other.unfollow(b, reader("3"));
      expectEqual((await one.renew(b)).isFollowed, false, "Whether it is followed after its reader has left");
    },
  },
  {
    name: "a read without a follower is none",
    invariant: "followers",
    async body({ one, other }) {
      const a = await enter(one, turn("a"));
      for (const attempt of [undefined, a.attempt]) {
        const slice = await other.read(keyOfTurn(a), attempt, 0);
        expectEqual([slice?.attempt, slice?.state], [a.attempt, "running"], "What the read resolved to");
      }
      expectEqual((await one.check(a)).isFollowed, false, "Whether it is followed");
      expectEqual(await one.close(a, { unlessFollowed: true }), true, "What the close resolved to");
    },
  },
  {
    name: "a follower that calls twice is one follower",
    invariant: "followers",
    async body({ one, other }) {
      const a = await enter(one, turn("a"));
      for (const coordinator of [one, other]) {
        await expectJoins(coordinator, turn("a"), a.attempt);
        await coordinator.read(keyOfTurn(a), a.attempt, 0, reader());
      }
      await one.unfollow(a, reader());
      expectEqual((await other.check(a)).isFollowed, false, "Whether it is followed after the follower has left");
    },
  },
  {
    name: "who follows one attempt follows no other",
    invariant: "followers",
    async body({ one, other }) {
      const a = await enter(one, turn("a"));
      await other.read(keyOfTurn(a), a.attempt, 0, reader());
      await one.close(a);
      const again = await enter(one, turn("a"));
      expectEqual((await one.check(again)).isFollowed, false, "Whether the next attempt is followed");
      await other.unfollow(again, reader());
      expectEqual((await one.check(a)).isFollowed, true, "Whether the first is followed after the reader has left the next");
      await one.end(a, 0, "");
      await other.read(keyOfTurn(a), a.attempt, 0, reader());
      expectEqual((await one.check(again)).isFollowed, false, "Whether the next is followed by a reader of the first's log");
      await other.read(keyOfTurn(a), undefined, 0, reader());
      expectEqual((await one.check(again)).isFollowed, true, "Whether the next is followed by a reader of the latest log");
    },
  },
  {
    name: "whoever enters a turn does not follow it",
    invariant: "followers",
    async body({ one }) {
      const request = turn("a");
      for (const policy of [queue, queue]) await one.enter(request, policy, reader());
      const a = await enter(one, request);
      expectEqual((await one.check(a)).isFollowed, false, "Whether it is followed");
      expectEqual(await one.close(a, { unlessFollowed: true }), true, "What the close resolved to");
    },
  },
  {
    name: "a follower counts for followMs after each call",
    invariant: "followers",
    waits: true,
    async body({ one, open, clock }) {
      await withShortTime(async (ms, threadId) => {
        const brief = await open({ leaseMs: ms });
        const { followMs } = brief.settings;
        const a = await enter(one, turn("a", { threadId }));
        let since = clock.now();
        await expectJoins(brief, turn("a", { threadId }), a.attempt);
        for (let round = 0; round < 5; round++) {
          const { isFollowed } = await one.check(a);
          expectWithin(isFollowed, { clock, since, ms: followMs }, "A turn is not followed before followMs have passed");
          await clock.wait(followMs / 2.5);
          const stillFollowed = (await one.check(a)).isFollowed;
          expectWithin(stillFollowed, { clock, since, ms: followMs }, "A turn is not followed before followMs have passed");
          since = clock.now();
          await brief.read(keyOfTurn(a), round % 2 ? a.attempt : undefined, 0, reader());
        }
        await clock.wait(followMs * 1.2 + 50);
        expectEqual((await one.check(a)).isFollowed, false, "Whether it is followed after followMs without a call");
        expectEqual(await one.close(a, { unlessFollowed: true }), true, "What the close resolved to after followMs without a call");
      });
    },
  },
  {
    name: "a closed turn stays closed, and ends",
    invariant: "close",
    async body({ one, other }) {
      const a = await enter(one, turn("a"));
      await one.close(a);
      await other.renew(a);
      await other.read(keyOfTurn(a), a.attempt, 0, reader());
      const again = await enterAs(other, turn("a"));
      expectEqual(again.ahead, 1, "How many turns are ahead of the next attempt, after the closed one was renewed and read");
      await one.end(a, 0, "end");
      await expectLog(other, a, { text: "end", state: "ended" }, "of the closed attempt");
      await expectStates(one, [[again.ticket, "granted"]], "after its end");
    },
  },
];
