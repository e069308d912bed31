/** A load balancer in front of demos: it passes each request to the one that the test chooses. */
import { createServer, request } from "node:http";
import type { AddressInfo } from "node:net";

/** A running balancer. */
export interface Balancer {
  /** Where browsers connect. */
  readonly url: string;
  /** The URL of the server that receives the next requests. */
  target: string;
  close(): Promise<void>;
}

/** Starts a balancer. */
export async function startBalancer(target: string): Promise<Balancer> {
  const server = createServer((incoming, outgoing) => {
    const { port } = new URL(balancer.target);
    const passed = request({
      host: "127.0.0.1",
      port,
      path: incoming.url,
      method: incoming.method,
      headers: incoming.headers,
      agent: false,
    });
    passed.on("response", (response) => {
      outgoing.writeHead(response.statusCode ?? 502, response.headers);
      // Breaks the one if the other breaks.
      response.on("error", () => outgoing.destroy()).pipe(outgoing);
    });
    passed.on("error", () => (outgoing.headersSent ? outgoing.destroy() : outgoing.writeHead(502).end("Bad gateway")));
    outgoing.on("close", () => passed.destroy());
    incoming.pipe(passed);
  });
  await new Promise<void>((resolve) => {
    server.listen(0, "127.0.0.1", resolve);
  });
  const balancer: Balancer = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    target,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
  return balancer;
}
