import { $, bdi, button, h, parts, rove, T } from "./dom.js";

/** @import { Session } from "./session.js" */
/** @import { Talk } from "./talks.js" */
/** @typedef {{ theme?: string, language?: string, notify?: boolean, hideText?: boolean, fold?: boolean, offered?: boolean }} Choices */
/** @typedef {[label: string, act: () => unknown, look?: string] | false | null | undefined} Choice */

let count = 0;

/**
 * A dialog, closed by Esc, by Back where the browser does that, and by its buttons. Resolves to the word of the button pressed, null if
 * it was just closed.
 * @param {string | (Node | string)[]} title
 * @param {(Node | false | null)[]} kids
 * @param {[string, string, string?][]} buttons label, word, look; the first is what Enter does
 * @returns {Promise<string | null>}
 */
export function ask(title, kids, buttons) {
  return new Promise((resolve) => {
    const id = `dialog${++count}`;
    const submit = (/** @type {Event} */ e) => {
      e.preventDefault();
      box.close(buttons[0]?.[1]);
    };
    const row = buttons.map(([label, word, look], i) =>
      i ? button(label, () => box.close(word), look) : h("button", { class: look ?? "main" }, label),
    );
    const form = h(
      "form",
      { onsubmit: submit },
      h(
        "h2",
        {
          id,
          tabindex: -1,
          autofocus: !kids.some((kid) => kid && kid instanceof Element && kid.querySelector("[autofocus]")),
        },
        ...title,
      ),
      ...kids,
      h(
        "div",
        { class: "buttons" },
        ...row,
        button(T.t("close"), () => box.close("")),
      ),
    );
    const box = h("dialog", { "aria-labelledby": id }, form);
    box.addEventListener("close", () => {
      box.remove();
      resolve(box.returnValue || null);
    });
    document.body.append(box);
    box.showModal();
  });
}

/** A field with its label. @param {string} key @param {Record<string, any>} [props] */
export function field(key, props = {}) {
  const input = h("input", { autocapitalize: "off", spellcheck: "false", ...props });
  return { input, label: h("label", {}, h("span", {}, T.t(key)), input) };
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
  rove(box, "button");
  box.addEventListener("keydown", (e) => e.key === "Tab" && box.hidePopover());
  box.addEventListener("toggle", (e) => {
    if (/** @type {ToggleEvent} */ (e).newState !== "closed") return;
    const inside = box.contains(document.activeElement);
    box.remove();
    if (inside) by.focus();
  });
  document.body.append(box);
  box.showPopover();
  const at = by.getBoundingClientRect();
  const { offsetWidth: width, offsetHeight: height } = box;
  const below = at.bottom + height < innerHeight || at.top < height;
  box.style.left = `${Math.max(8, Math.min(T.dir === "rtl" ? at.left : at.right - width, innerWidth - width - 8))}px`;
  box.style.top = `${Math.max(8, Math.min(below ? at.bottom : at.top - height, innerHeight - height - 8))}px`;
  /** @type {HTMLElement | null} */ (box.firstElementChild)?.focus();
}

