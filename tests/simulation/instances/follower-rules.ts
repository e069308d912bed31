/** A rule for followers: an instance whose readers have all left follows no more, so nothing is copied for it. */
import { keyOf } from "../../../src/lib/core/store.ts";
import { type CoordinatorData, liveOf } from "../../testkit/simple-coordinator.ts";
import { nameOf } from "../records.ts";
import type { Instance } from "./instance.ts";
import { callTimeout, type InstancesLedger } from "./ledger.ts";
import type { CoordinatorHistory } from "./losses.ts";

/** Within this time an instance stops following: its read that is under way ends, and then it reports that it has left. */
const leavesWithin = 2 * callTimeout + 20;

export function createFollowerRules(
  ledger: InstancesLedger,
  { threads }: CoordinatorData,
  { followers: instances }: CoordinatorHistory,
): { check(): void } {
  const { requests, clock, check } = ledger;
  /** When an instance last had a request on a thread, by follower. */
  const neededAt = new Map<string, number>();

  const isNeeded = (instance: Instance, thread: string) =>
    requests.some(
      (request) =>
        request.instance === instance &&
        keyOf(request.thread) === thread &&
        (request.kind === "stop" || !request.hasDisconnected) &&
        !request.outcome,
    );

  return {
    check() {
      if (ledger.hasFault || ledger.hasStoreFault) return;
      for (const [thread, { queue }] of threads) {
        for (const entry of liveOf(queue, clock.time)) {
          for (const [follower, until] of entry.followers) {
            const instance = instances.get(follower);
            if (!instance || instance.isDead || until <= clock.time) continue;
            if (!neededAt.has(follower) || isNeeded(instance, thread)) neededAt.set(follower, clock.time);
            check(
              clock.time - neededAt.get(follower)! <= leavesWithin,
              "an instance follows a turn only while it has readers",
              () => `${nameOf(entry, entry.responseId)} is followed by instance ${instance.number}`,
            );
          }
        }
      }
    },
  };
}
