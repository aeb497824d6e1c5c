import { bdi, button, h, parts, T, unseen } from "./dom.js";

/** @import { Talk } from "./talks.js" */
/** @import { Row } from "./types" */
/**
 * @typedef {{ row: Row, li: HTMLLIElement, folded: Set<Row> | null }} Item a row as it is shown; `folded` are the comings and goings told as one
 * @typedef {{ menu(row: Row, by: HTMLElement): void, again(row: Row): void, drop(row: Row): void, older(): void, join(room: string): void,
 *   file(row: Row): HTMLElement, read(): void, fold(): boolean }} Acts what one can do with a row
 */

const BLOCK = 50;
const MOST = 10_000;
const COMINGS = { joined: 0, left: 0, quit: 0, lost: 0 };
/** Rows of one person within so many milliseconds stand under one name. */
const TOGETHER = 300_000;

/** Each nick has one of 12 colours, all of the same lightness. @param {string} nick */
export function tint(nick) {
  let sum = 0;
  for (const char of nick) sum = (sum * 31 + (char.codePointAt(0) ?? 0)) % 9973;
  const el = bdi(nick);
  el.style.setProperty("--hue", String((sum % 12) * 30));
  return el;
}

/** A text, its addresses being links. @param {string} text @returns {(Node | string)[]} */
export function linked(text) {
  return text.split(/(\bhttps?:\/\/[^\s<>"]+)/i).flatMap((part, i) => {
    if (i % 2 === 0) return [part];
    let url = part.replace(/[.,;:!?'*]+$/, "");
    if (url.endsWith(")") && !url.includes("(")) url = url.slice(0, -1);
    if (!URL.canParse(url)) return [part];
    const a = h("a", { href: url, target: "_blank", rel: "noopener noreferrer nofollow" }, url);
    return [a, part.slice(url.length)];
  });
}

/** What was said in one talk, in blocks of rows of which only those in sight are laid out. */
export class Log {
  /** @type {Map<Row, Item>} */ #items = new Map();
  /** @type {WeakMap<Element, Item>} */ #of = new WeakMap();
  /** @type {Talk | null} */ #talk = null;
  /** @type {(() => void)[]} What is done at the next frame. */ #jobs = [];
  #root;
  #acts;
  #end = true;
  /** Rows behind this one are new: the first of them gets the divider. @type {number | null} */ #mark = null;
  #below = 0;
  /** @type {number[]} When rows came, of the last second. */ #came = [];
  #more = button(T.t("more"), () => this.#menu(), "more", "more");
  #older = button(T.t("older"), () => this.#acts.older(), "plain older");
  #down;

  /** @param {HTMLElement} root @param {HTMLElement} down the button that leads to the end @param {Acts} acts */
  constructor(root, down, acts) {
    this.#root = root;
    this.#down = down;
    this.#acts = acts;
    down.addEventListener("click", () => this.#toEnd());
    root.addEventListener("scroll", () => this.#scrolled(), { passive: true });
    new ResizeObserver(() => this.#end && this.#toEnd()).observe(root);
    for (const on of ["pointerover", "focusin"])
      root.addEventListener(on, (e) => {
        const li = /** @type {HTMLElement} */ (e.target).closest("li");
        if (li && !li.classList.contains("event") && this.#more.parentNode !== li) li.append(this.#more);
      });
    root.addEventListener("keydown", (e) => this.#key(e));
  }

  /** Shows another talk. @param {Talk} talk */
  show(talk) {
    this.#talk = talk;
    this.#jobs = [];
    this.#items.clear();
    this.#mark = talk.unread ? talk.readKey : null;
    this.#root.replaceChildren(this.#older);
    this.#root.ariaLabel = T.t("log", talk.name);
    this.#root.dataset.empty = T.t(talk.kind === "room" ? "emptyRoom" : "emptyTalk");
    this.#root.ariaLive = "off";
    for (const row of talk.rows.slice(-MOST)) this.#append(row);
    this.#older.hidden = !talk.hasOlder;
    this.#toEnd();
    const divider = this.#root.querySelector(".new");
    divider?.scrollIntoView({ block: "center" });
    this.#scrolled();
  }

  /** What came while nobody looked is read if the end is in sight. */
  read() {
    if (this.#end) this.#acts.read();
  }

  /** From now on what comes is new: nobody looks. */
  leave() {
    if (!this.#end) return;
    this.#root.querySelector(".new")?.remove();
    this.#mark = this.#talk?.rows.at(-1)?.key ?? 0;
  }

  /** @param {{ added: Row[], changed: Row[], removed: Row[], older: Row[], reset?: boolean }} change of the talk that is shown */
  change({ added, changed, removed, older, reset }) {
    const talk = this.#talk;
    if (!talk) return;
    if (!this.#jobs.length) requestAnimationFrame(() => this.#work());
    if (reset) this.#jobs = [() => this.show(talk)];
    else
      this.#jobs.push(() => {
        for (const row of removed) this.#remove(row);
        if (older.length) this.#prepend(older);
        for (const row of added) this.#append(row);
        for (const row of changed) {
          const item = this.#items.get(row);
          if (row.erased) this.#remove(row);
          else if (item) this.#fill(item);
        }
        this.#count(added);
      });
  }

  #work() {
    const jobs = this.#jobs;
    this.#jobs = [];
    const end = this.#end;
    for (const job of jobs) job();
    this.#older.hidden = !this.#talk?.hasOlder;
    if (end) this.#toEnd();
    this.#scrolled();
  }

  /** Of many rows a second only their number is said. @param {Row[]} added */
  #count(added) {
    const now = performance.now();
    this.#came = this.#came.filter((at) => at > now - 1000).concat(added.map(() => now));
    const flood = this.#came.length > 5;
    this.#root.ariaLive = flood ? "off" : "polite";
    if (flood) this.#root.dispatchEvent(new CustomEvent("flood", { detail: this.#came.length, bubbles: true }));
    if (!this.#end) this.#below += added.filter((row) => row.kind !== "event").length;
  }

  /** @param {Row} row */
  #make(row) {
    const li = h("li", { tabindex: -1 });
    const item = { row, li, folded: null };
    this.#items.set(row, item);
    this.#of.set(li, item);
    return item;
  }

  /** @param {Row} row */
  #append(row) {
    if (row.erased || this.#items.has(row)) return;
    const item = this.#make(row);
    let block = this.#root.lastElementChild;
    if (block?.localName !== "ol" || block.childElementCount >= BLOCK) {
      block = h("ol");
      this.#root.append(block);
    }
    block.append(item.li);
    this.#fill(item);
    if (this.#mark !== null && row.key > this.#mark && !row.mine) {
      item.li.prepend(h("p", { class: "new" }, T.t("new")));
      this.#mark = null;
    }
    const first = this.#root.querySelector("ol");
    if (this.#items.size > MOST && first && first !== block) {
      for (const li of first.children) this.#items.delete(/** @type {Item} */ (this.#of.get(li)).row);
      first.remove();
    }
  }

  /** @param {Row[]} rows the oldest first */
  #prepend(rows) {
    const [live, height, top] = [this.#root.ariaLive, this.#root.scrollHeight, this.#root.scrollTop];
    this.#root.ariaLive = "off";
    const next = this.#root.querySelector("li");
    const items = rows.filter((row) => !row.erased && !this.#items.has(row)).map((row) => this.#make(row));
    const blocks = [];
    for (let i = 0; i < items.length; i += BLOCK)
      blocks.push(h("ol", {}, ...items.slice(i, i + BLOCK).map((item) => item.li)));
    this.#older.after(...blocks);
    for (const item of items) this.#fill(item);
    const after = next && this.#item(next);
    if (after) this.#fill(after);
    this.#root.scrollTop = top + this.#root.scrollHeight - height;
    this.#root.ariaLive = live;
  }

  /** @param {Row} row */
  #remove(row) {
    const item = this.#items.get(row);
    if (!item) return;
    const next = this.#beside(item.li, "next");
    if (item.li.contains(document.activeElement)) this.#root.focus();
    this.#items.delete(row);
    item.li.remove();
    if (next) this.#fill(next);
  }

  /** @param {Element | null | undefined} li */
  #item(li) {
    return li ? this.#of.get(li) : undefined;
  }

  /** @param {Element} li @param {"next" | "previous"} way */
  #beside(li, way) {
    const sibling = /** @type {const} */ (`${way}ElementSibling`);
    const block = li.parentElement?.[sibling];
    return this.#item(li[sibling] ?? (way === "next" ? block?.firstElementChild : block?.lastElementChild));
  }

  /** Draws a row as it stands, and as it follows on the one before. @param {Item} item */
  #fill(item) {
    const { row, li } = item;
    const before = this.#beside(li, "previous");
    const time = row.time ?? before?.row.time ?? 0;
    const held = [...li.querySelectorAll(":scope > .new, :scope > .more, :scope > .card")];
    const old = before?.row;
    const day = row.time && (!old?.time || T.day(old.time) !== T.day(row.time)) && T.day(row.time);
    const spoken = row.kind !== "event" && row.kind !== "note";
    const same =
      old && !day && spoken && old.kind === row.kind && old.nick === row.nick && time - (old.time ?? 0) < TOGETHER;
    li.className = `${spoken ? row.kind : "event"} ${row.state}${row.mine ? " mine" : ""}${row.mention ? " mention" : ""}${same ? "" : " first"}`;
    const when =
      row.time && h("time", { datetime: new Date(row.time).toISOString(), title: T.day(row.time) }, T.time(row.time));
    const who = h("p", { class: "who" }, tint(row.nick), unseen(", "), when || null, unseen(": "));
    li.replaceChildren(
      ...held.filter((el) => el.className === "new"),
      ...(day ? [h("p", { class: "day" }, h("span", {}, day))] : []),
      ...(spoken ? [who, ...this.#body(item, held)] : [this.#event(item, before), when || ""]),
      ...this.#state(row),
      ...held.filter((el) => el.classList.contains("more")),
    );
  }

  /** @param {Item} item @param {Element[]} held */
  #body({ row }, held) {
    if (row.kind === "file") return [held.find((el) => el.className === "card") ?? this.#acts.file(row)];
    if (row.kind === "invite") {
      const room = row.args[0] ?? row.text;
      const join = button(T.t("join"), () => this.#acts.join(room), "main");
      return [h("div", { class: "card" }, h("p", {}, ...parts("invites", row.nick, room)), join)];
    }
    const text = h("p", { class: "text", dir: "auto" });
    if (row.kind === "action") text.append(bdi(row.nick), " ");
    text.append(...linked(row.text));
    return [text];
  }

  /** Something that happened. @param {Item} item @param {Item | undefined} before */
  #event(item, before) {
    const { row, li } = item;
    const what = h("p", { class: "what", dir: "auto" });
    const fold = this.#acts.fold() && row.code in COMINGS;
    item.folded = fold ? ((before?.row.code ?? "") in COMINGS && before?.folded) || new Set() : null;
    item.folded?.add(row);
    li.hidden = false;
    if (item.folded && item.folded.size > 1) {
      // The newest stands for all; those before it are there no more to be seen.
      for (const one of item.folded) if (one !== row) /** @type {Item} */ (this.#items.get(one)).li.hidden = true;
      const came = [...item.folded].filter(({ code }) => code === "joined").length;
      const went = item.folded.size - came;
      what.append([came && T.n("came", came), went && T.n("went", went)].filter(Boolean).join(", "));
      return what;
    }
    const key = `event.${row.code}`;
    if (!T.has(key)) what.append(...linked(row.text));
    else {
      const args = row.code === "lost" ? [] : [...row.args];
      if (/^(un)?(banned|muted)$/.test(row.code)) {
        args[0] = args[0]?.replace(/^(name|guest|pattern):/, "") ?? "";
        if (args[1]) args[1] = T.span(Number(args[1]));
      }
      const more = args.filter((arg, i) => arg && !T.t(key).includes(`{${i + 1}}`));
      what.append(...parts(key, row.nick, ...args), ...more.flatMap((arg) => [": ", bdi(arg)]));
    }
    return what;
  }

  /** @param {Row} row */
  #state(row) {
    if (row.state === "sure") return [];
    if (row.state === "pending") return [h("p", { class: "state" }, T.t("pending"))];
    const why = row.state === "unknown" ? T.t("unknown") : T.t("unsent", T.refusal(row.why?.code, row.why?.text));
    const again = button(T.t("again"), () => this.#acts.again(row));
    return [
      h(
        "p",
        { class: "state" },
        why,
        " ",
        again,
        button(T.t("drop"), () => this.#acts.drop(row)),
      ),
    ];
  }

  #toEnd() {
    this.#root.scrollTop = this.#root.scrollHeight;
    this.#end = true;
  }

  #scrolled() {
    const { scrollTop, scrollHeight, clientHeight } = this.#root;
    this.#end = scrollHeight - scrollTop - clientHeight < 40;
    if (this.#end) {
      this.#below = 0;
      this.#acts.read();
    }
    this.#down.hidden = this.#end;
    this.#down.textContent = this.#below ? T.n("below", this.#below) : T.t("toEnd");
    if (scrollTop < 300 && this.#talk?.hasOlder && !this.#end) this.#acts.older();
  }

  #menu() {
    const item = this.#item(this.#more.closest("li"));
    if (item) this.#acts.menu(item.row, this.#more);
  }

  /** The arrow keys go from row to row, Enter opens the menu of one. @param {KeyboardEvent} e */
  #key(e) {
    const on = /** @type {HTMLElement} */ (e.target);
    const item = this.#item(on);
    if (item && (e.key === "Enter" || e.key === "ContextMenu" || (e.key === "F10" && e.shiftKey))) {
      e.preventDefault();
      item.li.append(this.#more);
      this.#menu();
    }
    if (e.altKey || e.ctrlKey || e.metaKey || (e.key !== "ArrowUp" && e.key !== "ArrowDown")) return;
    const up = e.key === "ArrowUp";
    const li = on === this.#root ? null : on.closest("li");
    const to = li
      ? this.#beside(li, up ? "previous" : "next")?.li
      : up && [...this.#root.querySelectorAll("li")].at(-1);
    if (!to) return;
    e.preventDefault();
    to.focus();
  }
}
