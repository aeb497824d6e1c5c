import { Composer } from "./composer.js";
import { $, announce, bdi, button, h, parts, speak, T } from "./dom.js";
import { gate } from "./gate.js";
import { Link } from "./link.js";
import { Lists } from "./lists.js";
import { Log, linked } from "./log.js";
import { Session } from "./session.js";

/** @typedef {{ theme?: string, language?: string, notify?: boolean, hideText?: boolean, fold?: boolean, offered?: boolean }} Choices */
/** @typedef {"localStorage" | "sessionStorage"} Storage */

const KEY = "chinwag.1";
/** @param {Storage} where */
const kept = (where) => {
  try {
    return JSON.parse(window[where].getItem(KEY) ?? "") ?? {};
  } catch {
    return {};
  }
};
/** A storage that is full, or forbidden, is no error. @param {Storage} where @param {object} what */
const keep = (where, what) => {
  try {
    window[where].setItem(KEY, JSON.stringify(what));
  } catch {}
};

let { ui, ...local } = kept("localStorage");
let { drafts, ...stay } = kept("sessionStorage");
/** @type {Choices} */
let choices = ui ?? {};
const keepLocal = () => keep("localStorage", { ...local, ui: choices });
const keepStay = () => keep("sessionStorage", { ...stay, drafts: [...composer.drafts] });
const theme = () => {
  document.documentElement.dataset.theme = choices.theme ?? "";
};
theme();
await speak([choices.language ?? "", ...navigator.languages]);
for (const el of document.querySelectorAll("[data-text]")) el.textContent = T.t(el.getAttribute("data-text") ?? "");
for (const el of document.querySelectorAll("[data-label]")) {
  el.ariaLabel = T.t(el.getAttribute("data-label") ?? "");
  if (el.localName === "button") el.setAttribute("title", el.ariaLabel);
}
$("boot").remove();

