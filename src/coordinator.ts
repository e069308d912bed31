/** The contract of coordinators, and `shareTurns` for a coordinator of your own. */
export { shareTurns } from "./lib/coordination/shared/share-turns.ts";
export { maxSliceLength } from "./lib/core/coordinator.ts";
export type {
  Coordinator,
  CoordinatorEntrance,
  CoordinatorHint,
  CoordinatorSettings,
  EnteredEntrance,
  EntryPolicy,
  Follower,
  JoinedEntrance,
  LogHint,
  LogSlice,
  RefusedEntrance,
  ThreadHint,
  Ticket,
  TicketKey,
  TicketRequest,
  TicketStatus,
  TurnKey,
} from "./lib/core/coordinator.ts";
export type { CoordinatorOptions } from "./lib/core/coordinator-options.ts";
export type { SharedCoordinator } from "./lib/core/turn-registry.ts";
