/** What one does with the page besides talking: by keyboard alone, with a name of one's own, with menus, while it is hidden, and what a screen
 * reader hears of other talks. */
import assert from "node:assert";
import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import path from "node:path";
import test from "node:test";
import { Caller, folder, isChromium, NAMES, serve, until, Visitor } from "./kit.js";

/** @param {Visitor} visitor @param {string} keys such as `Control+k` */
async function chord(visitor, keys) {
  const all = /** @type {import("puppeteer-core").KeyInput[]} */ (keys.split("+"));
  for (const key of all) await visitor.page.keyboard.down(key);
  for (const key of all.reverse()) await visitor.page.keyboard.up(key);
}

const value = (/** @type {Element} */ el) => /** @type {HTMLTextAreaElement} */ (el).value;
/** What has the focus: its ID, or that of what it is in. @param {Visitor} visitor */
const focused = (visitor) => visitor.page.evaluate(() => document.activeElement?.closest("[id]")?.id);

/** @param {Visitor} visitor @param {string} label of something in the menu that is open */
const choose = (visitor, label) => visitor.page.locator(`.menu ::-p-aria([name="${label}"][role="menuitem"])`).click();

test("the first view takes at most 20 requests", async (t) => {
  const { port, web } = await serve(t);
  const bob = await Caller.come(t, port, "bob");
  bob.say("the first line");
  const anna = await Visitor.come(t, web);
  await anna.page.waitForSelector("#gate input[name=name]");
  // Icons and the manifest are the browser's wish.
  const asked = anna.asked.filter((url) => !/ws$|icon|manifest/.test(url));
  assert.ok(asked.length <= 20, asked.join("\n"));
  await anna.enter("anna");
  await anna.sees("the first line");
});

test("all can be done by keyboard", async (t) => {
  const { port, web } = await serve(t);
  const bob = await Caller.come(t, port, "bob", "#club");
  const anna = await Visitor.come(t, web);
  await anna.page.waitForSelector("#gate input[name=name]");
  await anna.page.keyboard.type("anna\n");
  await anna.sees("anna", "#members li");
  await anna.loaded();
  // To another room.
  await chord(anna, "Control+k");
  await anna.sees("#club", "dialog [role=option]");
  await anna.page.keyboard.type("club\n");
  await bob.hears("* anna joined");
  await anna.sees("bob", "#members li");
  // The name of somebody, and a line.
  await anna.page.keyboard.type("bo");
  await anna.page.keyboard.press("Tab");
  await anna.page.keyboard.type("hello\n");
  await bob.hears("<anna> bob: hello");
  await anna.misses("#log li.pending");
  // What was typed comes back.
  await anna.page.keyboard.press("ArrowUp");
  await anna.page.keyboard.type(" again\n");
  await bob.hears("<anna> bob: hello again");
  // Between the rooms, and between the parts of the page.
  await chord(anna, "Alt+ArrowUp");
  await anna.sees("#lobby", "h1");
  await chord(anna, "Alt+ArrowDown");
  await anna.sees("#club", "h1");
  const parts = [];
  for (let i = 0; i < 4; i++) {
    await anna.page.keyboard.press("F6");
    parts.push(await focused(anna));
  }
  assert.deepEqual(parts, ["members", "rooms", "log", "text"]);
  // What the keys do.
  await chord(anna, "Control+/");
  await anna.sees("Ctrl+K", "dialog kbd");
  assert.equal(await focused(anna), await anna.page.$eval("dialog h2", (el) => el.id));
  await anna.page.keyboard.press("Escape");
  await anna.misses("dialog");
  assert.equal(await focused(anna), "text");
  // The menu of a message.
  for (let i = 0; i < 3; i++) await anna.page.keyboard.press("F6");
  await anna.page.keyboard.press("ArrowUp");
  await anna.page.keyboard.press("Enter");
  await anna.sees("Take away…", ".menu");
  await anna.page.keyboard.press("Escape");
  await anna.misses(".menu");
  await anna.page.keyboard.press("Escape");
  assert.equal(await focused(anna), "text");
});

