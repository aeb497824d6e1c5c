/** Every state that the page can be in, each looked at by axe and kept as a picture. */
import assert from "node:assert";
import { writeFileSync } from "node:fs";
import path from "node:path";
import test from "node:test";
import { Caller, folder, puppet, serve, Visitor, Way } from "./kit.js";

/** @typedef {import("node:test").TestContext} Test */

const HELLO = "* hello guest1 chinwag/0.2.0 1 online; /join #lobby to talk, /nick NAME to be known, /help for the rest";

/** A server with a password, and its page. @param {Test} t */
async function locked(t) {
  const file = path.join(folder(t), "password");
  writeFileSync(file, "open sesame\n");
  return serve(t, "--password-file", file);
}

/** Fills a field, whatever is in it. @param {Visitor} visitor @param {string} name @param {string} text */
async function fill(visitor, name, text) {
  const field = await visitor.page.waitForSelector(`#gate input[name=${name}]`, { visible: true });
  await field?.click({ count: 3 });
  await field?.type(text);
}

test("connecting: after a while it says to what", async (t) => {
  const { web } = await serve(t);
  const way = await Way.to(t, web);
  way.state = "silent";
  const anna = await Visitor.come(t, way.web);
  await anna.sees("Connecting to 127.0.0.1", "#gate");
  await anna.stands("connecting");
});

test("locked: a password is asked for, and one is told how many tries are left", async (t) => {
  const { web } = await locked(t);
  const anna = await Visitor.come(t, web);
  await fill(anna, "name", "anna");
  await fill(anna, "pass", "wrong");
  await anna.stands("locked");
  await anna.page.keyboard.press("Enter");
  await anna.sees("4 tries are left", "#gate");
  await anna.stands("locked-wrong");
  await fill(anna, "pass", "open sesame");
  await anna.page.keyboard.press("Enter");
  await anna.sees("anna", "#members li");
});

test("locked: whoever looks the password up goes on typing when the server has closed", async (t) => {
  const { web } = await serve(t);
  const way = await Way.to(t, web);
  const LOCKED = "* locked chinwag/0.2.0 send /pass PASSWORD";
  let came = 0;
  let idle = () => {};
  way.to = await puppet(t, (say, close) => {
    came++;
    say(LOCKED);
    idle = () => {
      say("* bye idle no password came in time; connect again");
      close(1000);
    };
  });
  const anna = await Visitor.come(t, way.web);
  await fill(anna, "name", "anna");
  await fill(anna, "pass", "open");
  idle();
  await new Promise((then) => setTimeout(then, 2_000));
  await anna.page.keyboard.type(" sesame");
  const typed = () => anna.page.$$eval("#gate input", (all) => all.slice(0, 2).map(({ value }) => value));
  assert.deepEqual([await typed(), came], [["anna", "open sesame"], 1]);
  await anna.page.keyboard.press("Enter");
  for (let tries = 0; came < 2 && tries < 100; tries++) await new Promise((then) => setTimeout(then, 100));
  assert.equal(came, 2);
});

test("locked: where nobody comes in one is told so, and asked for nothing", async (t) => {
  const { web } = await serve(t, "--guests", "off", "--accounts", "off");
  const anna = await Visitor.come(t, web);
  await anna.sees("This server does not let you in", "#gate");
  assert.equal(await anna.page.$("#gate input"), null);
  await anna.stands("locked-nobody");
});

test("locked: after the last try it is not tried again by itself", async (t) => {
  const { web } = await locked(t);
  const anna = await Visitor.come(t, web);
  for (let left = 4; left >= 0; left--) {
    await fill(anna, "name", "anna");
    await fill(anna, "pass", `wrong ${left}`);
    await anna.page.keyboard.press("Enter");
    if (left) await anna.sees(left === 1 ? "1 try is left" : `${left} tries are left`, "#gate");
  }
  await anna.page.waitForSelector("body[data-state=ended]");
  await anna.stands("refused");
  await anna.press("Try again");
  await fill(anna, "name", "anna");
  await fill(anna, "pass", "open sesame");
  await anna.page.keyboard.press("Enter");
  await anna.sees("anna", "#members li");
});

