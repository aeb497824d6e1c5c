/** Files: each way into the page, up and down, and what breaks in between. */
import assert from "node:assert";
import { createHash, randomBytes } from "node:crypto";
import { readFileSync, truncateSync, writeFileSync } from "node:fs";
import path from "node:path";
import test from "node:test";
import { Caller, folder, isChromium, serve, Visitor, Way } from "./kit.js";

/** @typedef {import("node:test").TestContext} Test */

/** Bytes of the large file: `CHINWAG_MB` says how many millions; 100 is what a server takes at most by itself. */
const LARGE = Number(process.env.CHINWAG_MB ?? 20) * 1e6;

/**
 * A photo as a camera makes it, with EXIF in which it says where it was.
 * @param {Visitor} visitor who has the browser draw it
 */
async function photo(visitor) {
  const drawn = await visitor.page.evaluate(async () => {
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [3000, 2000];
    const context = canvas.getContext("2d");
    if (context) {
      context.fillStyle = "#27a";
      context.fillRect(0, 0, 3000, 1200);
      context.fillStyle = "#3a3";
      context.fillRect(0, 1200, 3000, 800);
    }
    return canvas.toDataURL("image/jpeg").split(",")[1];
  });
  const jpeg = Buffer.from(drawn, "base64");
  // TIFF with one text (tag 0x010e), in a segment APP1.
  const words = Buffer.from("52.5163 N, 13.3777 E, behind the house\0");
  const tiff = Buffer.from("49492a0008000000010000000000000000000000000000000000", "hex");
  tiff.writeUInt16LE(0x010e, 10);
  tiff.writeUInt16LE(2, 12);
  tiff.writeUInt32LE(words.length, 14);
  tiff.writeUInt32LE(tiff.length, 18);
  const exif = Buffer.concat([Buffer.from("Exif\0\0"), tiff, words]);
  const head = Buffer.from([0xff, 0xd8, 0xff, 0xe1, 0, 0]);
  head.writeUInt16BE(exif.length + 2, 4);
  return Buffer.concat([head, exif, jpeg.subarray(2)]);
}

/** Has a file come as if dropped or pasted. @param {Visitor} visitor @param {"drop" | "paste"} way @param {string} name @param {Buffer} bytes */
const hand = (visitor, way, name, bytes) =>
  visitor.page.evaluate(
    (way, name, base64) => {
      const data = new DataTransfer();
      data.items.add(
        new File([Uint8Array.from(atob(base64), (char) => char.charCodeAt(0))], name, { type: "image/jpeg" }),
      );
      const all = { bubbles: true, cancelable: true };
      const event =
        way === "drop"
          ? new DragEvent("drop", { ...all, dataTransfer: data })
          : new ClipboardEvent("paste", { ...all, clipboardData: data });
      // Firefox takes no files for an event that a script makes.
      if (event instanceof ClipboardEvent && !event.clipboardData?.files.length)
        Object.defineProperty(event, "clipboardData", { value: data });
      document.querySelector(way === "drop" ? "#log" : "#text")?.dispatchEvent(event);
    },
    way,
    name,
    bytes.toString("base64"),
  );

/** What somebody fetches of a file. @param {Caller} caller @param {string} id */
async function fetched(caller, id) {
  caller.say(`/get ${id}`);
  await caller.hears("+ get ");
  const parts = [];
  for (;;) {
    const line = await caller.hears(`=${id} `);
    if (line.startsWith(`=${id} .`)) return Buffer.concat(parts);
    parts.push(Buffer.from(line.split(" ")[1], "base64"));
  }
}

/** Chooses a file. @param {Visitor} visitor @param {string} file */
async function pick(visitor, file) {
  const input = /** @type {import("puppeteer-core").ElementHandle<HTMLInputElement>} */ (
    await visitor.page.$("#pick-file")
  );
  await input.uploadFile(file);
}

