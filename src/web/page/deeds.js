/** What a person does besides talking; loaded when it is done first. */
import { spoken } from "./talks.js";
import { Transfers } from "./transfer.js";
import { ALIASES } from "./slips.js";
import { past } from "./rooms.js";
import { typed as textOf } from "./stay.js";
import { cut, row as detail } from "./view.js";

/** @import { Session } from "./session.js" */
/** @import { Stay } from "./stay.js" */
/** @import { Talk } from "./talks.js" */
/** @import { Line, Reply, Row, Then, Transfer } from "./types" */

/** How many lines an older page of the history has. */
const OLDER = 200;
/** In seconds: how long a ban or mute of a guest holds that has no time, and how long at most. */
const DAY = 86_400;
const OF_GUEST = 30 * DAY;
/** People in a room whose state is asked for. */
const SEEN = 100;
/** Commands that are about a room, which may be left out. */
const OF_ROOM = /^(leave|topic|op|deop|voice|devoice|founder|kick|ban|mute|unban|bans|invite|uninvite|room|erase)$/;
/** What the page does by itself, or must not be undone. */
const AUTOMATIC = /^(keep|resume|typing|set|send|get|cancel|history)$/;
/** Commands of which the answer has a secret in it, or none that a person needs. */
const SECRET = /^(token|register|login|passwd|drop|pass)$/;

/** Those with a secret of a name in them. */
const OF_NAME = /^\/(register|login|passwd|drop) /;

/** Asks by `ask` once it is known that the server takes a secret of a name here, which nobody on the way may read: how a guest is refused
 * a token tells that. Who owns a name has proved it here. @param {Session} s @param {string} line @param {Then} then @param {Session["ask"]} ask */
function safely(s, line, then, ask = (line, then) => s.ask(line, then)) {
  if (s.me.owned || !OF_NAME.test(line)) return ask(line, then);
  ask("/token", (f) => {
    if (f?.is === "refused" && f.code === "insecure") then({ ...f, command: cut(line.slice(1))[0] }, []);
    else if (f) ask(line, then);
    else then(null, []);
  });
}

/** @param {Session} s @param {string} name @param {string} password */
export function login(s, name, password) {
  if (!s.up && s.state === "locked") {
    stay(s).onLocked = () => login(s, name, password);
    return s.now(s.clock);
  }
  s.tell(null);
  if (s.entered) stay(s).wary = "/login";
  safely(s, `/login ${name.trim()} ${password.trim()}`, (f, rows) => did(s, f, rows, "", name));
}

/** @param {Session} s @param {string} password @param {boolean} [isKnown] it has let us in before */
export function unlock(s, password, isKnown) {
  if (!s.up && s.state === "locked") {
    stay(s).onLocked = () => unlock(s, password);
    return s.now(s.clock);
  }
  s.password = password.trim();
  s.ask(`/pass ${s.password}`, (f) => {
    if (f?.is === "refused") s.password = "";
    did(s, f, [], "", null);
    if (isKnown && f?.is === "refused" && f.code === "refused") s.tell({ code: "outdated", text: "" });
  });
}

/** Makes the name that we have ours; or gives it another password. @param {Session} s @param {string} password @param {string} [old] */
export function register(s, password, old = "") {
  const line = s.me.owned ? `/passwd ${old.trim()} ${password.trim()}` : `/register ${password.trim()}`;
  s.tell(null);
  stay(s).wary = cut(line)[0];
  const isNew = s.me.owned;
  safely(s, line, (f) => {
    did(s, f, [], line, s.me.nick);
    if (!f) s.note(null, cut(line)[0], "unanswered");
    else if (isNew && f.is === "done") s.note(null, "", "password");
  });
}

/** @param {Session} s */
export function logout(s) {
  s.do("/logout", (f) => did(s, f, [], "", s.me.nick));
}

/** Leaves nothing behind, here and there. @param {Session} s */
export function forget(s) {
  s.save();
  if (s.me.owned) s.ask("/token off");
  s.ask("/quit");
  stay(s).place.end();
  for (const talk of [...s.talks.values()]) s.close(talk);
  Object.assign(s, {
    name: "",
    password: "",
    had: "",
    entered: false,
    token: null,
    waiting: [],
    isLeaving: true,
  });
  s.ignored.clear();
  s.me.away = null;
  s.change.state = true;
  stay(s).forgotten();
}

