/**
 * Files on their way, over all the connections that they take (PROTOCOL.md, "Files"). Knows no DOM, socket or timer.
 *
 * The session tells of the connection: `begin()`, we are in under our name, and all is asked for anew, as no place of ours was taken
 * up; `lost()`; `resumed(open)`, our place is taken up, `open` being what `- upload ID OFFSET` told, or null. The session says again
 * what the server has not had, but no `=` lines, and tells the replies.
 *
 * Codes of `why` are the server's, and of our own: changed, stranger, garbled, unkept.
 *
 * @typedef {{ code: string | null, text: string }} Reply `+ command TEXT` has no code; `! command CODE TEXT`
 * @typedef {{
 *   send: (line: string) => void,
 *   ask: (command: string, answered: (reply: Reply) => void) => void,
 *   changed: (transfer: Transfer) => void,
 *   now: () => number,
 * }} Hooks `send`: a `=` line with its LF; `ask`: a command without one; `now`: in ms
 * @typedef {{ id: string | number, name: string, size: number }} Info a file on the server
 * @typedef {{ name: string, size: number, read: (offset: number, length: number) => Promise<Uint8Array> }} Source
 * @typedef {{ write: (bytes: Uint8Array) => void, end: () => void, failed: (text: string) => void }} Sink
 */

import { Sha256 } from "./sha256.js";

// In bytes: of a line of an upload, which are 65,536 characters; of a window, after which the server is asked whether it has them;
// of what is read at once to be sent, and for the digest, each reading letting all else have its turn; of a download that may be
// under way to us.
const CHUNK = 49_152;
const LEAST = 65_536;
const MOST = 4_194_304;
const PIECE = CHUNK * 20;
const SLICE = 262_144;
const UNDER_WAY = 4_194_304;
/** Downloads that a connection may have. */
const DOWNLOADS = 4;
/** How long a sender may be away, or the server busy, in ms. */
const PATIENCE = 120_000;

/** @param {any} bytes @returns {string} */
export function encode(bytes) {
  if (bytes.toBase64) return bytes.toBase64();
  let text = "";
  // A call takes only so many arguments, and groups of three bytes stay together.
  for (let at = 0; at < bytes.length; at += 24_576)
    text += btoa(String.fromCharCode(...bytes.subarray(at, at + 24_576)));
  return text;
}

/** The bytes; null if that is no padded base64. @param {string} text @returns {Uint8Array | null} */
export function decode(text) {
  try {
    if (text.length % 4) return null;
    const binary = /** @type {any} */ (Uint8Array).fromBase64?.(text) ?? atob(text);
    return typeof binary === "string" ? Uint8Array.from(binary, (char) => char.charCodeAt(0)) : binary;
  } catch {
    return null;
  }
}

/** A name that the server takes for a file: of at most 255 bytes, of which the end tells most. @param {string} name */
export function fileName(name) {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is to go.
  let clean = name.replace(/[\0-\x1f\x7f/\\]/g, "_").trim();
  while (new TextEncoder().encode(clean).length > 255) clean = clean.replace(/^./su, "").trim();
  return /^\.{0,2}$/.test(clean) ? "file" : clean;
}

let count = 0;

/** One file on its way. */
class Transfer {
  id = ++count;
  /** @type {"waiting" | "hashing" | "running" | "done" | "failed" | "cancelled"} */
  state = "waiting";
  /** Bytes that the server has, or that are here; while `hashing`, that are read. */
  done = 0;
  /** Why it failed, or waits. @type {Reply | null} */
  why = null;
  // Asked for and not answered; counted up when what was begun is void; not asked for before; waits in vain since.
  asked = false;
  turn = 0;
  later = 0;
  since = 0;

  /** @param {Transfers} all @param {"up" | "down"} way @param {string} name @param {number} total */
  constructor(all, way, name, total) {
    this.all = all;
    this.way = way;
    this.name = name;
    this.total = total;
    /** Its ID on the server, once there is one. */
    this.file = "";
  }

  /** @param {string} command @param {(words: string[]) => void} answered */
  ask(command, answered) {
    const turn = ++this.turn;
    this.asked = true;
    this.all.hooks.ask(command, (reply) => {
      const { code, text } = reply;
      const words = text.split(" ");
      // It was cancelled meanwhile.
      if (this.turn !== turn) return code === null && this.stop(words[0]);
      this.asked = false;
      // Too many downloads end by themselves, too many files do not.
      if (code === "busy" || (code === "too-many" && this.way === "down")) this.wait(reply, 2_000);
      // Its sender is away, and it cannot be fetched until they are back.
      else if (code === "no-such-file" && this.done) this.wait(reply, Infinity);
      else if (code !== null) this.fail(code, text);
      else {
        this.state = "running";
        this.why = null;
        this.since = 0;
        answered(words);
      }
      this.all.step(this);
    });
  }

  /** @param {number} done */
  reach(done) {
    this.done = done;
    this.all.hooks.changed(this);
  }

  /** Asks for it again, after so many ms. */
  again(after = 0) {
    this.state = "waiting";
    this.asked = false;
    this.turn++;
    this.later = after && this.all.hooks.now() + after;
  }

