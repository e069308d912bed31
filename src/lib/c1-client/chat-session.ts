/** The state of one chat page: the selected thread, and the thread manager that shows it. */
import { throwUsageError } from "../core/usage-error.ts";
import { AnswerRun, readResponseId } from "./answer-run.ts";
import type { ChatRequests } from "./chat-requests.ts";
import type { C1Message, C1Threads } from "./create-c1-threads.ts";
import { type C1Prompt, type C1ThreadManager, toShownAnswer, toShownPrompt } from "./shown-messages.ts";
import { ThreadView, toTurns, type ViewTurn } from "./thread-view.ts";

/** How long a page waits for the response that nothing runs before it shows a missing answer as running, in milliseconds. */
const idleTimeout = 150;

/** Milliseconds before a page asks again what runs, if that was an answer that it shows whole. A server names one until its turn has left. */
const repeatDelays = [250, 750, 2000];

/** What C1Chat is made to process: a prompt that is on the screen already. */
interface Restart {
  turn: ViewTurn;
  /** The response of a running answer. Without it, the prompt is sent again. */
  running?: Promise<Response>;
  /** Ends the request of `running`. */
  controller?: AbortController;
}

/** One chat page. */
export class ChatSession {
  view: ThreadView;
  readonly #requests: ChatRequests;
  readonly #threads: Pick<C1Threads, "loadThread" | "updateMessage">;
  readonly #listeners = new Set<() => void>();
  #manager: C1ThreadManager | undefined;
  #restart: Restart | undefined;
  #isWired = false;

  constructor(requests: ChatRequests, threads: Pick<C1Threads, "loadThread" | "updateMessage">) {
    this.#requests = requests;
    this.#threads = threads;
    this.view = this.#createView(null);
  }

  #createView(threadId: string | null): ThreadView {
    return new ThreadView(threadId, () => {
      for (const listener of this.#listeners) listener();
    });
  }

