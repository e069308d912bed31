/** Answers that nobody reads: they cost memory, and only their owner. */
import { describe, expect, it } from "vitest";
import { createMemoryStore } from "../../src/index.ts";
import { chatBody, readResponse, startChat } from "../support/chat.ts";
import { usedHeap } from "../support/heap.ts";
import { answerWith } from "../support/model-scripts.ts";
import { failOnUnhandledErrors } from "../support/unhandled-errors.ts";

failOnUnhandledErrors();

const authorize = ({ request }: { request: Request }) => ({ owner: request.headers.get("X-Owner") ?? "" });
const as = (owner: string): RequestInit => ({ headers: { "Content-Type": "application/json", "X-Owner": owner } });

describe("limits.unreadCharacters", () => {
  it("bounds the memory of 200 different replays that nobody reads", async () => {
    const store = createMemoryStore({ maxCharacters: 200_000_000 });
    const chat = await startChat({ store });
    for (let n = 0; n < 200; n++) {
      const answer = { role: "assistant", content: `${n}${"ä".repeat(900_000)}` } as const;
      await store.appendMessages({ owner: "", threadId: `t${n}` }, [
        { id: "p1", promptId: "p1", message: { role: "user", content: "Hi" }, status: "complete", createdAt: 0 },
        { id: "r1", promptId: "p1", message: answer, status: "complete", createdAt: 0 },
      ]);
    }
    const before = usedHeap();
    const responses = [];
    for (let n = 0; n < 200; n++) responses.push(await chat.post(chatBody("Hi", 1, `t${n}`)));
    // Unbounded, they hold 180 MB.
    expect(usedHeap() - before).toBeLessThan(40_000_000);
    const ends = await Promise.all(responses.map((response) => readResponse(response)));
    const broken = ends.filter(({ failed }) => failed);
    expect(broken.length).toBeGreaterThan(170);
    expect(ends.at(-1)).toMatchObject({ failed: false });
    expect(ends.at(-1)?.text).toHaveLength(900_003);
    // Asking again is safe.
    expect((await readResponse(chat.post(chatBody("Hi", 1, "t0")))).text).toHaveLength(900_001);
    expect(chat.errors).toEqual([]);
  });

  it("breaks the answer that is unread for longest: not the one that is read on, nor the newest, nor another owner's", async () => {
    const chat = await startChat({ authorize, limits: { unreadCharacters: 450_000 }, script: answerWith("x".repeat(200_000)) });
    const ask = (owner: string, n: number) => chat.post(chatBody("Hi", n), as(owner));
    for (const n of [1, 2, 3]) await readResponse(ask("eve", n));
    await readResponse(ask("ada", 1));
    // From here on, all are replays.
    const other = await ask("ada", 1);
    const first = (await ask("eve", 1)).body!.getReader();
    const second = await ask("eve", 2);
    await first.read();
    const third = await ask("eve", 3);
    expect((await readResponse(second)).failed).toBe(true);
    let result = await first.read();
    while (!result.done) result = await first.read();
    for (const whole of [third, other]) expect(await readResponse(whole)).toMatchObject({ failed: false, text: "x".repeat(200_000) });
  });
});
