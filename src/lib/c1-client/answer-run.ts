/** One answer that C1Chat is reading. */
import type { ChatRequests } from "./chat-requests.ts";
import type { C1Threads } from "./create-c1-threads.ts";
import type { ThreadView, ViewTurn } from "./thread-view.ts";

/** What a run needs. */
export interface AnswerRunOptions {
  view: ThreadView;
  threadId: string;
  turn: ViewTurn;
  /** The id that C1Chat gives to the answer on the screen. */
  shownId: string;
  /** Aborts if the person presses Stop, selects another thread, or reloads the thread. */
  signal: AbortSignal;
  requests: ChatRequests;
  threads: Pick<C1Threads, "loadThread">;
}

/** An answer from its request to its end. It writes its state into the view. */
export class AnswerRun {
  readonly #options: AnswerRunOptions;
  /** `undefined` until the response to a resume names it. */
  #responseId: string | undefined;
  #hasText = false;
  #isOver = false;

  constructor(options: AnswerRunOptions) {
    this.#options = options;
    const { view, turn, signal } = options;
    this.#responseId = turn.responseId;
    view.isRunning = true;
    view.moveToEnd({ ...turn, shownId: undefined, status: "running" });
    signal.addEventListener("abort", () => this.#abort());
  }

  /** Turns the response into the one that C1Chat reads. */
  async read(request: Promise<Response>): Promise<Response> {
    const { view, turn, threadId, shownId, signal, requests } = this.#options;
    try {
      const response = await request;
      if (response.status === 204) {
        this.#end("unanswered");
        return response;
      }
      if (response.status !== 200) {
        const code = await requests.readCode(response);
        this.#end(code === "turn_stopped" ? "stopped" : "failed");
        return response;
      }
      if (response.headers.has("X-Chat-Handler-Error")) {
        // A card in place of an answer. The next request is for another answer.
        this.#end("failed", { shownId, responseId: undefined });
        return response;
      }
      this.#responseId = readResponseId(response) ?? this.#responseId;
      this.#hasText = true;
      view.update(turn.prompt.id, { shownId, responseId: this.#responseId });
      const ids = { threadId, responseId: this.#responseId };
      return requests.withResumableBody(response, ids, signal, (error) => this.#endBody(error));
    } catch (error) {
      this.#end("failed");
      throw error;
    }
  }

  async #endBody(error: unknown): Promise<void> {
    if (this.#isOver) return;
    this.#end(error === undefined ? "complete" : await this.#findStatus());
  }

  /** Why the answer broke: somebody may have stopped it in another tab. */
  async #findStatus(): Promise<"stopped" | "failed"> {
    const { threads, threadId } = this.#options;
    const messages = await threads.loadThread(threadId).catch(() => []);
    return messages.find(({ id }) => id === this.#responseId)?.status ?? "failed";
  }

  #end(status: ViewTurn["status"], change: Partial<ViewTurn> = {}): void {
    if (this.#isOver) return;
    this.#isOver = true;
    const { view, turn } = this.#options;
    view.isRunning = false;
    // An answer without text is not stored. Its id may be under a stop that came too late, so a retry uses another one.
    view.update(turn.prompt.id, { status, ...(!this.#hasText && { responseId: undefined }), ...change });
  }

  #abort(): void {
    if (this.#isOver) return;
    const { view, threadId, requests } = this.#options;
    const { loads } = view;
    const ids = { threadId, responseId: this.#responseId };
    this.#end("stopped");
    // C1Chat also aborts when it shows another thread, or loads this one again. It does so at once, so a microtask later both are known.
    queueMicrotask(() => {
      if (view.closed.signal.aborted || view.loads !== loads) return;
      view.stopping = requests.stop(ids).catch(() => {});
    });
  }
}

/** The response id that a response names. `undefined` if the page may not read the header. */
export function readResponseId(response: Response): string | undefined {
  const id = response.headers.get("X-Chat-Handler-Response-Id");
  return id === null ? undefined : decodeURIComponent(id);
}
