import { late } from "./late.js";

/**
 * What the first view says: a key and its text on each line; strings-en.js has all else. `{0}` stands for a name or a number; `|` stands
 * between the forms for numbers, in the order of the language's `pluralCategories` (in English and German: one, other). `refusal.` is
 * followed by a code of PROTOCOL.md, and where one code has several causes by the command that was refused; `{0}` is what the server
 * says of it, and a code without a text is told in these words alone. Another language is a file like strings-de.js, with all of it.
 */
const english = `
askName What shall we call you?
attach Send files
bye.blocked This server does not let you in.
bye.full The server is full.
bye.idle You were away too long without a password.
bye.lost No connection.
bye.no-websocket Something between you and the server, a proxy perhaps, does not pass WebSockets on. Ask whoever runs it.
bye.shutdown The server is being restarted.
bye.too-slow Your connection was too slow.
comeTo You will be in {0}.
connecting Connecting to {0} …
dropHere Drop files here to send them
elsewhere You are here in another tab.
find Find a room or person
guests Only people who own their names come in now.
haveName I have a name here
join Join
locked This server has a password.
login Log in
members Who is here
newVersion There is a new version of this page.
noSlash The address lacks a slash at its end: add “/” and try again.
now Try now
offers Suggestions
oneWord A password has no blanks, and 8 characters or more.
ownName Your name
password Password
people People
photo Take a photo
refusal.ask You can ask: {0}
refusal.bad-name Please choose another name: one word of up to 20 letters of one alphabet, digits, - and _, that begins with a letter.
refusal.owned This name belongs to somebody. If that is you, log in below.
refusal.refused.login That is not right. Try again.
refusal.refused.pass That is not right. Try again.
refusal.taken Somebody here has this name, or one that looks like it. Choose another, or wait three minutes if that was you.
refusal.until This ends {0}, {1}.
refusal.wait Wait {0} second.|Wait {0} seconds.
refusal.words A name is one word.
reload Reload
roomMenu Menu of this talk
rooms Rooms
send Send
settings Settings
takeFree Be {0}
talks Rooms and people
transfers Files under way
tries {0} try is left.|{0} tries are left.
tryAgain Try again
trying Trying again in {0} second.|Trying again in {0} seconds.
useHere Use it here
word Password or token
`;

/** @param {string} text @returns {Record<string, string>} */
const table = (text) =>
  Object.fromEntries(
    text
      .trim()
      .split("\n")
      .map((line) => line.split(/ (.*)/, 2)),
  );

export const first = table(english);

/** All texts of a language. @type {Record<string, () => Promise<Record<string, string>>>} */
export const languages = {
  en: async () => ({ ...first, ...table((await late(import("./strings-en.js"))).english) }),
  de: async () => table((await late(import("./strings-de.js"))).german),
};

/** The first of these languages that there is, English else. @param {readonly string[]} tags such as those of `navigator.languages` */
export const choose = (tags) => tags.map((tag) => tag.split("-")[0]).find((one) => one in languages) ?? "en";

/** The texts in that language. @param {readonly string[]} tags */
export async function texts(tags) {
  const lang = choose(tags);
  // The region of the browser counts for times and numbers, if it is one of that language.
  const tag = tags.find((one) => one.startsWith(lang)) ?? lang;
  const own = lang === "en" ? { ...first } : await languages[lang]();
  const clock = new Intl.DateTimeFormat(tag, { timeStyle: "short" });
  const date = new Intl.DateTimeFormat(tag, { weekday: "long", day: "numeric", month: "long" });
  const full = new Intl.DateTimeFormat(tag, { dateStyle: "full" });
  const plural = new Intl.PluralRules(lang);
  const forms = plural.resolvedOptions().pluralCategories;
  const has = (/** @type {string} */ key) => key in own;
  const t = (/** @type {string} */ key, /** @type {(string | number)[]} */ ...args) =>
    (own[key] ?? key).replace(/\{(\d)\}/g, (whole, i) => String(args[i] ?? whole));
  return {
    lang,
    dir: /^(ar|fa|he|ur)$/.test(lang) ? "rtl" : "ltr",
    has,
    t,
    /** Loads what comes behind the first view. */
    async more() {
      Object.assign(own, await languages[lang]());
    },
    /** @param {string} key @param {number} count */
    n: (key, count) =>
      t(key, count)
        .split("|")
        .at(forms.indexOf(plural.select(count))) ?? "",
    /** @param {number} seconds 0 is for good */
    span(seconds) {
      const [unit, key] = /** @type {[number, string][]} */ ([
        [86400, "days"],
        [3600, "hours"],
        [60, "minutes"],
      ]).find(([one]) => seconds >= one) ?? [60, "minutes"];
      return seconds ? this.n(key, Math.ceil(seconds / unit)) : t("forGood");
    },
    /** @param {number} ms */
    time: (ms) => clock.format(ms),
    /** With the year, if that is another one. @param {number} ms */
    day: (ms) => (new Date(ms).getFullYear() === new Date().getFullYear() ? date : full).format(ms),
    /** @param {number} bytes */
    size(bytes) {
      // As the client tells it, and as operators set limits.
      const step = bytes < 1024 ? 0 : bytes < 1024 ** 2 ? 1 : bytes < 1024 ** 3 ? 2 : 3;
      const unit = ["byte", "kilobyte", "megabyte", "gigabyte"][step];
      return new Intl.NumberFormat(tag, {
        style: "unit",
        unit,
        unitDisplay: step ? "short" : "long",
        maximumFractionDigits: step > 1 ? 1 : 0,
      }).format(bytes / 1024 ** step);
    },
  };
}