/** How a page is looked at, or not: in Firefox, which shows all pages at once here, it is told so. @param {Visitor} visitor */
async function glances({ page }) {
  const other = isChromium && (await page.browserContext().newPage());
  return async (/** @type {boolean} */ isSeen) => {
    if (other) await (isSeen ? page : other).bringToFront();
    else
      await page.evaluate((isSeen) => {
        Object.defineProperty(document, "hidden", { value: !isSeen, configurable: true });
        document.dispatchEvent(new Event("visibilitychange"));
      }, isSeen);
    // The browser has done it before the page has heard of it, and what comes in between is read at once.
    await page.waitForFunction((isSeen) => document.hidden !== isSeen, { polling: 50 }, isSeen);
  };
}

test("what comes while nobody looks is in the title, and told if one wants that", async (t) => {
  const { port, web } = await serve(t);
  const bob = await Caller.come(t, port, "bob");
  const anna = await Visitor.come(t, web, {
    // Firefox gives it to everybody here.
    before: async (page) => {
      if (isChromium) await page.browserContext().overridePermissions(new URL(web).origin, ["notifications"]);
    },
  });
  await anna.enter("anna");
  await anna.loaded();
  const look = await glances(anna);
  await look(false);
  bob.say("hello anna");
  await anna.page.waitForFunction(() => document.title.startsWith("(1) "), { polling: 100 });
  await look(true);
  await anna.page.waitForFunction(() => !document.title.startsWith("("), { polling: 100 });
  await anna.sees("hello anna");
  await anna.sees("Somebody wrote to you", "#bar");
  await anna.stands("offer");
  await anna.press("Tell me when somebody writes to me");
  await anna.misses("#bar p");
  // Firefox shows no notifications here.
  if (!isChromium) return;
  await look(false);
  bob.say("/msg anna are you there?");
  await anna.page.waitForFunction(
    async () => {
      const registration = await navigator.serviceWorker.getRegistration();
      const [one] = (await registration?.getNotifications()) ?? [];
      return one?.title === "bob" && one.body === "are you there?";
    },
    { polling: 100 },
  );
});

test("who writes to one elsewhere is told to a screen reader, and once what is read out where it stands", async (t) => {
  const { port, web } = await serve(t);
  const bob = await Caller.come(t, port, "bob");
  const anna = await (await Visitor.come(t, web, { hash: "#club" })).enter("anna");
  await anna.loaded();
  bob.say("/msg anna between us");
  await anna.sees("bob writes to you: between us", "#say[role=status]");
  bob.say("/join #club", "anna, here I am");
  await anna.sees("anna, here I am", "#log[aria-live=polite] .text");
  await anna.page.click("#talks button");
  await anna.sees("You are in bob", "#say");
  bob.say("/msg anna so you are");
  await anna.sees("so you are", "#log .text");
  assert.equal(await anna.page.$eval("#say", ({ textContent }) => textContent), "You are in bob");
  bob.say("anna, and there?");
  await anna.sees("bob names you in #club: anna, and there?", "#say[role=status]");
});

test("a name of one's own: registered in the settings, and logged in to elsewhere", async (t) => {
  const { port, web } = await serve(t, "--data", folder(t));
  const bob = await Caller.come(t, port, "bob");
  const anna = await (await Visitor.come(t, web)).enter("anna");
  await anna.loaded();
  await anna.page.click("#me");
  await anna.page.type("dialog input[autocomplete=new-password]", "correct-horse");
  await anna.press("Own this name", "dialog");
  await anna.press("Close", "dialog");
  await anna.say("mine now");
  await bob.hears("<anna> mine now");
  const second = await Visitor.come(t, web);
  await (await second.page.waitForSelector("#gate summary"))?.click();
  await second.page.type("#gate input[name=own]", "anna");
  await second.page.type("#gate input[name=word]", "wrong\n");
  await second.sees("That is not right", "#gate");
  await second.page.type("#gate input[name=word]", "correct-horse\n");
  await second.sees("anna", "#members li");
  await second.say("from here too");
  await anna.sees("from here too");
  await bob.hears("<anna> from here too");
});

