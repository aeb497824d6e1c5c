/** What the tests in browsers share: a server, a front that can be cut, browsers, people with a page, and one without. */
import assert from "node:assert";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import http from "node:http";
import { createRequire } from "node:module";
import net from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { createInterface } from "node:readline";
import { after } from "node:test";
import puppeteer from "puppeteer-core";
import { WebSocketServer } from "ws";

/** How long anything is waited for, in ms. */
export const PATIENCE = 60_000;
/** The browser that is tested: `chromium` or `firefox`. */
export const BROWSER = process.env.BROWSER ?? "chromium";
export const isChromium = BROWSER === "chromium";
/** Pictures of the page, for a person to look at. */
const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const SHOTS = new URL("../../target/screenshots/", import.meta.url);

/** Modules that come behind the first view, in any talk. */
const LATE = ["dialogs", "files", "notify", "offers", "stay"];

/** @typedef {import("node:test").TestContext} Test */

/** What ends with a test, the newest first. @type {WeakMap<Test, (() => unknown)[]>} */
const endings = new WeakMap();

/** @param {Test} t @param {() => unknown} end */
function ends(t, end) {
  const all = endings.get(t) ?? [];
  all.push(end);
  if (endings.has(t)) return;
  endings.set(t, all);
  t.after(async () => {
    /** @type {unknown[]} */
    const wrong = [];
    while (all.length) {
      try {
        await all.pop()?.();
      } catch (error) {
        wrong.push(error);
      }
    }
    if (wrong.length) throw wrong[0];
  });
}

/** Waits until something is there. A page that is loaded anew in between cannot be asked, and is asked once more.
 * @template T @param {string} what @param {() => T | Promise<T>} ask @returns {Promise<NonNullable<T>>} */
export async function until(what, ask) {
  for (const end = Date.now() + PATIENCE; ; await new Promise((next) => setTimeout(next, 50))) {
    /** @type {unknown} */
    let cause;
    try {
      const found = await ask();
      if (found) return found;
    } catch (error) {
      cause = error;
    }
    if (Date.now() > end) throw new Error(`waited in vain: ${what}`, { cause });
  }
}

/** A folder that goes with the test. @param {Test} t */
export function folder(t) {
  const made = mkdtempSync(path.join(tmpdir(), "chinwag-"));
  ends(t, () => rmSync(made, { recursive: true, force: true }));
  return made;
}

/**
 * A server with a door for browsers, which ends with the test.
 * @param {Test} t @param {...string} options
 * @returns {Promise<{ port: number, web: string, door: string, end(): Promise<void> }>} the port for lines, the page's address, and
 *   that of the server's own door, if the page is another
 */
export async function serve(t, ...options) {
  const program = process.env.CHINWAG;
  assert.ok(program, "CHINWAG names no program to test");
  const doors = options.includes("--web") ? [] : ["--web", "127.0.0.1:0"];
  const rate = options.includes("--rate") ? [] : ["--rate", "0"];
  const all = ["serve", "--listen", "127.0.0.1:0", ...rate, ...doors, ...options];
  const child = spawn(program, all, { stdio: ["ignore", "pipe", "ignore"] });
  ends(t, () => child.kill("SIGKILL"));
  let port = 0;
  let web = "";
  for await (const line of createInterface(child.stdout)) {
    port ||= Number(/^listening .*:(\d+)$/.exec(line)?.[1] ?? 0);
    web ||= /^web (http:\S+)$/.exec(line)?.[1] ?? "";
    if (port && web) break;
  }
  assert.ok(port && web, "the server has said where it listens");
  const end = async () => {
    child.kill("SIGTERM");
    await once(child, "exit");
  };
  const { CHINWAG_PAGE } = process.env;
  return { port, web: CHINWAG_PAGE ? await front(t, web, CHINWAG_PAGE) : web, door: web, end };
}

/** @type {Record<string, string>} */
const KINDS = { js: "text/javascript", css: "text/css", html: "text/html", svg: "image/svg+xml", png: "image/png" };

/**
 * Serves a page that lies in a folder as the door serves its own, and leaves all else to the door: so a page is tried that no
 * program has in it yet.
 * @param {Test} t @param {string} web @param {string} folder
 */
