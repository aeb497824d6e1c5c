import { $, bdi, button, h, T, unseen } from "./dom.js";

/** @import { Session } from "./session.js" */
/** @import { Talk } from "./talks.js" */

/**
 * Moves the focus within `box` by the arrow keys, Home and End: one stop for Tab, whatever their number.
 * @param {HTMLElement} box @param {string} find a selector
 */
export function rove(box, find) {
  const all = () => /** @type {HTMLElement[]} */ ([...box.querySelectorAll(find)]);
  box.addEventListener("keydown", (e) => {
    const step = { ArrowDown: 1, ArrowUp: -1, Home: -1e9, End: 1e9 }[e.key];
    const items = all();
    const at = items.indexOf(/** @type {HTMLElement} */ (document.activeElement));
    if (!step || at < 0 || e.altKey || e.ctrlKey || e.metaKey) return;
    e.preventDefault();
    items[Math.min(Math.max(at + step, 0), items.length - 1)].focus();
  });
  box.addEventListener("focusin", (e) => {
    const to = /** @type {HTMLElement} */ (e.target).closest(find);
    if (to) for (const item of all()) item.tabIndex = item === to ? 0 : -1;
  });
}

/** What the list says of a talk besides its name. @param {Talk} talk */
function news({ unread, mentions }) {
  if (!unread) return [];
  const text = mentions ? `${T.n("unread", unread)}, ${T.n("mentions", mentions)}` : T.n("unread", unread);
  return [
    h("span", { class: mentions ? "count loud" : "count", "aria-hidden": "true" }, String(unread)),
    unseen(`, ${text}`),
  ];
}

/** Puts rows into a list so that the focus stays where it is. @param {HTMLElement} list @param {HTMLElement[]} rows */
function refill(list, rows) {
  const focus = list.contains(document.activeElement) ? document.activeElement?.getAttribute("data-id") : null;
  list.replaceChildren(...rows.map((row) => h("li", {}, row)));
  rows.forEach((row, i) => {
    row.tabIndex = row.dataset.id === focus || (!focus && (row.ariaCurrent ? true : i === 0)) ? 0 : -1;
    if (row.dataset.id === focus) row.focus();
  });
}

/** A number on a button that opens a list. @param {string} id @param {number} count @param {string} label */
function badge(id, count, label) {
  const el = $(id);
  el.ariaLabel = label;
  const mark = el.querySelector("span");
  if (mark) mark.textContent = count ? String(count) : "";
}

/** The rooms, the people talked to, and who is here. */
export class Lists {
  #session;
  #act;
  /** What each list was drawn from. @type {Record<string, string>} */
  #drawn = {};

  /** @param {Session} session @param {{ look(id: string): void, person(nick: string, by: HTMLElement): void }} act */
  constructor(session, act) {
    this.#session = session;
    this.#act = act;
    for (const id of ["rooms", "talks", "members"]) rove($(id), "button");
  }

  /** A list is only drawn anew if it says something else. @param {string} list @param {unknown} of */
  #isOther(list, of) {
    const before = this.#drawn[list];
    this.#drawn[list] = JSON.stringify(of);
    return this.#drawn[list] !== before;
  }

  talks() {
    const { talks, current, people } = this.#session;
    const all = [...talks.values()];
    const of = all.map(({ id, name, unread, mentions }) => [id, unread, mentions, people.get(name)?.state]);
    if (!this.#isOther("talks", [current, of])) return;
    for (const [kind, id] of [
      ["room", "rooms"],
      ["person", "talks"],
    ]) {
      const rows = all
        .filter((talk) => talk.kind === kind)
        .map((talk) => {
          const state = people.get(talk.name)?.state;
          const mark =
            kind === "person" &&
            h("span", { class: `dot ${state ?? "gone"}` }, unseen(`${T.t(`is.${state ?? "gone"}`)}: `));
          const row = button("", () => this.#act.look(talk.id), talk.unread ? "row unread" : "row");
          row.dataset.id = talk.id;
          if (talk.id === current) row.ariaCurrent = "true";
          row.append(...[mark].filter((el) => el !== false), h("span", {}, bdi(talk.name)), ...news(talk));
          return row;
        });
      refill($(id), rows);
      if (kind === "person") $("talks-head").hidden = !rows.length;
    }
    const unread = all.reduce((sum, talk) => sum + (talk.id === current ? 0 : talk.unread), 0);
    badge("open-left", unread, unread ? `${T.t("talks")}, ${T.n("unread", unread)}` : T.t("talks"));
  }

  members() {
    const { talks, current, me } = this.#session;
    const all = [...(talks.get(current)?.members.values() ?? [])];
    if (!this.#isOther("members", [me.nick, all])) return;
    const order = ["founder", "op", "voice", null];
    const at = (/** @type {{ rank: string | null }} */ { rank }) => order.indexOf(rank);
    const members = all.sort((a, b) => at(a) - at(b) || a.nick.localeCompare(b.nick));
    const rows = members.map(({ nick, rank, away }) => {
      const row = button("", () => this.#act.person(nick, row), away === null ? "row" : "row away");
      row.dataset.id = nick;
      const about = [
        rank && T.t(`rank.${rank}`),
        away !== null && (away || T.t("is.away")),
        nick === me.nick && T.t("you"),
      ];
      row.append(h("span", {}, bdi(nick), h("small", {}, bdi(about.filter(Boolean).join(" · ")))));
      return row;
    });
    refill($("members"), rows);
    const here = T.n("here", members.length);
    $("members-head").textContent = here;
    badge("open-right", members.length, here);
  }
}
