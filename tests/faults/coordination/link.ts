/** A TCP proxy between an instance and a database: the network between them, which a test cuts, silences and heals. */
import { once } from "node:events";
import { connect, createServer, type AddressInfo, type Socket } from "node:net";

/** `"cut"`: connections are closed, new ones refused. `"silent"`: bytes stop, as if a router dropped them. */
type LinkState = "whole" | "cut" | "silent";

export interface Link {
  /** The URL of the database through this link. */
  url: string;
  cut(): void;
  silence(): void;
  /** Lets bytes pass again. After silence, what was held arrives now, as TCP sends it again; with `"reset"`, old connections break instead. */
  heal(how?: "reset"): void;
  /** Silences the link as soon as an instance sends this text, which does not arrive. Resolves then. */
  silenceAt(text: string): Promise<void>;
  close(): void;
}

/** Opens a link to the database at a URL. */
export async function openLink(targetUrl: string): Promise<Link> {
  const target = new URL(targetUrl);
  const sockets = new Set<Socket>();
  /** What is held while the link is silent. */
  let held: (() => void)[] = [];
  let state: LinkState = "whole";
  let trap: { text: string; spring(): void } | undefined;

  function pass(from: Socket, to: Socket, isRequest: boolean): void {
    sockets.add(from);
    from.on("data", (data) => {
      if (isRequest && trap && data.includes(trap.text)) {
        state = "silent";
        trap.spring();
        trap = undefined;
      }
      if (state === "silent") held.push(() => to.write(data));
      else to.write(data);
    });
    from.on("error", () => {});
    from.on("close", () => {
      sockets.delete(from);
      if (state === "silent") held.push(() => to.destroy());
      else to.destroy();
    });
  }

  const server = createServer((client) => {
    if (state === "cut") return client.resetAndDestroy();
    const database = connect(Number(target.port), target.hostname);
    for (const socket of [client, database]) socket.setNoDelay(true);
    pass(client, database, true);
    pass(database, client, false);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const url = new URL(targetUrl);
  url.port = String((server.address() as AddressInfo).port);

  function breakAll(): void {
    held = [];
    for (const socket of sockets) socket.resetAndDestroy();
    sockets.clear();
  }

  return {
    url: url.href,
    cut() {
      state = "cut";
      breakAll();
    },
    silence() {
      state = "silent";
    },
    heal(how) {
      state = "whole";
      if (how === "reset") return breakAll();
      for (const release of held.splice(0)) release();
    },
    silenceAt: (text) =>
      new Promise((spring) => {
        trap = { text, spring };
      }),
    close() {
      server.close();
      breakAll();
    },
  };
}
