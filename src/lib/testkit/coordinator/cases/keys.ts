/** Odd ids: owners, threads, responses and prompts that look alike, or that mean something to some database. */
import type { Coordinator, Ticket } from "../../../core/coordinator.ts";
import type { ThreadKey } from "../../../core/store.ts";
import { expectEqual, show } from "../../expect.ts";
import { hardIds, key, longIds, oddIds } from "../../samples.ts";
import { atOnce } from "../../gate.ts";
import type { CoordinatorCase } from "../case.ts";
import { enter, expectLog, expectStates, keyOfTurn, queue, reader, threadOf, turn } from "../samples.ts";

/** Keys whose parts give the same text when joined by some separator. */
const joined: ThreadKey[] = [":", "/", "|", ",", "-", "_", ".", "#", " ", "::", '","', "\\", "%", "{", "}", "\u001f"].flatMap(
  (separator) => [key(`b${separator}c`, "a"), key("c", `a${separator}b`), key(`a${separator}b${separator}c`)],
);

/** Ids that a database may be unable to hold, and those that it may take for them. */
const refusable = ["\ufffd", "\ufffd\ufffd", "a", "a\ufffd", ...hardIds];

/** Does something for each item, ten at a time: one by one takes long over a slow network. */
async function forEach<Item>(items: readonly Item[], work: (item: Item, index: number) => Promise<unknown>): Promise<void> {
  for (let from = 0; from < items.length; from += 10)
    await atOnce(items.slice(from, from + 10).map((item, index) => () => work(item, from + index)));
}

const isEven = (index: number): boolean => index % 2 === 0;

/** Runs a turn in every thread, and stops and ends every second: each thread must have its own. */
async function keepsThreadsApart(
  { one, other }: { one: Coordinator; other: Coordinator },
  keys: readonly ThreadKey[],
  mayRefuse = false,
): Promise<void> {
  const tickets: Ticket[] = [];
  for (const [index, thread] of keys.entries()) {
    const entering = one.enter(turn("a", { ...thread, promptId: `prompt ${index}` }), queue, reader());
    const entrance = await (mayRefuse ? entering.catch(() => undefined) : entering);
    if (!entrance) continue;
    expectEqual(
      entrance.kind === "entered" ? entrance.status.state : entrance.kind,
      "granted",
      `What the first entry to ${show(thread)} resolved to`,
    );
    if (entrance.kind === "entered") tickets.push(entrance.ticket);
  }
  await forEach(tickets, (ticket, index) => one.append(ticket, 0, `log ${index}`));
  await forEach(tickets, async (ticket, index) => {
    if (!isEven(index)) return;
    expectEqual(await other.stop(keyOfTurn(ticket)), "requested", `What the stop of the turn in ${show(threadOf(ticket))} resolved to`);
  });
  await forEach(tickets, async (ticket, index) => {
    const thread = threadOf(ticket);
    const status = await other.check(ticket);
    expectEqual(
      [status.state, status.isStopRequested],
      ["granted", isEven(index)],
      `The state and the stop of the turn in ${show(thread)}`,
    );
    await expectLog(other, ticket, { text: `log ${index}`, state: "running" }, `in ${show(thread)}`);
    if (isEven(index)) await other.end(ticket, `log ${index}`.length, "");
  });
  await forEach(tickets, async (ticket, index) => {
    const thread = threadOf(ticket);
    expectEqual(await one.find(thread), isEven(index) ? undefined : "a", `What is found in ${show(thread)}`);
    await expectLog(one, ticket, { text: `log ${index}`, state: isEven(index) ? "ended" : "running" }, `in ${show(thread)}, at the end`);
  });
}

