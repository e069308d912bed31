/** Which of the thread routes a request asks for. */

/** A route with the method it takes. */
export interface ThreadRoute {
  name: "list" | "load" | "create" | "rename" | "remove" | "form";
  method: "GET" | "POST" | "PATCH" | "DELETE";
  /** What the thread id may be, the likelier first; none where the address names no thread. */
  threadIds: string[];
}

/** The routes by the first segment of their path. */
export const routes = {
  get: { name: "load", method: "GET" },
  create: { name: "create", method: "POST" },
  update: { name: "rename", method: "PATCH" },
  delete: { name: "remove", method: "DELETE" },
  message: { name: "form", method: "PATCH" },
} as const;

/**
 * A route is the first segment of the path that names one, for what comes behind it is an id, which may itself look like
 * a route.
 */
const routeIn = /\/(?:(create|message)\/?|(get|update|delete)(?:\/(.*))?)$/;

/** Finds the route, or `undefined` where there is none. */
export function findThreadRoute(address: string, basePath: string | undefined): ThreadRoute | undefined {
  const { pathname, searchParams } = new URL(address);
  if (basePath !== undefined && !pathname.startsWith(`${basePath}/`)) return undefined;
  const match = routeIn.exec(pathname.slice(basePath?.length));
  if (!match || (basePath !== undefined && match.index > 0)) return undefined;
  const [, plain, withId, inPath] = match;
  const { name, method } = routes[(plain ?? withId) as keyof typeof routes];
  const threadIds = plain ? [] : idsOf(inPath || undefined, searchParams.get("threadId") ?? undefined);
  return name === "load" && threadIds.length === 0 ? { name: "list", method, threadIds } : { name, method, threadIds };
}

/**
 * An id in the query is exact. One in the path can have come as it is, as OpenUI's client sends it, or percent-encoded; which of
 * the two nobody can tell, so it is taken as it stands first.
 */
function idsOf(inPath: string | undefined, inQuery: string | undefined): string[] {
  return inPath === undefined ? [inQuery ?? []].flat() : [...new Set([inPath, decoded(inPath)])];
}

/** Percent-decoded where that gives text, and left as it stands where it does not: `100%` is an id, too. */
const decoded = (path: string) =>
  path.replace(/(?:%[\da-f]{2})+/gi, (bytes) => {
    try {
      const text = decodeURIComponent(bytes);
      return /\p{Cc}/u.test(text) ? bytes : text;
    } catch {
      return bytes;
    }
  });