test("a name that is taken: what is free is offered", async (t) => {
  const { port, web } = await serve(t);
  const other = await Caller.come(t, port, "anna");
  const anna = await Visitor.come(t, web);
  await fill(anna, "name", "anna");
  await anna.page.keyboard.press("Enter");
  await anna.sees("Somebody here has this name", "#gate .problem");
  await anna.stands("taken");
  await anna.press("Be anna2");
  await anna.sees("anna2", "#members li");
  await other.hears("* anna2 joined");
});

test("the server is full: it says so, and tries again", async (t) => {
  const { port, web } = await serve(t, "--max-clients", "20");
  const callers = await Promise.all(Array.from({ length: 20 }, (_, i) => Caller.come(t, port, `caller${i}`)));
  const anna = await Visitor.come(t, await fullWay(t, web), { isStrict: false });
  await anna.sees("full", "#bar");
  await anna.stands("full");
  callers[0].say("/quit");
  await callers[0].hears("+ quit");
  await anna.hurry();
  await anna.enter("anna");
});

/** The page comes from a server with room, the socket from one without: a full one gives no page. @param {Test} t @param {string} full */
async function fullWay(t, full) {
  const { web } = await serve(t);
  const way = await Way.to(t, web);
  way.to = full;
  return way.web;
}

test("the server is restarted: one is back in the same room, and what began anew is told", async (t) => {
  const first = await serve(t);
  const way = await Way.to(t, first.web);
  const anna = await (await Visitor.come(t, way.web)).enter("anna");
  await anna.loaded();
  await anna.say("before the restart");
  await anna.sees("before the restart");
  way.state = "shut";
  await first.end();
  await anna.sees("The server is being restarted", "#bar");
  await anna.stands("shutdown");
  const second = await serve(t);
  way.to = second.web;
  way.state = "open";
  const bob = await Caller.come(t, second.port, "bob");
  bob.say("after the restart");
  await anna.hurry();
  await anna.sees("after the restart");
  await anna.sees("This room began anew");
  await anna.misses("#bar p");
  await anna.stands("anew");
});

for (const [code, text, seen, isTried] of /** @type {[string, string, string, boolean][]} */ ([
  ["too-slow", "you took nothing for 60 s", "Your connection was too slow", true],
  ["idle", "no password came in 60 seconds", "without a password", true],
  [
    "refused",
    "too many connections from your address; close one",
    "too many connections from your address; close one",
    false,
  ],
  ["blocked", "nobody may come from your network", "This server does not let you in", false],
  ["killed", "an operator put you out: that is enough", "an operator put you out: that is enough", false],
  ["unheard-of", "the moon is full; wait for the sun", "the moon is full; wait for the sun", false],
])) {
  test(`bye ${code}: ${isTried ? "it is tried again" : "a button, and never by itself"}`, async (t) => {
    const { web } = await serve(t);
    const way = await Way.to(t, web);
    let came = 0;
    way.to = await puppet(t, (say, close) => {
      came++;
      say(HELLO, `* bye ${code} ${text}`);
      close(1000);
    });
    const anna = await Visitor.come(t, way.web);
    await anna.sees(seen, "#bar");
    // What the page has no words for is English, whatever its own language.
    if (seen === text) await anna.sees(text, "#bar [lang=en]");
    const ends = () =>
      anna.page.waitForFunction(
        (state) => document.body.dataset.state === state,
        { polling: 50 },
        isTried ? "lost" : "ended",
      );
    await ends();
    await anna.stands(`bye-${code}`);
    const before = came;
    await anna.press(isTried ? "Try now" : "Try again");
    await ends();
    // Nothing else than the button has tried where that is so.
    if (!isTried) assert.equal(before, 1);
  });
}

