/** Routes for threads: list, load, rename, delete, and form state. */
export { allowAnyone, createThreadHandler } from "./lib/thread-handler.ts";
export type { ThreadHandler } from "./lib/thread-handler.ts";
export type { ThreadHandlerOptions, ThreadLimits, ThreadRequestContext, ThreadTimeouts } from "./lib/thread-options.ts";
