/** What strangers may try: pages of their own, names that they have rebound, and texts, names and files that pretend. */
import assert from "node:assert";
import test from "node:test";
import { Caller, elsewhere, NAMES, serve, Visitor } from "./kit.js";

/** Opens a page of which nothing is expected to work. @param {import("node:test").TestContext} t @param {string} address */
const stray = (t, address) => Visitor.come(t, address, { isStrict: false });

/** What becomes of a WebSocket that the page opened here tries. @param {Visitor} visitor @param {string} address */
const knock = (visitor, address) =>
  visitor.page.evaluate(
    (address) =>
      new Promise((resolve) => {
        const socket = new WebSocket(address);
        socket.onmessage = ({ data }) => resolve(`heard ${data}`);
        socket.onclose = () => resolve("closed");
      }),
    address,
  );

test("a page from elsewhere gets neither a socket, nor a frame, nor what is in the page", async (t) => {
  const { web } = await serve(t);
  const socket = `${web.replace("http", "ws")}ws`;
  const address = await elsewhere(t, "<p>mallory’s");
  const mallory = await stray(t, address);
  assert.equal(await knock(mallory, socket), "closed");
  await mallory.page.evaluate(
    (web) =>
      new Promise((resolve) => {
        const frame = document.createElement("iframe");
        frame.onload = resolve;
        frame.src = web;
        document.body.append(frame);
      }),
    web,
  );
  const frame = await (await mallory.page.$("iframe"))?.contentFrame();
  assert.equal(await frame?.$("#gate").catch(() => null), null);
  const fetched = await mallory.page.evaluate(
    (web) =>
      fetch(web, { mode: "no-cors" }).then(
        () => "fetched",
        () => "refused",
      ),
    web,
  );
  assert.equal(fetched, "refused");
  // The same from a file or a frame without an origin of its own.
  const sandboxed = await elsewhere(
    t,
    `<iframe sandbox="allow-scripts" srcdoc="<script>const s = new WebSocket('${socket}'); s.onmessage = () => parent.postMessage('heard', '*'); s.onclose = () => parent.postMessage('closed', '*')</script>"></iframe>
    <script>onmessage = ({ data }) => { document.title = data; }</script>`,
  );
  const nobody = await stray(t, sandboxed);
  await nobody.page.waitForFunction(() => document.title !== "", { polling: 100 });
  assert.equal(await nobody.page.title(), "closed");
});

for (const name of NAMES) {
  test(`a name that somebody can own is no name of the server: ${name}`, async (t) => {
    const { door } = await serve(t);
    const { port } = new URL(door);
    const mallory = await stray(t, `http://${name}:${port}/`);
    await mallory.sees("not known by that name; start it with --origin", "body");
    assert.equal(await mallory.page.$("#gate"), null);
    assert.equal(await knock(mallory, `ws://${name}:${port}/ws`), "closed");
  });
}

test("a name that the server was started with is one of its own, and no other", async (t) => {
  const { door } = await serve(t, "--origin", `http://${NAMES[0]}:2480`);
  const { port } = new URL(door);
  const mallory = await stray(t, `http://${NAMES[1]}:${port}/`);
  await mallory.sees("--origin", "body");
});

const MARKUP = `<img src=x onerror="hacked=1"><script>hacked=1</script><b>bold</b>`;

test("markup in texts, topics and names of files is text", async (t) => {
  const { port, web } = await serve(t);
  const mallory = await Caller.come(t, port, "mallory");
  mallory.say(`/topic #lobby ${MARKUP}`, MARKUP, `/me ${MARKUP}`);
  await mallory.gives("#lobby", MARKUP.replaceAll("/", ""), Buffer.from("data"));
  const anna = await (await Visitor.come(t, web)).enter("anna");
  await anna.sees(MARKUP, "#topic");
  await anna.sees(MARKUP, "#log .text");
  await anna.sees(MARKUP, "#log .action .text");
  await anna.sees(MARKUP.replaceAll("/", ""), "#log .card");
  mallory.say(MARKUP, `/away ${MARKUP}`, `/msg anna ${MARKUP}`, `/quit ${MARKUP}`);
  await anna.sees(MARKUP, "#log li:last-child");
  await anna.sees(MARKUP, "#log .event");
  assert.equal(await anna.page.$("#app :is(script, b, img)"), null);
  assert.equal(await anna.page.evaluate(() => /** @type {any} */ (window).hacked), undefined);
});