test("the settings stay open while one changes one's name or the language", async (t) => {
  const { port, web } = await serve(t);
  const bob = await Caller.come(t, port, "bob");
  const anna = await (await Visitor.come(t, web)).enter("anna");
  const { page } = anna;
  const has = (/** @type {string} */ selector) => page.waitForSelector(`dialog ${selector}:focus`);
  await anna.loaded();
  await page.click("#me");
  await page.click("dialog input[autocomplete=nickname]", { count: 3 });
  await page.keyboard.type("anne");
  await anna.press("Change", "dialog");
  await anna.sees("anna is now called anne", "dialog [role=status]");
  await has("button");
  await bob.hears("* anna renamed anne");
  await page.click("dialog input[autocomplete=nickname]", { count: 3 });
  await page.keyboard.type("bob\n");
  await anna.sees("Somebody here has this name", "dialog [role=status]");
  await has("input[autocomplete=nickname]");
  await page.type("dialog input[maxlength='200']", "tea\n");
  await anna.sees("anne: away", "dialog [role=status]");
  await anna.stands("settings-changed");
  await page.select("dialog label:has(option[value=de]) select", "de");
  await anna.sees("Einstellungen", "dialog h2");
  await has("label:has(option[value=de]) select");
  await page.keyboard.press("Escape");
  await anna.misses("dialog");
  // Another time it is only loaded anew.
  await page.reload();
  await anna.loaded();
  assert.equal(await page.$("dialog"), null);
});

test("where others can read along, no password is asked for", async (t) => {
  const { web } = await serve(t, "--data", folder(t), "--origin", `http://${NAMES[0]}`);
  const anna = await Visitor.come(t, web.replace("127.0.0.1", NAMES[0]), { isStrict: false });
  await anna.enter("anna");
  await anna.loaded();
  await anna.page.click("#me");
  await anna.sees("For a name of your own you need an encrypted connection (https)", "dialog fieldset");
  assert.equal(await anna.page.$("dialog input[type=password]"), null);
  assert.deepEqual(
    (await anna.all("dialog button", (all) => all.map((el) => el.innerText))).filter((text) => /name/.test(text)),
    [],
  );
  await anna.stands("settings-in-clear");
});

test("where no name can be made one's own, no password is asked for", async (t) => {
  const { port, web } = await serve(t, "--data", folder(t), "--accounts", "closed");
  const bob = await Caller.come(t, port, "bob");
  bob.say("/room #lobby guests listen");
  const anna = await (await Visitor.come(t, web)).enter("anna");
  await anna.loaded();
  await anna.press("Own this name", "#bar");
  await anna.sees("No name can be made yours here. Ask whoever runs this server.", "dialog p:focus");
  assert.equal(await anna.page.$("dialog input[type=password]"), null);
  await anna.sees("I have a name here", "dialog button");
});

