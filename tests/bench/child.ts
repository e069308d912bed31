/** Child processes that handle requests from their parent, one at a time. */
import { fork } from "node:child_process";
import { setImmediate as nextTurn } from "node:timers/promises";

type Reply<Answer> = { answer: Answer } | { error: string };

/** A child process, as the parent sees it. */
export interface Child<Question, Answer> {
  /** Rejects when the child fails or ends. */
  ask(question: Question): Promise<Answer>;
  stop(): void;
  /** Ends it at once, as a crash does. */
  kill(): void;
}

/** Starts `file`, which must call {@link answerParent}. */
export function startChild<Question extends object, Answer>(file: URL, args: readonly string[] = []): Child<Question, Answer> {
  const child = fork(file, args, { execArgv: ["--expose-gc", "--no-warnings"] });
  let pending: { resolve: (answer: Answer) => void; reject: (error: Error) => void } | undefined;
  child.on("message", (reply: Reply<Answer>) => {
    if ("error" in reply) pending?.reject(new Error(reply.error));
    else pending?.resolve(reply.answer);
    pending = undefined;
  });
  child.on("exit", (code) => pending?.reject(new Error(`${file.pathname} ${args.join(" ")} ended with code ${code}.`)));
  return {
    ask: (question) =>
      new Promise((resolve, reject) => {
        pending = { resolve, reject };
        child.send(question);
      }),
    stop: () => void (child.connected && child.disconnect()),
    kill: () => void child.kill("SIGKILL"),
  };
}

/** Handles the parent's requests. Call it in the child. */
export function answerParent(answer: (question: never) => Promise<unknown>): void {
  process.on("message", (question) => {
    answer(question as never).then(
      (answer) => process.send?.({ answer }),
      (error: unknown) => process.send?.({ error: error instanceof Error ? (error.stack ?? error.message) : String(error) }),
    );
  });
  process.on("disconnect", () => process.exit());
}

/** Collects all garbage, so that a measurement counts only memory in use. */
export async function collectGarbage(): Promise<void> {
  if (!globalThis.gc) throw new Error("Run with --expose-gc.");
  // Memory held by a finalizer or a weak reference is freed only in a later turn of the event loop.
  for (let times = 0; times < 3; times++) {
    globalThis.gc();
    await nextTurn();
  }
}

/** CPU time of this process so far in microseconds, including garbage collection and compilation. */
export function cpuTime(): number {
  const { user, system } = process.cpuUsage();
  return user + system;
}
