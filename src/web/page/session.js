/** One person's stay on a server, over all the connections that it takes. Knows no socket, DOM, timer or storage. */
import { Place } from "./seen.js";
import { bytes, fold, mentions, parts, spoken, Talk } from "./talks.js";
import { Transfers } from "./transfer.js";
import { cut, row as detail, view } from "./view.js";

/** @typedef {import("./view.js").Fact} Fact */
/** @typedef {import("./view.js").Done | import("./view.js").Refused} Reply */
/** @typedef {import("./seen.js").Line} Line */
/** @typedef {import("./talks.js").Row} Row */
/** @typedef {import("./talks.js").FileInfo} FileInfo */
/** @typedef {ReturnType<Transfers["upload"]> | ReturnType<Transfers["fetch"]>} Transfer */
/** @typedef {{ nick: string, state: string, rooms: string[], text: string }} Person */
/** @typedef {{ added: Row[], changed: Row[], removed: Row[], older: Row[], reset?: true }} Rows */
/** @typedef {{ talkId: string, nick: string, text: string, key: number }} Notice */
/**
 * @typedef {object} Change what is other than it was before a call
 * @property {true} [state] @property {true} [talks] @property {true} [people] @property {Map<string, Rows>} [rows]
 * @property {Set<Transfer>} [transfers] @property {Notice[]} [notify] @property {string[]} [say]
 */
/** @typedef {{ local: Record<string, any>, session: Record<string, any> }} Kept */
/**
 * @typedef {object} Hooks
 * @property {(text: string) => void} send whole lines to the socket
 * @property {() => void} reconnect makes a new socket; of the old one nothing is told any more
 * @property {(change: Change) => void} changed at most once a call
 * @property {(kept: Kept) => void} keep
 * @property {() => number} random from 0 to 1
 */
/**
 * @typedef {object} Trouble
 * @property {string} code a code of `bye` or of a refusal, or "lost", "no-websocket"
 * @property {string} text @property {number | null} retryAt in ms @property {number | null} tries that are left
 * @property {string | null} name that it is about @property {string | null} free a name that may be free
 */
/** @typedef {(reply: Reply | null, rows: string[]) => void} Then null: the answer was lost with the connection */

/** The most bytes of a line, with its end. */
const LINE = 4096;
/** Commands without an answer beyond which what is said waits: the server takes some twenty lines a second. */
const UNANSWERED = 100;
/** Rows of an answer that are looked at. */
const DETAILS = 20000;
/** How many people may be online for all of them to be asked for. */
const CROWD = 5000;
/** Rows of a private talk that outlive a reload. */
const PRIVATE = 200;
/** How long after a loss our own dead connection may still have our name, and how often it is asked for; ms, as all below. */
const LIMBO = 95000;
const AGAIN = 5000;
const TYPING = 3000;
const RETRY_MOST = 30000;
/** A connection that lasted so long was a good one: the next loss is tried again soon. */
const GOOD = 10000;
/** How long the server may be silent: until it is asked, and until an answer must have come. */
const SILENT = 60000;
const DEAD = 20000;
/** The same when the page becomes visible again, as sockets die while a telephone sleeps. */
const ASLEEP = 10000;
const AWAKE = 3000;
const SAVE = 1000;
/** How many lines an older page of the history has. */
const OLDER = 200;

const ALIASES = new Map([
  ["part", "leave"],
  ["list", "rooms"],
  ["names", "who"],
  ["whois", "who"],
  ["exit", "quit"],
]);
/** Commands that are about a room, which may be left out. */
const OF_ROOM = /^(leave|topic|op|deop|voice|devoice|founder|kick|ban|mute|unban|bans|invite|uninvite|room|erase)$/;
/** Those that name somebody, who may be another person on the next connection. */
const OF_PERSON = /^\/(ignore|op|deop|voice|devoice|founder|kick|ban|mute|invite|uninvite|kill|block) /;
/** What the page does by itself, or must not be undone. */
const AUTOMATIC = /^(keep|resume|typing|set|send|get|cancel)$/;
/** Codes of refusals that are about a name. */
const NAMES = /^(taken|owned|held|bad-name)$/;

/** @param {unknown} value @returns {any[]} */
const list = (value) => (Array.isArray(value) ? value : []);
/** @param {unknown} value */
const string = (value) => (typeof value === "string" ? value : "");

export class Session {
  /** @type {"connecting" | "locked" | "naming" | "in" | "lost" | "ended"} */
  state = "connecting";
  /** @type {Trouble | null} */
  trouble = null;
  me = { nick: "", owned: false, operator: false, away: /** @type {string | null} */ (null) };
  server = {
    version: "",
    name: "",
    motd: /** @type {string[]} */ ([]),
    limits: /** @type {Map<string, number>} */ (new Map()),
  };
  /** Whether the server is another version than the one that the page came from. */
  newVersion = false;
  /** @type {Map<string, Talk>} */
  talks = new Map();
  current = "";
  /** @type {Map<string, Person>} */
  people = new Map();
  /** When `tick` is due, in ms. @type {number | null} */
  wake = null;

  #hooks;
  #place;
  /** The name that we want, and whether we had it before. */
  #name = "";
  #hadName = false;
  /** @type {{ nick: string, token: string } | null} */
  #token = null;
  /** What unlocks the server, for the next connection. Stands in no storage. */
  #password = "";
  #wrong = 0;
  #up = false;
  /** new: nobody has greeted us; in: all is being put as it was; on: it is. @type {"new" | "in" | "on"} */
  #phase = "new";
  #isRestoring = false;
  /** Whether we have been in since the page was loaded. */
  #entered = false;
  /** Since when our own dead connection may have our name, and when it is asked for again. */
  #regain = /** @type {{ since: number, at: number } | null} */ (null);
  /** @type {{ line: string, command: string, about: string, then: Then }[]} */
  #asked = [];
  /** @type {string[]} */
  #details = [];
  /** The token of a /ping before the answer to which all answers are for an earlier life of this page. */
  #fence = "";
  /** What waits until we are in: messages and commands. @type {({ row: Row, talk: Talk } | { talk: Talk, key?: string } | { line: string, then: Then })[]} */
  #waiting = [];
  /** @type {Set<string>} */
  #ignored = new Set();
  #presence = /** @type {number | null} */ (null);
  #typing = { talk: "", at: 0 };
  /** @type {Map<number, FileInfo>} */
  #files = new Map();
  #transfers;
  #now = 0;
  #heardAt = 0;
  #inSince = 0;
  #tries = 0;
  /** Connections that failed before the first that stood. */
  #failed = 0;
  #retryAt = /** @type {number | null} */ (null);
  #aliveBy = /** @type {number | null} */ (null);
  #bye = /** @type {{ code: string, text: string } | null} */ (null);
  #isLeaving = false;
  #out = "";
  /** @type {Change} */
  #change = {};
  /** @type {Map<Talk, Rows>} */
  #rows = new Map();
  #savedAt = 0;
  #isDirty = false;

