/** Cutting the connection at every point of an append. */
import type { ThreadStore } from "../../../src/index.ts";
import type { Service } from "../../services/service.ts";
import { batchOf, expectWhole, thread } from "./load.ts";
import type { OpenStore } from "./open.ts";
import { startProxy, type Direction } from "./proxy.ts";

/**
 * Appends through a proxy that cuts, in steps over all bytes of the request and of the answer. Each batch must be whole or not there
 * afterwards, and once it was sent again, there once. Gives how often a rejected batch was there and how often it was not.
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

  await append("first"); // connects, and teaches the server the script
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
      expectWhole(stored, acknowledged ? sent : sent.slice(0, -1));
      if (!acknowledged) rejected[stored.some(({ promptId }) => promptId === `${name}/0`) ? "stored" : "lost"]++;
      while (!(await append(name))) await new Promise((resolve) => setTimeout(resolve, 20));
      expectWhole(await direct.listMessages(thread), sent);
    }
  }
  await close();
  proxy.close();
  return rejected;
}
