/** One person's stay on a server, over all the connections that it takes. Knows no socket, DOM, timer or storage. */
import { Place } from "./seen.js";
import { bytes, fold, mentions, parts, spoken, Talk } from "./talks.js";
import { cut, row as detail, view } from "./view.js";

/** @import { Change, Fact, FileInfo, Hooks, Kept, Line, Open, Person, Refused, Reply, Row, Rows, Then, Trouble, Waiting, Why } from "./types" */
/** @typedef {typeof import("./deeds.js")} Deeds */

/** The most bytes of a line, with its end. */
const LINE = 4096;
/** Commands without an answer beyond which what is said waits: the server takes some twenty lines a second. */
const UNANSWERED = 100;
/** Rows of an answer that are looked at, and people online for all of them to be asked for. */
const DETAILS = 20000;
const CROWD = 5000;
/** Files that are known at a time. */
const FILES = 5000;
/** Rows of a private talk that outlive a reload. */
const PRIVATE = 200;
/** How long after a loss our own dead connection may still have our name, and how often that is asked for; ms, as all below. */
const LIMBO = 95000;
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
const SAVE = 1000;

/** Those that name somebody, who may be another person on the next connection. */
const OF_PERSON = /^\/(ignore|op|deop|voice|devoice|founder|kick|ban|mute|invite|uninvite|kill|block) /;

/** @param {unknown} value @returns {any[]} */
const list = (value) => (Array.isArray(value) ? value : []);
/** @param {unknown} value */
const string = (value) => (typeof value === "string" ? value : "");

export class Session {
  /** @type {"connecting" | "locked" | "naming" | "in" | "lost" | "ended"} */
  state = "connecting";
  trouble = /** @type {Trouble | null} */ (null);
  me = { nick: "", owned: false, operator: false, away: /** @type {string | null} */ (null) };
  server = { version: "", name: "", motd: /** @type {string[]} */ ([]), limits: new Map([["", 0]]) };
  newVersion = false;
  talks = /** @type {Map<string, Talk>} */ (new Map());
  current = "";
  people = /** @type {Map<string, Person>} */ (new Map());
  /** When `tick` is due at the latest, in ms. */
  wake = /** @type {number | null} */ (null);

  // What the person does besides talking is loaded when it is done first, and works on what follows here.
  login = this.#deed("login");
  unlock = this.#deed("unlock");
  register = this.#deed("register");
  logout = this.#deed("logout");
  forget = this.#deed("forget");
  away = this.#deed("away");
  again = this.#deed("again");
  drop = this.#deed("drop");
  older = this.#deed("older");
  askPeople = this.#deed("askPeople");
  askRooms = this.#deed("askRooms");
  menu = this.#deed("menu");
  erase = this.#deed("erase");
  upload = this.#deed("upload");
  fetch = this.#deed("fetch");
  cancel = this.#deed("cancel");

  /** The name that we want, and whether we had it before. */
  name = "";
  hadName = false;
  token = /** @type {{ nick: string, token: string } | null} */ (null);
  /** What unlocks the server, for the next connection. Stands in no storage. */
  password = "";
  /** new: nobody has greeted us; in: all is being put as it was; on: it is. @type {"new" | "in" | "on"} */
  phase = "new";
  /** Whether we have been in since the page was loaded. */
  entered = false;
  /** Wrong passwords on this connection. */
  wrong = 0;
  bye = /** @type {Why | null} */ (null);
  isLeaving = false;
  isDirty = false;
  asked = /** @type {{ line: string, command: string, about: string, then: Then }[]} */ ([]);
  /** What waits until we are in. @type {Waiting[]} */
  waiting = [];
  ignored = /** @type {Set<string>} */ (new Set());
  files = /** @type {Map<number, FileInfo>} */ (new Map());
  transfers = /** @type {import("./transfer.js").Transfers | null} */ (null);
  clock = 0;
  out = "";
  change = /** @type {Change} */ ({});
  #rows = /** @type {Map<Talk, Rows>} */ (new Map());

  #up = false;
  #isRestoring = false;
  /** Since when our own dead connection may have our name, and when that is asked for again. */
  #regain = /** @type {{ since: number, at: number } | null} */ (null);
  #details = /** @type {string[]} */ ([]);
  /** The token of a /ping: the answers before its own are to an earlier life of this page. */
  #fence = "";
  #presence = /** @type {number | null} */ (null);
  #typing = { talk: "", at: 0 };
  #heardAt = 0;
  #inSince = 0;
  #tries = 0;
  /** Connections that could not be made since one stood. */
  #failed = 0;
  #retryAt = /** @type {number | null} */ (null);
  #aliveBy = /** @type {number | null} */ (null);
  #savedAt = 0;
  #hooks;

