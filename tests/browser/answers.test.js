/** What one sees of what one has just done, on a telephone: the answer stands where one looks, and what was refused is said to nobody. */
import assert from "node:assert";
import test from "node:test";
import { Caller, folder, serve, Visitor } from "./kit.js";

const PHONE = { width: 390, height: 780 };

/** What is typed, and not sent. @param {Visitor} visitor */
const typed = ({ page }) => page.$eval("#text", (el) => /** @type {HTMLTextAreaElement} */ (el).value);

/** Waits until something that is in the log shows a text, and that within what one sees of it. @param {Visitor} visitor @param {string} text */
const inSight = ({ page }, text) =>
  page.waitForFunction(
    (text) => {
      const log = document.getElementById("log")?.getBoundingClientRect();
      return [...document.querySelectorAll("#log li")].some((li) => {
        const { top, bottom } = li.getBoundingClientRect();
        const isSeen = log && top >= log.top && bottom <= log.bottom;
        return isSeen && /** @type {HTMLElement} */ (li).innerText.includes(text);
      });
    },
    { polling: 100 },
    text,
  );

/** Reads further up in what was said there. @param {Visitor} visitor */
const readUp = async ({ page }) => {
  await page.$eval("#log", (log) => {
    log.scrollTop = log.scrollHeight / 2;
  });
  await page.waitForSelector("#down", { visible: true });
};

test("an answer to what one has just sent is in sight, wherever one reads", async (t) => {
  const { port, web } = await serve(t);
  const bob = await Caller.come(t, port, "bob");
  bob.say(...Array.from({ length: 60 }, (_, i) => `line ${i + 1}`));
  const anna = await (await Visitor.come(t, web, PHONE)).enter("anna");
  await anna.sees("line 60");
  for (const [line, answer] of [
    ["msg bob she is a bore", "Is /msg meant?"],
    ["passwd correct-horse", "This looks like /passwd with a password"],
    ["/nobody knows this", "There is no such command"],
    ["/who bob", "bob here"],
    ["/topic about all", "set the topic"],
    ["/msg nobody are you there?", "Not sent to nobody: “are you there?”. Nobody of that name is here."],
    ["/typing on", "The page does this by itself"],
    ["/help", "/away, /back, /ban, /help, /ignore"],
  ]) {
    await readUp(anna);
    await anna.say(line);
    await inSight(anna, answer);
    if (!line.startsWith("/")) {
      assert.equal(await typed(anna), line);
      await anna.page.$eval("#text", (el) => {
        /** @type {HTMLTextAreaElement} */ (el).value = "";
      });
    }
  }
  // What is for those without a page is not told here, unless somebody asks for it by name.
  const told = await anna.all("#log li", (all) => all.at(-1)?.innerText ?? "");
  assert.match(told, /settings/);
  assert.doesNotMatch(told, /\/(history|send|get|set)/);
  await anna.say("/help topic");
  await anna.sees("/topic [#ROOM] [TEXT]");
});

test("a password is asked for where nobody reads it, and the next word is not said at once", async (t) => {
  const { port, web } = await serve(t, "--data", folder(t));
  const bob = await Caller.come(t, port, "bob");
  const greta = await Caller.come(t, port, "Greta");
  greta.say("/register correct-horse");
  await greta.hears("+ register");
  greta.say("/quit");
  const anna = await (await Visitor.come(t, web, PHONE)).enter("anna");
  await anna.loaded();
  const empty = () =>
    anna.page.$eval("#text", (el) => {
      /** @type {HTMLTextAreaElement} */ (el).value = "";
    });
  // Whoever leaves the field that is offered types it where they are.
  await anna.say("/login Greta");
  await anna.page.waitForSelector("dialog input[type=password]:focus");
  await anna.stands("login");
  await anna.page.setViewport(PHONE);
  await anna.page.keyboard.press("Escape");
  await anna.misses("dialog");
  await anna.say("correct-horse");
  await inSight(anna, "/login was not carried out");
  assert.equal(await typed(anna), "correct-horse");
  await empty();
  // So it is offered where her name is asked for in another way.
  await anna.say("/nick Greta");
  await anna.sees("This name belongs to somebody. If that is you, log in.", "#bar");
  await anna.press("Log in", "#bar");
  await anna.page.waitForSelector("dialog input[type=password]:focus");
  await anna.page.keyboard.type("wrong-horse\n");
  await anna.sees("That is not right", "#bar");
  await anna.press("Log in", "#bar");
  await anna.page.waitForSelector("dialog input[type=password]:focus");
  await anna.page.keyboard.type("correct-horse\n");
  await anna.sees("Greta", "#me");
  await anna.misses("#bar p");
  // What is one's own has its password where it was always chosen.
  await anna.say("/passwd");
  await anna.page.waitForSelector("dialog input[autocomplete=current-password]:focus");
  await anna.page.keyboard.press("Escape");
  await anna.say("/logout");
  await anna.sees("guest", "#me");
  await anna.say("/register");
  await anna.page.waitForSelector("dialog input[autocomplete=new-password]:focus");
  await anna.press("I have a name here", "dialog");
  await anna.page.waitForSelector("dialog input[autocomplete=username]:focus");
  await anna.page.keyboard.press("Escape");
  await anna.misses("dialog");
  await anna.say("what was all that");
  assert.match(await bob.hears("> "), /> what was all that$/);
});