test("whose name has no password is told so, and asked before they go without one", async (t) => {
  const data = folder(t);
  const { web } = await serve(t, "--data", data);
  const grant = spawnSync(process.env.CHINWAG ?? "", ["ctl", "--data", data, "grant", "Betty"]).stdout.toString();
  const [token] = /token:\S+/.exec(grant) ?? [""];
  const betty = await Visitor.come(t, web);
  await (await betty.page.waitForSelector("#gate summary"))?.click();
  await betty.page.type("#gate input[name=own]", "Betty");
  // A telephone that has copied it puts a blank beside it.
  await betty.page.type("#gate input[name=word]", ` ${token} \n`);
  await betty.sees("Betty has no password yet", "#bar");
  await betty.loaded();
  await betty.stands("no-password");
  await betty.press("Choose a password", "#bar");
  await betty.page.waitForSelector("dialog input[autocomplete=new-password]:focus");
  await betty.press("Close", "dialog");
  await betty.page.reload();
  await betty.loaded();
  await betty.sees("Betty has no password yet", "#bar");
  await betty.press("OK", "#bar");
  await betty.misses("#bar p");
  await betty.say("/logout");
  await betty.sees("Log out all the same?", "dialog");
  await betty.press("Cancel", "dialog");
  await betty.page.click("#me");
  await betty.press("Log out", "dialog");
  await betty.sees("Log out all the same?", "dialog");
  await betty.press("Cancel", "dialog");
  await betty.page.click("#me");
  await betty.press("Forget me here", "dialog");
  await betty.sees("Betty has no password yet", "dialog:last-of-type");
  await betty.press("Cancel", "dialog:last-of-type");
  await betty.sees("Betty has no password yet", "dialog fieldset");
  await betty.stands("settings-no-password");
  assert.equal(await betty.page.$("dialog input[autocomplete=current-password]"), null);
  await betty.page.type("dialog input[autocomplete=new-password]", "bishop-888");
  await betty.press("Choose a password", "dialog");
  await betty.sees("The new password holds from now on");
  await betty.page.click("#me");
  await betty.page.type("dialog input[autocomplete=current-password]", "bishop-888");
  await betty.page.type("dialog input[autocomplete=new-password]", "knight-999\n");
  await betty.page.waitForFunction(() => document.body.innerText.split("The new password holds").length > 2, {
    polling: 100,
  });
  await betty.page.click("#me");
  await betty.press("Log out", "dialog");
  await betty.sees("guest", "#me");
  assert.equal(await betty.page.$("dialog"), null);
});

test("whose name is granted anew reads where the token goes, and logs in by it", async (t) => {
  const data = folder(t);
  const { web } = await serve(t, "--data", data);
  const grant = () => {
    const made = spawnSync(process.env.CHINWAG ?? "", ["ctl", "--data", data, "grant", "Betty"]).stdout.toString();
    return (/token:\S+/.exec(made) ?? [""])[0];
  };
  const before = grant();
  const betty = await Visitor.come(t, web, {
    before: (page) =>
      page.evaluateOnNewDocument(() => Object.defineProperty(navigator, "languages", { value: ["de"] })),
  });
  await (await betty.finds("#gate summary")).click();
  await betty.page.type("#gate input[name=own]", "Betty");
  await betty.page.type("#gate input[name=word]", `${before}\n`);
  await betty.sees("hat noch kein Passwort", "#bar");
  await betty.loaded();
  const token = grant();
  await betty.sees("ein neues Token ausgestellt", "#bar");
  await betty.stands("granted");
  await betty.press("Anmelden", "#bar");
  await betty.sees("Passwort oder Token", "#gate");
  await betty.page.waitForFunction(() => document.activeElement?.matches("#gate input[name=word]"), { polling: 100 });
  await betty.page.keyboard.type(`${token}\n`);
  await betty.isIn();
  await betty.sees("Betty", "#me");
  await betty.say(token);
  await betty.sees("Sende /login allein");
  const field = await betty.finds("#text");
  await field.click({ count: 3 });
  await field.type("/login\n");
  await betty.sees("Passwort oder Token", "dialog");
});

test("a guest who may not speak is led to where they may", async (t) => {
  const { port, web } = await serve(t, "--data", folder(t));
  const bob = await Caller.come(t, port, "bob");
  bob.say("/room #lobby guests listen");
  const anna = await (await Visitor.come(t, web)).enter("anna");
  await anna.loaded();
  await anna.sees("Only people who own their names may speak here", "#bar");
  await anna.say("hello");
  await anna.sees("“Own this name” in the settings makes yours your own");
  await anna.stands("guests-listen");
  await anna.press("Own this name", "#bar");
  await anna.page.type("dialog input[autocomplete=new-password]", "correct-horse");
  await anna.press("Own this name", "dialog");
  await anna.press("Close", "dialog");
  await anna.misses("#bar p");
  await anna.press("Send again", "#log");
  await bob.hears("<anna> hello");
});

