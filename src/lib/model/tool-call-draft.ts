/** One tool call, as far as its pieces have arrived. */
import type { ChatCompletionMessageFunctionToolCall } from "openai/resources/chat/completions";
import type { ToolCallDelta } from "../core/tool-runner.ts";
import { extendsJson, isJson, JsonScanner, type JsonState, startsObject } from "./json-scanner.ts";

/** A call that is still growing. */
export class ToolCallDraft {
  readonly index: number | undefined;
  /** The provider's id, if one has arrived. */
  id: string | undefined;
  name = "";
  arguments = "";
  /** Whether it may be a repetition of the call before: it is one, unless arguments follow. */
  readonly isDoubtful: boolean;
  #scanner = new JsonScanner();
  /** What the last repetition replaced. */
  #replaced = "";
  #extra: Record<string, unknown> | undefined;
  readonly #ownId = crypto.randomUUID();

  constructor(index: number | undefined, isDoubtful: boolean) {
    this.index = index;
    this.isDoubtful = isDoubtful;
  }

  /** How far its arguments are. */
  get state(): JsonState {
    return this.#scanner.state;
  }

  /** Its characters. */
  get size(): number {
    return (this.id ?? this.#ownId).length + this.name.length + this.arguments.length;
  }

  /** Adds a piece that belongs to this call. Returns the characters of its further fields. */
  add({ id, name, arguments: args, extra }: ToolCallDelta): number {
    // The first id stays: Poolside sends another one with each further piece.
    this.id ??= id;
    if (name) this.#addName(name);
    if (args) this.#addArguments(args);
    if (!extra) return 0;
    this.#extra = { ...this.#extra, ...extra };
    return JSON.stringify(extra).length;
  }

  /** Whether a piece that could belong to this call begins another one. */
  isFollowedBy(piece: ToolCallDelta, isLastChunk: boolean): boolean {
    const { id, name, arguments: args = "" } = piece;
    // Without a name nothing can be called.
    if (!name) return false;
    if (id && id === this.id) {
      return this.state === "complete" && startsObject(args) && args !== this.arguments && !extendsJson(args, this.arguments);
    }
    const hasOtherId = id !== undefined && this.id !== undefined;
    if (this.state === "open") return args === "" ? hasOtherId : startsObject(args) && (hasOtherId || name !== this.name);
    if (hasOtherId) return true;
    if (this.state === "blank") return false;
    if (args === this.arguments) return !isLastChunk && !id && !this.id;
    return true;
  }

  /** The whole call. `undefined` if no call came of it. */
  finish(): ChatCompletionMessageFunctionToolCall | undefined {
    const isBlank = this.state === "blank";
    if (isBlank && (this.isDoubtful || this.name === "")) return undefined;
    return {
      ...this.#extra,
      id: this.id ?? this.#ownId,
      type: "function",
      function: { name: this.name, arguments: decodeTwice(this.#chooseArguments()) },
    };
  }

  /** Names come whole, in pieces, whole in every piece, or as far as they are in every piece. */
  #addName(name: string): void {
    if (name === this.name) return;
    if (name.startsWith(this.name)) this.name = name;
    else if (this.state === "blank") this.name += name;
  }

  /** Arguments come in pieces, or as far as they are in every piece. */
  #addArguments(args: string): void {
    const isEmptyObject = this.state === "complete" && /^\s*\{\s*\}\s*$/.test(this.arguments);
    const isReplaced =
      this.#isRepeatedBy(args) || (this.state === "complete" && startsObject(args) && (isEmptyObject || extendsJson(args, this.arguments)));
    if (isReplaced) {
      this.#replaced = this.arguments;
      this.arguments = args;
      this.#scanner = new JsonScanner();
      this.#scanner.scan(args);
    } else {
      this.arguments += args;
      this.#scanner.scan(args);
    }
  }

  /** A nested object may begin like the one around it: then only both together are JSON, and nothing was repeated. */
  #chooseArguments(): string {
    const joined = this.#replaced + this.arguments;
    return !isJson(this.arguments) && isJson(joined) ? joined : this.arguments;
  }

  /** Whether a piece begins with all arguments so far. Comparing only what is long enough keeps the cost in proportion. */
  #isRepeatedBy(args: string): boolean {
    return this.arguments.length > 0 && args.length >= this.arguments.length && startsObject(args) && args.startsWith(this.arguments);
  }
}

/** Some models encode the JSON as a JSON string once more. */
function decodeTwice(args: string): string {
  if (!args.startsWith('"')) return args;
  try {
    const decoded: unknown = JSON.parse(args);
    return typeof decoded === "string" ? decoded : args;
  } catch {
    return args;
  }
}
