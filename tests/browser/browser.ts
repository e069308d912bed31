/** A browser whose pages report what must never happen. */
import { mkdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { type Browser, chromium, type Locator, type Page } from "playwright-core";

const artifacts = fileURLToPath(new URL("../../.artifacts/", import.meta.url));
const quiet = ["--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"];

/** Starts Chromium, headless. */
export function launchBrowser(): Promise<Browser> {
  return chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox", ...quiet] });
}

/** A chat in a browser of its own, as a person uses it. */
export interface Chat {
  page: Page;
  /** What must never happen: errors in the console, uncaught errors, requests to another origin. */
  faults: string[];
  /** The newest answer. */
  answer: Locator;
  /** The titles in the list of threads. */
  titles: Locator;
  /** Types a prompt and sends it. */
  send(prompt: string): Promise<void>;
  /** Presses the button that stops an answer. */
  stop(): Promise<void>;
  /** Waits for the end of an answer, whatever its end. */
  ended(): Promise<void>;
  /** Keeps a picture of the page among the artefacts. */
  picture(name: string): Promise<void>;
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
  const page = await context.newPage();
  await page.goto(url);
  const composer = page.locator("textarea:visible").last();
  return {
    page,
    faults,
    answer: page.locator(".crayon-shell-thread-message-assistant").last(),
    titles: page.locator(".crayon-shell-thread-button-title"),
    async send(prompt) {
      await composer.fill(prompt);
      await composer.press("Enter");
    },
    stop: () => page.locator("button:visible svg.lucide-square").click(),
    ended: () => page.locator("button:visible svg.lucide-arrow-up").waitFor(),
    async picture(name) {
      mkdirSync(artifacts, { recursive: true });
      await page.screenshot({ path: `${artifacts}${name}.png`, animations: "disabled" });
    },
    owner: async () => (await context.cookies()).find(({ name }) => name === "owner")?.value ?? "",
    close: () => context.close(),
  };
}

function isElsewhere(target: string, url: string): boolean {
  const { protocol, origin } = new URL(target);
  return protocol !== "data:" && protocol !== "blob:" && origin !== new URL(url).origin;
}