test("only addresses of the web are links, and they tell nobody where one comes from", async (t) => {
  const { port, web } = await serve(t);
  const mallory = await Caller.come(t, port, "mallory");
  mallory.say(
    "javascript:alert(1) data:text/html,x JAVASCRIPT://x http:javascript https://example.org/a?b=c. http://[ https://xn--ls8h.la/<b> (https://example.org/)",
  );
  const anna = await (await Visitor.come(t, web)).enter("anna");
  await anna.sees("javascript:alert(1)");
  const links = await anna.all("#log a", (all) =>
    all.map((a) => [a.getAttribute("href"), a.getAttribute("rel"), a.innerText]),
  );
  const rel = "noopener noreferrer nofollow";
  assert.deepEqual(
    links,
    ["https://example.org/a?b=c", "https://xn--ls8h.la/", "https://example.org/"].map((url) => [url, rel, url]),
  );
});

test("a file is what its bytes are, whatever its name says", async (t) => {
  const { port, web } = await serve(t);
  const mallory = await Caller.come(t, port, "mallory");
  const html = "<!doctype html><script>parent.hacked=1</script>";
  const svg = `<svg xmlns="http://www.w3.org/2000/svg"><script>parent.hacked=1</script></svg>`;
  for (const [name, text] of [
    ["cat.png", html],
    ["cat.svg", svg],
    ["cat.html", html],
    ["cat.gif.jpg", svg],
  ])
    await mallory.gives("#lobby", name, Buffer.from(text));
  const anna = await Visitor.come(t, web, {
    before: (page) =>
      page.evaluateOnNewDocument(() => {
        /** @type {string[]} */
        const types = [];
        Object.assign(window, { types });
        const make = URL.createObjectURL;
        URL.createObjectURL = (what) => {
          types.push(/** @type {Blob} */ (what).type);
          return make(what);
        };
      }),
  });
  await anna.enter("anna");
  for (const name of ["cat.png", "cat.svg", "cat.html", "cat.gif.jpg"]) {
    await anna.sees(name, "#log .card");
    await anna.press(`Save ${name}`);
  }
  await anna.page.waitForFunction(() => /** @type {any} */ (window).types.length >= 4, { polling: 100 });
  const types = await anna.page.evaluate(() => /** @type {any} */ (window).types);
  assert.deepEqual([...new Set(types)], ["application/octet-stream"]);
  assert.equal(await anna.page.$("#log :is(img, iframe, object, embed, video, audio)"), null);
});

test("a picture that is too large to be decoded is not, unless somebody asks", async (t) => {
  const { port, web } = await serve(t);
  const mallory = await Caller.come(t, port, "mallory");
  // The header of a PNG of 30,000 by 30,000 pixels.
  const header = Buffer.from("89504e470d0a1a0a0000000d4948445200007530000075300802000000", "hex");
  await mallory.gives("#lobby", "bomb.png", Buffer.concat([header, Buffer.alloc(40)]));
  const anna = await (await Visitor.come(t, web)).enter("anna");
  await anna.press("Show bomb.png");
  // It has no more than a header, so whoever tries to decode it finds that it is broken.
  await anna.sees("This picture cannot be shown");
});

test("the page's own scripts can make no markup", async (t) => {
  const { web } = await serve(t);
  const anna = await Visitor.come(t, web, { isStrict: false });
  const made = await anna.page.evaluate(() => {
    try {
      document.createElement("p").innerHTML = "<b>x</b>";
      return "made";
    } catch (error) {
      return /** @type {Error} */ (error).name;
    }
  });
  assert.equal(made, "TypeError");
});

test("a browser is told how its WebSocket ends, and why", async (t) => {
  const { web } = await serve(t);
  const anna = await Visitor.come(t, web);
  await anna.page.waitForSelector("#gate input[name=name]");
  const ends = (/** @type {string | number[]} */ last) =>
    anna.page.evaluate(
      (last) =>
        new Promise((resolve) => {
          const socket = new WebSocket(new URL("ws", location.href.replace(/^http/, "ws")));
          socket.onopen = () => socket.send(typeof last === "string" ? last : new Uint8Array(last));
          socket.onclose = ({ code }) => resolve(code);
        }),
      last,
    );
  assert.equal(await ends("/quit"), 1000);
  assert.equal(await ends([1, 2, 3]), 1003);
});