  /** @param {Reply} why @param {number} after */
  wait(why, after) {
    this.again(after);
    this.since ||= this.all.hooks.now();
    this.why = why;
  }

  /** @param {string | null} code @param {string} text */
  fail(code, text) {
    this.why = { code, text };
    this.end("failed");
  }

  /** @param {"done" | "failed" | "cancelled"} state */
  end(state) {
    if (state !== "done" && this.state === "running") this.stop(this.file);
    this.state = state;
    this.turn++;
    this.all.list.delete(this);
    this.all.step(this);
  }

  /** Tells the server. Had it sent all of a download by then, it would withdraw the file if that is ours. @param {string} file */
  stop(file) {
    if (this.way === "up" || this.total - this.done > UNDER_WAY) this.all.withdraw(file);
  }
}

class Upload extends Transfer {
  digest = "";
  window = LEAST;
  // Where it was taken up last, and whether the server has ended it while there was no connection.
  start = 0;
  isCut = false;

  /** @param {Transfers} all @param {string} talk @param {Source} source */
  constructor(all, talk, source) {
    super(all, "up", fileName(source.name), source.size);
    this.talk = talk;
    this.source = source;
  }

  /** @param {number} offset @param {number} most @returns {Promise<Uint8Array | null>} null if it is not wanted any more */
  async read(offset, most) {
    const turn = this.turn;
    const length = Math.min(most, this.total - offset);
    const bytes = await this.source.read(offset, length).catch(() => null);
    if (this.turn !== turn) return null;
    if (bytes?.length === length) return bytes;
    this.changed();
    return null;
  }

  async hash() {
    const hash = new Sha256();
    this.state = "hashing";
    while (this.done < this.total) {
      const bytes = await this.read(this.done, SLICE);
      if (!bytes) return;
      hash.update(bytes);
      this.reach(this.done + bytes.length);
    }
    this.digest = hash.hex();
    this.reach(0);
    this.again();
    this.all.step(this);
  }

  begin() {
    const before = this.file;
    this.ask(`/send ${this.talk} ${this.total} sha256:${this.digest} ${this.name}`, ([file, offset]) => {
      this.file = file;
      this.start = Number(offset);
      if (this.talk[0] === "@" && before && before !== file) this.stranger();
      else if (this.start <= this.total) this.pump(this.start);
      else this.fail("garbled", "the server's answer makes no sense; send it again");
    });
  }

  /** Sends a window from here on, and the next as soon as the server has it. @param {number} at */
  async pump(at) {
    const turn = ++this.turn;
    const since = this.all.hooks.now();
    const end = at + this.window;
    this.isCut = false;
    this.reach(at);
    while (at < end && at < this.total) {
      const bytes = await this.read(at, Math.min(PIECE, end - at));
      if (!bytes) return;
      for (let i = 0; i < bytes.length; i += CHUNK) this.all.hooks.send(`=${encode(bytes.subarray(i, i + CHUNK))}\n`);
      at += bytes.length;
    }
    // The end of it comes by itself.
    if (!(at < this.total)) return;
    this.all.hooks.ask("/ping", () => {
      if (this.turn !== turn) return;
      const took = this.all.hooks.now() - since;
      if (took < 250) this.window = Math.min(this.window * 2, MOST);
      if (took > 1_000) this.window = Math.max(this.window / 2, LEAST);
      this.pump(at);
    });
  }

  /** @param {string} digest */
  whole(digest) {
    if (digest !== this.digest) return this.changed();
    this.reach(this.total);
    this.end("done");
  }

  /** @param {Reply} why */
  broke({ code, text }) {
    this.again(1_000);
    if (code === "bad-digest") this.changed();
    // It may go on, as long as it comes on.
    else if (code !== "gone" || (!this.isCut && this.done <= this.start)) this.fail(code, text);
  }

  changed() {
    this.fail("changed", `${this.name} was changed while it was sent, or cannot be read; send it again`);
  }

  stranger() {
    this.fail("stranger", `${this.talk} may be somebody else after this; send it again`);
  }
}

class Download extends Transfer {
  hash = new Sha256();

  /** @param {Transfers} all @param {Info} info @param {Sink} sink */
  constructor(all, info, sink) {
    super(all, "down", info.name, info.size);
    this.file = `${info.id}`;
    this.sink = sink;
  }

  begin() {
    this.ask(`/get ${this.file} ${this.done}`, ([, offset, size]) => {
      if (Number(offset) !== this.done || Number(size) !== this.total) this.garbled();
    });
  }

  /** @param {string} base64 */
  data(base64) {
    const bytes = decode(base64);
    if (!bytes || this.done + bytes.length > this.total) return this.garbled();
    this.hash.update(bytes);
    try {
      this.sink.write(bytes);
    } catch {
      return this.fail("unkept", `there is no room for ${this.name} here; close other pages and fetch it again`);
    }
    this.reach(this.done + bytes.length);
  }

  /** @param {string} digest */
  whole(digest) {
    if (this.done !== this.total || digest !== this.hash.hex()) return this.garbled();
    this.end("done");
    this.sink.end();
  }