const wanted = () => {
  try {
    return decodeURIComponent(location.hash).replace(/^#$/, "");
  } catch {
    return "";
  }
};
const asked = wanted();
/** The talk that is shown. @type {string | null} */
let shown = null;
let offer = false;
/** Trouble that was read. @type {unknown} */
let known = null;
/** The page stands in another tab, which goes on. */
let elsewhere = false;
let started = false;
let dirty = false;

const link = new Link({
  opened: () => session.opened(Date.now()),
  heard: (text) => session.heard(text, Date.now()),
  closed: (how) => session.closed(Date.now(), how),
});

const session = new Session({
  kept: { local, session: stay },
  hooks: {
    send: (text) => link.send(text),
    reconnect: () => started && link.connect(),
    changed,
    keep(now) {
      ({ local, session: stay } = now);
      // Forgotten: so is what was chosen here.
      if (!Object.keys(local).length) {
        choices = {};
        composer.drafts.clear();
        theme();
      }
      keepLocal();
      keepStay();
    },
    random: Math.random,
  },
});

async function load() {
  const [dialogs, { Files }, { Notifier }, { Offers }] = await Promise.all([
    import("./dialogs.js"),
    import("./files.js"),
    import("./notify.js"),
    import("./offers.js"),
  ]);
  const keep = (/** @type {boolean} */ on) => {
    choices.notify = on;
    keepLocal();
  };
  new Offers(composer, {
    rooms: () => [...session.talks.values()].filter(({ kind }) => kind === "room").map(({ name }) => name),
    nicks: () => [...(here()?.members.keys() ?? [])].filter((nick) => nick !== session.me.nick),
  });
  dialogs.keys(page);
  const notifier = new Notifier({ isOn: Boolean(choices.notify), keep, open: look });
  return { dialogs, files: new Files(session), notifier };
}
/** @type {ReturnType<typeof load> | null} */
let loading = null;
/** What the first view can do without. It comes before it is asked for, as there may be no connection then; null: not now. */
async function rest() {
  try {
    loading ??= load();
    return await loading;
  } catch {
    loading = null;
    return null;
  }
}

const here = () => session.talks.get(session.current);
const composer = new Composer({ say, typing: (on) => session.typing(session.current, on) }, drafts ?? []);
/** What the menus work on. */
const page = {
  session,
  address,
  notifier: async () => (await rest())?.notifier,
  composer,
  here,
  look,
  shut,
  choices: () => choices,
  async changed() {
    keepLocal();
    theme();
    const { lang } = T;
    await speak([choices.language ?? "", ...navigator.languages]);
    if (T.lang !== lang) location.reload();
  },
};
/** @typedef {typeof page} Page */
const lists = new Lists(session, {
  look,
  person: async (nick, by) => (await rest())?.dialogs.person(page, nick, by),
});
const log = new Log($("log"), $("down"), {
  menu: async (row, by) => (await rest())?.dialogs.message(page, row, by),
  again: (row) => session.again(row),
  drop: (row) => session.drop(row),
  older: () => session.older(session.current),
  join: (name) => session.join(name),
  file(row) {
    const card = h("div", { class: "card" }, bdi(row.file?.name ?? ""));
    rest().then((all) => all?.files.fill(card, row));
    return card;
  },
  fold: () => Boolean(choices.fold),
  read() {
    if (here()?.unread && !document.hidden) session.read(session.current);
  },
});

/** Closes the drawer that is open, if one is. */
function shut() {
  document.querySelector("dialog")?.close();
}

/** @param {string} id */
function look(id) {
  shut();
  session.look(id);
  draw();
}

/** @param {string} text */
async function say(text) {
  const id = session.current;
  if (text.split("\n").length <= 20) session.say(id, text);
  else if (!(await (await rest())?.files.long(id, text))) composer.set(text);
}

/** The one line above all else: what is wrong, what is new, what is offered. */
function bar() {
  const { state, trouble, newVersion } = session;
  const code = trouble?.code ?? "";
  const talk = here();
  /** @type {[text: string, ...([label: string, act: () => void])[]] | null} */
  let say = null;
  if (elsewhere) say = [T.t("elsewhere"), [T.t("useHere"), () => tabs?.postMessage({ take: true })]];
  else if (state === "lost" || state === "ended" || (state === "connecting" && trouble)) {
    const slash = code === "no-websocket" && !location.pathname.endsWith("/");
    const own = trouble?.text.replace(/ \(Enter or Ctrl-C ends nc\)$/, "");
    const text = slash ? T.t("noSlash") : T.has(`bye.${code}`) ? T.t(`bye.${code}`) : own || T.t("bye.lost");
    say = [text, [T.t(state === "ended" ? "tryAgain" : "now"), () => session.now(Date.now())]];
  } else if (state === "in" && trouble && trouble !== known && code !== "bad-key")
    say = [T.refusal(code, trouble.text), [T.t("ok"), dismiss]];
  else if (state === "in" && talk?.kind === "room" && !talk.joined && !talk.isWanted)
    say = [T.t("mayNot.outside"), [T.t("join"), () => session.join(talk.name)]];
  else if (newVersion) say = [T.t("newVersion"), [T.t("reload"), () => location.reload()]];
  else if (offer) say = [T.t("offer"), [T.t("tell"), tell], [T.t("no"), notNow]];
  const box = $("bar");
  const sign = JSON.stringify(say);
  if (box.dataset.sign !== sign) {
    box.dataset.sign = sign;
    const [text, ...acts] = say ?? [""];
    const wait = h("span", { id: "wait", "aria-hidden": "true" });
    box.replaceChildren();
    if (say)
      box.append(h("p", {}, text, " ", wait), ...acts.map(([label, act], i) => button(label, act, i ? "" : "main")));
  }
  const wait = document.getElementById("wait");
  const at = state === "lost" && trouble?.retryAt;
  if (wait) wait.textContent = at ? T.n("trying", Math.max(0, Math.ceil((at - Date.now()) / 1000))) : "";
}

/** What went wrong with a name or a room has been read. */
function dismiss() {
  known = session.trouble;
  bar();
}

async function tell() {
  await (await rest())?.notifier.ask();
  notNow();
}

function notNow() {
  offer = false;
  choices.offered = true;
  keepLocal();
  bar();
}

/** The address is that of the room, so that it invites. An open drawer has an entry of its own, which Back takes. */
function address() {
  const name = here()?.name ?? "";
  if (name[0] === "#" && !history.state?.drawer) history.replaceState(null, "", name);
}

/** Draws what has a place of its own; rows go to the log by themselves. */
async function draw() {
  dirty = false;
  const { state, talks, me, trouble } = session;
  const inside =
    !elsewhere && (state === "in" || (talks.size > 0 && state !== "naming" && state !== "locked" && me.nick !== ""));
  document.body.dataset.state = state;
  $("app").hidden = !inside;
  $("gate").hidden = inside;
  bar();
  if (elsewhere) $("gate").replaceChildren(h("h1", {}, "chinwag"));
  else if (!inside) gate(session, asked || (local.rooms?.[0]?.id ?? "#lobby"));
  if (!inside) return;
  const talk = here();
  lists.talks();
  lists.members();
  $("me").querySelector("bdi")?.replaceChildren(me.nick);
  $("write").hidden = $("room").hidden = !talk;
  $("open-right").hidden = $("members-head").hidden = talk?.kind !== "room";
  $("name").replaceChildren(bdi(talk?.name ?? T.t("noRoom")));
  const about = talk?.kind === "person" ? session.people.get(talk.name)?.text : talk?.topic;
  $("topic").replaceChildren(...linked(about ?? ""));
  $("topic").title = about ?? "";
  const typing = talk?.typing ?? [];
  const count = typing.length;
  $("typing").replaceChildren(...(count ? parts(count > 3 ? "manyType" : `type${count}`, ...typing) : []));
  composer.label(talk && talk.maySay !== true ? T.t(talk.maySay) : T.t("write", talk?.name ?? ""));
  if (talk && talk.id !== shown) {
    shown = talk.id;
    log.show(talk);
    composer.show(talk);
    address();
    announce(T.t("inTalk", talk.name));
    document.title = `${talk.name} – ${session.server.name || "chinwag"}`;
    if (!document.hidden) session.read(talk.id);
    // A keyboard that comes up over half of a telephone is only wanted by who writes.
    if (!matchMedia("(pointer: coarse)").matches) composer.focus();
    dot();
  }
  if (!loading) setTimeout(rest, 500);
  if (state === "in" && trouble?.code === "bad-key" && trouble !== known) {
    known = trouble;
    (await rest())?.dialogs.askKey(session, trouble.name ?? "");
  }
}

/** What waits to be read goes before the title, and a dot on the icon. */
async function dot() {
  let count = 0;
  for (const { kind, unread, mentions } of session.talks.values()) count += kind === "person" ? unread : mentions;
  if (count || loading) (await rest())?.notifier.dot(count);
}

/** @param {import("./types").Change} change */
function changed(change) {
  const rows = change.rows?.get(shown ?? "");
  if (rows) log.change(rows);
  if (change.transfers) rest().then((all) => all?.files.changed(/** @type {Set<any>} */ (change.transfers)));
  for (const text of change.say ?? []) announce(text);
  if (document.hidden && change.notify) notify(change.notify);
  if (change.talks) dot();
  // What is drawn waits for the next frame; a page that nobody sees has none, and needs nothing drawn.
  if (!dirty) requestAnimationFrame(draw);
  dirty = true;
}

/** @param {{ talkId: string, nick: string, text: string }[]} all */
async function notify(all) {
  const notifier = (await rest())?.notifier;
  const state = notifier?.state();
  offer ||= state === "off" && !choices.offered;
  for (const { talkId, nick, text } of state === "on" ? all : []) {
    const title = talkId[0] === "#" ? `${nick}, ${talkId}` : nick;
    notifier?.show({ talkId, title, body: choices.hideText ? T.t("wrote") : text });
  }
}

// A guest is in one tab at a time: a new one asks, and "Use it here" has the other hand over its place.
const tabs =
  typeof BroadcastChannel === "function" ? new BroadcastChannel(new URL(".", document.baseURI).pathname) : null;
tabs?.addEventListener("message", ({ data }) => {
  if (data.ask && started) tabs.postMessage(session.me.owned ? { mine: stay.place?.token } : { here: true });
  else if (data.take && started) {
    started = false;
    elsewhere = true;
    session.save();
    link.close();
    tabs.postMessage({ place: stay });
    draw();
  } else if (data.here && !started) {
    elsewhere = true;
    draw();
  } else if (data.mine && !started && data.mine === stay.place?.token) {
    // A tab that was duplicated: two cannot have one place.
    delete stay.place;
    keepStay();
    location.reload();
  } else if (data.place && elsewhere && !started) {
    stay = data.place;
    keepStay();
    location.reload();
  }
});
tabs?.postMessage({ ask: true });
setTimeout(
  () => {
    if (elsewhere) return;
    started = true;
    if (asked) session.join(asked);
    link.connect();
    draw();
  },
  tabs ? 100 : 0,
);

setInterval(() => {
  if (started) session.tick(Date.now());
  bar();
}, 500);
document.addEventListener("visibilitychange", () => {
  if (!started) return;
  if (document.hidden) {
    log.leave();
    session.save();
  } else {
    session.awake(Date.now());
    log.read();
    draw();
  }
});
addEventListener("pagehide", () => started && session.save());
addEventListener("pageshow", (e) => e.persisted && started && session.awake(Date.now()));
addEventListener("online", () => started && session.now(Date.now()));
addEventListener("hashchange", () => {
  const name = wanted();
  if (name && name !== here()?.name) session.join(name);
});
// Files that are dropped beside their place do not take the page away.
for (const on of ["dragover", "drop"]) addEventListener(on, (e) => e.preventDefault());

const opens = /** @type {const} */ (["open-left", "open-right", "room", "find", "me"]);
for (const id of opens) $(id).addEventListener("click", async () => (await rest())?.dialogs.open[id](page));
$("log").addEventListener("flood", (e) => announce(T.n("flood", /** @type {CustomEvent} */ (e).detail)));
