import { $, h, T } from "./dom.js";

/** @import { Talk } from "./talks.js" */
/** @typedef {{ say(text: string): void, typing(on: boolean): void, files(files: File[]): void, rooms(): string[], nicks(): string[] }} Does */

/** Lines with a password in them are not remembered. */
const SECRET = /^\s*\/(login|register|passwd|token|drop|pass|join\s+\S+\s)\b/i;

/** Where one types. What is typed for each talk stays there until it is sent. */
export class Composer {
  /** @type {Map<string, string>} by talk */ drafts;
  #field = /** @type {HTMLTextAreaElement} */ ($("text"));
  #list = $("offers");
  #does;
  #talk = "";
  /** @type {string[]} the newest last */ #typed = [];
  #back = 0;
  /** @type {string[]} */ #offers = [];
  #at = 0;

  /** @param {Does} does @param {[string, string][]} drafts */
  constructor(does, drafts) {
    this.#does = does;
    this.drafts = new Map(drafts);
    const field = this.#field;
    field.addEventListener("input", () => this.#changed());
    field.addEventListener("keydown", (e) => this.#key(e));
    field.addEventListener("blur", () => this.#offer([]));
    field.addEventListener("paste", (e) => this.#take(e, e.clipboardData));
    $("write").addEventListener("submit", (e) => {
      e.preventDefault();
      this.#send();
      field.focus();
    });
    this.#list.addEventListener("pointerdown", (e) => {
      e.preventDefault();
      const li = /** @type {HTMLElement} */ (e.target).closest("li");
      if (li) this.#accept([...this.#list.children].indexOf(li));
    });
    for (const id of ["pick", "shoot"]) {
      const input = /** @type {HTMLInputElement} */ ($(`${id}-file`));
      $(id).addEventListener("click", () => input.click());
      input.addEventListener("change", () => {
        does.files([...(input.files ?? [])]);
        input.value = "";
      });
    }
    const main = $("main");
    for (const on of ["dragenter", "dragover", "dragleave", "drop"])
      main.addEventListener(on, (event) => {
        const e = /** @type {DragEvent} */ (event);
        if (!e.dataTransfer?.types.includes("Files")) return;
        e.preventDefault();
        main.classList.toggle("drop", on === "dragenter" || on === "dragover");
        if (on === "drop") this.#take(e, e.dataTransfer);
      });
  }

  /** @param {Talk} talk @param {string} label */
  show(talk, label) {
    this.#talk = talk.id;
    this.label(label);
    this.#set(this.drafts.get(talk.id) ?? "");
    this.#back = 0;
  }

  /** @param {string} label */
  label(label) {
    this.#field.ariaLabel = this.#field.placeholder = label;
  }

  /** Puts a name in front of what is typed, or a word where the caret stands. @param {string} word */
  insert(word) {
    const { value, selectionStart: at } = this.#field;
    this.#set(
      value
        ? `${value.slice(0, at)}${/\S$/.test(value.slice(0, at)) ? " " : ""}${word} ${value.slice(at)}`
        : `${word}: `,
    );
    this.focus();
  }

  focus() {
    this.#field.focus();
  }

  /** @param {Event} e @param {DataTransfer | null} data */
  #take(e, data) {
    const files = [...(data?.files ?? [])];
    if (!files.length) return;
    e.preventDefault();
    this.#does.files(files);
  }

  /** @param {string} text */
  #set(text) {
    this.#field.value = text;
    this.#changed(true);
  }

  #changed(quiet = false) {
    const { value, style } = this.#field;
    style.height = "auto";
    style.height = `${this.#field.scrollHeight + 2}px`;
    if (value) this.drafts.set(this.#talk, value);
    else this.drafts.delete(this.#talk);
    if (quiet) return this.#offer([]);
    this.#does.typing(value.trim() !== "" && !/^\/(?!me\b|\/)/.test(value));
    this.#offer(this.#found(false));
  }

  #send() {
    const text = this.#field.value.replace(/\s+$/, "");
    if (!text) return;
    if (!SECRET.test(text) && this.#typed.at(-1) !== text) this.#typed.push(text);
    this.#back = 0;
    this.#set("");
    this.#does.say(text);
  }

  /** The word before the caret. */
  #word() {
    return this.#field.value.slice(0, this.#field.selectionStart).match(/\S*$/)?.[0] ?? "";
  }

  /** What the word before the caret may become: a command, a room, somebody's name. @param {boolean} asked by Tab, so also without @ */
  #found(asked) {
    const word = this.#word();
    const low = word.toLowerCase();
    /** @param {string[]} list */
    const among = (list) => list.filter((one) => one.toLowerCase().startsWith(low) && one !== word).slice(0, 8);
    if (low[0] === "/" && this.#field.selectionStart === word.length) return among(T.t("commands").split(";"));
    if (low[0] === "#") return among(this.#does.rooms());
    if (low[0] === "@") return among(this.#does.nicks().map((nick) => `@${nick}`));
    return asked && word ? among(this.#does.nicks()) : [];
  }

  /** @param {string[]} offers */
  #offer(offers) {
    this.#offers = offers;
    this.#at = 0;
    this.#list.hidden = !offers.length;
    this.#list.replaceChildren(...offers.map((offer, i) => h("li", { role: "option", id: `offer${i}` }, offer)));
    this.#mark();
  }

  #mark() {
    [...this.#list.children].forEach((li, i) => {
      li.ariaSelected = String(i === this.#at);
    });
    if (this.#offers.length) this.#field.setAttribute("aria-activedescendant", `offer${this.#at}`);
    else this.#field.removeAttribute("aria-activedescendant");
  }

  /** @param {number} i */
  #accept(i) {
    const word = this.#word();
    const { value, selectionStart: at } = this.#field;
    const start = at - word.length;
    const name = this.#offers[i].split(" ")[0].replace(/^@/, "");
    const put = `${name}${!start && !/^[/#]/.test(name) ? ":" : ""} `;
    this.#set(value.slice(0, start) + put + value.slice(at));
    this.#field.setSelectionRange(start + put.length, start + put.length);
  }

  /** @param {KeyboardEvent} e */
  #key(e) {
    if (e.isComposing || e.altKey || e.ctrlKey || e.metaKey) return;
    const { value, selectionStart: at } = this.#field;
    const offers = this.#offers.length;
    const step = { ArrowUp: -1, ArrowDown: 1 }[e.key];
    if (e.key === "Tab" && !e.shiftKey) {
      if (!offers) this.#offer(this.#found(true));
      if (!this.#offers.length) return;
      if (offers || this.#offers.length === 1) this.#accept(this.#at);
    } else if (e.key === "Enter" && !e.shiftKey) {
      if (offers && this.#word()[0] !== "/") this.#accept(this.#at);
      else this.#send();
    } else if (e.key === "Escape" && offers) {
      this.#offer([]);
      e.stopPropagation();
    } else if (step && offers) {
      this.#at = (this.#at + step + offers) % offers;
      this.#mark();
    } else if (
      step &&
      !e.shiftKey &&
      !value.slice(...(step < 0 ? [0, at] : [at])).includes("\n") &&
      this.#back - step <= this.#typed.length &&
      this.#back - step >= 0
    ) {
      this.#back -= step;
      this.#set(this.#typed.at(-this.#back || this.#typed.length) ?? "");
    } else return;
    e.preventDefault();
  }
}