test("a photo by drop, by paste and by picker: shown to all, and without what its camera wrote into it", async (t) => {
  const { port, web } = await serve(t);
  const bob = await Caller.come(t, port, "bob");
  const anna = await (await Visitor.come(t, web)).enter("anna");
  await anna.loaded();
  const bytes = await photo(anna);
  assert.ok(bytes.includes("behind the house"));
  const ways = {
    drop: () => hand(anna, "drop", "drop.jpg", bytes),
    paste: () => hand(anna, "paste", "paste.jpg", bytes),
    async pick() {
      const file = path.join(folder(t), "pick.jpg");
      writeFileSync(file, bytes);
      await pick(anna, file);
    },
  };
  for (const [way, take] of Object.entries(ways)) {
    await take();
    await anna.sees(`${way}.jpg`, "dialog");
    if (way === "drop") await anna.stands("send");
    await anna.press("Send", "dialog");
    const [, id] = /file (\d+) \d+ (\w+).jpg/.exec(await bob.hears("* anna file ")) ?? [];
    await anna.page.waitForSelector(`#log img[alt="${way}.jpg"]`);
    const got = await fetched(bob, id);
    assert.equal(got.toString("latin1", 0, 3), "\xff\xd8\xff");
    assert.ok(!got.includes("behind the house") && !got.includes("Exif"));
  }
  // The field has its caret again.
  await anna.page.keyboard.type("three photos\n");
  await bob.hears("<anna> three photos");
  const sizes = await anna.page.$$eval("#log img", (all) =>
    Promise.all(all.map((img) => img.decode().then(() => `${img.naturalWidth} × ${img.naturalHeight}`))),
  );
  assert.deepEqual(sizes, Array(3).fill("2048 × 1365"));
  await anna.stands("photo");
  await anna.press("Enlarge drop.jpg");
  await anna.page.waitForSelector("dialog img");
  await anna.stands("enlarged");
});

test("what cannot be shown says so beside its name, and can be saved", async (t) => {
  const { port, web } = await serve(t);
  const bob = await Caller.come(t, port, "bob");
  const anna = await (await Visitor.come(t, web)).enter("anna");
  await anna.loaded();
  const bytes = await photo(anna);
  // Its header tells how large it is; what follows is no picture.
  const broken = Buffer.concat([bytes.subarray(0, bytes.indexOf("ffda", 0, "hex") + 2), randomBytes(5000)]);
  const film = Buffer.concat([
    Buffer.from("0000001866747970", "hex"),
    Buffer.from("isom0000isommp42"),
    randomBytes(5000),
  ]);
  const song = Buffer.concat([Buffer.from("fLaC"), randomBytes(5000)]);
  await bob.gives("#lobby", "whole.jpg", bytes);
  await anna.page.waitForSelector('#log img[alt="whole.jpg"]');
  for (const [name, kind, of] of /** @type {[string, string, Buffer][]} */ ([
    ["broken.jpg", "picture", broken],
    ["cut.jpg", "picture", bytes.subarray(0, 10)],
    ["text.jpg", "picture", Buffer.from("no picture")],
    ["broken.mp4", "film", film],
    ["broken.flac", "recording", song],
  ])) {
    await bob.gives("#lobby", name, of);
    if (kind !== "picture") await anna.press(`Show ${name}`, "#log");
    await anna.sees(`${name} `, "#log li:last-child .card");
    await anna.sees(`This ${kind} cannot be shown`, "#log li:last-child .card");
    assert.match(await anna.page.$eval("#log li:last-child .card", (el) => el.textContent ?? ""), /Save \S+$/);
  }
  assert.equal((await anna.page.$$("#log .show img, #log video, #log audio")).length, 1, "what can be shown is");
  const heights = await anna.all("#log .card", (all) => all.map((el) => el.offsetHeight));
  assert.ok(
    heights.slice(1).every((height) => height < 90),
    `${heights}`,
  );
  await anna.stands("broken");
});

