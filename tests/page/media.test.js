import assert from "node:assert/strict";
import { randomBytes, randomInt } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { Blobs, gather, isFetchedUnasked, kind, pixels, sourceOf } from "../../src/web/page/media.js";

const here = (name) => new Uint8Array(readFileSync(new URL(`files/${name}`, import.meta.url)));
const theirs = (name) => new Uint8Array(readFileSync(new URL(`../pictures/${name}`, import.meta.url)));
const text = (words) => new TextEncoder().encode(words);
const SAVED = { type: "application/octet-stream", show: null };

const TYPES = {
  "film.mkv": SAVED,
  "film.mov": { type: "video/quicktime", show: "video" },
  "film.mp4": { type: "video/mp4", show: "video" },
  "film.webm": { type: "video/webm", show: "video" },
  "moving.gif": { type: "image/gif", show: "image" },
  "plain.avif": { type: "image/avif", show: "image" },
  "turned.avif": { type: "image/avif", show: "image" },
  "plain.png": { type: "image/png", show: "image" },
  "plain.webp": { type: "image/webp", show: "image" },
  "turned.jpg": { type: "image/jpeg", show: "image" },
  "sound.flac": { type: "audio/flac", show: "audio" },
  "sound.m4a": { type: "audio/mp4", show: "audio" },
  "sound.mp3": { type: "audio/mpeg", show: "audio" },
  "tagged.mp3": { type: "audio/mpeg", show: "audio" },
  "sound.ogg": { type: "audio/ogg", show: "audio" },
  "sound.opus": { type: "audio/ogg", show: "audio" },
  "sound.wav": { type: "audio/wav", show: "audio" },
};

test("real files are known by their bytes", () => {
  assert.deepEqual(readdirSync(new URL("files", import.meta.url)).sort(), Object.keys(TYPES).sort());
  for (const [name, want] of Object.entries(TYPES)) assert.deepEqual(kind(here(name)), want, name);
  for (const name of readdirSync(new URL("../pictures", import.meta.url))) {
    const type = { png: "image/png", jpg: "image/jpeg", webp: "image/webp" }[name.split(".").pop()];
    assert.deepEqual(kind(theirs(name)), { type, show: "image" }, name);
  }
  const heic = text("\0\0\0\x18ftypheic\0\0\0\0mif1heic");
  assert.deepEqual(kind(heic), { type: "image/heic", show: null });
  assert.deepEqual(kind(text("\0\0\0\x18ftypmif1\0\0\0\0mif1avif")), { type: "image/avif", show: "image" });
});

test("what a page would run, and what only pretends to be shown, is saved and not shown", () => {
  for (const words of [
    "",
    "a",
    "<!doctype html><script>alert(1)</script>",
    "<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>",
    "<?xml version='1.0'?><svg/>",
    "\ufeff<html>",
    "%PDF-1.7",
    "GIF",
    "GIF88a",
    " GIF89a",
    "<!--GIF89a-->",
    "RIFF\0\0\0\0AVI ",
    "\0\0\0\x18ftyp",
    "\0\0\0\x18ftypjunk\0\0\0\0junk",
    "\0\0\0\x01ftypavif\0\0\0\0avif",
    // What stands behind the brands is none of them.
    "\0\0\0\x10ftypjunk\0\0\0\0avif",
    "BM66666",
    "PK\x03\x04",
    "MZ",
    "\x7fELF",
  ]) {
    assert.deepEqual(kind(text(words)), SAVED, words);
  }
  assert.deepEqual(kind(new Uint8Array([0xff, 0xfe, 0x3c, 0])), SAVED, "UTF-16");
  for (let run = 0; run < 2_000; run++) assert.ok(kind(randomBytes(randomInt(100))).type);
});

const png = (width, height) => {
  const bytes = new Uint8Array(24);
  bytes.set([0x89, 0x50, 0x4e, 0x47, 13, 10, 26, 10, 0, 0, 0, 13, 0x49, 0x48, 0x44, 0x52]);
  new DataView(bytes.buffer).setUint32(16, width);
  new DataView(bytes.buffer).setUint32(20, height);
  return bytes;
};

const SIZES = [
  [here("moving.gif"), 40, 30],
  [here("plain.avif"), 40, 30],
  [here("turned.avif"), 30, 40],
  [here("plain.png"), 40, 30],
  [here("plain.webp"), 40, 30],
  [here("turned.jpg"), 30, 40],
  [theirs("progressive.jpg"), 64, 32],
  [theirs("clear.webp"), 32, 64],
  [theirs("lossy.webp"), 64, 32],
  [theirs("lossless.webp"), 64, 32],
  ...[1, 2, 3, 4, 5, 6, 7, 8].map((turn) => [theirs(`turned${turn}.jpg`), 64, 32]),
  [theirs("turned.png"), 64, 32],
  [png(640, 480), 640, 480],
];

