/** Starts and kills processes that append. */
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import type { Kind } from "./open.ts";

export interface Appender {
  acknowledged: string[];
  child: ChildProcess;
  /** Waits until this many batches were confirmed. */
  until(count: number): Promise<void>;
  /** Sends SIGKILL. */
  kill(): Promise<void>;
}

export function startAppender(kind: Kind, target: string, name: string): Appender {
  const program = fileURLToPath(new URL("./appender.ts", import.meta.url));
  const child = spawn(process.execPath, [program, kind, target, name], { stdio: ["ignore", "pipe", "pipe"] });
  const acknowledged: string[] = [];
  let rest = "";
  let errors = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => (errors += text));
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    const lines = (rest + text).split("\n");
    rest = lines.pop()!;
    acknowledged.push(...lines);
  });
  return {
    acknowledged,
    child,
    async until(count) {
      while (acknowledged.length < count) {
        if (child.exitCode !== null) throw new Error(`The appender ended by itself:\n${errors}`);
        await new Promise((resolve) => setTimeout(resolve, 2));
      }
    },
    async kill() {
      child.kill("SIGKILL");
      await once(child, "close"); // all of its output has been read
    },
  };
}
