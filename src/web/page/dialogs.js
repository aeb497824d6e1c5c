import { $, bdi, button, field, h, helpers, parts, refusal, T, unseen } from "./dom.js";
import { rove } from "./lists.js";

/** @import { Session } from "./session.js" */
/** @import { Talk } from "./talks.js" */
/** @import { Row, Trouble } from "./types" */
/** @import { Chat as Page } from "./chat.js" */
/** @import { Choices } from "./main.js" */
/** @typedef {[label: string, act: () => unknown, look?: string] | false | null | undefined} Choice */

let count = 0;

/**
 * A dialog, closed by Esc, by Back where the browser does that, and by its buttons. Resolves to the word of the button pressed, null if
 * it was just closed.
 * @param {string | (Node | string)[]} title
 * @param {(Node | false | null)[]} kids
 * @param {[string, string, string?][]} buttons label, word, look; the first is what Enter does
 * @param {string} [end] what the button says that does none of it
 * @returns {Promise<string | null>}
 */
export function ask(title, kids, buttons, end = buttons.length ? "cancel" : "close") {
  return new Promise((resolve) => {
    const id = `dialog${++count}`;
    const submit = (/** @type {Event} */ e) => {
      e.preventDefault();
      box.close(buttons[0]?.[1]);
    };
    const hasField = kids.some((kid) => kid instanceof Element && kid.querySelector("[autofocus]"));
    // Enter does what is meant, but not at once what is done to somebody.
    const isSafe = !hasField && buttons[0]?.[2] !== "danger" && buttons.length > 0;
    const row = buttons.map(([label, word, look], i) =>
      i ? button(label, () => box.close(word), look) : h("button", { class: look ?? "main", autofocus: isSafe }, label),
    );
    const close = button(T.t(end), () => box.close(""));
    const head = h("h2", { id, tabindex: -1, autofocus: !hasField && !isSafe }, ...title);
    const form = h("form", { onsubmit: submit }, head, ...kids, h("div", { class: "buttons" }, ...row, close));
    const box = h("dialog", { "aria-labelledby": id }, form);
    box.addEventListener("close", () => {
      box.remove();
      // After a click, Chromium gives a field its focus back without the caret.
      const back = /** @type {HTMLElement | null} */ (document.activeElement);
      back?.blur();
      back?.focus();
      resolve(box.returnValue || null);
    });
    document.body.append(box);
    box.showModal();
  });
}

/** @param {string} key @param {boolean | undefined} on @param {(on: boolean) => void} changed @param {boolean} [off] @returns {HTMLElement} */
export const tick = (key, on, changed, off) =>
  h(
    "label",
    { class: "tick" },
    h("input", {
      type: "checkbox",
      checked: on,
      disabled: off,
      onchange: (/** @type {Event} */ e) => changed(/** @type {HTMLInputElement} */ (e.target).checked),
    }),
    h("span", {}, T.t(key)),
  );

/** Lets one look at what one types, as a slip in a password is found only much later. @param {...ReturnType<typeof field>} of */
const seen = (...of) =>
  tick("showPassword", false, (on) => {
    for (const { input } of of) input.type = on ? "text" : "password";
  });

/** @param {string} key @param {[string, string][]} options value, label @param {string | undefined} value @param {(value: string) => void} changed */
const select = (key, options, value = "", changed) =>
  h(
    "label",
    {},
    h("span", {}, T.t(key)),
    h(
      "select",
      { onchange: (/** @type {Event} */ e) => changed(/** @type {HTMLSelectElement} */ (e.target).value) },
      ...options.map(([of, label]) => h("option", { value: of, selected: of === value }, label)),
    ),
  );

