/** Parts of the page that do not come at first, as where a proxy has nothing to give for a moment. */
import assert from "node:assert";
import { readdirSync } from "node:fs";
import test from "node:test";
import { Caller, serve, until, Visitor, Way } from "./kit.js";

const PARTS = readdirSync(new URL("../../src/web/page/", import.meta.url)).filter(
  (name) => /\.(js|css)$/.test(name) && name !== "sw.js",
);

/** @typedef {import("node:test").TestContext} Test */

/** A server, bob, and a way for anna. @param {Test} t */
async function scene(t) {
  const { port, web } = await serve(t);
  return { bob: await Caller.come(t, port, "bob"), way: await Way.to(t, web) };
}

/** Anna comes to the page; what does not come is complained of. @param {Test} t @param {Way} way @param {string} [language] */
const come = (t, way, language = "en") =>
  Visitor.come(t, way.web, {
    isStrict: false,
    before: (page) =>
      page.evaluateOnNewDocument(
        (language) => Object.defineProperty(navigator, "languages", { value: [language] }),
        language,
      ),
  });

/** What stands where one types. @param {Visitor} anna @param {string} text @param {string} [field] */
const stands = (anna, text, field = "#text") =>
  until(`“${text}” in ${field}`, async () => text === (await anna.page.$eval(field, value)));
const value = (/** @type {Element} */ el) => /** @type {HTMLInputElement} */ (el).value;

/** Does something, and waits until the page has been loaded anew. @param {Visitor} anna @param {() => void} act */
async function anew(anna, act = () => {}) {
  await anna.page.evaluate(() => document.documentElement.setAttribute("data-old", ""));
  act();
  const isNew = () => !document.documentElement.hasAttribute("data-old") && document.readyState === "complete";
  await until("the page is loaded anew", () => anna.page.evaluate(isNew));
}

for (const part of PARTS)
  test(`${part} does not come at first: one can talk all the same`, async (t) => {
    const { bob, way } = await scene(t);
    let asked = 0;
    way.fails = (name) => name === part && ++asked === 1;
    const anna = await come(t, way, part === "strings-de.js" ? "de" : "en");
    // What is of the first view was asked for once there is a field, and has the page loaded anew before anybody types.
    await anna.finds("#gate input[name=name]");
    // Nothing else needs what sees that all comes.
    const least = part === "boot.js" ? 1 : 2;
    if (asked) await until(`${part} comes`, () => asked >= least);
    // What comes behind it may be missed by now, and the page loaded anew under the first letters.
    await until("a name is given", async () => {
      const field = await anna.finds("#gate input[name=name]");
      await field.click({ count: 3 });
      await field.type("anna");
      await field.press("Enter");
      return true;
    });
    await anna.isIn();
    await anna.type("half a");
    await until(`${part} comes`, () => asked >= least);
    await anna.isIn();
    await stands(anna, "half a");
    await anna.say(" line");
    await bob.hears("<anna> half a line");
    // Puppeteer goes on counting requests that a page has left behind, so it is not asked whether the network is idle.
    await anna.page.waitForFunction(() =>
      performance.getEntriesByType("resource").some(({ name }) => name.endsWith("/notify.js")),
    );
    assert.equal(await anna.page.evaluate(() => document.documentElement.lang), part === "strings-de.js" ? "de" : "en");
  });

test("a name that is being typed stays", async (t) => {
  const { bob, way } = await scene(t);
  let asked = 0;
  way.fails = (name) => name === "chat.js" && ++asked === 1;
  const anna = await come(t, way);
  await (await anna.finds("#gate input[name=name]")).type("an");
  await anew(anna);
  await stands(anna, "an", "#gate input[name=name]");
  await until("the focus", () => anna.page.evaluate(() => Boolean(document.activeElement?.matches("[name=name]"))));
  await anna.page.keyboard.type("na\n");
  await bob.hears("* anna joined");
});

test("a password that is being typed is not taken away", async (t) => {
  const { way } = await scene(t);
  let came = 0;
  way.fails = (name) => {
    came += name === "" ? 1 : 0;
    return name === "chat.js";
  };
  const anna = await come(t, way);
  await (await anna.finds("#gate summary")).click();
  const word = await anna.finds("#gate input[name=word]");
  await word.type("half");
  // It would be loaded anew by then.
  await new Promise((then) => setTimeout(then, 6000));
  assert.equal(came, 1);
  await word.evaluate((el) => {
    /** @type {HTMLInputElement} */ (el).value = "";
  });
  await until("the page is loaded anew", () => came > 1);
});

for (const [part, text, heard] of [
  ["stay.js", "hello", "<anna> hello"],
  ["deeds.js", "/topic of the day", "* anna topic of the day"],
])
  test(`what was typed and cannot be done without ${part} goes back to where one types: ${text}`, async (t) => {
    const { bob, way } = await scene(t);
    way.fails = (name) => name === part;
    const anna = await (await come(t, way)).enter("anna");
    await bob.hears("* anna joined");
    await anna.say(text);
    await stands(anna, text);
    await anew(anna, () => {
      way.fails = () => false;
    });
    await stands(anna, text);
    await anna.page.focus("#text");
    await anna.page.keyboard.press("Enter");
    await bob.hears(heard);
  });

test("nothing is asked for time and again that never comes, and nobody is interrupted", async (t) => {
  const { way } = await scene(t);
  let came = 0;
  way.fails = (name) => {
    came += name === "" ? 1 : 0;
    return name === "notify.js";
  };
  const anna = await (await come(t, way)).enter("anna");
  await until("the page is loaded anew", () => came > 1);
  const before = Date.now();
  await anna.isIn();
  // Each is a look at the page and a load of it.
  const loads = came;
  await until("the page is loaded anew", () => came > loads + 1);
  assert.ok(Date.now() - before >= 9000, "not so soon");
  way.fails = () => false;
  await anna.isIn();
});

test("where none of it comes, there is a word and another try", async (t) => {
  const { way } = await scene(t);
  way.fails = (name) => /\.(js|css)$/.test(name);
  const anna = await come(t, way);
  await anna.sees("try again", "#boot a");
  way.fails = () => false;
  await anna.page.click("#boot a");
  await anna.enter("anna");
});
