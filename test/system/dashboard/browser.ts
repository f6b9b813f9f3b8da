// Chromium of the machine, driven by playwright-core: every complaint of the page is kept, for a test to look at.

import { type Browser, type BrowserContext, chromium, type Page } from "playwright-core";
import { whereIs } from "../../e2e/process.ts";

export function chromiumPath(): string | undefined {
  return whereIs("chromium") ?? whereIs("chromium-browser") ?? whereIs("google-chrome");
}

export function openBrowser(executablePath: string): Promise<Browser> {
  // As root its own sandbox can't be made; the page is ours.
  return chromium.launch({ executablePath, args: ["--no-sandbox", "--disable-dev-shm-usage"] });
}

export interface Watched {
  readonly page: Page;
  readonly context: BrowserContext;
  /** Errors of the console, exceptions, what the content security policy refused, and requests to anywhere else. */
  readonly complaints: string[];
}

export interface Screen {
  readonly width: number;
  readonly height: number;
  readonly colorScheme: "light" | "dark";
}

export async function openPage(
  browser: Browser,
  url: string,
  { width, height, colorScheme }: Screen,
): Promise<Watched> {
  const context = await browser.newContext({
    viewport: { width, height },
    colorScheme,
    reducedMotion: "no-preference",
  });
  const page = await context.newPage();
  const complaints: string[] = [];
  const origin = new URL(url).origin;
  page.on("console", (message) => {
    if (message.type() === "error" || message.type() === "warning") {
      complaints.push(`${message.text()} ${message.location().url}`);
    }
  });
  page.on("pageerror", (error) => complaints.push(error.message));
  page.on("request", (request) => {
    if (!request.url().startsWith(`${origin}/`) && !request.url().startsWith("data:")) complaints.push(request.url());
  });
  await page.goto(url);
  await page.waitForURL(`${origin}/`);
  await page.getByRole("navigation").waitFor();
  return { page, context, complaints };
}