test("put out of a room: it says by whom and why", async (t) => {
  const { port, web } = await serve(t);
  const bob = await Caller.come(t, port, "bob", "#club");
  const anna = await (await Visitor.come(t, web, { hash: "#club" })).enter("anna");
  await bob.hears("* anna joined");
  bob.say("/kick #club anna enough of that");
  await anna.sees("enough of that");
  await anna.page.waitForSelector("#text[placeholder='You are not in this room.']");
  await anna.stands("kicked");
});

test("a room with a key asks for it", async (t) => {
  const { port, web } = await serve(t);
  const bob = await Caller.come(t, port, "bob", "#club");
  bob.say("/room #club key sesame");
  await bob.hears("+ room");
  const anna = await (await Visitor.come(t, web, { hash: "#club" })).enter("anna");
  await anna.sees("#club has a key", "dialog");
  await anna.sees("can tell you the key: bob", "dialog");
  await anna.stands("key");
  // Nothing says meanwhile that she is there, or that nothing was said.
  const said = () => anna.page.evaluate(() => ["say", "name"].map((id) => document.getElementById(id)?.textContent));
  assert.deepEqual(
    [...(await said()), await anna.page.$eval("#log", (el) => el.getAttribute("data-empty"))],
    ["No room", "No room", ""],
  );
  await anna.page.type("dialog input", "open");
  await anna.page.keyboard.press("Enter");
  await anna.sees("That is not the key of this room", "dialog [role=alert]");
  await anna.stands("wrong-key");
  assert.deepEqual(await said(), ["No room", "No room"]);
  await anna.page.type("dialog input", "sesame");
  await anna.page.keyboard.press("Enter");
  await bob.hears("* anna joined");
  await anna.sees("bob", "#members li");
  await anna.sees("You are in #club", "#say");
});

test("another tab: one of the two has the talk", async (t) => {
  const { web } = await serve(t);
  const anna = await (await Visitor.come(t, web)).enter("anna");
  const page = await anna.page.browserContext().newPage();
  const second = new Visitor(page, web);
  await page.setViewport({ width: 1200, height: 800 });
  await page.goto(web);
  await second.sees("You are here in another tab", "#bar");
  await second.stands("elsewhere");
  await second.press("Use it here");
  await second.sees("anna", "#members li");
  await anna.page.bringToFront();
  await anna.sees("You are here in another tab", "#bar");
});

test("another version of the server: a new page is offered", async (t) => {
  const { web } = await serve(t);
  const way = await Way.to(t, web);
  const anna = await (await Visitor.come(t, way.web)).enter("anna");
  way.rewrite = (bytes) => Buffer.from(bytes.toString("latin1").replace(/ chinwag\/\d/, " chinwag/9"), "latin1");
  way.cut();
  await anna.sees("There is a new version", "#bar");
  await anna.stands("new-version");
});

test("a page without a WebSocket names the proxy", async (t) => {
  const { web } = await serve(t);
  const way = await Way.to(t, web);
  way.state = "shut";
  const anna = await Visitor.come(t, way.web);
  await anna.sees("does not pass WebSockets on", "#bar");
  await anna.stands("no-websocket");
});

test("what the server says of the history is a line in the log", async (t) => {
  const { web } = await serve(t);
  const way = await Way.to(t, web);
  const anna = await (await Visitor.come(t, way.web)).enter("anna");
  const notice =
    "history is not being kept: the server's disk is full; what is said meanwhile may be lost if the server stops";
  way.to = await puppet(t, (say) => say(HELLO, `* notice ${notice}`));
  way.cut();
  await anna.sees(notice);
});

