/** A hostile tenant: it uses the servers of a schedule, with the ids of the honest tenants. */
import { type ChatHandlerOptions, type ThreadStore } from "../../../src/index.ts";
import { createThreadHandler, type ThreadHandler } from "../../../src/threads.ts";
import { type Plan, threads } from "../plan.ts";
import type { Process } from "../records.ts";
import { type Neighbor, ownerHeader, type Server } from "../server.ts";
import type { TenantClock } from "./clock.ts";
import { createHostileClients } from "./clients.ts";
import { createLane } from "./lane.ts";
import type { HostilePlan } from "./plan.ts";
import { createHostileModel, createHostileStore, routeByOwner } from "./services.ts";

/** More than the honest tenants of a schedule send at the same time: only the hostile one meets these bounds. */
const limits = { turnsPerOwner: 16, queue: 14, unreadCharacters: 30_000 };

/** A hostile tenant beside a schedule. */
export interface HostileTenant extends Neighbor {
  /** Answers a request for threads, as the server that started last does. */
  showThreads(owner: string, path: string): Promise<Response>;
  /** Disconnects all its clients, and lets its turns end. Returns what does not end. */
  finish(): Promise<string | undefined>;
}

/**
 * Creates a tenant. The honest tenants use `store` through their own wrapper.
 *
 * @param note - Receives a line for each step.
 */
export function createHostileTenant(
  plan: HostilePlan,
  form: Plan["client"],
  store: ThreadStore,
  clock: TenantClock,
  note: (line: string) => void,
): HostileTenant {
  const { owner } = plan;
  const lane = createLane(clock, note);
  const [scripts, faults, pace, order, actions] = [[...plan.scripts], [...plan.faults], [...plan.pace], [...plan.order], [...plan.actions]];
  const model = createHostileModel(form, () => scripts.shift(), lane);
  const nextFault = () => faults.shift() ?? "none";
  const routes = new Map<Process, ThreadHandler>();
  const turns: { process: Process; isSettled: boolean }[] = [];
  let servers: Server[] = [];
  let ids = 0;
  const newId = () => `h${ids++}`;
  const clients = createHostileClients(owner, lane, () => servers);

  const request = (asking: string, path: string, init: RequestInit = {}) =>
    new Request(`http://chat.test/threads${path}`, {
      ...init,
      headers: { "Content-Type": "application/json", [ownerHeader]: encodeURIComponent(asking) },
    });

  const offerNext = () => {
    const action = actions.shift();
    if (!action) return;
    lane.offer(`next: ${JSON.stringify(action)}`, async () => {
      offerNext();
      if (action.do !== "route") return clients.act(action);
      // In the worst case, it knows what the honest tenant has.
      const thread = threads[action.thread]!;
      const answer = (await store.listMessages(thread)).findLast(({ message }) => message.role === "assistant");
      for (let number = 0; number < action.count; number++) {
        const asked = clients.routeRequest(action.route, thread.threadId, number, answer);
        for (const { process } of servers) void routes.get(process)?.(asked.clone());
      }
    });
  };
  offerNext();

  return {
    clock,
    async act() {
      for (let steps = pace.shift() ?? 1; steps > 0; steps--) {
        if (!(await lane.run(order.shift() ?? 0))) return;
      }
    },

    share(options, process): ChatHandlerOptions {
      const client = model.clientOf(process);
      const mine = createHostileStore(store, process, lane, nextFault);
      const honest = options.store as ThreadStore;
      const { model: nameModel, generateId, onTurnEnd, onError, waitUntil } = options;
      if (typeof nameModel !== "function") throw new TypeError("The schedule names its model calls.");
      const ownStore = (asking: string) => (asking === owner ? mine : store);
      const authorize = ({ request: asking }: { request: Request }) => ({
        owner: decodeURIComponent(asking.headers.get(ownerHeader) ?? ""),
      });
      routes.set(
        process,
        createThreadHandler({ store: routeByOwner(ownStore), authorize, pageSize: 2, generateId: newId, onError: () => {} }),
      );
      return {
        ...options,
        store: routeByOwner((asking) => (asking === owner ? mine : honest)),
        client: {
          chat: {
            completions: {
              create: (body, init) => (body.model === "hostile" ? client : options.client).chat.completions.create(body, init),
            },
          },
        },
        model: (context) => (context.owner === owner ? "hostile" : nameModel(context)),
        limits: { ...options.limits, ...limits },
        now: () => performance.now(),
        generateId: () => (clock.isHostile() ? newId() : generateId!()),
        onTurnEnd: (turn) => (turn.owner === owner ? undefined : onTurnEnd?.(turn)),
        onError: (error, context) => (clock.isHostile() ? undefined : onError?.(error, context)),
        waitUntil(turn) {
          if (!clock.isHostile()) return waitUntil?.(turn);
          const begun = { process, isSettled: false };
          turns.push(begun);
          void turn.then(() => (begun.isSettled = true));
        },
      };
    },

    runTool: (asking, id, process) => (asking === owner ? model.runTool(id, process) : undefined),
    started: (server) => void (servers = [...servers, server]),
    crashed(process) {
      servers = servers.filter((server) => server.process !== process);
      lane.drop(process);
    },

    async showThreads(asking, path) {
      const newest = servers.at(-1)!;
      return routes.get(newest.process)!(request(asking, path));
    },

    async finish() {
      clients.leave(Infinity, "abort");
      for (let steps = 0; (await lane.run(0)) || (await clients.passTime()); steps++) if (steps > 20_000) return "a hostile step";
      const open = turns.filter(({ process, isSettled }) => !isSettled && !process.isDead);
      return open.length > 0 ? `${open.length} hostile turns` : undefined;
    },
  };
}
