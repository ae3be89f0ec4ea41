/**
 * Pages in Chromium: how wide their content is at a device's width, what they complain of (the policy violated,
 * something not loaded, a script's error), words that are cut or lie over each other, and a screenshot of all of it.
 */
import { existsSync } from "node:fs";
import { type Browser, chromium, type Page } from "playwright-core";

/** The installed browser, if any. */
export const BROWSER = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"].find(existsSync);

export function startBrowser(): Promise<Browser> {
  const args = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"];
  return chromium.launch({ executablePath: BROWSER!, args });
}

export interface View {
  /** CSS pixels. */
  readonly width: number;
  readonly height: number;
  readonly scheme: "light" | "dark";
}

/** A page that has been opened, and what it has complained of so far. */
export interface Opened {
  readonly page: Page;
  readonly complaints: readonly string[];
}

/** Opens a file as a device of this size would, narrow ones with a finger; it is closed with its context. */
export async function openPage(browser: Browser, path: string, { width, height, scheme }: View): Promise<Opened> {
  const context = await browser.newContext({
    viewport: { width, height },
    colorScheme: scheme,
    hasTouch: width < 600,
    permissions: ["clipboard-read", "clipboard-write"],
  });
  const page = await context.newPage();
  const complaints: string[] = [];
  page.on("console", (message) => void complaints.push(message.text()));
  page.on("pageerror", (error) => void complaints.push(error.message));
  page.on("requestfailed", (request) => void complaints.push(request.url()));
  await page.goto(`file://${path}`);
  return { page, complaints };
}

/** What is wrong with how a page looks, with all its folded parts open; none where it is whole. */
export async function flawsOf({ page, complaints }: Opened): Promise<readonly string[]> {
  await page.evaluate("document.querySelectorAll('details').forEach((part) => { part.open = true; })");
  const found = (await page.evaluate(FIND_FLAWS)) as readonly string[];
  return [...complaints, ...found];
}

/**
 * Runs in the page: content wider than the window, words cut off by their box, words of pictures laid over each other
 * or over the picture's edge.
 */
const FIND_FLAWS = `(() => {
  const found = [];
  const wide = document.documentElement.scrollWidth;
  if (wide > innerWidth) found.push("content of " + wide + " pixels");
  for (const box of document.querySelectorAll(".map > *, td, th, li, summary, figcaption, .controls > *")) {
    if (box.clientWidth > 0 && box.scrollWidth > box.clientWidth + 1) found.push("cut: " + box.textContent);
  }
  for (const picture of document.querySelectorAll("svg[role=img]")) {
    const edge = picture.getBoundingClientRect();
    const texts = [...picture.querySelectorAll("text")].map((text) => {
      const frame = text.ownerSVGElement.getBoundingClientRect();
      return { words: text.textContent, box: text.getBoundingClientRect(), frame };
    }).filter(({ box }) => box.width > 0);
    texts.forEach(({ words, box, frame }, i) => {
      if (box.right > edge.right + 1 || box.left < edge.left - 1) found.push(words + " over the edge");
      if (box.right > frame.right + 1) found.push(words + " wider than its box");
      for (const other of texts.slice(i + 1)) {
        const across = Math.min(box.right, other.box.right) - Math.max(box.left, other.box.left);
        const high = Math.min(box.bottom, other.box.bottom) - Math.max(box.top, other.box.top);
        if (across > 1 && high > 4) found.push(words + " over " + other.words);
      }
    });
  }
  return found;
})()`;
