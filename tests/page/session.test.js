/** What a session does with what a server says, which may be anything. */
import assert from "node:assert";
import { readFileSync } from "node:fs";
import test from "node:test";
import { Seen } from "../../src/web/page/seen.js";
import { Session } from "../../src/web/page/session.js";
import { parts } from "../../src/web/page/stay.js";
import { mentions } from "../../src/web/page/talks.js";
import { chance } from "./shell.js";

/** A session without a socket; `sent` is what it has said since that was asked last. */
async function start(kept = {}) {
  const world = { now: 1_000_000, out: [], changes: [], reconnects: 0, kept: null };
  const hooks = {
    send: (text) => world.out.push(...text.trimEnd().split("\n")),
    reconnect: () => world.reconnects++,
    changed: (change) => world.changes.push(change),
    keep: (kept) => {
      world.kept = JSON.parse(JSON.stringify(kept));
    },
    random: () => 0.5,
  };
  world.session = new Session({ kept: { local: {}, session: {}, ...kept }, hooks });
  await world.session.ready();
  world.open = () => world.session.opened(world.now);
  world.hear = (...lines) => world.session.heard(lines.map((line) => `${line}\n`).join(""), world.now);
  world.lose = (opened = true) => world.session.closed(world.now, { clean: false, code: 1006, opened });
  world.sent = () => world.out.splice(0);
  world.wait = (ms) => {
    world.now += ms;
    world.session.tick(world.now);
  };
  return world;
}

const HELLO = "* hello guest1 chinwag/0.2.0 2 online; /join #lobby to talk";
const LACKING = "* notice anna has no password yet; /passwd PASSWORD gives it one";
const KEEP = "+ keep 0000000000000000000000000000000f 60";

/** What a server answers to a line. */
function answer(line) {
  const [command, first, ...rest] = line.slice(1).split(" ");
  if (command === "keep") return KEEP;
  if (command === "who") return "- anna here 0s #lobby\n- bob here 0s #lobby\n+ who 1 2";
  if (command === "join") return `- here anna bob\n+ join ${first} 2`;
  if (command === "op" || command === "history") return `+ ${command} ${first} 0`;
  if (command === "files") return "+ files 0";
  if (command === "msg") return `${first} [9@2026-11-22T18:26:24.367Z] <anna> ${rest.join(" ")}\n+ msg ${first}`;
  return `+ ${command} ${[first, ...rest].join(" ")}`.trimEnd();
}

/** The server does what it is asked to. */
function serve(world) {
  for (let lines = world.sent(); lines.length; lines = world.sent())
    world.hear(...lines.flatMap((line) => answer(line).split("\n")));
}

async function inLobby() {
  const world = await start();
  world.open();
  world.hear(HELLO);
  world.session.enter("anna");
  serve(world);
  assert.equal(world.session.state, "in");
  return world;
}

test("one comes in with one name", async () => {
  const world = await start();
  assert.equal(world.session.state, "connecting");
  world.open();
  world.hear(HELLO);
  assert.equal(world.session.state, "naming");
  assert.deepEqual(world.sent(), ["/keep 0", "/who", "/set echo on", "/set stamp on"]);
  world.session.enter("anna");
  assert.deepEqual(world.sent(), ["/nick anna"]);
  world.hear(KEEP, "+ who 1 2", "+ set echo on", "+ set stamp on", "+ nick anna");
  assert.equal(world.session.state, "in");
  assert.deepEqual(world.sent(), [
    "/join #lobby",
    "/files #lobby",
    "/history #lobby 50",
    "/op #lobby",
    "/limits",
    "/ping restored",
  ]);
});

test("what the server tells at once is told once one is in", async () => {
  const world = await start();
  world.open();
  world.hear(HELLO, "* notice history is not being kept");
  world.session.enter("anna");
  serve(world);
  const notes = world.session.talks.get("#lobby").rows.map(({ code, text }) => [code, text]);
  assert.deepEqual(notes, [["notice", "history is not being kept"]]);
});

