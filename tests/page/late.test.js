/** What is loaded behind the first view comes late, or not at first, as where a proxy has nothing to give for a moment. */
import assert from "node:assert";
import { register } from "node:module";
import test from "node:test";
import { Session } from "../../src/web/page/session.js";
import { Person, serve } from "./shell.js";

/** Whether stay.js comes. What loads modules is in a thread of its own, and shares this with the tests. */
const comes = new Int32Array(new SharedArrayBuffer(4));
const hooks = `
  let comes;
  export function initialize(shared) { comes = new Int32Array(shared); }
  export async function resolve(name, context, next) {
    if (name === "./stay.js" && !Atomics.load(comes, 0)) throw new Error("502 Bad Gateway");
    return next(name, context);
  }`;
register(`data:text/javascript,${encodeURIComponent(hooks)}`, { data: comes.buffer });

/** Somebody in #tea under this name. */
async function come(t, port, name) {
  const person = new Person(t, port, { local: { rooms: [{ id: "#tea" }] }, session: {} }).connect();
  person.session.enter(name);
  await person.until("in", ({ talks }) => talks.get("#tea")?.joined);
  return person;
}

test("what was asked of it meanwhile is done once it comes", async (t) => {
  const port = await serve(t);
  Atomics.store(comes, 0, 1);
  const bob = await come(t, port, "bob");
  bob.session.say("#tea", "here before");
  await bob.until("said", () => bob.texts("#tea").length === 1);
  Atomics.store(comes, 0, 0);
  const anna = await come(t, port, "anna");
  await anna.until("all is as it was", ({ phase }) => phase === "on");
  assert.equal(anna.session.rest, null);
  anna.session.say("#tea", "too early");
  await anna.until("it goes back", () => anna.unsaid.length > 0);
  assert.deepEqual(anna.unsaid, [{ talkId: "#tea", text: "too early" }]);
  bob.session.say("#tea", "said meanwhile");
  Atomics.store(comes, 0, 1);
  await anna.until("what was said", () => anna.texts("#tea").includes("bob: said meanwhile"));
  assert.deepEqual(anna.texts("#tea"), ["bob: here before", "bob: said meanwhile"]);
  await anna.until("a rank", ({ talks }) => talks.get("#tea").rankOf("bob") === "op");
  anna.session.say("#tea", "hello");
  await bob.until("hello", () => bob.texts("#tea").at(-1) === "anna: hello");
});

test("a place that a reload left is asked for once it comes", { timeout: 60_000 }, async () => {
  Atomics.store(comes, 0, 0);
  let send = null;
  const sent = new Promise((then) => {
    send = then;
  });
  const place = { token: "0000000000000000000000000000000f", lines: 3 };
  const nothing = () => {};
  const session = new Session({
    kept: { local: {}, session: { place } },
    hooks: { send, reconnect: nothing, changed: nothing, keep: nothing, random: () => 0.5 },
  });
  await session.ready();
  session.opened(1000);
  Atomics.store(comes, 0, 1);
  session.tick(1500);
  assert.match(await sent, /^\/resume 0{31}f 3\n/);
});