test("the original of a photo goes as it is, if one ticks that", async (t) => {
  const { port, web } = await serve(t, "--file-ttl", "100d");
  const bob = await Caller.come(t, port, "bob");
  const anna = await (await Visitor.come(t, web)).enter("anna");
  await anna.loaded();
  const bytes = await photo(anna);
  await hand(anna, "drop", "house.jpg", bytes);
  const month = new Date(Date.now() + 100 * 86_400_000).toLocaleDateString("en", { month: "long" });
  await anna.sees(`${month} `, "dialog p.quiet");
  await anna.sees("Can be fetched until ", "dialog p.quiet");
  await anna.sees("Photos are made smaller, to 2,048 pixels at most.", "dialog p.quiet");
  await anna.sees("Send the originals: whole, ", "dialog label");
  const tick = await anna.page.waitForSelector("dialog input[type=checkbox]");
  await tick?.click();
  await anna.press("Send", "dialog");
  const [, id] = /file (\d+)/.exec(await bob.hears("* anna file ")) ?? [];
  assert.deepEqual(await fetched(bob, id), bytes);
});

test("a file that one has sent is taken away by its menu, like what one has said", async (t) => {
  const { port, web } = await serve(t);
  const bob = await Caller.come(t, port, "bob");
  const anna = await (await Visitor.come(t, web)).enter("anna");
  await anna.loaded();
  await hand(anna, "drop", "notes.txt", Buffer.from("for me alone"));
  await anna.press("Send", "dialog");
  await bob.hears("* anna file ");
  await anna.sees("notes.txt", "#log li.file");
  await anna.page.hover("#log li.file");
  await anna.press("More", "#log");
  await anna.page.locator('.menu ::-p-aria([name="Take away…"][role="menuitem"])').click();
  await anna.sees("Take this file away, for everybody?", "dialog");
  await anna.sees("notes.txt", "dialog");
  await anna.press("Take away", "dialog");
  await bob.hears("* anna unfile ");
  await anna.sees("Gone", "#log li.file");
});

/** What a browser saves, in a folder. @param {Test} t @param {Visitor} visitor */
async function saving(t, visitor) {
  const downloadPath = folder(t);
  const browser = await visitor.page.browser().target().createCDPSession();
  const browserContextId = visitor.page.browserContext().id;
  await browser.send("Browser.setDownloadBehavior", {
    behavior: "allow",
    browserContextId,
    downloadPath,
    eventsEnabled: true,
  });
  return {
    path: downloadPath,
    whole: () =>
      new Promise((resolve) => {
        browser.on("Browser.downloadProgress", ({ state }) => state === "completed" && resolve(null));
      }),
  };
}

test("a large file goes up and down whole, and one can talk meanwhile", {
  skip: !isChromium && "only in Chromium it is seen what is saved",
}, async (t) => {
  const { port, web } = await serve(t);
  const bob = await Caller.come(t, port, "bob");
  const anna = await (await Visitor.come(t, web)).enter("anna");
  const carol = await (await Visitor.come(t, web)).enter("carol");
  await Promise.all([anna.loaded(), carol.loaded()]);
  const bytes = randomBytes(LARGE);
  const file = path.join(folder(t), "large.bin");
  writeFileSync(file, bytes);
  const saved = await saving(t, carol);
  const whole = saved.whole();
  await pick(anna, file);
  await anna.press("Send", "dialog");
  await anna.page.waitForSelector("#transfers progress");
  await carol.sees("large.bin", "#log .card");
  await carol.press("Save large.bin");
  await carol.say("while it comes");
  await bob.hears("<carol> while it comes");
  await anna.say("while it goes");
  await bob.hears("<anna> while it goes");
  await anna.misses("#transfers li");
  await whole;
  const digest = (/** @type {Buffer} */ of) => createHash("sha256").update(of).digest("hex");
  assert.equal(digest(readFileSync(path.join(saved.path, "large.bin"))), digest(bytes));
});

