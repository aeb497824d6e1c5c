/** What the page costs in Chromium, beside what it may: `scripts/bench page`. Prints a table as PERFORMANCE.md has it. */
import assert from "node:assert";
import { randomBytes } from "node:crypto";
import { writeFileSync } from "node:fs";
import { loadavg } from "node:os";
import path from "node:path";
import { Caller, folder, isChromium, serve, Visitor } from "./kit.js";

/** @typedef {import("node:test").TestContext} Test */

assert.ok(isChromium, "only Chromium tells what it has done");
/** Lines of the flood. */
const LINES = 20_000;
/** Bytes of the file: what a server takes at most by itself. */
const LARGE = 100e6;

/** @type {(() => unknown)[]} */
const endings = [];
/** What ends with a test ends with the program. */
const t = /** @type {Test} */ (
  /** @type {unknown} */ ({ after: (/** @type {() => unknown} */ end) => endings.push(end) })
);

/** @param {number[]} of */
const median = (of) => of.toSorted((a, b) => a - b)[of.length >> 1];
/** Prints a figure. @param {string} what @param {number | string} is @param {string} [target] @param {boolean} [isMet] */
const row = (what, is, target = "", isMet) =>
  console.log(`| ${what} | ${is} | ${target} | ${isMet === undefined ? "" : isMet ? "met" : "**MISSED**"} |`);
/** The same, of something that may be so much at most. @param {string} what @param {number} is @param {number} most @param {number} [digits] */
const most = (what, is, most, digits = 0) => row(what, is.toFixed(digits), `≤ ${most}`, is <= most);

/** What Chromium has done for a page so far, in ms, and its heap in MB. @param {Visitor} visitor */
async function done(visitor) {
  const {
    ScriptDuration = 0,
    LayoutDuration = 0,
    RecalcStyleDuration = 0,
    JSHeapUsedSize = 0,
  } = await visitor.page.metrics();
  return {
    script: ScriptDuration * 1e3,
    layout: (LayoutDuration + RecalcStyleDuration) * 1e3,
    heap: JSHeapUsedSize / 1e6,
  };
}

/** How soon one can begin, and how soon one who was here before sees what was said. */
async function first() {
  const { port, web } = await serve(t);
  const bob = await Caller.come(t, port, "bob");
  bob.say("the first line");
  const before = (/** @type {import("puppeteer-core").Page} */ page) =>
    page.evaluateOnNewDocument(() => {
      const seen = /** @type {any} */ (window);
      new MutationObserver(() => {
        for (const [name, selector] of [
          ["field", "#gate input[name=name]"],
          ["line", "#log li.said"],
        ])
          if (!seen[name] && document.querySelector(selector))
            requestAnimationFrame(() => {
              seen[name] ??= performance.now();
            });
      }).observe(document, { childList: true, subtree: true });
    });
  const visitor = await Visitor.come(t, web, { before });
  const at = (/** @type {string} */ name) =>
    visitor.page
      .waitForFunction((name) => /** @type {any} */ (window)[name], { polling: 50 }, name)
      .then((handle) => /** @type {Promise<number>} */ (handle.jsonValue()));
  const field = await at("field");
  // What it names itself: all else comes behind it.
  const asked = await visitor.page.evaluate(() => {
    const named = document.querySelectorAll("link:is([rel=stylesheet], [rel=modulepreload]), script[src]");
    const urls = [...named].map((el) => (el instanceof HTMLLinkElement ? el.href : /** @type {any} */ (el).src));
    return [location.href, ...urls].map((url) => {
      const [entry] = performance.getEntriesByName(url);
      return /** @type {PerformanceResourceTiming | undefined} */ (entry)?.encodedBodySize ?? Number.NaN;
    });
  });
  most("first view: requests", asked.length, 20);
  most("first view: kB, not compressed", asked.reduce((sum, bytes) => sum + bytes, 0) / 1e3, 90, 1);
  row("until one can type a name, ms", field.toFixed());
  await visitor.enter("anna");
  const lines = [];
  for (let i = 0; i < 5; i++) {
    await visitor.page.reload();
    lines.push(await at("line"));
  }
  most("who was here before: until the first line is shown, ms", median(lines), 1000);
}

