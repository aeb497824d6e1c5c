/**
 * What the page says: a key and its text on each line. `{0}` stands for a name or a number; `|` stands between the forms for numbers,
 * in the order of the language's `pluralCategories` (in English and German: one, other). `refusal.` is followed by a code of
 * PROTOCOL.md; one without a text is told in the words of the server. Another language is a file like strings-de.js.
 */
const english = `
about About this room
again Send again
asDevice As on this device
asFile Send as a file
asText Send as messages
ask.ban Keep {0} out of {1}?
ask.erase Take this message away, for everybody?
ask.ignore See nothing more of what {0} says?
ask.kick Put {0} out of {1}?
ask.mute Stop {0} from speaking in {1}?
askKey {0} has a key
askName What shall we call you?
attach Send files
away Away message, shown beside your name
awayLike Back at one
ban Keep out…
below {0} new message|{0} new messages
bye.blocked This server does not let you in.
bye.full The server is full.
bye.idle You were away too long without a password.
bye.lost No connection.
bye.no-websocket Something between you and the server, a proxy perhaps, does not pass WebSockets on. Ask whoever runs it.
bye.shutdown The server is being restarted.
bye.too-slow Your connection was too slow.
came {0} came|{0} came
cancel Cancel
close Close
comeTo You will be in {0}.
commands /away TEXT – say that you are away;/back – you are here again;/ban NICK TIME REASON – keep somebody out;/help – all commands;/history 100 – what was said before;/ignore NICK – see nothing more of somebody;/invite NICK – ask somebody in;/join #ROOM – enter a room;/kick NICK REASON – put somebody out;/leave – leave this room;/me TEXT – say what you do;/msg NICK TEXT – write to one person;/mute NICK TIME REASON – stop somebody from speaking;/nick NAME – change your name;/op NICK – let somebody keep order;/room – the rules of this room;/rooms – all rooms;/topic TEXT – what this room is about;/unban ID – end a ban;/unignore NICK – see somebody again;/voice NICK – let somebody speak;/who – who is here
connecting Connecting to {0} …
copy Copy text
dark Dark
days {0} day|{0} days
deop Take back keeping order
device This browser
devoice Take back the voice
drop Remove
dropHere Drop files here to send them
elsewhere You are here in another tab.
emptyRoom Nothing has been said here yet. Whoever opens the address of this page comes to this room.
emptyTalk Only the two of you read what is said here, and the server keeps none of it.
enlarge Enlarge {0}
erase Take away…
event.away {0} is away
event.banned {0} keeps {1} out
event.erased {0} took messages away
event.joined {0} came in
event.kicked {0} put {1} out
event.left {0} left
event.lost {0} lost the connection
event.made.founder {0} hands this room to {1}
event.made.nobody {0} takes the rank of {1} back
event.made.op {0} lets {1} keep order
event.made.voice {0} gives {1} a voice
event.muted {0} stopped {1} from speaking
event.offline {0} has gone
event.online {0} is here again
event.quit {0} went
event.renamed {0} is now called {1}
event.set {0} set a rule: {1} {2}
event.topic {0} set the topic
event.unbanned {0} lets {1} in again
event.unheard {0} has gone, and did not get what you wrote last
event.unmuted {0} lets {1} speak again
find Find a room or person
flood {0} new message|{0} new messages
fold Count arrivals and departures together
forGood for good
forget Forget me here
forgetAsk Forget your name, rooms and settings on this device?
forgetWhy Your name, rooms and settings are kept in this browser.
goTo Go to
gone Gone
guests Only people who own their names come in now.
haveName I have a name here
heavy This file has {0}, which may be too much for this device. Fetch it?
here {0} here|{0} here
hideText Show who wrote, but not what
hours {0} hour|{0} hours
howLong For how long
ignore Ignore…
inTalk You are in {0}
invite Invite somebody
invites {0} invites you to {1}.
is.away away
is.gone not here
is.here here
is.typing here
join Join
key The key
kick Put out…
language Language
leave Leave
light Light
link Link that invites
locked This server has a password.
log Messages in {0}
login Log in
logout Log out
long This has {0} line.|This has {0} lines.
look Look
manyType Several people are typing …
mayNot.guests Only people who own their names may speak here.
mayNot.moderated Only those who were given a voice may speak here.
mayNot.muted You may not speak here now.
mayNot.outside You are not in this room.
members Who is here
mention Mention {0}
mentions {0} mention|{0} mentions
minutes {0} minute|{0} minutes
more More
mute Stop from speaking…
myName Your name
new New
newPassword A password, of 8 characters or more
newRoom New room
newVersion There is a new version of this page.
no No, thank you
noPush Only while this page is open: a closed page hears nothing.
noRoom No room
noSlash The address lacks a slash at its end: add “/” and try again.
note.anew This room began anew: what was said before is gone.
note.automatic The page does this by itself
note.missing Messages that are missing here: {1}
note.unanswered Not known whether this was done
note.wall {1} tells everybody
notify Notifications
notify.denied This browser forbids them to this page: its settings for this page can change that.
notify.insecure They need an encrypted connection (https).
notify.none This browser has none.
now Try now
offer Somebody wrote to you while you were elsewhere.
offers Suggestions
ok OK
older Earlier messages
op Let keep order
oneWord A password has no blanks, and 8 characters or more.
open Go
original Also send where and when photos were taken, and all else that the camera noted
ownName Your name
owned {0} is yours now
ownedHow With the password you come in by this name from anywhere: “I have a name here”.
password Password
pending Waiting to be sent
people People
photo Take a photo
rank.founder founder
rank.op keeps order
rank.voice voice
reason Reason
regain Your last visit here still has your name. It comes back to you within two minutes.
refusal.bad-name Please choose another name: one word of up to 20 letters of one alphabet, digits, - and _, that begins with a letter.
refusal.banned You may not come into this room. Those who keep order there can let you in.
refusal.busy That did not work just now. Try again in a moment.
refusal.changed The file has changed meanwhile. Send it again.
refusal.elsewhere The connection was lost, and whoever has that name now may be somebody else.
refusal.garbled Something was lost on the way. Fetch it again.
refusal.insecure Others can read along on this connection: open this page by https to log in.
refusal.owned This name belongs to somebody. If that is you, log in below.
refusal.refused That is not right. Try again.
refusal.taken Somebody here has this name, or one that looks like it. Please choose another.
refusal.until This ends {0}, {1}.
refusal.words A name is one word.
register Own this name
registerWhy With a password this name is yours, and nobody else’s.
reload Reload
rename Change
reply Reply
roomMenu Menu of this talk
rooms Rooms
save Save
send Send
sendTo Send to {0}
setAway Set
settings Settings
show Show
takeFree Be {0}
talks Rooms and people
tell Tell me when somebody writes to me
textName text
theme Brightness
toEnd To the newest
topic Topic
transfers Files under way
tries {0} try is left.|{0} tries are left.
tryAgain Try again
trying Trying again in {0} second.|Trying again in {0} seconds.
type1 {0} is typing …
type2 {0} and {1} are typing …
type3 {0}, {1} and {2} are typing …
unknown Not known whether this arrived.
unread {0} unread|{0} unread
unreadable This browser cannot read {0}. Send the original, with the place and all else that its camera wrote into it?
unsent Not sent: {0}
useHere Use it here
voice Give a voice
went {0} left|{0} left
write Write to {0}
writeTo Write to {0}
wrote wrote to you
you You
`;