test("an upload outlives cuts, and a reload if the file is chosen again", async (t) => {
  const { port, web } = await serve(t);
  const way = await Way.to(t, web);
  const bob = await Caller.come(t, port, "bob");
  const anna = await (await Visitor.come(t, way.web)).enter("anna");
  await anna.loaded();
  const bytes = randomBytes(LARGE);
  const file = path.join(folder(t), "large.bin");
  writeFileSync(file, bytes);
  await pick(anna, file);
  await anna.press("Send", "dialog");
  const [, id] = /file (\d+)/.exec(await bob.hears("* anna file ")) ?? [];
  const begun = () =>
    anna.page.waitForFunction(() => (document.querySelector("progress")?.value ?? 0) > 200_000, { polling: 20 });
  await begun();
  way.cut();
  await begun();
  await anna.page.reload();
  await anna.page.waitForSelector("body[data-state=in]");
  await anna.loaded();
  await pick(anna, file);
  await anna.press("Send", "dialog");
  await anna.page.waitForSelector("#transfers progress");
  await anna.misses("#transfers li");
  assert.equal((await fetched(bob, id)).compare(bytes), 0);
});

test("an upload that is cancelled is gone for all", async (t) => {
  // It takes longer than looking at it does, on a busy machine too.
  const { port, web } = await serve(t, "--max-file", "400M");
  const bob = await Caller.come(t, port, "bob");
  const anna = await (await Visitor.come(t, web)).enter("anna");
  await anna.loaded();
  const file = path.join(folder(t), "large.bin");
  writeFileSync(file, "");
  truncateSync(file, 400e6);
  await pick(anna, file);
  await anna.press("Send", "dialog");
  await bob.hears("* anna file ");
  await anna.stands("upload");
  await anna.press("Cancel");
  await bob.hears("* anna unfile ");
  await anna.sees("Gone", "#log .card");
  await anna.misses("#transfers li");
});

test("a picture whose sender goes is waited for, in words, and given up once it never comes", async (t) => {
  const { port, web } = await serve(t);
  const anna = await (await Visitor.come(t, web)).enter("anna");
  await anna.loaded();
  const bytes = Buffer.alloc(300_000, 7);
  const digest = createHash("sha256").update(bytes).digest("hex");
  const line = `/send #lobby ${bytes.length} sha256:${digest} garden.png`;
  const bob = await Caller.come(t, port, "bob");
  bob.say(line, `=${bytes.toString("base64", 0, 48_000)}`);
  await anna.page.waitForFunction(() => document.querySelector("progress")?.value);
  bob.say("/quit");
  await anna.sees("bob broke off sending this", ".card");
  assert.ok(!(await anna.all(".card", (all) => all[0].innerText.includes("Gone"))));
  const again = await Caller.come(t, port, "bob");
  again.say(line);
  const offset = Number((await again.hears("+ send 1 ")).split(" ")[3]);
  again.say(`=${bytes.toString("base64", offset, offset + 48_000)}`);
  await anna.page.waitForFunction(() => (document.querySelector("progress")?.value ?? 0) > 50_000);
  again.say("/cancel 1");
  await anna.sees("Gone", ".card");
  await anna.misses(".card progress");
});

test("many lines are offered as a file", async (t) => {
  const { port, web } = await serve(t);
  const bob = await Caller.come(t, port, "bob");
  const anna = await (await Visitor.come(t, web)).enter("anna");
  const text = Array.from({ length: 30 }, (_, i) => `line ${i}`).join("\n");
  await anna.page.$eval(
    "#text",
    (el, text) => {
      /** @type {HTMLTextAreaElement} */ (el).value = text;
      el.dispatchEvent(new Event("input"));
    },
    text,
  );
  await anna.page.focus("#text");
  await anna.page.keyboard.press("Enter");
  await anna.sees("This has 30 lines", "dialog");
  await anna.stands("long");
  await anna.press("Send as a file", "dialog");
  const [, id] = /file (\d+)/.exec(await bob.hears("* anna file ")) ?? [];
  assert.equal((await fetched(bob, id)).toString(), text);
});