/** A menu beside what opened it. @param {HTMLElement} by @param {string} label @param {Choice[]} choices */
export function menu(by, label, choices) {
  const box = h("div", { role: "menu", popover: "auto", class: "menu", "aria-label": label });
  for (const choice of choices) {
    if (!choice) continue;
    const [text, act, look] = choice;
    const item = h("button", { type: "button", role: "menuitem", class: `row ${look ?? ""}`, tabindex: -1 }, text);
    item.addEventListener("click", () => {
      box.hidePopover();
      act();
    });
    box.append(item);
  }
  // Of a file of one's own that is gone, say, there is nothing to do.
  if (!box.firstChild) return;
  rove(box, "button");
  box.addEventListener("keydown", (e) => {
    if (e.key === "Tab") box.hidePopover();
    // It closes by itself, and nothing else shall happen.
    if (e.key === "Escape") e.stopPropagation();
  });
  box.addEventListener("toggle", (e) => {
    if (/** @type {ToggleEvent} */ (e).newState !== "closed") return;
    const inside = box.contains(document.activeElement);
    box.remove();
    if (inside) by.focus();
  });
  (by.closest("dialog, nav, main, aside") ?? document.body).append(box);
  box.showPopover();
  const at = by.getBoundingClientRect();
  const { offsetWidth: width, offsetHeight: height } = box;
  const below = at.bottom + height < innerHeight || at.top < height;
  box.style.left = `${Math.max(8, Math.min(T.dir === "rtl" ? at.left : at.right - width, innerWidth - width - 8))}px`;
  box.style.top = `${Math.max(8, Math.min(below ? at.bottom : at.top - height, innerHeight - height - 8))}px`;
  /** @type {HTMLElement | null} */ (box.firstElementChild)?.focus();
}

/** Shows one of the two lists over the page, where there is no place beside it. Back closes it. @param {HTMLElement} part @param {() => void} then */
function drawer(part, then) {
  const home = /** @type {HTMLElement} */ (part.parentElement);
  const before = part.nextSibling;
  const box = h("dialog", { class: `drawer ${part.id}`, "aria-label": part.ariaLabel });
  const close = () => box.close();
  box.append(button(T.t("close"), close, "", "close"), part);
  box.addEventListener("click", (e) => e.target === box && close());
  box.addEventListener("close", () => {
    home.insertBefore(part, before);
    box.remove();
    removeEventListener("popstate", close);
    if (!history.state?.drawer) return then();
    addEventListener("popstate", then, { once: true });
    history.back();
  });
  document.body.append(box);
  history.pushState({ drawer: true }, "");
  addEventListener("popstate", close);
  box.showModal();
}

/** Where to: a talk, a room that there is or is to be, somebody who is here. @param {Page} page */
function goTo(page) {
  const { session } = page;
  page.shut();
  const list = h("ul", { role: "listbox", id: "places", "aria-label": T.t("goTo") });
  const find = field("find", {
    autofocus: true,
    role: "combobox",
    "aria-controls": "places",
    "aria-expanded": "true",
    "aria-autocomplete": "list",
    autocomplete: "off",
  });
  /** @type {{ name: string, about: string, go(): void }[]} */
  let places = [...session.talks.values()].map((talk) => ({
    name: talk.name,
    about: talk.topic ?? "",
    go: () => session.look(talk.id),
  }));
  const known = new Set(places.map((place) => place.name));
  /** @type {typeof places} */
  let found = [];
  let at = 0;
  const add = (/** @type {typeof places} */ more) => {
    places = places.concat(more.filter(({ name }) => !known.has(name) && known.add(name)));
    draw();
  };
  const draw = () => {
    const low = find.input.value.trim().toLowerCase();
    found = places.filter(({ name }) => name.toLowerCase().includes(low)).slice(0, 50);
    const room = `#${low.replace(/^#/, "")}`;
    if (low && !places.some((place) => place.name.toLowerCase() === room))
      found.push({ name: room, about: T.t("newRoom"), go: () => session.join(room) });
    at = Math.min(at, found.length - 1);
    list.replaceChildren(
      ...found.map(({ name, about }, i) =>
        h(
          "li",
          { role: "option", id: `place${i}`, "aria-selected": String(i === at), onclick: () => go(i) },
          bdi(name),
          h("small", { dir: "auto" }, about),
        ),
      ),
    );
    find.input.setAttribute("aria-activedescendant", `place${at}`);
    list.children[at]?.scrollIntoView({ block: "nearest" });
  };
  const go = (/** @type {number} */ i) => {
    find.input.closest("dialog")?.close();
    found[i]?.go();
  };
  find.input.addEventListener("input", () => {
    at = 0;
    draw();
  });
  find.input.addEventListener("keydown", (e) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[e.key];
    if (!step) return;
    e.preventDefault();
    at = (at + step + found.length) % found.length;
    draw();
  });
  session.askRooms((rooms) =>
    add(
      rooms.map(({ name, count, topic }) => ({
        name,
        about: [T.n("here", count), topic].filter(Boolean).join(" · "),
        go: () => session.join(name),
      })),
    ),
  );
  add(
    [...session.people.values()]
      .filter(({ nick }) => nick !== session.me.nick)
      .map(({ nick, state }) => ({ name: nick, about: T.t(`is.${state}`), go: () => session.open(nick) })),
  );
  ask(T.t("goTo"), [find.label, list], [[T.t("open"), "go"]]).then((word) => word && found[at]?.go());
  draw();
}