/** @param {string} text @returns {Record<string, string>} */
const table = (text) =>
  Object.fromEntries(
    text
      .trim()
      .split("\n")
      .map((line) => line.split(/ (.*)/, 2)),
  );

/** @type {Record<string, () => Promise<Record<string, string>>>} */
export const languages = {
  en: async () => table(english),
  de: async () => table((await import("./strings-de.js")).german),
};

/** The texts in the first of these languages that there is, English else. @param {readonly string[]} tags such as those of `navigator.languages` */
export async function texts(tags) {
  const lang = tags.map((tag) => tag.split("-")[0]).find((one) => one in languages) ?? "en";
  // The region of the browser counts for times and numbers, if it is one of that language.
  const tag = tags.find((one) => one.startsWith(lang)) ?? lang;
  const own = await languages[lang]();
  const clock = new Intl.DateTimeFormat(tag, { timeStyle: "short" });
  const date = new Intl.DateTimeFormat(tag, { weekday: "long", day: "numeric", month: "long" });
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
    /** @param {string | null | undefined} code @param {string | null | undefined} text the server's own words */
    refusal(code, text) {
      if (!code || !has(`refusal.${code}`)) return text ?? code ?? "";
      const until = /\d{4}-\d\d-\d\dT[\d:]+Z/.exec(text ?? "")?.[0];
      const ms = Date.parse(until ?? "");
      return t(`refusal.${code}`) + (until ? ` ${t("refusal.until", date.format(ms), clock.format(ms))}` : "");
    },
    /** @param {number} ms */
    time: (ms) => clock.format(ms),
    /** @param {number} ms */
    day: (ms) => date.format(ms),
    /** @param {number} bytes */
    size(bytes) {
      const step = bytes < 1e3 ? 0 : bytes < 1e6 ? 1 : bytes < 1e9 ? 2 : 3;
      const unit = ["byte", "kilobyte", "megabyte", "gigabyte"][step];
      return new Intl.NumberFormat(tag, {
        style: "unit",
        unit,
        unitDisplay: step ? "short" : "long",
        maximumFractionDigits: step > 1 ? 1 : 0,
      }).format(bytes / 1e3 ** step);
    },
  };
}
