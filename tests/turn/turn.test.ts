/** A turn that is aborted. */
import { expect, it, vi } from "vitest";
import { ChatHandlerError, createMemoryStore } from "../../src/index.ts";
import { resolveChatOptions } from "../../src/lib/chat/options.ts";
import { Turn } from "../../src/lib/turn/turn.ts";

function create() {
  const client = { chat: { completions: { create: vi.fn<() => never>() } } };
  const settings = resolveChatOptions({ store: createMemoryStore(), client, model: "m" });
  const prompt = { id: "p1", role: "user", content: "Hi" } as const;
  const request = new Request("http://chat.test");
  return new Turn({ request, owner: "", threadId: "t", responseId: "r1", prompt }, settings);
}

const timedOut = new ChatHandlerError("turn_timeout", "Late.");
const stopped = new ChatHandlerError("client_gone", "Gone.");

it("keeps the first reason, and aborts what its state holds", () => {
  const turn = create();
  const controller = new AbortController();
  turn.state = { name: "preparing", controller };
  turn.abort(timedOut);
  turn.abort(stopped);
  expect(turn.abortReason).toBe(timedOut);
  expect(controller.signal.reason).toBe(timedOut);
});

it("joins nobody any more when its last reader leaves", () => {
  const refuseJoins = vi.fn<() => void>();
  const turn = create();
  turn.ticket = {
    ahead: 0,
    waitForLease: () => new Promise(() => {}),
    refuseJoins,
    refuseJoinsUnlessFollowed: () => true,
    mayWrite: () => true,
    leave() {},
  };
  const reader = { position: 0, notify() {} };
  for (let times = 0; times < 2; times++) {
    turn.log.subscribe(reader);
    turn.log.unsubscribe(reader);
  }
  expect(refuseJoins).toHaveBeenCalled();
  expect(turn.abortReason?.code).toBe("client_gone");
});
