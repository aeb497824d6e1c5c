import { bdi, button, h, parts, refusal, T, unseen } from "./dom.js";

/** @import { Talk } from "./talks.js" */
/** @import { Row, Rows } from "./types" */
/**
 * @typedef {{ row: Row, li: HTMLLIElement, folded: Set<Item> }} Item a row as it is shown; `folded` are comings and goings told as one
 * @typedef {{ menu(row: Row, by: HTMLElement): void, again(row: Row): void, drop(row: Row): void, older(): void,
 *   join(room: string): void, file(row: Row): HTMLElement, read(): void, fold(): boolean }} Acts what one can do with a row
 */

/** Rows in a block: only blocks in sight are laid out. */
const BLOCK = 50;
const MOST = 10_000;
/** Rows of one person within so many ms stand under one name. */
const TOGETHER = 300_000;
const COMINGS = /^(joined|left|quit|lost)$/;
/** Notes that answer what the person has just sent. */
const ANSWERS = /^(alone|automatic|detail|done|elsewhere|help|password|refused|secret|slip|unanswered|unsent|wary)$/;

/** Each nick has one of 12 colours, all of the same lightness. @param {string} nick */
function tint(nick) {
  let sum = 0;
  for (const char of nick) sum = (sum * 31 + char.charCodeAt(0)) % 9973;
  const el = bdi(nick);
  el.style.setProperty("--hue", String((sum % 12) * 30));
  return el;
}

