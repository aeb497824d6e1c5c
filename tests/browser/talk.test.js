/** Talking, with the page and with `nc`, over connections that break. */
import assert from "node:assert";
import test from "node:test";
import { Caller, folder, isChromium, serve, until, Visitor, Way } from "./kit.js";

test("a stranger talks after one field and one click", async (t) => {
  const { port, web } = await serve(t);
  const bob = await Caller.come(t, port, "bob");
  const anna = await Visitor.come(t, web);
  await anna.page.waitForSelector("#gate input[name=name]");
  await anna.stands("naming");
  await anna.enter("anna");
  await bob.hears("* anna joined");
  await anna.say("hello from a browser");
  await bob.hears("<anna> hello from a browser");
  bob.say("hello anna, from nc");
  await anna.sees("hello anna, from nc");
  await anna.sees("hello anna, from nc", "#log li.mention");
  await anna.misses("#log li:is(.pending, .refused, .unknown)");
  await anna.stands("talk");
});

test("a command without its slash goes back to where one types", async (t) => {
  const { port, web } = await serve(t);
  const bob = await Caller.come(t, port, "bob");
  const anna = await (await Visitor.come(t, web)).enter("anna");
  const typed = () => anna.page.$eval("#text", (el) => /** @type {HTMLTextAreaElement} */ (el).value);
  await anna.say("passwd correct-horse");
  await anna.sees("This looks like /passwd with a password");
  assert.equal(await typed(), "passwd correct-horse");
  // Sent once more it is not said either, and one goes on with it as one likes.
  await anna.say("");
  await anna.say(" is a command");
  assert.equal(await typed(), "");
  await bob.hears("<anna> passwd correct-horse is a command");
});

test("a room is in the address, and a private talk opens beside it", async (t) => {
  const { port, web } = await serve(t);
  const bob = await Caller.come(t, port, "bob", "#club");
  const anna = await (await Visitor.come(t, web, { hash: "#club" })).enter("anna");
  await anna.sees("bob", "#members li");
  bob.say("/msg anna between us");
  await anna.sees("1", "#talks .count");
  await anna.page.click("#talks button");
  await anna.sees("between us");
  await anna.say("yes");
  await bob.hears("@anna <anna> yes");
  await anna.stands("private");
});

test("what is typed without a connection goes out once and in order", async (t) => {
  const { port, web } = await serve(t);
  const way = await Way.to(t, web);
  const bob = await Caller.come(t, port, "bob");
  const anna = await (await Visitor.come(t, way.web)).enter("anna");
  await anna.say("before");
  await bob.hears("<anna> before");
  way.cut("shut");
  await anna.sees("No connection", "#bar");
  for (const text of ["one", "two", "three"]) await anna.say(text);
  await anna.sees("three", "#log li.pending");
  await anna.stands("lost");
  bob.say("meanwhile");
  way.state = "open";
  await anna.hurry();
  await anna.sees("meanwhile");
  await anna.misses("#log li.pending");
  await anna.say("after");
  const heard = [];
  while (heard.at(-1) !== "after") heard.push((await bob.hears("<anna> ")).replace(/.*<anna> /, ""));
  assert.deepEqual(heard, ["one", "two", "three", "after"]);
});

test("that a lost connection is back is told once, for a moment", async (t) => {
  const { port, web } = await serve(t);
  const way = await Way.to(t, web);
  const bob = await Caller.come(t, port, "bob");
  const anna = await (await Visitor.come(t, way.web)).enter("anna");
  await anna.loaded();
  await anna.page.$eval("#bar", (bar) => {
    const heard = /** @type {string[]} */ (Object.assign(window, { heard: [] }).heard);
    const hear = () => heard.push(bar.querySelector("p")?.firstChild?.textContent ?? "");
    new MutationObserver(hear).observe(bar, { childList: true });
  });
  for (const text of ["once", "twice"]) {
    way.cut("shut");
    await anna.sees("No connection", "#bar[role=status]");
    bob.say(text);
    way.state = "open";
    await anna.hurry();
    await anna.sees("The connection is back.", "#bar[role=status]");
    if (text === "once") await anna.stands("back");
    await anna.sees(text);
    await anna.misses("#bar p");
  }
  const heard = await anna.page.evaluate(() => /** @type {any} */ (window).heard);
  const each = ["No connection.", "The connection is back.", ""];
  assert.deepEqual(heard, [...each, ...each]);
  assert.equal(await anna.all("#log li:not(:has(.text))", (all) => all.map(({ innerText }) => innerText).join()), "");
});

