import assert from "node:assert/strict";
import { createHash, randomBytes, randomInt } from "node:crypto";
import { after, before, test } from "node:test";
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
    const back = (person) => () => (isKept ? person.resume() : person.enter(room));
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
