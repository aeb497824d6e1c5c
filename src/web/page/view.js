/** What the lines of the server say, as facts: see PROTOCOL.md, "Grammar". */

/** @import { Fact } from "./types" */

/** What stands behind the name of an event. @type {Record<string, RegExp>} */
const EVENTS = {
  joined: /^$/,
  left: /^(.*)$/s,
  renamed: /^(\S+)$/,
  quit: /^(.*)$/s,
  lost: /^(\S*)$/,
  topic: /^(.*)$/s,
  typing: /^$/,
  idle: /^$/,
  file: /^(\d+) (\d+) (.+)$/s,
  unfile: /^(\d+) (\S+)$/,
  made: /^(\S+) (founder|op|voice|nobody)$/,
  kicked: /^(\S+) ?(.*)$/s,
  banned: /^(\S+) (\d+) ?(.*)$/s,
  muted: /^(\S+) (\d+) ?(.*)$/s,
  unbanned: /^(\S+)$/,
  unmuted: /^(\S+)$/,
  set: /^(\S+) (\S+)$/,
  erased: /^(\d+) (\d+)$/,
  missed: /^(\d+) after (\d+)$/,
  away: /^(.*)$/s,
  invite: /^(#\S+)$/,
};

/** The details of replies. @type {Record<string, RegExp>} */
const ROWS = {
  topic: /^topic (?<text>.+)$/s,
  here: /^here (?<nicks>.+)$/,
  rules: /^rules (?<rules>.+)$/,
  in: /^in (?<room>#\S+) (?<seq>\d+)$/,
  had: /^had (?<lines>\d+)$/,
  upload: /^upload (?<id>\d+) (?<offset>\d+)$/,
  who: /^(?<nick>\S+) (?<state>here|typing|away) (?<idle>\d+)s (?<rooms>\S+) ?(?<text>.*)$/s,
  rooms: /^(?<room>#\S+) (?<count>\d+) ?(?<topic>.*)$/s,
  files: /^(?<id>\d+) (?<size>\d+) (?<nick>\S+) (?<talk>[#@]\S+) (?<age>\d+)s (?<state>ready|coming) (?<name>.+)$/s,
  history: /^\[(?<seq>\d+)@(?<time>[^\] ]+)\] <(?<nick>\S+)> (?<text>.+)$/s,
  op: /^(?<rank>founder|op|voice) (?<nick>\S+)$/,
  room: /^(?<rule>\S+) (?<value>\S+)$/,
  limits: /^(?<name>\S+) (?<value>\d+)s? /,
};

const SPOKEN = /^([#@]\S+) (?:\[(\d+|-)@([^\] ]+)\] )?(?:<(\S+)> (.+)|\* (\S+) (\S+)(?: (.*))?)$/s;
const SERVER =
  /^(?:(hello) (\S+) (\S+) (\d+) (.*)|(locked|bye|wall|nick) (\S+) ?(.*)|presence (\d+)((?: [-+]\S+)+)|(motd|notice) ?(.*))$/s;
const DATA = /^(\d+) (?:\. (\d+) (sha256:[0-9a-f]{64})|! (\S+) (.*)|([A-Za-z0-9+/]+={0,2}))$/s;

/** The first word, and what is behind it. @param {string} text @returns {[string, string]} */
export function cut(text) {
  const at = text.indexOf(" ");
  return at < 0 ? [text, ""] : [text.slice(0, at), text.slice(at + 1)];
}

/** @param {string | undefined} iso */
function ms(iso) {
  const time = iso ? Date.parse(iso) : Number.NaN;
  return Number.isNaN(time) ? null : time;
}

/** A detail of a reply by its fields; null if it is none of this kind. @param {string} kind @param {string} text */
export function row(kind, text) {
  return ROWS[kind]?.exec(text)?.groups ?? null;
}

/** One line of the server, without its end. @param {string} line @returns {Fact} */
export function view(line) {
  const text = line.slice(2);
  const first = line[0];
  if (first === "#" || first === "@") return spoken(line);
  if (first === "=") return data(line);
  if (line[1] !== " ") return { is: "other", text: line };
  if (first === "*") return news(text);
  if (first === "-") return { is: "detail", text };
  const [command, rest] = cut(text);
  if (first === "+") return { is: "done", command, text: rest };
  if (first !== "!") return { is: "other", text: line };
  const [code, why] = cut(rest);
  return { is: "refused", command, code, text: why };
}

/** @param {string} line @returns {Fact} */
function spoken(line) {
  const m = SPOKEN.exec(line);
  if (!m) return { is: "other", text: line };
  const [, talk, number, iso, from, text, nick, event, rest] = m;
  const time = ms(iso);
  if (from)
    return { is: "message", talk, seq: number && number !== "-" ? Number(number) : null, time, nick: from, text };
  const args = Object.hasOwn(EVENTS, event) ? EVENTS[event].exec(rest ?? "")?.slice(1) : undefined;
  return args ? { is: "event", talk, time, nick, event, args } : { is: "other", text: line };
}

/** @param {string} text @returns {Fact} */
function news(text) {
  const m = SERVER.exec(text);
  if (!m) return { is: "other", text: `* ${text}` };
  if (m[1]) {
    const name = /^online at (.*?); \/join /s.exec(m[5])?.[1] ?? "";
    return { is: "hello", nick: m[2], version: m[3], online: Number(m[4]), name };
  }
  const is = m[6];
  if (is === "locked" || is === "bye") return { is, code: m[7], text: m[8] };
  if (is === "wall" || is === "nick") return { is, nick: m[7], text: m[8] };
  if (m[9]) {
    const names = m[10].slice(1).split(" ");
    const of = (/** @type {string} */ sign) => names.filter((name) => name[0] === sign).map((name) => name.slice(1));
    return { is: "presence", version: Number(m[9]), gone: of("-"), came: of("+") };
  }
  return { is: m[11] === "motd" ? "motd" : "notice", text: m[12] };
}

/** @param {string} line @returns {Fact} */
function data(line) {
  const m = DATA.exec(line.slice(1));
  if (!m) return { is: "other", text: line };
  const id = Number(m[1]);
  if (m[6]) return { is: "data", id, base64: m[6] };
  if (m[4]) return { is: "failed", id, code: m[4], text: m[5] };
  return { is: "whole", id, size: Number(m[2]), digest: m[3] };
}
