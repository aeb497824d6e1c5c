/** What the tests of the page share: a server, a proxy that cuts, and a session with a socket in place of a browser. */
import { spawn, spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import net from "node:net";
import { createInterface } from "node:readline";
import { Session } from "../../src/web/page/session.js";

/** How long anything is waited for, in ms; a password on a busy machine takes long. */
const PATIENCE = 60_000;

function program() {
  if (!process.env.CHINWAG) throw new Error("CHINWAG names no program to test");
  return process.env.CHINWAG;
}

/** Whether the server has a door for browsers. */
export const hasWeb = () => spawnSync(program(), ["serve", "--help"]).stdout.includes("--web");

/** A server on a port of its own, which ends with the test. With `--web` that is the one for browsers. */
export async function serve(t, ...options) {
  const child = spawn(program(), ["serve", "--listen", "127.0.0.1:0", "--rate", "0", ...options], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  t.after(() => child.kill("SIGKILL"));
  for await (const line of createInterface(child.stdout)) {
    const [, door, port] = /(listening|http).*127\.0\.0\.1:(\d+)/.exec(line) ?? [];
    if (port && (door === "http" || !options.includes("--web"))) return Number(port);
  }
  throw new Error("the server has not said where it listens");
}

/** Numbers from 0 to 1 that a seed repeats (mulberry32). */
export function chance(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/**
 * A proxy that carries some of what is under way at each `move`, and throws the rest away when it is cut. `rewrite` changes what
 * goes to the server; `whole` lets it be cut at the ends of lines alone there.
 */
export class Cutter {
  /** Those that stand, the newest last, and those that only the server has still. */
  ways = [];
  lingering = [];

  static async start(t, port, random, { rewrite = null, whole = false } = {}) {
    const proxy = new Cutter();
    Object.assign(proxy, { random, rewrite, whole });
    proxy.server = net.createServer((client) => proxy.#accept(client, net.connect(port, "127.0.0.1")));
    proxy.server.listen(0, "127.0.0.1");
    await once(proxy.server, "listening");
    t.after(() => {
      proxy.server.close();
      for (const way of [...proxy.ways, ...proxy.lingering]) proxy.#end(way);
    });
    return proxy;
  }

  get port() {
    return this.server.address().port;
  }

  #accept(client, server) {
    const way = { client, server, up: Buffer.alloc(0), down: Buffer.alloc(0) };
    this.ways.push(way);
    client.on("data", (bytes) => {
      way.up = Buffer.concat([way.up, this.rewrite ? Buffer.from(this.rewrite(bytes.toString())) : bytes]);
    });
    server.on("data", (bytes) => {
      way.down = Buffer.concat([way.down, bytes]);
    });
    server.on("close", () => {
      way.isOver = true;
    });
    for (const socket of [client, server]) socket.on("error", () => {});
    client.on("close", () => {
      const at = this.ways.indexOf(way);
      if (at >= 0) this.ways.splice(at, 1);
      if (at >= 0) server.destroy();
    });
  }

  /** Carries up to so many bytes of what is under way, each way. */
  move(most = Number.POSITIVE_INFINITY) {
    for (const way of this.ways) {
      for (const [from, to] of [
        ["up", way.server],
        ["down", way.client],
      ]) {
        const part = way[from].subarray(0, most);
        way[from] = way[from].subarray(part.length);
        if (part.length) to.write(part);
      }
      if (way.isOver && !way.down.length) way.client.destroy();
    }
  }

  /** Cuts what stands. Some of what is under way to the server may arrive yet, at once or when the next has come. */
  cut() {
    for (const way of this.ways.splice(0)) {
      way.client.destroy();
      let end = Math.floor(this.random() * (way.up.length + 1));
      if (this.whole) end = way.up.lastIndexOf(10, end) + 1;
      way.up = way.up.subarray(0, end);
      this.lingering.push(way);
    }
    if (this.random() < 0.5) this.bury();
  }

  /** What lingers arrives, and the server notices that it is cut. */
  bury() {
    for (const way of this.lingering.splice(0)) {
      if (way.up.length) way.server.write(way.up);
      this.#end(way);
    }
  }

  #end(way) {
    way.client.destroy();
    way.server.end();
    way.server.resume();
  }
}

/** What a browser's socket is to the page: whole lines go in and out. The callbacks tell of its start, of lines, and of its end. */
const DOORS = {
  lines(port, { opened, heard, closed }) {
    const socket = net.connect(port, "127.0.0.1");
    let rest = "";
    socket.setEncoding("utf8");
    socket.on("connect", opened);
    socket.on("data", (text) => {
      const end = text.lastIndexOf("\n") + 1;
      const whole = rest + text.slice(0, end);
      rest = end ? text.slice(end) : rest + text;
      if (end) heard(whole);
    });
    socket.on("error", () => {});
    socket.on("close", closed);
    return { write: (text) => socket.write(text), destroy: () => socket.destroy() };
  },

  /** As little of RFC 6455 as two ends need that keep to it. */
  web(port, { opened, heard, closed }) {
    const socket = net.connect(port, "127.0.0.1");
    const send = (opcode, payload) => {
      const mask = randomBytes(4);
      const length = payload.length;
      const head = Buffer.from([0x80 | opcode, 0x80 | (length < 126 ? length : length < 65_536 ? 126 : 127)]);
      const size = Buffer.alloc(length < 126 ? 0 : length < 65_536 ? 2 : 8);
      if (size.length) size.writeUIntBE(length, size.length - Math.min(size.length, 6), Math.min(size.length, 6));
      socket.write(Buffer.concat([head, size, mask, payload.map((byte, at) => byte ^ mask[at % 4])]));
    };
    let rest = Buffer.alloc(0);
    let isOpen = false;
    const frame = () => {
      const short = rest[1] & 0x7f;
      const start = short < 126 ? 2 : short === 126 ? 4 : 10;
      if (rest.length < start) return false;
      const length = short < 126 ? short : start === 4 ? rest.readUInt16BE(2) : Number(rest.readBigUInt64BE(2));
      if (rest.length < start + length) return false;
      const payload = rest.subarray(start, start + length);
      const opcode = rest[0] & 0x0f;
      rest = rest.subarray(start + length);
      if (opcode === 1) heard(payload.toString());
      if (opcode === 9) send(10, payload);
      if (opcode === 8) socket.end();
      return true;
    };
    const fields = ["Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13"];
    const key = `Sec-WebSocket-Key: ${randomBytes(16).toString("base64")}`;
    const host = `127.0.0.1:${port}`;
    const lines = ["GET /ws HTTP/1.1", `Host: ${host}`, `Origin: http://${host}`, ...fields, key];
    socket.on("connect", () => socket.write(`${lines.join("\r\n")}\r\n\r\n`));
    socket.on("data", (bytes) => {
      rest = Buffer.concat([rest, bytes]);
      const end = rest.indexOf("\r\n\r\n");
      if (!isOpen && end < 0) return;
      if (!isOpen) {
        if (!rest.toString().startsWith("HTTP/1.1 101 ")) return socket.destroy();
        rest = rest.subarray(end + 4);
        isOpen = true;
        opened();
      }
      while (rest.length > 1 && frame());
    });
    socket.on("error", () => {});
    socket.on("close", closed);
    return { write: (text) => send(1, Buffer.from(text)), destroy: () => socket.destroy() };
  },
};

/** Somebody with the page. */
export class Person {
  shown = new Map();
  /** What was typed and given back. */
  unsaid = [];
  changes = 0;
  kept = { local: {}, session: {} };
  #socket = null;
  #ticking;
  #waiting = new Set();

  constructor(t, port, kept, door = "lines") {
    this.port = port;
    this.door = door;
    if (kept) this.kept = structuredClone(kept);
    this.session = new Session({
      kept: this.kept,
      hooks: {
        send: (text) => this.#socket?.write(text),
        reconnect: () => this.connect(),
        changed: (change) => this.#changed(change),
        keep: (kept) => {
          this.kept = JSON.parse(JSON.stringify(kept));
          this.#look();
        },
        random: Math.random,
      },
    });
    this.#ticking = setInterval(() => this.session.tick(Date.now()), 100);
    t.after(() => this.end());
  }

  connect() {
    this.cut();
    let opened = false;
    const is = () => this.#socket === socket;
    const socket = DOORS[this.door](this.port, {
      opened: () => {
        opened = true;
        if (is()) this.session.opened(Date.now());
      },
      heard: (text) => is() && this.session.heard(text, Date.now()),
      closed: () => {
        if (!is()) return;
        this.#socket = null;
        this.session.closed(Date.now(), { clean: true, code: 1006, opened });
      },
    });
    this.#socket = socket;
    return this;
  }

  /** The connection is gone without a word, and what is under way with it. */
  cut() {
    const socket = this.#socket;
    this.#socket = null;
    socket?.destroy();
  }

  lose() {
    const socket = this.#socket;
    if (!socket) return;
    this.cut();
    this.session.closed(Date.now(), { clean: false, code: 1006, opened: true });
  }

  end() {
    clearInterval(this.#ticking);
    this.cut();
  }

  #changed(change) {
    this.changes++;
    this.unsaid.push(...(change.unsaid ?? []));
    for (const [id, { added, removed, older }] of change.rows ?? []) {
      const rows = this.shown.get(id) ?? [];
      const left = rows.filter((row) => !removed.includes(row));
      this.shown.set(id, [...older, ...left, ...added]);
    }
    this.#look();
  }

  #look() {
    for (const check of [...this.#waiting]) check();
  }

  /** Waits until something is so. */
  until(what, is) {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`${what} has not come: ${this.tell()}`)), PATIENCE);
      const check = () => {
        const value = is(this.session);
        if (!value) return;
        clearTimeout(timer);
        this.#waiting.delete(check);
        resolve(value);
      };
      this.#waiting.add(check);
      check();
    });
  }

  /** What is shown in a talk, oldest first. */
  texts(id) {
    const said = (row) => row.kind === "said" || row.kind === "action";
    return (this.session.talks.get(id)?.rows ?? []).filter(said).map((row) => `${row.nick}: ${row.text}`);
  }

  tell() {
    const { state, trouble, me, talks } = this.session;
    const rows = [...talks].map(([id, { rows }]) => [
      id,
      rows
        .filter((row, at) => row.state !== "sure" || at > rows.length - 5)
        .map((row) => [row.kind, row.code, row.state, row.way, row.nick, row.text, row.args].join("|")),
    ]);
    return JSON.stringify({ state, trouble, me, rows }, null, 1);
  }
}
