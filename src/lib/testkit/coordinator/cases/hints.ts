/** Hints: what comes is true, and some of them come. */
import type { Coordinator, CoordinatorHint, LogSlice, Ticket } from "../../../core/coordinator.ts";
import { expectEqual, expectThat, show } from "../../expect.ts";
import type { CoordinatorCase } from "../case.ts";
import { enter, expectJoins, keyOfTurn, queue, reader, threadOf, turn } from "../samples.ts";

/** Waits until the condition holds. Returns whether it does. */
async function waitFor(condition: () => boolean, ms: number): Promise<boolean> {
  for (const end = performance.now() + ms; !condition() && performance.now() < end;) await new Promise((resolve) => setTimeout(resolve, 5));
  return condition();
}

/** How long a hint may take to come, in milliseconds, the longer the more were lost. */
const patience = [250, 1_000, 8_000];

type LogHint = Extract<CoordinatorHint, { type: "log" }>;

/** What changes how the first ticket of a thread stands, or that of the one behind it, and must hint at it. */
const changes: Record<string, (one: Coordinator, ticket: Ticket) => Promise<unknown>> = {
  "a turn interrupted those ahead": (one, { threadId }) => enter(one, turn("b", { threadId }), { ...queue, concurrency: "interrupt" }),
  "a turn was stopped": (one, ticket) => one.stop(keyOfTurn(ticket)),
  "a turn was joined": (one, ticket) => expectJoins(one, turn("a", { threadId: ticket.threadId }), ticket.attempt, reader("joins")),
  "a turn ended before another": (one, ticket) => one.end(ticket, 0, ""),
};

export const hintCases: CoordinatorCase[] = [
  {
    name: "a hint of a log says what a read finds",
    invariant: "hints",
    waits: true,
    needs: "hints",
    async body({ one, other }) {
      let count = 0;
      let hasEnded = false;
      for (const ms of patience) {
        if (hasEnded) break;
        const a = await enter(one, turn("a"));
        const hints: { hint: LogHint; read: Promise<LogSlice | undefined> }[] = [];
        const end = other.subscribe!(threadOf(a), "log", (hint) => {
          if (hint.type !== "log") return;
          const read = other.read(keyOfTurn(a), hint.attempt, hint.position, reader());
          read.catch(() => {}); // it is awaited later
          hints.push({ hint, read });
        });
        let text = "";
        // Who listens also reads. Nobody needs hints of a log that nobody follows.
        await other.read(keyOfTurn(a), a.attempt, 0, reader());
        const append = async (piece: string) => {
          await one.append(a, text.length, piece);
          text += piece;
        };
        for (let piece = 0; piece < ms / 50 && hints.length === 0; piece++) {
          await append(`piece ${piece}, `);
          await waitFor(() => hints.length > 0, 50);
        }
        await append("\u0001 \\ \n'\"");
        await append("x".repeat(200_000));
        await one.end(a, text.length, " end");
        text += " end";
        hasEnded = await waitFor(() => hints.some(({ hint }) => hint.isEnded), ms);
        end();
        count += hints.length;
        for (const { hint, read } of hints) {
          const { attempt, position, data, isEnded } = hint;
          expectEqual(attempt, a.attempt, "The attempt of a hint");
          expectEqual(data, text.slice(position, position + data.length), `What a hint says of the log from ${position} on`);
          expectThat(
            !isEnded || position + data.length === text.length,
            `A hint of the end stops at ${position + data.length} of ${text.length}`,
          );
          const slice = await read;
          const isFound = slice && slice.length >= position + data.length && (!isEnded || slice.state === "ended");
          expectThat(isFound === true, `After a hint of ${data.length} characters at ${position} a read finds ${show(slice)}`);
        }
      }
      expectThat(count > 0, "No hint of a log came");
      expectThat(hasEnded, `No hint of an end came for ${patience.length} turns`);
    },
  },
  {
    name: "changes of a thread are hinted at",
    invariant: "hints",
    waits: true,
    needs: "hints",
    async body({ one, other }) {
      for (const [what, change] of Object.entries(changes)) {
        let hasCome = false;
        for (const ms of patience) {
          if (hasCome) break;
          const a = await enter(one, turn("a", { threadId: `${what} ${ms}` }));
          let hints = 0;
          const types = new Set<string>();
          const end = other.subscribe!(threadOf(a), "thread", ({ type }) => {
            types.add(type);
            hints++;
          });
          // The subscription may take a while.
          for (let others = 0; others < ms / 50 && hints === 0; others++) {
            await one.stop(keyOfTurn(await enter(one, turn(`other ${others}`, { threadId: a.threadId }))));
            await waitFor(() => hints > 0, 50);
          }
          await waitFor(() => false, 30);
          hints = 0;
          await change(one, a);
          hasCome = await waitFor(() => hints > 0, ms);
          end();
          expectEqual(
            [...types].filter((type) => type !== "thread"),
            [],
            "The types of other hints than those of the thread",
          );
        }
        expectThat(hasCome, `No hint came in ${patience.length} threads after ${what}`);
      }
    },
  },
  {
    name: "hints reach the listeners of that thread and type alone, until they end",
    invariant: "hints",
    waits: true,
    needs: "hints",
    async body({ one, other }) {
      const a = await enter(one, turn("a"));
      const heard = new Map<string, CoordinatorHint[]>();
      const listen = (name: string, coordinator: Coordinator, changes: object, type: CoordinatorHint["type"]) => {
        const hints: CoordinatorHint[] = [];
        heard.set(name, hints);
        return coordinator.subscribe!({ ...threadOf(a), ...changes }, type, (hint) => hints.push(hint));
      };
      const ends = [
        listen("another thread", other, { threadId: "another" }, "log"),
        listen("another thread, of its queue", other, { threadId: "another" }, "thread"),
        listen("another owner", other, { owner: "somebody" }, "log"),
        listen("the thread's queue", other, {}, "thread"),
        listen("the instance itself", one, {}, "log"),
        listen("the first of two", other, {}, "log"),
      ];
      const endSecond = listen("the second of two", other, {}, "log");
      const of = (name: string) => heard.get(name)!.length;
      let length = 0;
      await other.read(keyOfTurn(a), a.attempt, 0, reader());
      const append = async () => void (length = (await one.append(a, length, "text")).logLength);
      const missing = () => ["the first of two", "the second of two", "the instance itself"].filter((name) => of(name) === 0);
      const areAllHeard = () => missing().length === 0;
      for (let round = 0; round < 200 && !areAllHeard(); round++) {
        await append();
        await waitFor(areAllHeard, 50);
      }
      expectEqual(missing(), [], "The listeners that have received no hint of the log of their thread");
      endSecond();
      endSecond();
      const before = { second: of("the second of two"), first: of("the first of two") };
      for (let round = 0; round < 200 && of("the first of two") === before.first; round++) {
        await append();
        await waitFor(() => of("the first of two") > before.first, 50);
      }
      expectThat(of("the first of two") > before.first, "A listener receives no hints after another has ended");
      expectEqual(of("the second of two"), before.second, "How many hints a listener has received after its end");
      for (const name of ["another thread", "another thread, of its queue", "another owner"])
        expectEqual(heard.get(name), [], `The hints for ${name}`);
      const foreign = heard.get("the thread's queue")!.filter(({ type }) => type !== "thread");
      expectEqual(foreign, [], "The hints of logs among those of the queue");
      for (const end of ends) end();
    },
  },
];
