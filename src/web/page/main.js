import { $, button, h, refusal, speak, T } from "./dom.js";
import { gate, typed } from "./gate.js";
import { late, onMissed } from "./late.js";
import { Link } from "./link.js";
import { Session } from "./session.js";
import { choose } from "./strings.js";

/** @typedef {{ theme?: string, language?: string, notify?: boolean, hideText?: boolean, fold?: boolean, quiet?: boolean, offered?: boolean }} Choices */
/** @import { Why } from "./types" */
/** @typedef {"localStorage" | "sessionStorage"} Storage */
/** @typedef {[text: string | Why, ...acts: [label: string, act: () => void][]] | null} Bar */
/** @typedef {typeof shell} Shell */

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
let { drafts = [], fields = {}, ...stay } = kept("sessionStorage");
/** @type {Choices} */
let choices = ui ?? {};
const keepLocal = () => keep("localStorage", { ...local, ui: choices });
const keepStay = () => keep("sessionStorage", { ...stay, drafts: chat ? [...chat.composer.drafts] : drafts, fields });
const theme = () => {
  document.documentElement.dataset.theme = choices.theme ?? "";
};
theme();
// boot.js has the page loaded anew then.
onMissed(() => dispatchEvent(new Event("missed")));
const wishes = () => [choices.language ?? "", ...navigator.languages];
await speak(wishes());
for (const el of document.querySelectorAll("[data-text]")) el.textContent = T.t(el.getAttribute("data-text") ?? "");
for (const el of document.querySelectorAll("[data-label]")) el.ariaLabel = T.t(el.getAttribute("data-label") ?? "");
$("boot").remove();

const wanted = () => {
  try {
    return decodeURIComponent(location.hash).replace(/^#$/, "");
  } catch {
    return "";
  }
};
const asked = wanted();
/** The page stands in another tab, which goes on. */
let elsewhere = false;
let started = false;
let isDirty = false;
/** @type {import("./chat.js").Chat | null} */
let chat = null;
let isLoading = false;

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
    changed(change) {
      chat?.change(change);
      // What is drawn waits for the next frame; a page that nobody sees has none, and needs nothing drawn.
      if (!isDirty) requestAnimationFrame(draw);
      isDirty = true;
    },
    keep(now) {
      ({ local, session: stay } = now);
      // Forgotten: so is what was chosen here.
      if (!Object.keys(local).length) {
        choices = {};
        chat?.composer.drafts.clear();
        theme();
      }
      keepLocal();
      keepStay();
    },
    random: Math.random,
  },
});

const shell = {
  session,
  draw,
  choices: () => choices,
  /** Something was chosen. */
  changed() {
    keepLocal();
    theme();
    draw();
    if (choose(wishes()) === T.lang) return;
    history.replaceState({ settings: true }, "");
    location.reload();
  },
};

/** All but the first fields comes while a name is typed. */
async function load() {
  if (isLoading) return;
  isLoading = true;
  session.ready();
  try {
    const [{ Chat }] = await Promise.all([late(import("./chat.js")), T.more()]);
    chat = new Chat(shell, drafts);
    draw();
  } catch {
    // There was no connection; whoever is in has it tried again.
    isLoading = false;
  }
}
$("gate").addEventListener("input", () => {
  fields = typed();
  load();
});

/** The one line above all else: what is wrong, what is new, what is offered. */
function bar() {
  const { state, trouble, newVersion } = session;
  const code = trouble?.code ?? "";
  /** @type {Bar} */
  let say = chat?.bar() ?? null;
  if (elsewhere) say = [T.t("elsewhere"), [T.t("useHere"), () => tabs?.postMessage({ take: true })]];
  else if (state === "lost" || state === "ended" || (state === "connecting" && trouble)) {
    const slash = code === "no-websocket" && !location.pathname.endsWith("/");
    const own = slash ? "noSlash" : T.has(`bye.${code}`) ? `bye.${code}` : "bye.lost";
    const text = trouble?.text && own === "bye.lost" ? { code: "", text: trouble.text } : T.t(own);
    say = [
      text,
      [T.t(code === "granted" ? "login" : state === "ended" ? "tryAgain" : "now"), () => session.now(Date.now())],
    ];
  } else if (newVersion) say = [T.t("newVersion"), [T.t("reload"), () => location.reload()]];
  const box = $("bar");
  const sign = JSON.stringify(say);
  if (box.dataset.sign !== sign) {
    box.dataset.sign = sign;
    const hadFocus = box.contains(document.activeElement);
    box.replaceChildren();
    const [text = "", ...acts] = say ?? [];
    const wait = h("span", { id: "wait", "aria-hidden": "true" });
    if (say)
      box.append(
        h("p", {}, typeof text === "string" ? text : refusal(text), " ", wait),
        ...acts.map(([label, act], i) => button(label, act, i ? "" : "main")),
      );
    if (hadFocus) chat?.focus();
  }
  const wait = document.getElementById("wait");
  const at = state === "lost" && trouble?.retryAt;
  if (wait) wait.textContent = at ? T.n("trying", Math.max(0, Math.ceil((at - Date.now()) / 1000))) : "";
}

function draw() {
  isDirty = false;
  const { state, talks, entered } = session;
  const isIn = state === "in" || (talks.size > 0 && state !== "naming" && state !== "locked" && entered);
  if (isIn) load();
  const isShown = !elsewhere && isIn && chat !== null;
  if (isShown) fields = {};
  document.body.dataset.state = state;
  $("app").hidden = !isShown;
  $("gate").hidden = isShown;
  bar();
  if (isShown) chat?.draw();
  else if (elsewhere) $("gate").replaceChildren(h("h1", {}, "chinwag"));
  else gate(session, asked || (local.rooms?.[0]?.id ?? "#lobby"), fields);
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
    if (local.name) load();
    draw();
  },
  tabs ? 100 : 0,
);

setInterval(() => {
  if (started) session.tick(Date.now());
  if (session.state === "in" && !chat) load();
  bar();
}, 500);
document.addEventListener("visibilitychange", () => {
  if (!started) return;
  if (document.hidden) session.save();
  else {
    session.awake(Date.now());
    draw();
  }
});
addEventListener("pagehide", () => {
  if (!started) return;
  session.save();
  if (session.rest) return;
  // What saves it has not come.
  local = { ...local, name: session.had };
  keepLocal();
  keepStay();
});
addEventListener("pageshow", (e) => e.persisted && started && session.awake(Date.now()));
addEventListener("online", () => started && session.now(Date.now()));
addEventListener("hashchange", () => {
  const name = wanted();
  if (name && name !== session.current) session.join(name);
});
// Files that are dropped beside their place do not take the page away.
for (const on of ["dragover", "drop"]) addEventListener(on, (e) => e.preventDefault());
