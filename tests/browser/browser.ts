/** A browser whose pages report what must never happen. */
import { mkdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { type Browser, type BrowserContext, chromium, type Locator, type Page } from "playwright-core";

const artifacts = fileURLToPath(new URL("../../.artifacts/", import.meta.url));
const quiet = ["--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"];

/** Starts Chromium, headless. */
export function launchBrowser(): Promise<Browser> {
  return chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox", ...quiet] });
}

/** A chat in one tab, as a person uses it. */
export interface Tab {
  page: Page;
  /** The newest answer. */
  answer: Locator;
  /** All answers. */
  answers: Locator;
  /** All prompts. */
  prompts: Locator;
  /** The titles in the list of threads. */
  titles: Locator;
  /** There while an answer is being written. */
  stopButton: Locator;
  /** Types a prompt and sends it. */
  send(prompt: string): Promise<void>;
  /** Presses the button that stops an answer. */
  stop(): Promise<void>;
  /** Waits for the end of an answer, whatever its end. */
  ended(): Promise<void>;
  /** Keeps a picture of the page among the artefacts. */
  picture(name: string): Promise<void>;
}

/** The only tab of a browser of its own. */
export interface Chat extends Tab {
  /** What must never happen: errors in the console, uncaught errors, requests to another origin. */
  faults: string[];
  /** Who this browser is to the server. */
  owner(): Promise<string>;
  close(): Promise<void>;
}

/** Opens the page as a newcomer. */
export async function openChat(browser: Browser, url: string): Promise<Chat> {
  const context = await browser.newContext({ viewport: { width: 1280, height: 860 } });
  context.setDefaultTimeout(90_000); // a busy machine takes long to load the page
  const faults: string[] = [];
  context.on("console", (message) => message.type() === "error" && faults.push(message.text()));
  context.on("weberror", (error) => faults.push(String(error.error())));
  context.on("request", (request) => isElsewhere(request.url(), url) && faults.push(`request to ${request.url()}`));
  return {
    ...(await openTab(context, url)),
    faults,
    owner: async () => (await context.cookies()).find(({ name }) => name === "owner")?.value ?? "",
    close: () => context.close(),
  };
}

/** Opens the page in a new tab. */
export async function openTab(context: BrowserContext, url: string): Promise<Tab> {
  const page = await context.newPage();
  await page.goto(url);
  const composer = page.locator("textarea:visible").last();
  const answers = page.locator(".crayon-shell-thread-message-assistant");
  const stopButton = page.locator("button:visible svg.lucide-square");
  return {
    page,
    answers,
    answer: answers.last(),
    prompts: page.locator(".crayon-shell-thread-message-user"),
    titles: page.locator(".crayon-shell-thread-button-title"),
    stopButton,
    async send(prompt) {
      await composer.fill(prompt);
      await composer.press("Enter");
    },
    stop: () => stopButton.click(),
    ended: () => page.locator("button:visible svg.lucide-arrow-up").waitFor(),
    async picture(name) {
      mkdirSync(artifacts, { recursive: true });
      await page.screenshot({ path: `${artifacts}${name}.png`, animations: "disabled" });
    },
  };
}

function isElsewhere(target: string, url: string): boolean {
  const { protocol, origin } = new URL(target);
  return protocol !== "data:" && protocol !== "blob:" && origin !== new URL(url).origin;
}