  /** @param {{ kept: Kept, hooks: Hooks }} o */
  constructor({ kept, hooks }) {
    this.#hooks = hooks;
    const { local, session } = kept;
    this.#name = string(local.name);
    this.#hadName = !!this.#name;
    if (string(local.token?.nick) && string(local.token.token)) this.#token = local.token;
    for (const { id, seq, time } of list(local.rooms)) {
      if (string(id)[0] === "#") this.#open(id).read = { seq: Number(seq) || 0, time: Number(time) || 0 };
    }
    for (const { id, rows } of list(session.people)) {
      if (string(id)[0] !== "@") continue;
      const talk = this.#open(id);
      for (const row of list(rows)) {
        const { file } = talk.add({ ...row, key: talk.row({}).key });
        if (file) this.#files.set(file.id, file);
      }
      talk.readKey = talk.rows.at(-1)?.key ?? 0;
    }
    for (const { id, row } of list(session.unsettled)) {
      if (string(id) && string(row?.text))
        this.#open(id).add({ ...row, way: "limbo", state: id[0] === "#" ? "pending" : "unknown" });
    }
    const place = session.place;
    this.#place = new Place(string(place?.token) && Number.isInteger(place.lines) ? place : undefined);
    this.#change = {};
    this.#rows.clear();
    // What a transfer does comes when its file has been read, and not within a call.
    const soon = () => queueMicrotask(() => this.#end());
    this.#transfers = new Transfers({
      now: () => Date.now(),
      send: (lines) => {
        if (!this.#isIn) return;
        this.#place.sent(1);
        this.#out += lines;
        soon();
      },
      ask: (line, answered) => {
        this.#ask(line, (f) => f && answered({ code: f.is === "refused" ? f.code : null, text: f.text }));
        soon();
      },
      changed: (transfer) => {
        this.#change.transfers ??= new Set();
        this.#change.transfers.add(/** @type {Transfer} */ (transfer));
        soon();
      },
    });
  }

  // What the shell tells.

  /** The socket is open. @param {number} now */
  opened(now) {
    this.#now = this.#heardAt = now;
    this.#up = true;
    this.#bye = null;
    this.#wrong = this.#failed = 0;
    this.#retryAt = null;
    this.#details = [];
    const line = this.#place.connected();
    if (line) this.#out += `${line}\n`;
    this.#end();
  }

  /** @param {string} text whole lines, each with its LF @param {number} now */
  heard(text, now) {
    this.#now = this.#heardAt = now;
    this.#aliveBy = null;
    for (const line of text.split("\n")) if (line) this.#line(line.endsWith("\r") ? line.slice(0, -1) : line);
    this.#end();
  }

  /** The socket is gone, or could not be made. @param {number} now @param {{ clean: boolean, code: number, opened: boolean }} how */
  closed(now, how) {
    this.#now = now;
    if (!how.opened) this.#failed++;
    this.#lose();
    this.#end();
  }

  /** @param {number} now */
  tick(now) {
    this.#now = now;
    if (this.#retryAt !== null && this.#retryAt <= now) this.#reconnect();
    if (this.#up) {
      const silence = now - this.#heardAt;
      if (this.#aliveBy !== null && this.#aliveBy <= now) this.#reconnect();
      else if (this.#aliveBy === null && silence >= (this.#isIn ? SILENT : DEAD)) this.#probe(DEAD);
      if (this.#regain && this.#regain.at <= now) {
        this.#regain.at = now + AGAIN;
        if (now - this.#regain.since > LIMBO) this.#regain = null;
        else this.#askName();
      }
    }
    for (const talk of this.talks.values()) if (talk.typed(now)) this.#change.talks = true;
    this.#transfers.tick();
    this.#end();
  }

  /** The page is visible again. @param {number} now */
  awake(now) {
    this.#now = now;
    if (!this.#up) this.#soon();
    else if (now - this.#heardAt >= ASLEEP) this.#probe(AWAKE);
    this.#end();
  }

  /** The person wants it at once, or the network is back. @param {number} now */
  now(now) {
    this.#now = now;
    if (this.#up) this.#probe(AWAKE);
    else this.#soon(true);
    this.#end();
  }

  // What the person does.

  /** @param {string} name */
  enter(name) {
    this.#name = name.trim();
    this.#hadName = false;
    this.#regain = null;
    this.#trouble(null);
    if (this.#isIn) this.#askName();
    this.#end();
  }

  /** @param {string} name */
  rename(name) {
    this.enter(name);
  }

  /** @param {string} name @param {string} password */
  login(name, password) {
    this.#trouble(null);
    this.#ask(`/login ${name.trim()} ${password.trim()}`, (f) => {
      if (f?.is === "refused") this.#wrongSecret(f, name);
    });
    this.#end();
  }

  /** @param {string} password */
  unlock(password) {
    this.#pass(password.trim());
    this.#end();
  }

  /** Makes the name that we have ours; or gives it another password. @param {string} password @param {string} [old] */
  register(password, old) {
    const line = this.me.owned ? `/passwd ${old ? `${old} ` : ""}${password}` : `/register ${password}`;
    this.#trouble(null);
    this.#ask(line, (f) => {
      if (f?.is === "refused") this.#wrongSecret(f, this.me.nick);
    });
    this.#end();
  }

  logout() {
    this.#do("/logout", (f) => {
      if (f?.is === "refused") this.#trouble(f, this.me.nick);
    });
    this.#end();
  }

  /** Leaves nothing behind, here and there. */
  forget() {
    if (this.me.owned) this.#ask("/token off", () => {});
    this.#ask("/quit", () => {});
    this.#place.end();
    this.#isLeaving = true;
    this.#name = this.#password = "";
    this.#hadName = this.#entered = false;
    this.#token = null;
    this.talks.clear();
    this.#waiting = [];
    this.current = "";
    this.#change.talks = this.#change.state = true;
    this.#isDirty = false;
    this.#hooks.keep({ local: {}, session: {} });
    this.#end();
  }

  /** @param {string} talkId @param {string} text */
  say(talkId, text) {
    const talk = this.#find(talkId) ?? (talkId[0] === "@" ? this.#open(talkId) : undefined);
    if (talk && /^\/[a-z?]/i.test(text) && !text.trim().includes("\n")) this.#typed(talk, text.trimEnd());
    else if (talk) this.#say(talk, text.startsWith("//") ? text.slice(1) : text);
    this.#end();
  }

  /** Something was typed there that may be said, or no more. @param {string} talkId @param {boolean} on */
  typing(talkId, on) {
    const { talk, at } = this.#typing;
    const isFresh = talk === talkId && this.#now - at < TYPING;
    if (
      this.#phase === "on" &&
      !this.#place.isAway &&
      (on ? !isFresh && this.#find(talkId)?.maySay === true : talk === talkId)
    ) {
      this.#typing = { talk: on ? talkId : "", at: this.#now };
      this.#ask(`/typing ${talkId} ${on ? "on" : "off"}`, () => {});
    }
    this.#end();
  }

  /** @param {string} room @param {string} [key] */
  join(room, key) {
    const id = room[0] === "#" ? room : `#${room}`;
    const talk = this.#find(id) ?? this.#open(id);
    talk.isWanted = true;
    this.#trouble(null);
    if (this.#isRestoring) this.#waiting.push({ talk, key });
    this.#look(talk);
    this.#end();
  }

  /** @param {string} talkId */
  leave(talkId) {
    const talk = this.#find(talkId);
    if (talk) {
      if (talk.joined) this.#do(`/leave ${talk.id}`, () => {});
      this.#close(talk);
    }
    this.#end();
  }

  /** A private talk. @param {string} nick */
  open(nick) {
    this.#look(this.#find(`@${nick}`) ?? this.#open(`@${nick}`));
    this.#end();
  }

  /** All there was seen. @param {string} talkId */
  read(talkId) {
    const talk = this.#find(talkId);
    if (talk) {
      const row = talk.rows.findLast((row) => row.seq);
      if (row?.seq && row.time) talk.read = { seq: row.seq, time: row.time };
      const key = talk.rows.at(-1)?.key ?? 0;
      if (talk.unread || talk.mentions || talk.readKey !== key) this.#change.talks = this.#isDirty = true;
      talk.readKey = key;
      talk.unread = talk.mentions = 0;
    }
    this.#end();
  }

  /** @param {string | null} text null: back */
  away(text) {
    this.#do(text === null ? "/back" : `/away ${text}`.trim(), () => {});
    this.#end();
  }

  /** Says once more what was refused, or has an unknown fate. @param {Row} row */
  again(row) {
    const talk = this.#talkOf(row);
    if (talk && row.mine && row.state !== "sure" && row.state !== "pending") {
      this.#remove(talk, row);
      this.#message(talk, row.kind === "action" ? `/me ${row.text}` : row.text);
    }
    this.#end();
  }

  /** @param {Row} row */
  drop(row) {
    const talk = this.#talkOf(row);
    this.#waiting = this.#waiting.filter((waiting) => !("row" in waiting) || waiting.row !== row);
    if (talk && row.state !== "sure") this.#remove(talk, row);
    this.#end();
  }

  /** @param {string} talkId */
  older(talkId) {
    const talk = this.#find(talkId);
    if (talk?.hasOlder && talk.joined && !this.#asked.some((asked) => asked.about === `older ${talk.id}`))
      this.#older(talk);
    this.#end();
  }

  /** @param {(people: Person[]) => void} cb */
  askPeople(cb) {
    this.#who(cb);
    this.#end();
  }

  /** @param {(rooms: { name: string, count: number, topic: string }[]) => void} cb */
  askRooms(cb) {
    this.#ask("/rooms", (_, rows) => {
      const rooms = rows.map((text) => detail("rooms", text)).filter((room) => room !== null);
      cb(rooms.map(({ room, count, topic }) => ({ name: room, count: Number(count), topic })));
    });
    this.#end();
  }

  /** @param {string} talkId @param {import("./transfer.js").Source} source */
  upload(talkId, source) {
    return this.#transfers.upload(talkId, source);
  }

  /** @param {number} fileId @param {import("./transfer.js").Sink} sink */
  fetch(fileId, sink) {
    const file = this.#files.get(fileId);
    return this.#transfers.fetch(file ?? { id: fileId, name: `${fileId}`, size: 0 }, sink);
  }

  /** @param {Transfer} transfer */
  cancel(transfer) {
    this.#transfers.cancel(transfer);
    this.#end();
  }

  /** What a menu offers. @param {string} verb the command @param {string} talkId @param {string} nick @param {string} [reason] */
  menu(verb, talkId, nick, reason) {
    const talk = this.#find(talkId);
    const room = OF_ROOM.test(verb) ? ` ${talkId}` : "";
    if (talk) this.#run(talk, `/${verb}${room} ${nick}${reason ? ` ${reason}` : ""}`, false);
    this.#end();
  }

  /** @param {Row} row */
  erase(row) {
    const talk = this.#talkOf(row);
    if (talk && row.seq) this.#run(talk, `/erase ${talk.id} ${row.seq}`, false);
    this.#end();
  }

  /** @param {string} talkId */
  look(talkId) {
    const talk = this.#find(talkId);
    if (talk) this.#look(talk);
    this.#end();
  }

  /** Keeps what there is to be kept now, as the page may be gone at once. */
  save() {
    this.#savedAt = this.#now;
    this.#isDirty = false;
    if (this.#isLeaving) return;
    const rooms = [...this.talks.values()].filter((talk) => talk.kind === "room" && talk.isWanted);
    const own = [...this.talks.values()].flatMap((talk) => talk.rows.map((row) => ({ id: talk.id, row })));
    const people = [...this.talks.values()].filter((talk) => talk.kind === "person");
    const kept = (/** @type {Row} */ row) => row.way === null || row.state === "refused";
    this.#hooks.keep({
      local: {
        name: this.#name,
        token: this.#token,
        rooms: rooms.map((talk) => ({ id: talk.id, ...talk.read })),
      },
      session: {
        place: this.#place.ticket,
        people: people.map(({ id, rows }) => ({ id, rows: rows.filter(kept).slice(-PRIVATE) })),
        unsettled: own.filter(({ row }) => !kept(row)),
      },
    });
  }

  // Connections.

  get #isNaming() {
    return this.#asked.some(({ command }) => /^(nick|login|logout|drop)$/.test(command));
  }

  get #isIn() {
    return this.#up && this.#phase !== "new" && !this.#place.isAway;
  }