test("a reload keeps name, room and what was said", async (t) => {
  const { port, web } = await serve(t);
  const bob = await Caller.come(t, port, "bob");
  const anna = await (await Visitor.come(t, web)).enter("anna");
  await anna.say("said before");
  await bob.hears("<anna> said before");
  await anna.type("a draft");
  await anna.page.reload();
  await anna.sees("said before");
  assert.equal(await anna.page.$eval("#text", (el) => /** @type {HTMLTextAreaElement} */ (el).value), "a draft");
  await anna.say(", finished");
  // Nobody has seen her go: all that bob hears before is that she is typing, or has stopped.
  let heard = await bob.hears("#lobby ");
  while (/^#lobby \* anna (typing|idle)$/.test(heard)) heard = await bob.hears("#lobby ");
  assert.equal(heard, "#lobby <anna> a draft, finished");
});

test("whoever comes back finds a line above the first that they missed, and is there", async (t) => {
  const { port, web } = await serve(t);
  const bob = await Caller.come(t, port, "bob");
  const say = (/** @type {string} */ what) =>
    bob.say(...Array.from({ length: 80 }, (_, at) => `${what} ${at + 1}.`), "/ping said");
  say("old");
  await bob.hears("+ ping said");
  const anna = await Visitor.come(t, web);
  await anna.enter("anna");
  await anna.sees("old 80.");
  await anna.loaded();
  const page = await anna.page.browserContext().newPage();
  await anna.page.close();
  say("new");
  await bob.hears("+ ping said");
  const again = new Visitor(page, web);
  await page.setViewport({ width: 1200, height: 800 });
  await page.goto(web);
  await again.finds("#log .new");
  const [told, isInSight] = await page.$eval("#log .new", (el) => {
    const log = /** @type {Element} */ (document.querySelector("#log")).getBoundingClientRect();
    const { top, bottom } = el.getBoundingClientRect();
    return [el.parentElement?.querySelector(".text")?.textContent, top >= log.top && bottom <= log.bottom];
  });
  assert.deepEqual([told, isInSight], ["new 1.", true]);
});

test("what was taken back while one was away is not there any more", async (t) => {
  const data = ["--data", folder(t)];
  const first = await serve(t, ...data);
  const way = await Way.to(t, first.web);
  const bob = await Caller.come(t, first.port, "bob");
  const anna = await (await Visitor.come(t, way.web)).enter("anna");
  await anna.loaded();
  bob.say("one", "two", "three", "four", "five");
  await anna.sees("five");
  const away = async (/** @type {string} */ line) => {
    way.cut("shut");
    await anna.sees("No connection", "#bar");
    bob.say(line);
    await bob.hears("+ erase");
  };
  const back = async (/** @type {Caller} */ other, /** @type {string} */ text) => {
    other.say(text);
    way.state = "open";
    await anna.hurry();
    await anna.sees(text);
  };
  const shows = (/** @type {string[]} */ ...texts) =>
    until(`${texts} and nothing else`, async () => {
      const all = await anna.all("#log .said .text", (all) => all.map(({ textContent }) => textContent));
      return `${all}` === `${texts}`;
    });
  // Where the place was kept the server tells of it.
  await away("/erase 2");
  await back(bob, "six");
  await shows("one", "three", "four", "five", "six");
  // Where it is gone the page asks, behind what was said meanwhile.
  await away("/erase 4 6");
  await first.end();
  const second = await serve(t, ...data);
  way.to = second.web;
  await back(await Caller.come(t, second.port, "carol"), "seven");
  await shows("one", "three", "seven");
});

test("a page that was frozen is there again, and has missed nothing", {
  skip: !isChromium && "only Chromium freezes",
}, async (t) => {
  const { port, web } = await serve(t);
  const way = await Way.to(t, web);
  const bob = await Caller.come(t, port, "bob");
  const anna = await (await Visitor.come(t, way.web)).enter("anna");
  const browser = await anna.page.createCDPSession();
  // As on a telephone: another page is looked at, and this one is frozen after a while.
  const other = await anna.page.browserContext().newPage();
  await other.bringToFront();
  await browser.send("Page.setWebLifecycleState", { state: "frozen" });
  bob.say("while anna sleeps");
  way.cut();
  bob.say("and on");
  await browser.send("Page.setWebLifecycleState", { state: "active" });
  await anna.page.bringToFront();
  await anna.sees("while anna sleeps");
  await anna.sees("and on");
});

test("a page that is offline says so, and comes back when it is online", {
  skip: !isChromium && "only Chromium is taken offline",
}, async (t) => {
  const { port, web } = await serve(t);
  const way = await Way.to(t, web);
  const bob = await Caller.come(t, port, "bob");
  const anna = await (await Visitor.come(t, way.web)).enter("anna");
  await anna.page.setOfflineMode(true);
  way.cut();
  await anna.sees("No connection", "#bar");
  await anna.say("from a tunnel");
  await anna.page.setOfflineMode(false);
  await bob.hears("<anna> from a tunnel");
  await anna.misses("#bar p");
});

test("twenty thousand lines come, and one can still talk", async (t) => {
  const { port, web } = await serve(t, "--history", "20000");
  const bob = await Caller.come(t, port, "bob");
  const anna = await (await Visitor.come(t, web)).enter("anna");
  await bob.hears("* anna joined");
  for (let i = 0; i < 20_000; i += 500) bob.say(...Array.from({ length: 500 }, (_, j) => `line ${i + j + 1}`));
  await anna.sees("line 20000", "#log ol:last-child li");
  await anna.say("I can still talk");
  await bob.hears("<anna> I can still talk");
  const rows = await anna.all("#log li", (all) => all.length);
  assert.ok(rows <= 10_050, `${rows} rows`);
  await anna.shoot("crowd");
});
