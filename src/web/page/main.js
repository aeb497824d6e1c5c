import { Composer } from "./composer.js";
import { ask, drawer, field, gate, goTo, menu, moderate, settings, shut } from "./dialogs.js";
import { $, announce, bdi, button, h, parts, speak, T } from "./dom.js";
import { Files } from "./files.js";
import { Link } from "./link.js";
import { Lists } from "./lists.js";
import { Log, linked } from "./log.js";
import { Notifier } from "./notify.js";
import { Session } from "./session.js";

/** @import { Row } from "./talks.js" */

const KEY = "chinwag.1";
/** @param {"localStorage" | "sessionStorage"} where */
const kept = (where) => {
  try {
    return JSON.parse(window[where].getItem(KEY) ?? "{}");
  } catch {
    return {};
  }
};
/** A storage that is full, or forbidden, is no error. @param {"localStorage" | "sessionStorage"} where @param {object} what */
const keep = (where, what) => {
  try {
    window[where].setItem(KEY, JSON.stringify(what));
  } catch {}
};

let { ui: choices = {}, ...local } = kept("localStorage");
let { drafts, ...stay } = kept("sessionStorage");
const keepLocal = () => keep("localStorage", { ...local, ui: choices });
const keepStay = () => keep("sessionStorage", { ...stay, drafts: [...composer.drafts] });
const tags = () => [choices.language, ...navigator.languages].filter(Boolean);
speak(tags());
document.documentElement.dataset.theme = choices.theme ?? "";
$("boot").remove();
for (const el of document.querySelectorAll("[data-text]"))
  el.textContent = T.t(/** @type {HTMLElement} */ (el).dataset.text ?? "");
for (const el of document.querySelectorAll("[data-label]"))
  el.ariaLabel = /** @type {HTMLElement} */ (el).title = T.t(/** @type {HTMLElement} */ (el).dataset.label ?? "");

const wanted = () => {
  try {
    return decodeURIComponent(location.hash);
  } catch {
    return "";
  }
};
const asked = /^#./.test(wanted()) ? wanted() : "";
const notifier = new Notifier({
  isOn: Boolean(choices.notify),
  keep(on) {
    choices.notify = on;
    keepLocal();
  },
  open: (id) => look(id),
});
/** @type {string | null} the talk that is shown */ let shown = null;
let offer = false;
/** Trouble that was read. @type {unknown} */ let known = null;
/** The page stands in another tab, which goes on. */ let elsewhere = false;
let dirty = false;
let started = false;

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

const here = () => session.talks.get(session.current ?? "");
const files = new Files(session);
const composer = new Composer(
  {
    say,
    typing: (on) => session.typing(session.current ?? "", on),
    files: send,
    rooms: () => [...session.talks.values()].filter((talk) => talk.kind === "room").map((talk) => talk.name),
    nicks: () => [...(here()?.members.keys() ?? [])].filter((nick) => nick !== session.me.nick),
  },
  drafts ?? [],
);
const lists = new Lists(session, { look, person });
const log = new Log($("log"), $("down"), {
  menu: message,
  again: (row) => session.again(row),
  drop: (row) => session.drop(row),
  older: () => session.older(session.current ?? ""),
  join: (name) => join(name),
  file: (row) => files.card(row),
  fold: () => Boolean(choices.fold),
  read() {
    const talk = here();
    if (talk?.unread && !document.hidden) session.read(talk.id);
  },
});

/** @param {string} id */
function look(id) {
  shut();
  session.look(id);
  draw();
}

/** @param {string} name @param {string} [key] */
async function join(name, key) {
  session.join(name, key);
}

/** What was typed; a long text had better be a file. @param {string} text */
async function say(text) {
  const id = session.current ?? "";
  const lines = text.split("\n").length;
  if (lines > 20) {
    const word = await ask(
      T.n("long", lines),
      [],
      [
        [T.t("asFile"), "file"],
        [T.t("asText"), "text"],
      ],
    );
    if (!word) return composer.insert(text);
    if (word === "file")
      return files.send(id, new File([text], `${T.t("textName")}.txt`, { type: "text/plain" }), true);
  }
  session.say(id, text);
}

