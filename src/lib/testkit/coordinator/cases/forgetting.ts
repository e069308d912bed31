/** A database that has forgotten everything: it was flushed, or a replica without its last writes took over. */
import { expectEqual, expectThat } from "../../expect.ts";
import type { CoordinatorCase } from "../case.ts";
import { enter, enterAs, expectLog, expectStates, turn } from "../samples.ts";

export const forgettingCases: CoordinatorCase[] = [
  {
    name: "tickets are accepted again in their order, ahead of new ones",
    invariant: "forgotten",
    needs: "forget",
    async body({ one, other, forget }) {
      const [a, b] = [await enter(one, turn("a")), await enter(other, turn("b"))];
      await one.append(a, 0, "some text");
      await forget();
      const { state, logLength } = await one.renew(a);
      expectEqual([state, logLength], ["granted", 0], "The state and the log's length after the renewal of the first");
      expectEqual((await other.renew(b)).state, "waiting", "The state after the renewal of the second");
      const c = await enterAs(one, turn("c"));
      expectEqual([c.ahead, c.status.state], [2, "waiting"], "Turns ahead of one that enters then, and its state");
      await one.append(a, 0, "some text");
      expectEqual(await one.end(a, 9, " and more"), true, "What the end of the first resolved to");
      await expectLog(other, a, { text: "some text and more", state: "ended" }, "after it was written again");
      await expectStates(
        other,
        [
          [a, "lost"],
          [b, "granted"],
          [c.ticket, "waiting"],
        ],
        "after the end of the first",
      );
    },
  },
  {
    name: "a ticket keeps its place when those behind it come back first",
    invariant: "forgotten",
    needs: "forget",
    async body({ one, other, forget }) {
      const tickets = [await enter(one, turn("a")), await enter(other, turn("b")), await enter(one, turn("c"))];
      const [a, b, c] = tickets as [(typeof tickets)[0], (typeof tickets)[0], (typeof tickets)[0]];
      await forget();
      expectThat((await one.renew(c)).state !== "lost", "The last ticket is lost after the database has forgotten it");
      expectThat((await other.renew(b)).state !== "lost", "The second ticket is lost after the database has forgotten it");
      expectThat((await one.renew(a)).state !== "lost", "The first ticket is lost after the database has forgotten it");
      for (const [index, ticket] of tickets.entries()) {
        const states = tickets.slice(index).map((other, behind) => [other, behind === 0 ? "granted" : "waiting"] as const);
        await expectStates(other, states, `after ${index} have ended`);
        await one.end(ticket, 0, "");
      }
    },
  },
  {
    name: "a forgotten ticket keeps its place ahead of a turn that entered meanwhile",
    invariant: "forgotten",
    needs: "forget",
    async body({ one, other, forget }) {
      const a = await enter(one, turn("a"));
      await forget();
      const b = await enter(other, turn("b"));
      expectEqual((await one.renew(a)).state, "granted", "The state after the renewal of the forgotten ticket");
      expectEqual((await other.renew(b)).state, "waiting", "The state of the turn that entered meanwhile");
      await one.end(a, 0, "");
      await expectStates(
        one,
        [
          [b, "granted"],
          [a, "lost"],
        ],
        "after its end",
      );
    },
  },
  {
    name: "looking at a forgotten ticket does not lose it",
    invariant: "forgotten",
    needs: "forget",
    async body({ one, other, forget }) {
      const [a, b] = [await enter(one, turn("a")), await enter(one, turn("b"))];
      await forget();
      for (const ticket of [a, b])
        expectThat((await other.check(ticket)).state !== "lost", "A forgotten ticket is lost when it is checked");
      await one.renew(a);
      await one.renew(b);
      await expectStates(
        other,
        [
          [a, "granted"],
          [b, "waiting"],
        ],
        "after their renewal",
      );
    },
  },
  {
    name: "a stop that meets a forgotten turn reaches it",
    invariant: "forgotten",
    needs: "forget",
    async body({ one, other, forget }) {
      const a = await enter(one, turn("a"));
      await forget();
      await other.stop(turn("a"));
      expectEqual((await one.renew(a)).isStopRequested, true, "Whether the forgotten turn is asked to stop");
    },
  },
];