  /** @param {{ kept: Kept, hooks: Hooks }} o */
  constructor({ kept: { local, session }, hooks }) {
    this.#hooks = hooks;
    this.name = string(local.name);
    this.hadName = !!this.name;
    if (string(local.token?.nick) && string(local.token.token)) this.token = local.token;
    for (const room of list(local.rooms)) {
      if (string(room?.id)[0] === "#")
        this.opened_(room.id).read = { seq: Number(room.seq) || 0, time: Number(room.time) || 0 };
    }
    for (const person of list(session.people)) {
      if (string(person?.id)[0] !== "@") continue;
      const talk = this.opened_(person.id);
      for (const row of list(person.rows)) {
        const { file, key } = this.add(talk, { ...row, key: talk.row({}).key });
        if (file) this.files.set(file.id, file);
        talk.readKey = key;
      }
    }
    for (const one of list(session.unsettled)) {
      const id = string(one?.id);
      const { row } = one ?? {};
      const state = id[0] === "#" ? "pending" : "unknown";
      if (/^[#@]/.test(id) && string(row?.text))
        this.add(this.find(id) ?? this.opened_(id), { ...row, way: "limbo", state });
    }
    const { place } = session;
    this.place = new Place(string(place?.token) && Number.isInteger(place.lines) ? place : undefined);
    this.change = {};
    this.#rows.clear();
  }

  /** @template {keyof Deeds} K @param {K} name
   * @returns {(...args: Deeds[K] extends (session: Session, ...args: infer A) => any ? A : never) => Promise<ReturnType<Deeds[K]>>} */
  #deed(name) {
    return async (...args) => {
      const deeds = await import("./deeds.js");
      const done = /** @type {any} */ (deeds[name])(this, ...args);
      this.end();
      return done;
    };
  }

  // What the shell tells.

  /** The socket is open. @param {number} now */
  opened(now) {
    this.clock = this.#heardAt = now;
    this.#up = true;
    this.bye = this.#retryAt = null;
    this.wrong = this.#failed = 0;
    this.#details = [];
    const line = this.place.connected();
    if (line) this.out = `${line}\n`;
    this.end();
  }

  /** @param {string} text whole lines, each with its LF @param {number} now */
  heard(text, now) {
    this.clock = this.#heardAt = now;
    this.#aliveBy = null;
    for (const line of text.split("\n")) if (line) this.#line(line.endsWith("\r") ? line.slice(0, -1) : line);
    this.end();
  }

  /** The socket is gone, or could not be made. @param {number} now @param {{ clean: boolean, code: number, opened: boolean }} how */
  closed(now, how) {
    this.clock = now;
    if (!how.opened) this.#failed++;
    this.#lose();
    this.end();
  }

  /** @param {number} now */
  tick(now) {
    this.clock = now;
    if (this.#retryAt !== null && this.#retryAt <= now) this.#reconnect();
    if (this.#aliveBy !== null && this.#aliveBy <= now) this.#reconnect();
    if (this.#up && now - this.#heardAt >= (this.isIn ? SILENT : DEAD)) this.#probe(DEAD);
    if (this.#regain && this.isIn && this.#regain.at <= now) {
      this.#regain.at = now + AGAIN;
      if (now - this.#regain.since > LIMBO) this.#regain = null;
      else this.#askName();
    }
    for (const talk of this.talks.values()) if (talk.typed(now)) this.change.talks = true;
    this.transfers?.tick();
    this.end();
  }

  /** The page is visible again. @param {number} now */
  awake(now) {
    this.clock = now;
    if (!this.#up && this.state !== "ended") this.now(now);
    else if (this.#up && now - this.#heardAt >= ASLEEP) this.#probe(AWAKE);
    this.end();
  }

  /** The person wants it at once, or the network is back. @param {number} now */
  now(now) {
    this.clock = now;
    this.#tries = 0;
    if (this.state === "ended") this.set("connecting");
    if (this.#up) this.#probe(AWAKE);
    else this.#reconnect();
    this.end();
  }

  // What the person does.

  /** @param {string} name */
  enter(name) {
    this.name = name.trim();
    this.hadName = false;
    this.#regain = null;
    this.tell(null);
    if (this.isIn) this.#askName();
    this.end();
  }

  /** @param {string} name */
  rename(name) {
    this.enter(name);
  }

  /** @param {string} talkId @param {string} text */
  say(talkId, text) {
    const talk = this.find(talkId) ?? (talkId[0] === "@" ? this.opened_(talkId) : undefined);
    const isCommand = /^\/[a-z?]/i.test(text) && !/^\/me /.test(text) && !text.trim().includes("\n");
    if (talk && isCommand) this.#deed("typed")(talk, text.trimEnd());
    else if (talk) {
      const most = LINE - bytes(`/msg ${talk.id} /me \n`);
      for (const line of text.replace(/^\/\//, "/").split(/\r?\n/)) {
        if (line.trim()) for (const part of parts(line.trimEnd(), most)) this.message(talk, part);
      }
    }
    this.end();
  }

  /** Something was typed there that may be said, or no more. @param {string} talkId @param {boolean} on */
  typing(talkId, on) {
    const { talk, at } = this.#typing;
    const isNews = on ? talk !== talkId || this.clock - at >= TYPING : talk === talkId;
    if (isNews && this.phase === "on" && this.isIn && (!on || this.find(talkId)?.maySay === true)) {
      this.#typing = { talk: on ? talkId : "", at: this.clock };
      this.ask(`/typing ${talkId} ${on ? "on" : "off"}`);
    }
    this.end();
  }

  /** @param {string} room @param {string} [key] */
  join(room, key) {
    const id = room[0] === "#" ? room : `#${room}`;
    const talk = this.find(id) ?? this.opened_(id);
    talk.isWanted = true;
    this.tell(null);
    if (this.#isRestoring) this.waiting.push({ talk, key });
    this.look(talk.id);
  }

  /** @param {string} talkId */
  leave(talkId) {
    const talk = this.find(talkId);
    if (talk?.joined) this.do(`/leave ${talk.id}`);
    if (talk) this.close(talk);
    this.end();
  }

  /** A private talk. @param {string} nick */
  open(nick) {
    this.look((this.find(`@${nick}`) ?? this.opened_(`@${nick}`)).id);
  }

  /** @param {string} talkId */
  look(talkId) {
    const talk = this.find(talkId);
    if (talk && this.current !== talk.id) this.change.talks = true;
    this.current = talk?.id ?? this.current;
    this.end();
  }

  /** All there was seen. @param {string} talkId */
  read(talkId) {
    const talk = this.find(talkId);
    if (talk) {
      const { seq, time } = talk.rows.findLast((row) => row.seq) ?? {};
      if (seq && time) talk.read = { seq, time };
      const key = talk.rows.at(-1)?.key ?? 0;
      if (talk.unread || talk.readKey !== key) this.change.talks = this.isDirty = true;
      talk.readKey = key;
      talk.unread = talk.mentions = 0;
    }
    this.end();
  }

  /** Keeps what there is to be kept now, as the page may be gone at once. */
  save() {
    this.#savedAt = this.clock;
    this.isDirty = false;
    if (this.isLeaving) return;
    const talks = [...this.talks.values()];
    const isKept = (/** @type {Row} */ row) => row.way === null;
    this.#hooks.keep({
      local: {
        name: this.name,
        token: this.token,
        rooms: talks.filter((talk) => talk.kind === "room" && talk.isWanted).map(({ id, read }) => ({ id, ...read })),
      },
      session: {
        place: this.place.ticket,
        people: talks
          .filter((talk) => talk.kind === "person")
          .map(({ id, rows }) => ({ id, rows: rows.filter(isKept).slice(-PRIVATE) })),
        unsettled: talks.flatMap(({ id, rows }) => rows.filter((row) => !isKept(row)).map((row) => ({ id, row }))),
      },
    });
  }

  /** Nothing is kept any more. */
  forgotten() {
    this.isDirty = false;
    this.#hooks.keep({ local: {}, session: {} });
  }

  // Connections.

  get isIn() {
    return this.#up && this.phase !== "new" && !this.place.isAway;
  }

  #reconnect() {
    if (this.#up) this.#lose();
    this.#retryAt = this.#aliveBy = null;
    this.#hooks.reconnect();
  }

  /** @param {number} patience */
  #probe(patience) {
    if (this.#aliveBy === null) this.ask("/ping alive");
    this.#aliveBy ??= this.clock + patience;
  }

  #lose() {
    if (this.isIn && this.clock - this.#inSince > GOOD) this.#tries = 0;
    this.#up = false;
    this.#aliveBy = null;
    this.transfers?.lost();
    if (!this.place.lost()) this.#gone();
    const code = this.bye?.code ?? (this.#failed > 1 && !this.server.version ? "no-websocket" : "lost");
    if (this.isLeaving) {
      this.isLeaving = false;
      this.set("connecting");
      this.#retryAt = this.clock;
    } else if (this.bye && !/^(full|shutdown|too-slow|idle)$/.test(code)) this.set("ended");
    else {
      const wait = code === "full" ? 2 * RETRY_MOST : Math.min(500 * 2 ** this.#tries++, RETRY_MOST);
      this.#retryAt = this.clock + wait * (0.5 + this.#hooks.random() / 2);
      this.set(this.entered || /naming|lost/.test(this.state) ? "lost" : "connecting");
    }
    this.tell({ code, text: this.bye?.text ?? "" }, { retryAt: this.#retryAt });
  }

  /** The place is lost too, and with it what had no answer. */
  #gone() {
    this.phase = "new";
    this.#isRestoring = false;
    this.#fence = "";
    this.me.owned = this.me.operator = false;
    this.#presence = this.#regain = null;
    for (const { then } of this.asked.splice(0)) then(null, []);
    for (const talk of this.talks.values()) {
      talk.joined = false;
      talk.typing = [];
      talk.seen.lost();
      talk.files = [];
    }
    // Whoever has a name on the next connection need not be who had it.
    for (const one of this.waiting.splice(0)) {
      if ("line" in one && OF_PERSON.test(one.line)) one.then(null, []);
      else if ("row" in one && one.talk.kind === "person")
        this.refuse(one.talk, one.row, { code: "elsewhere", text: "" });
      else this.waiting.push(one);
    }
    this.people.clear();
    this.change.talks = this.change.people = true;
  }

  /** @param {string} line */
  #line(line) {
    const fact = view(line);
    if (fact.is === "bye") this.bye = fact;
    if (fact.is === "hello" || fact.is === "locked") {
      const version = fact.is === "hello" ? fact.version : fact.code;
      this.server.version ||= version;
      if (this.server.version !== version) this.newVersion = this.change.state = true;
    }
    const told = this.place.heard(fact, line.length + 1);
    if (told === true) this.#told(fact);
    else if (told && "again" in told) this.#resumed(told, fact.is === "done" ? fact.text : "");
    else if (told) {
      this.#gone();
      for (const greeting of told.greeting) this.#told(greeting);
    }
  }

  /** Our place is taken up. @param {{ again: string[], upload: Open }} told @param {string} nick */
  #resumed({ again, upload }, nick) {
    this.#inSince = this.clock;
    this.me.nick = nick;
    this.tell(null);
    if (this.place.isOld) {
      this.place.isOld = false;
      this.phase = "in";
      this.me.owned = !!this.token && fold(this.token.nick) === fold(nick);
      this.#fence = `fence-${Math.floor(this.#hooks.random() * 1e15)}`;
      this.ask(`/ping ${this.#fence}`);
      this.#begin(0);
      if (this.name) return this.named();
    } else {
      for (const line of again) this.out += `${line}\n`;
      this.transfers?.resumed(upload);
    }
    this.set(this.entered ? "in" : "naming");
  }

  /** What every connection begins with. @param {number} online */
  #begin(online) {
    this.#inSince = this.clock;
    if (online < CROWD) this.who();
    this.ask("/set echo on");
    this.ask("/set stamp on");
  }

  /** @param {{ nick: string, name: string, online: number }} fact */
  #hello({ nick, name, online }) {
    this.phase = "in";
    this.me.nick = nick;
    this.server.name = name;
    this.server.motd = [];
    this.tell(null);
    this.#poll();
    this.#begin(online);
    // Who came in by a login is called so already.
    if (this.me.owned && !this.token) this.askToken();
    if (this.me.owned) this.named();
    else if (this.name) this.#askName();
    else this.set("naming");
  }

  /** What is to be said for the place. */
  #poll() {
    const line = this.place.poll();
    // From here on the server may let go of what it wrote until now.
    if (line && line !== "/keep 0") this.save();
    if (line) this.out += `${line}\n`;
  }

  /** @param {string} text */
  #locked(text) {
    this.set("locked");
    this.tell({ code: "locked", text });
    if (this.password && text.includes("/pass")) this.unlock(this.password);
    else if (this.token) this.#askName();
  }

  /** Asks to be called as we want to be: with what proves that the name is ours, if there is that. */
  #askName() {
    const { name, token } = this;
    const isOwn = token && (!name || fold(token.nick) === fold(name));
    /** @type {Then} */
    const then = (f) => {
      if (f?.is === "done" && isOwn) this.owns(f, false);
      else if (f?.is === "done") this.called(f.text);
      else if (f?.is === "refused") {
        if (isOwn && f.code === "refused") this.token = null;
        this.#unnamed(f, name);
      }
    };
    if (isOwn) this.ask(`/login ${token.nick} token:${token.token}`, (f, rows) => then(f, rows));
    else if (name !== this.me.nick && !/^guest\d+$/.test(name)) this.ask(`/nick ${name}`, then);
    else {
      // One guest's name is as good as another's.
      this.name = this.me.nick;
      this.named();
    }
  }

  /** @param {Refused} f @param {string} name */
  #unnamed(f, name) {
    // Our own dead connection may have it.
    if ((f.code === "taken" && this.hadName) || f.code === "busy")
      this.#regain ??= { since: this.clock, at: this.clock + AGAIN };
    this.tell(f, { name, free: /^(taken|owned|held)$/.test(f.code) ? this.#free(name) : null });
    if (this.phase === "new") return;
    if (this.entered || this.#regain) this.named();
    else this.set("naming");
  }

  /** A name like this one that nobody has, as far as is known. @param {string} name */
  #free(name) {
    const taken = new Set([...this.people.keys()].map(fold));
    for (let n = 2; ; n++) {
      const free = `${[...name].slice(0, 20 - `${n}`.length).join("")}${n}`;
      if (!taken.has(fold(free))) return free;
    }
  }

  /** It is settled what we are called for now. */
  named() {
    this.entered = true;
    this.set("in");
    if (this.phase === "in" && !this.#isRestoring) this.#restore();
  }

  /** We are called so now, as we wished. @param {string} nick */
  called(nick) {
    const before = this.me.nick;
    this.me.nick = this.name = nick;
    this.hadName = this.isDirty = this.change.state = true;
    this.#regain = null;
    this.tell(null);
    for (const talk of before === nick ? [] : this.talks.values()) {
      if (talk.joined) this.event(talk.id, this.clock, before, "renamed", [nick]);
    }
    if (this.phase !== "new") this.named();
  }

  /** We own that name, and have proved it. @param {Reply} f @param {boolean} byPassword then a token is asked for */
  owns({ text: nick }, byPassword) {
    const wasIn = this.#isRestoring;
    this.me.owned = true;
    if (byPassword) this.token = null;
    this.called(nick);
    // On a locked server it is asked for behind the greeting.
    if (byPassword && this.phase !== "new") this.askToken();
    if (!wasIn) return;
    this.#askOperator();
    this.enterAgain();
  }

  askToken() {
    this.ask("/token", (f) => {
      if (f?.is !== "done") return;
      this.token = { nick: this.me.nick, token: f.text };
      this.save();
    });
  }

  #askOperator() {
    this.ask("/server", (f) => {
      this.me.operator = f?.is === "done";
      this.change.state = true;
    });
  }

  #wanted() {
    return [...this.talks.values()].filter((talk) => talk.kind === "room" && talk.isWanted);
  }

  /** Another name may be in other rooms. Where we are, entering changes nothing. */
  enterAgain() {
    for (const talk of this.#wanted()) this.#enter(talk);
  }

  /** All is put as it was. */
  #restore() {
    this.#isRestoring = true;
    for (const nick of this.ignored) this.ask(`/ignore ${nick}`);
    if (!this.talks.size) this.opened_("#lobby");
    this.enterAgain();
    if (!this.find(this.current)) this.current = this.talks.keys().next().value ?? "";
    if (this.me.away !== null) this.ask(`/away ${this.me.away}`.trim());
    this.ask("/limits", (_, rows) => {
      for (const text of rows) {
        const limit = detail("limits", text);
        if (limit) this.server.limits.set(limit.name, Number(limit.value));
      }
    });
    if (this.me.owned) this.#askOperator();
    this.ask("/ping restored", (f) => {
      if (!f) return;
      this.phase = "on";
      this.transfers?.begin();
    });
  }

  // Questions and answers.

  /** @param {string} line @param {Then} [then] @param {string} [about] what the answer names */
  ask(line, then = () => {}, about = "") {
    const [command] = cut(line.slice(1));
    const isEarly = this.phase === "new" && /^(pass|login|ping|quit)$/.test(command);
    if (!this.#up || this.place.isAway || (this.phase === "new" && !isEarly)) return then(null, []);
    this.place.sent(line);
    this.asked.push({ line, command, about, then });
    this.out += `${line}\n`;
  }

  /** Asks now, or as soon as we are in. @param {string} line @param {Then} [then] */
  do(line, then = () => {}) {
    this.waiting.push({ line, then });
  }

  /** @param {Reply} f */
  #reply(f) {
    const rows = this.#details.splice(0);
    if (this.#fence) {
      if (f.is !== "done" || f.text !== this.#fence) return;
      this.#fence = "";
    }
    if (f.is === "refused" && f.code === "no-upload") return;
    const about = f.is === "done" ? fold(cut(f.text)[0]) : "";
    const isOf = (/** @type {{ command: string }} */ a) =>
      a.command === f.command || (f.is === "refused" && f.command === "?");
    let at = this.asked.findIndex((a) => isOf(a) && (!about || !a.about || a.about === about));
    if (at < 0) at = this.asked.findIndex(isOf);
    if (at < 0) return;
    // Those before it get none any more.
    for (const lost of this.asked.splice(0, at)) lost.then(null, []);
    this.asked.shift()?.then(f, rows);
  }

  /** @param {() => void} [then] */
  who(then) {
    this.ask("/who", (f, rows) => {
      if (f?.is === "done") {
        this.people.clear();
        for (const text of rows) this.#person(text);
        this.#presence = Number(cut(f.text)[0]);
        this.change.people = true;
      }
      then?.();
    });
  }

  /** @param {string} text of an answer to /who */
  #person(text) {
    const { nick, state, rooms: ids, text: away } = detail("who", text) ?? {};
    if (!nick) return "";
    const rooms = ids === "-" ? [] : ids.split(",");
    this.people.set(nick, { nick, state, rooms, text: away });
    for (const id of rooms) {
      const member = this.talks.get(id)?.members.get(nick);
      if (member) member.away = state === "away" ? away : null;
    }
    return nick;
  }

  /** @param {{ version: number, gone: string[], came: string[] }} fact */
  #changed({ version, gone, came }) {
    if (this.#presence === null) return;
    if (version > this.#presence + 1) {
      this.#presence = null;
      return this.who();
    }
    this.#presence = Math.max(version, this.#presence);
    // What was told already may be told again.
    for (const nick of gone) {
      const talk = this.people.delete(nick) && !came.includes(nick) && this.talks.get(`@${nick}`);
      if (talk) this.event(talk.id, this.clock, nick, "offline", []);
      if (this.#regain && fold(nick) === fold(this.name)) this.#askName();
    }
    for (const nick of came) {
      if (this.people.has(nick)) continue;
      this.people.set(nick, { nick, state: "here", rooms: [], text: "" });
      const talk = !gone.includes(nick) && this.talks.get(`@${nick}`);
      if (talk) this.event(talk.id, this.clock, nick, "online", []);
    }
    this.change.people = true;
  }

  // Rooms.

  /** Enters a room and fetches what was missed, all in one go. @param {Talk} talk @param {string} [key] */
  #enter(talk, key) {
    const { id } = talk;
    /** @type {Then} */
    const then = (f, rows) => {
      if (f?.is === "done") this.#joined(talk, f.text, rows);
      if (f?.is !== "refused") return;
      this.tell(f, { name: talk.id });
      talk.joined = talk.isWanted = false;
      if (talk.rows.length) this.note(talk, f.text, "shut", f);
      else this.close(talk);
    };
    this.ask(`/join ${id}${key ? ` ${key}` : ""}`, then, fold(id));
    this.#catchUp(talk);
    this.ask(`/op ${id}`, (f, rows) => {
      if (f?.is !== "done") return;
      for (const member of talk.members.values()) member.rank = null;
      for (const text of rows) {
        const op = detail("op", text);
        if (op) talk.promote(op.nick, op.rank);
      }
      this.change.talks = true;
    });
  }

  /** Fetches what was missed of a room. @param {Talk} talk */
  #catchUp(talk) {
    const fetch = talk.seen.fetch();
    if (!fetch) return;
    this.ask(`/files ${talk.id}`, (_, rows) => {
      for (const text of rows) {
        const { id, size, nick, name, age } = detail("files", text) ?? {};
        if (!id || this.files.has(Number(id))) continue;
        const file = this.file(Number(id), Number(size), nick, name, talk.id);
        talk.files.push({ time: this.clock - Number(age) * 1000, file });
      }
    });
    this.#history(talk, fetch);
  }

  /** @param {Talk} talk @param {string} text @param {string[]} rows */
  #joined(talk, text, rows) {
    const [id, count] = text.split(" ");
    this.rekey(talk, id);
    talk.joined = true;
    talk.muted = false;
    talk.topic = "";
    talk.rules.clear();
    talk.members.clear();
    this.isDirty = this.change.talks = true;
    for (const text of rows) {
      talk.topic ||= detail("topic", text)?.text ?? "";
      for (const nick of detail("here", text)?.nicks.split(" ") ?? []) this.#member(talk, nick);
      if (!detail("rules", text)) continue;
      this.ask(`/room ${id}`, (_, rules) => {
        for (const text of rules) {
          const { rule, value } = detail("room", text) ?? {};
          if (rule) talk.rules.set(rule, value);
        }
        this.change.talks = true;
      });
    }
    if (Number(count) <= talk.members.size) return;
    this.ask(`/who ${id}`, (_, people) => {
      for (const nick of people.map((text) => this.#person(text))) if (nick) this.#member(talk, nick);
      this.change.talks = true;
    });
  }

  /** @param {Talk} talk @param {string} nick */
  #member(talk, nick) {
    const person = this.people.get(nick);
    talk.members.set(nick, { nick, rank: talk.rankOf(nick), away: person?.state === "away" ? person.text : null });
  }

  /** @param {Talk} talk @param {string} what */
  #history(talk, what) {
    const isFirst = !what.startsWith("after");
    /** @type {Then} */
    const then = (f, rows) => {
      if (!f) return;
      const lines = rows.flatMap(past);
      if (isFirst && lines.length) talk.hasOlder = lines[0].seq > 1;
      for (const line of lines) if (talk.seen.past(line)) this.#show(talk, line, isFirst);
      const isGone = f.is === "refused" && f.code === "gone";
      const next = f.is === "done" ? talk.seen.answered() : isGone ? talk.seen.gone() : talk.seen.giveUp();
      if (talk.seen.began()) this.note(talk, "", "anew");
      if ("ask" in next) return this.#history(talk, next.ask);
      if (next.missing && !this.ignored.size) this.note(talk, "", "missing", null, [`${next.missing}`]);
      for (const line of next.held) this.#show(talk, line, false);
      this.#putFiles(talk, Number.POSITIVE_INFINITY);
      // What the history has not settled is not known.
      for (const row of talk.rows.filter((row) => row.way === "limbo" && row.state === "pending")) {
        row.state = "unknown";
        this.#toEnd(talk, row);
      }
    };
    this.ask(`/history ${talk.id} ${what}`, then, fold(talk.id));
  }

  // What is told.

  /** @param {Fact} fact */
  #told(fact) {
    if (this.#fence && fact.is === "detail") return;
    switch (fact.is) {
      case "hello":
        return this.phase === "new" && this.#hello(fact);
      case "locked":
        return this.phase === "new" && this.#locked(fact.text);
      case "motd":
        this.server.motd.push(fact.text);
        this.change.state = true;
        return;
      case "presence":
        return this.#changed(fact);
      case "notice":
        return this.note(null, fact.text, "notice");
      case "wall":
        return this.note(null, fact.text, "wall", null, [fact.nick]);
      case "nick":
        this.me.owned = this.me.operator = false;
        this.note(null, fact.text, "renamed");
        this.called(fact.nick);
        return this.enterAgain();
      case "detail":
        return this.#details.length < DETAILS && this.#details.push(fact.text);
      case "done":
      case "refused":
        return this.#reply(fact);
      case "message":
        return this.#message(fact.talk, { ...fact, seq: fact.seq ?? 0, time: fact.time ?? this.clock });
      case "event":
        return this.event(fact.talk, fact.time ?? this.clock, fact.nick, fact.event, fact.args);
      case "data":
        return this.transfers?.data(fact.id, fact.base64);
      case "whole":
        return this.transfers?.whole(fact.id, fact.digest);
      case "failed":
        return this.transfers?.failed(fact.id, fact.code, fact.text);
    }
  }

  /** @param {string} id @param {Line} line */
  #message(id, line) {
    const talk = this.find(id) ?? (id[0] === "@" ? this.opened_(id) : undefined);
    if (!talk) return;
    if (talk.types(line.nick, 0)) this.change.talks = true;
    if (talk.kind === "person" || !line.seq || talk.seen.live(line)) this.#show(talk, line, false);
  }

  /** A message that has not been shown. @param {Talk} talk @param {Line} line @param {boolean} isFirst it is of the past */
  #show(talk, { seq, time, nick, text }, isFirst) {
    this.#putFiles(talk, time);
    const own = talk.echoed(nick, text);
    if (own) {
      Object.assign(own, { seq: seq || null, time, state: "sure", why: null, way: null, ...spoken(text) });
      return this.#toEnd(talk, own);
    }
    const mine = nick === this.me.nick;
    const mention = !mine && (talk.kind === "person" || mentions(text, this.me.nick));
    const row = this.add(talk, { seq: seq || null, time, nick, mine, mention, ...spoken(text) });
    if (!mine && (!isFirst || (talk.read.time && time > talk.read.time))) this.#unread(talk, row);
    else if (!talk.unread) talk.readKey = row.key;
  }

