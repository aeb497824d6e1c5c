/** What is typed and may not be meant as it stands: commands without their slash, or with another sign in its place. The client has the
 * same rule (`client/model/session/slips.rs`); both are tested with the same table. */
import { cut } from "./view.js";

/** What stands in the place of a slash: what looks like one, what other programs' commands begin with, and the keys beside it. */
const WRONG = /^[\\|?!.\-7／∕⁄](pass|passwd|login|register|token|drop) +[^ ]/i;
/** What an operator gives to whoever is to have a name. */
const TOKEN = /^token:[\w-]{43}$/;
/** Lines with a secret in them, by the rule of `commands/mistyped.rs`, whatever stands around the slash but another one. */
const SECRET =
  /^[\s\p{Cf}\u0085\u2800]*\/\s*((?:pass|login|register|token|drop)\S*|(?:identify|id|auth|authenticate|sasl|ns|nickserv|msgserv|cs|chanserv|ghost|recover|regain|release|oper|su|changepassword|changepass|chpass|setpass|setpassword|newpass|newpassword|pw|pwd|quote|raw)(?=\s+\S))/iu;
const FOR_ONE = /^[\s\p{Cf}\u0085\u2800]*\/\s*(msg|query|w|tell|whisper)\s+\S/iu;

/** Other names of commands. */
export const ALIASES = new Map([
  ["part", "leave"],
  ["list", "rooms"],
  ["names", "who"],
  ["whois", "who"],
  ["exit", "quit"],
]);
/** The name of a command, of which some have several. @param {string} word */
const named = (word) => ALIASES.get(word) ?? (word === "bye" ? "quit" : word);
/** Commands that may name a room before all else. */
const OF_ROOM = /^(topic|bans|history|erase|unban|room|kick|ban|mute|op|deop|voice|devoice|founder|invite|uninvite)$/;
/** What somebody who is known may stand behind, alone. */
const OF_NICK =
  /^(who|account|ignore|unignore|kick|ban|mute|op|deop|voice|devoice|founder|invite|uninvite|kill|where|grant|revoke)$/;
/** What else commands have behind them that is in no sentence. @type {[RegExp, RegExp][]} */
const SHAPES = [
  [/^(help|quit|rooms|files|limits|logout|account|away|leave|topic|bans|history|room|set|who|ignore)$/, /^$/],
  [/^(register|login|passwd|token)$/, /^$/],
  [/^(join|query|nick|pass|drop|register)$/, /^[^ ]+$/],
  [/^(login|passwd)$/, /^[^ ]+ +[^ ]+$/],
  // The name is left out.
  [/^login$/, /^(?=[^ ]*\d)[^ ]{8,128}$/],
  // A key is nobody's but theirs who come in.
  [/^join$/, /^#[^ ]* [^ ]+$/],
  [/^leave$/, /^#/],
  [/^token$/, /^off$/i],
  [/^typing$/, /^(on|off)$/i],
  [/^(unban|get|cancel)$/, /^\d+$/],
  [/^erase$/, /^\d+( \d+)?$/],
  [/^history$/, /^(after )?\d+$/],
  [/^set$/, /^(echo|stamp|presence|typing|whole) (on|off)$/i],
  [/^room$/, /^(hidden|invite-only|moderated|outside|topic-locked|past) (on|off)$|^guests (speak|listen|out)$/i],
  [/^room$/, /^key (?!on$)[^ ]+$|^limit (off|\d+)$|^slow (off|\d+[smhd]?)$/i],
  [/^msg$/, /^[#@]|^[^ ]* .*[^ ]/s],
  [/^send$/, /^([^ ]+ )?(?=[^ ]*[./])[^ ]*[^ .]$/],
];

/** The command with a password in it that a text is but for its slash, by the rule of PROTOCOL.md. @param {string} text */
function secret(text) {
  const [first, one, two, ...more] = text.split(/[\s\u0085\u2800]+/).filter(Boolean);
  const isPassword = (/** @type {string | undefined} */ word = "") => {
    const { length } = new TextEncoder().encode(word);
    return length >= 8 && length <= 128;
  };
  const name = first?.toLowerCase().replace(/:$/, "");
  if (!one || more.length) return null;
  if (name === "login") return isPassword(two) ? name : null;
  if (name === "register" || name === "drop") return !two && (name === "register" || isPassword(one)) ? name : null;
  return name === "passwd" && (isPassword(one) || isPassword(two)) ? name : null;
}

/** The command that somebody may mean who has typed this line without its slash, and whether it has a password in it.
 * @param {string} line @param {(nick: string) => boolean} isKnown whether there is somebody of that name
 * @returns {{ name: string, isSecret: boolean } | null} */
export function slip(line, isKnown) {
  const name = WRONG.exec(line)?.[1].toLowerCase() ?? (TOKEN.test(line) ? "login" : secret(line.replace(/^> */, "")));
  if (name) return { name, isSecret: true };
  // What is for one person is said to none else.
  const forOne = /^\\(msg|query) +[^ ]/i.exec(line)?.[1].toLowerCase();
  if (forOne) return { name: forOne, isSecret: false };
  // Or as it stands in a manual, behind the sign of what is typed there.
  const indented = /^(?:\s+|> *)\/([a-z]+)(\s|$)/i.exec(line)?.[1].toLowerCase();
  if (indented) return { name: named(indented), isSecret: /^(pass|login|register|token|drop)/.test(indented) };
  const [word, rest] = cut(line);
  const command = named(word.toLowerCase());
  const about = OF_ROOM.test(command) ? rest.replace(/^#[^ ]*( |$)/, "") : rest;
  const isMeant =
    SHAPES.some(([names, shape]) => names.test(command) && shape.test(about)) ||
    (OF_NICK.test(command) && isKnown(about));
  return isMeant ? { name: command, isSecret: false } : null;
}

/** The command that stands where it would be said, with a secret in it or something for one person: behind a blank, or among other lines.
 * @param {string} text */
export function astray(text) {
  const isAlone = !text.trim().includes("\n");
  if (isAlone && /^\/[a-z?]/i.test(text)) return null;
  const found = text.split("\n").map((line) => SECRET.exec(line) ?? (isAlone ? null : FOR_ONE.exec(line)));
  return found.find((one) => one)?.[1].toLowerCase() ?? null;
}