/** Takes somebody out of a room, or the word from them; asks for how long and why. @param {Session} session @param {Talk} talk @param {"kick" | "mute" | "ban"} verb @param {string} nick */
export async function moderate(session, talk, verb, nick) {
  const why = field("reason", { maxlength: 300, autofocus: true });
  let time = "1h";
  const times = /** @type {[string, string][]} */ ([
    ["10m", T.n("minutes", 10)],
    ["1h", T.n("hours", 1)],
    ["1d", T.n("days", 1)],
    ["7d", T.n("days", 7)],
    ["0", T.t("forGood")],
  ]);
  const kids = [verb !== "kick" && select("howLong", times, time, (value) => (time = value)), why.label];
  const word = await ask(parts(`ask.${verb}`, nick, talk.name), kids, [[T.t(verb).replace(/ ?…/, ""), verb, "danger"]]);
  if (word) session.menu(verb, talk.id, nick, `${verb === "kick" ? "" : `${time} `}${why.input.value}`.trim());
}

/** What the keys of a keyboard do. */
function shortcuts() {
  const groups = ["all", "text", "log", "list"].map((part) => {
    const [title, ...lines] = T.t(`keys.${part}`).split(";");
    const rows = lines.map((line) => {
      const [keys, what] = line.split(" – ");
      return h(
        "div",
        {},
        h("dt", {}, ...keys.split(", ").map((key) => h("kbd", { dir: "ltr" }, key))),
        h("dd", {}, what),
      );
    });
    return h("section", {}, h("h3", {}, title), h("dl", { class: "keys" }, ...rows));
  });
  ask(T.t("keys"), groups, []);
}

/** Comes in by a name that has a password. @param {Page} page @param {string} [nick] */
export async function login(page, nick = "") {
  page.shut();
  const own = field("ownName", { autocomplete: "username", required: true, value: nick, autofocus: !nick });
  const secret = { type: "password", autocomplete: "current-password", pattern: "\\s*\\S+\\s*", title: T.t("oneWord") };
  const word = field("word", { ...secret, required: true, autofocus: !!nick });
  if (await ask(T.t("login"), [own.label, word.label, seen(word)], [[T.t("login"), "login"]]))
    page.session.login(own.input.value, word.input.value);
}

/** Has a password chosen for the name that one has. @param {Page} page */
export const password = (page) => settings(page, "password");

/** The settings, as they were before the page was loaded anew for another language. @param {Page} page */
export const language = (page) => settings(page, "language");

