/** Finds the route that a request asks for. */

/** A route with its method. */
export interface ThreadRoute {
  name: "list" | "load" | "create" | "rename" | "remove" | "form";
  method: "GET" | "POST" | "PATCH" | "DELETE";
  /** The thread ids that the address may mean, the most likely first. Empty if it names no thread. */
  threadIds: string[];
}

/** The routes, by the first segment of their path. */
export const routes = {
  get: { name: "load", method: "GET" },
  create: { name: "create", method: "POST" },
  update: { name: "rename", method: "PATCH" },
  delete: { name: "remove", method: "DELETE" },
  message: { name: "form", method: "PATCH" },
} as const;

/** The first segment that names a route. What follows it is an id, which may itself look like a route. */
const routePattern = /\/(?:(create|message)\/?|(get|update|delete)(?:\/(.*))?)$/;

/** Returns the route of an address, or `undefined`. */
export function findThreadRoute(address: string, basePath: string | undefined): ThreadRoute | undefined {
  const { pathname, searchParams } = new URL(address);
  if (basePath !== undefined && !pathname.startsWith(`${basePath}/`)) return undefined;
  const match = routePattern.exec(pathname.slice(basePath?.length));
  if (!match || (basePath !== undefined && match.index > 0)) return undefined;
  const [, withoutId, withId, pathId] = match;
  const { name, method } = routes[(withoutId ?? withId) as keyof typeof routes];
  const threadIds = withoutId ? [] : readThreadIds(pathId || undefined, searchParams.get("threadId") ?? undefined);
  return name === "load" && threadIds.length === 0 ? { name: "list", method, threadIds } : { name, method, threadIds };
}

/**
 * An id in the query is exact. An id in the path may be percent-encoded, or not, as OpenUI's client sends it. Nothing tells which, so the
 * text as it stands comes first.
 */
function readThreadIds(pathId: string | undefined, queryId: string | undefined): string[] {
  if (pathId !== undefined) return [...new Set([pathId, decodePath(pathId)])];
  return queryId === undefined ? [] : [queryId];
}

/** Decodes what is valid percent-encoding, and leaves the rest: `100%` is an id, too. */
function decodePath(path: string): string {
  return path.replace(/(?:%[\da-f]{2})+/gi, (bytes) => {
    try {
      const text = decodeURIComponent(bytes);
      return /\p{Cc}/u.test(text) ? bytes : text;
    } catch {
      return bytes;
    }
  });
}
