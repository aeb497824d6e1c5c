/** What the page does for people, against the real server. */
import assert from "node:assert";
import { spawnSync } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import net from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "node:test";
import { astray } from "../../src/web/page/slips.js";
import { chance, Cutter, Person, serve } from "./shell.js";

/** Somebody in #lobby under this name. */
async function come(t, port, name, kept) {
  const person = new Person(t, port, kept).connect();
  if (name) person.session.enter(name);
  await person.until(
    "one is in",
    (session) => session.state === "in" && session.talks.get("#lobby")?.joined && session.phase === "on",
  );
  await person.until("the place is kept", (session) => session.rest?.place.ticket);
  return person;
}

/** Somebody with nc: says lines. */
function nc(t, port) {
  const socket = net.connect(port, "127.0.0.1");
  socket.on("error", () => {}).resume();
  t.after(() => socket.destroy());
  return (/** @type {string[]} */ ...lines) => socket.write(`${lines.join("\n")}\n`);
}

function folder(t) {
  const path = mkdtempSync(join(tmpdir(), "chinwag-page-"));
  t.after(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

const lobby = (person) => person.session.talks.get("#lobby");
const events = (person) =>
  lobby(person)
    .rows.filter((row) => row.kind === "event")
    .map((row) => [row.nick, row.code, ...row.args].join(" ").trim());
const hasEvent = (person, text) => person.until(text, () => events(person).includes(text));

test("two people talk, and each sees what the other does", async (t) => {
  const port = await serve(t);
  const anna = await come(t, port, "anna");
  const bob = await come(t, port, "bob");
  bob.session.say("#lobby", "hi anna!\n\nhow are you?");
  bob.session.say("#lobby", "/me waves");
  bob.session.say("#lobby", "//who");
  bob.session.say("@anna", "psst");
  await anna.until("psst", () => anna.texts("@bob").length);
  assert.deepEqual(anna.texts("#lobby"), ["bob: hi anna!", "bob: how are you?", "bob: waves", "bob: /who"]);
  const rows = lobby(anna).rows.filter((row) => row.seq);
  assert.deepEqual(
    rows.map((row) => [row.kind, row.seq, row.mention]),
    [
      ["said", 1, true],
      ["said", 2, false],
      ["action", 3, false],
      ["said", 4, false],
    ],
  );
  assert.deepEqual([lobby(anna).unread, lobby(anna).mentions, anna.session.talks.get("@bob").mentions], [4, 1, 1]);
  anna.session.read("#lobby");
  assert.deepEqual([lobby(anna).unread, lobby(anna).readKey], [0, lobby(anna).rows.at(-1).key]);
  bob.session.typing("#lobby", true);
  await anna.until("bob types", () => lobby(anna).typing.includes("bob"));
  bob.session.say("#lobby", "x");
  await anna.until("bob has typed", () => !lobby(anna).typing.length && anna.texts("#lobby").length === 5);
  await bob.session.away("at tea");
  await bob.until("bob is away", () => bob.session.me.away === "at tea");
  await bob.until("bob sees it", () => lobby(bob).members.get("bob").away === "at tea");
  // Nobody is told: it is asked.
  anna.session.askPeople("#lobby");
  await anna.until("anna sees it", () => lobby(anna).members.get("bob").away === "at tea");
  assert.deepEqual(
    [...anna.session.people.values()].map(({ nick, state, text }) => [nick, state, text]),
    [
      ["anna", "here", ""],
      ["bob", "away", "at tea"],
    ],
  );
  bob.session.say("#lobby", "/nick rob");
  await hasEvent(anna, "bob renamed rob");
  await hasEvent(bob, "bob renamed rob");
  assert.deepEqual([...anna.session.talks.keys()], ["#lobby", "@rob"]);
  bob.session.say("#lobby", "/topic tea and cake");
  await hasEvent(anna, "rob topic tea and cake");
  await hasEvent(bob, "rob topic tea and cake");
  assert.deepEqual([lobby(anna).topic, lobby(bob).topic], ["tea and cake", "tea and cake"]);
  bob.session.join("#den");
  await bob.until("bob is there", (session) => session.talks.get("#den")?.joined);
  const rooms = await new Promise((then) => anna.session.askRooms(then));
  assert.deepEqual(rooms, [
    { name: "#den", count: 1, topic: "" },
    { name: "#lobby", count: 2, topic: "tea and cake" },
  ]);
  bob.session.leave("#lobby");
  await hasEvent(anna, "rob left");
  assert.deepEqual([[...bob.session.talks.keys()], bob.session.current], [["@anna", "#den"], "#den"]);
});

test("what looks like a command without its slash is not said at once", async (t) => {
  const port = await serve(t);
  const anna = await come(t, port, "anna");
  const bob = await come(t, port, "bob");
  await bob.until("anna is there", () => lobby(bob).members.has("anna"));
  const notes = () => lobby(bob).rows.filter(({ kind }) => kind === "note");
  const given = () => bob.unsaid.splice(0).map(({ text }) => text);
  // A password is not said however often that is sent, and what else looks like a command is the second time.
  for (const text of ["passwd correct-horse", "login anna correct-horse", "a mail:\nlogin anna correct-horse"]) {
    for (let times = 0; times < 2; times++) bob.session.say("#lobby", text);
    assert.deepEqual([given(), notes().at(-1).code], [[text, text], "secret"]);
  }
  for (const text of ["kick Anna", "join #den sesame", "help"]) {
    bob.session.say("#lobby", text);
    assert.deepEqual([given(), notes().at(-1).code], [[text], "slip"]);
  }
  bob.session.say("#lobby", "help");
  bob.session.say("#lobby", "kick nobody");
  bob.session.say("#lobby", "who\nrooms");
  bob.session.say("#lobby", "/msg #lobby passwd correct-horse");
  await anna.until("all that was meant", () => anna.texts("#lobby").length === 5);
  assert.deepEqual(
    anna.texts("#lobby"),
    ["help", "kick nobody", "who", "rooms", "passwd correct-horse"].map((text) => `bob: ${text}`),
  );
});

test("one word after a command for a password that was not carried out is not said at once", async (t) => {
  const port = await serve(t, "--data", folder(t));
  const [anna, bob] = [await come(t, port, "anna"), await come(t, port, "bob")];
  const say = (...texts) => {
    for (const text of texts) bob.session.say("#lobby", text);
  };
  const note = () => lobby(bob).rows.findLast(({ kind }) => kind === "note");
  const isRefused = async (...texts) => {
    const refusals = () => lobby(bob).rows.filter(({ code }) => code === "refused").length;
    const [before, trouble] = [refusals(), bob.session.trouble];
    say(...texts);
    const isNew = (session) => session.trouble && session.trouble !== trouble;
    await bob.until(`${texts[0]} is refused`, (session) => refusals() > before || isNew(session));
  };
  const said = [];
  const isSaid = async (text) => {
    said.push(`bob: ${text}`);
    await anna.until(text, () => anna.texts("#lobby").length >= said.length);
    assert.deepEqual(anna.texts("#lobby").slice(0, said.length), said);
  };
  for (const line of ["/register bob", "/login anna wrong-horse", "/passwd correct-horse", "/drop x", "/token"]) {
    const command = line.split(" ")[0];
    // While it has no answer the word goes back however often it is sent.
    await isRefused(line, "correct-horse", "correct-horse");
    bob.unsaid.length = 0;
    say("better-horse");
    assert.deepEqual([bob.unsaid.pop()?.text, note().code, note().args[0]], ["better-horse", "wary", command], line);
    // Who means it sends it once more, and who says something else says it.
    say("better-horse");
    await isSaid("better-horse");
    say("hello");
    await isSaid("hello");
    await isRefused(line);
    say("what is that", "hello");
    await isSaid("what is that");
    await isSaid("hello");
  }
  // So it is behind a line that was held back.
  for (const line of ["login bob correct-horse", "passwd"]) {
    say(line, "correct-horse");
    assert.equal(note().code, "wary");
    say("what is that");
    await isSaid("what is that");
  }
  // What was carried out lacks nothing.
  say("/register correct-horse");
  await bob.until("it is his", (session) => session.me.owned && session.token);
  say("thanks");
  await isSaid("thanks");
});

test("what a command did not send to somebody is told where one is", async (t) => {
  const port = await serve(t);
  const bob = await come(t, port, "bob");
  const notes = () => lobby(bob).rows.filter(({ code }) => code === "unsent");
  bob.session.say("#lobby", `/msg nobody ${"ä".repeat(70)}`);
  await bob.until("it is refused", () => notes().length === 1);
  assert.deepEqual([notes()[0].args, notes()[0].why.code], [["nobody", `${"ä".repeat(60)}…`], "no-such-nick"]);
  // Where it stands already it is not told once more.
  bob.session.look("@nobody");
  bob.session.say("@nobody", "hello");
  const { rows } = bob.session.talks.get("@nobody");
  await bob.until("it is refused", () => rows.at(-1).state === "refused");
  assert.deepEqual([rows.length, notes().length], [2, 1]);
});

test("an op puts people in order by menus", async (t) => {
  const port = await serve(t);
  const anna = await come(t, port, "anna");
  const bob = await come(t, port, "bob");
  await anna.until("anna is op", () => lobby(anna).rank === "op");
  await anna.until("bob is there", () => lobby(anna).members.has("bob"));
  anna.session.say("#lobby", "/room moderated on");
  await bob.until("bob may not speak", () => lobby(bob).maySay === "mayNot.moderated");
  await anna.session.menu("voice", "#lobby", "bob");
  await bob.until("bob may speak", () => lobby(bob).maySay === true);
  assert.equal(lobby(bob).rank, "voice");
  await hasEvent(anna, "anna made bob voice");
  bob.session.say("#lobby", "spam");
  const row = await anna.until("spam", () => lobby(anna).rows.find((row) => row.text === "spam"));
  await anna.session.erase(row);
  await bob.until("it is gone", () => !bob.texts("#lobby").length);
  await anna.until("it is gone", () => !anna.texts("#lobby").length && row.erased);
  await anna.session.menu("mute", "#lobby", "bob", "1m spam");
  await anna.until("it says for how long, and why", () =>
    lobby(anna).rows.some(({ code, args }) => code === "muted" && args[1] === "60" && args[2] === "spam"),
  );
  await bob.until("bob is muted", () => lobby(bob).maySay === "mayNot.muted");
  bob.session.say("#lobby", "hm");
  await bob.until("bob is not heard", () =>
    lobby(bob).rows.some((row) => row.state === "refused" && row.why.code === "muted"),
  );
  await anna.session.menu("kick", "#lobby", "bob", "that will do");
  await hasEvent(anna, "anna kicked bob that will do");
  await hasEvent(bob, "anna kicked bob that will do");
  assert.deepEqual([lobby(bob).joined, lobby(bob).maySay], [false, "mayNot.outside"]);
  anna.session.say("#lobby", "/room key sesame");
  await hasEvent(anna, "anna set key sesame");
  bob.session.join("#lobby");
  await bob.until(
    "the key is asked for",
    (session) => session.trouble?.code === "bad-key" && session.trouble.name === "#lobby",
  );
  bob.session.join("#lobby", "sesame");
  await bob.until("bob is in", () => lobby(bob).joined && !bob.session.trouble);
  await anna.session.menu("ban", "#lobby", "bob", "1h");
  await bob.until("bob is banned", () => !lobby(bob).joined);
  await anna.until("bob is not there", () => !lobby(anna).members.has("bob"));
  bob.session.open("anna");
  bob.session.say("@anna", "sorry");
  await anna.until("sorry", () => anna.texts("@bob").length);
  anna.session.join("#den");
  await anna.until("anna is there", (session) => session.talks.get("#den")?.joined);
  await anna.session.menu("invite", "#den", "bob");
  const card = await bob.until("an invitation", (session) =>
    session.talks.get("@anna").rows.find((row) => row.kind === "invite"),
  );
  assert.deepEqual(card.args, ["#den"]);
  // Had bob not been there, nobody would have told him.
  await anna.until("it is told", (session) => session.talks.get("#den").rows.some(({ code }) => code === "invited"));
  await anna.session.menu("ignore", "@bob", "bob");
  await anna.until("bob is ignored", (session) => session.ignored.has("bob"));
});

test("the list tells who has a rank, also once they come in again, and of one founder", async (t) => {
  const data = folder(t);
  const port = await serve(t, "--data", data);
  const [maria, vera] = ["Maria", "Vera"].map((name) => {
    const say = nc(t, port);
    say(`/nick ${name}`, "/register correct-horse");
    return say;
  });
  const anna = await come(t, port, "anna");
  maria("/join #club", "/invite #club anna");
  await anna.until("the room is there", ({ talks }) => talks.get("@Maria")?.rows.length);
  anna.session.join("#club");
  const ranks = () => {
    const members = [...(anna.session.talks.get("#club")?.members.values() ?? [])];
    return members.map(({ nick, rank }) => `${nick} ${rank}`).sort();
  };
  const are = (...all) => anna.until(`${all}`, () => `${ranks()}` === `${all}`);
  await are("Maria founder", "anna null");
  vera("/join #club");
  await are("Maria founder", "Vera null", "anna null");
  maria("/op #club Vera");
  await are("Maria founder", "Vera op", "anna null");
  maria("/leave #club");
  await are("Vera op", "anna null");
  maria("/join #club");
  vera("/quit");
  await are("Maria founder", "anna null");
  const again = nc(t, port);
  again("/login Vera correct-horse", "/join #club");
  await are("Maria founder", "Vera op", "anna null");
  spawnSync(process.env.CHINWAG, ["ctl", "--data", data, "founder", "#club", "Vera"]);
  await are("Maria op", "Vera founder", "anna null");
  again("/logout");
  await anna.until("a guest is nobody", () => /^Maria op,anna null,guest\d null$/.test(ranks()));
  again("/login Vera correct-horse");
  await are("Maria op", "Vera founder", "anna null");
  again("/drop correct-horse");
  await anna.until("there is another founder", () => /^Maria founder,anna null,guest\d null$/.test(ranks()));
});

test("what is for somebody who has gone goes to nobody else of that name", async (t) => {
  const port = await serve(t);
  const anna = await come(t, port, "anna");
  const gone = (name) => {
    const { rows } = anna.session.talks.get(`@${name}`);
    return rows.filter((row) => row.state === "refused").map((row) => [row.text, row.why.code]);
  };
  const isHere = (name) => anna.until(`${name} is here`, (session) => session.people.has(name));
  const bob = await come(t, port, "bob");
  bob.session.say("@anna", "psst");
  await anna.until("psst", () => anna.texts("@bob").length);
  bob.session.say("#lobby", "/quit");
  await anna.until("bob has gone", (session) => session.talks.get("@bob").maySay !== true);
  anna.session.say("@bob", "are you there?");
  assert.deepEqual(gone("bob"), [["are you there?", "no-such-nick"]]);
  const other = await come(t, port, "bob");
  await isHere("bob");
  anna.session.typing("@bob", true);
  anna.session.say("@bob", "the secret");
  const source = { name: "a", size: 1, read: async () => new Uint8Array(1) };
  const upload = await anna.session.upload("@bob", source);
  await anna.until("no file either", () => upload.state === "failed" && upload.why.code === "stranger");
  assert.deepEqual(gone("bob").at(-1), ["the secret", "stranger"]);
  // Over a reload too, until somebody is chosen anew.
  anna.session.save();
  anna.end();
  const again = await come(t, port, null, anna.kept);
  again.session.say("@bob", "the secret, once more");
  const row = again.session.talks.get("@bob").rows.at(-1);
  assert.deepEqual([row.state, row.why.code], ["refused", "stranger"]);
  await again.session.again(row);
  await other.until("what was chosen", () => other.texts("@anna").length);
  assert.deepEqual(other.texts("@anna"), ["anna: the secret, once more"]);
  assert.deepEqual(other.session.talks.get("@anna").rows.filter(({ kind }) => kind === "file").length, 0);
  // So it is after a loss, and who is spelled in another way is the same person.
  other.session.say("#lobby", "/nick BOB");
  await again.until("BOB", (session) => session.people.has("BOB"));
  assert.equal(again.session.find("@BOB").maySay, true);
  again.session.rest.place.end();
  again.lose();
  again.session.now(Date.now());
  await again.until("a new connection", (session) => session.phase === "on");
  assert.notEqual(again.session.find("@BOB").maySay, true);
  again.session.open("BOB");
  again.session.say(again.session.current, "now");
  // Her old connection still has her name.
  await other.until("now", ({ talks }) =>
    [...talks.values()].some(({ rows }) => rows.some(({ text }) => text === "now")),
  );
});

test("whoever takes a name at once is not taken for who had it", async (t) => {
  const port = await serve(t);
  const anna = await come(t, port, "anna");
  const bob = await come(t, port, "bob");
  const carl = await come(t, port, "carl");
  bob.session.say("@anna", "psst");
  await anna.until("psst", () => anna.texts("@bob").length);
  await anna.until("carl is here", (session) => session.people.has("carl"));
  bob.session.say("#lobby", "/quit");
  await hasEvent(carl, "bob quit");
  // Presence has gathered for a while what came and went, and tells nothing of bob.
  carl.session.enter("bob");
  await hasEvent(anna, "carl renamed bob");
  assert.equal(anna.session.talks.get("@bob").maySay, "mayNot.gone");
});

test("a talk goes with a person to another name, and with nobody once they have gone", async (t) => {
  const port = await serve(t, "--data", folder(t));
  const anna = await come(t, port, "anna");
  const zora = nc(t, port);
  zora("/nick Zora", "/register correct-horse", "/join #lobby", "/msg anna write to me here");
  await anna.until("she has written", () => anna.texts("@Zora").length);
  anna.session.say("@Zora", "hi");
  await anna.until("it is known whose name that is", ({ talks }) => talks.get("@Zora").since);
  zora("/drop correct-horse");
  const guest = await anna.until("she is a guest", ({ talks }) => [...talks.keys()].find((id) => /^@guest/.test(id)));
  const talk = anna.session.talks.get(guest);
  assert.deepEqual([talk.maySay, talk.since], [true, null]);
  zora("/quit");
  await hasEvent(anna, `${talk.name} quit`);
  const next = nc(t, port);
  next("/join #lobby", "/nick Olga");
  await hasEvent(anna, `${talk.name} renamed Olga`);
  assert.deepEqual([[...anna.session.talks.keys()], talk.maySay], [["#lobby", guest], "mayNot.gone"]);
  anna.session.say(guest, "the door code");
  assert.equal(talk.rows.at(-1).state, "refused");
  // Nor is it who takes a name from somebody who is called otherwise where one is not.
  next("/msg anna psst", "/leave #lobby");
  await hasEvent(anna, "Olga left");
  const last = nc(t, port);
  last("/nick last", "/join #lobby");
  await hasEvent(anna, "last joined");
  next("/nick Otto", "/msg anna psst");
  await anna.until("psst", () => anna.texts("@Otto").length);
  last("/nick Olga");
  await hasEvent(anna, "last renamed Olga");
  assert.deepEqual(
    ["@Olga", "@Otto"].map((id) => anna.session.talks.get(id).maySay),
    ["mayNot.gone", true],
  );
});

test("who owns a name is known again when they come back", async (t) => {
  const port = await serve(t, "--data", folder(t));
  const anna = await come(t, port, "anna");
  const margaret = await come(t, port, "Margaret");
  await margaret.session.register("correct-horse");
  await margaret.until("a token", (session) => session.me.owned && session.token);
  await anna.until("she is here", (session) => session.people.has("Margaret"));
  anna.session.say("@Margaret", "hi");
  const talk = (person) => person.session.talks.get("@Margaret");
  await anna.until("it is known whose name that is", () => talk(anna).since);
  margaret.session.save();
  margaret.session.say("#lobby", "/quit");
  await anna.until("she has gone", () => talk(anna).maySay !== true);
  anna.session.save();
  anna.end();
  const again = await come(t, port, null, anna.kept);
  assert.equal(talk(again).maySay, "mayNot.gone");
  const back = await come(t, port, null, { local: margaret.kept.local, session: {} });
  await again.until("it is she", () => talk(again).maySay === true);
  // So it is if she is a guest there before.
  back.session.say("#lobby", "/quit");
  await again.until("she has gone", () => talk(again).maySay !== true);
  nc(t, port)("/join #lobby", "/login Margaret correct-horse");
  await again.until("it is she", () => talk(again).maySay === true);
});

test("what is typed for a room that let nobody in is not said elsewhere at once", async (t) => {
  const port = await serve(t);
  const anna = await come(t, port, "anna");
  const bob = await come(t, port, "bob");
  bob.session.say("#lobby", "/join #board");
  await bob.until("he is there", ({ talks }) => talks.get("#board")?.joined);
  bob.session.say("#board", "/room #board invite-only on");
  await bob.until("it is shut", ({ talks }) => talks.get("#board").rules.get("invite-only") === "on");
  anna.session.say("#lobby", "/join #chess");
  await anna.until("she is there", ({ talks }) => talks.get("#chess")?.joined);
  anna.session.say("#chess", "/join #board");
  await anna.until("she is not let in", ({ trouble }) => trouble?.code === "invite-only");
  assert.equal(anna.session.current, "#chess", "she is where she was");
  anna.session.say("#chess", "hello board");
  const chess = anna.session.talks.get("#chess");
  assert.deepEqual(
    [anna.unsaid, chess.rows.at(-1).code, chess.rows.at(-1).args],
    [[{ talkId: "#chess", text: "hello board" }], "elsewhere", ["#board"]],
  );
  // Who sends it again means it, and who looks elsewhere sees where that is.
  for (const text of ["hello board", "hello chess"]) anna.session.say("#chess", text);
  await anna.until("it is said", () => anna.texts("#chess").length === 2);
  anna.session.say("#chess", "/join #board");
  await anna.until("she is not let in", ({ talks }) => !talks.has("#board"));
  anna.session.look("#lobby");
  anna.session.say("#lobby", "hello lobby");
  await bob.until("it is said", () => bob.texts("#lobby").length);
});

test("no command with a secret, or for one person, is said for a blank before it or for other lines", async (t) => {
  const port = await serve(t);
  const anna = await come(t, port, "anna");
  const bob = await come(t, port, "bob");
  const others = [
    " /register x",
    "/ login anna x",
    "\u2800/passwd x",
    "\t/token",
    "/login anna x\n/join #club",
    "one\n/pw x",
  ];
  for (const text of [...others, "/query anna\npsst", "hi\r\n /msg anna psst", "//who\n/drop x"]) {
    bob.session.say("#lobby", text);
    assert.deepEqual(
      [lobby(bob).rows.at(-1).code, bob.unsaid.splice(0)],
      ["alone", [{ talkId: "#lobby", text }]],
      text,
    );
  }
  for (const text of ["/usr/bin\n/ns", "a\n//token x", "/w", "pass/fail"]) bob.session.say("#lobby", text);
  bob.session.say("#lobby", "the end");
  await anna.until("the end", () => anna.texts("#lobby").includes("bob: the end"));
  const said = anna.texts("#lobby").map((text) => text.slice(5));
  assert.deepEqual(said, ["/usr/bin", "/ns", "a", "//token x", "pass/fail", "the end"]);
  // The server has the same rule.
  const source = readFileSync(new URL("../../src/commands/mistyped.rs", import.meta.url), "utf8");
  for (const list of source.match(/^const SECRET.*?= &?\[.*?\];/gms)) {
    const words = [...list.matchAll(/"(\w+)"/g)].map((m) => m[1]);
    assert.ok(words.length >= 5);
    for (const word of words) assert.equal(astray(` /${word} x`), word);
  }
});

test("who owns a name logs in by a token that is kept, and no password is", async (t) => {
  const port = await serve(t, "--data", folder(t));
  const anna = await come(t, port, "anna");
  await anna.session.register("correct-horse");
  await anna.until("a token", (session) => session.me.owned && session.token);
  anna.session.save();
  const kept = { local: anna.kept.local, session: {} };
  assert.ok(!JSON.stringify(anna.kept).includes("horse"));
  const again = await come(t, port, null, kept);
  assert.deepEqual([again.session.me.nick, again.session.me.owned], ["anna", true]);
  // Somebody else is asked for the password, and told when it is wrong.
  const other = new Person(t, port).connect();
  other.session.enter("anna");
  await other.until("it is owned", (session) => session.state === "naming" && session.trouble?.code === "owned");
  await other.session.login("anna", "wrong-horse");
  await other.until("it is wrong", (session) => session.trouble?.code === "refused" && session.trouble.tries === 4);
  await other.session.login("anna", "correct-horse");
  await other.until(
    "it is right",
    (session) => session.state === "in" && session.me.owned && session.token && session.talks.get("#lobby")?.joined,
  );
  await other.session.logout();
  await other.until(
    "a guest",
    (session) => !session.me.owned && session.token === null && session.me.nick.startsWith("guest"),
  );
  await again.session.forget();
  await again.until(
    "nothing is left",
    (session) => session.state === "naming" && again.kept.local.token === undefined && !session.me.owned,
  );
  await anna.until("she is there", (session) => session.state === "in");
});

test("a name that is refused changes nothing that is kept", async (t) => {
  const port = await serve(t, "--data", folder(t));
  const greta = await come(t, port, "Greta");
  await greta.session.register("correct-horse");
  await greta.until("it is hers", (session) => session.me.owned);
  const anna = await come(t, port, "anna");
  await anna.session.register("correct-horse");
  await anna.until("a token", (session) => session.me.owned && session.token);
  const isRefused = (session) => session.trouble?.code === "owned" && session.trouble.name === "Greta";
  anna.session.say("#lobby", "/nick Greta");
  await anna.until("it is refused", isRefused);
  anna.session.save();
  assert.equal(anna.kept.local.name, "anna");
  const again = await come(t, port, null, { local: anna.kept.local, session: {} });
  assert.deepEqual([again.session.me.nick, again.session.me.owned], ["anna", true]);
  // Nor does one that is asked for while there is no connection, whether the place is kept meanwhile or not.
  for (const isKept of [true, false]) {
    anna.lose();
    anna.session.rename("Greta");
    anna.session.save();
    assert.equal(anna.kept.local.name, "anna");
    if (!isKept) anna.session.rest.place.end();
    await anna.until("it is refused", (session) => session.state === "in" && isRefused(session));
    assert.deepEqual([anna.session.me.nick, anna.session.name, anna.session.me.owned], ["anna", "anna", true]);
  }
  // What is free is hers, and she comes back by her own.
  for (const name of ["Annette", "anna"]) {
    anna.session.rename(name);
    await anna.until("she is called so", (session) => session.me.nick === name && !session.trouble);
    anna.session.save();
    assert.equal(anna.kept.local.name, name);
  }
  assert.equal(anna.session.me.owned, true);
});

test("who has no name yet is asked for one after a reload, too", async (t) => {
  const port = await serve(t, "--data", folder(t));
  const greta = await come(t, port, "Greta");
  await greta.session.register("correct-horse");
  await greta.until("it is hers", (session) => session.me.owned);
  let anna = new Person(t, port).connect();
  const reload = () => {
    anna.session.save();
    anna.end();
    anna = new Person(t, port, anna.kept).connect();
  };
  const isAsked = async (what, is = () => true) => {
    await anna.until(what, (session) => session.state === "naming" && is(session));
    await anna.until("the place is kept", (session) => session.rest?.place.ticket);
    assert.deepEqual([anna.session.entered, anna.session.talks.get("#lobby")?.joined], [false, undefined]);
  };
  const isRefused = (code) => (session) => session.trouble?.code === code && session.trouble.name === "Greta";
  anna.session.ready();
  anna.session.enter("Greta");
  await isAsked("the name is refused", isRefused("owned"));
  reload();
  await isAsked("she is asked again");
  await anna.session.login("Greta", "battery-staple");
  await isAsked("the password is wrong", isRefused("refused"));
  reload();
  await isAsked("she is asked once more");
  // A name that was hers before is asked for again, and told to be somebody's.
  anna.session.save();
  anna.kept.local.name = "Greta";
  anna.end();
  anna = new Person(t, port, anna.kept).connect();
  await isAsked("it is somebody's now", isRefused("owned"));
  // Whoever is in comes back in, under a guest's name, too.
  for (const name of ["guest77", "anna"]) {
    anna.session.enter(name);
    await anna.until("she is in", (session) => session.state === "in" && lobby(anna)?.joined && !session.trouble);
    if (name === "anna") await anna.until("she is anna", (session) => session.me.nick === name);
    const { nick } = anna.session.me;
    reload();
    await anna.until("she is in again", (session) => session.state === "in" && lobby(anna)?.joined);
    assert.equal(anna.session.me.nick, nick);
  }
});

test("who comes in by an operator's token is known to have no password, until one is set", async (t) => {
  const data = folder(t);
  const port = await serve(t, "--data", data);
  const betty = new Person(t, port).connect();
  await betty.until("she is greeted", (session) => session.state === "naming");
  const [, token] = /(token:\S+)/.exec(
    spawnSync(process.env.CHINWAG, ["ctl", "--data", data, "grant", "Betty"]).stdout,
  );
  await betty.session.login("Betty", token);
  const lacks = (session) => session.me.owned && session.rest.lacksPassword;
  await betty.until("it is known", lacks);
  // The token comes behind that.
  await betty.until("there is what she comes in by again", ({ token }) => token);
  const notes = () => lobby(betty).rows.filter((row) => row.kind === "note");
  assert.deepEqual(notes(), [], "the page has words of its own for that");
  // A reload forgets nothing of it.
  betty.session.save();
  const again = await come(t, port, null, { local: betty.kept.local, session: {} });
  await again.until("it is known again", lacks);
  betty.session.say("#lobby", "/account");
  await betty.until("who asks is told", () => notes().some((row) => row.text.startsWith("Betty has no password")));
  const isTold = () => notes().at(-1)?.code === "password";
  await betty.session.register("bishop-888");
  await betty.until("there is one", () => isTold() && !betty.session.rest.lacksPassword && betty.session.token);
  await betty.session.register("knight-999", "bishop-777");
  await betty.until("it was another one", (session) => session.trouble?.command === "passwd");
  assert.ok(!JSON.stringify(notes()).includes("bishop"));
  await betty.session.register("knight-999", "bishop-888");
  await betty.until("it is set", () => notes().filter(({ code }) => code === "password").length === 2);
  await betty.session.logout();
  await betty.until("a guest", (session) => !session.me.owned);
  await betty.session.login("Betty", "knight-999");
  await betty.until("the new one holds", (session) => session.me.owned && session.token && !lacks(session));
});

test("whoever's name an operator has granted anew logs in by the new token, and is nobody else until then", async (t) => {
  const data = folder(t);
  const port = await serve(t, "--data", data);
  const grant = () =>
    /(token:\S+)/.exec(spawnSync(process.env.CHINWAG, ["ctl", "--data", data, "grant", "Betty"]).stdout)[1];
  const betty = await come(t, port, "Betty");
  await betty.session.register("correct-horse");
  await betty.until("it is hers", (session) => session.me.owned && session.token);
  for (const line of ["/op #lobby Betty", "/room invite-only on"]) betty.session.say("#lobby", line);
  await betty.until("only who is invited comes in", () => lobby(betty).rules.get("invite-only") === "on");
  betty.session.save();
  const { kept } = betty;
  const token = grant();
  await betty.until("she is told", ({ state, trouble }) => state === "ended" && trouble.code === "granted");
  const isOwned = ({ state, trouble }) => state === "naming" && trouble?.code === "owned" && trouble.name === "Betty";
  betty.session.now(Date.now());
  await betty.until("she is asked to log in", isOwned);
  assert.deepEqual([betty.session.entered, betty.session.token], [false, null]);
  await betty.session.login("Betty", token);
  await betty.until("she is in", (session) => session.me.owned && session.state === "in" && lobby(betty)?.joined);
  assert.equal(betty.session.trouble, null);
  // A token that ended while the page was closed was typed by nobody.
  const later = new Person(t, port, { local: kept.local, session: {} }).connect();
  await later.until("what is wrong is that the name is somebody's", isOwned);
  // Nor by who was in, and a room that does not let them in is no cause of that.
  await betty.until("there is a token", (session) => session.token && session.phase === "on");
  betty.session.rest.place.end();
  betty.lose();
  betty.session.rest.place.end();
  grant();
  betty.session.now(Date.now());
  await betty.until("she is out", () => lobby(betty)?.joined === false && betty.session.phase === "on");
  assert.equal(betty.session.trouble?.code, "owned");
  // A token that is said for lack of a command is said to nobody, and what to do with it is told.
  const bob = new Person(t, port).connect();
  bob.session.join("#den");
  bob.session.enter("bob");
  await bob.until("bob is there", (session) => session.talks.get("#den")?.joined && session.rest);
  bob.session.say("#den", token);
  const notes = bob.session.talks.get("#den").rows.filter((row) => row.kind === "note");
  assert.deepEqual([notes.at(-1).code, bob.unsaid.length], ["token", 1]);
});

test("a guest who may not speak is told that it is for that, and whether they can own their name", async (t) => {
  for (const [accounts, code] of [
    ["open", "muted.guests"],
    ["closed", "muted.owners"],
  ]) {
    const port = await serve(t, "--data", folder(t), "--accounts", accounts);
    const anna = await come(t, port, "anna");
    const bob = await come(t, port, "bob");
    anna.session.say("#lobby", "/room guests listen");
    await hasEvent(bob, "anna set guests listen");
    bob.session.say("#lobby", "hello");
    const refused = () => lobby(bob).rows.find((row) => row.state === "refused");
    await bob.until("it is refused", refused);
    assert.equal(refused().why.code, code);
    bob.session.say("#lobby", "/topic tea");
    await bob.until("so is all else", () =>
      lobby(bob).rows.some((row) => row.kind === "note" && row.why?.code === code),
    );
  }
});

test("a guest is kept out for no longer than the server keeps them out", async (t) => {
  const port = await serve(t);
  const anna = await come(t, port, "anna");
  const bob = await come(t, port, "bob");
  anna.session.join("#club");
  await anna.until("anna is there", (session) => session.talks.get("#club")?.rank);
  bob.session.join("#club");
  await bob.until("bob is there", (session) => session.talks.get("#club")?.joined);
  const banned = () =>
    anna.session.talks
      .get("#club")
      .rows.filter(({ code }) => code === "banned")
      .map(({ args }) => args);
  anna.session.menu("ban", "#club", "bob", "0 duck jokes");
  await anna.until("bob is banned", () => banned().length);
  assert.deepEqual(banned(), [["guest:bob", `${30 * 86_400}`, "duck jokes"]]);
  const bans = () => new Promise((then) => anna.session.askBans("#club", then));
  const [{ id, kind, who, until }] = await bans();
  assert.deepEqual([kind, who], ["ban", "guest:bob"]);
  assert.ok(Math.abs(until - Date.now() - 30 * 86_400_000) < 60_000);
  anna.session.menu("unban", "#club", id);
  assert.deepEqual(await bans(), []);
});

test("a locked server opens with its password", async (t) => {
  const file = join(folder(t), "password");
  writeFileSync(file, "topsecret\n");
  const port = await serve(t, "--password-file", file);
  const anna = new Person(t, port).connect();
  anna.session.enter("anna");
  await anna.until("it is locked", (session) => session.state === "locked");
  await anna.session.unlock("wrong");
  await anna.until("it is wrong", (session) => session.trouble?.code === "refused" && session.trouble.tries === 4);
  await anna.session.unlock("topsecret");
  await anna.until("it is open", (session) => session.state === "in" && session.me.nick === "anna");
  anna.session.save();
  assert.ok(!JSON.stringify(anna.kept).includes("topsecret"));
});

test("a reload takes the place up, and nobody sees it", async (t) => {
  const port = await serve(t);
  const bob = await come(t, port, "bob");
  const anna = await come(t, port, "anna");
  await hasEvent(bob, "anna joined");
  bob.session.say("#lobby", "one");
  bob.session.say("@anna", "between us");
  await anna.until("it came", () => anna.texts("#lobby").length && anna.texts("@bob").length);
  anna.session.read("#lobby");
  anna.session.save();
  anna.end();
  bob.session.say("#lobby", "two");
  bob.session.say("@anna", "and this");
  await bob.until("it is said", () =>
    [...bob.session.talks.values()].every((talk) => talk.rows.every((row) => row.state === "sure")),
  );
  const again = await come(t, port, null, anna.kept);
  await again.until("two", () => again.texts("#lobby").length === 2 && again.texts("@bob").length === 2);
  assert.deepEqual(again.texts("#lobby"), ["bob: one", "bob: two"]);
  assert.deepEqual(again.texts("@bob"), ["bob: between us", "bob: and this"]);
  assert.deepEqual([lobby(again).unread, again.session.me.nick], [1, "anna"]);
  // What nobody has looked at is new still, in private too.
  assert.equal(again.session.talks.get("@bob").unread, 2);
  again.session.read("@bob");
  again.session.save();
  assert.equal(new Person(t, port, again.kept).session.talks.get("@bob")?.unread ?? 0, 0);
  again.session.say("#lobby", "three");
  await bob.until("three", () => bob.texts("#lobby").includes("anna: three"));
  assert.deepEqual(events(bob), ["anna joined"]);
});

test("older messages come in pages, each once", async (t) => {
  const port = await serve(t, "--history", "1000");
  const bob = await come(t, port, "bob");
  bob.session.say("#lobby", Array.from({ length: 530 }, (_, n) => `${n + 1}`).join("\n"));
  await bob.until("all is said", () => lobby(bob).rows.every((row) => row.state === "sure"));
  const anna = await come(t, port, "anna");
  await anna.until("the last", () => anna.texts("#lobby").at(-1) === "bob: 530");
  assert.deepEqual([anna.texts("#lobby").length, lobby(anna).hasOlder, lobby(anna).unread], [50, true, 0]);
  for (const count of [250, 450, 530]) {
    await anna.session.older("#lobby");
    await anna.until(`${count}`, () => anna.texts("#lobby").length === count);
  }
  assert.equal(lobby(anna).hasOlder, false);
  assert.deepEqual(
    anna.texts("#lobby"),
    Array.from({ length: 530 }, (_, n) => `bob: ${n + 1}`),
  );
  const keys = lobby(anna).rows.map((row) => row.key);
  assert.ok(keys.every((key, at) => !at || keys[at - 1] < key));
  assert.deepEqual(anna.shown.get("#lobby"), lobby(anna).rows);
});

test("who comes back sees all that was missed behind what was read, and files where they were shared", async (t) => {
  const port = await serve(t);
  let anna = await come(t, port, "anna");
  const bob = await come(t, port, "bob");
  const carol = nc(t, port);
  const say = (name, count) => carol(...Array.from({ length: count }, (_, at) => `${name} ${at + 1}`));
  const file = (name) => ({ name, size: 1, read: async () => new Uint8Array(1) });
  const shared = async (name) => {
    await bob.session.upload("#lobby", file(name));
    await anna.until(name, () => lobby(anna).rows.some((row) => row.file?.name === name));
    // Ages of files are told in seconds.
    await new Promise((then) => setTimeout(then, 1_100));
  };
  const back = async () => {
    anna.session.read("#lobby");
    anna.session.save();
    const { local } = anna.kept;
    anna.end();
    return async () => {
      anna = await come(t, port, null, { local, session: {} });
      await anna.until("all is there", () => lobby(anna).seen.isFetching === false);
    };
  };
  const told = () =>
    lobby(anna)
      .rows.map((row) => row.file?.name ?? row.text)
      .filter(Boolean);
  carol("/nick carol", "/join #lobby");
  say("old", 60);
  await anna.until("old", () => told().includes("old 60"));
  await shared("seen.jpg");
  const first = await back();
  say("new", 80);
  await bob.until("new", () => bob.texts("#lobby").length === 140);
  await bob.session.upload("#lobby", file("missed.jpg"));
  await first();
  const { rows, readKey, unread } = lobby(anna);
  const news = rows.filter((row) => row.key > readKey);
  assert.deepEqual([unread, news[0].text, news.at(-1).file?.name], [81, "new 1", "missed.jpg"]);
  assert.equal(told().indexOf("seen.jpg"), told().indexOf("new 1") - 1);
  // One that is older than what is shown comes with what was said around it.
  const second = await back();
  await second();
  assert.deepEqual([told().includes("seen.jpg"), lobby(anna).unread, told().at(-1)], [false, 0, "missed.jpg"]);
  await anna.session.older("#lobby");
  await anna.until("all is there", () => !lobby(anna).hasOlder);
  assert.deepEqual(told().slice(59, 62), ["old 60", "seen.jpg", "new 1"]);
  assert.deepEqual(anna.shown.get("#lobby"), lobby(anna).rows);
});

test("a file goes up and comes down over connections that are cut", async (t) => {
  const port = await serve(t);
  const random = chance(7);
  const cutter = await Cutter.start(t, port, random);
  const mover = setInterval(() => cutter.move(), 1);
  t.after(() => clearInterval(mover));
  const bob = await come(t, port, "bob");
  const anna = await come(t, cutter.port, "anna");
  const bytes = randomBytes(6_000_000);
  const source = {
    name: "a photo.bin",
    size: bytes.length,
    read: async (at, length) => bytes.subarray(at, at + length),
  };
  const upload = await anna.session.upload("#lobby", source);
  const cut = () => {
    cutter.cut();
    anna.lose();
    anna.session.now(Date.now());
  };
  for (const part of [0.1, 0.4, 0.7]) {
    await anna.until(`${part} is there`, () => upload.state !== "hashing" && upload.done > part * bytes.length);
    cut();
  }
  await anna.until("it is there", () => upload.state === "done");
  const row = lobby(anna).rows.find((row) => row.kind === "file");
  assert.deepEqual([row.mine, row.file.name, row.file.size], [true, "a photo.bin", bytes.length]);
  const seen = await bob.until("it is shown", () => lobby(bob).rows.find((row) => row.kind === "file"));
  assert.equal(seen.nick, "anna");
  // What one cancels oneself is gone for oneself too.
  const other = await anna.session.upload("#lobby", { ...source, name: "other.bin" });
  await anna.until("some is there", () => other.state === "running" && other.done > 100_000);
  await anna.session.cancel(other);
  const isOther = ({ file }) => file?.name === "other.bin" && file.gone === "gone";
  for (const one of [anna, bob]) await one.until("it is gone", () => lobby(one).rows.some(isOther));
  const parts = [];
  const sink = { write: (part) => parts.push(part), end() {}, failed: (text) => assert.fail(text) };
  const download = await anna.session.fetch(row.file.id, sink);
  await anna.until("some is here", () => download.done > 1_000_000);
  cut();
  await anna.until("all is here", () => download.state === "done");
  const sum = (all) => createHash("sha256").update(all).digest("hex");
  assert.equal(sum(Buffer.concat(parts)), sum(bytes));
  assert.deepEqual(
    events(bob).filter((event) => /lost|quit/.test(event)),
    [],
  );
  // Who comes later finds it between what was said.
  const carol = await come(t, port, "carol");
  await carol.until("it is there", () => lobby(carol).rows.some((row) => row.file?.name === "a photo.bin"));
  // A file that was withdrawn while one was not there is gone.
  bob.session.rest.place.end();
  bob.lose();
  await anna.session.menu("cancel", "#lobby", `${row.file.id}`);
  await carol.until("it is withdrawn", () => lobby(carol).rows.some((row) => row.file?.gone === "gone"));
  bob.session.now(Date.now());
  await bob.until("it is gone", () => lobby(bob).rows.some((row) => row.file?.gone === "gone"));
});