/** @param {Page} page @param {"password" | "language"} [at] where one begins */
async function settings(page, at) {
  const notifier = (await page.rest())?.notifier;
  if (!notifier) return;
  page.shut();
  const { session } = page;
  const choices = page.choices();
  const set = (/** @type {keyof Choices} */ key) => (/** @type {any} */ value) => {
    choices[key] = value;
    page.changed();
  };
  const { me } = session;
  const name = field("myName", { value: me.nick, autocomplete: "nickname", maxlength: 60 });
  const away = field("away", { value: me.away ?? "", placeholder: T.t("awayLike"), maxlength: 200 });
  const secret = { pattern: "\\s*\\S{8,}\\s*", title: T.t("oneWord"), required: true };
  const hasOld = me.owned && !page.lacksPassword;
  // Elsewhere the server takes no password, as others can read along.
  const mayOwn = me.owned || isSecureContext;
  const old = field("oldPassword", {
    type: "password",
    autocomplete: "current-password",
    required: true,
    autofocus: at === "password" && hasOld,
  });
  const pass = field("newPassword", {
    type: "password",
    autocomplete: "new-password",
    autofocus: at === "password" && !hasOld,
    ...secret,
  });
  const may = notifier.state();
  const can = may === "on" || may === "off";
  const part = (/** @type {string} */ key, /** @type {(Node | string | false)[]} */ ...kids) =>
    h("fieldset", {}, h("legend", {}, T.t(key)), ...kids);
  /** @param {ReturnType<typeof field>} of @param {string} key @param {() => void} act @param {...ReturnType<typeof field>} before what it needs besides */
  const line = (of, key, act, ...before) => {
    const all = [...before, of];
    const run = () => {
      if (all.every(({ input }) => input.reportValidity())) act();
    };
    for (const { input } of all)
      input.addEventListener("keydown", (e) => {
        if (e.key !== "Enter") return;
        e.preventDefault();
        run();
      });
    return h("div", { class: "line" }, ...all.map(({ label }) => label), button(T.t(key), run));
  };
  const register = () => {
    page.shut();
    page.isRegistering = !me.owned;
    session.register(pass.input.value, old.input.value);
  };
  const notify = async (/** @type {boolean} */ on) => {
    if (on) await notifier.ask();
    else await notifier.off();
  };
  const languages = select(
    "language",
    [
      ["", T.t("asDevice")],
      ["en", "English"],
      ["de", "Deutsch"],
    ],
    choices.language,
    set("language"),
  );
  if (at === "language") languages.lastElementChild?.setAttribute("autofocus", "");
  const own = mayOwn
    ? [line(pass, me.owned ? "choose" : "register", register, ...(hasOld ? [old] : [])), seen(pass, old)]
    : [];
  const why = h("p", { class: "quiet", tabindex: -1 }, T.t(mayOwn ? "registerWhy" : "registerHow"));
  if (!me.owned)
    session.askOwning((can) => {
      if (can) return;
      why.textContent = T.t("refusal.refused.register");
      const isThere = own.some((part) => part.contains(document.activeElement));
      for (const part of own) part.remove();
      if (isThere) why.focus();
    });
  // What is said of it elsewhere stands behind the dialog.
  const status = h("p", { role: "status" });
  let was = { ...me, trouble: session.trouble };
  page.drawn = () => {
    const { trouble } = session;
    const now = T.t(me.away === null ? "is.here" : "is.away");
    const say = (/** @type {string} */ look, /** @type {(string | Node)[]} */ ...what) => {
      status.className = look;
      status.replaceChildren(...what);
    };
    if (trouble && trouble !== was.trouble)
      say("problem", trouble.code === "owned" ? T.t("ownedHere") : refusal(trouble));
    else if (me.nick !== was.nick) say("quiet", ...parts("event.renamed", was.nick, me.nick));
    else if (me.away !== was.away) say("quiet", bdi(me.nick), `: ${now}`);
    was = { ...me, trouble };
  };
  return ask(
    T.t("settings"),
    [
      part(
        "you",
        status,
        line(name, "rename", () => session.rename(name.input.value.trim())),
        line(away, "setAway", () => session.away(away.input.value.trim() || null)),
        ...own,
        page.lacksPassword && h("p", { class: "quiet" }, ...parts("noPassword", me.nick)),
        me.owned &&
          button(T.t("logout"), () => {
            page.shut();
            logout(page);
          }),
        !me.owned && why,
        mayOwn && !me.owned && button(T.t("haveName"), () => login(page)),
      ),
      part(
        "notify",
        tick("tell", may === "on", notify, !can),
        tick("hideText", choices.hideText, set("hideText"), !can),
        h("p", { class: "quiet" }, T.t(can ? "noPush" : `notify.${may}`)),
      ),
      part(
        "look",
        select(
          "theme",
          [
            ["", T.t("asDevice")],
            ["light", T.t("light")],
            ["dark", T.t("dark")],
          ],
          choices.theme,
          set("theme"),
        ),
        languages,
        tick("fold", choices.fold, set("fold")),
        tick("tellTyping", !choices.quiet, (on) => set("quiet")(!on)),
      ),
      part("help", button(T.t("keys"), shortcuts)),
      part(
        "device",
        h("p", { class: "quiet" }, T.t("forgetWhy")),
        button(
          T.t("forget"),
          async () => {
            const cost = page.lacksPassword && h("p", {}, ...parts("noPassword", me.nick));
            if (!(await ask(T.t("forgetAsk"), [cost], [[T.t("forget"), "forget", "danger"]]))) return;
            page.shut();
            session.forget();
          },
          "danger",
        ),
      ),
    ],
    [],
  );
}

