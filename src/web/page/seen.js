/** @import { Line, Next } from "./types" */

/** How many of a room's last messages are shown when it is entered. */
const ON_JOIN = 50;
/** Messages that are held back while older ones are fetched; beyond it they are let go, and fetched too. */
const HELD = 256;

/** Which of a room's messages have been seen, over all connections. While older ones are fetched, newer ones are held back. */
export class Seen {
  /** The newest message that was shown, or that there was when we came. @type {{ seq: number, time: number } | null} */
  #last = null;
  #missing = 0;
  /** fresh: whether this reply brought something; unsure: whether nothing shows yet that the room still is the one it was;
   * anew: whether it counts from 1 again; reached: whether it brought a message, as what is missing behind one was taken back.
   * @type {{ held: Map<number, Line>, fresh: boolean, unsure: boolean, anew: boolean, reached: boolean } | null} */
  #fetch = null;
  /** Whether the room began anew since this was asked last. */
  #began = false;

  get isFetching() {
    return this.#fetch !== null;
  }

  /** Begins to fetch what is missing. What to ask /history for; null while that is under way. */
  fetch() {
    if (this.#fetch) return null;
    const last = this.#last;
    this.#fetch = { held: new Map(), fresh: false, unsure: !!last?.seq, anew: false, reached: false };
    return last ? `after ${Math.max(last.seq - 1, 0)}` : String(ON_JOIN);
  }

  /** A message has just been said. It, unless it is held back or has been seen. @param {Line} line */
  live(line) {
    const fetch = this.#fetch;
    if (!fetch) return this.#take(line);
    if (fetch.held.size >= HELD) {
      fetch.held.clear();
      fetch.fresh = true;
    }
    fetch.held.set(line.seq, line);
    return null;
  }

  /** A message came from the history. It, unless it has been seen. @param {Line} line */
  past(line) {
    const fetch = this.#fetch;
    const last = this.#last;
    if (!fetch) return null;
    fetch.unsure = false;
    if (last) {
      if (line.seq === last.seq && line.time !== last.time) fetch.anew = true;
      if (line.seq <= last.seq || fetch.anew) {
        fetch.reached = true;
        return null;
      }
      if (!fetch.reached) this.#missing += line.seq - last.seq - 1;
    }
    fetch.fresh = fetch.reached = true;
    return this.#take(line);
  }

  /** These messages were taken back: what is held back of them is not shown. @param {number} first @param {number} last */
  erase(first, last) {
    for (const seq of this.#fetch?.held.keys() ?? []) if (seq >= first && seq <= last) this.#fetch?.held.delete(seq);
  }

  /** /history has been answered. @returns {Next} */
  answered() {
    const fetch = this.#fetch;
    if (!fetch) return { held: [], missing: 0 };
    if (fetch.anew) return this.#anew();
    this.#last ??= { seq: 0, time: 0 };
    const last = this.#last.seq;
    const first = Math.min(...fetch.held.keys());
    if (fetch.unsure || (fetch.fresh && !(first <= last + 1))) {
      fetch.fresh = fetch.unsure = false;
      return { ask: `after ${last}` };
    }
    const missing = this.#missing;
    this.#missing = 0;
    return { held: this.#held(), missing };
  }

  /** The history does not reach so far: the room counts from 1 again. @returns {Next} */
  gone() {
    return this.#fetch && this.#last?.seq ? this.#anew() : this.giveUp();
  }

  /** The history cannot be had: what was held back is all there is. @returns {Next} */
  giveUp() {
    return { held: this.#held(), missing: 0 };
  }

  /** The connection is lost, and the answer that was waited for with it. */
  lost() {
    this.#fetch = null;
  }

  /** Whether the room began anew since this was asked last. */
  began() {
    const began = this.#began;
    this.#began = false;
    return began;
  }

  /** @returns {Next} */
  #anew() {
    this.#last = { seq: 0, time: 0 };
    this.#began = true;
    if (this.#fetch) this.#fetch.fresh = this.#fetch.unsure = this.#fetch.anew = this.#fetch.reached = false;
    return { ask: "after 0" };
  }

  #held() {
    const held = [...(this.#fetch?.held.values() ?? [])].sort((a, b) => a.seq - b.seq);
    this.#fetch = null;
    return held.filter((line) => this.#take(line));
  }

  /** @param {Line} line */
  #take(line) {
    if (this.#last && line.seq <= this.#last.seq) return null;
    this.#last = { seq: line.seq, time: line.time };
    return line;
  }
}