/** @param {Session} s @param {string | null} text null: back */
export function away(s, text) {
  const line = text === null ? "/back" : `/away ${text}`.trim();
  s.do(line, (f) => did(s, f, [], line, null));
}

/** Says once more what was refused, or has an unknown fate. @param {Session} s @param {Row} row */
export function again(s, row) {
  const talk = of(s, row);
  if (!talk || !row.mine || !/unknown|refused/.test(row.state)) return;
  talk.isGone = false;
  stay(s).remove(talk, row);
  stay(s).message(talk, textOf(row));
}

/** @param {Session} s @param {Row} row */
export function drop(s, row) {
  const talk = of(s, row);
  s.waiting = s.waiting.filter((one) => !("row" in one) || one.row !== row);
  if (talk && row.state !== "sure") stay(s).remove(talk, row);
}

/** @param {Session} s @param {string} talkId */
export function older(s, talkId) {
  const talk = s.find(talkId);
  if (talk?.hasOlder && talk.joined && !s.asked.some(({ about }) => about === `older ${talk.id}`)) page(s, talk);
}

/** What is before the oldest row, as often as it takes. @param {Session} s @param {Talk} talk @param {number} [after] @param {Line[]} [had] */
function page(s, talk, after, had = []) {
  const oldest = talk.rows.find((row) => row.seq)?.seq ?? 1;
  const line = `/history ${talk.id} after ${after ?? Math.max(oldest - 1 - OLDER, 0)}`;
  s.ask(
    line,
    (f, rows) => {
      if (f?.is !== "done") return;
      const all = rows.flatMap(past);
      const lines = [...had, ...all.filter((line) => line.seq < oldest)];
      const last = all.at(-1)?.seq ?? oldest;
      if (last < oldest - 1) return page(s, talk, last, lines);
      talk.hasOlder = lines.length > 0 && lines[0].seq > 1;
      // Files stand between them by their time, and all that are left stand above the first message.
      const from = talk.hasOlder ? lines[0].time : 0;
      const until = talk.rows.find((row) => row.seq)?.time ?? s.clock;
      const told = [
        ...lines.map((line) => ({ ...line, mine: line.nick === s.me.nick, ...spoken(line.text) })),
        ...talk.due(from, until).map(({ time, file }) => talk.shared(time, file)),
      ].sort((a, b) => (a.time ?? 0) - (b.time ?? 0));
      const older = told
        .reverse()
        .map((row) => talk.row(row, "older"))
        .reverse();
      talk.rows.unshift(...older);
      s.of(talk).older.push(...older);
      s.change.talks = true;
    },
    `older ${talk.id}`,
  );
}

/** How those in a room are, as nobody is told who is away: if they are few enough to be looked at. @param {Session} s @param {string} talkId */
export function askPeople(s, talkId) {
  const talk = s.find(talkId);
  if (talk?.joined && talk.kind === "room" && talk.members.size <= SEEN) stay(s).who(talk);
}

/** @param {Session} s @param {(rooms: { name: string, count: number, topic: string }[]) => void} then */
export function askRooms(s, then) {
  s.ask("/rooms", (_, rows) => {
    const rooms = rows.map((text) => detail("rooms", text)).filter((room) => room !== null);
    then(rooms.map(({ room, count, topic }) => ({ name: room, count: Number(count), topic })));
  });
}

/** Whether names can be made somebody's own here. @param {Session} s @param {(can: boolean) => void} then */
export function askOwning(s, then) {
  s.ask("/help", (f, rows) => then(f?.is !== "done" || rows.some((text) => text.startsWith("/register "))));
}

/** What a menu offers. @param {Session} s @param {string} verb the command @param {string} talkId @param {string} nick @param {string} [reason] */
export function menu(s, verb, talkId, nick, reason) {
  const talk = s.find(talkId);
  if (talk)
    run(s, talk, `/${verb}${OF_ROOM.test(verb) ? ` ${talkId}` : ""} ${nick}${reason ? ` ${reason}` : ""}`, false);
}

/** @param {Session} s @param {Row} row */
export function erase(s, row) {
  const talk = of(s, row);
  if (talk && row.file) run(s, talk, `/cancel ${row.file.id}`, false);
  else if (talk && row.seq) run(s, talk, `/erase ${talk.id} ${row.seq}`, false);
}

