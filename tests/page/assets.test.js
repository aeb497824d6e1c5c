/** What the page weighs before anybody has done anything, and which module imports which. */
import assert from "node:assert";
import { readdirSync, readFileSync } from "node:fs";
import test from "node:test";
import { gzipSync } from "node:zlib";

const PAGE = new URL("../../src/web/page/", import.meta.url);
const read = (name) => readFileSync(new URL(name, PAGE), "utf8");
const modules = readdirSync(PAGE).filter((name) => name.endsWith(".js"));

/** Each imports only what stands before it. Those before `dom.js` know no document, socket, timer or storage. */
const LAYERS = [
  [
    "late",
    "strings",
    "strings-de",
    "strings-en",
    "sha256",
    "view",
    "slips",
    "place",
    "seen",
    "talks",
    "transfer",
    "session",
    "rooms",
    "stay",
    "deeds",
  ],
  ["dom", "link", "media", "notify", "log", "composer", "lists", "gate", "offers", "dialogs", "files", "chat", "main"],
].map((names) => names.map((name) => `${name}.js`));
/** What is no module of the page: what works for the browser, and what sees that all of the page comes. */
const APART = ["sw.js", "boot.js"];

/** What a module imports at once, and what it loads when that is needed. */
const imports = (name) =>
  [...read(name).matchAll(/^(?:import|export)[^;]*?from "\.\/([^"]+)";|^import "\.\/([^"]+)";/gm)].map(
    (m) => m[1] ?? m[2],
  );
const loads = (name) => [...code(name).matchAll(/\bimport\("\.\/([^"]+)"\)/g)].map((m) => m[1]);
const code = (name) =>
  read(name)
    .replace(/\/\*.*?\*\//gs, "")
    .replace(/^\s*\/\/.*$/gm, "");

test("a module imports only what stands above it", () => {
  const all = LAYERS.flat();
  for (const name of modules.filter((name) => !APART.includes(name))) {
    assert.ok(all.includes(name), `${name} has a place`);
    for (const other of imports(name))
      assert.ok(all.indexOf(other) < all.indexOf(name) && modules.includes(other), `${name} imports ${other}`);
    for (const other of loads(name)) assert.ok(modules.includes(other), `${name} loads ${other}`);
  }
});

test("what the session is made of knows no browser", () => {
  const browser =
    /\b(document|navigator|location|localStorage|sessionStorage|WebSocket|setTimeout|setInterval|requestAnimationFrame|addEventListener)\b/;
  const session = LAYERS[0].filter((name) => modules.includes(name) && !name.startsWith("strings"));
  for (const name of session) assert.equal(browser.exec(code(name))?.[0], undefined, name);
});

test("no page loads anything from elsewhere", () => {
  for (const name of readdirSync(PAGE).filter((name) => /\.(js|css|html|webmanifest)$/.test(name))) {
    const address = /(?:src|href|url|from|import)\s*[(=]?\s*["'(](?:https?:)?\/\/[^"')]*/.exec(
      read(name).replaceAll("http://www.w3.org/2000/svg", ""),
    );
    assert.equal(address?.[0], undefined, name);
  }
});

test("what the first view needs, and nothing else, is asked for at once", () => {
  const needed = new Set();
  for (const queue = ["main.js"]; queue.length; ) {
    const name = queue.pop();
    needed.add(name);
    queue.push(...imports(name));
  }
  const named = [...read("index.html").matchAll(/(?:modulepreload" href|script type="module" src)="([^"]+)"/g)];
  assert.deepEqual(named.map((m) => m[1]).sort(), [...needed].sort());
});

test("the first view is small", () => {
  const needed = new Set(["index.html", "boot.js", "style.css"]);
  for (const queue = ["main.js"]; queue.length; ) {
    const name = queue.pop();
    if (!needed.has(name)) queue.push(...imports(name));
    needed.add(name);
  }
  const files = [...needed].map((name) => ({
    name,
    bytes: Buffer.byteLength(read(name)),
    zipped: gzipSync(read(name), { level: 9 }).length,
  }));
  const sum = (of) => files.reduce((all, file) => all + file[of], 0);
  const told = JSON.stringify(files, null, 1);
  assert.ok(files.length <= 20, `${files.length} requests: ${told}`);
  assert.ok(sum("bytes") <= 90_000, `${sum("bytes")} bytes: ${told}`);
  assert.ok(sum("zipped") <= 28_000, `${sum("zipped")} bytes zipped: ${told}`);
});
