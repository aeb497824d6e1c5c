/** What the tests of the page share: a server, a proxy that cuts, and a session with a socket in place of a browser. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import net from "node:net";
import { createInterface } from "node:readline";
import { Session } from "../../src/web/page/session.js";

/** How long anything is waited for, in ms. */
const PATIENCE = 60_000;

/** A server on a port of its own, which ends with the test. */
export async function serve(t, ...options) {
  const program = process.env.CHINWAG;
  if (!program) throw new Error("CHINWAG names no program to test");
  const child = spawn(program, ["serve", "--listen", "127.0.0.1:0", "--rate", "0", ...options], { stdio: ["ignore", "pipe", "inherit"] });
  t.after(() => child.kill("SIGKILL"));
  for await (const line of createInterface(child.stdout)) {
    const port = /127\.0\.0\.1:(\d+)/.exec(line)?.[1];
    if (port) return Number(port);
  }
  throw new Error("the server has not said where it listens");
}

/** A proxy that can cut a connection, and throws away what is under way then, as much of it as chance says. */
export class Proxy {
  #pairs = new Map();

  static async start(t, port) {
    const proxy = new Proxy();
    proxy.server = net.createServer((client) => proxy.#accept(client, net.connect(port, "127.0.0.1")));
    proxy.server.listen(0, "127.0.0.1");
    await once(proxy.server, "listening");
    t.after(() => {
      proxy.server.close();
      for (const [client, server] of proxy.#pairs) for (const socket of [client, server]) socket.destroy();
    });
    return proxy;
  }

  get port() {
    return this.server.address().port;
  }

  #accept(client, server) {
    this.#pairs.set(client, server);
    for (const [from, to] of [[client, server], [server, client]]) {
      from.on("data", (bytes) => to.write(bytes));
      from.on("close", () => to.destroy());
      from.on("error", () => to.destroy());
    }
    client.on("close", () => this.#pairs.delete(client));
  }
}

/** Somebody with the page. */
export class Person {
  shown = new Map();
  changes = 0;
  kept = { local: {}, session: {} };
  /** What is sent and comes waits until `up` and `down`, if it is to be cut off there. */
  held = null;
  #socket = null;
  #ticking;
  #waiting = new Set();

  constructor(t, port, kept) {
    this.port = port;
    if (kept) this.kept = structuredClone(kept);
    this.session = new Session({
      kept: this.kept,
      hooks: {
        send: (text) => this.#socket?.write(text),
        reconnect: () => this.connect(),
        changed: (change) => this.#changed(change),
        keep: (kept) => {
          this.kept = JSON.parse(JSON.stringify(kept));
        },
        random: Math.random,
      },
    });
    this.#ticking = setInterval(() => this.session.tick(Date.now()), 100);
    t.after(() => this.end());
  }

  connect() {
    this.cut();
    const socket = net.connect(this.port, "127.0.0.1");
    this.#socket = socket;
    let opened = false;
    let rest = "";
    const is = () => this.#socket === socket;
    socket.setEncoding("utf8");
    socket.on("connect", () => {
      opened = true;
      if (is()) this.session.opened(Date.now());
    });
    socket.on("data", (text) => {
      const end = text.lastIndexOf("\n") + 1;
      const whole = rest + text.slice(0, end);
      rest = end ? text.slice(end) : rest + text;
      if (is() && end) this.session.heard(whole, Date.now());
    });
    socket.on("error", () => {});
    socket.on("close", () => {
      if (!is()) return;
      this.#socket = null;
      this.session.closed(Date.now(), { clean: true, code: 1006, opened });
    });
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
    for (const [id, { added, removed, older }] of change.rows ?? []) {
      const rows = this.shown.get(id) ?? [];
      const left = rows.filter((row) => !removed.includes(row));
      this.shown.set(id, [...older.toReversed(), ...left, ...added]);
    }
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
    const rows = [...talks].map(([id, { rows }]) => [id, rows.slice(-10).map((row) => [row.kind, row.code, row.state, row.nick, row.text, row.args].join("|"))]);
    return JSON.stringify({ state, trouble, me, rows }, null, 1);
  }
}