/** @param {Session} s @param {string} talkId @param {import("./transfer.js").Source} source @returns {Transfer} */
export function upload(s, talkId, source) {
  return carry(s).upload(talkId, source);
}

/** @param {Session} s @param {number} id @param {import("./transfer.js").Sink} sink @returns {Transfer} */
export function fetch(s, id, sink) {
  return carry(s).fetch(s.files.get(id) ?? { id, name: `${id}`, size: 0 }, sink);
}

/** @param {Session} s @param {Transfer} transfer */
export function cancel(s, transfer) {
  s.transfers?.cancel(transfer);
}

/** @param {Session} s */
function carry(s) {
  if (s.transfers) return s.transfers;
  // What a transfer does comes when its file has been read, and not within a call.
  const soon = () => queueMicrotask(() => s.end());
  const all = new Transfers({
    now: () => Date.now(),
    send: (lines) => {
      if (!s.isIn) return;
      stay(s).place.sent(1);
      s.out += lines;
      soon();
    },
    ask: (line, answered) => {
      const [command, id] = line.split(" ");
      if (command === "/send" && s.find(id)?.isGone) return answered({ code: "stranger", text: "" });
      const file = s.files.get(Number(id));
      const isOwn =
        command === "/cancel" &&
        file?.nick === s.me.nick &&
        ![...all.list].some((one) => one.way === "down" && one.file === id);
      s.ask(line, (f) => {
        const talk = isOwn && f?.is === "done" && s.find(file.talkId);
        if (talk) s.gone(talk, file.id, "gone");
        if (f?.is === "done" && f.command === "send") {
          const [, id, size, , ...name] = line.split(" ");
          const talk = s.find(id);
          if (talk) stay(s).shared(talk, s.clock, s.me.nick, [cut(f.text)[0], size, name.join(" ")]);
        }
        if (f) answered({ code: f.is === "refused" ? f.code : null, text: f.text });
      });
      soon();
    },
    changed: (transfer) => {
      s.change.transfers ??= new Set();
      s.change.transfers.add(/** @type {Transfer} */ (transfer));
      soon();
    },
  });
  all.largest = s.server.limits.get("file") ?? Number.POSITIVE_INFINITY;
  s.transfers = all;
  stay(s).carry();
  return all;
}

