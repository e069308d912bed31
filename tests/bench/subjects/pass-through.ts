/** The minimum of a proxy: forwards the model's bytes without reading them. */
import { type Handler, model, type Upstream } from "../workload.ts";
import { callModel, readPrompt } from "./hand-written.ts";

export function createPassThrough(upstream: Upstream): Handler {
  return async (request) => {
    const { body } = await callModel(upstream, model, await readPrompt(request));
    return new Response(body, { headers: { "Content-Type": "text/event-stream" } });
  };
}
