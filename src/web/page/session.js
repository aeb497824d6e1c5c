/** One person's stay on a server, over all its connections. Knows no socket, DOM, timer or storage. */
import { late } from "./late.js";
import { fold, mentions, spoken, Talk } from "./talks.js";
import { cut, row as detail, view } from "./view.js";

/** @import { Change, Fact, FileInfo, Hooks, Kept, Line, Person, Reply, Row, Rows, Then, Trouble, Waiting, Why } from "./types" */
/** @import { Stay } from "./stay.js" */
/** @typedef {typeof import("./deeds.js")} Deeds */

/** Rows of an answer that are looked at. */
const DETAILS = 20000;
/** Facts that wait for what is loaded behind the first view. */
const LATE = 20000;
/** Files that are known at a time, and private talks that are open. */
const FILES = 5000;
const PEOPLE = 100;

/** @param {unknown} value @returns {any[]} */
export const list = (value) => (Array.isArray(value) ? value : []);
/** @param {unknown} value */
export const string = (value) => (typeof value === "string" ? value : "");

export class Session {
  /** @type {"connecting" | "locked" | "naming" | "in" | "lost" | "ended"} */
  state = "connecting";
  trouble = /** @type {Trouble | null} */ (null);
  me = { nick: "", owned: false, operator: false, away: /** @type {string | null} */ (null) };
  server = { version: "", name: "", motd: /** @type {string[]} */ ([]), limits: new Map([["", 0]]) };
  newVersion = false;
  talks = /** @type {Map<string, Talk>} */ (new Map());
  current = "";
  /** Where they were before. */
  #before = "";
  /** The room that did not let us in, in place of which the person is shown another since then. */
  shut = "";
  people = /** @type {Map<string, Person>} */ (new Map());
  /** When `tick` is due at the latest, in ms. */
  wake = /** @type {number | null} */ (null);

  // What the person does besides talking is loaded when it is done first, and works on what follows here.
  login = this.deed("login");
  unlock = this.deed("unlock");
  register = this.deed("register");
  logout = this.deed("logout");
  forget = this.deed("forget");
  away = this.deed("away");
  again = this.deed("again");
  drop = this.deed("drop");
  older = this.deed("older");
  askPeople = this.deed("askPeople");
  askRooms = this.deed("askRooms");
  askBans = this.deed("askBans");
  askOwning = this.deed("askOwning");
  menu = this.deed("menu");
  erase = this.deed("erase");
  upload = this.deed("upload");
  fetch = this.deed("fetch");
  cancel = this.deed("cancel");

  /** The name that we want, and the one that we had last. */
  name = "";
  had = "";
  token = /** @type {{ nick: string, token: string } | null} */ (null);
  /** What unlocks the server, for the next connection. Stands in no storage. */
  password = "";
  /** The message of the day that was shown last. */
  motdShown = /** @type {string[]} */ ([]);
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

  up = false;
  isRestoring = false;
  heardAt = 0;
  /** The token of a /ping: the answers before its own are to an earlier life of this page. */
  fence = "";
  /** What is loaded behind the first view, and what waits for it. */
  rest = /** @type {Stay | null} */ (null);
  #loading = /** @type {Promise<void> | null} */ (null);
  #late = /** @type {((rest: Stay) => void)[]} */ ([]);
  /** What is to be taken up first, and what has come until that can be done. */
  #left = /** @type {Kept["session"] | null} */ (null);
  #early = "";
  #details = /** @type {string[]} */ ([]);
  /** What is to be told once there is a talk to tell it in. */
  #untold = /** @type {Pick<Row, "text" | "code" | "why" | "args">[]} */ ([]);
  #hooks;

