/** A turn that is aborted. */
import { expect, it, vi } from "vitest";
import { ChatHandlerError, createMemoryStore } from "../../src/index.ts";
import { resolveChatOptions } from "../../src/lib/chat/options.ts";
import { abortTurn, createTurn } from "../../src/lib/turn/turn.ts";

function create(onAbort = () => {}) {
  const client = { chat: { completions: { create: vi.fn<() => never>() } } };
  const settings = resolveChatOptions({ store: createMemoryStore(), client, model: "m" });
  const prompt = { id: "p1", role: "user", content: "Hi" } as const;
  const request = new Request("http://chat.test");
  return createTurn({ request, owner: "", threadId: "t", responseId: "r1", prompt }, settings, onAbort);
}

const timedOut = new ChatHandlerError("turn_timeout", "Late.");
const stopped = new ChatHandlerError("client_gone", "Gone.");

it("keeps the first reason, and aborts what its state holds", () => {
  const turn = create();
  const controller = new AbortController();
  turn.state = { name: "preparing", controller };
  abortTurn(turn, timedOut);
  abortTurn(turn, stopped);
  expect(turn.abortReason).toBe(timedOut);
  expect(controller.signal.reason).toBe(timedOut);
});

it("joins nobody any more when its last reader leaves", () => {
  const onAbort = vi.fn<() => void>();
  const turn = create(onAbort);
  const reader = { position: 0, notify() {} };
  for (let times = 0; times < 2; times++) {
    turn.log.subscribe(reader);
    turn.log.unsubscribe(reader);
  }
  expect(onAbort).toHaveBeenCalledTimes(1);
  expect(turn.abortReason?.code).toBe("client_gone");
});