test("a name that somebody has is asked for again, with one that is free", async () => {
  const world = await start();
  world.open();
  world.hear(HELLO, KEEP, "- anna here 0s -", "- anna2 here 0s -", "+ who 1 2");
  world.session.enter("anna");
  world.hear("+ set echo on", "+ set stamp on", "! nick taken anna is somebody else");
  assert.equal(world.session.state, "naming");
  const { code, name, free } = world.session.trouble;
  assert.deepEqual({ code, name, free }, { code: "taken", name: "anna", free: "anna3" });
});

test("who owned their name when they wrote is the same person when they come back", async () => {
  const WROTE = "[-@2026-12-01T10:00:00.000Z] <Greta> are you there?";
  const account = (since) => [
    ...(since ? [`- name ${since} 2026-12-01`] : []),
    `+ account Greta ${since ? "owned" : "free"}`,
  ];
  for (const [before, meanwhile, after, isSame] of [
    ["2026-11-30", [], "2026-11-30", true],
    ["2026-11-30", [], "2026-12-01", false],
    // Who made it theirs on that day may be another one than who wrote, unless they write once more.
    ["2026-12-01", [], "2026-12-01", false],
    ["2026-12-01", [`@Greta ${WROTE}`], "2026-12-01", true],
    ["", [`@Greta ${WROTE}`], "", false],
  ]) {
    const world = await inLobby();
    world.hear("* presence 2 +Greta", `@Greta ${WROTE}`);
    assert.deepEqual(world.sent(), ["/account Greta"]);
    world.hear(...account(before), ...meanwhile);
    assert.deepEqual(world.sent(), [], "that is asked once");
    world.hear("* presence 3 -Greta", "* presence 4 +Greta");
    const asked = world.sent();
    if (asked.length) world.hear(...account(after));
    const { maySay } = world.session.talks.get("@Greta");
    assert.deepEqual(
      [asked.length, maySay],
      [isSame || after > before ? 1 : 0, isSame || "mayNot.gone"],
      before + after,
    );
  }
  // Nor is it they once they have gone while that is asked, or are called otherwise.
  const world = await inLobby();
  world.hear("* presence 2 +Greta", `@Greta ${WROTE}`, "* presence 3 -Greta", "* presence 4 +Greta");
  assert.deepEqual(world.sent(), ["/account Greta"]);
  world.hear(...account("2026-12-01"), `@Greta ${WROTE}`);
  assert.equal(world.session.talks.get("@Greta").maySay, "mayNot.gone");
});

test("a name of two words is refused before it is sent, and one word is offered", async () => {
  const world = await start();
  world.open();
  world.hear(HELLO, KEEP, "+ who 1 2", "+ set echo on", "+ set stamp on");
  world.sent();
  world.session.enter("  Oma  Erna ");
  const { code, free } = world.session.trouble;
  assert.deepEqual([world.sent(), code, free], [[], "words", "Oma-Erna"]);
  world.session.enter(free);
  assert.deepEqual(world.sent(), ["/nick Oma-Erna"]);
});

test("the name that one had is asked for until one's own dead connection has gone", async () => {
  const world = await start({ local: { name: "anna", rooms: [{ id: "#a", seq: 3, time: 5 }] } });
  world.open();
  world.hear(HELLO, KEEP, "+ who 1 2", "+ set echo on", "+ set stamp on", "! nick taken anna is somebody else");
  assert.deepEqual([world.session.state, world.session.trouble.code], ["in", "taken"]);
  assert.ok(world.session.trouble.retryAt, "it is told that the name comes back");
  serve(world);
  // The server gives a dead connection up after 90 seconds, and then keeps its place for 180.
  for (let waited = 0; waited < 270_000; waited += 5_000) {
    world.wait(5_000);
    assert.ok(world.sent().includes("/nick anna"));
    world.hear("! nick taken anna is somebody else");
  }
  world.hear("* presence 2 -anna");
  assert.deepEqual(world.sent(), ["/nick anna"]);
  world.hear("+ nick anna");
  assert.equal(world.session.trouble, null);
});