  /** Makes a new connection now, whatever there is. */
  #reconnect() {
    if (this.#up) this.#lose();
    this.#retryAt = null;
    // Should the new socket tell nothing either, it is tried again all the same.
    this.#aliveBy = null;
    this.#hooks.reconnect();
  }

  /** @param {boolean} [byHand] what the server has ended is only tried again by hand */
  #soon(byHand) {
    if (this.state === "ended" && !byHand) return;
    if (this.state === "ended") this.#set("connecting");
    this.#tries = 0;
    this.#reconnect();
  }

  /** @param {number} patience */
  #probe(patience) {
    this.#aliveBy ??= this.#now + patience;
    this.#ask("/ping alive", () => {});
  }

  #lose() {
    const wasIn = this.#isIn;
    this.#up = false;
    this.#aliveBy = null;
    this.#transfers.lost();
    if (!this.#place.lost()) this.#gone();
    if (wasIn && this.#now - this.#inSince > GOOD) this.#tries = 0;
    const bye = this.#bye;
    const passes = !bye || /^(full|shutdown|too-slow|idle)$/.test(bye.code);
    if (this.#isLeaving) {
      this.#isLeaving = false;
      this.#set("connecting");
      this.#retryAt = this.#now;
    } else if (passes) {
      const wait = bye?.code === "full" ? RETRY_MOST : Math.min(500 * 2 ** this.#tries++, RETRY_MOST);
      this.#retryAt = this.#now + wait * (bye?.code === "full" ? 1 : 0.5 + this.#hooks.random() / 2);
      this.#set(this.#entered || this.state === "naming" || this.state === "lost" ? "lost" : "connecting");
    } else this.#set("ended");
    const code = bye?.code ?? (this.#failed > 1 && !this.server.version ? "no-websocket" : "lost");
    this.#trouble({ code, text: bye?.text ?? "" }, null, { retryAt: this.#retryAt });
  }

  /** The place is lost too, and with it what had no answer. */
  #gone() {
    this.#phase = "new";
    this.#isRestoring = false;
    this.#fence = "";
    this.me.owned = this.me.operator = false;
    this.#presence = null;
    this.#regain = null;
    const asked = this.#asked;
    this.#asked = [];
    for (const { then } of asked) then(null, []);
    for (const talk of this.talks.values()) {
      talk.joined = false;
      talk.typing = [];
      talk.seen.lost();
      talk.files = [];
    }
    // Whoever has a name on the next connection need not be who had it.
    this.#waiting = this.#waiting.filter((waiting) => {
      if ("line" in waiting) {
        const stays = !OF_PERSON.test(waiting.line);
        if (!stays) waiting.then(null, []);
        return stays;
      }
      if (!("row" in waiting)) return false;
      if (waiting.talk.kind === "room") return true;
      this.#refuse(waiting.talk, waiting.row, { code: "elsewhere", text: "" });
      return false;
    });
    this.people.clear();
    this.#change.talks = this.#change.people = true;
  }

  /** @param {string} line */
  #line(line) {
    const fact = view(line);
    if (fact.is === "bye") this.#bye = fact;
    if (fact.is === "hello") this.#versioned(fact.version);
    if (fact.is === "locked") this.#versioned(fact.code);
    const told = this.#place.heard(fact, line.length + 1);
    if (told === true) this.#told(fact);
    else if (told && "again" in told) this.#resumed(told, fact.is === "done" ? fact.text : "");
    else if (told) {
      this.#gone();
      for (const greeting of told.greeting) this.#told(greeting);
    }
  }

  /** @param {string} version */
  #versioned(version) {
    if (this.server.version && this.server.version !== version) this.newVersion = this.#change.state = true;
    this.server.version ||= version;
  }

  /** Our place is taken up. @param {{ again: string[], upload: { id: number, offset: number } | null }} told @param {string} nick */
  #resumed({ again, upload }, nick) {
    this.#inSince = this.#now;
    this.me.nick = nick;
    this.#trouble(null);
    if (this.#place.isOld) {
      this.#place.isOld = false;
      this.#phase = "in";
      this.me.owned = !!this.#token && fold(this.#token.nick) === fold(nick);
      this.#fence = `fence-${Math.floor(this.#hooks.random() * 1e15)}`;
      this.#ask(`/ping ${this.#fence}`, () => {});
      this.#begin();
      if (this.#name) this.#named();
      else this.#set("naming");
      return;
    }
    this.#set(this.#entered ? "in" : "naming");
    for (const line of again) this.#out += `${line}\n`;
    this.#transfers.resumed(upload);
  }

  /** What every connection begins with. @param {number} [online] */
  #begin(online = 0) {
    this.#inSince = this.#now;
    if (online <= CROWD) this.#who();
    this.#ask("/set echo on", () => {});
    this.#ask("/set stamp on", () => {});
  }

  /** @param {{ nick: string, name: string, online: number }} fact */
  #hello({ nick, name, online }) {
    this.#phase = "in";
    this.me.nick = nick;
    this.server.name = name;
    this.server.motd = [];
    this.#change.state = true;
    this.#trouble(null);
    this.#poll();
    this.#begin(online);
    if (this.me.owned && !this.#token) this.#askToken();
    // Who came in by a login is called so already.
    if (!this.#name) this.#set("naming");
    else if (this.me.owned && fold(nick) === fold(this.#name)) this.#named();
    else this.#askName();
  }

  #poll() {
    const line = this.#place.poll();
    if (!line) return;
    // From here on the server may let go of what it wrote until now.
    if (line !== "/keep 0") this.save();
    this.#out += `${line}\n`;
  }

  /** @param {string} text */
  #locked(text) {
    this.#set("locked");
    this.#trouble({ code: "locked", text });
    if (this.#password && text.includes("/pass")) this.#pass(this.#password);
    else if (this.#token) this.#askName();
  }

  /** @param {string} password */
  #pass(password) {
    this.#password = password;
    this.#ask(`/pass ${password}`, (f) => {
      if (f?.is !== "refused") return;
      this.#password = "";
      this.#wrongSecret(f, null);
    });
  }

  /** @param {Reply & { is: "refused" }} f @param {string | null} name */
  #wrongSecret(f, name) {
    if (f.code === "refused") this.#wrong++;
    this.#trouble(f, name, { tries: f.code === "refused" ? Math.max(5 - this.#wrong, 0) : null });
  }

  /** Asks to be called as we want to be: with what proves that the name is ours, if there is that. */
  #askName() {
    const name = this.#name;
    const token = this.#token;
    if (token && (!name || fold(token.nick) === fold(name))) {
      this.#ask(`/login ${token.nick} token:${token.token}`, (f) => {
        if (f?.is !== "refused") return;
        if (f.code === "refused") this.#token = null;
        this.#unnamed(f, name);
      });
    } else if (name === this.me.nick || /^guest\d+$/.test(name)) {
      // One guest's name is as good as another's.
      this.#name = this.me.nick;
      this.#named();
    } else
      this.#ask(`/nick ${name}`, (f) => {
        if (f?.is === "refused") this.#unnamed(f, name);
      });
  }

  /** @param {Reply & { is: "refused" }} f @param {string} name */
  #unnamed(f, name) {
    // Our own dead connection may have it.
    if ((f.code === "taken" && this.#hadName) || f.code === "busy")
      this.#regain ??= { since: this.#now, at: this.#now + AGAIN };
    this.#trouble(f, name, { free: NAMES.test(f.code) ? this.#free(name) : null });
    if (this.#phase === "new") return;
    if (this.#entered || this.#regain) this.#named();
    else this.#set("naming");
  }

  /** A name like this one that nobody has, as far as is known. @param {string} name */
  #free(name) {
    const taken = new Set([...this.people.keys()].map(fold));
    for (let n = 2; n < 1000; n++) {
      const free = `${[...name].slice(0, 20 - String(n).length).join("")}${n}`;
      if (!taken.has(fold(free))) return free;
    }
    return null;
  }

  /** It is settled what we are called for now. */
  #named() {
    this.#entered = true;
    this.#set("in");
    if (this.#phase === "in" && !this.#isRestoring) this.#restore();
  }

  /** All is put as it was. */
  #restore() {
    this.#isRestoring = true;
    for (const nick of this.#ignored) this.#ask(`/ignore ${nick}`, () => {});
    let rooms = [...this.talks.values()].filter((talk) => talk.kind === "room" && talk.isWanted);
    if (!this.talks.size) rooms = [this.#open("#lobby")];
    for (const talk of rooms) this.#enter(talk);
    if (!this.#find(this.current)) this.current = this.talks.keys().next().value ?? "";
    if (this.me.away !== null) this.#ask(`/away ${this.me.away}`.trim(), () => {});
    this.#ask("/limits", (_, rows) => {
      for (const text of rows) {
        const limit = detail("limits", text);
        if (limit) this.server.limits.set(limit.name, Number(limit.value));
      }
      this.#transfers.largest = this.server.limits.get("file") ?? Number.POSITIVE_INFINITY;
    });
    if (this.me.owned) this.#askOperator();
    this.#ask("/ping restored", (f) => {
      if (!f) return;
      this.#phase = "on";
      this.#transfers.begin();
    });
  }

  #askOperator() {
    this.#ask("/server", (f) => {
      this.me.operator = f?.is === "done";
      this.#change.state = true;
    });
  }

  // Questions and answers.

  /** @param {string} line @param {Then} then @param {string} [about] what the answer names */
  #ask(line, then, about = "") {
    const [command] = cut(line.slice(1));
    const isEarly = this.#phase === "new" && /^(pass|login|ping|token|quit)$/.test(command);
    if (!this.#up || this.#place.isAway || (this.#phase === "new" && !isEarly)) return then(null, []);
    this.#place.sent(line);
    this.#asked.push({ line, command, about, then });
    this.#out += `${line}\n`;
  }

  /** Asks now, or as soon as we are in. @param {string} line @param {Then} then */
  #do(line, then) {
    if (this.#phase === "on" && this.#isIn && !this.#waiting.length) this.#ask(line, then);
    else this.#waiting.push({ line, then });
  }

  /** @param {Reply} f */
  #reply(f) {
    const rows = this.#details;
    this.#details = [];
    if (this.#fence) {
      if (f.is !== "done" || f.command !== "ping" || f.text !== this.#fence) return;
      this.#fence = "";
    }
    let at = 0;
    if (f.is === "refused" && f.command === "?") {
      if (f.code === "no-upload") return;
    } else {
      const about = f.is === "done" ? fold(cut(f.text)[0]) : "";
      const is = (/** @type {{ command: string, about: string }} */ a) =>
        a.command === f.command && (!about || !a.about || a.about === about || a.about.startsWith("older"));
      at = this.#asked.findIndex(is);
      if (at < 0) at = this.#asked.findIndex((a) => a.command === f.command);
      if (at < 0) return;
    }
    for (const lost of this.#asked.splice(0, at)) lost.then(null, []);
    const asked = this.#asked.shift();
    if (!asked) return;
    if (f.is === "done") this.#did(f, asked.line, rows);
    asked.then(f, rows);
  }

  /** What we did ourselves, of which nobody tells us but its answer. @param {Reply} f @param {string} line @param {string[]} rows */
  #did({ command, text }, line, rows) {
    const [first, rest] = cut(text);
    const own = (/** @type {string} */ event, /** @type {string[]} */ args) =>
      this.#event(first, this.#now, this.me.nick, event, args);
    const [, , ...words] = line.split(" ");
    switch (command) {
      case "nick":
        this.#called(first);
        break;
      case "login":
        for (const text of rows) {
          const room = detail("in", text)?.room;
          if (room && !this.#find(room)) this.#open(room);
        }
        this.#owns(first, !line.includes(" token:"));
        break;
      case "register":
        this.#owns(this.me.nick, true);
        break;
      case "passwd":
        this.#askToken();
        break;
      case "logout":
      case "drop":
        this.me.owned = this.me.operator = false;
        this.#token = null;
        this.#called(first);
        this.#enterAgain();
        break;
      case "leave": {
        const talk = this.#find(first);
        if (talk) this.#close(talk);
        break;
      }
      case "topic":
        if (words.length) own("topic", [rest]);
        break;
      case "op":
      case "voice":
      case "founder":
        if (line.split(" ").length > 2) own("made", [rest, command]);
        break;
      case "deop":
      case "devoice":
        own("made", [rest, "nobody"]);
        break;
      case "kick":
        own("kicked", [rest, words.slice(1).join(" ")]);
        break;
      case "ban":
      case "mute": {
        const [, who] = rest.split(" ");
        own(command === "ban" ? "banned" : "muted", [who ?? "", "", words.slice(1).join(" ")]);
        break;
      }
      case "room": {
        const [rule, value] = rest.split(" ");
        if (value && words.length > 1) own("set", [rule, value]);
        break;
      }
      case "erase":
        own("erased", [words[0], words[1] ?? words[0]]);
        break;
      case "send": {
        const [, id, size, , ...name] = line.split(" ");
        const talk = this.#find(id);
        if (talk) this.#shared(talk, this.#now, this.me.nick, Number(first), Number(size), name.join(" "));
        break;
      }
      case "ignore":
        if (line.includes(" ")) this.#ignored.add(first);
        break;
      case "unignore":
        this.#ignored.delete(first);
        break;
      case "away":
        this.me.away = cut(line)[1];
        this.#change.state = true;
        break;
      case "back":
        this.me.away = null;
        this.#change.state = true;
        break;
    }
  }

  /** @param {string} nick @param {boolean} byPassword */
  #owns(nick, byPassword) {
    const wasIn = this.#isRestoring;
    this.me.owned = true;
    this.#called(nick);
    // On a locked server it is asked for behind the greeting.
    if (byPassword) this.#token = null;
    if (byPassword && this.#phase !== "new") this.#askToken();
    if (!wasIn) return;
    this.#askOperator();
    this.#enterAgain();
  }

  #askToken() {
    this.#ask("/token", (f) => {
      if (f?.is !== "done") return;
      this.#token = { nick: this.me.nick, token: f.text };
      this.save();
    });
  }

  /** Another name may be in other rooms. Where we are, entering changes nothing. */
  #enterAgain() {
    for (const talk of this.talks.values()) if (talk.kind === "room" && talk.isWanted) this.#enter(talk);
  }

  /** We are called so now, as we wished. @param {string} nick */
  #called(nick) {
    const before = this.me.nick;
    this.me.nick = this.#name = nick;
    this.#hadName = true;
    this.#regain = null;
    this.#isDirty = this.#change.state = true;
    this.#trouble(null);
    if (before !== nick)
      for (const talk of this.talks.values())
        if (talk.joined) this.#event(talk.id, this.#now, before, "renamed", [nick]);
    if (this.#phase !== "new") this.#named();
  }

  /** @param {(people: Person[]) => void} [cb] */
  #who(cb) {
    this.#ask("/who", (f, rows) => {
      if (f?.is === "done") {
        this.people.clear();
        for (const text of rows) this.#person(text);
        this.#presence = Number(cut(f.text)[0]);
        this.#change.people = true;
      }
      cb?.([...this.people.values()]);
    });
  }

  /** @param {string} text of an answer to /who */
  #person(text) {
    const who = detail("who", text);
    if (!who) return null;
    const rooms = who.rooms === "-" ? [] : who.rooms.split(",");
    const person = { nick: who.nick, state: who.state, rooms, text: who.text };
    this.people.set(who.nick, person);
    for (const id of rooms) {
      const member = this.talks.get(id)?.members.get(who.nick);
      if (member) member.away = who.state === "away" ? who.text : null;
    }
    return person;
  }

  /** @param {{ version: number, gone: string[], came: string[] }} fact */
  #changed({ version, gone, came }) {
    if (this.#presence === null) return;
    if (version > this.#presence + 1) {
      this.#presence = null;
      return this.#who();
    }
    this.#presence = Math.max(version, this.#presence);
    // What was told already may be told again.
    for (const nick of gone) {
      const talk = this.people.delete(nick) && !came.includes(nick) && this.talks.get(`@${nick}`);
      if (talk) this.#event(talk.id, this.#now, nick, "offline", []);
      if (this.#regain && fold(nick) === fold(this.#name)) this.#askName();
    }
    for (const nick of came) {
      if (this.people.has(nick)) continue;
      this.people.set(nick, { nick, state: "here", rooms: [], text: "" });
      const talk = !gone.includes(nick) && this.talks.get(`@${nick}`);
      if (talk) this.#event(talk.id, this.#now, nick, "online", []);
    }
    this.#change.people = true;
  }

  // Rooms.

  /** Enters a room and fetches what was missed, all in one go. @param {Talk} talk @param {string} [key] */
  #enter(talk, key) {
    const { id } = talk;
    this.#ask(
      `/join ${id}${key ? ` ${key}` : ""}`,
      (f, rows) => {
        if (f?.is === "refused") this.#shut(talk, f);
        else if (f) this.#arrived(talk, f.text, rows);
      },
      fold(id),
    );
    this.#catchUp(talk);
    this.#ask(`/op ${id}`, (f, rows) => {
      if (f?.is !== "done") return;
      for (const member of talk.members.values()) member.rank = null;
      for (const text of rows) {
        const op = detail("op", text);
        if (op) this.#ranked(talk, op.nick, op.rank);
      }
      this.#change.talks = true;
    });
  }

  /** @param {Talk} talk */
  #catchUp(talk) {
    const fetch = talk.seen.fetch();
    if (!fetch) return;
    this.#ask(`/files ${talk.id}`, (_, rows) => {
      for (const text of rows) {
        const file = detail("files", text);
        const id = Number(file?.id);
        if (!file || this.#files.has(id)) continue;
        const info = { id, name: file.name, size: Number(file.size), nick: file.nick, talkId: talk.id, gone: null };
        this.#files.set(id, info);
        talk.files.push({ time: this.#now - Number(file.age) * 1000, file: info });
      }
    });
    this.#history(talk, fetch);
  }

  /** @param {Talk} talk @param {string} text @param {string[]} rows */
  #arrived(talk, text, rows) {
    const [id, count] = text.split(" ");
    this.#rekey(talk, id);
    talk.joined = true;
    talk.muted = false;
    talk.topic = "";
    talk.rules.clear();
    talk.members.clear();
    this.#isDirty = this.#change.talks = true;
    for (const text of rows) {
      talk.topic ||= detail("topic", text)?.text ?? "";
      for (const nick of detail("here", text)?.nicks.split(" ") ?? []) this.#member(talk, nick);
      if (detail("rules", text)) {
        this.#ask(`/room ${id}`, (_, rules) => {
          for (const text of rules) {
            const rule = detail("room", text);
            if (rule) talk.rules.set(rule.rule, rule.value);
          }
          this.#change.talks = true;
        });
      }
    }
    if (Number(count) > talk.members.size) {
      this.#ask(`/who ${id}`, (_, people) => {
        for (const text of people) {
          const person = this.#person(text);
          if (person) this.#member(talk, person.nick);
        }
        this.#change.talks = true;
      });
    }
  }

  /** @param {Talk} talk @param {string} nick */
  #member(talk, nick) {
    const person = this.people.get(nick);
    talk.members.set(nick, { nick, rank: talk.rankOf(nick), away: person?.state === "away" ? person.text : null });
  }

  /** @param {Talk} talk @param {string} nick @param {string} rank */
  #ranked(talk, nick, rank) {
    const member = talk.members.get(nick);
    if (member) member.rank = rank === "nobody" ? null : /** @type {import("./talks.js").Rank} */ (rank);
  }

  /** A room does not let us in. @param {Talk} talk @param {Reply & { is: "refused" }} f */
  #shut(talk, f) {
    this.#trouble(f, talk.id);
    talk.joined = talk.isWanted = false;
    if (talk.rows.length) this.#note(talk, f.text, "shut", f);
    else this.#close(talk);
  }

  /** @param {Talk} talk @param {string} what */
  #history(talk, what) {
    const isFirst = !what.startsWith("after");
    this.#ask(
      `/history ${talk.id} ${what}`,
      (f, rows) => {
        if (!f) return;
        const lines = f.is === "done" ? rows.flatMap((text) => this.#past(text)) : [];
        for (const line of lines) if (talk.seen.past(line)) this.#show(talk, line, isFirst);
        const isGone = f.is === "refused" && f.code === "gone";
        const next = f.is === "done" ? talk.seen.answered() : isGone ? talk.seen.gone() : talk.seen.giveUp();
        if (talk.seen.began()) this.#note(talk, "", "anew");
        if ("ask" in next) return this.#history(talk, next.ask);
        if (next.missing && !this.#ignored.size) this.#note(talk, "", "missing", null, [String(next.missing)]);
        for (const line of next.held) this.#show(talk, line, false);
        this.#putFiles(talk, Number.POSITIVE_INFINITY);
        if (isFirst && lines.length) talk.hasOlder = lines[0].seq > 1;
        for (const row of talk.rows.filter((row) => row.way === "limbo" && row.state === "pending")) {
          row.state = "unknown";
          this.#toEnd(talk, row);
        }
      },
      fold(talk.id),
    );
  }

  /** @param {string} text @returns {Line[]} */
  #past(text) {
    const line = detail("history", text);
    const time = line ? Date.parse(line.time) : Number.NaN;
    return line && !Number.isNaN(time) ? [{ seq: Number(line.seq), time, nick: line.nick, text: line.text }] : [];
  }

  /** Brings what is before the oldest row, a page at a time. @param {Talk} talk @param {number} [after] @param {Line[]} [had] */
  #older(talk, after, had = []) {
    const oldest = talk.rows.find((row) => row.seq)?.seq ?? 1;
    this.#ask(
      `/history ${talk.id} after ${after ?? Math.max(oldest - 1 - OLDER, 0)}`,
      (f, rows) => {
        if (f?.is !== "done") return;
        const all = rows.flatMap((text) => this.#past(text));
        const lines = [...had, ...all.filter((line) => line.seq < oldest)];
        const last = all.at(-1)?.seq ?? oldest;
        if (last < oldest - 1) return this.#older(talk, last, lines);
        talk.hasOlder = lines.length > 0 && lines[0].seq > 1;
        const older = lines
          .reverse()
          .map(({ seq, time, nick, text }) =>
            talk.row({ seq, time, nick, mine: nick === this.me.nick, ...spoken(text) }, "older"),
          );
        talk.rows.unshift(...older.reverse());
        this.#of(talk).older.push(...older);
        this.#change.talks = true;
      },
      `older ${talk.id}`,
    );
  }

  // What is said.

  /** @param {Fact} fact */
  #told(fact) {
    if (this.#fence && fact.is === "detail") return;
    switch (fact.is) {
      case "hello":
        if (this.#phase === "new") this.#hello(fact);
        break;
      case "locked":
        if (this.#phase === "new") this.#locked(fact.text);
        break;
      case "motd":
        this.server.motd.push(fact.text);
        this.#change.state = true;
        break;
      case "presence":
        this.#changed(fact);
        break;
      case "notice":
        this.#note(null, fact.text, "notice");
        break;
      case "wall":
        this.#note(null, fact.text, "wall", null, [fact.nick]);
        break;
      case "nick":
        this.me.owned = this.me.operator = false;
        this.#note(null, fact.text, "renamed");
        this.#called(fact.nick);
        this.#enterAgain();
        break;
      case "detail":
        if (this.#details.length < DETAILS) this.#details.push(fact.text);
        break;
      case "done":
      case "refused":
        this.#reply(fact);
        break;
      case "message":
        this.#heard(fact);
        break;
      case "data":
        this.#transfers.data(fact.id, fact.base64);
        break;
      case "whole":
        this.#transfers.whole(fact.id, fact.digest);
        break;
      case "failed":
        this.#transfers.failed(fact.id, fact.code, fact.text);
        break;
      case "event":
        this.#event(fact.talk, fact.time ?? this.#now, fact.nick, fact.event, fact.args);
        break;
    }
  }

  /** @param {import("./view.js").Message} fact */
  #heard({ talk: id, seq, time, nick, text }) {
    const at = time ?? this.#now;
    if (id[0] === "#") {
      const talk = this.#find(id);
      if (!talk) return;
      if (talk.types(nick, 0)) this.#change.talks = true;
      if (seq === null) this.#show(talk, { seq: 0, time: at, nick, text }, false);
      else if (talk.seen.live({ seq, time: at, nick, text })) this.#show(talk, { seq, time: at, nick, text }, false);
    } else {
      const talk = this.#find(id) ?? this.#open(id);
      talk.types(nick, 0);
      this.#show(talk, { seq: 0, time: at, nick, text }, false);
    }
  }

  /** A message that has not been shown. @param {Talk} talk @param {Line} line @param {boolean} isFirst when the room is entered first */
  #show(talk, { seq, time, nick, text }, isFirst) {
    this.#putFiles(talk, time);
    const known = talk.echoed(nick, text);
    if (known) {
      const { kind, text: said } = spoken(text);
      Object.assign(known, { seq: seq || null, time, kind, text: said, state: "sure", why: null, way: null });
      return this.#toEnd(talk, known);
    }
    const mine = nick === this.me.nick;
    const mention = !mine && (talk.kind === "person" || mentions(text, this.me.nick));
    const row = this.#add(talk, { seq: seq || null, time, nick, mine, mention, ...spoken(text) });
    const isNew = isFirst ? talk.read.time > 0 && time > talk.read.time : true;
    if (!mine && isNew) this.#unread(talk, row);
    else if (!talk.unread) talk.readKey = row.key;
  }

  /** What came in between was said before it. @param {Talk} talk @param {Row} row */
  #toEnd(talk, row) {
    if (talk.last(row)) {
      this.#of(talk).removed.push(row);
      this.#of(talk).added.push(row);
    } else this.#mark(talk, "changed", row);
  }

  /** @param {Talk} talk @param {Row} row */
  #unread(talk, row) {
    talk.unread++;
    this.#change.talks = true;
    if (!row.mention) return;
    talk.mentions++;
    const { nick, text, key } = row;
    this.#change.notify ??= [];
    this.#change.notify.push({ talkId: talk.id, nick, text: row.file?.name ?? text, key });
  }

  /** @param {Talk} talk @param {number} until */
  #putFiles(talk, until) {
    while (talk.files.length && talk.files[0].time <= until) {
      const { time, file } = /** @type {{ time: number, file: FileInfo }} */ (talk.files.shift());
      this.#add(talk, { kind: "file", time, nick: file.nick, file, mine: file.nick === this.me.nick });
    }
  }

  /** @param {string} id @param {number} time @param {string} nick @param {string} event @param {string[]} args */
  #event(id, time, nick, event, args) {
    const isRoom = id[0] === "#";
    const mine = nick === this.me.nick;
    let talk = this.#find(id);
    if (!talk && ((isRoom && mine && event === "joined") || (!isRoom && /^(file|invite)$/.test(event))))
      talk = this.#open(id);
    if (!talk) return;
    const [first, second] = args;
    /** @param {string} who */
    const isMe = (who) => who === this.me.nick || who === `name:${this.me.nick}` || who === `guest:${this.me.nick}`;
    this.#change.talks = true;
    switch (event) {
      case "typing":
      case "idle":
        talk.types(nick, event === "typing" ? this.#now : 0);
        return;
      case "missed":
        if (this.#presence !== null) {
          this.#presence = null;
          this.#who();
        }
        return this.#catchUp(talk);
      case "erased":
        return this.#erased(talk, Number(first), Number(second));
      case "unfile": {
        const file = this.#files.get(Number(first));
        const row = talk.rows.find((row) => row.file && row.file === file);
        if (file) file.gone = second;
        if (row) this.#mark(talk, "changed", row);
        return;
      }
      case "file":
        this.#shared(talk, time, nick, Number(first), Number(second), args[2]);
        return this.#transfers.announced(Number(first));
      case "invite":
        this.#unread(talk, this.#add(talk, { kind: "invite", time, nick, args, text: first, mention: true }));
        return;
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
        if (mine && isRoom) talk.joined = talk.isWanted = false;
        break;
      case "renamed":
        this.#follow(nick, first);
        break;
      case "topic":
        talk.topic = first;
        break;
      case "made":
        if (second === "founder" && nick !== first) this.#ranked(talk, nick, "op");
        this.#ranked(talk, first, second);
        break;
      case "kicked":
      case "banned": {
        const who = first.replace(/^(name|guest):/, "");
        if (!first.startsWith("pattern:")) talk.rename(who);
        if (isMe(first)) talk.joined = talk.isWanted = false;
        break;
      }
      case "muted":
      case "unmuted":
        if (isMe(first)) talk.muted = event === "muted";
        break;
      case "set":
        talk.rules.set(first, second);
        break;
      case "away": {
        const person = this.people.get(nick);
        if (person) Object.assign(person, { state: "away", text: first });
        break;
      }
    }
    const row = this.#add(talk, { time, nick, code: event, args, mine });
    if (!talk.unread) talk.readKey = row.key;
  }

  /** @param {Talk} talk @param {number} time @param {string} nick @param {number} id @param {number} size @param {string} name */
  #shared(talk, time, nick, id, size, name) {
    const known = this.#files.get(id);
    const row = known && talk.rows.find((row) => row.file === known);
    if (known) known.gone = null;
    if (row) return this.#mark(talk, "changed", row);
    const file = { id, name, size, nick, talkId: talk.id, gone: null };
    this.#files.set(id, file);
    const mine = nick === this.me.nick;
    const added = this.#add(talk, { kind: "file", time, nick, file, mine, mention: !mine && talk.kind === "person" });
    if (!mine) this.#unread(talk, added);
  }

  /** @param {Talk} talk @param {number} first @param {number} last */
  #erased(talk, first, last) {
    talk.seen.erase(first, last);
    for (const row of talk.rows.filter((row) => row.seq && row.seq >= first && row.seq <= last)) {
      row.erased = true;
      this.#remove(talk, row);
    }
  }

  /** Somebody is called otherwise, wherever they are. @param {string} nick @param {string} to */
  #follow(nick, to) {
    for (const talk of this.talks.values()) if (talk.kind === "room") talk.rename(nick, to);
    const person = this.people.get(nick);
    if (person) {
      this.people.delete(nick);
      this.people.set(to, { ...person, nick: to });
      this.#change.people = true;
    }
    const own = this.talks.get(`@${nick}`);
    if (own && !this.talks.has(`@${to}`)) this.#rekey(own, `@${to}`);
    if (this.#ignored.delete(nick)) this.#ignored.add(to);
    if (nick === this.me.nick) {
      this.me.nick = this.#name = to;
      this.#change.state = true;
    }
  }

  /** @param {Talk} talk @param {string} text */
  #say(talk, text) {
    const most = LINE - bytes(`/msg ${talk.id} /me \n`);
    for (const line of text.split(/\r?\n/)) {
      if (line.trim()) for (const part of parts(line.trimEnd(), most)) this.#message(talk, part);
    }
  }

  /** @param {Talk} talk @param {string} text */
  #message(talk, text) {
    if (this.#typing.talk === talk.id) this.#typing.talk = "";
    const row = this.#add(talk, {
      nick: this.me.nick,
      mine: true,
      state: "pending",
      way: "waits",
      time: this.#now,
      ...spoken(text),
    });
    if (!talk.unread) talk.readKey = row.key;
    this.#waiting.push({ row, talk });
  }

  /** Sends what waits, as far as it may go out now. */
  #flush() {
    while (this.#waiting.length && this.#phase === "on" && this.#isIn && this.#asked.length < UNANSWERED) {
      const next = this.#waiting[0];
      // What it may have to be told from must be known before, and as whom it is said.
      if ("row" in next && (next.talk.seen.isFetching || this.#isNaming)) return;
      this.#waiting.shift();
      if ("line" in next) this.#ask(next.line, next.then);
      else if ("row" in next) this.#send(next.talk, next.row);
      else this.#enter(next.talk, next.key);
    }
  }

  /** @param {Talk} talk @param {Row} row */
  #send(talk, row) {
    row.way = "sent";
    row.nick = this.me.nick;
    const text = row.kind === "action" ? `/me ${row.text}` : row.text;
    this.#ask(
      `/msg ${talk.id} ${text}`,
      (f) => {
        if (f?.is === "refused") this.#refuse(talk, row, { code: f.code, text: f.text });
        else if (row.way !== "sent") return;
        else if (!f) {
          row.way = "limbo";
          if (talk.kind === "person") row.state = "unknown";
        } else if (talk.kind === "person" || !talk.joined) Object.assign(row, { state: "sure", way: null });
        this.#mark(talk, "changed", row);
      },
      fold(talk.name),
    );
  }

  /** @param {Talk} talk @param {Row} row @param {import("./talks.js").Why} why */
  #refuse(talk, row, why) {
    Object.assign(row, { state: "refused", why, way: null });
    this.#mark(talk, "changed", row);
  }

  // What is typed.

  /** @param {Talk} talk @param {string} text */
  #typed(talk, text) {
    const [word, rest] = cut(text.slice(1));
    const typed = word.toLowerCase();
    const name = ALIASES.get(typed) ?? typed;
    const [first, more] = cut(rest.trim());
    if (name === "me" && rest.trim()) this.#say(talk, `/me ${rest}`);
    else if ((name === "msg" || name === "query") && first) {
      const id = /^[#@]/.test(first) ? first : `@${first}`;
      const to = this.#find(id) ?? this.#open(id);
      if (more) this.#say(to, more);
      if (name === "query") this.#look(to);
    } else if (name === "join" && first) this.join(first, more || undefined);
    else if (name === "leave" && !rest.startsWith("#")) this.leave(talk.id);
    else if (name === "nick" && first) this.rename(rest);
    else if (name === "pass" && first) this.unlock(rest);
    else if (name === "login" && more) this.login(first, more);
    else if (AUTOMATIC.test(name)) this.#note(talk, text, "automatic");
    else
      this.#run(
        talk,
        `/${name}${OF_ROOM.test(name) && talk.kind === "room" && rest[0] !== "#" ? ` ${talk.id}` : ""}${rest && ` ${rest}`}`,
        true,
      );
  }

  /** Has the server do something, and shows what it says to that. @param {Talk} talk @param {string} line @param {boolean} isTyped */
  #run(talk, line, isTyped) {
    if (/^\/quit\b/.test(line)) this.#bye = { code: "quit", text: "" };
    this.#do(line, (f, rows) => {
      if (f?.is === "refused") this.#note(talk, f.text, "refused", f);
      else if (f && isTyped) {
        for (const text of rows) this.#note(talk, text, "detail", null, [f.command]);
        const isSecret = /^(token|register|login|passwd|drop|pass|grant)$/.test(f.command) && f.command !== "grant";
        if (!rows.length)
          this.#note(talk, isSecret ? f.command : `${f.command} ${f.text}`.trim(), "done", null, [f.command]);
      } else if (!f) this.#note(talk, cut(line)[0], "unanswered");
    });
  }

  // What has changed.

  /** @param {Talk} talk */
  #of(talk) {
    let rows = this.#rows.get(talk);
    if (!rows) {
      rows = { added: [], changed: [], removed: [], older: [] };
      this.#rows.set(talk, rows);
    }
    return rows;
  }

  /** @param {Talk} talk @param {"changed"} how @param {Row} row */
  #mark(talk, how, row) {
    const rows = this.#of(talk);
    if (!rows.added.includes(row) && !rows[how].includes(row)) rows[how].push(row);
    this.#isDirty = true;
  }

  /** @param {Talk} talk @param {Partial<Row>} row */
  #add(talk, row) {
    const added = talk.add(row);
    this.#of(talk).added.push(added);
    this.#of(talk).removed.push(...talk.trim());
    this.#isDirty = true;
    return added;
  }

  /** @param {Talk} talk @param {Row} row */
  #remove(talk, row) {
    if (talk.remove(row)) this.#of(talk).removed.push(row);
    this.#isDirty = true;
  }

  /** Tells something where the person looks. @param {Talk | null} talk @param {string} text @param {string} code
   * @param {import("./talks.js").Why | null} [why] @param {string[]} [args] */
  #note(talk, text, code, why = null, args = []) {
    const to = talk ?? this.#find(this.current) ?? this.talks.values().next().value;
    if (!to) return;
    const row = this.#add(to, {
      kind: "note",
      time: this.#now,
      text,
      code,
      why: why && { code: why.code, text: why.text },
      args,
    });
    if (!to.unread) to.readKey = row.key;
  }

  /** @param {typeof this.state} state */
  #set(state) {
    if (this.state !== state) this.#change.state = true;
    this.state = state;
  }

  /** @param {{ code: string, text: string } | null} f @param {string | null} [name] @param {Partial<Trouble>} [more] */
  #trouble(f, name = null, more = {}) {
    if (f || this.trouble) this.#change.state = true;
    this.trouble = f && { code: f.code, text: f.text, retryAt: null, tries: null, name, free: null, ...more };
  }

  /** @param {string} id */
  #find(id) {
    const talk = this.talks.get(id);
    if (talk || !id) return talk;
    const folded = fold(id);
    for (const other of this.talks.values()) if (fold(other.id) === folded) return other;
  }

  /** @param {string} id */
  #open(id) {
    const talk = new Talk(id, this.me);
    this.talks.set(id, talk);
    this.#isDirty = this.#change.talks = true;
    return talk;
  }

  /** @param {Talk} talk @param {string} id */
  #rekey(talk, id) {
    if (talk.id === id) return;
    const before = talk.id;
    const all = [...this.talks].map(([at, one]) => /** @type {const} */ ([at === before ? id : at, one]));
    talk.id = id;
    this.talks = new Map(all);
    if (this.current === before) this.current = id;
    this.#change.talks = true;
  }

  /** @param {Talk} talk */
  #close(talk) {
    this.talks.delete(talk.id);
    this.#rows.delete(talk);
    this.#waiting = this.#waiting.filter((waiting) => !("talk" in waiting) || waiting.talk !== talk);
    if (this.current === talk.id) this.current = this.talks.keys().next().value ?? "";
    this.#isDirty = this.#change.talks = true;
  }

  /** @param {Talk} talk */
  #look(talk) {
    if (this.current !== talk.id) this.#change.talks = true;
    this.current = talk.id;
  }

  /** @param {Row} row */
  #talkOf(row) {
    for (const talk of this.talks.values()) if (talk.rows.includes(row)) return talk;
  }

  /** What every call ends with: what is to be sent goes out, and what has changed is told. */
  #end() {
    if (this.#isIn) this.#poll();
    this.#flush();
    const out = this.#out;
    this.#out = "";
    if (out && this.#up) this.#hooks.send(out);
    if (this.#isDirty && this.#now - this.#savedAt >= SAVE) this.save();
    this.wake = this.#due();
    const rows = [...this.#rows].map(([talk, rows]) => /** @type {const} */ ([talk.id, rows]));
    const change = this.#change;
    this.#change = {};
    this.#rows.clear();
    if (rows.length) change.rows = new Map(rows);
    if (Object.keys(change).length) this.#hooks.changed(change);
  }

  #due() {
    const due = [this.#retryAt, this.#up ? (this.#aliveBy ?? this.#heardAt + SILENT) : null, this.#regain?.at ?? null];
    if (this.#isDirty) due.push(this.#savedAt + SAVE);
    for (const talk of this.talks.values()) if (talk.typing.length) due.push(this.#now + 1000);
    const times = due.filter((time) => time !== null);
    return times.length ? Math.min(...times) : null;
  }
}