/** @param {File[]} chosen */
function send(chosen) {
  const talk = here();
  if (talk && chosen.length) files.offer(talk, chosen);
}

/** @param {string} nick @returns {import("./dialogs.js").Choice[]} */
function about(nick) {
  const talk = here();
  if (!talk || nick === session.me.nick) return [];
  const rank = talk.members.get(nick)?.rank;
  const rules = talk.kind === "room" && /^(op|founder)$/.test(talk.rank ?? "");
  /** @param {string} verb @returns {import("./dialogs.js").Choice} */
  const at = (verb) => rules && [T.t(verb), () => session.menu(verb, talk.id, nick, "")];
  return [
    talk.name !== nick && [T.t("writeTo", nick), () => session.open(nick)],
    [
      T.t("ignore"),
      async () =>
        (await ask(parts("ask.ignore", nick), [], [[T.t("ignore"), "yes"]])) &&
        session.menu("ignore", talk.id, nick, ""),
    ],
    at(rank === "voice" ? "devoice" : "voice"),
    at(rank === "op" ? "deop" : "op"),
    ...["mute", "kick", "ban"].map(
      (verb) =>
        /** @type {import("./dialogs.js").Choice} */ (
          rules && [T.t(verb), () => moderate(session, talk, /** @type {any} */ (verb), nick), "danger"]
        ),
    ),
  ];
}

/** @param {string} nick @param {HTMLElement} by */
function person(nick, by) {
  const choices = about(nick);
  choices.unshift(choices.length > 0 && [T.t("mention", nick), () => composer.insert(nick)]);
  if (choices.length > 1)
    menu(
      by,
      nick,
      choices.map((choice) => choice && [choice[0], () => (shut(), choice[1]()), choice[2]]),
    );
  else options();
}

/** @param {Row} row @param {HTMLElement} by */
function message(row, by) {
  const rules = /^(op|founder)$/.test(here()?.rank ?? "");
  menu(by, T.t("more"), [
    !row.mine && [T.t("reply"), () => composer.insert(row.nick)],
    row.text !== "" && [T.t("copy"), () => navigator.clipboard?.writeText(row.text)],
    row.seq !== null &&
      (row.mine || rules) && [
        T.t("erase"),
        async () =>
          (await ask(
            T.t("ask.erase"),
            [h("p", { class: "quiet", dir: "auto" }, row.text)],
            [[T.t("erase"), "erase", "danger"]],
          )) && session.erase(row),
        "danger",
      ],
    ...about(row.nick),
  ]);
}

/** @param {MouseEvent} e */
function roomMenu(e) {
  const talk = here();
  if (!talk) return;
  const by = /** @type {HTMLElement} */ (e.currentTarget);
  const asking = async (/** @type {string} */ key, /** @type {string} */ value) => {
    const { input, label } = field(key, { value, maxlength: 400, autofocus: true });
    return (await ask(T.t(key), [label], [[T.t("ok"), "ok"]])) === null ? null : input.value.trim();
  };
  const rules = [...talk.rules]
    .filter(([, value]) => value !== "off")
    .map(([rule, value]) => h("li", {}, `${rule}: ${value}`));
  menu(by, talk.name, [
    talk.kind === "room" && [
      T.t("topic"),
      async () => {
        const text = await asking("topic", talk.topic ?? "");
        if (text !== null) session.say(talk.id, `/topic ${talk.name} ${text || "-"}`);
      },
    ],
    talk.kind === "room" && [
      T.t("invite"),
      async () => {
        const nick = await asking("invite", "");
        if (nick) session.menu("invite", talk.id, nick, "");
      },
    ],
    talk.kind === "room" && [
      T.t("about"),
      () =>
        ask(
          [bdi(talk.name)],
          [
            h("p", { dir: "auto" }, talk.topic ?? ""),
            field("link", { value: location.href, readonly: true }).label,
            h("ul", {}, ...rules),
          ],
          [],
        ),
    ],
    [T.t(talk.kind === "room" ? "leave" : "hide"), () => session.leave(talk.id)],
  ]);
}

