/** A replay has the events of the turn that made the answer. */
import { expect, it } from "vitest";
import type { StoredMessage } from "chat-handler";
import { createTools } from "../../src/tools.ts";
import { type ChatHandlerOptions, createMemoryStore, type ModelClient } from "../../src/index.ts";
import { openLog } from "../../src/lib/chat/open-log.ts";
import { resolveChatOptions } from "../../src/lib/chat/options.ts";
import type { TurnEvent } from "../../src/lib/core/events.ts";
import { toTurnEvents } from "../../src/lib/history/turn-events.ts";
import { startModelServer } from "../support/model-server.ts";
import {
  callTools,
  chunk,
  doneEvent,
  toEvent,
  finishEvent,
  answerWith,
  sendPieces,
  textEvent,
  toolCall,
} from "../support/model-scripts.ts";

/** Runs a turn and returns all its events. */
async function play(options: ChatHandlerOptions): Promise<TurnEvent[]> {
  const prompt = { id: "p1", role: "user", content: "Hi" } as const;
  const context = { request: new Request("http://chat.test"), owner: "", threadId: "t", responseId: "r1", prompt };
  const { log } = await openLog(context, resolveChatOptions(options));
  // Without a reader the turn waits.
  log.subscribe({ position: 0, notify() {} });
  await log.ended;
  return log.readFrom(0).events;
}

const usage = { prompt_tokens: 1, completion_tokens: 2, total_tokens: 3 };
const tools = createTools([{ name: "look_up", run: (args) => ({ found: args }) }]);

it("an answer with tools has the same events when it is made and when it is replayed", async () => {
  const model = await startModelServer(answerWith("unused"));
  const store = createMemoryStore();
  const client: ModelClient = model.client();
  try {
    const first = [
      textEvent("I look "),
      textEvent("it up."),
      toEvent(chunk({ tool_calls: [toolCall("c1", "look_up", '{"word":')] })),
      toEvent(chunk({ tool_calls: [{ index: 0, function: { arguments: '"tea"}' } }, toolCall("c2", "look_up", "", 1)] })),
      finishEvent("tool_calls"),
      toEvent({ choices: [], usage }),
      doneEvent,
    ];
    model.next(sendPieces(...first), callTools({ id: "c3", name: "look_up", args: {} }), answerWith("Tea is ", "a leaf."));
    const live = await play({ store, client, model: "m", tools });
    expect(live).toEqual([
      { type: "step-start" },
      { type: "text", text: "I look it up." },
      { type: "step-end", finishReason: "tool_calls", usage },
      { type: "tool-call", id: "c1", name: "look_up" },
      { type: "tool-arguments", id: "c1", text: '{"word":"tea"}' },
      { type: "tool-input", id: "c1", input: { word: "tea" } },
      { type: "tool-call", id: "c2", name: "look_up" },
      { type: "tool-arguments", id: "c2", text: "{}" },
      { type: "tool-input", id: "c2", input: {} },
      { type: "tool-result", id: "c1", content: '{"found":{"word":"tea"}}' },
      { type: "tool-result", id: "c2", content: '{"found":{}}' },
      { type: "step-start" },
      { type: "step-end", finishReason: "tool_calls", usage: undefined },
      { type: "tool-call", id: "c3", name: "look_up" },
      { type: "tool-arguments", id: "c3", text: "{}" },
      { type: "tool-input", id: "c3", input: {} },
      { type: "tool-result", id: "c3", content: '{"found":{}}' },
      { type: "step-start" },
      { type: "text", text: "Tea is a leaf." },
      { type: "step-end", finishReason: "stop", usage: undefined },
      { type: "end", status: "complete", error: undefined },
    ]);
    const replayed = await play({ store, client, model: "m", tools });
    const [{ attempt }] = (await store.listMessages({ owner: "", threadId: "t" })).slice(-1) as [StoredMessage];
    expect(attempt).toBeTypeOf("string");
    // Whose answer it is: the turn that replays it has another attempt.
    expect(replayed).toEqual(live.map((event) => (event.type === "step-start" ? { ...event, attempt } : event)));
    expect(model.calls).toHaveLength(3);
  } finally {
    await model.close();
  }
});

it("messages of somebody else become events without harm", () => {
  const stored = (message: unknown): StoredMessage =>
    ({ id: "m", promptId: "p", message, status: "complete", createdAt: 0 }) as StoredMessage;
  const custom = { id: "c0", type: "custom", custom: { name: "other", input: "x" } };
  const broken = { id: "c1", type: "function", function: { name: "look_up", arguments: '{"word"' } };
  const events = toTurnEvents([
    stored({ role: "system", content: "Be brief." }),
    stored({
      role: "assistant",
      content: [{ type: "text", text: "a" }, { type: "refusal", refusal: "b" }, null],
      tool_calls: [custom, broken],
    }),
    stored({ role: "tool", tool_call_id: "c1", content: null }),
    stored({ role: "assistant", content: 7, tool_calls: null }),
  ]);
  expect(events).toEqual([
    { type: "step-start" },
    { type: "text", text: "ab" },
    { type: "step-end" },
    { type: "tool-call", id: "c1", name: "look_up" },
    { type: "tool-arguments", id: "c1", text: '{"word"' },
    { type: "tool-input", id: "c1", input: {} },
    { type: "tool-result", id: "c1", content: "" },
    { type: "step-start" },
    { type: "step-end" },
  ]);
});
