/**
 * A page in Chromium, driven through its debugging pipe: how wide its content is at a device's width, what it complains
 * of (its policy violated, something not loaded, a script's error), and a screenshot of all of it.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Readable, Writable } from "node:stream";

/** The installed browser, if any. */
export const BROWSER = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"].find(existsSync);

const FLAGS = [
  ...["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars"],
  ...["--disable-background-networking", "--disable-component-update", "--disable-sync", "--remote-debugging-pipe"],
];

type Fields = Readonly<Record<string, unknown>>;

interface Message {
  readonly id?: number;
  readonly method?: string;
  readonly params?: Fields;
  readonly result?: Fields;
  readonly error?: { readonly message: string };
}

export interface View {
  /** CSS pixels. */
  readonly width: number;
  readonly height: number;
  readonly phone: boolean;
  readonly dark: boolean;
}

export interface Seen {
  /** A PNG of the whole page. */
  readonly screenshot: Buffer;
  /** What the browser's console says. */
  readonly complaints: readonly string[];
  /** The width of the content; more than the view's means that the page must be pushed sideways. */
  readonly contentWidth: number;
  /** Words in pictures, laid over each other or cut off at the picture's edge. */
  readonly clashes: readonly string[];
}

/** Runs in the page: every visible piece of text in a picture against its neighbours and the picture's edges. */
const FIND_CLASHES = `(() => {
  const found = [];
  for (const picture of document.querySelectorAll("svg[role=img]")) {
    const edge = picture.getBoundingClientRect();
    const texts = [...picture.querySelectorAll("text")].map((text) => {
      const frame = text.ownerSVGElement.getBoundingClientRect();
      const box = text.getBoundingClientRect();
      return { words: text.textContent, box, frame };
    }).filter(({ box }) => box.width > 0);
    texts.forEach(({ words, box, frame }, i) => {
      if (box.right > edge.right + 1 || box.left < edge.left - 1) found.push(words + " over the edge");
      if (box.right > frame.right + 1) found.push(words + " wider than its box");
      for (const other of texts.slice(i + 1)) {
        const wide = Math.min(box.right, other.box.right) - Math.max(box.left, other.box.left);
        const high = Math.min(box.bottom, other.box.bottom) - Math.max(box.top, other.box.top);
        if (wide > 1 && high > 4) found.push(words + " over " + other.words);
      }
    });
  }
  return found;
})()`;

/** Opens a page of the disk as a device of this size would, with all its folded parts open. */
export async function openPage(path: string, view: View): Promise<Seen> {
  const browser = new Browser();
  try {
    return await browser.look(path, view);
  } finally {
    await browser.close();
  }
}

class Browser {
  private readonly folder = mkdtempSync(join(tmpdir(), "pumac-browser-"));
  private readonly child: ChildProcess;
  private readonly waiting = new Map<number, (message: Message) => void>();
  private readonly events: Message[] = [];
  private loaded: () => void = () => undefined;
  private session: string | undefined;
  private unread = "";
  private last = 0;

  constructor() {
    const flags = [...FLAGS, `--user-data-dir=${this.folder}`, "about:blank"];
    this.child = spawn(BROWSER!, flags, { stdio: ["ignore", "ignore", "ignore", "pipe", "pipe"] });
    (this.child.stdio[4] as Readable).on("data", (bytes: Buffer) => this.read(bytes));
  }

  async look(path: string, { width, height, phone, dark }: View): Promise<Seen> {
    const { targetId } = await this.call("Target.createTarget", { url: "about:blank" });
    this.session = (await this.call("Target.attachToTarget", { targetId, flatten: true })).sessionId as string;
    for (const domain of ["Page", "Log", "Runtime", "Network"]) {
      await this.call(`${domain}.enable`);
    }
    await this.call("Emulation.setDeviceMetricsOverride", { width, height, deviceScaleFactor: 1, mobile: phone });
    const features = [{ name: "prefers-color-scheme", value: dark ? "dark" : "light" }];
    await this.call("Emulation.setEmulatedMedia", { features });
    const done = new Promise<void>((resolve) => {
      this.loaded = resolve;
    });
    await this.call("Page.navigate", { url: `file://${path}` });
    await done;
    await this.evaluate("document.querySelectorAll('details').forEach((part) => { part.open = true; })");
    const contentWidth = Number(await this.evaluate("document.documentElement.scrollWidth"));
    const clashes = (await this.evaluate(FIND_CLASHES)) as readonly string[];
    const { data } = await this.call("Page.captureScreenshot", { captureBeyondViewport: true });
    const screenshot = Buffer.from(String(data), "base64");
    return { screenshot, complaints: this.complaints(), contentWidth, clashes };
  }

  async close(): Promise<void> {
    const gone = new Promise((resolve) => this.child.once("exit", resolve));
    this.session = undefined;
    await this.call("Browser.close");
    await gone;
    rmSync(this.folder, { recursive: true, force: true, maxRetries: 10 });
  }

  private complaints(): string[] {
    const kinds = ["Log.entryAdded", "Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Network.loadingFailed"];
    return this.events
      .filter(({ method }) => kinds.includes(method ?? ""))
      .map(({ method, params }) => `${method}: ${JSON.stringify(params)}`);
  }

  private async evaluate(expression: string): Promise<unknown> {
    const { result } = await this.call("Runtime.evaluate", { expression, returnByValue: true });
    return (result as Fields).value;
  }

  private call(method: string, params: Fields = {}): Promise<Fields> {
    const id = ++this.last;
    const message = { id, method, params, ...(this.session === undefined ? {} : { sessionId: this.session }) };
    (this.child.stdio[3] as Writable).write(`${JSON.stringify(message)}\0`);
    return new Promise((resolve, reject) => {
      this.waiting.set(id, ({ result, error }) =>
        error === undefined ? resolve(result ?? {}) : reject(new Error(`${method}: ${error.message}`)),
      );
    });
  }

  private read(bytes: Buffer): void {
    const pieces = (this.unread + bytes.toString()).split("\0");
    this.unread = pieces.pop()!;
    for (const piece of pieces) {
      const message = JSON.parse(piece) as Message;
      if (message.id !== undefined) {
        this.waiting.get(message.id)?.(message);
      } else {
        this.events.push(message);
      }
      if (message.method === "Page.loadEventFired") {
        this.loaded();
      }
    }
  }
}