/** Shows one of the two lists over the page, where there is no place beside it. Back closes it. @param {HTMLElement} part @param {() => void} then when it is closed */
export function drawer(part, then) {
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

/** Closes the drawer that is open, if one is. */
export const shut = () => /** @type {HTMLDialogElement | null} */ (document.querySelector("dialog.drawer"))?.close();

/** What stands before the talks: who one is, and how one comes in. Drawn anew only when it has something else to say. */
/** @param {Session} session @param {string} room */
export function gate(session, room) {
  const { state, trouble, server } = session;
  const box = $("gate");
  const sign = JSON.stringify([state, trouble?.code, trouble?.text, trouble?.tries, trouble?.free, server?.motd]);
  if (box.dataset.sign === sign) return;
  box.dataset.sign = sign;
  const typed = Object.fromEntries([...box.querySelectorAll("input")].map((input) => [input.name, input.value]));
  const code = trouble?.code ?? "";
  if (code === "locked") box.dataset.way = trouble?.text.includes("/pass") ? "pass" : "login";
  const locked = state === "locked";
  const closed = locked && box.dataset.way === "login";
  const isLogin = closed || (trouble?.name && /^(refused|insecure)$/.test(code));
  const tries = trouble?.tries == null ? "" : ` ${T.n("tries", trouble.tries)}`;
  const problem =
    code &&
    code !== "locked" &&
    h("p", { id: "problem", class: "problem", role: "alert" }, T.refusal(code, trouble?.text) + tries);
  const wrong = { "aria-describedby": problem && "problem", "aria-invalid": problem && "true" };
  const secret = { type: "password", autocomplete: "current-password", required: true };
  const name = field("askName", {
    name: "name",
    autocomplete: "nickname",
    required: true,
    value: typed.name || trouble?.name,
    ...(isLogin || locked ? {} : wrong),
  });
  const pass = field("password", { name: "pass", ...secret, ...(isLogin ? {} : wrong) });
  const own = field("ownName", {
    name: "own",
    autocomplete: "username",
    required: true,
    value: typed.own || trouble?.name,
  });
  const word = field("password", { name: "word", ...secret, ...(isLogin ? wrong : {}) });
  /** @param {() => void} then @param {(Node | string | false | null)[]} kids */
  const form = (then, ...kids) =>
    h(
      "form",
      {
        onsubmit(/** @type {Event} */ e) {
          e.preventDefault();
          then();
        },
      },
      ...kids,
    );
  const free = trouble?.free ?? "";
  const offer = h("button", { type: "button", onclick: () => session.enter(free) }, ...parts("takeFree", free));
  const login = form(
    () => session.login(own.input.value, word.input.value),
    own.label,
    word.label,
    isLogin && problem,
    h("button", {}, T.t("login")),
  );
  const first = form(
    () => {
      session.enter(name.input.value);
      if (locked) session.unlock(pass.input.value);
    },
    name.label,
    locked && pass.label,
    !isLogin && problem,
    free && offer,
    h("button", { class: "main" }, T.t("join")),
  );
  box.replaceChildren(h("h1", { dir: "auto" }, server.name || "chinwag"));
  if (state !== "naming" && !locked) {
    box.append(h("p", { class: "slow" }, T.t("connecting", location.host)), h("div", { class: "bones" }));
    return;
  }
  for (const line of server.motd) box.append(h("p", { dir: "auto" }, line));
  if (locked) box.append(h("p", {}, T.t(closed ? "guests" : "locked")));
  if (closed) box.append(login);
  else {
    const more = h(
      "details",
      { open: isLogin || code === "owned" },
      h("summary", {}, h("span", {}, T.t("haveName"))),
      login,
    );
    box.append(first, h("p", { class: "quiet" }, ...parts("comeTo", room)), more);
  }
  (isLogin ? (problem ? word : own) : locked && problem ? pass : name).input.focus();
}

/** Where to: a talk, a room that there is or is to be, somebody who is here. @param {Session} session @param {(room: string, key?: string) => void} join */
export function goTo(session, join) {
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
      found.push({ name: room, about: T.t("newRoom"), go: () => join(room) });
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
        go: () => join(name),
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

/** @param {Session} session @param {Choices} choices @param {import("./notify.js").Notifier} notifier @param {() => void} changed */
export function settings(session, choices, notifier, changed) {
  const set = (/** @type {keyof Choices} */ key) => (/** @type {any} */ value) => {
    choices[key] = value;
    changed();
  };
  const { me } = session;
  const name = field("myName", { value: me.nick, autocomplete: "nickname", maxlength: 60 });
  const away = field("away", { value: me.away ?? "", placeholder: T.t("awayLike"), maxlength: 200 });
  const pass = field("newPassword", { type: "password", autocomplete: "new-password", minlength: 8 });
  const may = notifier.state();
  const can = may === "on" || may === "off";
  const part = (/** @type {string} */ key, /** @type {(Node | string | false)[]} */ ...kids) =>
    h("fieldset", {}, h("legend", {}, T.t(key)), ...kids);
  const line = (/** @type {HTMLElement} */ label, /** @type {string} */ key, /** @type {() => void} */ act) =>
    h("div", { class: "line" }, label, button(T.t(key), act));
  const notify = async (/** @type {boolean} */ on) => {
    if (on) await notifier.ask();
    else await notifier.off();
  };
  return ask(
    T.t("settings"),
    [
      part(
        "you",
        line(name.label, "rename", () => session.rename(name.input.value.trim())),
        line(away.label, "setAway", () => session.away(away.input.value.trim() || null)),
        me.owned
          ? button(T.t("logout"), () => session.logout())
          : h(
              "div",
              {},
              line(pass.label, "register", () => session.register(pass.input.value, "")),
              h("p", { class: "quiet" }, T.t("registerWhy")),
            ),
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
        select(
          "language",
          [
            ["", T.t("asDevice")],
            ["en", "English"],
            ["de", "Deutsch"],
          ],
          choices.language,
          set("language"),
        ),
        tick("fold", choices.fold, set("fold")),
      ),
      part(
        "here",
        h("p", { class: "quiet" }, T.t("forgetWhy")),
        button(
          T.t("forget"),
          async () => {
            if (await ask(T.t("forgetAsk"), [], [[T.t("forget"), "forget", "danger"]])) session.forget();
          },
          "danger",
        ),
      ),
    ],
    [],
  );
}