test("a locked server is told, and how many tries are left", async () => {
  const world = await start();
  world.open();
  world.hear("* locked chinwag/0.2.0 send /pass PASSWORD");
  assert.deepEqual([world.session.state, world.session.trouble.code], ["locked", "locked"]);
  await world.session.unlock("wrong");
  assert.deepEqual(world.sent(), ["/pass wrong"]);
  world.hear("! pass refused that is not the password; try again");
  assert.deepEqual(
    [world.session.state, world.session.trouble.code, world.session.trouble.tries],
    ["locked", "refused", 4],
  );
  await world.session.unlock("tea");
  world.hear("+ pass", HELLO);
  assert.equal(world.session.state, "naming");
  assert.ok(!JSON.stringify(world.kept ?? {}).includes("tea"));
});

test("a token stays where nobody owns the name, and is tried again", async () => {
  const token = { nick: "anna", token: "secret" };
  for (const [answer, kept] of [
    ["+ account anna free", token],
    ["! account refused this server keeps nothing", token],
    ["+ account anna owned", null],
  ]) {
    const world = await start({ local: { name: "anna", token } });
    for (const _ of [1, 2]) {
      world.open();
      world.hear(HELLO);
      assert.ok(world.sent().includes("/login anna token:secret"));
      world.hear("! login refused that is no token of anna");
      assert.ok(world.sent().includes("/account anna"));
      // It is not tried again on this connection, nor taken for the proof of a name.
      world.session.enter("anna");
      assert.deepEqual([world.sent().filter((line) => /login/.test(line)), world.session.me.owned], [[], false]);
      if (kept) {
        world.hear(answer);
        world.session.save();
        assert.deepEqual(world.kept.local.token, kept);
      }
      world.lose();
      world.wait(60_000);
    }
    world.open();
    world.hear(HELLO, "! login refused that is no token of anna", answer);
    world.session.save();
    assert.deepEqual(world.kept.local.token, kept);
  }
});

test("a password that was right once is tried once more, and a token before it", async () => {
  const LOCKED = "* locked chinwag/0.2.0 send /pass PASSWORD";
  for (const [token, said, told] of [
    [null, ["/pass tea"], "outdated"],
    [{ nick: "anna", token: "secret" }, ["/login anna token:secret", "/pass tea"], "outdated"],
  ]) {
    const world = await start({ local: { name: "anna", token } });
    world.session.password = "tea";
    world.open();
    world.hear(LOCKED);
    await null;
    for (const line of said) {
      await new Promise((then) => setTimeout(then, 20));
      assert.deepEqual(world.sent(), [line]);
      world.hear(`! ${line.slice(1).split(" ")[0]} refused x`);
    }
    await new Promise((then) => setTimeout(then, 20));
    const { trouble } = world.session;
    assert.deepEqual([world.session.state, trouble.code, trouble.tries], ["locked", told, null]);
    // It is not right any more, so the next connection does not hear of it.
    world.lose();
    world.wait(60_000);
    world.open();
    world.hear(LOCKED);
    await new Promise((then) => setTimeout(then, 20));
    assert.deepEqual(world.sent(), []);
  }
});

test("whoever takes long to type the password is waited for", async () => {
  for (const [act, said] of [
    [(session) => session.unlock("tea"), "/pass tea"],
    [(session) => session.login("anna", "correct-horse"), "/token"],
  ]) {
    const world = await start();
    world.open();
    world.hear("* locked chinwag/0.2.0 send /pass PASSWORD");
    world.hear("* bye idle no password came in time; connect again");
    world.lose();
    world.wait(600_000);
    assert.deepEqual([world.session.state, world.session.trouble.code, world.reconnects], ["locked", "locked", 0]);
    await act(world.session);
    assert.deepEqual([world.reconnects, world.sent()], [1, []]);
    world.open();
    world.hear("* locked chinwag/0.2.0 send /pass PASSWORD");
    assert.deepEqual(world.sent(), [said]);
  }
});

