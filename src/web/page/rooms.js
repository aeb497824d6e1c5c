/** What the page asks of a room: its rules, who is there and with which rank, its files, and what was said before or meanwhile. Loaded with
 * stay.js. */
import { fold } from "./talks.js";
import { row as detail } from "./view.js";

/** @import { Stay } from "./stay.js" */
/** @import { Talk } from "./talks.js" */
/** @import { Line, Row, Then } from "./types" */

/** How many of the messages that were missed while the page was closed are fetched at once, and how many before them. */
const MISSED = 2000;
const BEFORE = 30;

export class Rooms {
  /** Who has a rank in a room, by folded names, whether they are there or not; and rooms of which that is being asked. */
  #ranked = /** @type {WeakMap<Talk, Set<string>>} */ (new WeakMap());
  asking = /** @type {WeakSet<Talk>} */ (new WeakSet());

  /** @param {Stay} stay */
  constructor(stay) {
    this.stay = stay;
    this.s = stay.s;
  }

  /** We are in a room: what was not told of it. @param {Talk} talk @param {string[]} rows @param {number} count people there */
  entered(talk, rows, count) {
    const { id } = talk;
    if (rows.some((text) => detail("rules", text)))
      this.s.ask(`/room ${id}`, (_, rules) => {
        for (const text of rules) {
          const { rule, value } = detail("room", text) ?? {};
          if (rule) talk.rules.set(rule, value);
        }
        this.s.change.talks = true;
      });
    if (count <= talk.members.size) return;
    this.s.ask(`/who ${id}`, (_, people) => {
      for (const text of people) {
        const { nick } = detail("who", text) ?? {};
        if (nick) this.s.member(talk, nick);
      }
      this.s.change.talks = true;
    });
  }

  /** Asks for the files of a room, and for what of its history is missing. @param {Talk} talk @param {string} what */
  fetch(talk, what) {
    this.s.ask(`/files ${talk.id}`, (f, rows) => {
      if (f?.is !== "done") return;
      const there = new Set();
      for (const text of rows) {
        const { id, size, nick, name, age } = detail("files", text) ?? {};
        there.add(Number(id));
        if (!id || this.s.files.has(Number(id))) continue;
        const file = this.s.file(Number(id), Number(size), nick, name, talk.id);
        talk.files.push({ time: this.s.clock - Number(age) * 1000, file });
      }
      for (const { talkId, id } of this.s.files.values())
        if (talkId === talk.id && !there.has(id)) this.s.gone(talk, id, "gone");
    });
    this.#history(talk, what);
  }