/** @param {Session} s @param {Talk} talk @param {string} text */
export function typed(s, talk, text) {
  const [word, rest] = cut(text.slice(1));
  const name = ALIASES.get(word.toLowerCase()) ?? word.toLowerCase();
  const [first, more] = cut(rest.trim());
  if (/^(msg|query)$/.test(name) && first) {
    const id = /^[#@]/.test(first) ? first : `@${first}`;
    const known = s.find(id);
    if (known) known.isGone = false;
    const to = s.find(id) ?? s.opened_(id);
    if (more) stay(s).speak(to, more);
    if (name === "query") s.look(to.id);
  } else if (name === "join" && first) s.join(first, more || undefined);
  else if (name === "leave" && rest[0] !== "#") s.leave(talk.id);
  else if (name === "nick" && first) s.enter(rest);
  else if (name === "pass" && first) unlock(s, rest);
  else if (name === "login" && more) login(s, first, more);
  else if (name === "help" && !first) s.note(talk, "", "help");
  else if (AUTOMATIC.test(name)) s.note(talk, `/${name}`, "automatic");
  else {
    const room = OF_ROOM.test(name) && talk.kind === "room" && rest[0] !== "#" ? ` ${talk.id}` : "";
    run(s, talk, `/${name}${room}${rest && ` ${rest}`}`, true);
  }
}

/** Has the server do something, and shows what it says to that. @param {Session} s @param {Talk} talk @param {string} line @param {boolean} isTyped */
function run(s, talk, line, isTyped) {
  if (line.startsWith("/quit")) s.bye = { code: "quit", text: "" };
  /** @type {Then} */
  const then = (f, rows) => {
    if (!f) return s.note(talk, cut(line)[0], "unanswered");
    if (f.is === "refused") return s.note(talk, f.text, "refused", f);
    did(s, f, rows, line, null);
    if (!isTyped) return;
    for (const text of rows) s.note(talk, text, "detail", null, [f.command]);
    const told = SECRET.test(f.command) ? f.command : `${f.command} ${f.text}`.trim();
    if (!rows.length && f.command !== "invite") s.note(talk, told, "done", null, [f.command]);
  };
  safely(s, line, then, (line, then) => s.do(line, then));
}

/** Who is kept out of a room, or from speaking there. @typedef {{ id: string, kind: string, who: string, until: number }} Ban `until` in ms, 0: for good */
/** @param {Session} s @param {string} talkId @param {(bans: Ban[] | null) => void} then null: that is not for us to know */
export function askBans(s, talkId, then) {
  s.do(`/bans ${talkId}`, (f, rows) => {
    const bans = rows
      .map((text) => /^(?<id>\d+) (?<kind>ban|mute) (?<who>\S+) \S+ (?<until>\S+)/.exec(text)?.groups)
      .filter((ban) => ban !== undefined);
    if (f?.is === "refused") s.note(s.find(talkId) ?? null, f.text, "refused", f);
    then(
      f?.is === "done"
        ? bans.map(({ id, kind, who, until }) => ({ id, kind, who, until: Date.parse(until) || 0 }))
        : null,
    );
  });
}

/** What we did ourselves, of which only the answer tells. @param {Session} s @param {Reply | null} f @param {string[]} rows
 * @param {string} line that was answered @param {string | null} name that a refusal is about */
function did(s, f, rows, line, name) {
  if (f?.is === "refused" && f.code === "refused") s.wrong++;
  if (f?.is === "refused") s.tell(f, { name, tries: f.code === "refused" ? Math.max(5 - s.wrong, 0) : null });
  if (f?.is !== "done") return;
  if (SECRET.test(f.command)) stay(s).wary = "";
  const [first, rest] = cut(f.text);
  const [, , ...words] = line.split(" ");
  /** @param {string} event @param {...string} args */
  const own = (event, ...args) => stay(s).event(first, s.clock, s.me.nick, event, args);
  switch (f.command) {
    case "login":
      for (const text of rows) {
        const room = detail("in", text)?.room;
        if (room && !s.find(room)) s.opened_(room);
      }
      return stay(s).owns(f, true);
    case "register":
      return stay(s).owns({ ...f, text: s.me.nick }, true);
    case "passwd":
      stay(s).lacksPassword = false;
      s.change.state = true;
      return stay(s).askToken();
    case "logout":
    case "drop":
      s.me.owned = s.me.operator = stay(s).lacksPassword = false;
      s.token = null;
      s.called(first);
      return s.enterAll();
    case "leave": {
      const talk = s.find(first);
      return talk && s.close(talk);
    }
    case "topic":
      return words.length && own("topic", rest);
    case "op":
    case "voice":
    case "founder":
      return words.length && own("made", rest, f.command);
    case "deop":
    case "devoice":
      return own("made", rest, "nobody");
    case "kick":
      return own("kicked", rest, words.slice(1).join(" "));
    case "ban":
    case "mute": {
      const [time, count, unit] = /^(\d+)([smhd]?)$/.exec(words[1] ?? "") ?? [];
      const who = rest.split(" ")[1] ?? "";
      let seconds = time ? Number(count) * ({ m: 60, h: 3600, d: 86400 }[unit ?? ""] ?? 1) : null;
      // Nothing holds for longer for a guest, and without a time it holds for a day.
      if (who.startsWith("guest:")) seconds = seconds === null ? DAY : Math.min(seconds || OF_GUEST, OF_GUEST);
      const why = words.slice(time ? 2 : 1).join(" ");
      return own(f.command === "ban" ? "banned" : "muted", who, `${seconds ?? ""}`, why);
    }
    case "invite":
      return s.note(s.find(first) ?? null, "", "invited", null, [rest]);
    case "room":
      return words.length > 1 && own("set", ...rest.split(" "));
    case "erase":
      return own("erased", words[0], words[1] ?? words[0]);
    case "cancel": {
      const talk = s.find(s.files.get(Number(first))?.talkId ?? "");
      return talk && s.gone(talk, Number(first), "gone");
    }
    case "ignore":
      return line.includes(" ") && s.ignored.add(first);
    case "unignore":
      return s.ignored.delete(first);
    case "away":
    case "back":
      s.me.away = f.command === "away" ? cut(line)[1] : null;
      askPeople(s, s.current);
      s.change.state = true;
  }
}

/** @param {Session} s */
const stay = (s) => /** @type {Stay} */ (s.rest);

/** The talk of a row. @param {Session} s @param {Row} row */
const of = (s, row) => [...s.talks.values()].find((talk) => talk.rows.includes(row));
