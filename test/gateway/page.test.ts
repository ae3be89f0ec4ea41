/** The page as people use it, in Chromium: what it asks and shows, by keyboard, at four widths, light and dark. */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { type Browser, chromium, type Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { page as pageOf } from "../../gateway/page/page.js";
import { BROWSER } from "../analysis/browser.js";
import { alphabet, type Started, startWith } from "./support.js";

const ARGS = [
  ...["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"],
  ...["--disable-component-update", "--disable-sync"],
];
/** Where pictures of the page are left, to be looked at. */
const PICTURES = join(import.meta.dirname, "..", "..", ".cache", "pages");

it("names its script and style by their hashes, and holds no other", () => {
  const { html, policy } = pageOf([], true);
  expect(policy).not.toContain("unsafe");
  expect(html).not.toMatch(/ style="| on\w+="|https?:|src=/);
});

it("puts a model's name into the page as data only", () => {
  const plans = [{ id: "</script><script>alert(1)</script>", kind: "text", length: 1, predicted: {} }];
  expect(pageOf(plans as never, false).html).not.toContain("<script>alert");
});

describe.skipIf(BROWSER === undefined)("in Chromium", () => {
  let browser: Browser;
  let gateway: Started;
  let answer = alphabet;
  beforeAll(async () => {
    gateway = await startWith((asked, signal) => answer(asked, signal));
    browser = await chromium.launch({ executablePath: BROWSER!, args: ARGS });
    mkdirSync(PICTURES, { recursive: true });
  }, 30_000);
  afterAll(async () => {
    await browser?.close();
    await gateway?.close();
  });

  /** A page that loads nothing from elsewhere, and says nothing on its console. */
  async function open(width: number, dark = false, url = gateway.url): Promise<Page & { readonly trouble: string[] }> {
    const context = await browser.newContext({
      viewport: { width, height: 860 },
      colorScheme: dark ? "dark" : "light",
      hasTouch: width < 400,
    });
    const page = await context.newPage();
    const trouble: string[] = [];
    page.on("console", (message) => void trouble.push(message.text()));
    page.on("pageerror", ({ message }) => void trouble.push(message));
    page.on("request", (request) => void (request.url().startsWith(url) || trouble.push(request.url())));
    await page.goto(url);
    return Object.assign(page, { trouble });
  }

  const glimpse = (at: "P0" | "P1" | "P2", seed: number) => {
    const words = Uint8Array.from({ length: 24 }, (_, i) => (seed * 7919 + i * i * 104729) % 251);
    gateway.live.show({ at, from: at === "P1" ? "P2" : "P1", bytes: 123_456 * seed, rounds: seed, words });
  };

  it.each([
    [390, false],
    [768, true],
    [1280, false],
    [1920, true],
  ])(
    "writes at %i pixels, dark %s: nothing is cut, and the cost and what is seen stand beside",
    async (width, dark) => {
      const page = await open(width, dark);
      await page.getByRole("textbox", { name: "The text begins with" }).fill("It is told in the book that ab");
      await page.keyboard.press("Enter");
      await expect.poll(() => page.locator("#log li").last().textContent()).toBe("cdefghijklm");
      expect(await page.locator("#log li").first().textContent()).toBe("It is told in the book that ab");
      for (let seed = 1; seed < 5; seed++) {
        glimpse("P1", seed);
        glimpse("P2", seed + 10);
      }
      await expect.poll(() => page.locator("#P2 .amount").textContent()).toBe("1.73 MB, round 14, last from P1");
      expect(await page.locator("#P0 .amount").textContent()).toMatch(/seeds only/);
      expect(await page.locator("#P1 code").textContent()).toMatch(/^([0-9a-f]{4} ?){12}$/);
      expect(await page.locator("#rounds").textContent()).toBe("110");
      expect(await page.locator("#bytesOf").textContent()).toContain("predicted 11.0 kB");
      await page.screenshot({ path: join(PICTURES, `gateway-${width}.png`), fullPage: true });
      const cut = await page.evaluate(`[...document.querySelectorAll("body, body *")]
      .filter((each) => each.scrollWidth > each.clientWidth + 1 && getComputedStyle(each).display !== "inline"
        && !["TEXTAREA", "SELECT", "OPTION", "INPUT"].includes(each.tagName)
        || each.getBoundingClientRect().right > innerWidth + 1)
      .map((each) => each.tagName + "#" + each.id)`);
      expect(cut).toEqual([]);
      expect(page.trouble).toEqual([]);
      await page.context().close();
    },
  );

  it("classifies and embeds, by keyboard alone", async () => {
    answer = (asked) => (asked.length > 5 ? [0, 2] : [1, 2, 3]);
    const page = await open(800);
    await page.getByLabel("Model").selectOption("judge");
    await page.getByRole("textbox", { name: "Text" }).focus();
    await page.keyboard.type("A fine film.");
    await page.keyboard.press("Enter");
    await expect.poll(() => page.locator("#log td").allTextContents()).toEqual(["good", "0.8808", "bad", "0.1192"]);
    await page.getByLabel("Model").selectOption("place");
    await page.getByLabel("Model").focus();
    await page.keyboard.press("Tab");
    expect(await page.evaluate("document.activeElement.id")).toBe("text");
    await page.keyboard.type("here");
    await page.keyboard.press("Enter");
    await expect.poll(() => page.locator("#log li").last().textContent()).toMatch(/^3 numbers: 1.0000/);
    expect(page.trouble).toEqual([]);
    answer = alphabet;
    await page.context().close();
  });

  it("stops with Escape, shows an error with the text given back, and holds what is said for text", async () => {
    let stopped = false;
    answer = (_, signal) =>
      new Promise((_resolve, reject) => {
        signal.addEventListener("abort", () => {
          stopped = true;
          reject(signal.reason);
        });
      });
    const page = await open(800);
    await page.locator("#text").fill("ab");
    await page.keyboard.press("Enter");
    await expect.poll(() => page.locator("#log .waiting").count()).toBe(1);
    await page.keyboard.press("Escape");
    await expect.poll(() => stopped).toBe(true);
    await expect.poll(() => page.locator("#log li").last().textContent()).toBe(" (stopped)");
    answer = alphabet;
    const words = `<img src=x onerror=alert(1)>${"a".repeat(20)}`;
    await page.locator("#text").fill(words);
    await page.keyboard.press("Enter");
    await expect.poll(() => page.locator("#log .bad").textContent()).toContain("tokens, the plan takes 1 to 40");
    expect(await page.locator("#text").inputValue()).toBe(words);
    expect(await page.locator("#log img").count()).toBe(0);
    await page.context().close();
  });

  it("looks at a picture that is chosen", async () => {
    answer = () => [0, 0, 3];
    const page = await open(390);
    await page.getByLabel("Model").selectOption("eye");
    expect(await page.locator("#text").isVisible()).toBe(false);
    // One red pixel.
    const red = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg==";
    const file = { name: "red.png", mimeType: "image/png", buffer: Buffer.from(red, "base64") };
    await page.getByLabel("Drop a picture here").setInputFiles(file);
    await expect.poll(() => page.locator("#log td").first().textContent()).toBe("class 2");
    expect(await page.locator("#log li:first-child canvas").count()).toBe(1);
    expect(await page.locator("#you q").textContent()).toBe("red.png");
    await page.screenshot({ path: join(PICTURES, "gateway-picture.png"), fullPage: true });
    await page.getByLabel("Drop a picture here").setInputFiles({ ...file, buffer: Buffer.from("no picture") });
    await expect.poll(() => page.locator("#log .bad").count()).toBe(1);
    expect(page.trouble).toEqual([]);
    answer = alphabet;
    await page.context().close();
  });

  it("asks for the token where there is one", async () => {
    const guarded = await startWith(alphabet, { token: "sesame", isLocal: false });
    const page = await open(800, false, guarded.url);
    expect(await page.locator("#privacy").textContent()).toContain("as shares only");
    await page.locator("#text").fill("ab");
    await page.keyboard.press("Enter");
    await page.getByLabel("This gateway wants its token").fill("sesame");
    await page.keyboard.press("Enter");
    await page.locator("#text").press("Enter");
    await expect.poll(() => page.locator("#log li").last().textContent()).toMatch(/^cdef/);
    await expect.poll(() => page.locator("#sent .amount").textContent()).toContain("left here");
    await page.context().close();
    await guarded.close();
  });
});
