/** What is needed only once somebody is in: connections that are lost, what happens besides talk, and saying something. Loaded
 * behind the first view. */
import { fold, spoken } from "./talks.js";
import { Place } from "./place.js";
import { Rooms } from "./rooms.js";
import { list, string } from "./session.js";
import { astray, slip } from "./slips.js";
import { cut, row as detail } from "./view.js";

/** @import { Session } from "./session.js" */
/** @import { Talk } from "./talks.js" */
/** @import { Fact, Hooks, Line, Open, Refused, Reply, Row, Then, Why } from "./types" */

/** The most bytes of a line, with its end. */
const LINE = 4096;
/** Commands without an answer beyond which what is said waits: the server takes some twenty lines a second. */
const UNANSWERED = 100;
/** How many people may be online for all of them to be asked for. */
const CROWD = 5000;
/** Rows of a private talk that outlive a reload. */
const PRIVATE = 200;
/** How long after a loss our own dead connection may still have our name: the server takes 90 s to give it up, and then keeps its place
 * for 180. And how often that is asked for; ms, as all below. */
const LIMBO = 275000;
const AGAIN = 5000;
const TYPING = 3000;
const RETRY_MOST = 30000;
/** A connection that lasted so long was a good one: the next loss is tried again soon. */
const GOOD = 10000;
/** How long the server may be silent until it is asked, and then until it is lost; and so when the page becomes visible again. */
const SILENT = 60000;
const DEAD = 20000;
const ASLEEP = 10000;
const AWAKE = 3000;
/** The answer comes behind all that happened while our place was kept, such as that somebody has gone. */
const MEANWHILE = "/ping meanwhile";
const SAVE = 1000;
/** Those that name somebody, who may be another person on the next connection. */
const OF_PERSON = /^\/(ignore|op|deop|voice|devoice|founder|kick|ban|mute|invite|uninvite|kill|block) /;
/** Commands that take a password. */
const OF_SECRET = /^\/(register|login|passwd|drop|pass|token)(?=\s|$)/i;
/** How the refusal begins of what guests may not say in a room. */
const OF_OWNERS = /^only people who own their names speak /;
/** The notice that a name has no password. */
const LACKING = /^\S+ has no password/;

/** What is left of a text that the server may have cleaned. @param {string} text */
const bare = (text) => text.replace(/[\p{C}\p{M}\p{Z}\s\ufffd\u115f\u1160\u3164\uffa0]/gu, "");

/** What was typed for a row. @param {Row} row */
export const typed = ({ kind, text }) => (kind === "action" ? `/me ${text}` : text);

/** @param {string} text */
const bytes = (text) => new TextEncoder().encode(text).length;

/** Cuts a text at words, so that no part has more bytes. @param {string} text @param {number} most */
export function parts(text, most) {
  const out = [];
  let rest = text;
  while (bytes(rest) > most) {
    let end = Math.min(rest.length, most);
    while (bytes(rest.slice(0, end)) > most) end -= Math.ceil((bytes(rest.slice(0, end)) - most) / 3);
    const blank = rest.lastIndexOf(" ", end);
    if (blank > end / 2) end = blank;
    else if (/[\ud800-\udbff]/.test(rest[end - 1])) end--;
    out.push(rest.slice(0, end));
    rest = rest.slice(end).replace(/^ /, "");
  }
  if (rest.trim()) out.push(rest);
  return out;
}

export class Stay {
  /** Since when our own dead connection may have our name, and when that is asked for again. */
  #regain = /** @type {{ since: number, at: number } | null} */ (null);
  #presence = /** @type {number | null} */ (null);
  #typing = { talk: "", at: 0 };
  /** Since when the names of those who wrote to us have their owners, where that may be later; "" while it is asked, or if they have none. */
  #owned = /** @type {WeakMap<Talk, string>} */ (new WeakMap());
  /** What was typed last and not said, as it looks like a command. */
  #doubted = "";
  /** The command for a password that was given last and has not been carried out: who expects to be asked for one types it next. */
  wary = "";
  /** Commands that wait for what carries them out. */
  #typed = 0;
  /** Since when this connection has been a good one. */
  #inSince = Number.POSITIVE_INFINITY;
  #tries = 0;
  /** Connections that could not be made since one stood. */
  #failed = 0;
  #retryAt = /** @type {number | null} */ (null);
  #aliveBy = /** @type {number | null} */ (null);
  /** When the place must have been taken up, and how often that had no answer. */
  #resumeBy = /** @type {number | null} */ (null);
  #unanswered = 0;
  #savedAt = 0;
  /** Whether our token was not taken on this connection. */
  doubts = false;
  /** What the person did while the server waited no more for somebody to come in. It is done on the next connection. */
  onLocked = /** @type {(() => void) | null} */ (null);
  /** Whether our name has no password yet, so that nobody comes in by it but with a token. */
  lacksPassword = false;
  /** The server tells that before it answers. */
  #lacks = false;