test("a name of somebody who is not there is not given away", async (t) => {
  const { port, web } = await serve(t, "--data", folder(t));
  const owner = await Caller.come(t, port, "anna");
  owner.say("/register correct-horse");
  await owner.hears("+ register");
  owner.say("/quit");
  await owner.hears("+ quit");
  const anna = await Visitor.come(t, web);
  await (await anna.page.waitForSelector("#gate input[name=name]"))?.type("anna\n");
  await anna.sees("This name belongs to somebody", "#gate");
  await anna.stands("owned");
  await anna.page.type("#gate input[name=word]", "correct-horse\n");
  await anna.sees("anna", "#members li");
});

test("whoever keeps order finds it in the menus", async (t) => {
  const { port, web } = await serve(t);
  const anna = await (await Visitor.come(t, web, { hash: "#club" })).enter("anna");
  const bob = await Caller.come(t, port, "bob", "#club");
  await anna.loaded();
  bob.say("something bad");
  await anna.sees("something bad");
  await anna.page.hover("#log li.said");
  await anna.press("More", "#log");
  await choose(anna, "Take away…");
  await anna.sees("Take this message away", "dialog");
  await anna.stands("erase");
  await anna.press("Take away", "dialog");
  await bob.hears("erased");
  await anna.misses("#log li.said");
  await anna.page.click("#members [data-id=bob]");
  await anna.sees("Put out…", ".menu");
  await anna.stands("moderate");
  await choose(anna, "Put out…");
  await anna.page.waitForSelector("dialog input");
  await anna.page.type("dialog input", "for that");
  await anna.stands("kick");
  await anna.press("Put out", "dialog");
  await bob.hears("kicked");
});

test("whoever is away is seen to be, with all that they say of it", async (t) => {
  const { port, web } = await serve(t);
  const bob = await Caller.come(t, port, "bob", "#club");
  const anna = await (await Visitor.come(t, web, { hash: "#club" })).enter("anna");
  await anna.loaded();
  await anna.sees("bob", "#members li");
  const text = "at the lake until Sunday, no net there; ".repeat(10).trim();
  bob.say(`/away ${text}`);
  await bob.hears("+ away");
  await anna.say("/join #den");
  await anna.sees("#den", "h1");
  await chord(anna, "Alt+ArrowUp");
  await anna.sees(text, "#members li");
  const cut = await anna.all("#members .row", (all) => all.filter((el) => el.scrollWidth > el.clientWidth + 1).length);
  assert.equal(cut, 0, "nothing of it is cut");
  await anna.stands("away");
});

test("whoever points at an icon reads what it is", async (t) => {
  const { web } = await serve(t);
  const anna = await (await Visitor.come(t, web)).enter("anna");
  await anna.loaded();
  const titles = () => anna.all("button[title]", (all) => all.map((el) => el.title));
  assert.deepEqual(await titles(), []);
  await anna.page.hover("#pick");
  assert.deepEqual(await titles(), ["Send files"]);
  await anna.page.hover("#text");
  assert.deepEqual(await titles(), []);
});

test("forgotten here: nothing is kept", async (t) => {
  const { web } = await serve(t);
  const anna = await (await Visitor.come(t, web)).enter("anna");
  await anna.loaded();
  await anna.page.click("#me");
  await anna.press("Forget me here", "dialog");
  await anna.sees("Forget your name, rooms and settings", "dialog");
  await anna.stands("forget");
  await anna.page.$$eval("dialog:last-of-type button.danger", (all) => all.at(-1)?.click());
  await anna.page.waitForSelector("#gate input[name=name]", { visible: true });
  assert.equal(await anna.page.$("dialog"), null, "nothing stands before the first fields");
  const kept = await anna.page.evaluate(() => JSON.stringify([localStorage, sessionStorage]));
  assert.doesNotMatch(kept, /anna|lobby/);
});

/** How far the end of what was said is out of sight, in px. @param {Visitor} visitor */
const above = (visitor) =>
  visitor.page.$eval("#log", (log) => Math.round(log.scrollHeight - log.scrollTop - log.clientHeight));