test("a private talk says at its head that it goes with the tab", async (t) => {
  const { port, web } = await serve(t);
  const bob = await Caller.come(t, port, "bob");
  const anna = await (await Visitor.come(t, web, PHONE)).enter("anna");
  await anna.say("/query bob");
  await anna.sees("once you close this tab, it is gone", "#log > p");
  bob.say("/msg anna are you there?");
  await anna.sees("are you there?");
  await anna.sees("once you close this tab, it is gone", "#log > p");
  await anna.shoot("private-head");
  await anna.say("/join #lobby");
  await anna.misses("#log > p");
});

test("a new password can be looked at before it is one's own, and typing be kept to oneself", async (t) => {
  const { port, web } = await serve(t, "--data", folder(t));
  const bob = await Caller.come(t, port, "bob");
  const anna = await (await Visitor.come(t, web, PHONE)).enter("anna");
  await bob.hears("* anna joined");
  await anna.loaded();
  await anna.say("/register");
  const field = await anna.finds("dialog input[autocomplete=new-password]");
  await field.type("correct-horse");
  const type = () => field.evaluate((el) => /** @type {HTMLInputElement} */ (el).type);
  const tick = (/** @type {string} */ label) =>
    anna.page.locator(`dialog ::-p-aria([name="${label}"][role="checkbox"])`).click();
  assert.equal(await type(), "password");
  await tick("Show the password");
  assert.equal(await type(), "text");
  await anna.shoot("password-shown");
  await tick("Let others see when I type");
  await anna.press("Own this name", "dialog");
  await anna.press("Close", "dialog");
  await anna.say("mine");
  assert.equal(await bob.hears("#lobby "), "#lobby <anna> mine");
});

test("whoever comes back to a room sees where they stopped, also behind pictures", async (t) => {
  const { port, web } = await serve(t);
  const anna = await (await Visitor.come(t, web, { ...PHONE, hash: "#club" })).enter("anna");
  const bob = await Caller.come(t, port, "bob", "#club");
  const drawn = await anna.page.evaluate(() => {
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [600, 800];
    canvas.getContext("2d")?.fillRect(0, 0, 600, 400);
    return canvas.toDataURL("image/png").split(",")[1];
  });
  bob.say(...Array.from({ length: 20 }, (_, i) => `before ${i + 1}`));
  for (const name of ["one.png", "two.png"]) await bob.gives("#club", name, Buffer.from(drawn, "base64"));
  await anna.page.waitForFunction(() => document.querySelectorAll("#log img").length === 2, { polling: 100 });
  await anna.say("/join #lobby");
  await anna.sees("#lobby", "h1");
  await anna.page.reload();
  await anna.isIn();
  await anna.sees("#lobby", "h1");
  bob.say(...Array.from({ length: 25 }, (_, i) => `after ${i + 1}`));
  await anna.page.waitForSelector("#open-left");
  await anna.page.click("#open-left");
  await anna.sees("25", "#rooms .count");
  await anna.page.click("#rooms [data-id='#club']");
  await anna.page.waitForFunction(() => document.querySelectorAll("#log img").length === 2, { polling: 100 });
  await anna.page.waitForNetworkIdle();
  await anna.shoot("back");
  await inSight(anna, "after 1");
});

test("a name that is refused is not taken for one that is somebody's", async (t) => {
  const { web } = await serve(t);
  const anna = await Visitor.come(t, web, PHONE);
  await (await anna.finds("#gate input[name=name]")).type("Anna Karenina\n");
  await anna.sees("A name is one word", "#gate");
  await anna.page.type("#gate input[name=name]", "x\n");
  await anna.sees("A name is one word", "#gate");
  assert.equal(await anna.page.$eval("#gate details", (el) => el.open), false);
  assert.equal(await anna.page.$eval("#gate input[name=own]", (el) => el.value), "");
});
