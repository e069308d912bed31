/** Cuts the connection at every position of an append. */
import type { ThreadStore } from "../../../src/index.ts";
import type { Service } from "../../services/service.ts";
import { batchOf, expectWholeBatches, thread } from "./load.ts";
import type { OpenStore } from "./open.ts";
import { startProxy, type Direction } from "./proxy.ts";

/**
 * Appends through a proxy that cuts the connection, at steps over all bytes of request and response. Each batch must be stored whole or
 * not at all, and once after a retry. Resolves to how often a rejected batch was stored, and how often it was not.
 */
export async function cutEverywhere(
  server: Service,
  direct: ThreadStore,
  open: (url: string) => OpenStore | Promise<OpenStore>,
): Promise<{ stored: number; lost: number }> {
  const url = new URL(server.url);
  const proxy = await startProxy(Number(url.port));
  url.port = String(proxy.port);
  const { store, close } = await open(url.href);
  const sent: string[] = [];
  const rejected = { stored: 0, lost: 0 };

  async function append(name: string): Promise<boolean> {
    sent.push(name);
    return store.appendMessages(thread, batchOf(name, 500)).then(
      () => true,
      () => false,
    );
  }

  await append("first"); // connects, and loads the script into the server
  const before = { ...proxy.passed };
  await append("measured");
  const length = { requests: proxy.passed.requests - before.requests, answers: proxy.passed.answers - before.answers };

  for (const direction of ["requests", "answers"] satisfies Direction[]) {
    const step = Math.max(1, Math.floor(length[direction] / 40));
    for (let bytes = 1; bytes < length[direction]; bytes += step) {
      const cut = proxy.cutAfter(direction, bytes);
      const name = `${direction}${bytes}`;
      const acknowledged = await append(name);
      await cut;
      const stored = await direct.listMessages(thread);
      expectWholeBatches(stored, acknowledged ? sent : sent.slice(0, -1));
      if (!acknowledged) rejected[stored.some(({ promptId }) => promptId === `${name}/0`) ? "stored" : "lost"]++;
      while (!(await append(name))) await new Promise((resolve) => setTimeout(resolve, 20));
      expectWholeBatches(await direct.listMessages(thread), sent);
    }
  }
  await close();
  proxy.close();
  return rejected;
}