/** A text, its addresses being links. @param {string} text @returns {(Node | string)[]} */
export function linked(text) {
  return text.split(/(\bhttps?:\/\/[^\s<>"]+)/i).flatMap((part, i) => {
    let url = part.replace(/[.,;:!?'*]+$/, "");
    if (url.endsWith(")") && !url.includes("(")) url = url.slice(0, -1);
    if (i % 2 === 0 || !URL.canParse(url)) return [part];
    return [h("a", { href: url, target: "_blank", rel: "noopener noreferrer nofollow" }, url), part.slice(url.length)];
  });
}

/** What was said in one talk. */
export class Log {
  /** @type {Map<Row, Item>} */
  #items = new Map();
  /** @type {WeakMap<Element, Item>} */
  #of = new WeakMap();
  /** @type {Talk | null} */
  #talk = null;
  /** What is done at the next frame. @type {(() => void)[]} */
  #jobs = [];
  #end = true;
  /** Rows behind this one are new: the first of them gets the divider. @type {number | null} */
  #mark = null;
  #below = 0;
  /** Whether nothing is shown yet of a room where something was read before. */
  #isBare = false;
  /** When rows came, of the last second. @type {number[]} */
  #came = [];
  #more = button(T.t("more"), () => this.#menu(), "more", "more");
  #older = button(T.t("older"), () => this.#acts.older(), "older");
  /** Whether what is new is looked at since the talk was opened, and nobody has moved it. */
  #isAtNew = false;
  /** Whoever looks at the end, or at what is new, still does when a card has grown, or a keyboard has come up. */
  #sizes = new ResizeObserver(() => {
    this.#height = this.#root.clientHeight;
    if (this.#isAtNew && this.#toNew()) this.#scrolled();
    else if (this.#end) this.#toEnd();
    else this.#scrolled();
  });
  #height = 0;
  #root;
  #down;
  #acts;

  /** @param {HTMLElement} root @param {HTMLElement} down the button that leads to the end @param {Acts} acts */
  constructor(root, down, acts) {
    this.#root = root;
    this.#down = down;
    this.#acts = acts;
    down.addEventListener("click", () => this.#toEnd());
    // A log that has just been given another height scrolls without anybody's doing: `#sizes` hears of it next.
    root.addEventListener("scroll", () => root.clientHeight === this.#height && this.#scrolled(), { passive: true });
    this.#sizes.observe(root);
    const moved = () => {
      this.#isAtNew = false;
    };
    for (const on of ["wheel", "touchmove", "pointerdown", "keydown"])
      root.addEventListener(on, moved, { passive: true });
    for (const on of ["pointerover", "focusin"]) root.addEventListener(on, (e) => this.#point(e.target));
    root.addEventListener("keydown", (e) => this.#key(e));
  }

  /** Shows another talk, or that there is none. @param {Talk | null} talk */
  show(talk) {
    const root = this.#root;
    this.#talk = talk;
    this.#jobs = [];
    this.#items.clear();
    this.#mark = talk?.unread ? talk.readKey : null;
    this.#isBare = Boolean(talk?.read.time) && !talk?.rows.some(({ seq }) => seq);
    const isPrivate = talk?.kind === "person";
    root.replaceChildren(this.#older, isPrivate ? h("p", { class: "quiet" }, T.t("emptyTalk")) : "");
    root.ariaLabel = talk ? T.t("log", talk.name) : T.t("noRoom");
    root.ariaLive = "off";
    for (const row of talk?.rows.slice(-MOST) ?? []) this.#append(row);
    this.#older.hidden = !talk?.hasOlder;
    this.#toEnd();
    this.#isAtNew = this.#toNew();
    this.#scrolled();
  }

  /** Whether there is something new to be gone to. */
  #toNew() {
    const mark = this.#root.querySelector(".new");
    mark?.scrollIntoView({ block: "center" });
    return mark !== null;
  }

  /** What stands there while nothing else does. @param {string} text */
  empty(text) {
    this.#root.dataset.empty = text;
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

  /** @param {Rows} change of the talk that is shown */
  change({ added, changed, removed, older }) {
    if (!this.#jobs.length) requestAnimationFrame(() => this.#work());
    // Whoever says, sends or does something sees what comes of it, also if that is refused at once: what goes back to where they type
    // may be sent once more.
    const isOwn = added.some(({ kind, code, mine, state }) => {
      if (kind === "note") return ANSWERS.test(code);
      return mine && (state !== "sure" || kind === "file" || (kind === "event" && !COMINGS.test(code)));
    });
    this.#jobs.push(() => {
      // What was missed while the page was closed may come behind the first look.
      if (this.#isBare && added.some(({ seq }) => seq)) return this.show(this.#talk);
      this.#end ||= isOwn;
      for (const row of removed) this.#remove(row);
      if (older.length) this.#prepend(older);
      for (const row of added) this.#append(row);
      for (const row of changed) {
        const item = this.#items.get(row);
        if (item) this.#change(item);
      }
      this.#count(added);
    });
  }

  #work() {
    for (const job of this.#jobs.splice(0)) job();
    this.#older.hidden = !this.#talk?.hasOlder;
    if (this.#end) this.#toEnd();
    this.#scrolled();
  }

  /** Of many rows a second only their number is said. @param {Row[]} added */
  #count(added) {
    const now = performance.now();
    this.#came = this.#came.filter((at) => at > now - 1000).concat(added.map(() => now));
    const isFlood = this.#came.length > 5;
    this.#root.ariaLive = isFlood ? "off" : "polite";
    if (isFlood) this.#root.dispatchEvent(new CustomEvent("flood", { detail: this.#came.length }));
    if (!this.#end) this.#below += added.filter(({ kind }) => kind !== "event" && kind !== "note").length;
  }

  /** @param {Row} row */
  #make(row) {
    /** @type {Item} */
    const item = { row, li: h("li", { tabindex: -1 }), folded: new Set() };
    this.#items.set(row, item);
    this.#of.set(item.li, item);
    return item;
  }

  /** @param {Row} row */
  #append(row) {
    if (this.#items.has(row)) return;
    const item = this.#make(row);
    let block = this.#root.lastElementChild;
    if (block?.localName !== "ol" || block.childElementCount >= BLOCK) {
      block = h("ol");
      this.#root.append(block);
      this.#sizes.observe(block);
    }
    block.append(item.li);
    this.#fill(item);
    if (this.#mark !== null && row.key > this.#mark && !row.mine) {
      item.li.prepend(h("p", { class: "new" }, T.t("new")));
      this.#mark = null;
    }
    if (this.#items.size <= MOST) return;
    const first = this.#root.querySelector("ol");
    for (const li of first?.children ?? []) this.#items.delete(/** @type {Item} */ (this.#of.get(li)).row);
    first?.remove();
  }

  /** @param {Row[]} rows the oldest first */
  #prepend(rows) {
    const root = this.#root;
    root.ariaLive = "off";
    const [height, top, next] = [root.scrollHeight, root.scrollTop, root.querySelector("li")];
    const items = rows.map((row) => this.#make(row));
    const blocks = [];
    for (let i = 0; i < items.length; i += BLOCK)
      blocks.push(h("ol", {}, ...items.slice(i, i + BLOCK).map(({ li }) => li)));
    this.#older.after(...blocks);
    const after = next && this.#of.get(next);
    for (const item of after ? [...items, after] : items) this.#fill(item);
    root.scrollTop = top + root.scrollHeight - height;
  }

  /** @param {Row} row */
  #remove(row) {
    const item = this.#items.get(row);
    if (!item) return;
    const next = this.#beside(item.li, "next");
    if (item.li.contains(document.activeElement))
      ((next ?? this.#beside(item.li, "previous"))?.li ?? this.#root).focus();
    this.#items.delete(row);
    item.li.remove();
    if (next) this.#fill(next);
  }

  /** @param {Element} li @param {"next" | "previous"} way */
  #beside(li, way) {
    const sibling = /** @type {const} */ (`${way}ElementSibling`);
    const block = li.parentElement?.[sibling];
    const beside = li[sibling] ?? (way === "next" ? block?.firstElementChild : block?.lastElementChild);
    return beside ? this.#of.get(beside) : undefined;
  }

  /** A message that has arrived stays as it is, or it would be read out again. @param {Item} item */
  #change(item) {
    const { row, li } = item;
    if (row.file?.gone) li.querySelector(":scope > .card")?.remove();
    if (row.state !== "sure" || !li.querySelector(".text")?.textContent.endsWith(row.text)) return this.#fill(item);
    li.classList.remove("pending");
    li.querySelector(".state")?.remove();
  }

  /** Draws a row as it stands, and as it follows on the one before. @param {Item} item */
  #fill(item) {
    const { row, li } = item;
    const { kind, nick, time, mine, mention, state } = row;
    const before = this.#beside(li, "previous");
    const old = before?.row;
    const day = time && T.day(time);
    const isNewDay = day && (!old?.time || T.day(old.time) !== day);
    const isSaid = kind !== "event" && kind !== "note";
    const isSame =
      isSaid && !isNewDay && old?.kind === kind && old.nick === nick && (time ?? 0) - (old.time ?? 0) < TOGETHER;
    // Between two, all is for the one who reads it.
    const isLoud = mention && this.#talk?.kind === "room";
    const look = [isSaid ? kind : "event", state, mine && "mine", isLoud && "mention", !isSame && "first"];
    const [mark, card, more] = ["new", "card", "more"].map((name) => li.querySelector(`:scope > .${name}`));
    const when = time && h("time", { datetime: new Date(time).toISOString(), title: day }, T.time(time));
    li.className = look.filter(Boolean).join(" ");
    li.hidden = false;
    li.replaceChildren(mark ?? "", isNewDay ? h("p", { class: "day" }, h("span", {}, day)) : "");
    if (isSaid) li.append(h("p", { class: "who" }, tint(nick), unseen(", "), when || "", unseen(": ")));
    else li.append(this.#event(item, before), when || "");
    if (kind === "file") li.append(card ?? this.#acts.file(row));
    else if (kind === "invite") {
      const join = button(T.t("join"), () => this.#acts.join(row.args[0]), "main");
      li.append(h("div", { class: "card" }, h("p", {}, ...parts("invites", nick, row.args[0])), join));
    } else if (isSaid) {
      const who = kind === "action" ? [bdi(nick), " "] : [];
      li.append(h("p", { class: "text", dir: "auto" }, ...who, ...linked(row.text)));
    }
    if (state === "pending") li.append(h("p", { class: "state" }, T.t("pending")));
    else if (state !== "sure") {
      const why = state === "unknown" ? [T.t("unknown")] : parts("unsent", refusal(row.why ?? {}));
      const again = button(T.t("again"), () => this.#acts.again(row));
      const drop = button(T.t("drop"), () => this.#acts.drop(row));
      li.append(h("p", { class: "state" }, ...why, again, drop));
    }
    if (more) li.append(more);
  }

  /** Something that happened. @param {Item} item @param {Item | undefined} before */
  #event(item, before) {
    const { row } = item;
    const { code, nick } = row;
    const what = h("p", { class: "what", dir: "auto" });
    const isFolded = COMINGS.test(code) && this.#acts.fold();
    item.folded = (isFolded && before?.folded.size && before.folded) || new Set();
    if (isFolded) item.folded.add(item);
    if (item.folded.size > 1) {
      // The newest stands for all.
      for (const one of item.folded) one.li.hidden = one !== item;
      const came = [...item.folded].filter((one) => one.row.code === "joined").length;
      const went = item.folded.size - came;
      what.append([came && T.n("came", came), went && T.n("went", went)].filter(Boolean).join(", "));
      return what;
    }
    // The commands that are offered, without what each does.
    const offered = () =>
      T.t("commands")
        .replace(/ [^;]*/g, "")
        .replaceAll(";", ", ");
    const [first = "", second = "", third = ""] = code === "help" ? [offered()] : row.args;
    const isPrivate = this.#talk?.kind === "person";
    let key = `${row.kind}.${code}`;
    if (code === "made") key = `event.made.${second}`;
    if (code === "lost" && isPrivate) key = "event.unheard";
    else if (code === "lost" && T.has(`${key}.${first}`)) key += `.${first}`;
    if (!T.has(key)) {
      what.append(...(row.why ? [refusal(row.why)] : linked(row.text)));
      // The server speaks English.
      if (code === "notice") what.lang = "en";
      return what;
    }
    const isTimed = /^(banned|muted)$/.test(code) && second;
    const args = [first.replace(/^(name|guest|pattern):/, ""), isTimed ? T.span(Number(second)) : second, third];
    what.append(...parts(key, nick, ...args.slice(0, 2), row.why ? refusal(row.why) : third));
    // What the text has no place for, such as a reason, stands behind it.
    for (const [i, more] of [...args, row.text].entries()) {
      const isTold = /^(made|lost)$/.test(code) || T.t(key).includes(`{${i + 1}}`);
      if (more && !isTold) what.append(": ", bdi(more));
    }
    return what;
  }

  #toEnd() {
    this.#isAtNew = false;
    this.#root.scrollTop = this.#root.scrollHeight;
    this.#end = true;
  }

  #scrolled() {
    const { scrollTop, scrollHeight, clientHeight } = this.#root;
    this.#end = scrollHeight - scrollTop - clientHeight < 40;
    if (this.#end) this.#below = 0;
    this.read();
    this.#down.hidden = this.#end;
    this.#down.textContent = this.#below ? T.n("below", this.#below) : T.t("toEnd");
    if (scrollTop < 300 && this.#talk?.hasOlder && !this.#end) this.#acts.older();
  }

  /** The one button for the menus of all rows goes to the row in question. @param {EventTarget | null} target */
  #point(target) {
    const li = target instanceof Element && target.closest("li");
    if (li && !li.classList.contains("event") && this.#more.parentNode !== li) li.append(this.#more);
  }

  #menu() {
    const item = this.#of.get(this.#more.closest("li") ?? this.#root);
    if (item) this.#acts.menu(item.row, this.#more);
  }

  /** The arrow keys go from row to row, Enter opens the menu of one. @param {KeyboardEvent} e */
  #key(e) {
    const li = e.target instanceof Element ? e.target.closest("li") : null;
    const isUp = e.key === "ArrowUp";
    let to;
    const isMenu = e.key === "Enter" || (e.key === "F10" && e.shiftKey);
    if (isMenu && li && e.target === li && li.contains(this.#more)) this.#menu();
    else if ((!isUp && e.key !== "ArrowDown") || e.altKey) return;
    else if (li) to = this.#beside(li, isUp ? "previous" : "next")?.li;
    else to = [...this.#root.querySelectorAll("li")].at(-1);
    to?.focus();
    e.preventDefault();
  }
}