  subscribe(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  connect(manager: C1ThreadManager): () => void {
    this.#manager = manager;
    return () => {
      if (this.#manager === manager) this.#manager = undefined;
    };
  }

  select(threadId: string | null): void {
    this.#isWired = true;
    if (threadId === this.view.threadId) return;
    this.view.closed.abort();
    this.view = this.#createView(threadId);
    this.view.turns = [];
  }

  async load(threadId: string): Promise<C1Message[]> {
    this.#checkWired();
    this.view.loads++;
    const messages = await this.#threads.loadThread(threadId);
    const { view } = this;
    // C1Chat would show a thread that came late in place of the one that was selected since.
    if (threadId !== view.threadId) return new Promise(() => {});
    view.turns = toTurns(messages);
    // By then, C1Chat shows the messages.
    setTimeout(() => void this.#follow(view));
    return messages;
  }

  async process({ threadId, messages, responseId: shownId, abortController: { signal } }: C1Prompt): Promise<Response> {
    this.#checkWired();
    const { view } = this;
    const { id = "", content = "" } = messages.at(-1) ?? {};
    const restart = this.#restart?.turn.prompt.id === id ? this.#restart : undefined;
    this.#restart = undefined;
    const turn = restart?.turn ?? { prompt: { id, role: "user", content }, markup: content, status: "running" };
    const responseId = turn.responseId ?? (restart?.running ? undefined : shownId);
    const options = { view, threadId, shownId, signal, requests: this.#requests, threads: this.#threads };
    const run = new AnswerRun({ ...options, turn: { ...turn, responseId } });
    signal.addEventListener("abort", () => restart?.controller?.abort());
    return run.read(restart?.running ?? this.#requests.prompt({ prompt: turn.prompt, threadId, responseId }, signal));
  }

  #checkWired(): void {
    if (this.#isWired) return;
    throwUsageError("createC1Chat does not know the selected thread. Pass onSelectThread and onSwitchToNew to useThreadListManager.");
  }

  async updateMessage(message: { id: string; role: string; content?: string | undefined }): Promise<void> {
    const { threadId } = this.view;
    const { responseId = message.id } = this.view.findShown(message.id) ?? {};
    await this.#threads.updateMessage(threadId, { ...message, id: responseId });
  }

  getStatus(messageId: string): "stopped" | "failed" | undefined {
    const status = this.view.findShown(messageId)?.status;
    return status === "stopped" || status === "failed" ? status : undefined;
  }

  async retry(): Promise<void> {
    const { view } = this;
    // A stop that is still on its way has the same response id.
    await view.stopping;
    const { newest, unfinished, isRunning, isFollowing } = view;
    if (!newest || !unfinished || isRunning || isFollowing || view !== this.view) return;
    // The view says how it ends.
    await this.#show({ turn: newest }).catch(() => {});
  }

  async refresh(): Promise<void> {
    const { view } = this;
    if (view.isRunning || view.isFollowing) return;
    // Without a connection, the screen stays as it is.
    await this.#merge(view).catch(() => {});
    await this.#follow(view);
  }

  /** Makes C1Chat process a prompt that is on the screen. It moves to the end, where C1Chat appends it again. */
  async #show(restart: Restart): Promise<void> {
    const { prompt, markup, shownId } = restart.turn;
    if (shownId !== undefined) this.#manager?.deleteMessage(shownId);
    this.#manager?.deleteMessage(prompt.id);
    this.#restart = restart;
    await this.#manager?.processMessage(toShownPrompt(prompt.id, markup));
  }

  /** Shows the answer that is being written, and those that follow it, until nothing runs. */
  async #follow(view: ThreadView): Promise<void> {
    if (view.isFollowing || view.isRunning || view !== this.view) return;
    view.isFollowing = true;
    try {
      const delays = [...repeatDelays];
      for (let found = await this.#followOne(view); found; found = await this.#followOne(view)) {
        if (found === "followed") continue;
        const delay = delays.shift();
        if (delay === undefined) break;
        await wait(delay);
      }
    } catch {
      // The answer broke, or the server cannot be reached. The view says which answers are partial.
    }
    // It may have been answered since the thread was loaded.
    if (view.newest?.status === "unanswered") await this.#merge(view).catch(() => {});
    view.isFollowing = false;
    const { newest } = view;
    if (newest?.status === "unanswered") view.update(newest.prompt.id, { status: "failed" });
  }

  /** Shows the answer that runs. Resolves once it is complete, or at once if it was complete before. `undefined`: none runs, or it is partial. */
  async #followOne(view: ThreadView): Promise<"followed" | "known" | undefined> {
    const { threadId, closed, newest } = view;
    if (threadId === null || closed.signal.aborted) return undefined;
    const controller = new AbortController();
    const abort = () => controller.abort();
    closed.signal.addEventListener("abort", abort);
    try {
      const running = this.#requests.resume({ threadId }, controller.signal);
      const found = newest?.status === "unanswered" ? await Promise.race([running, wait(idleTimeout)]) : await running;
      if (found && found.status !== 200) return undefined;
      const turn = found ? await this.#findTurn(view, found) : newest;
      if (!turn || view.isRunning || closed.signal.aborted || !this.#manager) {
        abort();
        return undefined;
      }
      if (turn.status === "complete") {
        abort();
        return "known";
      }
      await this.#show({ turn, running, controller });
      return view.newest?.status === "complete" ? "followed" : undefined;
    } finally {
      closed.signal.removeEventListener("abort", abort);
    }
  }

  /** The turn whose answer is running. */
  async #findTurn(view: ThreadView, running: Response): Promise<ViewTurn | undefined> {
    const responseId = readResponseId(running);
    const known = responseId === undefined ? undefined : view.findAnswer(responseId);
    if (known) return known;
    if (view.newest?.status !== "unanswered") await this.#merge(view);
    return view.newest?.status === "unanswered" ? { ...view.newest, responseId } : undefined;
  }

  /** Shows what the thread has more than the screen. */
  async #merge(view: ThreadView): Promise<void> {
    if (view.threadId === null) return;
    const messages = await this.#threads.loadThread(view.threadId);
    if (!this.#manager || view !== this.view || view.isRunning) return;
    for (const turn of toTurns(messages)) {
      const known = view.findPrompt(turn.prompt.id);
      const { responseId, status } = turn;
      const answer = messages.find(({ id }) => id === responseId);
      if (!known) this.#manager.appendMessages(toShownPrompt(turn.prompt.id, turn.markup));
      if (!known) view.turns = [...view.turns, turn];
      if (!answer || known?.status === status) continue;
      const shownId = known?.shownId ?? answer.id;
      const shown = toShownAnswer(shownId, answer.content);
      if (known?.shownId === undefined) this.#manager.appendMessages(shown);
      else this.#manager.updateMessage(shown);
      view.update(turn.prompt.id, { responseId, shownId, status });
    }
  }
}

function wait(ms: number): Promise<undefined> {
  return new Promise((resolve) => setTimeout(() => resolve(undefined), ms));
}