/** Asks those who could not come back by their name. @param {Page} page */
export async function logout({ session, lacksPassword }) {
  const why = h("p", {}, ...parts("noPassword", session.me.nick));
  if (!lacksPassword || (await ask(T.t("ask.logout"), [why], [[T.t("logout"), "logout", "danger"]]))) session.logout();
}

const RULES = /^(op|founder)$/;

/** What one can do about somebody. @param {Page} page @param {string} nick @returns {Choice[]} */
function about(page, nick) {
  const { session } = page;
  const talk = page.here();
  if (!talk || nick === session.me.nick) return [];
  const rank = talk.members.get(nick)?.rank;
  /** @param {string} verb @returns {Choice} */
  const at = (verb) => [T.t(verb), () => session.menu(verb, talk.id, nick)];
  const ignore = async () => {
    if (await ask(parts("ask.ignore", nick), [], [[T.t("ignore").replace(/ ?…/, ""), "yes"]]))
      session.menu("ignore", talk.id, nick);
  };
  /** @type {Choice[]} */
  const rules = [
    at(rank === "voice" ? "devoice" : "voice"),
    at(rank === "op" ? "deop" : "op"),
    [T.t("mute"), () => moderate(session, talk, "mute", nick), "danger"],
    [T.t("kick"), () => moderate(session, talk, "kick", nick), "danger"],
    [T.t("ban"), () => moderate(session, talk, "ban", nick), "danger"],
  ];
  return [
    talk.name !== nick && [
      T.t("writeTo", nick),
      () => {
        page.shut();
        session.open(nick);
      },
    ],
    [T.t("ignore"), ignore],
    ...(RULES.test(talk.rank ?? "") ? rules : []),
  ];
}

/** @param {Page} page @param {string} nick @param {HTMLElement} by */
export function person(page, nick, by) {
  const choices = about(page, nick);
  if (!choices.length) return settings(page);
  menu(by, nick, [
    [
      T.t("mention", nick),
      () => {
        page.shut();
        page.composer.insert(nick);
      },
    ],
    ...choices,
  ]);
}

/** In clear a page may not use the clipboard but by what is selected. @param {string} text */
function copy(text) {
  if (isSecureContext) return navigator.clipboard.writeText(text);
  const box = h("textarea", { class: "vh" }, text);
  document.body.append(box);
  box.select();
  document.execCommand("copy");
  box.remove();
}

/** @param {Page} page @param {Row} row @param {HTMLElement} by */
export function message(page, row, by) {
  const { session, composer } = page;
  const { file, text, mine } = row;
  const erase = async () => {
    const what = h("p", { class: "quiet", dir: "auto" }, file?.name ?? text);
    const isSure = await ask(
      T.t(file ? "ask.unfile" : "ask.erase"),
      [what],
      [[T.t("erase").replace(/ ?…/, ""), "erase", "danger"]],
    );
    if (isSure) session.erase(row);
  };
  const isThere = file ? !file.gone : row.seq !== null;
  menu(by, T.t("more"), [
    !mine && [T.t("reply"), () => composer.insert(row.nick)],
    text !== "" && [T.t("copy"), () => copy(text)],
    isThere && (mine || RULES.test(page.here()?.rank ?? "")) && [T.t("erase"), erase, "danger"],
    ...about(page, row.nick),
  ]);
}

/** Who is kept out of a room, each with a button that ends it. @param {Session} session @param {Talk} talk */
function bans(session, talk) {
  session.askBans(talk.id, (all) => {
    if (!all) return;
    const line = (/** @type {(typeof all)[number]} */ { id, kind, who, until }) => {
      const name = who.replace(/^(name|guest|pattern):/, "");
      const end = button(T.t("unban"), () => {
        session.menu("unban", talk.id, id);
        li.remove();
      });
      end.append(unseen(` ${name}`));
      const what = T.t(kind === "ban" ? "banned" : "muted");
      const time = until ? T.t("until", T.day(until), T.time(until)) : T.t("forGood");
      const li = h("li", { class: "line" }, bdi(name), h("small", { class: "quiet" }, `${what}, ${time}`), end);
      return li;
    };
    ask(T.t("bans").replace(/ ?…/, ""), [all.length ? h("ul", {}, ...all.map(line)) : h("p", {}, T.t("noBans"))], []);
  });
}