async function front(t, web, folder) {
  const { hostname, port } = new URL(web);
  const own = await fetch(web);
  const headers = Object.fromEntries(
    [...own.headers].filter(([name]) => !/^(etag|content-|date)(?!.*policy)/.test(name)),
  );
  const server = http.createServer((request, response) => {
    const name = new URL(request.url ?? "", web).pathname.slice(1) || "index.html";
    const kind = KINDS[name.split(".").at(-1) ?? ""] ?? "application/manifest+json";
    try {
      const bytes = readFileSync(`${folder}/${name}`);
      response.writeHead(200, { ...headers, "content-type": `${kind}; charset=utf-8` }).end(bytes);
    } catch {
      response.writeHead(404, headers).end();
    }
  });
  server.on("upgrade", (request, socket) => {
    const door = net.connect(Number(port), hostname);
    const fields = request.rawHeaders.map((one, i) => (i % 2 ? `${one}\r\n` : `${one}: `)).join("");
    door.write(`GET ${request.url} HTTP/1.1\r\n${fields}\r\n`);
    for (const [from, to] of [
      [door, socket],
      [socket, door],
    ]) {
      from.on("error", () => to.destroy());
      from.on("close", () => to.destroy());
      from.pipe(to);
    }
  });
  return listen(t, server);
}

/** @param {Test} t @param {http.Server | net.Server} server */
async function listen(t, server) {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  ends(t, () => server.close());
  return `http://127.0.0.1:${/** @type {net.AddressInfo} */ (server.address()).port}/`;
}

/** A page of somebody else, at an address of its own. @param {Test} t @param {string} html */
export const elsewhere = (t, html) =>
  listen(
    t,
    http.createServer((_, response) =>
      response.writeHead(200, { "content-type": "text/html; charset=utf-8" }).end(html),
    ),
  );

/** The way to a server, on which WebSockets are cut, swallowed or led elsewhere, as the network of a telephone does. The page itself comes through. */
export class Way {
  /** @type {Set<net.Socket>} */ #sockets = new Set();
  /** What becomes of a new WebSocket: it is taken, hears nothing, or is closed at once. @type {"open" | "silent" | "shut"} */
  state = "open";
  web = "";
  /** Where WebSockets go. */
  to;
  /** What of the page does not come: a proxy says that it has nothing to give. @type {(name: string) => boolean} */
  fails = () => false;
  /** Changes what the server says. @type {(bytes: Buffer) => Buffer} */
  rewrite = (bytes) => bytes;

  /** @param {string} web */
  constructor(web) {
    this.to = web;
  }