test("the dialogs", async (t) => {
  const { port, web } = await serve(t);
  const bob = await Caller.come(t, port, "bob", "#club");
  const anna = await (await Visitor.come(t, web, { hash: "#club" })).enter("anna");
  bob.say("hello anna");
  await anna.sees("hello anna");
  await anna.page.click("#me");
  await anna.sees("Settings", "dialog h2");
  await anna.stands("settings");
  await anna.press("Keyboard shortcuts", "dialog");
  await anna.sees("Shift+F6", "dialog kbd");
  await anna.stands("keys");
  await anna.page.keyboard.press("Escape");
  await anna.misses("kbd");
  await anna.press("Close", "dialog");
  await anna.misses("dialog");
  await anna.page.keyboard.down("Control");
  await anna.page.keyboard.press("k");
  await anna.page.keyboard.up("Control");
  await anna.sees("bob", "dialog [role=option]");
  await anna.stands("find");
  await anna.page.keyboard.press("Escape");
  await anna.misses("dialog");
  await anna.page.click("#room");
  await anna.sees("Leave", ".menu");
  await anna.stands("menu");
  await anna.page.keyboard.press("Escape");
  await anna.misses(".menu");
  await anna.type("/");
  await anna.sees("/join", "#offers");
  await anna.stands("offers");
  await anna.page.keyboard.press("Escape");
  await anna.page.setViewport({ width: 320, height: 640 });
  for (const side of ["left", "right"]) {
    await anna.page.click(`#open-${side}`);
    await anna.page.waitForSelector(`dialog.${side}[open]`);
    await anna.shoot(`drawer-${side}`);
    await anna.audit();
    await anna.page.goBack();
    await anna.misses("dialog");
  }
});

test("who is kept out of a room is listed, and let in again", async (t) => {
  const { port, web } = await serve(t);
  const anna = await (await Visitor.come(t, web, { hash: "#den" })).enter("anna");
  await anna.loaded();
  const bob = await Caller.come(t, port, "bob", "#den");
  await anna.say("/ban bob 1h spam");
  await bob.hears("banned");
  const list = async () => {
    await anna.page.click("#room");
    await anna.page.locator("::-p-aria([name='Who is kept out…'][role='menuitem'])").click();
  };
  await list();
  await anna.sees("bob", "dialog li");
  await anna.stands("bans");
  await anna.press("End it bob", "dialog");
  await anna.misses("dialog li");
  await anna.press("Close", "dialog");
  await anna.misses("dialog");
  bob.say("/join #den");
  await bob.hears("+ join #den");
  await list();
  await anna.sees("Nobody is kept out", "dialog");
});

/** Somebody with a browser that wants German. @param {Test} t @param {string} web */
const german = (t, web) =>
  Visitor.come(t, web, {
    before: (page) =>
      page.evaluateOnNewDocument(() => Object.defineProperty(navigator, "languages", { value: ["de-CH", "en"] })),
  });

test("German from the browser's languages", async (t) => {
  const { web } = await serve(t);
  const anna = await german(t, web);
  await anna.page.waitForSelector("html[lang=de]");
  await anna.enter("anna");
  await anna.stands("german");
});

test("what is refused is told in German, and what the server alone has words for in its English", async (t) => {
  const { port, web } = await serve(t);
  const bob = await Caller.come(t, port, "bob");
  const anna = await (await german(t, web)).enter("anna");
  await anna.loaded();
  bob.say("/join #club", "/room #club invite-only on");
  await bob.hears("+ room");
  // In the bar, at a message, among the messages.
  await anna.say("/join #club");
  await anna.sees("In diesen Raum kommt nur, wer eingeladen ist", "#bar p");
  await anna.press("OK", "#bar");
  await anna.say("/query nobody hello");
  await anna.sees("Nicht gesendet: Niemand hier heißt so.", "#log li.refused");
  await anna.page.click("#rooms button");
  await anna.say("/kick nobody");
  await anna.sees("Das darf nur, wer in diesem Raum für Ordnung sorgt.");
  await anna.say("/unban x y z");
  await anna.sees("So wird das nicht geschrieben");
  await anna.sees("it is /unban", "#log [lang=en]");
  await anna.say("/nick bob");
  await anna.sees("Jemand hier heißt so", "#bar p");
  await anna.stands("german-refused");
});
