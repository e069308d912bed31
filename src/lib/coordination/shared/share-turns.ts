/** Connects a coordinator with the chat handlers of this process. */
import { type Coordinator, coordinatorMethods } from "../../core/coordinator.ts";
import type { SharedCoordinator } from "../../core/turn-registry.ts";
import { throwUsageError } from "../../core/usage-error.ts";
import { SharedRegistry } from "./shared-registry.ts";

/**
 * Returns a coordinator that `createChatHandler` can use. The coordinators of `chat-handler/redis` and `chat-handler/postgres` have been through it.
 *
 * @throws TypeError for a coordinator that lacks a method.
 *
 * @example
 * const coordinator = shareTurns(createMyCoordinator());
 * export const chat = createChatHandler({ store, client, model, coordinator });
 */
export function shareTurns(coordinator: Coordinator): SharedCoordinator {
  const own: Coordinator = { ...coordinator };
  for (const method of coordinatorMethods) {
    if (typeof own[method] !== "function") throwUsageError(`the coordinator has no ${method}(). Pass a plain object with all methods.`);
  }
  if (typeof own.settings?.leaseMs !== "number") throwUsageError("the coordinator has no settings.");
  return { ...own, registry: new SharedRegistry(own) };
}
