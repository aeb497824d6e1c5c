import assert from "node:assert/strict";
import { createHash, randomBytes, randomInt } from "node:crypto";
import { after, before, test } from "node:test";
import { decode, encode, fileName, Transfers } from "../../src/web/page/transfer.js";
import { Person, serve } from "./line.js";

let server;
before(async () => {
  server = await serve("--max-file", "32M");
});
after(() => server.stop());

/** A file in memory. */
const sourceOf = (bytes, name = "some file.bin") => ({
  name,
  size: bytes.length,
  read: async (offset, length) => bytes.subarray(offset, offset + length),
});

/** Where a file goes. */
class Gathered {
  parts = [];
  hash = createHash("sha256");
  ended = 0;
  why = null;
  write(bytes) {
    this.parts.push(bytes);
  }
  end() {
    this.ended++;
  }
  failed(text) {
    this.why = text;
  }
  get bytes() {
    return Buffer.concat(this.parts);
  }
}

const ended = (transfer) => () => ["done", "failed", "cancelled"].includes(transfer.state);

async function two(room, hooks) {
  const anna = new Person(server.port, `anna${randomInt(1e9)}`, hooks);
  const bob = new Person(server.port, `bob${randomInt(1e9)}`);
  await anna.enter(room);
  await bob.enter(room);
  return [anna, bob];
}

/** What somebody has been told of a file. */
const told = (person) =>
  person.until(() => {
    for (const line of person.lines) {
      const file = /^\S+ \* (\S+) file (\d+) (\d+) (.*)$/.exec(line);
      if (file) return { id: file[2], size: Number(file[3]), name: file[4] };
    }
  });

test("files of every size around a chunk and a window arrive as they were", async () => {
  const [anna, bob] = await two("#sizes");
  for (const size of [0, 1, 2, 3, 49_151, 49_152, 49_153, 65_535, 65_536, 65_537, 98_304, 1_000_000]) {
    const bytes = randomBytes(size);
    bob.lines.length = 0;
    const up = anna.transfers.upload("#sizes", sourceOf(bytes));
    const info = await told(bob);
    const sink = new Gathered();
    const down = bob.transfers.fetch(info, sink);
    await anna.until(ended(up));
    await bob.until(ended(down));
    assert.deepEqual(
      [up.state, up.done, down.state, sink.ended],
      ["done", size, "done", 1],
      `${size}: ${up.why?.text} ${down.why?.text}`,
    );
    assert.ok(sink.bytes.equals(bytes));
  }
  anna.quit();
  bob.quit();
});

/** Cuts somebody off after so many more lines of their connection, and has them come back by `back`. */
function cutAfter(person, lines, back) {
  return new Promise((resolve, reject) => {
    let left = lines;
    person.each = () => {
      if (--left > 0) return;
      person.each = () => {};
      person.cut();
      back().then(resolve, reject);
    };
  });
}

for (const isKept of [true, false]) {
  test(`20 MB go up and down over connections that break, ${isKept ? "whose places are kept" : "as somebody new"}`, async () => {
    const room = `#cuts-${isKept}`;
    const [anna, bob] = await two(room);
    let there = Promise.resolve();
    const back = (person) => () => {
      there = isKept ? person.resume() : person.enter(room);
      return there;
    };
    if (isKept) {
      await anna.keep();
      await bob.keep();
    }
    const bytes = randomBytes(20_000_000);
    const up = anna.transfers.upload(room, sourceOf(bytes));
    let cuts = 0;
    const cutOften = async (person, transfer, most) => {
      while (!ended(transfer)()) {
        await Promise.race([cutAfter(person, randomInt(1, most), back(person)), person.until(ended(transfer))]);
        cuts++;
      }
      person.each = () => {};
      // Should the last line have cut them off, the room would go with the other.
      await there;
    };
    await cutOften(anna, up, 60);
    assert.deepEqual([up.state, up.done], ["done", bytes.length], up.why?.text);
    assert.ok(cuts > 5, "it was cut off");
    const info = await told(bob);
    const sink = new Gathered();
    const down = bob.transfers.fetch(info, sink);
    cuts = 0;
    await cutOften(bob, down, 300);
    assert.deepEqual([down.state, sink.ended], ["done", 1], down.why?.text);
    assert.ok(cuts > 5, "it was cut off");
    assert.ok(sink.bytes.equals(bytes));
    anna.quit();
    bob.quit();
  });
}