test("the size of a picture is read from its header, as it is shown", () => {
  for (const [bytes, width, height] of SIZES) {
    assert.deepEqual(pixels(bytes), { width, height });
    // Also where it does not begin at the beginning of what holds it.
    const within = new Uint8Array(bytes.length + 3);
    within.set(bytes, 3);
    assert.deepEqual(pixels(within.subarray(3)), { width, height });
  }
  for (const bytes of [png(0, 480), text("GIF89a"), text("words"), here("sound.wav"), here("film.mp4")]) {
    assert.equal(pixels(bytes), null);
  }
});

test("a picture that ends anywhere, or is spoilt anywhere, is no error", () => {
  for (const [bytes, width, height] of SIZES) {
    for (let length = 0; length < bytes.length; length++) {
      const size = pixels(bytes.subarray(0, length));
      assert.ok(size === null || size.width * size.height === width * height || kind(bytes).type === "image/avif");
    }
    for (let run = 0; run < 300; run++) {
      const spoilt = bytes.slice(0, 1 + randomInt(bytes.length));
      for (let left = randomInt(8); left >= 0; left--) spoilt[randomInt(spoilt.length)] = randomInt(256);
      pixels(spoilt);
    }
  }
});

test("a file is gathered in pieces, and huge pictures are told", async () => {
  const bytes = randomBytes(3_500_000);
  bytes.set(here("plain.webp"));
  let came;
  let sink = gather((fetched) => (came = fetched), assert.fail);
  for (let at = 0; at < bytes.length; at += 12_288) sink.write(bytes.subarray(at, at + 12_288));
  sink.end();
  assert.ok(Buffer.from(await came.blob.arrayBuffer()).equals(bytes));
  const { blob, ...rest } = came;
  assert.deepEqual(rest, { kind: TYPES["plain.webp"], size: { width: 40, height: 30 }, isHuge: false });
  assert.equal(blob.type, "image/webp");
  for (const [start, isHuge] of [
    [png(10_000, 4_000), false],
    [png(10_000, 4_001), true],
    // Nobody knows how large that is.
    [text("GIF89a"), true],
    [text("words"), false],
    [new Uint8Array(0), false],
  ]) {
    sink = gather((fetched) => (came = fetched), assert.fail);
    for (const byte of start) sink.write(new Uint8Array([byte]));
    sink.end();
    assert.equal(came.isHuge, isHuge);
    assert.equal(came.blob.size, start.length);
  }
});

test("the one that was shown longest ago is let go when too much is held", () => {
  const gone = [];
  const blobs = new Blobs((key) => gone.push(key), 30);
  const of = (bytes) => new Blob([new Uint8Array(bytes)]);
  blobs.put("a", of(10));
  blobs.put("b", of(10));
  blobs.put("c", of(10));
  assert.match(blobs.get("a"), /^blob:/);
  blobs.put("d", of(5));
  assert.deepEqual(gone, ["b"]);
  assert.equal(blobs.get("b"), null);
  blobs.put("e", of(100));
  assert.deepEqual(gone, ["b", "c", "a", "d"]);
  assert.match(blobs.get("e"), /^blob:/);
  blobs.put("e", of(1));
  blobs.put("f", of(29));
  blobs.forget("e");
  assert.deepEqual([gone.length, blobs.get("e")], [4, null]);
});

test("small pictures are fetched without being asked for, by their names, and nothing where data is dear", () => {
  for (const [name, size, saveData, want] of [
    ["a.png", 2_097_152, false, true],
    ["a.png", 2_097_153, false, false],
    ["A.B.JPEG", 1, false, true],
    ["a.avif", 1, true, false],
    ["a.svg", 1, false, false],
    ["a.mp4", 1, false, false],
    ["png", 1, false, false],
  ]) {
    assert.equal(isFetchedUnasked({ name, size }, saveData), want, name);
  }
});

test("a file is read in pieces", async () => {
  const source = sourceOf(new File([text("hello, world")], "hello.txt"));
  assert.deepEqual([source.name, source.size], ["hello.txt", 12]);
  assert.deepEqual(await source.read(7, 5), text("world"));
  assert.equal(sourceOf(new Blob([text("x")])).name, "file");
  assert.equal(sourceOf(new Blob([text("x")]), "pasted.txt").name, "pasted.txt");
});
