/** A TCP proxy that cuts connections. */
import { once } from "node:events";
import { connect, createServer, type AddressInfo, type Socket } from "node:net";

export type Direction = "requests" | "answers";

export interface Proxy {
  port: number;
  /** Cuts all connections after this many more bytes in the direction. Resolves then. */
  cutAfter(direction: Direction, bytes: number): Promise<void>;
  /** Bytes that have passed. */
  passed: Record<Direction, number>;
  close(): void;
}

export async function startProxy(targetPort: number): Promise<Proxy> {
  const sockets = new Set<Socket>();
  const passed = { requests: 0, answers: 0 };
  let cut: { direction: Direction; at: number; done(): void } | undefined;

  function cutAll(): void {
    for (const socket of sockets) socket.resetAndDestroy();
    sockets.clear();
    cut?.done();
    cut = undefined;
  }

  function pass(from: Socket, to: Socket, direction: Direction): void {
    from.on("data", (data) => {
      const left = cut?.direction === direction ? cut.at - passed[direction] : Infinity;
      passed[direction] += data.length;
      if (data.length < left) {
        to.write(data);
      } else {
        to.write(data.subarray(0, left), () => setImmediate(cutAll)); // bytes before the cut arrive
      }
    });
    from.on("error", () => {});
    from.on("close", () => to.destroy());
    sockets.add(from);
  }

  const server = createServer((client) => {
    const target = connect(targetPort, "127.0.0.1");
    pass(client, target, "requests");
    pass(target, client, "answers");
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");

  return {
    port: (server.address() as AddressInfo).port,
    passed,
    cutAfter: (direction, bytes) => new Promise((done) => (cut = { direction, at: passed[direction] + bytes, done })),
    close() {
      server.close();
      cutAll();
    },
  };
}
