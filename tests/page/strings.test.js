/** What the page says: the same in each language, and nothing that nobody says. */
import assert from "node:assert";
import { readdirSync, readFileSync } from "node:fs";
import test from "node:test";
import { first, languages, texts } from "../../src/web/page/strings.js";

const PAGE = new URL("../../src/web/page/", import.meta.url);
const read = (name) => readFileSync(new URL(name, PAGE), "utf8");
const join = (names) => names.map(read).join("\n");
const isSource = (name) => /\.(js|html)$/.test(name) && !name.startsWith("strings");
const sources = join(readdirSync(PAGE).filter(isSource));
/** Whatever a source names a text by. */
const named = (source) =>
  [/\b(?:T\.[tn]|parts|field|part|tick|select)\(\s*"([^"]+)"/g, /data-(?:text|label)="([^"]+)"/g].flatMap((find) =>
    [...source.matchAll(find)].map(([, key]) => key),
  );
/** Keys of which the code names the beginning alone. */
const FAMILIES = /^(refusal|event|note|bye|is|rank|ask|notify|keys|unshown)\.|^type[123]$/;
const tables = Object.fromEntries(
  await Promise.all(Object.entries(languages).map(async ([lang, table]) => [lang, await table()])),
);

test("all languages have the same keys, with the same places for names and numbers", () => {
  const places = (text) => [...new Set(text.match(/\{\d\}/g))].sort().join();
  for (const [lang, table] of Object.entries(tables)) {
    assert.deepEqual(Object.keys(table).sort(), Object.keys(tables.en).sort(), lang);
    for (const [key, text] of Object.entries(table)) {
      assert.ok(text, `${lang}: ${key} says something`);
      assert.equal(places(text), places(tables.en[key]), `${lang}: ${key}`);
    }
  }
});

test("each key is used, and each that is used is there", () => {
  for (const key of Object.keys(tables.en)) {
    if (!FAMILIES.test(key)) assert.ok(sources.includes(`"${key}"`), `${key} is used`);
  }
  for (const key of named(sources)) assert.ok(key in tables.en, `${key} is there`);
});

test("the first view has all that it says", async () => {
  const early = [...read("index.html").matchAll(/(?:modulepreload" href|src)="([^"]+)"/g)].map((m) => m[1]);
  const source = join(["index.html", ...early.filter(isSource)]);
  // Where one of two is said, each is.
  const eithers = [...source.matchAll(/T\.t\([^)]*\? "(\w+)" : "(\w+)"/g)].flatMap(([, one, other]) => [one, other]);
  assert.ok(eithers.includes("now"), `${eithers}`);
  for (const key of [...named(source), ...eithers]) assert.ok(key in first, `${key} is there at once`);
  const en = await texts(["en"]);
  assert.equal(en.has("below"), false);
  await en.more();
  assert.equal(en.has("below"), true);
});

/** Refusals that nobody meets by what the page offers, and why. */
const UNMET = {
  "bad-chunk": "the page makes the chunks",
  "bad-config": "only operators reload a configuration, and the page offers nothing of that",
  locked: "instead of it there is a field for the password",
  "no-upload": "the page sends file data only after the answer that opens an upload",
};

test("whoever is refused something reads why in their own language", () => {
  const protocol = readFileSync(new URL("../../PROTOCOL.md", import.meta.url), "utf8");
  const [, chapter] = /\n## Codes\n(.*?)\n## /s.exec(protocol) ?? [];
  const rows = [...chapter.matchAll(/^\| `([a-z-]+)` \|/gm)].map((m) => m[1]);
  const others = [...chapter.matchAll(/: `([a-z-]+)` \(/g)].map((m) => m[1]);
  const codes = [...rows, ...others];
  assert.ok(rows.length >= 28 && others.length === 2, `${codes}`);
  for (const code of codes) assert.notEqual(`refusal.${code}` in tables.en, code in UNMET, code);
});

test("where the server names its operator as the one to ask, the page does", () => {
  assert.match(read("../../plain/refusal.rs"), /Quota::Registrations => .{0,300}or ask the operator/s);
  const wanted = { en: "ask whoever runs this server", de: "frage, wer diesen Server betreibt" };
  for (const [lang, words] of Object.entries(wanted))
    for (const key of ["refusal.refused.register", "refusal.too-many.register"])
      assert.ok(tables[lang][key].toLowerCase().includes(words.toLowerCase()), `${lang}: ${key}`);
});

test("a day of another year is told with that", async () => {
  const year = new Date().getFullYear();
  const at = (of) => new Date(of, 11, 1, 12).getTime();
  for (const [lang, day] of [
    ["en", "December 1"],
    ["de", "1. Dezember"],
  ]) {
    const T = await texts([lang]);
    assert.ok(T.day(at(year)).endsWith(day), T.day(at(year)));
    for (const other of [year - 1, year + 1]) assert.match(T.day(at(other)), new RegExp(`${day},? ${other}$`));
  }
});

test("a language is the first of the wanted ones that there is", async () => {
  assert.equal((await texts(["xx", "de-AT", "en"])).lang, "de");
  assert.equal((await texts(["xx"])).lang, "en");
  assert.equal((await texts([""])).lang, "en");
});

test("numbers and names are put in", async () => {
  const en = await texts(["en"]);
  await en.more();
  assert.equal(en.n("below", 1), "1 new message");
  assert.equal(en.n("below", 3), "3 new messages");
  assert.equal(en.t("sendTo", "#lobby"), "Send to #lobby");
  assert.equal(en.span(0), "for good");
  assert.equal(en.span(7200), "2 hours");
  assert.equal((await texts(["de"])).n("below", 3), "3 neue Nachrichten");
});
