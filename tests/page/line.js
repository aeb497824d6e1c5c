/** A server of the test's own, and people on its line port who share files: what the page's session does, without anything else. */

import { spawn } from "node:child_process";
import { connect } from "node:net";
import { createInterface } from "node:readline";
import { Transfers } from "../../src/web/page/transfer.js";

/** Starts a server, which ends with `stop()`. */
export async function serve(...options) {
  const program = process.env.CHINWAG ?? new URL("../../target/debug/chinwag", import.meta.url).pathname;
  const child = spawn(program, ["serve", "--listen", "127.0.0.1:0", ...options], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  for await (const line of createInterface({ input: child.stdout })) {
    const port = /^listening .*:(\d+)$/.exec(line)?.[1];
    if (port) return { port: Number(port), stop: () => child.kill() };
  }
  throw new Error("the server has ended before it listened");
}

/** Somebody who keeps their place, and whose connection can be cut off at any moment. */
export class Person {
  lines = [];
  /** Commands without a reply yet, and how many lines of ours, and of the server's, there were since `/keep`. */
  #asked = [];
  #sent = [];
  #heard = 0;
  #isCounting = false;
  #waiting = [];
  #details = [];
  #token = null;
  #socket = null;
  /** What is to be done after each line that has come, and before each that is sent. */
  each = () => {};

  /** @param {number} port @param {string} nick @param {object} hooks overrides of those of the transfers */
  constructor(port, nick, hooks = {}) {
    this.port = port;
    this.nick = nick;
    this.transfers = new Transfers({
      send: (text) => this.#write(text, null),
      ask: (command, answered) => this.#write(`${command}\n`, answered),
      changed: () => this.#look(),
      now: () => performance.now(),
      ...hooks,
    });
  }

  /** Comes in anew. */
  async enter(room = "#lobby") {
    await this.#open();
    this.#asked = [];
    this.#token = null;
    // Until the server has seen that our old connection is gone, the name is taken.
    while ((await this.ask(`/nick ${this.nick}`)).code);
    await this.ask(`/join ${room}`);
    this.transfers.begin();
  }

  /** From now on the place is kept. */
  keep() {
    return this.#first("/keep", ({ text }) => {
      this.#token = text.split(" ")[0];
      this.#sent = [];
      this.#heard = 0;
    });
  }

  /** Takes the place up. */
  async resume() {
    await this.#open();
    const before = this.#asked;
    this.#asked = [];
    await this.#first(`/resume ${this.#token} ${this.#heard}`, ({ code, text, details }) => {
      if (code !== null) throw new Error(text);
      const had = Number(details.find((line) => line.startsWith("- had ")).slice(6));
      const open = /^- upload (\d+) (\d+)$/.exec(details.find((line) => line.startsWith("- upload ")) ?? "");
      // Chunks are not sent again: the upload goes on from where the server has come to.
      this.#sent = this.#sent.filter((line, at) => at < had || line[0] !== "=");
      this.#asked = before;
      for (const line of this.#sent.slice(had)) this.#send(line);
      this.transfers.resumed(open && { id: open[1], offset: Number(open[2]) });
    });
  }

  /** What is to be done with a reply before the next line is heard. */
  #first(command, answered) {
    return new Promise((resolve) => {
      this.#write(`${command}\n`, (reply) => {
        this.#isCounting = true;
        answered(reply);
        resolve();
      });
    });
  }

  /** The connection is gone, with all that was under way. */
  cut() {
    this.#socket.removeAllListeners("data");
    this.#socket.resetAndDestroy();
    this.#socket = null;
    this.transfers.lost();
  }

  quit() {
    this.#socket?.destroy();
  }

  /** @param {string} command @returns {Promise<{ code: string | null, text: string, details: string[] }>} */
  ask(command) {
    return new Promise((answered) => this.#write(`${command}\n`, answered));
  }

  /** Waits until this is so; looked at whenever a line has come or a transfer has changed. @param {() => any} what */
  until(what) {
    const there = what();
    if (there) return Promise.resolve(there);
    return new Promise((resolve) => this.#waiting.push({ what, resolve }));
  }

  #look() {
    for (const one of [...this.#waiting]) {
      const there = one.what();
      if (!there) continue;
      this.#waiting.splice(this.#waiting.indexOf(one), 1);
      one.resolve(there);
    }
  }

  #write(line, answered) {
    if (answered) this.#asked.push(answered);
    if (this.#token && !/^\/(keep|resume)/.test(line)) this.#sent.push(line);
    this.#send(line);
    this.#look();
  }

  #send(line) {
    if (this.#socket) this.each(line);
    this.#socket?.write(line);
  }

  #open() {
    return new Promise((resolve, reject) => {
      const socket = connect(this.port, "127.0.0.1");
      this.#isCounting = false;
      let rest = "";
      let isGreeted = false;
      socket.setEncoding("utf8");
      socket.on("error", reject);
      socket.on("data", (text) => {
        const lines = (rest + text).split("\n");
        rest = lines.pop();
        for (const line of lines) {
          // It may be cut off by what a line causes.
          if (socket.destroyed) return;
          if (!isGreeted && line.startsWith("* hello ")) {
            isGreeted = true;
            this.#socket = socket;
            resolve();
          } else if (isGreeted) this.#hear(line);
        }
        this.#look();
      });
    });
  }

  #hear(line) {
    const [first, command] = line.split(" ", 2);
    if (this.#isCounting && !line.startsWith("+ keep ")) this.#heard++;
    if (first[0] === "=") this.#file(line);
    else {
      this.lines.push(line);
      const event = /^[#@]\S+ \* \S+ file (\d+) /.exec(line);
      if (event) this.transfers.announced(event[1]);
    }
    if (first === "-") this.#details.push(line);
    if (first === "+" || first === "!") {
      const rest = line.slice(first.length + command.length + 2);
      const code = first === "!" ? rest.split(" ")[0] : null;
      const text = code === null ? rest : rest.slice(code.length + 1);
      this.#asked.shift()?.({ code, text, details: this.#details });
      this.#details = [];
    }
    this.each(line);
  }

  #file(line) {
    const [, id, rest] = /^=(\d+) (.*)$/.exec(line);
    const [mark, one, ...more] = rest.split(" ");
    if (mark === ".") this.transfers.whole(id, more[0]);
    else if (mark === "!") this.transfers.failed(id, one, more.join(" "));
    else this.transfers.data(id, rest);
  }
}
