/** The subjects by name. Each is loaded only in the process that measures it. */
import type { Handler, Upstream } from "../workload.ts";

export const createSubject = {
  "pass-through": async (upstream: Upstream): Promise<Handler> => (await import("./pass-through.ts")).createPassThrough(upstream),
  floor: async (upstream: Upstream): Promise<Handler> => (await import("./floor.ts")).createFloor(upstream),
  ours: async (upstream: Upstream): Promise<Handler> => (await import("./ours.ts")).createOurs(upstream),
  "ours-0": async (upstream: Upstream): Promise<Handler> => (await import("./ours.ts")).createOurs(upstream, 0),
  guide: async (upstream: Upstream): Promise<Handler> => (await import("./guide.ts")).createGuide(upstream),
  "ai-sdk": async (upstream: Upstream): Promise<Handler> => (await import("./ai-sdk.ts")).createAiSdk(upstream),
};

export type SubjectName = keyof typeof createSubject;

/** The names in tables and plots. */
export const titles: Record<SubjectName, string> = {
  "pass-through": "pass-through",
  floor: "hand-written floor",
  ours: "chat-handler",
  "ours-0": "chat-handler, flushInterval 0",
  guide: "the guide's route",
  "ai-sdk": "AI SDK streamText",
};

/** The subject that a worker was started with. Throws if it does not exist. */
export function subjectName(name: string | undefined): SubjectName {
  if (name === undefined || !(name in createSubject)) throw new Error(`There is no subject "${name}".`);
  return name as SubjectName;
}