/** Enters a turn for every response id in one thread, and ends one after the other. */
async function keepsResponsesApart(
  { one, other }: { one: Coordinator; other: Coordinator },
  ids: readonly string[],
  mayRefuse = false,
): Promise<void> {
  const tickets: Ticket[] = [];
  for (const id of ids) {
    const entering = one.enter(turn(id, { promptId: "prompt" }), queue, reader());
    const entrance = await (mayRefuse ? entering.catch(() => undefined) : entering);
    if (!entrance) continue;
    expectEqual(
      [entrance.kind, entrance.kind === "entered" ? entrance.ahead : undefined],
      ["entered", tickets.length],
      `What the entry of ${show(id)} resolved to, and the turns ahead`,
    );
    if (entrance.kind === "entered") tickets.push(entrance.ticket);
  }
  await forEach(tickets, async (ticket, index) => isEven(index) && (await other.stop(keyOfTurn(ticket))));
  for (const [index, ticket] of tickets.entries()) {
    const id = show(ticket.responseId);
    expectEqual(await other.find(threadOf(ticket)), ticket.responseId, "What is found");
    expectEqual((await one.check(ticket)).isStopRequested, isEven(index), `Whether ${id} is asked to stop`);
    await one.end(ticket, 0, `log ${index}`);
  }
  await forEach(tickets, async (ticket, index) => {
    const slice = await other.read(keyOfTurn(ticket), undefined, 0, reader());
    expectEqual([slice?.attempt, slice?.data], [ticket.attempt, `log ${index}`], `The latest log of ${show(ticket.responseId)}`);
  });
}

export const coordinatorKeyCases: CoordinatorCase[] = [
  {
    name: "odd thread ids are kept apart",
    invariant: "keys",
    body: (setup) =>
      keepsThreadsApart(
        setup,
        [...oddIds, ...longIds.slice(1, -1)].map((id) => key(id)),
      ),
  },
  {
    name: "odd owners are kept apart",
    invariant: "keys",
    body: (setup) =>
      keepsThreadsApart(
        setup,
        ["", ...oddIds, ...longIds.slice(1, -1)].map((owner) => key("thread", owner)),
      ),
  },
  {
    name: "owners and thread ids that give the same text when joined are kept apart",
    invariant: "keys",
    body: (setup) => keepsThreadsApart(setup, joined),
  },
  {
    name: "owners and threads that a database may be unable to hold are kept apart or refused",
    invariant: "keys",
    body: (setup) =>
      keepsThreadsApart(
        setup,
        refusable.flatMap((id) => [key(id), key("thread", id)]),
        true,
      ),
  },
  {
    name: "odd response ids are different turns",
    invariant: "keys",
    body: (setup) => keepsResponsesApart(setup, oddIds),
  },
  {
    name: "long response ids that differ late are different turns",
    invariant: "keys",
    body: (setup) => keepsResponsesApart(setup, longIds),
  },
  {
    name: "response ids that a database may be unable to hold are different turns or refused",
    invariant: "keys",
    body: (setup) => keepsResponsesApart(setup, refusable, true),
  },
  {
    name: "owners, threads and response ids of the greatest length fit together",
    invariant: "keys",
    async body({ one, other }) {
      const [owner, threadId, responseId, promptId] = longIds as [string, string, string, string];
      const promptDigest = "d".repeat(128);
      const request = turn(responseId, { owner, threadId, promptId, promptDigest });
      const ticket = await enter(one, request);
      await one.append(ticket, 0, "text");
      await expectStates(other, [[ticket, "granted"]], "with ids of 512 bytes");
      await expectLog(other, ticket, { text: "text", state: "running" }, "of a turn with ids of 512 bytes");
      expectEqual(await other.find(ticket), responseId, "What is found");
      const entrance = await other.enter(turn(responseId, { owner, threadId, promptId, promptDigest }), queue, reader());
      expectEqual(entrance, { kind: "joined", attempt: ticket.attempt }, "What a join resolved to");
    },
  },
  {
    name: "prompts with odd ids are told apart",
    invariant: "join",
    async body({ one, other }) {
      for (const ids of [oddIds, longIds]) {
        await forEach(ids, async (promptId, index) => {
          const changes = { threadId: `thread ${ids.length} ${index}`, promptId };
          const ticket = await enter(one, turn("a", changes));
          const equal = await other.enter(turn("a", changes), queue, reader());
          expectEqual(equal, { kind: "joined", attempt: ticket.attempt }, `What a join with the prompt ${show(promptId)} resolved to`);
          const next = ids[(index + 1) % ids.length]!;
          const different = await other.enter(turn("a", { ...changes, promptId: next }), queue, reader());
          expectEqual(
            different,
            { kind: "conflict" },
            `What an entry with the prompt ${show(next)} instead of ${show(promptId)} resolved to`,
          );
        });
      }
    },
  },
];