test("base64 is that of others, in both ways, with what the browser has and without", () => {
  const check = () => {
    for (let length = 0; length < 300; length++) {
      const bytes = randomBytes(length);
      assert.equal(encode(new Uint8Array(bytes)), bytes.toString("base64"));
      assert.ok(bytes.equals(decode(bytes.toString("base64"))));
    }
    for (const length of [24_575, 24_576, 24_577, 49_151, 49_152, 100_000]) {
      const bytes = randomBytes(length);
      assert.equal(encode(new Uint8Array(bytes)), bytes.toString("base64"));
    }
    for (const text of ["a", "ab", "abc", "abc=d", "ab!=", "ä===", "===="]) assert.equal(decode(text), null, text);
  };
  check();
  // What stands for what this Node does not have yet.
  const [to, from] = [Uint8Array.prototype.toBase64, Uint8Array.fromBase64];
  Uint8Array.prototype.toBase64 = function () {
    return Buffer.from(this).toString("base64");
  };
  Uint8Array.fromBase64 = (text) => {
    const bytes = Buffer.from(text, "base64");
    if (bytes.toString("base64") !== text) throw new SyntaxError(text);
    return new Uint8Array(bytes);
  };
  check();
  Uint8Array.prototype.toBase64 = to;
  Uint8Array.fromBase64 = from;
});

test("a name is one that the server takes", () => {
  for (const [name, want] of [
    ["cat.png", "cat.png"],
    ["my  cat .png", "my  cat .png"],
    [" a/b\\c\0\n.txt ", "_b_c__.txt".replace("_", "a_")],
    ["", "file"],
    [" ", "file"],
    [".", "file"],
    ["..", "file"],
    ["...", "..."],
    [`${"x".repeat(300)}.png`, `${"x".repeat(251)}.png`],
    [`${"ä😀".repeat(100)}.png`, `${"ä😀".repeat(41)}.png`.replace(/^/, "😀")],
  ]) {
    assert.equal(fileName(name), want);
    assert.ok(Buffer.byteLength(fileName(name)) <= 255);
  }
});

/** Transfers of which the test is the server and the clock. */
function scripted() {
  const it = { lines: [], replies: [], clock: 1, changes: [] };
  it.transfers = new Transfers({
    send: (text) => it.lines.push(text),
    ask: (command, answered) => it.replies.push({ command, answered }),
    changed: (transfer) => it.changes.push(transfer),
    now: () => it.clock,
  });
  /** Answers the first command that is not answered, once there is one. */
  it.answer = async (text, code = null) => {
    while (!it.replies.length) await new Promise(setImmediate);
    const { command, answered } = it.replies.shift();
    answered({ code, text });
    return command;
  };
  it.transfers.begin();
  return it;
}

test("a window is doubled where the server has it at once, and halved where it takes long", async () => {
  const it = scripted();
  const bytes = randomBytes(60_000_000);
  it.transfers.upload("#a", sourceOf(bytes));
  const hash = createHash("sha256").update(bytes).digest("hex");
  assert.equal(await it.answer("7 5"), `/send #a 60000000 sha256:${hash} some file.bin`);
  let at = 5;
  let want = 65_536;
  for (const took of [249, 249, 250, 1_000, 1_001, 1_001, 1_001, 0, 0, 0, 0, 0, 0, 0, 5_000, 600]) {
    while (!it.replies.length) await new Promise(setImmediate);
    const sent = Buffer.concat(it.lines.map((line) => Buffer.from(line.slice(1), "base64")));
    assert.ok(it.lines.every((line) => line.length <= 65_538 && /^=[A-Za-z0-9+/]+={0,2}\n$/.test(line)));
    assert.equal(sent.length, want);
    assert.ok(sent.equals(bytes.subarray(at, at + want)));
    at += want;
    it.lines.length = 0;
    it.clock += took;
    if (took < 250) want = Math.min(want * 2, 4_194_304);
    if (took > 1_000) want = Math.max(want / 2, 65_536);
    assert.equal(await it.answer(""), "/ping");
    assert.equal(it.changes.at(-1).done, at, "progress is what the server has");
  }
});