test("no password of a name goes out before it is known that the server takes it", async () => {
  for (const [reply, goes] of [
    ["! token insecure others on the way can read what you send here", false],
    ["! token no-account you are a guest", true],
    ["! token refused this server keeps nothing", true],
  ]) {
    for (const [act, line] of [
      [(session) => session.login("olga", "correct-horse"), "/login olga correct-horse"],
      [(session) => session.register("correct-horse"), "/register correct-horse"],
      [(session) => session.say("#lobby", "/register correct-horse"), "/register correct-horse"],
      [(session) => session.say("#lobby", "/login olga correct-horse"), "/login olga correct-horse"],
      [(session) => session.say("#lobby", "/drop correct-horse"), "/drop correct-horse"],
    ]) {
      const world = await inLobby();
      await act(world.session);
      await new Promise((then) => setTimeout(then, 20));
      assert.deepEqual(world.sent(), ["/token"]);
      world.hear(reply);
      assert.deepEqual(world.sent(), goes ? [line] : []);
      const { command } = world.session.trouble ?? world.session.talks.get("#lobby").rows.at(-1)?.why ?? {};
      if (!goes) assert.equal(command, line.slice(1).split(" ")[0], "what was asked for is what is refused");
    }
  }
});

test("whoever comes in without a look at the first fields sees the message of the day in the room", async () => {
  const world = await start({ local: { name: "anna", rooms: [{ id: "#lobby", seq: 0, time: 0 }] } });
  const notes = () =>
    world.session.talks
      .get("#lobby")
      .rows.filter(({ code }) => code === "motd")
      .map(({ text }) => text);
  for (let n = 0; n < 2; n++) {
    world.open();
    world.hear(HELLO, "* motd tea at five", "* motd bring cake");
    serve(world);
    assert.deepEqual(notes(), ["tea at five", "bring cake"], "once");
    world.hear("* bye shutdown x");
    world.lose();
    world.wait(60_000);
  }
});

test("what ends a connection decides what comes next", async () => {
  for (const [line, state, isRetried] of [
    ["* bye full too many", "connecting", true],
    ["* bye shutdown the server ends", "connecting", true],
    ["* bye idle nothing came", "connecting", true],
    ["* bye too-slow x", "connecting", true],
    ["* bye refused too many from your address", "ended", false],
    ["* bye blocked nobody may come", "ended", false],
    ["* bye killed flooding", "ended", false],
    ["* bye something-new x", "ended", false],
  ]) {
    const world = await start();
    world.open();
    world.hear(line);
    world.lose();
    const { code, retryAt } = world.session.trouble;
    assert.deepEqual([world.session.state, code, retryAt !== null], [state, line.split(" ")[2], isRetried], line);
    world.wait(120_000);
    assert.equal(world.reconnects, isRetried ? 1 : 0, line);
    if (isRetried) continue;
    world.session.awake(world.now);
    assert.equal(world.reconnects, 0);
    world.session.now(world.now);
    assert.equal(world.reconnects, 1);
  }
});

test("retries come later and later, and a proxy that carries no sockets is told", async () => {
  const world = await start();
  const waits = [];
  for (let n = 0; n < 9; n++) {
    world.lose(false);
    waits.push(world.session.trouble.retryAt - world.now);
    assert.equal(world.session.trouble.code, n ? "no-websocket" : "lost");
    world.wait(30_000);
  }
  assert.deepEqual(waits, [375, 750, 1_500, 3_000, 6_000, 12_000, 22_500, 22_500, 22_500]);
  assert.equal(world.reconnects, 9);
});

test("a page that wakes up asks whether the server is there, and makes a new socket if it is not", async () => {
  const world = await inLobby();
  world.now += 9_000;
  world.session.awake(world.now);
  assert.deepEqual(world.sent(), []);
  world.now += 1_000;
  world.session.awake(world.now);
  assert.deepEqual(world.sent(), ["/ping alive"]);
  world.wait(2_900);
  assert.equal(world.reconnects, 0);
  world.wait(100);
  assert.deepEqual([world.reconnects, world.session.state], [1, "lost"]);
  world.open();
  assert.deepEqual(world.sent(), [
    world.session.rest.place.ticket &&
      `/resume 0000000000000000000000000000000f ${world.session.rest.place.ticket.lines}`,
  ]);
});