  /** @param {Talk} talk @param {string} what @param {boolean} [isFirst] it is of the past @param {boolean} [isBack] some of it was seen before */
  #history(talk, what, isFirst = !what.startsWith("after"), isBack = !isFirst) {
    /** @type {Then} */
    const then = (f, rows) => {
      if (!f) return;
      const lines = rows.flatMap(past);
      if (isFirst && lines.length) {
        const { seq, time } = lines[0];
        // A room that began anew has been read nowhere.
        const read = seq > talk.read.seq ? talk.read.seq : 0;
        const isMissed = talk.read.time && time > talk.read.time && seq > read + 1;
        // What was missed is shown as a whole, behind some of what was read.
        if (isMissed && what[0] !== "a")
          return this.#history(talk, `after ${Math.max(read - BEFORE, seq - MISSED, 0)}`, true);
        talk.hasOlder = seq > 1;
      }
      for (const line of lines) if (talk.seen.past(line)) this.s.show(talk, line, isFirst);
      const isGone = f.is === "refused" && f.code === "gone";
      const next = f.is === "done" ? talk.seen.answered() : isGone ? talk.seen.gone() : talk.seen.giveUp();
      if (talk.seen.began()) this.s.note(talk, "", "anew");
      if ("ask" in next) return this.#history(talk, next.ask, false, isBack);
      if (next.missing && !this.s.ignored.size) this.s.note(talk, "", "missing", null, [`${next.missing}`]);
      for (const line of next.held) this.s.show(talk, line, false);
      this.putFiles(talk, Number.POSITIVE_INFINITY);
      if (!talk.unread) this.s.readAll(talk);
      this.stay.doubt(talk);
      const since = talk.rows.findLastIndex(({ code }) => code === "anew");
      const shown = talk.rows.slice(since + 1).filter(({ seq }) => seq);
      const newest = shown.at(-1)?.seq ?? 0;
      if (isBack && newest) this.#compare(talk, shown, newest, Math.max(shown[0].seq ?? 0, newest - MISSED) - 1);
    };
    this.s.ask(`/history ${talk.id} ${what}`, then, fold(talk.id));
  }

  /** Looks for what was taken back meanwhile: it does not come any more. @param {Talk} talk @param {Row[]} shown @param {number} newest
   * @param {number} after @param {boolean} [isOn] something came before */
  #compare(talk, shown, newest, after, isOn) {
    /** @type {Then} */
    const then = (f, rows) => {
      if (f?.is !== "done") return;
      const there = rows.flatMap(past).map(({ seq }) => seq);
      // What stood before all that comes may be forgotten, as may all be where nothing is remembered or shown.
      const isKept = isOn || (this.s.server.limits.get("history") && talk.rules.get("past") !== "off");
      const first = isOn ? 0 : (there[0] ?? (isKept ? 0 : newest + 1));
      const last = there.at(-1) ?? newest;
      const ignored = [...this.s.ignored].map(fold);
      const isGone = (/** @type {Row} */ { seq, nick }) =>
        seq && seq > after && seq >= first && seq <= last && !there.includes(seq) && !ignored.includes(fold(nick));
      this.erased(talk, shown.filter(isGone));
      if (last < newest) this.#compare(talk, shown, newest, last, true);
    };
    this.s.ask(`/history ${talk.id} after ${after}`, then, fold(talk.id));
  }

  /** These were taken back. @param {Talk} talk @param {Row[]} rows */
  erased(talk, rows) {
    for (const row of rows) {
      row.erased = true;
      this.stay.remove(talk, row);
    }
  }

  /** Puts files between messages, by their time; those before the oldest one that is shown wait for older ones.
   * @param {Talk} talk @param {number} until */
  putFiles(talk, until) {
    const from = talk.hasOlder ? (talk.rows.find((row) => row.seq)?.time ?? until) : 0;
    for (const { time, file } of talk.due(from, until)) {
      const row = this.s.add(talk, talk.shared(time, file));
      if (file.id > talk.read.file && !row.mine) this.s.unread(talk, row);
      else if (!talk.unread) talk.readKey = row.key;
    }
  }

  /** Asks who has which rank in a room. @param {Talk} talk */
  askRanks(talk) {
    this.asking.add(talk);
    this.s.ask(`/op ${talk.id}`, (f, rows) => {
      this.asking.delete(talk);
      if (f?.is !== "done") return;
      const ops = rows.map((text) => detail("op", text)).filter((op) => op !== null);
      this.#ranked.set(talk, new Set(ops.map(({ nick }) => fold(nick))));
      for (const member of talk.members.values()) member.rank = null;
      for (const { nick, rank } of ops) talk.promote(nick, rank);
      this.s.change.talks = true;
    });
  }

  /** Asks that anew if one of these has a rank there: ranks of owned names stay, those of guests go with them.
   * @param {Talk} talk @param {string[]} nicks */
  doubtRanks(talk, ...nicks) {
    const ranked = this.#ranked.get(talk);
    if (!this.asking.has(talk) && nicks.some((nick) => ranked?.has(fold(nick)))) this.askRanks(talk);
  }
}

/** A message of the history. @param {string} text @returns {Line[]} none if it is no such line */
export function past(text) {
  const { seq, time: iso, ...rest } = detail("history", text) ?? {};
  const time = Date.parse(iso);
  return Number.isNaN(time) ? [] : [{ seq: Number(seq), time, nick: rest.nick, text: rest.text }];
}