/** @param {Page} page @param {HTMLElement} by */
function room(page, by) {
  const { session } = page;
  const talk = page.here();
  if (!talk) return;
  const asking = async (/** @type {string} */ key, /** @type {string} */ value) => {
    const { input, label } = field(key, { value, maxlength: 400, autofocus: true });
    return (await ask(T.t(key), [label], [[T.t("ok"), "ok"]])) && input.value.trim();
  };
  const topic = async () => {
    const text = await asking("topic", talk.topic);
    if (text !== null) session.say(talk.id, `/topic ${talk.name} ${text || "-"}`);
  };
  const invite = async () => {
    const nick = await asking("invite", "");
    if (nick) session.menu("invite", talk.id, nick);
  };
  const tell = () => {
    // What was said before is seen by all who come, unless that is off.
    const rules = [...talk.rules]
      .filter(([rule, value]) => value !== (rule === "past" ? "on" : "off"))
      .map(([rule, value]) => h("li", {}, `${rule}: ${value}`));
    const link = field(talk.isOpen ? "link" : "linkClosed", { value: location.href, readonly: true }).label;
    ask([bdi(talk.name)], [h("p", { dir: "auto" }, talk.topic), link, h("ul", {}, ...rules)], []);
  };
  /** @type {Choice[]} */
  const own = [
    [T.t("topic"), topic],
    [T.t("invite"), invite],
    [T.t("about"), tell],
    RULES.test(talk.rank ?? "") && [T.t("bans"), () => bans(session, talk)],
  ];
  const isRoom = talk.kind === "room";
  menu(by, talk.name, [
    ...(isRoom ? own : []),
    [T.t("keys"), shortcuts],
    [T.t(isRoom ? "leave" : "close"), () => session.leave(talk.id)],
  ]);
}

/** The name is registered. @param {string} nick */
export const owned = (nick) => ask(parts("owned", nick), [h("p", {}, T.t("ownedHow"))], []);

/** A room has a key, which is asked for, as nothing with a secret stands in an address. @param {Session} session @param {Trouble} why */
export async function askKey(session, { name, text, isWrong }) {
  const who = helpers(text);
  const from = h("p", { id: "from", class: "quiet" }, ...(who ? parts("keyFrom", who) : [T.t("keyOf")]));
  const problem = isWrong && h("p", { id: "wrong", class: "problem", role: "alert" }, T.t("wrongKey"));
  const wrong = { "aria-describedby": problem ? "wrong from" : "from", "aria-invalid": problem && "true" };
  const key = field("key", { autocomplete: "off", autofocus: true, required: true, ...wrong });
  if (await ask(parts("askKey", name ?? ""), [key.label, problem || null, from], [[T.t("join"), "join"]]))
    session.join(name ?? "", key.input.value.trim());
}

/** What the buttons of the page open, by their IDs. @type {Record<"open-left" | "open-right" | "room" | "find" | "me", (page: Page) => void>} */
export const open = {
  "open-left": (page) => drawer($("left"), () => page.address()),
  "open-right": (page) => drawer($("right"), () => page.address()),
  room: (page) => room(page, $("room")),
  find: goTo,
  me: (page) => settings(page),
};

/** The keys that work everywhere. @param {Page} page */
export function keys(page) {
  const { session, composer } = page;
  addEventListener("keydown", (e) => {
    if (document.querySelector("dialog[open], :popover-open") || $("app").hidden) return;
    const step = e.altKey && { ArrowUp: -1, ArrowDown: 1 }[e.key];
    if (step) {
      const ids = [...session.talks.keys()];
      page.look(ids[(ids.indexOf(session.current) + step + ids.length) % ids.length]);
    } else if (e.key === "F6") {
      const all = ["left", "log", "text", "right"].map($).filter((part) => part.checkVisibility());
      const at = all.findIndex((part) => part.contains(document.activeElement));
      const to = all[(at + (e.shiftKey ? all.length - 1 : 1)) % all.length];
      const stop = /** @type {HTMLElement | null} */ (to.querySelector('[tabindex="0"]'));
      (stop ?? to).focus();
    } else if (e.key.toLowerCase() === "k" && (e.ctrlKey || e.metaKey)) goTo(page);
    else if (e.key === "/" && (e.ctrlKey || e.metaKey)) shortcuts();
    else if (e.key === "Escape") composer.focus();
    else return;
    e.preventDefault();
  });
}