  /** @param {Test} t @param {string} web */
  static async to(t, web) {
    const way = new Way(web);
    const server = net.createServer((client) => {
      client.on("error", () => {});
      client.once("data", (head) => way.#lead(client, head, web));
    });
    way.web = await listen(t, server);
    ends(t, () => way.cut());
    return way;
  }

  /** @param {net.Socket} client @param {Buffer} head @param {string} web */
  #lead(client, head, web) {
    const isSocket = head.toString().startsWith("GET /ws ");
    if (isSocket) this.#sockets.add(client);
    client.on("close", () => this.#sockets.delete(client));
    if (isSocket && this.state === "shut") return client.destroy();
    if (isSocket && this.state === "silent") return client.resume();
    const name = /^\S+ \/(?:\S*\/)?(\S*) /.exec(head.toString())?.[1] ?? "";
    if (!isSocket && this.fails(name)) return client.end("HTTP/1.1 502 Bad Gateway\r\nConnection: close\r\n\r\n");
    const { hostname, port } = new URL(isSocket ? this.to : web);
    const door = net.connect(Number(port), hostname);
    door.on("error", () => {});
    door.write(head);
    client.on("data", (bytes) => door.write(bytes)).on("close", () => door.destroy());
    door.on("data", (bytes) => client.write(isSocket ? this.rewrite(bytes) : bytes)).on("close", () => client.end());
  }

  /** Breaks every WebSocket without a word. @param {"open" | "silent" | "shut"} state of those that come after */
  cut(state = "open") {
    this.state = state;
    for (const socket of this.#sockets) socket.resetAndDestroy();
  }
}

/** A server that says what it is told, to whoever connects. @param {Test} t @param {(say: (...lines: string[]) => void, close: (code: number) => void) => void} greet */
export async function puppet(t, greet) {
  const server = http.createServer();
  const sockets = new WebSocketServer({ server });
  sockets.on("connection", (socket) => {
    socket.on("error", () => {});
    // To all that it is asked it says yes, but for a place, which it has not kept.
    socket.on("message", (data) => {
      for (const line of String(data)
        .split("\n")
        .filter((line) => line[0] === "/"))
        socket.send(line.startsWith("/resume ") ? "! resume gone there is no such place\n" : `+ ${line.slice(1)}\n`);
    });
    greet(
      (...lines) => socket.send(lines.map((line) => `${line}\n`).join("")),
      (code) => socket.close(code),
    );
  });
  ends(t, () => {
    for (const socket of sockets.clients) socket.terminate();
  });
  return listen(t, server);
}

/** Names that this machine's browsers take for this machine, as a name server of somebody else could have it. */
export const NAMES = ["chat.example.org", "127.0.0.1.example.org", "localhost.example.org", "chat.test"];
/** @typedef {Promise<import("puppeteer-core").Browser>} Running */
/** All that run, and those that no test has now. */
const running = /** @type {Running[]} */ ([]);
const idle = /** @type {Running[]} */ ([]);
/** Those that tests have. @type {WeakMap<Test, Running>} */
const taken = new WeakMap();

/** A browser that no other test has at the same time, as one window alone of a browser has the focus. @param {Test} t */
function browser(t) {
  const has = taken.get(t);
  if (has) return has;
  const got = idle.pop() ?? launch();
  taken.set(t, got);
  ends(t, () => idle.push(got));
  return got;
}

function launch() {
  const root = process.getuid?.() === 0 ? ["--no-sandbox"] : [];
  const rules = NAMES.map((name) => `MAP ${name} 127.0.0.1`).join();
  const launched = puppeteer.launch({
    browser: isChromium ? "chrome" : "firefox",
    executablePath: isChromium ? "/usr/bin/chromium" : "/usr/bin/firefox-esr",
    headless: true,
    // /dev/shm is small in containers.
    args: isChromium ? [...root, "--disable-dev-shm-usage", `--host-resolver-rules=${rules}`] : [],
    extraPrefsFirefox: { "network.dns.localDomains": NAMES.join(), "permissions.default.desktop-notification": 1 },
    timeout: PATIENCE,
    protocolTimeout: 2 * PATIENCE,
  });
  running.push(launched);
  return launched;
}
after(() => Promise.all(running.map(async (one) => (await one).close())));

/**
 * Ends somebody's browser. Chromium now and then never answers that a page is gone which was about to load: what was to be seen has
 * been seen by then, and the page goes with the browser.
 * @param {import("puppeteer-core").BrowserContext} context
 */
function forget(context) {
  const late = new Promise((then) => setTimeout(then, PATIENCE / 6, null).unref());
  return Promise.race([context.close().catch(() => {}), late]);
}

/** Somebody who has the page open. */
export class Visitor {
  /** What the browser complained of. @type {string[]} */
  complaints = [];
  /** Addresses that were asked for. @type {string[]} */
  asked = [];
  page;
  web;

  /** @param {import("puppeteer-core").Page} page @param {string} web */
  constructor(page, web) {
    this.page = page;
    this.web = web;
    page.setDefaultTimeout(PATIENCE);
    // A connection that fails is told by the browser itself.
    const complain = (/** @type {string} */ text) => /ERR_|WebSocket|wss?:/.test(text) || this.complaints.push(text);
    page.on("console", (message) => ["error", "warn"].includes(message.type()) && complain(message.text()));
    page.on("pageerror", (error) => complain(String(/** @type {Error} */ (error)?.stack ?? error)));
    page.on("request", (request) => this.asked.push(request.url()));
  }

  /**
   * Comes to the page in a browser of their own. Nothing may be complained of, nor asked for elsewhere, until the test ends.
   * @param {Test} t @param {string} web
   * @param {{ hash?: string, width?: number, height?: number, dark?: boolean, before?: (page: import("puppeteer-core").Page) => Promise<unknown>, isStrict?: false }} [o]
   */
  static async come(t, web, o = {}) {
    const context = await (await browser(t)).createBrowserContext();
    // A tab behind another draws nothing in Firefox.
    const page = await context.newPage(isChromium ? undefined : { type: "window" });
    const visitor = new Visitor(page, web);
    ends(t, () => forget(context));
    ends(t, () => {
      if (o.isStrict === false) return;
      assert.deepEqual(visitor.complaints, [], "the browser complains of nothing");
      visitor.asksNobodyElse();
    });
    await page.setViewport({ width: o.width ?? 1200, height: o.height ?? 800 });
    if (isChromium)
      await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: o.dark ? "dark" : "light" }]);
    await o.before?.(page);
    await page.goto(web + (o.hash ?? ""));
    return visitor;
  }

  asksNobodyElse() {
    const own = [this.web, this.web.replace(/^http/, "ws"), "blob:", "data:", "about:"];
    assert.deepEqual(
      this.asked.filter((url) => !own.some((one) => url.startsWith(one))),
      [],
      "nothing is asked for elsewhere",
    );
  }

  /** Comes in under a name. @param {string} name */
  async enter(name) {
    const field = await this.finds("#gate input[name=name]");
    await field.type(name);
    await field.press("Enter");
    await this.isIn();
    return this;
  }

  /** Waits for what is shown. @param {string} selector */
  finds(selector) {
    return until(selector, () => this.page.waitForSelector(selector, { visible: true }));
  }

  /** Waits until one is where one talks. */
  isIn() {
    return this.finds("body[data-state=in] #app:not([hidden]) #log");
  }

  /** Waits until what the first view can do without is there too, and has begun. */
  async loaded() {
    await this.page.waitForFunction(
      async (late) => {
        const urls = performance.getEntriesByType("resource").map(({ name }) => name);
        const all = late.map((part) => urls.find((url) => url.endsWith(`/${part}.js`)));
        if (!all.every((url) => url !== undefined)) return false;
        await Promise.all(all.map((url) => import(url)));
        return true;
      },
      { polling: 50 },
      LATE,
    );
  }

  /** @param {string} text */
  async say(text) {
    await this.type(text);
    await this.page.keyboard.press("Enter");
  }

  /** @param {string} text */
  async type(text) {
    // What is behind a dialog takes no focus.
    await (await this.finds("body:not(:has(dialog:modal)) #text")).focus();
    await this.page.keyboard.type(text);
  }

  /** Waits until something that `selector` finds shows a text. @param {string} text @param {string} [selector] */
  async sees(text, selector = "#log li") {
    // What is hidden is not seen.
    return this.#settles(
      `${selector} shows “${text}”`,
      selector,
      (all, text) => all.some((el) => /** @type {HTMLElement} */ (el).innerText.includes(text)),
      text,
    );
  }

  /** Waits until `selector` finds nothing that is shown. @param {string} selector */
  async misses(selector) {
    return this.#settles(`no ${selector}`, selector, (all) => !all.some((el) => el.checkVisibility()), "");
  }

  /** @param {string} what @param {string} selector @param {(all: Element[], text: string) => boolean} holds @param {string} text */
  async #settles(what, selector, holds, text) {
    const source = `(selector, text) => (${holds})([...document.querySelectorAll(selector)], text)`;
    try {
      await this.page.waitForFunction(`(${source})(${JSON.stringify(selector)}, ${JSON.stringify(text)})`, {
        polling: 100,
      });
    } catch (error) {
      const seen = await this.page.evaluate(() => document.body.innerText).catch(() => "nothing");
      throw new Error(`waited in vain: ${what}\n${seen}\n${this.complaints.join("\n")}`, { cause: error });
    }
  }

  /** Presses a button by what it says. @param {string} label @param {string} [within] */
  async press(label, within = "") {
    // What is drawn anew in between is looked for again.
    await this.page.locator(`${within} ::-p-aria([name="${label}"][role="button"])`).setTimeout(PATIENCE).click();
  }

  /** Has a lost connection tried again at once, if it is not by itself. */
  hurry() {
    return this.page.evaluate(() => /** @type {HTMLElement | null} */ (document.querySelector("#bar button"))?.click());
  }

  /** @template T @param {string} selector @param {(all: HTMLElement[]) => T} f @returns {Promise<T>} */
  all(selector, f) {
    return this.page.$$eval(selector, /** @type {any} */ (f));
  }

  /** Keeps a picture of the page, for a person to look at. @param {string} name */
  async shoot(name) {
    mkdirSync(SHOTS, { recursive: true });
    await this.page.screenshot({
      path: /** @type {`${string}.png`} */ (new URL(`${BROWSER}-${name}.png`, SHOTS).pathname),
    });
  }

  /**
   * What axe finds wrong with the page as it stands. It comes over the browser's own door, as the page lets no script in.
   * @param {"all" | "colours"} [what] the rules that are gone by: where only the light has changed, those that look at colours
   */
  async audit(what = "all") {
    if (!(await this.page.evaluate(() => "axe" in window))) await this.page.evaluate(AXE);
    const wrong = await this.page.evaluate(async (what) => {
      const tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];
      const runOnly = what === "all" ? tags : { type: "rule", values: ["color-contrast", "link-in-text-block"] };
      const { violations } = await /** @type {any} */ (window).axe.run({ runOnly, resultTypes: ["violations"] });
      return violations.map(
        (/** @type {any} */ { id, nodes }) =>
          `${id}: ${nodes.map((/** @type {any} */ node) => `${node.html} ${node.failureSummary}`)}`,
      );
    }, what);
    assert.deepEqual(wrong, []);
    if (what !== "all") return;
    const told = await this.all("[title]", (all) =>
      all.filter((el) => el.title === el.ariaLabel && !el.matches(":hover")).map((el) => el.title),
    );
    assert.deepEqual(told, [], "nothing is called the same twice");
    const [width, wide] = await this.page.evaluate(() => [
      document.documentElement.clientWidth,
      document.documentElement.scrollWidth,
    ]);
    assert.ok(wide <= width, `${wide} px of content in ${width}`);
  }

  /**
   * Audits the page and keeps pictures of it, as it stands now: in the light on a screen, and in the dark, from right to left, on the
   * smallest telephone.
   * @param {string} name
   */
  async stands(name) {
    const { page } = this;
    await this.shoot(name);
    await this.audit();
    await this.#light("dark");
    await this.audit("colours");
    await page.setViewport({ width: 320, height: 640 });
    await page.evaluate(() => {
      document.documentElement.dir = "rtl";
    });
    await this.shoot(`${name}-small`);
    await this.audit();
    await this.#light("light");
    await this.audit("colours");
    await page.evaluate(() => {
      document.documentElement.dir = "ltr";
    });
    await page.setViewport({ width: 1200, height: 800 });
  }

  /** Shows the page as on a device that is so; in Firefox, where a device cannot be played, as in a page that is set so. @param {"light" | "dark"} value */
  #light(value) {
    if (isChromium) return this.page.emulateMediaFeatures([{ name: "prefers-color-scheme", value }]);
    return this.page.evaluate((value) => {
      document.documentElement.dataset.theme = value;
    }, value);
  }
}

