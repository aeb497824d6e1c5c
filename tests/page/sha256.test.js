import assert from "node:assert/strict";
import { createHash, randomBytes, randomInt } from "node:crypto";
import { test } from "node:test";
import { Sha256 } from "../../src/web/page/sha256.js";

const theirs = (bytes) => createHash("sha256").update(bytes).digest("hex");

test("the digest is that of others at every length", () => {
  const bytes = randomBytes(200);
  for (let length = 0; length <= 200; length++) {
    const part = bytes.subarray(0, length);
    assert.equal(new Sha256().update(part).hex(), theirs(part), `${length}`);
  }
});

test("it does not matter in which pieces the bytes come", () => {
  for (let run = 0; run < 300; run++) {
    const bytes = randomBytes(randomInt(5_000));
    const hash = new Sha256();
    for (let at = 0; at < bytes.length; ) {
      const length = randomInt(run % 2 ? 10 : 300);
      hash.update(bytes.subarray(at, at + length));
      at += length;
    }
    assert.equal(hash.hex(), theirs(bytes));
  }
});

test("more than 2 ^ 32 bits are counted", () => {
  const [piece, ours, other] = [randomBytes(1 << 23), new Sha256(), createHash("sha256")];
  for (let at = 0; at < 65; at++) {
    ours.update(piece);
    other.update(piece);
  }
  assert.equal(ours.hex(), other.digest("hex"));
});
