/** What the page says: the same in each language, and nothing that nobody says. */
import assert from "node:assert";
import { readdirSync, readFileSync } from "node:fs";
import test from "node:test";
import { languages, texts } from "../../src/web/page/strings.js";

const PAGE = new URL("../../src/web/page/", import.meta.url);
const sources = readdirSync(PAGE)
  .filter((name) => /\.(js|html)$/.test(name) && !name.startsWith("strings"))
  .map((name) => readFileSync(new URL(name, PAGE), "utf8"))
  .join("\n");
/** Keys of which the code names the beginning alone. */
const FAMILIES = /^(refusal|event|note|bye|is|rank|ask|notify)\.|^type[123]$/;
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
  for (const [, key] of sources.matchAll(/\b(?:T\.[tn]|parts|field|part|tick|select)\(\s*"([^"]+)"/g))
    assert.ok(key in tables.en, `${key} is there`);
  for (const [, key] of sources.matchAll(/data-(?:text|label)="([^"]+)"/g))
    assert.ok(key in tables.en, `${key} is there`);
});

test("a language is the first of the wanted ones that there is", async () => {
  assert.equal((await texts(["xx", "de-AT", "en"])).lang, "de");
  assert.equal((await texts(["xx"])).lang, "en");
  assert.equal((await texts([""])).lang, "en");
});

test("numbers and names are put in", async () => {
  const en = await texts(["en"]);
  assert.equal(en.n("below", 1), "1 new message");
  assert.equal(en.n("below", 3), "3 new messages");
  assert.equal(en.t("sendTo", "#lobby"), "Send to #lobby");
  assert.equal(en.span(0), "for good");
  assert.equal(en.span(7200), "2 hours");
  assert.equal(en.refusal("nonsense", "what the server says"), "what the server says");
  assert.equal((await texts(["de"])).n("below", 3), "3 neue Nachrichten");
});