test("what cannot be sent says why, and the next is sent", async () => {
  const it = scripted();
  it.transfers.largest = 10;
  const sized = (size) => sourceOf(randomBytes(size));
  const large = it.transfers.upload("#a", sized(11));
  assert.deepEqual([large.state, large.why.code], ["failed", "too-big"]);
  const gone = it.transfers.upload("#a", { ...sized(10), read: () => Promise.reject(new Error("it is not there")) });
  const short = it.transfers.upload("#a", { ...sized(10), read: async () => new Uint8Array(9) });
  const refused = it.transfers.upload("#a", sized(10));
  assert.match(await it.answer("you are not heard there", "muted"), /^\/send /);
  assert.deepEqual([gone.why.code, short.why.code, refused.why.code], ["changed", "changed", "muted"]);
  for (const [text, code, want] of [
    ["you may share 20 files at once; /cancel one first", "too-many", "too-many"],
    ["3 11", null, "garbled"],
    ["3 x", null, "garbled"],
    ["", null, "garbled"],
  ]) {
    const senseless = it.transfers.upload("#a", sized(10));
    await it.answer(text, code);
    assert.deepEqual([senseless.state, senseless.why?.code], ["failed", want]);
    if (code === null) assert.match(await it.answer(""), /^\/cancel /);
  }
  const spoilt = it.transfers.upload("#a", sized(10));
  await it.answer("1 0");
  it.transfers.failed("1", "bad-digest", "it has another digest");
  assert.deepEqual([spoilt.state, spoilt.why.code], ["failed", "changed"]);
  // While it is sent, it is taken away.
  let reads = 0;
  const bytes = randomBytes(10);
  const lost = it.transfers.upload("#a", {
    ...sourceOf(bytes),
    read: async () => {
      if (reads++) throw new Error("it is not there");
      return bytes;
    },
  });
  await it.answer("2 0");
  assert.equal(await it.answer("2"), "/cancel 2");
  assert.deepEqual([lost.state, lost.why.code], ["failed", "changed"]);
  const empty = it.transfers.upload("#a", sized(0));
  await it.answer("3 0");
  it.transfers.whole("3", "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  assert.equal(empty.state, "done");
  assert.equal(it.replies.length, 0);
});

test("a server that is busy is asked again, and not for ever", async () => {
  const it = scripted();
  const up = it.transfers.upload("#a", sourceOf(randomBytes(1)));
  const sink = new Gathered();
  const down = it.transfers.fetch({ id: 5, name: "x", size: 1 }, sink);
  for (let second = 0; second <= 122; second++) {
    while (it.replies.length || up.state === "hashing") await it.answer("in a moment", "busy");
    it.clock += 1_000;
    it.transfers.tick();
  }
  for (const one of [up, down]) assert.deepEqual([one.state, one.why.code], ["failed", "busy"]);
  assert.equal(sink.why, "in a moment");
});

test("nothing goes to somebody who may be another", async () => {
  const it = scripted();
  const up = it.transfers.upload("@anna", sourceOf(randomBytes(100_000)));
  await it.answer("7 0");
  it.transfers.lost();
  const [next, guest] = ["@carl", "@guest7"].map((talk) => it.transfers.upload(talk, sourceOf(randomBytes(1))));
  it.replies.length = 0;
  it.transfers.begin();
  assert.deepEqual([next.why?.code, guest.why?.code, up.state], ["stranger", "stranger", "waiting"]);
  assert.match(await it.answer("8 0"), /^\/send @anna /);
  assert.deepEqual([up.state, up.why.code], ["failed", "stranger"]);
  assert.equal(await it.answer("8"), "/cancel 8");
  assert.deepEqual([it.replies.length, it.lines.length], [0, 0]);
});

test("an upload that broke off goes on only as long as it comes on", async () => {
  const it = scripted();
  const up = it.transfers.upload("#a", sourceOf(randomBytes(200_000)));
  await it.answer("7 0");
  await it.answer("");
  it.transfers.failed("7", "gone", "it was the slowest");
  assert.equal(up.state, "waiting");
  it.clock += 1_000;
  it.transfers.tick();
  assert.match(await it.answer("7 65536"), /^\/send /);
  it.transfers.failed("7", "gone", "it was the slowest");
  assert.deepEqual([up.state, up.why.code], ["failed", "gone"]);
});

test("what does not come as it was is not kept", async () => {
  const bytes = randomBytes(20);
  const it = scripted();
  const digest = createHash("sha256").update(bytes).digest("hex");
  for (const [code, what] of [
    [null, () => it.transfers.data(1, bytes.toString("base64"))],
    ["garbled", () => it.transfers.data(1, "no base64")],
    ["garbled", () => it.transfers.data(1, Buffer.alloc(21).toString("base64"))],
    ["garbled", () => it.transfers.data(1, Buffer.alloc(20).toString("base64"))],
    ["garbled", () => it.transfers.data(1, Buffer.alloc(19).toString("base64"))],
    ["no-space", () => it.transfers.failed(1, "no-space", "the disk fails")],
  ]) {
    const sink = new Gathered();
    const down = it.transfers.fetch({ id: 1, name: "x y", size: 20 }, sink);
    assert.equal(await it.answer("1 0 20 x y"), "/get 1 0");
    what();
    it.transfers.whole(1, digest);
    assert.deepEqual([down.state, down.why?.code ?? null, sink.ended], code ? ["failed", code, 0] : ["done", null, 1]);
    assert.equal(sink.why === null, code === null);
  }
  const long = it.transfers.fetch({ id: 1, name: "x", size: 20 }, new Gathered());
  await it.answer("1 0 20 x");
  it.transfers.data(1, Buffer.alloc(21).toString("base64"));
  assert.equal(long.state, "failed", "nobody fills the memory with more than was told");
  const full = it.transfers.fetch(
    { id: 1, name: "x", size: 20 },
    { write: () => assert.fail(), end: assert.fail, failed: () => {} },
  );
  await it.answer("1 0 20 x");
  it.transfers.data(1, bytes.toString("base64"));
  assert.deepEqual([full.state, full.why.code], ["failed", "unkept"]);
  assert.equal(it.replies.length, 0, "the server is never told of a download that may be over");
});

const AGAIN = "its sender's upload broke off; if that goes on, the file is announced again, under this ID";

test("four are fetched at once, and one whose sender is away waits for them", async () => {
  const it = scripted();
  const sink = () => new Gathered();
  const all = [1, 2, 3, 4, 5].map((id) => it.transfers.fetch({ id, name: "x", size: 2 }, sink()));
  assert.equal(it.transfers.fetch({ id: 5, name: "x", size: 2 }, sink()), all[4]);
  for (const id of [1, 2, 3, 4]) assert.equal(await it.answer(`${id} 0 2 x`), `/get ${id} 0`);
  assert.equal(it.replies.length, 0);
  it.transfers.data(1, "YQ==");
  it.transfers.failed(1, "gone", AGAIN);
  assert.equal(await it.answer("5 0 2 x"), "/get 5 0");
  it.transfers.cancel(all[1]);
  it.transfers.announced(1);
  assert.equal(await it.answer("1 1 2 x"), "/get 1 1");
  it.transfers.data(1, "Yg==");
  it.transfers.whole(1, `sha256:${createHash("sha256").update("ab").digest("hex")}`);
  assert.equal(all[0].state, "done");
  it.transfers.failed(3, "gone", AGAIN);
  it.clock += 120_001;
  it.transfers.tick();
  assert.deepEqual([all[2].state, all[2].why.code], ["failed", "gone"]);
  // What never comes again is not waited for.
  it.transfers.failed(4, "gone", "its sender withdrew it");
  assert.deepEqual([all[3].state, all[3].why.code], ["failed", "gone"]);
});

test("who cancels is heard by the server, whenever it is", async () => {
  const room = "#cancel";
  const [anna, bob] = await two(room);
  const bytes = randomBytes(10_000_000);
  const gone = (id) =>
    bob.until(() => bob.lines.some((line) => line.startsWith(`${room} * ${anna.nick} unfile ${id} `)));
  // While it is hashed, when it is asked for, and while it is sent.
  const first = anna.transfers.upload(room, sourceOf(bytes, "1"));
  anna.transfers.cancel(first);
  assert.equal(first.state, "cancelled");
  const second = anna.transfers.upload(room, sourceOf(bytes, "2"));
  await anna.until(() => second.asked);
  anna.transfers.cancel(second);
  const third = anna.transfers.upload(room, sourceOf(bytes, "3"));
  await anna.until(() => third.done > 1_000_000 && third.state === "running");
  anna.transfers.cancel(third);
  await gone(third.file);
  const files = bob.lines.filter((line) => / file \d/.test(line)).map((line) => line.split(" ").pop());
  assert.deepEqual(files, ["2", "3"]);
  // While there is no connection.
  await anna.keep();
  const fourth = anna.transfers.upload(room, sourceOf(bytes, "4"));
  await anna.until(() => fourth.done > 1_000_000 && fourth.state === "running");
  anna.cut();
  anna.transfers.cancel(fourth);
  await anna.resume();
  await gone(fourth.file);
  // A download of much is stopped, and the file stays.
  const fifth = anna.transfers.upload(room, sourceOf(bytes, "5"));
  await anna.until(ended(fifth));
  const sink = new Gathered();
  const own = anna.transfers.fetch({ id: fifth.file, name: "5", size: bytes.length }, sink);
  await anna.until(() => own.done);
  anna.transfers.cancel(own);
  const again = anna.transfers.fetch({ id: fifth.file, name: "5", size: bytes.length }, sink);
  sink.parts.length = 0;
  await anna.until(ended(again));
  assert.deepEqual([again.state, sink.bytes.equals(bytes)], ["done", true], again.why?.text);
  anna.quit();
  bob.quit();
});

test("what was read when the connection was lost is not sent", async () => {
  const it = scripted();
  const bytes = randomBytes(100);
  const reads = [];
  const up = it.transfers.upload("#a", { ...sourceOf(bytes), read: () => new Promise((read) => reads.push(read)) });
  reads.shift()(bytes);
  await it.answer("7 0");
  it.transfers.lost();
  reads.shift()(bytes);
  await new Promise(setImmediate);
  assert.deepEqual([it.lines.length, up.state], [0, "running"]);
  it.transfers.resumed({ id: 7, offset: 40 });
  reads.shift()(bytes.subarray(40));
  await new Promise(setImmediate);
  assert.deepEqual(it.lines, [`=${bytes.subarray(40).toString("base64")}\n`]);
});