test("the server is told what has come, so that it need not hold it", async () => {
  const world = await inLobby();
  const before = world.session.rest.place.ticket.lines;
  world.hear(...Array(100).fill(`* notice ${"x".repeat(200)}`));
  assert.deepEqual(world.sent(), [`/keep ${before + 100}`]);
  assert.equal(world.kept.session.place.lines, before + 100, "kept before the server lets go of it");
  world.hear(...Array(100).fill(`* notice ${"x".repeat(200)}`));
  assert.deepEqual(world.sent(), [], "one answer at a time");
  world.hear(KEEP);
  assert.deepEqual(world.sent(), [`/keep ${before + 200}`]);
});

test("the oldest rows go, and what is told of rows is what there is", async () => {
  const world = await inLobby();
  const line = (_, n) => `#lobby [${n + 1}@2026-11-22T18:26:24.367Z] <bob> ${n + 1}`;
  const shown = [];
  for (let batch = 0; batch < 3; batch++) {
    world.changes.length = 0;
    world.hear(...Array.from({ length: 12_000 }, (_, n) => line(_, batch * 12_000 + n)));
    const { added, removed } = world.changes.at(-1).rows.get("#lobby");
    const left = shown.splice(0).filter((row) => !removed.includes(row));
    shown.push(...left, ...added);
    const { rows, hasOlder } = world.session.talks.get("#lobby");
    assert.ok(rows.length <= 10_000 && hasOlder);
    assert.ok(shown.length === rows.length && shown.every((row, at) => row === rows[at]));
  }
});

test("a crowd that writes to one is not kept without end", async () => {
  const world = await inLobby();
  world.session.open("p3");
  for (let n = 0; n < 300; n++) world.hear(`@p${n} <p${n}> hi`);
  const ids = [...world.session.talks.keys()];
  assert.ok(ids.length <= 102 && ids.includes("@p3") && ids.includes("@p299"), `${ids}`);
});

test("a server that does not answer what takes the place up is left", async () => {
  const world = await inLobby();
  world.lose();
  world.wait(1_000);
  for (const lines of [["/resume"], []]) {
    assert.equal(world.session.trouble.retryAt, null, "it is being tried");
    world.open();
    assert.equal(world.sent().length, 1);
    const before = world.reconnects;
    for (let second = 0; second < 19; second++) {
      world.wait(1_000);
      world.hear("* presence 5 +x");
    }
    assert.equal(world.reconnects, before);
    world.wait(1_000);
    assert.equal(world.reconnects, before + 1, `${lines}`);
  }
  world.open();
  assert.deepEqual(world.sent(), []);
  world.hear(HELLO);
  assert.ok(world.sent().includes("/nick anna"), "one comes in anew");
});

test("a new version is told", async () => {
  const world = await start();
  world.open();
  world.hear(HELLO);
  assert.equal(world.session.newVersion, false);
  world.lose();
  world.open();
  world.hear(HELLO.replace("0.2.0", "0.3.0"));
  assert.equal(world.session.newVersion, true);
});

test("what was asked before a reload has no answer after it", async () => {
  const world = await start({
    local: { name: "anna", rooms: [{ id: "#lobby" }], token: { nick: "anna", token: "secret" } },
    session: { place: { token: "f".repeat(32), lines: 7 } },
  });
  world.open();
  assert.deepEqual(world.sent(), [`/resume ${"f".repeat(32)} 7`]);
  world.hear(
    HELLO,
    "- had 3",
    "+ resume anna",
    "- here x y",
    "+ join #elsewhere 9",
    "! nick taken x",
    LACKING,
    "#lobby [1@2026-11-22T18:26:24.367Z] <bob> held",
  );
  assert.deepEqual([world.session.state, world.session.me.nick, world.session.trouble], ["in", "anna", null]);
  serve(world);
  assert.deepEqual([...world.session.talks.keys()], ["#lobby"]);
  assert.deepEqual(
    world.session.talks.get("#lobby").rows.map((row) => row.text),
    ["held"],
  );
  // One may have chosen a password since then.
  assert.deepEqual([world.session.me.owned, world.session.rest.lacksPassword], [true, false]);
});

