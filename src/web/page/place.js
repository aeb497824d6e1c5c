import { row as detail } from "./view.js";

/** @import { Fact, Open } from "./types" */

/** Characters that may come before the server is told that they have: it holds 64 KiB. */
const CONFIRM = 16384;
/** Lines of a greeting that are held until it is known whether the place is taken up. */
const GREETING = 500;

/** The place that the server keeps when a connection is lost; PROTOCOL.md, "A place that is kept". */
export class Place {
  /** @type {"none" | "asked" | "refused" | "kept" | "lost" | "resuming"} */
  #state = "none";
  /** Lines that have come since the first `+ keep`. */
  #lines = 0;
  #token = "";
  #unconfirmed = 0;
  #confirming = 0;
  /** Whether an answer to an earlier /keep is still to come for a place that is over: it is a refusal. */
  #behind = false;
  /** How many lines of ours are known to be carried out, and how many commands among them have no reply yet. */
  #had = 0;
  #unanswered = 0;
  /** Those behind them: a command, or a number of lines of file data. @type {(string | number)[]} */
  #sent = [];
  #hadThere = 0;
  #open = /** @type {Open} */ (null);
  /** @type {Fact[]} */
  #greeting = [];
  /** Whether it is that of an earlier life of this page, which has forgotten what it asked. */
  isOld = false;

  /** @param {{ token: string, lines: number } | undefined} ticket */
  constructor(ticket) {
    if (!ticket) return;
    this.#state = "lost";
    this.#token = ticket.token;
    this.#lines = ticket.lines;
    this.isOld = true;
  }

  /** Whether it has to be taken up before anything can be said. */
  get isAway() {
    return this.#state === "lost" || this.#state === "resuming";
  }

  /** What takes it up after a reload. */
  get ticket() {
    return this.#token ? { token: this.#token, lines: this.#lines } : undefined;
  }

  /** A connection stands. What is to be said first, if there is a place. */
  connected() {
    if (this.#state !== "lost") return null;
    this.#state = "resuming";
    this.#greeting = [];
    this.#hadThere = 0;
    this.#open = null;
    return `/resume ${this.#token} ${this.#lines}`;
  }

  /** The connection is lost. Whether the place is kept. */
  lost() {
    this.#confirming = 0;
    if (this.#token) this.#state = "lost";
    else this.end();
    return this.isAway;
  }

  end() {
    this.#behind = this.#state === "kept" && this.#confirming > 0;
    this.#state = "none";
    this.#token = "";
    this.#lines = this.#unconfirmed = this.#confirming = this.#had = this.#unanswered = 0;
    this.#sent = [];
    this.isOld = false;
  }

  /** What is to be said for it now, once the server has let us in. */
  poll() {
    if (this.#state === "none" && !this.#behind) this.#state = "asked";
    else if (this.#state === "kept" && !this.#confirming && this.#unconfirmed >= CONFIRM)
      this.#confirming = this.#unconfirmed;
    else return null;
    return `/keep ${this.#lines}`;
  }

  /** A command goes out, or so many lines of file data. @param {string | number} what */
  sent(what) {
    if (this.#state !== "none" && this.#state !== "refused") this.#sent.push(what);
  }

  /** A line has come. Whether it is the session's; or the place is taken up, or gone.
   * @param {Fact} fact @param {number} size in characters
   * @returns {boolean | { again: string[], upload: Open } | { greeting: Fact[] }} */
  heard(fact, size) {
    const isKeep = "command" in fact && fact.command === "keep";
    if (this.#state === "resuming") return this.#answered(fact);
    if (this.#state === "lost") return false;
    if (this.#state === "none" && isKeep) {
      this.#behind = false;
      return false;
    }
    if (this.#state === "asked" && fact.is === "done" && isKeep) {
      this.#state = "kept";
      this.#token = fact.text.split(" ")[0];
      return false;
    }
    if (this.#state === "asked" && fact.is === "refused" && (isKeep || fact.code === "unknown-command")) {
      this.end();
      this.#state = "refused";
      return false;
    }
    return this.#state === "kept" ? this.#counted(fact, size, isKeep) : true;
  }

  /** @param {Fact} fact @param {number} size @param {boolean} isKeep */
  #counted(fact, size, isKeep) {
    if (fact.is === "done" && isKeep) {
      this.#unconfirmed -= this.#confirming;
      this.#confirming = 0;
      return false;
    }
    this.#lines++;
    this.#unconfirmed += fact.is === "data" ? 0 : size;
    if (fact.is === "refused" && isKeep) {
      this.#unconfirmed = this.#confirming = 0;
      return false;
    }
    if ((fact.is === "done" && /^(quit|drop)$/.test(fact.command)) || fact.is === "nick") this.end();
    else if (fact.is === "bye" && /^(shutdown|killed|blocked)$/.test(fact.code)) this.end();
    else if (fact.is === "done") this.#hadOne();
    else if (fact.is === "refused" && fact.command !== "say" && fact.code !== "no-upload") this.#hadOne();
    return true;
  }

  /** The first command without a reply has one, so all before it is carried out, too. */
  #hadOne() {
    if (this.#unanswered) this.#unanswered--;
    else
      for (let one = this.#sent.shift(); one !== undefined; one = this.#sent.shift()) {
        this.#had += typeof one === "number" ? one : 1;
        if (typeof one === "string") break;
      }
  }

  /** @param {Fact} fact */
  #answered(fact) {
    if (fact.is === "detail") {
      const had = detail("had", fact.text);
      const upload = detail("upload", fact.text);
      if (had) this.#hadThere = Number(had.lines);
      if (upload) this.#open = { id: Number(upload.id), offset: Number(upload.offset) };
    } else if (fact.is === "done" && fact.command === "resume") {
      this.#state = "kept";
      return { again: this.#again(), upload: this.#open };
    } else if (fact.is === "refused") {
      const greeting = this.#greeting;
      this.end();
      return { greeting };
    } else if (this.#greeting.length < GREETING) this.#greeting.push(fact);
    return false;
  }

  /** Our lines that were not carried out, to be sent again. */
  #again() {
    const had = this.#hadThere;
    while (this.#had < had && this.#sent.length) {
      const one = this.#sent.shift();
      this.#had += typeof one === "number" ? one : 1;
      if (typeof one === "string") this.#unanswered++;
    }
    this.#had = had;
    const lines = this.#sent.filter((one) => typeof one === "string");
    this.#sent = lines;
    return lines.slice();
  }
}