/** A flood, and then the log that it leaves: one may come in a line at a time too. */
async function flood() {
  const { port, web } = await serve(t, "--history", String(LINES));
  const bob = await Caller.come(t, port, "bob");
  const anna = await (await Visitor.come(t, web)).enter("anna");
  await anna.loaded();
  const was = await done(anna);
  const began = performance.now();
  for (let i = 0; i < LINES; i += 500) bob.say(...Array.from({ length: 500 }, (_, j) => `line ${i + j + 1}`));
  await anna.sees(`line ${LINES}`, "#log ol:last-child li");
  const took = performance.now() - began;
  const is = await done(anna);
  most(`${LINES} lines: script, µs a line`, ((is.script - was.script) * 1e3) / LINES, 200);
  row(`${LINES} lines: layout and style, µs a line`, (((is.layout - was.layout) * 1e3) / LINES).toFixed());
  row(`${LINES} lines: until the last is shown, s`, (took / 1e3).toFixed(1));
  const rows = await anna.all("#log li", (all) => all.length);
  const log = await anna.page.evaluate(() => {
    const app = /** @type {HTMLElement} */ (document.querySelector("#app"));
    const log = /** @type {HTMLElement} */ (document.querySelector("#log"));
    app.hidden = true;
    log.getBoundingClientRect();
    const began = performance.now();
    app.hidden = false;
    log.scrollTop = log.scrollHeight;
    return performance.now() - began;
  });
  most(`${rows} rows: layout of all, ms`, log, 17, 1);
  /** @type {number[]} */
  const adds = [];
  for (let i = 0; i < 20; i++) {
    const add = anna.page.evaluate(
      () =>
        new Promise((resolve) => {
          const root = /** @type {HTMLElement} */ (document.querySelector("#log"));
          const on = new MutationObserver(() => {
            on.disconnect();
            const began = performance.now();
            requestAnimationFrame(() => resolve(performance.now() - began));
          });
          on.observe(root, { childList: true, subtree: true });
        }),
    );
    bob.say(`one more, ${i}`);
    adds.push(/** @type {number} */ (await add));
  }
  most(`${rows} rows: a new one to its frame, ms (median of 20)`, median(adds), 17, 1);
  const frames = await anna.page.evaluate(async () => {
    const log = /** @type {HTMLElement} */ (document.querySelector("#log"));
    const times = [];
    let last = await new Promise(requestAnimationFrame);
    for (let i = 0; i < 60; i++) {
      log.scrollBy(0, -300);
      const now = await new Promise(requestAnimationFrame);
      times.push(now - last);
      last = now;
    }
    return times;
  });
  most(`${rows} rows: scrolling, ms a frame (median of 60)`, median(frames), 17, 1);
}

/** A large file each way, at the rate that a server has by itself. */
async function transfers() {
  const { port, web } = await serve(t, "--rate", "20");
  const bob = await Caller.come(t, port, "bob");
  const anna = await (await Visitor.come(t, web)).enter("anna");
  const carol = await (await Visitor.come(t, web)).enter("carol");
  await Promise.all([anna.loaded(), carol.loaded()]);
  const file = path.join(folder(t), "large.bin");
  writeFileSync(file, randomBytes(LARGE));
  const input = /** @type {import("puppeteer-core").ElementHandle<HTMLInputElement> | null} */ (
    await anna.page.$("#pick-file")
  );
  await input?.uploadFile(file);
  /** Whether it is done, and the most heap meanwhile. @param {Visitor} visitor @param {string} bar of its progress */
  const runs = async (visitor, bar) => {
    await visitor.page.waitForSelector(bar);
    const began = performance.now();
    let heap = 0;
    while (await visitor.page.$(bar)) {
      heap = Math.max(heap, (await done(visitor)).heap);
      await new Promise((resolve) => setTimeout(resolve, 250));
    }
    return { took: (performance.now() - began) / 1e3, heap };
  };
  await anna.press("Send", "dialog");
  const up = await runs(anna, "#transfers progress");
  await bob.hears("* anna file ");
  const kept = await carol.page.browser().target().createCDPSession();
  await kept.send("Browser.setDownloadBehavior", {
    behavior: "allow",
    browserContextId: carol.page.browserContext().id,
    downloadPath: folder(t),
  });
  await carol.press("Save large.bin");
  const down = await runs(carol, "#log progress");
  const mb = LARGE / 1e6;
  most(`${mb} MB up: s`, up.took, 13, 1);
  most(`${mb} MB down: s`, down.took, 14, 1);
  row(`${mb} MB: the most JavaScript heap, up and down, MB`, `${up.heap.toFixed()}, ${down.heap.toFixed()}`);
}

console.log("| the page in Chromium | is | target | |\n| --- | --- | --- | --- |");
try {
  for (const part of [first, flood, transfers]) await part();
  row("load of the machine in the last minute", loadavg()[0].toFixed(1));
} finally {
  for (const end of endings.reverse()) await end();
}