const options = () => {
  shut();
  settings(session, choices, notifier, () => {
    const language = T.lang;
    keepLocal();
    theme();
    speak(tags());
    if (T.lang !== language) location.reload();
  });
};
const theme = () => {
  document.documentElement.dataset.theme = choices.theme ?? "";
};
const find = () => {
  shut();
  goTo(session, join);
};

/** The one line above all else: what is wrong, what is new, what is offered. */
function bar() {
  const { state, trouble, newVersion } = session;
  const code = trouble?.code ?? "";
  /** @type {[string, string, () => void, string?, (() => void)?] | null} sign, text, what the button does, its label, what No does */
  let say = null;
  if (elsewhere) say = [T.t("elsewhere"), T.t("useHere"), () => tabs?.postMessage({ take: true })];
  else if (state === "lost" || state === "ended" || (state === "connecting" && trouble)) {
    const slash = code === "no-websocket" && !location.pathname.endsWith("/");
    const text = slash
      ? T.t("noSlash")
      : T.has(`bye.${code}`)
        ? T.t(`bye.${code}`)
        : trouble?.text.replace(/ \(Enter or Ctrl-C ends nc\)$/, "") || T.t("bye.lost");
    say = [text, T.t(state === "ended" ? "tryAgain" : "now"), () => session.now(Date.now())];
  } else if (state === "in" && trouble && trouble !== known && code !== "bad-key")
    say = [T.refusal(code, trouble.text), T.t("ok"), () => dismiss()];
  else if (newVersion) say = [T.t("newVersion"), T.t("reload"), () => location.reload()];
  else if (offer) say = [T.t("offer"), T.t("tell"), tell, T.t("no"), () => notNow()];
  const box = $("bar");
  const sign = JSON.stringify(say);
  if (box.dataset.sign !== sign) {
    box.dataset.sign = sign;
    box.replaceChildren();
    if (say)
      box.append(
        h("p", {}, say[0], " ", h("span", { id: "wait", "aria-hidden": "true" })),
        button(say[1], say[2], "main"),
        ...(say[3] && say[4] ? [button(say[3], say[4])] : []),
      );
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

/** A room has a key, which is asked for, as nothing with a secret stands in an address. */
async function askKey() {
  known = session.trouble;
  const name = session.trouble?.name ?? "";
  const key = field("key", { autocomplete: "off", autofocus: true });
  if (await ask(parts("askKey", name), [key.label], [[T.t("join"), "join"]]))
    session.join(name, key.input.value.trim());
}

async function tell() {
  await notifier.ask();
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
function draw() {
  dirty = false;
  const { state, talks, me } = session;
  const inside = !elsewhere && (state === "in" || (talks.size > 0 && state !== "naming" && state !== "locked"));
  document.body.dataset.state = state;
  $("app").hidden = !inside;
  $("gate").hidden = inside;
  bar();
  if (!inside) {
    if (elsewhere) $("gate").replaceChildren();
    else gate(session, asked || (local.rooms?.[0]?.id ?? "#lobby"));
    return;
  }
  if (state === "in" && session.trouble?.code === "bad-key" && session.trouble !== known) askKey();
  const talk = here();
  lists.talks();
  lists.members();
  /** @type {HTMLElement} */ ($("me").querySelector("bdi")).textContent = me.nick;
  $("room").hidden = $("open-right").hidden = !talk;
  $("name").replaceChildren(bdi(talk?.name ?? T.t("noRoom")));
  $("topic").replaceChildren(
    ...linked(talk?.kind === "person" ? (session.people.get(talk.name)?.text ?? "") : (talk?.topic ?? "")),
  );
  $("typing").replaceChildren(
    ...(talk?.typing.length
      ? parts(talk.typing.length > 3 ? "manyType" : `type${talk.typing.length}`, ...talk.typing)
      : []),
  );
  $("write").hidden = !talk;
  const label = talk && talk.maySay !== true ? T.t(talk.maySay) : T.t("write", talk?.name ?? "");
  if (talk && talk.id !== shown) {
    shown = talk.id;
    log.show(talk);
    if (!document.hidden) session.read(talk.id);
    composer.show(talk, label);
    address();
    announce(T.t("inTalk", talk.name));
    if (matchMedia("(pointer: fine)").matches) composer.focus();
  } else composer.label(label);
}

/** @param {import("./session.js").Change} change */
function changed(change) {
  if (change.rows) {
    const rows = change.rows.get(shown ?? "");
    if (rows) log.change(rows);
  }
  if (change.transfers) files.changed(change.transfers);
  for (const text of change.say ?? []) announce(text);
  for (const { talkId, nick, text } of change.notify ?? []) {
    if (!document.hidden) continue;
    if (notifier.state() === "on")
      notifier.show({
        talkId,
        title: talkId[0] === "#" ? `${nick}, ${talkId}` : nick,
        body: choices.hideText ? T.t("wrote") : text,
      });
    else offer = !choices.offered && notifier.state() === "off";
  }
  const unread = [...session.talks.values()].reduce(
    (sum, talk) => sum + (talk.kind === "person" ? talk.unread : talk.mentions),
    0,
  );
  notifier.dot(unread);
  // What is drawn waits for the next frame; a page that nobody sees has none, and needs nothing drawn.
  if (!dirty) requestAnimationFrame(draw);
  dirty = true;
}

// A guest is in one tab at a time: a new one asks, and "Use it here" has the other hand over its place.
const tabs =
  typeof BroadcastChannel === "function" ? new BroadcastChannel(new URL(".", document.baseURI).pathname) : null;
tabs?.addEventListener("message", ({ data }) => {
  if (data.ask && started && !session.me.owned) tabs.postMessage({ here: true });
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
  if (document.hidden) {
    log.leave();
    if (started) session.save();
  } else if (started) {
    session.awake(Date.now());
    draw();
  }
});
addEventListener("pagehide", () => started && session.save());
addEventListener("pageshow", (e) => e.persisted && started && session.awake(Date.now()));
addEventListener("online", () => started && session.now(Date.now()));
addEventListener("hashchange", () => {
  const name = wanted();
  if (name[0] !== "#" || name === here()?.name) return;
  if (session.talks.has(name)) look(name);
  else join(name);
});
// Files that are dropped beside their place do not take the page away.
for (const on of ["dragover", "drop"]) addEventListener(on, (e) => e.preventDefault());

$("open-left").addEventListener("click", () => drawer($("left"), address));
$("open-right").addEventListener("click", () => drawer($("right"), address));
$("room").addEventListener("click", roomMenu);
$("find").addEventListener("click", find);
$("me").addEventListener("click", options);
$("log").addEventListener("flood", (e) => announce(T.n("flood", /** @type {CustomEvent} */ (e).detail)));

addEventListener("keydown", (e) => {
  const step = e.altKey && { ArrowUp: -1, ArrowDown: 1 }[e.key];
  if (document.querySelector("dialog[open]") || $("app").hidden) return;
  if (step) {
    const ids = [...session.talks.keys()];
    look(ids[(ids.indexOf(session.current ?? "") + step + ids.length) % ids.length]);
  } else if (e.key === "F6") {
    const parts = [$("left"), $("log"), $("text"), $("right")].filter((part) => part.checkVisibility());
    const at = parts.findIndex((part) => part.contains(document.activeElement));
    const to = parts[(at + (e.shiftKey ? parts.length - 1 : 1)) % parts.length];
    const stop = /** @type {HTMLElement | null} */ (to.querySelector('[tabindex="0"]'));
    (stop ?? to).focus();
  } else if (e.key.toLowerCase() === "k" && (e.ctrlKey || e.metaKey)) find();
  else if (e.key === "Escape") composer.focus();
  else return;
  e.preventDefault();
});
