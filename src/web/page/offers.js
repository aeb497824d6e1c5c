import { $, h, T } from "./dom.js";

/** @import { Composer } from "./composer.js" */

const MOST = 8;

/** What the word before the caret may become: a command, a room, somebody's name. */
export class Offers {
  #composer;
  #names;
  #field = /** @type {HTMLTextAreaElement} */ ($("text"));
  #list = $("offers");
  /** @type {string[]} */
  #found = [];
  #at = 0;

  /** @param {Composer} composer @param {{ rooms(): string[], nicks(): string[] }} names */
  constructor(composer, names) {
    this.#composer = composer;
    this.#names = names;
    this.#field.addEventListener("blur", () => this.close());
    // The field keeps the focus; a finger may also move the list.
    this.#list.addEventListener("pointerdown", (e) => e.preventDefault());
    this.#list.addEventListener("click", (e) => {
      const li = /** @type {HTMLElement} */ (e.target).closest("li");
      if (li) this.#accept([...this.#list.children].indexOf(li));
    });
    composer.offers = this;
  }

  /** Something was typed. */
  look() {
    this.#show(this.#find(false));
  }

  close() {
    this.#show([]);
  }

  /** Whether a key was for the list. Tab asks for it. @param {KeyboardEvent} e */
  key(e) {
    const count = this.#found.length;
    const step = { ArrowUp: -1, ArrowDown: 1 }[e.key];
    if (e.key === "Tab") {
      const found = count ? this.#found : this.#find(true);
      if (!found.length) return false;
      if (!count) this.#show(found);
      if (count || found.length === 1) this.#accept(this.#at);
    } else if (!count) return false;
    else if (e.key === "Escape") {
      this.close();
      e.stopPropagation();
    } else if (e.key === "Enter" && this.#word()[0] !== "/") this.#accept(this.#at);
    else if (step) {
      this.#at = (this.#at + step + count) % count;
      this.#mark();
    } else return false;
    e.preventDefault();
    return true;
  }

  #word() {
    return this.#field.value.slice(0, this.#field.selectionStart).match(/\S*$/)?.[0] ?? "";
  }

  /** @param {boolean} isAsked by Tab, so that a name needs no @ */
  #find(isAsked) {
    const word = this.#word();
    const low = word.toLowerCase();
    const first = low[0];
    const { rooms, nicks } = this.#names;
    let all = isAsked && word ? nicks() : [];
    if (first === "/" && this.#field.selectionStart === word.length) all = T.t("commands").split(";");
    else if (first === "#") all = rooms();
    else if (first === "@") all = nicks().map((nick) => `@${nick}`);
    return all.filter((one) => one !== word && one.toLowerCase().startsWith(low)).slice(0, MOST);
  }

  /** @param {string[]} found */
  #show(found) {
    this.#found = found;
    this.#at = 0;
    this.#list.hidden = !found.length;
    this.#list.replaceChildren(
      ...found.map((text, i) => h("li", { role: "option", id: `offer${i}`, dir: "auto" }, text)),
    );
    this.#mark();
  }

  #mark() {
    [...this.#list.children].forEach((li, i) => {
      li.ariaSelected = String(i === this.#at);
      if (i === this.#at) li.scrollIntoView({ block: "nearest" });
    });
    if (this.#found.length) this.#field.setAttribute("aria-activedescendant", `offer${this.#at}`);
    else this.#field.removeAttribute("aria-activedescendant");
  }

  /** @param {number} i */
  #accept(i) {
    const { value, selectionStart: at } = this.#field;
    const start = at - this.#word().length;
    const name = this.#found[i].split(" ")[0].replace(/^@/, "");
    const put = `${name}${start || /^[/#]/.test(name) ? "" : ":"} `;
    this.#composer.set(value.slice(0, start) + put + value.slice(at), start + put.length);
  }
}
