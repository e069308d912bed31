/**
 * `chat-handler/node`: mounts a handler where a framework passes Node's `(req, res)` instead of a `Request`.
 *
 * @module node
 */
export { toNodeHandler, type FetchHandler, type NodeHandler, type NodeRequest, type NodeResponse } from "./lib/node/to-node-handler.ts";