/** Somebody with `nc`: lines and nothing else. */
export class Caller {
  /** @type {string[]} */ #lines = [];
  #rest = "";
  #woken = () => {};
  #socket;

  /** @param {net.Socket} socket */
  constructor(socket) {
    this.#socket = socket;
    socket.setEncoding("utf8");
    socket.on("error", () => {});
    socket.on("data", (text) => {
      const lines = (this.#rest + text).split("\n");
      this.#rest = lines.pop() ?? "";
      this.#lines.push(...lines);
      this.#woken();
    });
  }

  /** @param {Test} t @param {number} port @param {string} name @param {string} room */
  static async come(t, port, name, room = "#lobby") {
    const socket = net.connect(port, "127.0.0.1");
    ends(t, () => socket.destroy());
    const caller = new Caller(socket);
    caller.say(`/nick ${name}`, `/join ${room}`);
    await caller.hears("+ join");
    return caller;
  }

  /** @param {...string} lines */
  say(...lines) {
    this.#socket.write(`${lines.join("\n")}\n`);
  }

  /** Sends a file. @param {string} to @param {string} name @param {Buffer} bytes */
  async gives(to, name, bytes) {
    this.say(`/send ${to} ${bytes.length} ${name}`);
    for (let at = 0; at < bytes.length; at += 48 * 1024) this.say(`=${bytes.toString("base64", at, at + 48 * 1024)}`);
    await this.hears(` . ${bytes.length} sha256:`);
  }

  /** The next line with this in it; those before are passed over. @param {string} part */
  async hears(part) {
    const end = Date.now() + PATIENCE;
    for (;;) {
      for (let line = this.#lines.shift(); line !== undefined; line = this.#lines.shift())
        if (line.includes(part)) return line;
      await new Promise((resolve, reject) => {
        const timer = setTimeout(() => reject(new Error(`nobody said “${part}”`)), end - Date.now());
        this.#woken = () => {
          clearTimeout(timer);
          resolve(null);
        };
      });
    }
  }
}
