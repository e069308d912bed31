/** What one instance did, seen by another; calls that are sent twice; clocks of processes that are wrong. */
import { expectEqual } from "../../expect.ts";
import { withClock, withRightClock } from "../../clock.ts";
import type { CoordinatorCase } from "../case.ts";
import { enter, enterAs, expectJoins, expectKind, expectLog, expectStates, keyOfTurn, queue, reader, threadOf, turn } from "../samples.ts";

/** Some years after the time of `withClock`, in seconds. */
const later = 500_000_000;

export const coordinatorInstanceCases: CoordinatorCase[] = [
  {
    name: "an instance that has looked sees each change of the other",
    invariant: "instances",
    async body({ one, other }) {
      const key = turn("a");
      const look = async () => [await other.find(key), await other.read(keyOfTurn(key), undefined, 0, reader("looks"))] as const;
      expectEqual(await look(), [undefined, undefined], "What is found and read before anything has entered");
      const a = await enter(one, key);
      const running = (data: string) => ["a", { attempt: a.attempt, data, length: data.length, state: "running" }];
      expectEqual(await look(), running(""), "What is found and read after the first has entered");
      const b = await enter(other, turn("b"));
      await other.unfollow(a, reader("looks"));
      const status = (changes: object) => ({
        state: "granted",
        isStopRequested: false,
        isFollowed: false,
        hasPredecessorStarted: false,
        logLength: 0,
        ...changes,
      });
      expectEqual(await other.check(a), status({}), "The status of the first");
      await one.append(a, 0, "text");
      expectEqual(await other.check(a), status({ logLength: 4 }), "The status of the first after an append");
      expectEqual(await look(), running("text"), "What is found and read after an append");
      expectEqual(await one.check(a), status({ logLength: 4, isFollowed: true }), "The status of the first after a read");
      await other.unfollow(a, reader("looks"));
      expectEqual(await one.check(a), status({ logLength: 4 }), "The status of the first after its reader has left");
      await one.stop(keyOfTurn(a));
      expectEqual(await other.check(a), status({ logLength: 4, isStopRequested: true }), "The status of the first after a stop");
      expectEqual(await other.check(b), status({ state: "waiting" }), "The status of the second");
      await one.start(a);
      expectEqual(
        await other.check(b),
        status({ state: "waiting", hasPredecessorStarted: true }),
        "The status of the second after a start",
      );
      await one.close(a);
      expectKind(await other.enter(turn("a"), queue, reader()), "entered", "What an entry after a close resolved to");
      await one.end(a, 4, "");
      expectEqual(await other.check(b), status({ hasPredecessorStarted: true }), "The status of the second after the end of the first");
      expectEqual(
        await other.check(a),
        status({ state: "lost", logLength: (await other.check(a)).logLength, isStopRequested: (await other.check(a)).isStopRequested }),
        "The status of the first after its end",
      );
      expectEqual(await other.find(key), "b", "What is found after the end of the first");
    },
  },
  {
    name: "a call that is sent again changes nothing",
    invariant: "repeated",
    async body({ one, other }) {
      const request = turn("a");
      const first = await enterAs(one, request);
      const a = first.ticket;
      const b = await enter(one, turn("b"));
      expectEqual(await enterAs(other, request), first, "What the second entry resolved to");
      expectEqual(
        (await enterAs(other, turn("b", { attempt: b.attempt }))).ahead,
        1,
        "How many turns are ahead of the second, which entered again",
      );
      await expectJoins(one, turn("a"), a.attempt);
      await expectJoins(other, turn("a"), a.attempt);
      for (const coordinator of [one, other, one]) {
        await coordinator.append(a, 0, "text");
        await coordinator.start(a);
        await coordinator.unfollow(a, reader());
        expectEqual(await coordinator.stop(keyOfTurn(a)), "requested", "What a stop resolved to");
      }
      const expected = { state: "granted", isStopRequested: true, isFollowed: false, hasPredecessorStarted: false, logLength: 4 };
      expectEqual(await other.renew(a), expected, "The status of the first after calls that were repeated");
      expectEqual(await one.close(a), true, "What the close resolved to");
      expectEqual(await other.close(a, { unlessFollowed: true }), true, "What the second close resolved to");
      expectEqual(await one.end(a, 2, "xt end"), true, "What the end resolved to");
      await other.end(a, 2, "xt end");
      await one.append(a, 0, "text");
      await expectLog(other, a, { text: "text end", state: "ended" }, "after calls that were repeated");
      expectEqual(await one.stop(keyOfTurn(a)), "ended", "What a stop after the end resolved to");
      await expectStates(
        other,
        [
          [a, "lost"],
          [b, "granted"],
        ],
        "after the end",
      );
      const again = await enterAs(one, turn("a"));
      expectEqual(
        [again.ahead, again.status.isStopRequested],
        [1, false],
        "Turns ahead of the next attempt, and whether it is asked to stop",
      );
    },
  },
  {
    name: "an instance whose clock is behind or ahead judges leases by the database's clock",
    invariant: "databaseClock",
    needs: "databaseClock",
    async body({ one, other }) {
      const [a, b] = [turn("a"), turn("b")];
      await withClock([0], () => one.enter(a, queue, reader()));
      await withClock([later], async () => {
        const { ahead, status } = await enterAs(other, b);
        expectEqual(
          [ahead, status.state],
          [1, "waiting"],
          "Turns ahead of one that enters on an instance whose clock is ahead, and its state",
        );
      });
      const [first, second] = [await enter(one, a), await enter(other, b)];
      for (const time of [0, later]) {
        await withClock([time], async () => {
          expectEqual((await other.renew(first)).state, "granted", "What the renewal of the first resolved to");
          expectEqual((await one.check(second)).state, "waiting", "The state of the second");
          expectEqual(await other.find(threadOf(a)), "a", "What is found");
          await expectLog(one, first, { text: "", state: "running" }, "on an instance whose clock is wrong");
        });
        await withRightClock(() =>
          expectStates(
            other,
            [
              [first, "granted"],
              [second, "waiting"],
            ],
            "on an instance whose clock is right",
          ),
        );
      }
    },
  },
  {
    name: "turns keep their order whatever the clocks of their instances say",
    invariant: "databaseClock",
    needs: "databaseClock",
    async body({ one, other }) {
      const requests = [300, 200, 100, 0].map((time) => ({ time, request: turn(`at ${time}`) }));
      for (const [index, { time, request }] of requests.entries()) {
        await withClock([time], async () => {
          expectEqual(
            (await enterAs(index % 2 ? other : one, request)).ahead,
            index,
            "How many turns are ahead of one with an earlier clock",
          );
        });
      }
      for (const { request } of requests) {
        const ticket = await enter(one, request);
        await expectStates(other, [[ticket, "granted"]], "when it is its turn");
        await one.end(ticket, 0, "");
      }
    },
  },
  {
    name: "an instance whose clock is behind or ahead keeps logs, stops and followers by the database's clock",
    invariant: "databaseClock",
    needs: "databaseClock",
    async body({ one, other }) {
      for (const [time, threadId] of [
        [0, "behind"],
        [later, "ahead"],
      ] as const) {
        const a = await enter(one, turn("a", { threadId }));
        await withClock([time, time, time], async (index) => {
          if (index === 0) await expectJoins(other, turn("a", { threadId }), a.attempt);
          if (index === 1) expectEqual(await other.stop(keyOfTurn(turn("b", { threadId }))), "recorded", "What a stop resolved to");
          if (index === 2)
            expectEqual((await one.check(a)).isFollowed, true, "Whether it is followed, on the instance whose clock is wrong");
        });
        await withRightClock(async () =>
          expectEqual((await one.check(a)).isFollowed, true, "Whether it is followed, where the clock is right"),
        );
        const b = await enterAs(one, turn("b", { threadId }));
        expectEqual(b.status.isStopRequested, true, "Whether a turn enters with a stop that an instance with a wrong clock recorded");
        await withClock([time], () => one.end(a, 0, "end"));
        await withRightClock(() => expectLog(other, a, { text: "end", state: "ended" }, "after an end whose instance has a wrong clock"));
        await withClock([time], () => expectLog(other, a, { text: "end", state: "ended" }, "on an instance whose clock is wrong"));
      }
    },
  },
];
