/** What differs between runtimes. */

/**
 * Whether one request cannot abort, clear or read what another request began: Cloudflare Workers. A promise that another request resolves
 * continues in the request that waits for it.
 */
export const isolatesRequests: boolean =
  (globalThis as { navigator?: { userAgent?: string } }).navigator?.userAgent === "Cloudflare-Workers";
