/**
 * Finish reasons: the model's own word on why it ended. Only a word known to mean "done" makes an answer whole. With any other word a
 * partial answer could pass for a whole one.
 *
 * Words are compared in lower case and without `_`, `-` and spaces, so one entry covers `STOP_SEQUENCE`, `stop-sequence` and `stopSequence`.
 */
import type { FinishReason } from "./delta.ts";

/** Words for a whole answer, and who sends them. */
const wholeWords: ReadonlySet<string> = new Set([
  "stop", // OpenAI and nearly everyone
  "toolcalls", // OpenAI and nearly everyone
  "functioncall", // OpenAI before tools, Qianfan, gateways (QwenLM/qwen-code#6240)
  "toolcall", // Cohere
  "tooluse", // Anthropic, Bedrock
  "tools",
  "tool",
  "functioncalls",
  "function",
  "endturn", // Anthropic, Bedrock (YumchaLabs/siumai#14)
  "stopsequence", // Anthropic, Text Generation Inference, Cohere
  "eos", // Together
  "eostoken", // Text Generation Inference, watsonx
  "eosfound", // LM Studio
  "stopstringfound", // LM Studio
  "stopstring",
  "stoptoken",
  "stopword",
  "end",
  "endofturn",
  "endoftext",
  "endofsequence",
  "endofstream",
  "complete", // Cohere
  "completed",
  "completion",
  "done", // Ollama's own API, behind gateways
  "finish",
  "finished",
  "finishreasonstop", // Vertex AI, behind gateways
  "success",
  "succeeded",
  "normal", // Baidu Qianfan
]);

/** Words for an answer that is not whole, so that the client may learn them. */
const brokenWords: ReadonlySet<string> = new Set([
  "length", // OpenAI
  "contentfilter", // OpenAI, Azure
  "maxtokens", // Anthropic, Gemini
  "modellength", // Mistral
  "modelcontextwindowexceeded", // Anthropic
  "refusal", // Anthropic
  "pauseturn", // Anthropic
  "insufficientsystemresource", // DeepSeek
  "safety", // Gemini
  "recitation", // Gemini
  "malformedfunctioncall", // Gemini
  "abort", // vLLM, SGLang
  "cancelled",
  "error", // OpenRouter
  "sensitive", // Zhipu
  "timelimit",
]);

/** A word that can be stored although nobody knows it: short, and without the characters of addresses and sentences. */
const shortWord = /^[\w .-]{1,40}$/;

/** Reads a finish reason. `undefined` if there is none yet. */
export function readFinishReason(value: unknown): FinishReason | undefined {
  if (value === undefined || value === null || value === "") return undefined;
  // SGLang's own form: { "type": "stop", "matched": 2 }.
  const { type } = Object(value) as { type?: unknown };
  const word = typeof value === "string" ? value : type;
  if (typeof word !== "string" || !shortWord.test(word)) return { word: "unknown", isWhole: false, unknownWord: quote(value) };
  const key = word.toLowerCase().replace(/[-_ ]/g, "");
  if (wholeWords.has(key)) return { word, isWhole: true };
  return brokenWords.has(key) ? { word, isWhole: false } : { word, isWhole: false, unknownWord: quote(value) };
}

function quote(value: unknown): string {
  return JSON.stringify(value).slice(0, 200);
}