test("that one's name has no password is told to who asks, and known to the page that asks by itself", async () => {
  const world = await start();
  world.open();
  world.hear(HELLO);
  serve(world);
  // Whoever presses twice has it asked twice.
  await Promise.all([world.session.login("anna", "secret"), world.session.login("anna", "secret")]);
  world.sent();
  world.hear(...Array(2).fill("! token no-account you are a guest"));
  assert.deepEqual(world.sent(), Array(2).fill("/login anna secret"));
  world.hear(...Array(2).fill("+ login anna"));
  const asked = world.sent();
  assert.equal(asked.filter((line) => line === "/account").length, 2);
  for (const line of asked)
    world.hear(...(line === "/account" ? [LACKING, "+ account anna owned"] : answer(line).split("\n")));
  serve(world);
  const { rows } = world.session.talks.get("#lobby");
  assert.deepEqual([rows.map(({ text }) => text), world.session.rest.lacksPassword], [[], true]);
  await world.session.say("#lobby", "/account");
  await null;
  world.hear(LACKING, "+ account anna owned");
  assert.ok(rows.some(({ text }) => LACKING.endsWith(text)));
});

test("what the server cleans is the same message", async () => {
  const world = await inLobby();
  world.session.say("#lobby", "a\u200bb\u00adc   d");
  assert.deepEqual(world.sent(), ["/msg #lobby a\u200bb\u00adc   d"]);
  world.hear("#lobby [1@2026-11-22T18:26:24.367Z] <anna> abc d", "+ msg #lobby");
  const rows = world.session.talks.get("#lobby").rows;
  assert.deepEqual(
    rows.map((row) => [row.text, row.state]),
    [["abc d", "sure"]],
  );
});

test("a refused message tells why, and can be said again or dropped", async () => {
  const world = await inLobby();
  world.session.say("#lobby", "hi");
  world.sent();
  world.hear("! msg muted you are not heard here");
  const [row] = world.session.talks.get("#lobby").rows;
  assert.deepEqual([row.state, row.why], ["refused", { code: "muted", text: "you are not heard here" }]);
  await world.session.again(row);
  assert.deepEqual(world.sent(), ["/msg #lobby hi"]);
  world.hear("! msg muted you are not heard here");
  await world.session.drop(world.session.talks.get("#lobby").rows[0]);
  assert.deepEqual(world.session.talks.get("#lobby").rows, []);
});

test("long texts are cut at words and between characters", async () => {
  const text = `${"wörter und ".repeat(900)}${"😀".repeat(3_000)}`;
  const cut = parts(text, 4_000);
  for (const part of cut) assert.ok(Buffer.byteLength(part) <= 4_000 && part.isWellFormed());
  assert.equal(cut.join("").replaceAll(" ", ""), text.replaceAll(" ", ""));
  assert.deepEqual(parts("short", 4_000), ["short"]);
});

test("a name is found as a word in any script", () => {
  // The client has the same rule, and its test the same table.
  const table = readFileSync(new URL("mentions.txt", import.meta.url), "utf8");
  const lines = table.split("\n").filter((line) => line && !line.startsWith("#"));
  assert.ok(lines.length > 40);
  for (const line of lines) {
    const [is, nick, text] = line.split("\t");
    assert.equal(mentions(text, nick), is === "+", `${nick} in ${text}`);
  }
  assert.ok(!mentions("", "anna") && !mentions("x", ""));
});