  /** @param {{ kept: Kept, hooks: Hooks }} o */
  constructor({ kept: { local, session }, hooks }) {
    this.#hooks = hooks;
    this.name = this.had = string(local.name);
    if (string(local.token?.nick) && string(local.token.token)) this.token = local.token;
    for (const room of list(local.rooms)) {
      if (string(room?.id)[0] === "#")
        this.opened_(room.id).read = {
          seq: Number(room.seq) || 0,
          time: Number(room.time) || 0,
          file: room.file ?? Number.POSITIVE_INFINITY,
        };
    }
    // What a reload left behind comes before all else.
    if (session.place || session.people || session.unsettled) this.#left = session;
    this.change = {};
    this.#rows.clear();
    if (this.#left) this.ready();
  }

  /** Loads what is not needed for the first view. */
  ready() {
    const loaded = async () => {
      const { Stay } = await late(import("./stay.js"));
      this.rest = new Stay(this, this.#hooks, this.#left ?? {});
      if (this.up && this.#left) this.rest.opened();
      if (this.#left) this.heard(this.#early, this.clock);
      else if (this.isIn) this.rest.begin(0);
      for (const run of this.#late.splice(0)) run(this.rest);
      this.end();
    };
    this.#loading ??= loaded().catch(() => {
      this.#loading = null;
    });
    return this.#loading;
  }

  /** Does this once what is loaded behind the first view is there, however often it is tried. @param {(rest: Stay) => void} run */
  with(run) {
    if (this.rest) run(this.rest);
    else if (this.#late.push(run) === 1) this.ready();
  }

  /** @template {keyof Deeds} K @param {K} name
   * @returns {(...args: Deeds[K] extends (session: Session, ...args: infer A) => any ? A : never) => Promise<ReturnType<Deeds[K]>>} */
  deed(name) {
    return async (...args) => {
      const [deeds] = await Promise.all([late(import("./deeds.js")).catch(() => null), this.ready()]);
      const all = /** @type {any[]} */ (args);
      const done = deeds && this.rest && /** @type {any} */ (deeds[name])(this, ...all);
      // Without a connection it cannot be loaded either.
      const isMissing = !deeds || !this.rest;
      if (isMissing && name === "typed") this.unsaid(all[0].id, all[1]);
      else if (isMissing) this.note(null, name, "unanswered");
      this.end();
      return done;
    };
  }

  // What the shell tells.

  /** The socket is open. @param {number} now */
  opened(now) {
    this.clock = this.heardAt = now;
    this.up = true;
    this.bye = null;
    this.wrong = 0;
    this.#details = [];
    this.#early = "";
    this.rest?.opened();
    this.end();
  }

  /** @param {string} text whole lines, each with its LF @param {number} now */
  heard(text, now) {
    this.clock = this.heardAt = now;
    if (this.#left && !this.rest) this.#early += text;
    else for (const line of text.split("\n")) if (line) this.#line(line.endsWith("\r") ? line.slice(0, -1) : line);
    this.rest?.alive();
    this.end();
  }

  /** The socket is gone, or could not be made. @param {number} now @param {{ clean: boolean, code: number, opened: boolean }} how */
  closed(now, how) {
    this.clock = now;
    this.up = false;
    this.with((rest) => rest.lose(how.opened));
    this.end();
  }

  /** @param {number} now */
  tick(now) {
    this.clock = now;
    if (this.rest) this.rest.tick();
    else if (!this.up || this.#left || this.#late.length) this.ready();
    this.end();
  }

  /** The page is visible again. @param {number} now */
  awake(now) {
    this.clock = now;
    this.with((rest) => rest.awake());
    this.end();
  }

  /** The person wants it at once, or the network is back. @param {number} now */
  now(now) {
    this.clock = now;
    this.with((rest) => rest.now());
    this.end();
  }

  // What the person does.

  /** @param {string} name one word; else it is refused, and one is offered that is like it */
  enter(name) {
    const words = name.trim().split(/\s+/);
    if (words.length > 1 || !words[0]) {
      const free = [...words.join("-")].slice(0, 20).join("") || null;
      this.tell({ code: "words", text: "" }, { name, free });
      return this.end();
    }
    this.tell(null);
    // Whoever is in keeps their name until they are called otherwise.
    if (this.entered) this.waiting.push({ nick: words[0] });
    else this.name = words[0];
    if (this.isIn && !this.entered) this.askName();
    this.end();
  }

  /** @param {string} name */
  rename(name) {
    this.enter(name);
  }

  /** @param {string} talkId @param {string} text */
  say(talkId, text) {
    const say = () => {
      if (this.rest) this.rest.say(talkId, text);
      else this.unsaid(talkId, text);
      this.end();
    };
    if (this.rest) say();
    else this.ready().then(say);
  }

  /** It cannot be said now. @param {string} talkId @param {string} text */
  unsaid(talkId, text) {
    this.change.unsaid ??= [];
    this.change.unsaid.push({ talkId, text });
  }

  /** Something was typed there that may be said, or no more. @param {string} talkId @param {boolean} on */
  typing(talkId, on) {
    this.rest?.typing(talkId, on);
    this.end();
  }

  /** Keeps what there is to be kept now, as the page may be gone at once. */
  save() {
    this.rest?.save();
  }

  /** @param {string} room @param {string} [key] */
  join(room, key) {
    const id = room[0] === "#" ? room : `#${room}`;
    const talk = this.find(id) ?? this.opened_(id);
    talk.isWanted = true;
    this.tell(null);
    if (this.isRestoring) this.waiting.push({ talk, key });
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
    const talk = this.find(`@${nick}`) ?? this.opened_(`@${nick}`);
    talk.isGone = false;
    this.change.state = true;
    this.look(talk.id);
  }

  /** @param {string} talkId */
  look(talkId) {
    const talk = this.find(talkId);
    if (talk && this.current !== talk.id) {
      this.#before = this.current;
      this.current = talk.id;
      this.change.talks = true;
    }
    this.shut = "";
    this.end();
  }

  /** All there was seen. @param {string} talkId */
  read(talkId) {
    const talk = this.find(talkId);
    if (talk) this.readAll(talk);
    this.end();
  }

  /** @param {Talk} talk */
  readAll(talk) {
    const { seq, time } = talk.rows.findLast((row) => row.seq) ?? {};
    const files = [...this.files.values()].filter((file) => file.talkId === talk.id);
    if (seq && time) talk.read = { seq, time, file: Math.max(0, ...files.map((file) => file.id)) };
    const key = talk.rows.at(-1)?.key ?? 0;
    if (talk.unread || talk.readKey !== key) this.change.talks = this.isDirty = true;
    talk.readKey = key;
    talk.unread = talk.mentions = 0;
  }

  // Connections.

  get isIn() {
    return this.up && this.phase !== "new" && !this.rest?.place.isAway;
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
    if (this.rest) this.rest.heard(fact, line.length + 1);
    else this.told(fact);
  }

  /** What every connection begins with. @param {number} online */
  begin(online) {
    this.rest?.begin(online);
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
    this.begin(online);
    // Who came in by a login is called so already.
    if (this.me.owned && !this.token) this.with((rest) => rest.askToken());
    if (this.me.owned) this.named();
    else if (this.name) this.askName();
    else this.set("naming");
  }

  /** @param {string} text */
  #locked(text) {
    this.set("locked");
    this.tell({ code: "locked", text });
    // The password may be another one by now.
    if (this.token) this.askName();
    else if (this.password && text.includes("/pass")) this.unlock(this.password, true);
  }

  /** Asks to be called so: with what proves that the name is ours, if there is that. */
  askName(name = this.name) {
    const { token } = this;
    const isOwn = token && !this.rest?.doubts && (!name || fold(token.nick) === fold(name));
    /** @type {Then} */
    const then = (f) => {
      if (f?.is === "done" && isOwn) this.with((rest) => rest.owns(f, false));
      else if (f?.is === "done") this.called(f.text);
      else if (f?.is === "refused") {
        this.with((rest) => rest.unnamed(f, name, !!isOwn));
      }
    };
    if (isOwn) this.ask(`/login ${token.nick} token:${token.token}`, (f, rows) => then(f, rows));
    else if (name !== this.me.nick && !/^guest\d+$/.test(name)) this.ask(`/nick ${name}`, then);
    else {
      // One guest's name is as good as another's.
      this.name = this.had = this.me.nick;
      this.rest?.settled();
      this.named();
    }
  }

  /** It is settled what we are called for now. */
  named() {
    this.entered = true;
    this.set("in");
    if (this.phase === "in" && !this.isRestoring) this.#restore();
  }

  /** We are called so now, as we wished. @param {string} nick */
  called(nick) {
    const before = this.me.nick;
    this.me.nick = this.name = this.had = nick;
    this.isDirty = this.change.state = true;
    this.rest?.settled();
    this.tell(null);
    for (const talk of before === nick ? [] : this.talks.values()) {
      if (talk.joined) this.rest?.event(talk.id, this.clock, before, "renamed", [nick]);
    }
    if (this.phase !== "new") this.named();
  }

  /** All is put as it was. */
  #restore() {
    this.isRestoring = true;
    for (const nick of this.ignored) this.ask(`/ignore ${nick}`);
    if (!this.talks.size) this.opened_("#lobby");
    this.enterAll();
    if (!this.find(this.current)) this.current = this.talks.keys().next().value ?? "";
    for (const { text, code, why, args } of this.#untold.splice(0)) this.note(null, text, code, why, args);
    this.with((rest) => rest.restoring());
    this.ask("/ping restored", (f) => {
      if (!f) return;
      this.phase = "on";
      this.with((rest) => rest.restored());
      // Should the server be another one soon, it has these no more.
      this.ready()
        .then(() => late(import("./deeds.js")))
        .catch(() => {});
    });
  }

  /** Another name may be in other rooms. Where we are, entering changes nothing. */
  enterAll() {
    for (const talk of this.talks.values()) if (talk.kind === "room" && talk.isWanted) this.enterRoom(talk);
  }

  // Questions and answers.

  /** @param {string} line @param {Then} [then] @param {string} [about] what the answer names */
  ask(line, then = () => {}, about = "") {
    const [command] = cut(line.slice(1));
    const isEarly = this.phase === "new" && /^(pass|login|token|ping|quit)$/.test(command);
    if (!this.up || this.rest?.place.isAway || (this.phase === "new" && !isEarly)) return then(null, []);
    this.rest?.place.sent(line);
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
    if (this.fence) {
      if (f.is !== "done" || f.text !== this.fence) return;
      this.fence = "";
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

  // Rooms.

  /** Enters a room and fetches what was missed. @param {Talk} talk @param {string} [key] */
  enterRoom(talk, key) {
    const { id } = talk;
    /** @type {Then} */
    const then = (f, rows) => {
      if (f?.is === "done") this.#joined(talk, f.text, rows);
      if (f?.is !== "refused") return;
      // That somebody has lost their name is the cause, and comes first.
      if (this.trouble?.code !== "owned") this.tell(f, { name: talk.id, isWrong: f.code === "bad-key" && !!key });
      talk.joined = talk.isWanted = false;
      if (talk.rows.length) return this.note(talk, f.text, "shut", f);
      if (this.current === talk.id) this.shut = talk.id;
      this.close(talk);
    };
    this.ask(`/join ${id}${key ? ` ${key}` : ""}`, then, fold(id));
    this.catchUp(talk);
    this.with((rest) => rest.rooms.askRanks(talk));
  }

  /** Fetches what was missed of a room. What is said meanwhile is held back. @param {Talk} talk */
  catchUp(talk) {
    const what = talk.seen.fetch();
    if (what) this.with((rest) => rest.rooms.fetch(talk, what));
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
      for (const nick of detail("here", text)?.nicks.split(" ") ?? []) this.member(talk, nick);
    }
    this.with((rest) => rest.rooms.entered(talk, rows, Number(count)));
  }

  /** @param {Talk} talk @param {string} nick */
  member(talk, nick) {
    const person = this.people.get(nick);
    talk.members.set(nick, { nick, rank: talk.rankOf(nick), away: person?.state === "away" ? person.text : null });
  }

  // What is told.

  /** @param {Fact} fact */
  told(fact) {
    if (this.fence && fact.is === "detail") return;
    switch (fact.is) {
      case "hello":
        return this.phase === "new" && this.#hello(fact);
      case "locked":
        return this.phase === "new" && this.#locked(fact.text);
      case "motd":
        this.server.motd.push(fact.text);
        this.change.state = true;
        return;
      case "notice":
        return this.note(null, fact.text, "notice");
      case "detail":
        return this.#details.length < DETAILS && this.#details.push(fact.text);
      case "done":
      case "refused":
        return this.#reply(fact);
      case "message":
        return this.#message(fact.talk, { ...fact, seq: fact.seq ?? 0, time: fact.time ?? this.clock });
      default:
        if (this.#late.length < LATE) this.with((rest) => rest.told(fact));
    }
  }

  /** @param {string} id @param {Line} line */
  #message(id, line) {
    const talk = this.find(id) ?? (id[0] === "@" ? this.opened_(id) : undefined);
    if (!talk) return;
    if (talk.types(line.nick, 0)) this.change.talks = true;
    if (talk.kind === "person" || !line.seq || talk.seen.live(line)) this.show(talk, line, false);
  }

  /** A message that has not been shown. @param {Talk} talk @param {Line} line @param {boolean} isFirst it is of the past */
  show(talk, { seq, time, nick, text }, isFirst) {
    this.rest?.rooms.putFiles(talk, time);
    if (this.rest?.settles(talk, { seq, time, nick, text })) return;
    const mine = nick === this.me.nick;
    const mention = !mine && (talk.kind === "person" || mentions(text, this.me.nick));
    const row = this.add(talk, { seq: seq || null, time, nick, mine, mention, ...spoken(text) });
    const { read } = talk;
    const isNew = !isFirst || (read.time > 0 && (time > read.time || (time === read.time && seq > read.seq)));
    if (!mine && isNew) this.unread(talk, row);
    else if (!talk.unread) talk.readKey = row.key;
  }

  /** @param {Talk} talk @param {Row} row */
  unread(talk, row) {
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

  /** A file can be fetched no more. @param {Talk} talk @param {number} id @param {string} code */
  gone(talk, id, code) {
    const file = this.files.get(id);
    const row = talk.rows.find((row) => file && row.file === file);
    if (file) file.gone ??= code;
    if (row) this.mark(talk, row);
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

  /** Tells something where the person looks. @param {Talk | null} talk @param {string} text @param {string} code
   * @param {Why | null} [why] @param {string[]} [args] */
  note(talk, text, code, why = null, args = []) {
    const to = talk ?? this.find(this.current) ?? this.talks.values().next().value;
    if (!to) return void (this.#untold.length < DETAILS && this.#untold.push({ text, code, why, args }));
    const row = this.add(to, {
      kind: "note",
      time: this.clock,
      text,
      code,
      why,
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
    this.trouble = why && { ...why, retryAt: null, tries: null, name: null, free: null, ...more };
  }

  /** @param {string} id */
  find(id) {
    return this.talks.get(id) ?? [...this.talks.values()].find((talk) => fold(talk.id) === fold(id));
  }

  /** @param {string} id */
  opened_(id) {
    const people = [...this.talks.values()].filter((talk) => talk.kind === "person" && talk.id !== this.current);
    if (people.length >= PEOPLE) this.close(people[0]);
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
    if (this.current === talk.id) this.current = this.find(this.#before)?.id ?? this.talks.keys().next().value ?? "";
    this.isDirty = this.change.talks = true;
  }

  /** What every call ends with: what is to be sent goes out, and what has changed is told. */
  end() {
    this.wake = this.rest?.end() ?? null;
    const out = this.out;
    this.out = "";
    if (out && this.up) this.#hooks.send(out);
    const change = this.change;
    for (const [talk, rows] of this.#rows) {
      // What came and was too much at once was never there.
      const there = rows.removed.length ? new Set(talk.rows) : null;
      if (there) rows.added = rows.added.filter((row) => there.has(row));
    }
    if (this.#rows.size) change.rows = new Map([...this.#rows].map(([talk, rows]) => [talk.id, rows]));
    this.change = {};
    this.#rows.clear();
    if (Object.keys(change).length) this.#hooks.changed(change);
  }
}
