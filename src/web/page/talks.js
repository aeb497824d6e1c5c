/** Conversations and their rows. */
import { Seen } from "./seen.js";

/** @import { FileInfo, Member, Rank, Row } from "./types" */

/** Rows of a talk; beyond it the oldest go, and come back by /history. */
const ROWS = 10000;
/** How long somebody is typing who does not say that they still are, in ms. The server says when it ends. */
const TYPING = 10000;

/** A name as it is compared. @param {string} name */
export const fold = (name) => name.normalize("NFKC").toUpperCase().toLowerCase();

/** Scripts of names whose words have blanks between them. In others nobody can tell whether a word goes on. */
const SCRIPTS =
  "Arab Armn Beng Bopo Cyrl Deva Ethi Geor Grek Gujr Guru Hang Hebr Knda Latn Mlym Orya Sinh Taml Telu Thaa Tibt"
    .split(" ")
    .map((script) => new RegExp(`\\p{sc=${script}}`, "u"));

/** The characters of a text without the marks on them, which say nothing of the script. @param {string} text */
const bare = (text) => [...text.replace(/\p{M}+/gu, "")];

/** Whether a word goes on from its end, or beginning, to what is beside that. @param {string} [edge] @param {string} [next] */
const joins = (edge = "", next = "") =>
  /[\p{M}\p{N}]/u.test(next) ||
  (/\p{L}/u.test(next) && SCRIPTS.some((one) => one.test(next) && (one.test(edge) || /\p{N}/u.test(edge))));

/** Whether a text has a name in it, as a word that `_` and `-` may surround: as in the client. @param {string} text @param {string} nick */
export function mentions(text, nick) {
  const [all, name] = [fold(text), fold(nick)];
  const own = bare(name);
  for (let at = all.indexOf(name); name && at >= 0; at = all.indexOf(name, at + 1)) {
    const end = at + name.length;
    const before = bare(all.slice(Math.max(0, at - 40), at).replace(/[-_]+$/, ""));
    const after = [...all.slice(end, end + 40).replace(/^[-_]+/, "")];
    if (!joins(own[0], before.pop()) && !joins(own.at(-1), after[0])) return true;
  }
  return false;
}

/** A room or a person, and what was said there. */
export class Talk {
  kind;
  topic = "";
  /** @type {Row[]} */
  rows = [];
  unread = 0;
  mentions = 0;
  /** The key of the newest row that was read. */
  readKey = 0;
  /** @type {Map<string, Member>} */
  members = new Map();
  /** @type {string[]} */
  typing = [];
  /** @type {Map<string, string>} */
  rules = new Map();
  hasOlder = false;
  /** Whether we are in that room. */
  joined = false;
  muted = false;
  /** Whether they have gone with whom we talked: whoever has their name now may be somebody else, and is to be chosen first. */
  isGone = false;
  /** Since when their name has its owner, if it has one; null: not known. */
  since = /** @type {string | null} */ (null);
  seen = new Seen();
  /** The newest message and file that were read, over reloads. */
  read = { seq: 0, time: 0, file: Number.POSITIVE_INFINITY };
  /** Files of which the rows are still to be put between others, oldest first. @type {{ time: number, file: FileInfo }[]} */
  files = [];
  /** @type {Map<string, number>} until when somebody is typing */
  #typists = new Map();
  #first = 1;
  #last = 0;

  /** Whether to enter it again on the next connection. */
  isWanted = true;

  /** @param {string} id @param {{ nick: string, owned: boolean }} me */
  constructor(id, me) {
    this.id = id;
    this.me = me;
    this.kind = /** @type {"room" | "person"} */ (id[0] === "#" ? "room" : "person");
  }

  get name() {
    return this.kind === "room" ? this.id : this.id.slice(1);
  }

  /** @param {Partial<Row>} row @param {"older"} [where] @returns {Row} */
  row(row, where) {
    return {
      key: where ? --this.#first : this.next(),
      kind: "event",
      time: null,
      seq: null,
      nick: "",
      text: "",
      code: "",
      args: [],
      state: "sure",
      why: null,
      mine: false,
      mention: false,
      file: null,
      erased: false,
      way: null,
      ...row,
    };
  }

  /** The row of a file. @param {number} time @param {FileInfo} file @returns {Partial<Row>} */
  shared(time, file) {
    const { nick } = file;
    return { kind: "file", time, nick, file, mine: nick === this.me.nick };
  }

  /** The files of that time that are still to be put, taken out. @param {number} from @param {number} until */
  due(from, until) {
    const due = this.files.filter(({ time }) => time >= from && time <= until);
    if (due.length) this.files = this.files.filter((one) => !due.includes(one));
    return due.filter(({ file }) => !file.gone);
  }

  /** The oldest rows that are too many, taken out. */
  trim() {
    if (this.rows.length <= ROWS) return [];
    this.hasOlder = this.kind === "room";
    return this.rows.splice(0, this.rows.length - ROWS * 0.9);
  }

  /** A key behind all others. */
  next() {
    return ++this.#last;
  }

  /** @param {string} nick @param {number} until in ms; 0: typing no more */
  types(nick, until) {
    this.#typists.delete(nick);
    if (until) this.#typists.set(nick, until + TYPING);
    return this.typed(0);
  }

  /** Whether it changed who is typing. @param {number} now */
  typed(now) {
    for (const [nick, until] of this.#typists) if (until < now) this.#typists.delete(nick);
    const before = this.typing;
    this.typing = [...this.#typists.keys()];
    return before.join() !== this.typing.join();
  }

  /** @param {string} nick @param {string} [to] their new name; without it they are there no more */
  rename(nick, to) {
    const member = this.members.get(nick);
    this.types(nick, 0);
    this.members.delete(nick);
    if (member && to) this.members.set(to, { ...member, nick: to });
    return !!member;
  }

  /** @param {string} nick */
  rankOf(nick) {
    return this.members.get(nick)?.rank ?? null;
  }

  /** @param {string} nick @param {string} rank */
  promote(nick, rank) {
    const member = this.members.get(nick);
    if (member) member.rank = rank === "nobody" ? null : /** @type {Rank} */ (rank);
  }

  get rank() {
    return this.rankOf(this.me.nick);
  }

  /** Whether whoever knows of the room comes in. */
  get isOpen() {
    const isOff = (/** @type {string} */ rule) => (this.rules.get(rule) ?? "off") === "off";
    return isOff("invite-only") && isOff("key") && this.rules.get("guests") !== "out";
  }

  /** Whether we may speak, or why not. @returns {true | string} */
  get maySay() {
    if (this.kind === "person") return this.isGone ? "mayNot.gone" : true;
    if (!this.joined) return this.isWanted || "mayNot.outside";
    if (this.muted) return "mayNot.muted";
    if (this.rank) return true;
    if (this.rules.get("moderated") === "on") return "mayNot.moderated";
    return !this.me.owned && /listen|out/.test(this.rules.get("guests") ?? "") ? "mayNot.guests" : true;
  }
}

/** What a message is shown as. @param {string} text @returns {{ kind: "said" | "action", text: string }} */
export function spoken(text) {
  const me = text.startsWith("/me ");
  return { kind: me ? "action" : "said", text: me ? text.slice(4) : text };
}
