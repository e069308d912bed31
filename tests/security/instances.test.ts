/** Hostile users of an app on many instances. */
import { describe, expect, it } from "vitest";
import { chatBody, readResponse } from "../support/chat.ts";
import { startInstances } from "../support/instances.ts";
import { answerAfter, createGate } from "../support/model-scripts.ts";
import { failOnUnhandledErrors } from "../support/unhandled-errors.ts";

failOnUnhandledErrors();

const authorize = ({ request }: { request: Request }) => ({ owner: request.headers.get("X-Owner") ?? "" });
const as = (owner: string): RequestInit => ({ headers: { "Content-Type": "application/json", "X-Owner": owner } });

describe("the cursor of somebody else's answer", () => {
  it("opens nothing, also while that answer is read on the same instance", async () => {
    const gate = createGate();
    const script = answerAfter([Promise.resolve(), "Ada's "], [gate.opened, "secret"]);
    const { instances } = await startInstances({ script, authorize });
    const own = await instances[0].post(chatBody("Hi"), as("ada"));
    const [attempt] = (own.headers.get("X-Chat-Handler-Offset") ?? "").split("_");
    const offset = `${attempt}_${"0".padStart(16, "0")}`;
    const followed = await instances[1].resume({ threadId: "t", responseId: "r1" }, as("ada"));
    const attempts = [
      instances[1].resume({ threadId: "t", responseId: "r1", offset }, as("eve")),
      instances[1].resume({ threadId: "other", responseId: "r1", offset }, as("ada")),
      instances[1].resume({ threadId: "t", responseId: "other", offset }, as("ada")),
    ];
    gate.open();
    for (const stolen of attempts) expect(await readResponse(stolen)).toEqual({ status: 204, text: "", failed: false });
    for (const whole of [own, followed]) expect((await readResponse(whole)).text).toBe("Ada's secret");
  });
});