  /** @param {Session} s @param {Hooks} hooks @param {Record<string, any>} left what an earlier life of this page has left */
  constructor(s, hooks, { server, place, people, unsettled }) {
    this.s = s;
    this.rooms = new Rooms(this);
    s.server.name ||= string(server);
    this.hooks = hooks;
    this.place = new Place(string(place?.token) && Number.isInteger(place.lines) ? place : undefined);
    for (const person of list(people)) {
      if (string(person?.id)[0] !== "@") continue;
      const talk = s.find(person.id) ?? s.opened_(person.id);
      talk.isGone = Boolean(person.isGone) || !this.place.isOld;
      talk.since = string(person.since) || null;
      for (const [n, row] of list(person.rows).entries()) {
        const { file, key, mention } = s.add(talk, { ...row, key: talk.next() });
        if (file) s.files.set(file.id, file);
        if (n >= person.read && mention) talk.mentions = ++talk.unread;
        else if (!talk.unread) talk.readKey = key;
      }
    }
    for (const one of list(unsettled)) {
      const id = string(one?.id);
      if (!/^[#@]/.test(id) || !string(one.row?.text)) continue;
      const talk = s.find(id) ?? s.opened_(id);
      s.add(talk, { ...one.row, key: talk.next(), way: "limbo", state: talk.kind === "room" ? "pending" : "unknown" });
    }
  }

  // Connections.

  /** The socket is open. */
  opened() {
    this.#retryAt = null;
    this.#failed = 0;
    const line = this.place.connected();
    if (line) this.s.out = `${line}\n`;
    this.#resumeBy = line ? this.s.clock + DEAD : null;
  }

  /** We are in: what comes first. @param {number} online */
  begin(online) {
    this.#inSince = this.s.clock;
    this.#poll();
    if (online < CROWD) this.who();
  }

  /** Time has passed. */
  tick() {
    const now = this.s.clock;
    if (this.#retryAt !== null && this.#retryAt <= now) this.#reconnect();
    if (this.#aliveBy !== null && this.#aliveBy <= now) this.#reconnect();
    if (this.#resumeBy !== null && this.#resumeBy <= now && this.s.up && this.place.isAway) {
      // Once may be chance. A server that never answers has no place for us.
      if (this.#unanswered++) this.place.end();
      this.#reconnect();
    }
    if (this.s.up && now - this.s.heardAt >= (this.s.isIn ? SILENT : DEAD)) this.#probe(DEAD);
    if (this.#regain && this.s.isIn && this.#regain.at <= now) {
      this.#regain.at = now + AGAIN;
      if (now - this.#regain.since <= LIMBO) this.s.askName();
      else {
        this.settled();
        if (this.s.trouble) this.s.tell(this.s.trouble, { ...this.s.trouble, retryAt: null });
      }
    }
    for (const talk of this.s.talks.values()) if (talk.typed(now)) this.s.change.talks = true;
    this.s.transfers?.tick();
  }

  awake() {
    if (!this.s.up && this.s.state !== "ended") this.now();
    else if (this.s.up && this.s.clock - this.s.heardAt >= ASLEEP) this.#probe(AWAKE);
  }

  now() {
    this.#tries = 0;
    // Nobody else is to be in before they have logged in anew.
    if (this.s.trouble?.code === "granted") Object.assign(this.s, { entered: false, token: null });
    if (this.s.state === "ended") this.s.set("connecting");
    if (this.s.up) this.#probe(AWAKE);
    else this.#reconnect();
  }

  #reconnect() {
    if (this.s.up) this.lose(true);
    this.#retryAt = this.#aliveBy = this.#resumeBy = null;
    if (this.s.trouble) this.s.tell(this.s.trouble);
    this.hooks.reconnect();
  }

  /** @param {number} patience */
  #probe(patience) {
    if (this.#aliveBy === null) this.s.ask("/ping alive");
    this.#aliveBy ??= this.s.clock + patience;
  }

  /** The connection is lost. @param {boolean} stood whether there was one */
  lose(stood) {
    if (stood && this.s.clock - this.#inSince > GOOD) this.#tries = 0;
    this.#failed += stood ? 0 : 1;
    this.#inSince = Number.POSITIVE_INFINITY;
    this.s.up = false;
    this.#aliveBy = null;
    this.s.transfers?.lost();
    if (!this.place.lost()) this.#gone();
    const code = this.s.bye?.code ?? (this.#failed > 1 && !this.s.server.version ? "no-websocket" : "lost");
    if (this.s.isLeaving) {
      this.s.isLeaving = false;
      this.s.set("connecting");
      this.#retryAt = this.s.clock;
    } else if (code === "idle" && this.s.state === "locked") {
      // Whoever looks a password up goes on typing: they come back when they have it.
      this.#retryAt = null;
      return;
    } else if (this.s.bye && !/^(full|shutdown|too-slow|idle)$/.test(code)) this.s.set("ended");
    else {
      const wait = code === "full" ? 2 * RETRY_MOST : Math.min(500 * 2 ** this.#tries++, RETRY_MOST);
      this.#retryAt = this.s.clock + wait * (0.5 + this.hooks.random() / 2);
      this.s.set(this.s.entered || /naming|lost/.test(this.s.state) ? "lost" : "connecting");
    }
    this.s.tell({ code, text: this.s.bye?.text ?? "" }, { retryAt: this.#retryAt });
  }

  /** The place is lost too, and with it what had no answer. */
  #gone() {
    this.s.phase = "new";
    this.s.isRestoring = false;
    this.s.fence = "";
    this.s.me.owned = this.s.me.operator = false;
    this.#presence = this.#regain = null;
    this.doubts = false;
    for (const { then } of this.s.asked.splice(0)) then(null, []);
    for (const talk of this.s.talks.values()) {
      talk.joined = false;
      talk.typing = [];
      talk.seen.lost();
      talk.isGone = talk.kind === "person";
    }
    // Whoever has a name on the next connection need not be who had it.
    for (const one of this.s.waiting.splice(0)) {
      if ("line" in one && OF_PERSON.test(one.line)) one.then(null, []);
      else if ("row" in one && one.talk.kind === "person")
        this.refuse(one.talk, one.row, { code: "elsewhere", text: "" });
      else this.s.waiting.push(one);
    }
    this.s.people.clear();
    this.s.change.talks = this.s.change.people = true;
  }

  /** A line has come, which is about the place, or for the session. @param {Fact} fact @param {number} size */
  heard(fact, size) {
    const told = this.place.heard(fact, size);
    if (told === true) {
      // One code has several causes, of which this is one that a guest can do something about.
      if (fact.is === "refused" && fact.code === "muted" && OF_OWNERS.test(fact.text))
        fact.code = fact.text.includes("/register ") ? "muted.guests" : "muted.owners";
      if (fact.is === "bye" && fact.text.startsWith("an operator had a new token")) fact.code = "granted";
      // What we asked by ourselves is told in the words of the page. What an earlier life of it asked says nothing.
      const isAsked = () => this.s.asked.find(({ command }) => command === "account")?.about;
      if (fact.is === "notice" && LACKING.test(fact.text) && isAsked()) this.#lacks = !this.s.fence;
      else this.s.told(fact);
      if (fact.is === "locked") this.onLocked?.();
      if (fact.is === "locked" || fact.is === "hello") this.onLocked = null;
    } else if (told && "again" in told) this.#resumed(told, fact.is === "done" ? fact.text : "");
    else if (told) {
      this.#gone();
      for (const greeting of told.greeting) this.s.told(greeting);
    }
  }

  /** Our place is taken up. @param {{ again: string[], upload: Open }} told @param {string} nick */
  #resumed({ again, upload }, nick) {
    this.#inSince = this.s.clock;
    this.#unanswered = 0;
    this.s.me.nick = nick;
    this.s.tell(null);
    if (this.place.isOld) {
      this.place.isOld = false;
      this.s.phase = "in";
      this.s.me.owned = !!this.s.token && !this.doubts && fold(this.s.token.nick) === fold(nick);
      this.s.fence = `fence-${Math.floor(this.hooks.random() * 1e15)}`;
      this.s.ask(`/ping ${this.s.fence}`);
      this.s.begin(0);
      if (this.s.name) return this.s.name === nick ? this.s.named() : this.s.askName();
    } else {
      for (const line of again) this.s.out += `${line}\n`;
      this.s.ask(MEANWHILE);
      this.s.transfers?.resumed(upload);
    }
    this.s.set(this.s.entered ? "in" : "naming");
  }

  /** What is to be said for the place. */
  #poll() {
    const line = this.place.poll();
    // From here on the server may let go of what it wrote until now.
    if (line && line !== "/keep 0") this.save();
    if (line) this.s.out += `${line}\n`;
  }

  /** @param {Refused} f @param {string} name @param {boolean} byToken */
  unnamed(f, name, byToken) {
    if (byToken && f.code === "refused") this.#doubt();
    // There is another way in.
    if (this.s.phase === "new" && this.s.password) return this.s.unlock(this.s.password, true);
    const isOurs = name === this.s.name;
    // Our own dead connection may have it.
    if (isOurs && ((f.code === "taken" && this.s.had === name) || f.code === "busy"))
      this.#regain ??= { since: this.s.clock, at: this.s.clock + AGAIN };
    const free = /^(taken|owned|held)$/.test(f.code) ? this.#free(name) : null;
    this.s.tell(f, { name, free, retryAt: (isOurs && this.#regain?.at) || null });
    if (this.s.phase === "new") return;
    if (this.s.entered || this.#regain) this.s.named();
    else this.s.set("naming");
  }

  /** Our token is not taken. It is forgotten only where the name is somebody's, as another server may have answered than that which gave it. */
  #doubt() {
    this.doubts = true;
    const forget = () => {
      Object.assign(this.s, { token: null, isDirty: true });
      // Nobody has typed what is not right.
      if (this.s.trouble?.code === "refused") this.s.tell(this.s.trouble, { ...this.s.trouble, code: "owned" });
    };
    // A locked server tells nothing of names.
    if (this.s.phase === "new") forget();
    else this.s.ask(`/account ${this.s.token?.nick}`, (f) => f?.is === "done" && / owned$/.test(f.text) && forget());
  }

  /** The server has said something. */
  alive() {
    this.#aliveBy = null;
  }

  /** We are called as we want to be, or want another name. */
  settled() {
    const was = this.#regain;
    this.#regain = null;
    if (was) this.carry();
  }

  /** Transfers go on once we have our name, as an upload is only taken up again by that. */
  carry() {
    if (this.s.phase === "on" && this.s.isIn && !this.#regain) this.s.transfers?.begin();
  }

  /** All is being put as it was. */
  restoring() {
    if (this.s.me.away !== null) this.s.ask(`/away ${this.s.me.away}`.trim());
    this.s.ask("/limits", (_, rows) => {
      for (const text of rows) {
        const limit = detail("limits", text);
        if (limit) this.s.server.limits.set(limit.name, Number(limit.value));
      }
    });
    if (this.s.me.owned) this.askSelf();
  }

  /** All is as it was. Whoever did not see the message of the day before they came in sees it where they talk. */
  restored() {
    const { motd } = this.s.server;
    if (`${this.s.motdShown}` !== `${motd}`) for (const line of motd) this.s.note(null, line, "motd");
    this.s.motdShown = motd;
    this.carry();
  }

  /** A name like this one that nobody has, as far as is known. @param {string} name */
  #free(name) {
    const taken = new Set([...this.s.people.keys()].map(fold));
    for (let n = 2; ; n++) {
      const free = `${[...name].slice(0, 20 - `${n}`.length).join("")}${n}`;
      if (!taken.has(fold(free))) return free;
    }
  }

  /** We own that name, and have proved it. @param {Reply} f @param {boolean} byPassword then a token is asked for */
  owns({ text: nick }, byPassword) {
    const wasIn = this.s.isRestoring;
    this.s.me.owned = true;
    if (byPassword) this.s.token = null;
    this.doubts = false;
    this.s.called(nick);
    // On a locked server it is asked for behind the greeting.
    if (byPassword && this.s.phase !== "new") this.askToken();
    if (!wasIn) return;
    this.askSelf();
    this.s.enterAll();
  }

  askToken() {
    this.s.ask("/token", (f) => {
      if (f?.is !== "done") return;
      this.s.token = { nick: this.s.me.nick, token: f.text };
      this.save();
    });
  }

  /** What the server knows of who we are: whether we are an operator, and our name has a password. */
  askSelf() {
    this.s.ask("/server", (f) => {
      this.s.me.operator = f?.is === "done";
      this.s.change.state = true;
    });
    /** @type {Then} */
    const then = (f) => {
      if (f) this.lacksPassword = this.#lacks;
      this.#lacks = false;
      this.s.change.state = true;
    };
    this.s.ask("/account", then, fold(this.s.me.nick));
  }

  /** Keeps what there is to be kept now, as the page may be gone at once. */
  save() {
    this.#savedAt = this.s.clock;
    this.s.isDirty = false;
    if (this.s.isLeaving) return;
    const talks = [...this.s.talks.values()];
    const isKept = (/** @type {Row} */ row) => row.way === null;
    this.hooks.keep({
      local: {
        name: this.s.had,
        token: this.s.token,
        rooms: talks.filter((talk) => talk.kind === "room" && talk.isWanted).map(({ id, read }) => ({ id, ...read })),
      },
      session: {
        server: this.s.server.name,
        place: this.place.ticket,
        people: talks
          .filter((talk) => talk.kind === "person")
          .map(({ id, rows: all, isGone, since, readKey }) => {
            const rows = all.filter(isKept).slice(-PRIVATE);
            return { id, isGone, since, rows, read: rows.filter((row) => row.key <= readKey).length };
          }),
        unsettled: talks.flatMap(({ id, rows }) => rows.filter((row) => !isKept(row)).map((row) => ({ id, row }))),
      },
    });
  }

  /** Nothing is kept any more. */
  forgotten() {
    this.s.isDirty = false;
    this.hooks.keep({ local: {}, session: {} });
  }

  /** Asks who is here, and how they are. @param {Talk} [room] of those in there alone */
  who(room) {
    this.s.ask(room ? `/who ${room.id}` : "/who", (f, rows) => {
      if (f?.is !== "done") return;
      if (!room) {
        this.s.people.clear();
        this.#presence = Number(cut(f.text)[0]);
      }
      for (const text of rows) this.#person(text);
      const isMissing = (/** @type {Talk} */ { kind, name }) => kind === "person" && !this.isOnline(name);
      for (const talk of room ? [] : this.s.talks.values()) {
        if (isMissing(talk)) talk.isGone = true;
        else if (talk.isGone && talk.since) this.#know(talk);
      }
      this.s.change.people = this.s.change.talks = true;
    });
  }

  /** @param {string} text of an answer to /who */
  #person(text) {
    const { nick, state, rooms: ids, text: away } = detail("who", text) ?? {};
    if (!nick) return "";
    const rooms = ids === "-" ? [] : ids.split(",");
    this.s.people.set(nick, { nick, state, rooms, text: away });
    for (const id of rooms) {
      const member = this.s.talks.get(id)?.members.get(nick);
      if (member) member.away = state === "away" ? away : null;
    }
    return nick;
  }

  /** Since when the name of whom we talk with has its owner. So it is known whether they are who they were when they come back.
   * @param {Talk} talk */
  #know(talk) {
    this.#since(talk, (since) => {
      if (!talk.isGone) talk.since = since;
      else if (since && since === talk.since && this.isOnline(talk.name)) talk.isGone = false;
    });
  }

  /** Asks since when a name has its owner; "" if it has none. @param {Talk} talk @param {(since: string) => void} then */
  #since(talk, then) {
    const { id } = talk;
    this.s.ask(`/account ${talk.name}`, (f, rows) => {
      if (f?.is !== "done" || talk.id !== id) return;
      then(/^name (\S+)/.exec(rows[0])?.[1] ?? "");
      this.s.isDirty = this.s.change.talks = true;
    });
  }

  /** Somebody has written to us, who owned their name if it has had an owner since before that day, or since before they wrote: nobody else is
   * called so then. @param {Talk} talk @param {number} time */
  #wrote(talk, time) {
    const owned = this.#owned.get(talk);
    if (talk.since || talk.isGone || owned === "") return;
    if (owned) talk.since = owned;
    if (owned || talk.since !== null) return;
    const day = new Date(time).toISOString().slice(0, 10);
    this.#owned.set(talk, "");
    this.#since(talk, (since) => {
      if (since < day) talk.since ??= since || null;
      else this.#owned.set(talk, since);
    });
  }

  /** Whether somebody of that name is here, as far as is known. @param {string} name */
  isOnline(name) {
    return [...this.s.people.keys()].some((nick) => fold(nick) === fold(name));
  }

  /** @param {{ version: number, gone: string[], came: string[] }} fact */
  #changed({ version, gone, came }) {
    for (const nick of gone) {
      // Who is spelled in another way now is the same person.
      const talk = !came.some((other) => fold(other) === fold(nick)) && this.s.find(`@${nick}`);
      if (talk) talk.isGone = this.s.change.state = true;
    }
    if (this.#presence === null) return;
    if (version > this.#presence + 1) {
      this.#presence = null;
      return this.who();
    }
    this.#presence = Math.max(version, this.#presence);
    // What was told already may be told again.
    for (const nick of gone) {
      const talk = this.s.people.delete(nick) && !came.includes(nick) && this.s.talks.get(`@${nick}`);
      if (talk) this.event(talk.id, this.s.clock, nick, "offline", []);
      if (this.#regain && fold(nick) === fold(this.s.name)) this.s.askName();
    }
    for (const nick of came) {
      if (this.s.people.has(nick)) continue;
      this.s.people.set(nick, { nick, state: "here", rooms: [], text: "" });
      const talk = !gone.includes(nick) && this.s.talks.get(`@${nick}`);
      if (!talk) continue;
      this.event(talk.id, this.s.clock, nick, "online", []);
      if (talk.isGone && talk.since) this.#know(talk);
    }
    this.s.change.people = true;
  }

  /** @param {Fact} fact */
  told(fact) {
    switch (fact.is) {
      case "presence":
        return this.#changed(fact);
      case "wall":
        return this.s.note(null, fact.text, "wall", null, [fact.nick]);
      case "nick":
        this.s.me.owned = this.s.me.operator = false;
        this.s.note(null, fact.text, "renamed");
        this.s.called(fact.nick);
        return this.s.enterAll();
      case "event":
        return this.event(fact.talk, fact.time ?? this.s.clock, fact.nick, fact.event, fact.args);
      case "data":
        return this.s.transfers?.data(fact.id, fact.base64);
      case "whole":
        return this.s.transfers?.whole(fact.id, fact.digest);
      case "failed":
        return this.s.transfers?.failed(fact.id, fact.code, fact.text);
    }
  }

  /** @param {string} id @param {number} time @param {string} nick @param {string} event @param {string[]} args */
  event(id, time, nick, event, args) {
    const mine = nick === this.s.me.nick;
    let talk = this.s.find(id);
    if (!talk && (id[0] === "#" ? mine && event === "joined" : /^(file|invite)$/.test(event)))
      talk = this.s.opened_(id);
    if (!talk) return;
    const [first, second] = args;
    const isMe = first?.replace(/^(name|guest):/, "") === this.s.me.nick;
    this.s.change.talks = true;
    switch (event) {
      case "typing":
      case "idle":
        talk.types(nick, event === "typing" ? this.s.clock : 0);
        return;
      case "missed":
        if (this.#presence !== null) {
          this.#presence = null;
          this.who();
        }
        return this.s.catchUp(talk);
      case "erased":
        talk.seen.erase(Number(first), Number(second));
        return this.rooms.erased(
          talk,
          talk.rows.filter(({ seq }) => seq && seq >= Number(first) && seq <= Number(second)),
        );
      case "unfile":
        return this.s.gone(talk, Number(first), second);
      case "file":
        this.shared(talk, time, nick, args);
        return this.s.transfers?.announced(first);
      case "invite":
        return this.s.unread(talk, this.s.add(talk, { kind: "invite", time, nick, args, text: first, mention: true }));
      case "joined":
        if (mine && !talk.joined) {
          talk.isWanted = true;
          this.s.enterRoom(talk);
        }
        this.s.member(talk, nick);
        this.rooms.doubtRanks(talk, nick);
        break;
      case "left":
      case "quit":
      case "lost": {
        // Presence tells nothing of it where another one has the name at once.
        const own = event !== "left" && this.s.find(`@${nick}`);
        if (own) own.isGone = this.s.change.state = true;
        talk.rename(nick);
        if (mine) talk.joined = talk.isWanted = false;
        break;
      }
      case "renamed":
        this.#follow(nick, first);
        this.rooms.doubtRanks(talk, nick, first);
        break;
      case "topic":
        talk.topic = first;
        break;
      case "made":
        talk.promote(first, second);
        // Whoever was the founder until then is op, and who is not there has that rank once they come.
        if (!this.rooms.asking.has(talk)) this.rooms.askRanks(talk);
        break;
      case "kicked":
      case "banned":
        talk.rename(first.replace(/^(name|guest):/, ""));
        if (isMe) talk.joined = talk.isWanted = false;
        break;
      case "muted":
      case "unmuted":
        if (isMe) talk.muted = event === "muted";
        break;
      case "set":
        talk.rules.set(first, second);
    }
    const row = this.s.add(talk, { time, nick, code: event, args, mine });
    if (!talk.unread) talk.readKey = row.key;
  }

  /** Somebody is called otherwise, wherever they are. @param {string} nick @param {string} to */
  #follow(nick, to) {
    // Each room that both are in tells of it.
    const isNews = [...this.s.talks.values()].filter((talk) => talk.rename(nick, to)).length > 0;
    const person = this.s.people.get(nick);
    this.s.people.delete(nick);
    if (person) this.s.people.set(to, { ...person, nick: to });
    this.#called(this.s.find(`@${nick}`), this.s.find(`@${to}`), to, isNews);
    if (this.s.ignored.delete(nick)) this.s.ignored.add(to);
    this.s.change.people = true;
    if (nick !== this.s.me.nick) return;
    this.s.me.nick = this.s.name = this.s.had = to;
    this.s.change.state = true;
  }

  /** With whom we talk is called otherwise, unless they had gone before: then that is another person, and so is whoever takes a name
   * with which we talked. @param {Talk | undefined} own @param {Talk | undefined} other @param {string} to @param {boolean} isNews */
  #called(own, other, to, isNews) {
    if (own && !own.isGone && (!other || own === other)) {
      // Another name has another owner, or none.
      if (!other) own.since = null;
      this.#owned.delete(own);
      return this.s.rekey(own, `@${to}`);
    }
    if (own === other || !isNews) return;
    if (own) own.isGone = true;
    if (!other) return;
    other.isGone = true;
    if (other.since) this.#know(other);
  }

  /** @param {Talk} talk @param {number} time @param {string} nick @param {string[]} args */
  shared(talk, time, nick, [number, size, name]) {
    const id = Number(number);
    const known = this.s.files.get(id);
    const row = known && talk.rows.find((row) => row.file === known);
    if (known) known.gone = null;
    if (row) return this.s.mark(talk, row);
    const file = this.s.file(id, Number(size), nick, name, talk.id);
    const mine = nick === this.s.me.nick;
    const added = this.s.add(talk, { kind: "file", time, nick, file, mine, mention: !mine && talk.kind === "person" });
    if (!mine) this.s.unread(talk, added);
  }

  /** @param {string} talkId @param {string} text */
  say(talkId, text) {
    const command = astray(text);
    if (command) {
      this.s.unsaid(talkId, text);
      return this.s.note(this.s.find(talkId) ?? null, "", "alone", null, [`/${command}`]);
    }
    const talk = this.s.find(talkId) ?? (talkId[0] === "@" ? this.s.opened_(talkId) : undefined);
    const isCommand = /^\/[a-z?]/i.test(text) && !/^\/me /.test(text) && !text.trim().includes("\n");
    if (!talk) return;
    if (isCommand) {
      this.wary = OF_SECRET.exec(text)?.[0].toLowerCase() ?? "";
      this.#typed++;
      return void this.s
        .deed("typed")(talk, text.trimEnd())
        .then(() => this.#typed--);
    }
    if (this.#mayBePassword(text)) {
      this.#doubted = text;
      this.s.unsaid(talkId, text);
      return this.s.note(talk, "", "wary", null, [this.wary]);
    }
    this.wary = "";
    const { shut } = this.s;
    if (shut && this.#doubted !== text) {
      this.#doubted = text;
      this.s.unsaid(talkId, text);
      return this.s.note(talk, "", "elsewhere", null, [shut]);
    }
    const lines = text.split(/\r?\n/).map((line) => slip(line.trimEnd(), (nick) => this.#knows(talk, nick)));
    // What is pasted with other lines is no slip of the fingers, but may be a secret all the same.
    const held = lines.find((one) => one?.isSecret) ?? (lines.length > 1 ? null : lines[0]);
    if (!held || (!held.isSecret && this.#doubted === text)) return this.speak(talk, text.replace(/^\/\//, "/"));
    this.#doubted = text;
    this.wary = OF_SECRET.exec(`/${held.name}`)?.[0] ?? "";
    this.s.unsaid(talkId, text);
    const code = held.isSecret && /^token:/m.test(text) ? "token" : held.isSecret ? "secret" : "slip";
    this.s.note(talk, "", code, null, [`/${held.name}`]);
  }

  /** Whether this may be the password that a command lacked. That is asked once, but each time while the command has no answer: the rule of
   * the client (`client/model/session/secret.rs`). @param {string} text */
  #mayBePassword(text) {
    if (!this.wary || /\s/.test(text.trim())) return false;
    const isOpen = [...this.s.asked, ...this.s.waiting].some((one) => "line" in one && OF_SECRET.test(one.line));
    return isOpen || this.#typed > 0 || this.#doubted !== text;
  }

  /** Says it there whatever it looks like. @param {Talk} talk @param {string} text */
  speak(talk, text) {
    this.#doubted = this.s.shut = "";
    const most = LINE - bytes(`/msg ${talk.id} /me \n`);
    for (const line of text.split(/\r?\n/)) {
      if (line.trim()) for (const part of parts(line.trimEnd(), most)) this.message(talk, part);
    }
  }

  /** Whether there is somebody of that name. @param {Talk} talk @param {string} nick */
  #knows(talk, nick) {
    const all = [...this.s.people.keys(), ...talk.members.keys(), ...this.s.talks.keys()];
    return all.some((name) => [fold(nick), `@${fold(nick)}`].includes(fold(name)));
  }

  /** Something was typed there that may be said, or no more. @param {string} talkId @param {boolean} on */
  typing(talkId, on) {
    const { talk, at } = this.#typing;
    const isNews = on ? talk !== talkId || this.s.clock - at >= TYPING : talk === talkId;
    if (isNews && this.s.phase === "on" && this.s.isIn && (!on || this.s.find(talkId)?.maySay === true)) {
      this.#typing = { talk: on ? talkId : "", at: this.s.clock };
      this.s.ask(`/typing ${talkId} ${on ? "on" : "off"}`);
    }
  }

  /** @param {Talk} talk @param {string} text */
  message(talk, text) {
    if (this.#typing.talk === talk.id) this.#typing.talk = "";
    const { nick } = this.s.me;
    const row = this.s.add(talk, {
      nick,
      mine: true,
      state: "pending",
      way: "waits",
      time: this.s.clock,
      ...spoken(text),
    });
    if (!talk.unread) talk.readKey = row.key;
    this.s.waiting.push({ row, talk });
  }

  /** What is due at the end of a call: what is to be said goes out, and what is to be kept is kept. When `tick` is due next. */
  end() {
    if (this.s.isIn) this.#poll();
    this.#flush();
    if (this.s.isDirty && this.s.clock - this.#savedAt >= SAVE) this.save();
    const due = [
      this.#retryAt,
      this.#aliveBy ?? (this.s.up ? this.s.heardAt + SILENT : null),
      this.#regain?.at ?? null,
      this.#resumeBy,
    ];
    if (this.s.isDirty) due.push(this.#savedAt + SAVE);
    for (const talk of this.s.talks.values()) if (talk.typing.length) due.push(this.s.clock + 1000);
    const times = due.filter((time) => time !== null);
    return times.length ? Math.min(...times) : null;
  }

  /** Sends what waits, as far as it may go out now. */
  #flush() {
    // It must be known as whom a message is said, and what it may have to be told from.
    const isNaming = () => this.s.asked.some(({ command }) => /^(nick|login|logout|drop)$/.test(command));
    while (this.s.waiting.length && this.s.phase === "on" && this.s.isIn && this.s.asked.length < UNANSWERED) {
      const next = this.s.waiting[0];
      if ("row" in next && (next.talk.seen.isFetching || isNaming())) return;
      if ("row" in next && next.talk.kind === "person" && this.s.asked.some(({ line }) => line === MEANWHILE)) return;
      this.s.waiting.shift();
      if ("line" in next) this.s.ask(next.line, next.then);
      else if ("nick" in next) this.s.askName(next.nick);
      else if ("row" in next) this.#send(next.talk, next.row);
      else this.s.enterRoom(next.talk, next.key);
    }
  }

  /** @param {Talk} talk @param {Row} row */
  #send(talk, row) {
    if (talk.isGone) {
      const code = this.s.people.size && !this.isOnline(talk.name) ? "no-such-nick" : "stranger";
      return this.refuse(talk, row, { code, text: "" });
    }
    if (talk.kind === "person" && talk.since === null) this.#know(talk);
    row.way = "sent";
    row.nick = this.s.me.nick;
    /** @type {Then} */
    const then = (f) => {
      if (f?.is === "refused" && f.code === "no-such-nick" && talk.kind === "person") talk.isGone = true;
      if (f?.is === "refused") return this.refuse(talk, row, f);
      if (row.way !== "sent") return;
      if (!f) Object.assign(row, { way: "limbo", state: talk.kind === "person" ? "unknown" : "pending" });
      else if (talk.kind === "person" || !talk.joined) Object.assign(row, { way: null, state: "sure" });
      this.s.mark(talk, row);
    };
    this.s.ask(`/msg ${talk.id} ${typed(row)}`, then, fold(talk.name));
  }

  /** A message has come. Whether it is one of ours: sent and without an echo, or of an unknown fate.
   * @param {Talk} talk @param {Line} line */
  settles(talk, { seq, time, nick, text }) {
    if (talk.kind === "person" && nick !== this.s.me.nick) this.#wrote(talk, time);
    const is = (/** @type {Row} */ row) => row.mine && row.nick === nick && (row.way === "sent" || row.way === "limbo");
    const own = talk.rows.filter(is);
    const said = spoken(text);
    const row = own.find((row) => row.text === said.text) ?? own.find((row) => bare(row.text) === bare(said.text));
    if (!row) return false;
    Object.assign(row, { seq: seq || null, time, state: "sure", why: null, way: null, ...said });
    this.#toEnd(talk, row);
    return true;
  }

  /** What the history has not settled is not known. @param {Talk} talk */
  doubt(talk) {
    for (const row of talk.rows.filter((row) => row.way === "limbo" && row.state === "pending")) {
      row.state = "unknown";
      this.#toEnd(talk, row);
    }
  }

  /** What came in between was said before it. @param {Talk} talk @param {Row} row */
  #toEnd(talk, row) {
    const after = talk.rows.slice(talk.rows.indexOf(row) + 1);
    if (after.every((other) => other.way && other.way !== "limbo")) return this.s.mark(talk, row);
    this.remove(talk, row);
    row.key = talk.next();
    talk.rows.push(row);
    this.s.of(talk).added.push(row);
  }

  /** @param {Talk} talk @param {Row} row @param {Why} why */
  refuse(talk, row, { code, text }) {
    Object.assign(row, { state: "refused", why: { code, text }, way: null });
    this.s.mark(talk, row);
    // Whoever wrote it by a command looks at another talk.
    const all = [...typed(row)];
    const start = all.slice(0, 60).join("") + (all.length > 60 ? "…" : "");
    if (talk.id !== this.s.current) this.s.note(null, "", "unsent", row.why, [talk.name, start]);
  }

  /** @param {Talk} talk @param {Row} row */
  remove(talk, row) {
    const at = talk.rows.indexOf(row);
    if (at >= 0) this.s.of(talk).removed.push(...talk.rows.splice(at, 1));
  }
}
