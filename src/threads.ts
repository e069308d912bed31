/** Routes for threads: list, load, rename, delete, and form state. */
export { allowAnyone } from "./lib/core/authorize.ts";
export type { AdmitContext, AdmitResult, Authorized } from "./lib/core/context.ts";
export type { PartialOptions } from "./lib/core/limits.ts";
export { createThreadHandler } from "./lib/threads/create-thread-handler.ts";
export type { ThreadHandler } from "./lib/threads/create-thread-handler.ts";
export type { ThreadHandlerOptions, ThreadLimits, ThreadRequestContext, ThreadTimeouts } from "./lib/threads/options.ts";
