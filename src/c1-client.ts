/** In the browser: the functions for C1Chat's thread managers. */
export { createC1Threads } from "./lib/c1-client/create-c1-threads.ts";
export type { C1Message, C1Thread, C1Threads, C1ThreadsOptions } from "./lib/c1-client/create-c1-threads.ts";