  /** @param {Reply} why */
  broke(why) {
    this.again();
    if (why.code === "gone" && why.text.includes("announced again")) this.wait(why, Infinity);
    else this.fail(why.code, why.text);
  }

  garbled() {
    this.fail("garbled", `what came is not ${this.name}; fetch it again`);
  }

  /** @param {string | null} code @param {string} text */
  fail(code, text) {
    super.fail(code, text);
    this.sink.failed(text);
  }
}

export class Transfers {
  /** The largest file that the server takes (`file` in `/limits`), in bytes. */
  largest = Infinity;
  /** Those that have not ended, the eldest first. @type {Set<any>} */
  list = new Set();
  #isOn = false;
  #wasOn = false;

  /** @param {Hooks} hooks */
  constructor(hooks) {
    this.hooks = hooks;
  }

  /** Shares a file with `#room` or `@nick`. @param {string} talk @param {Source} source */
  upload(talk, source) {
    return this.#add(new Upload(this, talk, source));
  }

  /** Fetches a file; one that is on its way already stays as it is, with its own sink. @param {Info} info @param {Sink} sink */
  fetch(info, sink) {
    /** @type {Download | undefined} */
    const there = this.#all.find((one) => one.way === "down" && one.file === `${info.id}`);
    return there ?? this.#add(new Download(this, info, sink));
  }

  /** @param {Transfer} transfer */
  cancel(transfer) {
    if (this.list.has(transfer)) transfer.end("cancelled");
  }

  begin() {
    this.#isOn = true;
    for (const one of this.#all) {
      one.since = 0;
      if (one.state !== "hashing") one.again();
      // Whoever is called so by now may be somebody else. Only where the server had begun to take it, it will tell.
      const isForOne = this.#wasOn && one.talk?.[0] === "@";
      if (isForOne && (!one.file || /^@guest\d+$/.test(one.talk))) one.stranger();
    }
    this.#wasOn = true;
    this.step();
  }

  lost() {
    this.#isOn = false;
    // What is read and not sent is not sent any more.
    for (const one of this.#all) if (one.state === "running") one.turn++;
  }

  /** @param {{ id: string | number, offset: number } | null} open */
  resumed(open) {
    this.#isOn = true;
    const ups = this.#all.filter((one) => one.way === "up" && (one.asked || one.state === "running"));
    for (const one of ups.filter(({ asked }) => !asked)) {
      one.isCut = `${open?.id}` !== one.file;
      if (!one.isCut) one.pump(open?.offset);
    }
    // It was cancelled meanwhile.
    if (open && !ups.some((one) => one.asked || !one.isCut)) this.withdraw(`${open.id}`);
    this.step();
  }

  /** `=ID BASE64` @param {string | number} id @param {string} base64 */
  data(id, base64) {
    this.#running(id, "data")?.data(base64);
  }

  /** `=ID . SIZE sha256:HEX` @param {string | number} id @param {string} digest with `sha256:` or without */
  whole(id, digest) {
    this.#running(id, "whole")?.whole(digest.replace("sha256:", ""));
  }

  /** `=ID ! CODE TEXT` @param {string | number} id @param {string} code @param {string} text */
  failed(id, code, text) {
    const one = this.#running(id, "broke");
    one?.broke({ code, text });
    this.step(one);
  }

  /** Somebody shares this file: the event `file`. @param {string | number} id */
  announced(id) {
    for (const one of this.#all) if (one.file === `${id}` && one.later === Infinity) one.again();
    this.step();
  }

  /** About once a second. */
  tick() {
    this.step();
  }

  /** @param {string} id */
  withdraw(id) {
    if (this.#isOn) this.hooks.ask(`/cancel ${id}`, () => {});
  }

  /** Does what can be done now. @param {Transfer} [changed] */
  step(changed) {
    if (changed) this.hooks.changed(changed);
    const now = this.hooks.now();
    const idle = this.#all.filter((one) => one.state === "waiting" && !one.asked);
    for (const one of idle) {
      if (one.since && now - one.since > PATIENCE) return one.fail(one.why.code, one.why.text);
      if (one.way === "up" && one.total > this.largest) {
        return one.fail("too-big", `this server takes files of at most ${this.largest} bytes; share a smaller one`);
      }
    }
    const first = this.#all.find((one) => one.digest === "");
    if (first?.state === "waiting") first.hash();
    for (const one of idle) {
      if (!this.#isOn || one.asked || one.later > now || one.digest === "") continue;
      const busy = this.#all.filter((other) => other.way === one.way && (other.asked || other.state === "running"));
      if (busy.length < (one.way === "up" ? 1 : DOWNLOADS)) one.begin();
    }
  }

  get #all() {
    return [...this.list];
  }

  /** Who sends their own file and fetches it is told the end of the sending first. @param {string | number} id @param {string} what it can do */
  #running(id, what) {
    return this.#all.find((one) => one.file === `${id}` && one.state === "running" && one[what]);
  }

  /** @template {Transfer} T @param {T} transfer */
  #add(transfer) {
    this.list.add(transfer);
    this.step(transfer);
    return transfer;
  }
}