test("somebody with a telephone and large letters finds their way", { skip: !isChromium }, async (t) => {
  const { port, web } = await serve(t);
  const bob = await Caller.come(t, port, "bob", "#garden");
  for (let i = 1; i <= 20; i++) bob.say(`the ${i}th line`);
  /** @param {import("puppeteer-core").Page} page */
  const before = async (page) => {
    await page.setViewport({ width: 390, height: 844, hasTouch: true, isMobile: true });
    await page.evaluateOnNewDocument(() => {
      const grow = () => document.documentElement?.style.setProperty("font-size", "200%");
      new MutationObserver(grow).observe(document, { childList: true });
    });
  };
  const erna = await Visitor.come(t, web, { hash: "#garden", before });
  const { page } = erna;
  await (await erna.finds("#gate summary")).click();
  assert.ok(await page.$eval("#gate", (gate) => gate.scrollWidth <= gate.clientWidth));
  await (await page.waitForSelector("#gate input[name=name]"))?.type("Oma Erna\n");
  await erna.sees("A name is one word", "#problem");
  await erna.press("Be Oma-Erna", "#gate");
  await erna.sees("the 20th line");
  await erna.loaded();
  // The field stays where it is, and what was said last in sight, while a long text is typed.
  const field = () => page.$eval("#text", (text) => [text.clientWidth, text.getBoundingClientRect().left]);
  const empty = await field();
  await erna.type("Hello! This is Erna, and I have a photo of the garden for all of you");
  assert.deepEqual(await field(), empty);
  await page.waitForFunction(() => document.querySelector("#log")?.clientHeight);
  assert.ok((await above(erna)) < 40, `${await above(erna)} px`);
  // Whoever looks at what was said before is at the end again once they have said something.
  await page.$eval("#log", (log) => log.scrollTo(0, 0));
  await erna.sees("To the newest", "#down");
  await page.keyboard.press("Enter");
  await bob.hears("Hello! This is Erna");
  await erna.misses("#down");
  await erna.audit();
  // So they are once they have asked something, sent a file, or are told why nothing was said.
  const back = async (/** @type {() => Promise<unknown>} */ act) => {
    await page.$eval("#log", (log) => log.scrollTo(0, 0));
    await erna.sees("To the newest", "#down");
    await act();
    await erna.misses("#down");
  };
  await back(() => erna.say("/rooms"));
  const garden = path.join(folder(t), "garden.txt");
  writeFileSync(garden, "roses");
  await back(async () => {
    const input = /** @type {import("puppeteer-core").ElementHandle<HTMLInputElement>} */ (await page.$("#pick-file"));
    await input.uploadFile(garden);
    await erna.press("Send", "dialog");
  });
  await back(() => erna.say("msg bob hello"));
  await erna.sees("Put / in front of it");
  // What is offered is all within reach, and a finger that moves the list takes nothing.
  await page.$eval("#text", (text) => {
    /** @type {HTMLTextAreaElement} */ (text).value = "";
  });
  await erna.type("/");
  await erna.sees("/away", "#offers");
  assert.ok(await page.$eval("#offers", (list) => list.getBoundingClientRect().top >= 0));
  const first = await (await erna.finds("#offers li")).boundingBox();
  const [x, y] = [(first?.x ?? 0) + 40, (first?.y ?? 0) + 20];
  await page.touchscreen.touchStart(x, y + 200);
  await page.touchscreen.touchMove(x, y);
  await page.touchscreen.touchEnd();
  assert.equal(await page.$eval("#text", value), "/");
  await page.locator("#offers li").click();
  assert.equal(await page.$eval("#text", value), "/away ");
  await page.keyboard.press("Escape");
  // To one person alone, and no list stays in front of that talk.
  await page.tap("#open-right");
  await page.locator("#members [data-id=bob]").click();
  await choose(erna, "Write to bob");
  await erna.sees("bob", "#name");
  await erna.misses("dialog");
  assert.equal(await focused(erna), "name");
  bob.say("/msg Oma-Erna how nice");
  await erna.sees("how nice");
  await erna.misses("#log .mention");
  for (let i = 1; i <= 20; i++) bob.say(`/msg Oma-Erna the ${i}th line`);
  bob.say("/quit");
  await erna.sees("the 20th line");
  await page.waitForSelector("#text[placeholder*='may be somebody else']");
  await back(() => erna.say("Are you there?"));
  await page.tap("#open-left");
  await page.locator("#rooms button").click();
  await erna.sees("#garden", "#name");
  await erna.misses("dialog");
});

