/** The states of a turn. */
import type { ModelCall } from "../model/model-call.ts";
import type { Step } from "./step.ts";

/** The state of a turn. What can be aborted in a state is part of it. */
export type TurnState =
  | { name: "queued" }
  /** The app's functions run. */
  | { name: "preparing"; controller: AbortController }
  /** The model answers. There is no call yet while the client connects. */
  | { name: "generating"; step: Step; controller: AbortController; call: ModelCall | undefined }
  | { name: "runningTools"; step: Step; controller: AbortController }
  | { name: "committing"; step: Step }
  | { name: "ended" };