  /** What came in between was said before it. @param {Talk} talk @param {Row} row */
  #toEnd(talk, row) {
    if (!talk.last(row)) return this.mark(talk, row);
    this.of(talk).removed.push(row);
    this.of(talk).added.push(row);
  }

  /** @param {Talk} talk @param {Row} row */
  #unread(talk, row) {
    talk.unread++;
    this.change.talks = true;
    if (!row.mention) return;
    talk.mentions++;
    const { nick, text, key, file } = row;
    this.change.notify ??= [];
    this.change.notify.push({ talkId: talk.id, nick, text: file?.name ?? text, key });
  }

  /** @param {number} id @param {number} size @param {string} nick @param {string} name @param {string} talkId @returns {FileInfo} */
  file(id, size, nick, name, talkId) {
    const file = { id, name, size, nick, talkId, gone: null };
    this.files.set(id, file);
    if (this.files.size > FILES) this.files.delete(Math.min(...this.files.keys()));
    return file;
  }

  /** Puts files between messages, by their time. @param {Talk} talk @param {number} until */
  #putFiles(talk, until) {
    for (let next = talk.files[0]; next && next.time <= until; next = talk.files[0]) {
      talk.files.shift();
      this.add(talk, {
        kind: "file",
        time: next.time,
        nick: next.file.nick,
        file: next.file,
        mine: next.file.nick === this.me.nick,
      });
    }
  }

  /** @param {Talk} talk @param {number} time @param {string} nick @param {string[]} args */
  shared(talk, time, nick, [number, size, name]) {
    const id = Number(number);
    const known = this.files.get(id);
    const row = known && talk.rows.find((row) => row.file === known);
    if (known) known.gone = null;
    if (row) return this.mark(talk, row);
    const file = this.file(id, Number(size), nick, name, talk.id);
    const mine = nick === this.me.nick;
    const added = this.add(talk, { kind: "file", time, nick, file, mine, mention: !mine && talk.kind === "person" });
    if (!mine) this.#unread(talk, added);
  }

  /** @param {string} id @param {number} time @param {string} nick @param {string} event @param {string[]} args */
  event(id, time, nick, event, args) {
    const mine = nick === this.me.nick;
    let talk = this.find(id);
    if (!talk && (id[0] === "#" ? mine && event === "joined" : /^(file|invite)$/.test(event))) talk = this.opened_(id);
    if (!talk) return;
    const [first, second] = args;
    const isMe = first?.replace(/^(name|guest):/, "") === this.me.nick;
    this.change.talks = true;
    switch (event) {
      case "typing":
      case "idle":
        talk.types(nick, event === "typing" ? this.clock : 0);
        return;
      case "missed":
        if (this.#presence !== null) {
          this.#presence = null;
          this.who();
        }
        return this.#catchUp(talk);
      case "erased":
        talk.seen.erase(Number(first), Number(second));
        for (const row of talk.rows.filter(({ seq }) => seq && seq >= Number(first) && seq <= Number(second))) {
          row.erased = true;
          this.remove(talk, row);
        }
        return;
      case "unfile": {
        const file = this.files.get(Number(first));
        const row = talk.rows.find((row) => file && row.file === file);
        if (file) file.gone = second;
        if (row) this.mark(talk, row);
        return;
      }
      case "file":
        this.shared(talk, time, nick, args);
        return this.transfers?.announced(first);
      case "invite":
        return this.#unread(talk, this.add(talk, { kind: "invite", time, nick, args, text: first, mention: true }));
      case "joined":
        if (mine && !talk.joined) {
          talk.isWanted = true;
          this.#enter(talk);
        }
        this.#member(talk, nick);
        break;
      case "left":
      case "quit":
      case "lost":
        talk.rename(nick);
        if (mine) talk.joined = talk.isWanted = false;
        break;
      case "renamed":
        this.#follow(nick, first);
        break;
      case "topic":
        talk.topic = first;
        break;
      case "made":
        if (second === "founder" && nick !== first) talk.promote(nick, "op");
        talk.promote(first, second);
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
    const row = this.add(talk, { time, nick, code: event, args, mine });
    if (!talk.unread) talk.readKey = row.key;
  }

  /** Somebody is called otherwise, wherever they are. @param {string} nick @param {string} to */
  #follow(nick, to) {
    for (const talk of this.talks.values()) talk.rename(nick, to);
    const person = this.people.get(nick);
    this.people.delete(nick);
    if (person) this.people.set(to, { ...person, nick: to });
    const own = this.talks.get(`@${nick}`);
    if (own && !this.talks.has(`@${to}`)) this.rekey(own, `@${to}`);
    if (this.ignored.delete(nick)) this.ignored.add(to);
    this.change.people = true;
    if (nick !== this.me.nick) return;
    this.me.nick = this.name = to;
    this.change.state = true;
  }

  // What is said.

  /** @param {Talk} talk @param {string} text */
  message(talk, text) {
    if (this.#typing.talk === talk.id) this.#typing.talk = "";
    const { nick } = this.me;
    const row = this.add(talk, { nick, mine: true, state: "pending", way: "waits", time: this.clock, ...spoken(text) });
    if (!talk.unread) talk.readKey = row.key;
    this.waiting.push({ row, talk });
  }

  /** Sends what waits, as far as it may go out now. */
  #flush() {
    // It must be known as whom a message is said, and what it may have to be told from.
    const isNaming = () => this.asked.some(({ command }) => /^(nick|login|logout|drop)$/.test(command));
    while (this.waiting.length && this.phase === "on" && this.isIn && this.asked.length < UNANSWERED) {
      const next = this.waiting[0];
      if ("row" in next && (next.talk.seen.isFetching || isNaming())) return;
      this.waiting.shift();
      if ("line" in next) this.ask(next.line, next.then);
      else if ("row" in next) this.#send(next.talk, next.row);
      else this.#enter(next.talk, next.key);
    }
  }

  /** @param {Talk} talk @param {Row} row */
  #send(talk, row) {
    row.way = "sent";
    row.nick = this.me.nick;
    /** @type {Then} */
    const then = (f) => {
      if (f?.is === "refused") return this.refuse(talk, row, f);
      if (row.way !== "sent") return;
      if (!f) Object.assign(row, { way: "limbo", state: talk.kind === "person" ? "unknown" : "pending" });
      else if (talk.kind === "person" || !talk.joined) Object.assign(row, { way: null, state: "sure" });
      this.mark(talk, row);
    };
    this.ask(`/msg ${talk.id} ${typed(row)}`, then, fold(talk.name));
  }

  /** @param {Talk} talk @param {Row} row @param {Why} why */
  refuse(talk, row, { code, text }) {
    Object.assign(row, { state: "refused", why: { code, text }, way: null });
    this.mark(talk, row);
  }

  // What has changed.

  /** @param {Talk} talk */
  of(talk) {
    const rows = this.#rows.get(talk) ?? { added: [], changed: [], removed: [], older: [] };
    this.#rows.set(talk, rows);
    this.isDirty = true;
    return rows;
  }

  /** @param {Talk} talk @param {Row} row */
  mark(talk, row) {
    const { added, changed } = this.of(talk);
    if (!added.includes(row) && !changed.includes(row)) changed.push(row);
  }

  /** @param {Talk} talk @param {Partial<Row>} row */
  add(talk, row) {
    const added = talk.row(row);
    talk.rows.push(added);
    this.of(talk).added.push(added);
    this.of(talk).removed.push(...talk.trim());
    return added;
  }

  /** @param {Talk} talk @param {Row} row */
  remove(talk, row) {
    if (talk.remove(row)) this.of(talk).removed.push(row);
  }

  /** Tells something where the person looks. @param {Talk | null} talk @param {string} text @param {string} code
   * @param {Why | null} [why] @param {string[]} [args] */
  note(talk, text, code, why = null, args = []) {
    const to = talk ?? this.find(this.current) ?? this.talks.values().next().value;
    if (!to) return;
    const row = this.add(to, {
      kind: "note",
      time: this.clock,
      text,
      code,
      why: why && { code: why.code, text: why.text },
      args,
    });
    if (!to.unread) to.readKey = row.key;
  }

  /** @param {typeof this.state} state */
  set(state) {
    if (this.state !== state) this.change.state = true;
    this.state = state;
  }

  /** @param {Why | null} why @param {Partial<Trouble>} [more] */
  tell(why, more) {
    if (why || this.trouble) this.change.state = true;
    this.trouble = why && {
      code: why.code,
      text: why.text,
      retryAt: null,
      tries: null,
      name: null,
      free: null,
      ...more,
    };
  }

  /** @param {string} id */
  find(id) {
    const is = fold(id);
    return this.talks.get(id) ?? [...this.talks.values()].find((talk) => fold(talk.id) === is);
  }

  /** @param {string} id */
  opened_(id) {
    const talk = new Talk(id, this.me);
    this.talks.set(id, talk);
    this.isDirty = this.change.talks = true;
    return talk;
  }

  /** @param {Talk} talk @param {string} id */
  rekey(talk, id) {
    if (talk.id === id) return;
    if (this.current === talk.id) this.current = id;
    talk.id = id;
    this.talks = new Map([...this.talks.values()].map((talk) => [talk.id, talk]));
    this.change.talks = true;
  }

  /** @param {Talk} talk */
  close(talk) {
    this.talks.delete(talk.id);
    this.#rows.delete(talk);
    this.waiting = this.waiting.filter((one) => !("talk" in one) || one.talk !== talk);
    if (this.current === talk.id) this.current = this.talks.keys().next().value ?? "";
    this.isDirty = this.change.talks = true;
  }

  /** What every call ends with: what is to be sent goes out, and what has changed is told. */
  end() {
    if (this.isIn) this.#poll();
    this.#flush();
    const out = this.out;
    this.out = "";
    if (out && this.#up) this.#hooks.send(out);
    if (this.isDirty && this.clock - this.#savedAt >= SAVE) this.save();
    const due = [this.#retryAt, this.#aliveBy ?? (this.#up ? this.#heardAt + SILENT : null), this.#regain?.at];
    if (this.isDirty) due.push(this.#savedAt + SAVE);
    for (const talk of this.talks.values()) if (talk.typing.length) due.push(this.clock + 1000);
    this.wake = due.reduce((a, b) => (a && b ? Math.min(a, b) : (a ?? b)), null) ?? null;
    const change = this.change;
    if (this.#rows.size) change.rows = new Map([...this.#rows].map(([talk, rows]) => [talk.id, rows]));
    this.change = {};
    this.#rows.clear();
    if (Object.keys(change).length) this.#hooks.changed(change);
  }
}

/** What was typed for a row. @param {Row} row */
export const typed = ({ kind, text }) => (kind === "action" ? `/me ${text}` : text);

/** A message of the history. @param {string} text @returns {Line[]} none if it is no such line */
export function past(text) {
  const { seq, time: iso, ...rest } = detail("history", text) ?? {};
  const time = Date.parse(iso);
  return Number.isNaN(time) ? [] : [{ seq: Number(seq), time, nick: rest.nick, text: rest.text }];
}