test("a room that began anew is shown from its beginning, and a gap is counted", async () => {
  const line = (seq, time = seq) => ({ seq, time, nick: "a", text: `${seq}` });
  const seen = new Seen();
  assert.equal(seen.fetch(), "50");
  for (const seq of [1, 2, 3]) assert.ok(seen.past(line(seq)));
  assert.deepEqual([seen.answered(), seen.answered()], [{ ask: "after 3" }, { held: [], missing: 0 }]);
  assert.ok(seen.live(line(4)));
  assert.equal(seen.live(line(4)), null);
  assert.equal(seen.fetch(), "after 3");
  assert.equal(seen.past(line(4)), null);
  assert.ok(seen.past(line(9)));
  assert.equal(seen.live(line(10)), null);
  assert.deepEqual(seen.answered(), { held: [line(10)], missing: 0 });
  assert.equal(seen.fetch(), "after 9");
  assert.ok(seen.past(line(13)));
  assert.deepEqual([seen.answered(), seen.answered()], [{ ask: "after 13" }, { held: [], missing: 2 }]);
  assert.equal(seen.fetch(), "after 12");
  assert.deepEqual(seen.gone(), { ask: "after 0" });
  assert.ok(seen.began());
});

test("what was missed of a room is asked for from where one stopped reading", async () => {
  /** What is asked for behind the newest messages, the oldest of which is `first`. */
  const asked = async (read, first, isLater = true) => {
    const time = Date.parse("2026-11-22T18:26:24.367Z");
    const world = await start({ local: { name: "anna", rooms: [{ id: "#lobby", seq: read, time: read && time }] } });
    const questions = [];
    world.open();
    world.hear(HELLO);
    for (let lines = world.sent(); lines.length; lines = world.sent())
      for (const line of lines) {
        const of = /^\/history #lobby (.*)/.exec(line)?.[1];
        if (of) questions.push(of);
        const at = new Date(time + (isLater ? first : -1)).toISOString();
        if (of === "50") world.hear(`- [${first}@${at}] <bob> x`, "+ history #lobby 1");
        else world.hear(...answer(line).split("\n"));
      }
    assert.equal(world.session.talks.get("#lobby").seen.isFetching, false);
    return questions[1];
  };
  assert.equal(await asked(100, 101), "after 101");
  assert.equal(await asked(100, 102), "after 70");
  assert.equal(await asked(10, 300), "after 0");
  assert.equal(await asked(100, 5000), "after 3000");
  assert.equal(await asked(100, 60, false), "after 60");
  // Nothing was read before; or the room counts from 1 again.
  assert.equal(await asked(0, 300), "after 300");
  assert.equal(await asked(500, 61), "after 0");
});

