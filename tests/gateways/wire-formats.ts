/** Answers in the wire formats of Anthropic and Gemini, written from their public references. */

interface AnthropicEvent {
  type: string;
  [field: string]: unknown;
}

const toAnthropicEvent = (event: AnthropicEvent) => `event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`;

/** An answer of Anthropic's Messages API with these content blocks. */
function anthropicAnswer(blocks: AnthropicEvent[][], stopReason: string): string[] {
  const usage = { input_tokens: 10, output_tokens: 1 };
  const message = { id: "msg_1", type: "message", role: "assistant", model: "m", content: [], stop_reason: null, usage };
  return [
    toAnthropicEvent({ type: "message_start", message }),
    toAnthropicEvent({ type: "ping" }),
    ...blocks.flat().map(toAnthropicEvent),
    toAnthropicEvent({ type: "message_delta", delta: { stop_reason: stopReason }, usage: { output_tokens: 9 } }),
    toAnthropicEvent({ type: "message_stop" }),
  ];
}

function anthropicBlock(index: number, content_block: object, deltas: object[]): AnthropicEvent[] {
  return [
    { type: "content_block_start", index, content_block },
    ...deltas.map((delta) => ({ type: "content_block_delta", index, delta })),
    { type: "content_block_stop", index },
  ];
}

const anthropicText = (index: number, ...texts: string[]) =>
  anthropicBlock(
    index,
    { type: "text", text: "" },
    texts.map((text) => ({ type: "text_delta", text })),
  );

const anthropicCall = (index: number, id: string, ...pieces: string[]) =>
  anthropicBlock(
    index,
    { type: "tool_use", id, name: "get_weather", input: {} },
    pieces.map((partial_json) => ({ type: "input_json_delta", partial_json })),
  );

/** Anthropic's answers: a text, and two calls of `get_weather` behind a text. */
export const anthropic = {
  text: anthropicAnswer([anthropicText(0, "Sunny ", "in both.")], "end_turn"),
  calls: anthropicAnswer(
    [
      anthropicText(0, "Let me look. "),
      anthropicCall(1, "toolu_1", "", '{"city":', '"Oslo"}'),
      anthropicCall(2, "toolu_2", '{"city":"Rome"}'),
    ],
    "tool_use",
  ),
  overloaded: [
    ...anthropicAnswer([anthropicText(0, "Sunny ")], "end_turn").slice(0, 4),
    toAnthropicEvent({ type: "error", error: { type: "overloaded_error", message: "Overloaded, sk-secret" } }),
  ],
};

function geminiAnswer(...parts: object[]): string[] {
  return parts.map((part, index) => {
    const isLast = index === parts.length - 1;
    const candidate = { content: { role: "model", parts: [part] }, index: 0, ...(isLast && { finishReason: "STOP" }) };
    const usageMetadata = { promptTokenCount: 10, candidatesTokenCount: 9, totalTokenCount: 19 };
    return `data: ${JSON.stringify({ candidates: [candidate], ...(isLast && { usageMetadata }) })}\r\n\r\n`;
  });
}

const geminiCall = (city: string) => ({ functionCall: { name: "get_weather", args: { city } } });

/** Gemini's answers: the same ones. */
export const gemini = {
  text: geminiAnswer({ text: "Sunny " }, { text: "in both." }),
  calls: geminiAnswer({ text: "Let me look. " }, geminiCall("Oslo"), geminiCall("Rome")),
};
