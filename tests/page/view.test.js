/** What lines mean: each example of PROTOCOL.md, and each kind of fact. */
import assert from "node:assert";
import { readFileSync } from "node:fs";
import test from "node:test";
import { row, view } from "../../src/web/page/view.js";

const protocol = readFileSync(new URL("../../PROTOCOL.md", import.meta.url), "utf8");

test("every example of a server's line is a fact", () => {
  const blocks = [...protocol.matchAll(/^```\n(.*?)^```/gms)].flatMap((block) => block[1].split("\n"));
  const lines = blocks.filter((line) => /^([#@][^ ]+ [[<*]|[*+!-] |=\d)/.test(line) && line !== "- …");
  assert.ok(lines.length > 80, `${lines.length}`);
  for (const line of lines) assert.notEqual(view(line).is, "other", line);
});

test("every event, command and notice that the protocol names is told", () => {
  const table = (head) => protocol.split(`${head}\n| --- | --- |\n`)[1].split("\n\n")[0];
  const named = [...table("| event | meaning |").matchAll(/^\| ([^|]+) \|/gm)].flatMap((m) => m[1].match(/`[a-z]+/g));
  const rest = {
    left: "so long",
    quit: "so long",
    topic: "tea",
    lost: "reset",
    renamed: "bob",
    file: "1 2 a b.txt",
    unfile: "1 gone",
  };
  Object.assign(rest, {
    made: "bob op",
    kicked: "bob",
    banned: "name:bob 0",
    muted: "guest:bob 60 spam",
    set: "slow 5s",
  });
  Object.assign(rest, {
    unbanned: "pattern:spam*",
    unmuted: "name:bob",
    erased: "1 2",
    missed: "3 after 4",
    invite: "#a",
  });
  for (const name of [...new Set(named.map((name) => name.slice(1))), "away", "invite"]) {
    const line = `#a * anna ${name} ${rest[name] ?? ""}`.trimEnd();
    assert.equal(view(line).event, name, line);
  }
});

const TIME = Date.parse("2026-11-22T18:26:24.367Z");
for (const [line, want] of [
  ["#a <anna> hi  you", { is: "message", talk: "#a", seq: null, time: null, nick: "anna", text: "hi  you" }],
  [
    "#a [4@2026-11-22T18:26:24.367Z] <anna> /me waves",
    { is: "message", talk: "#a", seq: 4, time: TIME, nick: "anna", text: "/me waves" },
  ],
  [
    "@anna [-@2026-11-22T18:26:24.367Z] <bob> [x] y",
    { is: "message", talk: "@anna", seq: null, time: TIME, nick: "bob", text: "[x] y" },
  ],
  ["#a <anna>  * bob quit", { is: "message", talk: "#a", seq: null, time: null, nick: "anna", text: " * bob quit" }],
  ["#a * anna left", { is: "event", talk: "#a", time: null, nick: "anna", event: "left", args: [""] }],
  [
    "#a * anna kicked bob that will do",
    { is: "event", talk: "#a", time: null, nick: "anna", event: "kicked", args: ["bob", "that will do"] },
  ],
  [
    "#a * anna file 1 13 my cat.png",
    { is: "event", talk: "#a", time: null, nick: "anna", event: "file", args: ["1", "13", "my cat.png"] },
  ],
  [
    "* hello guest1 chinwag/0.2.0 2 online; /join #lobby to talk",
    { is: "hello", nick: "guest1", version: "chinwag/0.2.0", online: 2, name: "" },
  ],
  [
    '* hello a chinwag/0.2.0 1 online at the "workshop; /x"; /join #lobby',
    { is: "hello", nick: "a", version: "chinwag/0.2.0", online: 1, name: 'the "workshop; /x"' },
  ],
  ["* locked chinwag/0.2.0 send /pass PASSWORD", { is: "locked", code: "chinwag/0.2.0", text: "send /pass PASSWORD" }],
  ["* bye full too many", { is: "bye", code: "full", text: "too many" }],
  ["* motd", { is: "motd", text: "" }],
  ["* motd Be kind.", { is: "motd", text: "Be kind." }],
  ["* notice x y", { is: "notice", text: "x y" }],
  ["* wall server tea at noon", { is: "wall", nick: "server", text: "tea at noon" }],
  ["* nick guest7 anna was given up", { is: "nick", nick: "guest7", text: "anna was given up" }],
  ["* presence 15 -alice -carol +carla", { is: "presence", version: 15, gone: ["alice", "carol"], came: ["carla"] }],
  ["- here anna bob", { is: "detail", text: "here anna bob" }],
  ["+ pass", { is: "done", command: "pass", text: "" }],
  ["+ join #a 2", { is: "done", command: "join", text: "#a 2" }],
  [
    "! nick taken anna is somebody else",
    { is: "refused", command: "nick", code: "taken", text: "anna is somebody else" },
  ],
  ["=7 aGk=", { is: "data", id: 7, base64: "aGk=" }],
  [`=7 . 2 sha256:${"0a".repeat(32)}`, { is: "whole", id: 7, size: 2, digest: `sha256:${"0a".repeat(32)}` }],
  ["=7 ! gone it broke off", { is: "failed", id: 7, code: "gone", text: "it broke off" }],
]) {
  test(`fact: ${line}`, () => assert.deepEqual(view(line), want));
}

test("what is newer than this page, or no line at all, is neither", () => {
  for (const line of [
    "",
    "#",
    "#a",
    "#a anna hi",
    "#a * anna",
    "#a * anna dances",
    "#a * anna file x 2 y",
    "* news",
    "* presence 3",
    "* hello",
    "=",
    "=x",
    "=1",
    "=1 ü",
    "~ x",
    "+",
    "#a * anna constructor",
    "#a * anna toString x",
  ]) {
    assert.equal(view(line).is, "other", line);
  }
});

test("details have fields", () => {
  assert.deepEqual(
    { ...row("who", "bob away 0s #a,#b lunch, back at one") },
    { nick: "bob", state: "away", idle: "0", rooms: "#a,#b", text: "lunch, back at one" },
  );
  assert.deepEqual(
    { ...row("files", "1 13 anna #a 1s ready hello you.txt") },
    { id: "1", size: "13", nick: "anna", talk: "#a", age: "1", state: "ready", name: "hello you.txt" },
  );
  assert.equal(row("who", "bob"), null);
});