test("nothing that a server says breaks a page or fills its memory", async () => {
  const random = chance(Number(process.env.CHINWAG_SEED ?? 1));
  const dice = (sides) => Math.floor(random() * sides);
  const protocol = readFileSync(new URL("../../PROTOCOL.md", import.meta.url), "utf8");
  const lines = protocol.split("\n").filter((line) => /^[#@*+!=-]/.test(line) && line.length < 300);
  lines.push(
    HELLO,
    KEEP,
    "+ resume anna",
    "- had 3",
    "#lobby * anna joined",
    "#lobby * anna missed 3 after 1",
    "#lobby * x erased 1 9",
    "* nick guest1 anna x",
    "- upload 1 5",
  );
  for (let run = 0; run < 60; run++) {
    const world = await start(
      run % 2
        ? {
            local: { name: "anna", token: 3, rooms: [null, 3, { id: 7 }, { id: "#lobby" }] },
            session: {
              people: [{}, { id: "@bob", rows: [{ text: "x" }] }],
              unsettled: [null, { id: "#lobby", row: { text: "y", mine: true } }],
              place: run % 4 === 1 ? { token: "f", lines: 1 } : 5,
            },
          }
        : {},
    );
    for (let step = 0; step < 400; step++) {
      const { session } = world;
      const line = () => {
        const text = lines[dice(lines.length)];
        const at = dice(text.length + 1);
        const other = lines[dice(lines.length)];
        return [
          text,
          text.slice(0, at),
          text.slice(0, at) + String.fromCharCode(dice(300)) + text.slice(at),
          text.slice(0, at) + other.slice(dice(other.length)),
          text.replace(/\d+/g, `${dice(5)}`),
          text.replace(/alice|bob|anna/g, "anna").replace("#lobby", "#lobby"),
        ][dice(6)];
      };
      switch (dice(12)) {
        case 0:
          world.open();
          break;
        case 1:
          if (dice(4) === 0) world.lose(dice(2) === 0);
          break;
        case 2:
          world.wait(dice(8_000));
          break;
        case 3:
          session.say(["#lobby", "@bob", "#x"][dice(3)], ["hi", "/me x", "", "//x", "a\nb"][dice(5)]);
          break;
        case 4:
          [
            () => session.enter("anna"),
            () => session.join("#b"),
            () => session.leave("#b"),
            () => session.open("bob"),
            () => session.read("#lobby"),
            () => session.typing("#lobby", dice(2) === 0),
            () => session.awake(world.now),
            () => session.now(world.now),
            () => session.save(),
          ][dice(9)]();
          break;
        case 5:
          for (const said of world.sent()) world.hear(...answer(said).split("\n"));
          break;
        default:
          world.hear(...Array.from({ length: dice(6) }, line));
      }
      world.out.splice(0, world.out.length > 500 ? world.out.length : 0);
      assert.ok(
        session.asked.length < 1_000 && session.talks.size < 300,
        `${session.asked.length} ${session.talks.size}`,
      );
    }
  }
});

test("who was left out of something asks who is there", async () => {
  const world = await inLobby();
  world.hear("* presence 1 +anna +bob", "#lobby [2@2026-11-22T18:26:24.367Z] <bob> hello");
  serve(world);
  for (const told of ["missed 0 after 2", "missed 3 after 2"]) {
    world.hear(`#lobby * anna ${told}`);
    assert.ok(world.out.includes("/who"), told);
    serve(world);
  }
  world.hear("#lobby [6@2026-11-22T18:26:25.367Z] <bob> again");
  assert.ok(!world.sent().includes("/who"));
});

test("what comes no more was taken back, and not what may be forgotten or is of somebody who is ignored", async () => {
  const at = (seq) => `[${seq}@2026-11-22T18:26:2${seq}.367Z] <${seq % 2 ? "bob" : "carol"}> ${seq}`;
  /** What is left of five messages, once some of it was missed and the history has only these. */
  const left = async (there, set = () => {}) => {
    const world = await inLobby();
    const { session } = world;
    session.server.limits.set("history", 200);
    world.hear(...[1, 2, 3, 4, 5].map((seq) => `#lobby ${at(seq)}`));
    const talk = session.talks.get("#lobby");
    set(session, talk);
    world.hear("#lobby * anna missed 3 after 5");
    for (let lines = world.sent(); lines.length; lines = world.sent())
      for (const line of lines) {
        const after = /^\/history #lobby after (\d+)/.exec(line)?.[1];
        // It comes in pages of two.
        const page = there.filter((seq) => seq > Number(after)).slice(0, 2);
        if (after) world.hear(...page.map((seq) => `- ${at(seq)}`), `+ history #lobby ${page.length}`);
        else world.hear(...answer(line).split("\n"));
      }
    return talk.rows.flatMap(({ seq }) => seq ?? []);
  };
  assert.deepEqual(await left([1, 3, 5]), [1, 3, 5]);
  assert.deepEqual(await left([1, 2, 6]), [1, 2, 6]);
  assert.deepEqual(await left([3, 5, 6]), [1, 2, 3, 5, 6]);
  assert.deepEqual(await left([6]), [1, 2, 3, 4, 5, 6]);
  assert.deepEqual(await left([1, 2], ({ ignored }) => ignored.add("Carol")), [1, 2, 4]);
  // What a room begins with after it began anew says nothing of what there was before.
  assert.deepEqual(await left([1, 3, 5], (session, talk) => session.note(talk, "", "anew")), [1, 2, 3, 4, 5]);
  // All of it, where nothing could be forgotten.
  assert.deepEqual(await left([]), []);
  assert.deepEqual(await left([], ({ server }) => server.limits.set("history", 0)), [1, 2, 3, 4, 5]);
  assert.deepEqual(await left([], (_, { rules }) => rules.set("past", "off")), [1, 2, 3, 4, 5]);
});