test("who may not come in is told until when, in their own time", async (t) => {
  const { port, web } = await serve(t);
  const bob = await Caller.come(t, port, "bob", "#club");
  const anna = await (await Visitor.come(t, web, { hash: "#club" })).enter("anna");
  await anna.loaded();
  bob.say("/ban #club anna 1h");
  await anna.sees("You are not in this room", "#bar");
  await anna.press("Join", "#bar");
  await anna.sees("This ends", "#bar");
  assert.doesNotMatch((await anna.all("#bar, #log", (all) => all.map((el) => el.innerText))).join(), /\dT\d|\bop\b/);
  // The focus is not lost with the button that had it.
  await anna.page.focus("#bar button");
  await anna.page.keyboard.press("Enter");
  assert.notEqual(await focused(anna), undefined);
});

test("who may come in by invitation alone is told whom they can ask", async (t) => {
  const { port, web } = await serve(t);
  const bob = await Caller.come(t, port, "bob", "#board");
  bob.say("/room #board invite-only on");
  await bob.hears("+ room");
  const anna = await (await Visitor.come(t, web, { hash: "#board" })).enter("anna");
  await anna.sees("You can ask: bob", "#bar");
});

test("who looks at the rules of a room sees that its past is not shown", async (t) => {
  const { port, web } = await serve(t);
  const bob = await Caller.come(t, port, "bob", "#club");
  bob.say("/room past off");
  await bob.hears("+ room");
  const anna = await (await Visitor.come(t, web, { hash: "#club" })).enter("anna");
  await anna.loaded();
  await anna.page.click("#room");
  await choose(anna, "About this room");
  await anna.sees("past: off", "dialog li");
});

test("a room that not everybody may come into says so, and that its past is not shown", async (t) => {
  const { port, web } = await serve(t);
  const bob = await Caller.come(t, port, "bob", "#board");
  const anna = await (await Visitor.come(t, web, { hash: "#board" })).enter("anna");
  await anna.loaded();
  /** @param {RegExp} wanted */
  const stands = (wanted) =>
    until(`${wanted}`, async () =>
      wanted.test(await anna.page.$eval("#log", (el) => el.getAttribute("data-empty") ?? "")),
    );
  /** @param {string} label */
  const links = async (label) => {
    await anna.page.click("#room");
    await choose(anna, "About this room");
    await anna.sees(label, "dialog label");
    await anna.press("Close", "dialog");
  };
  await stands(/^Nothing has been said here yet\. Whoever opens the address/);
  await links("Link that invites");
  for (const rule of ["invite-only on", "key sesame", "guests out"]) {
    bob.say(`/room #board ${rule}`);
    await stands(/ yet\.$/);
    await links("Link, for whoever may come in");
    bob.say(`/room #board ${rule.replace(/ .*/, (value) => (value === " out" ? " speak" : " off"))}`);
    await stands(/ Whoever opens the address/);
  }
  bob.say("/room #board past off");
  await stands(/^What was said here before is not shown\. Whoever/);
});

test("whoever comes back at once is told that their name comes back", async (t) => {
  const { web } = await serve(t);
  const anna = await (await Visitor.come(t, web)).enter("anna");
  await anna.loaded();
  const again = await anna.page.browserContext().newPage();
  await anna.page.close();
  await again.goto(web);
  await again.waitForFunction(() =>
    /still has your name. It comes back to you in three minutes/.test(
      document.querySelector("#bar")?.textContent ?? "",
    ),
  );
  assert.equal(await again.$("#bar button"), null);
});
