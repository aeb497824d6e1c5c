import { $ } from "./dom.js";

/** @import { Talk } from "./talks.js" */
/** @typedef {{ say(text: string): void, typing(on: boolean): void }} Does */

/** Lines with a password or a key in them are not remembered, nor those that lack their slash. */
const SECRET =
  /^\s*(\/(login|register|passwd|token|drop|pass|join\s+\S+\s)|[^\w\s]?(login|register|passwd|token|drop|pass)\s)/i;

/** Where one types. What is typed for each talk stays there until it is sent. */
export class Composer {
  /** By talk. @type {Map<string, string>} */
  drafts;
  /** What is offered while one types, once that is there. @type {import("./offers.js").Offers | null} */
  offers = null;
  #field = /** @type {HTMLTextAreaElement} */ ($("text"));
  #does;
  #talk = "";
  /** The newest last. @type {string[]} */
  #typed = [];
  #back = 0;

  /** @param {Does} does @param {[string, string][]} drafts */
  constructor(does, drafts) {
    this.#does = does;
    this.drafts = new Map(drafts);
    this.#field.addEventListener("input", () => this.#changed());
    this.#field.addEventListener("keydown", (e) => this.#key(e));
    addEventListener("resize", () => this.#grow());
    $("write").addEventListener("submit", (e) => {
      e.preventDefault();
      this.#send();
      this.focus();
    });
  }

  /** @param {Talk} talk */
  show(talk) {
    this.#talk = talk.id;
    this.#back = 0;
    this.set(this.drafts.get(talk.id) ?? "");
  }

  /** What was typed there and not sent. @param {string} talkId @param {string} text */
  back(talkId, text) {
    const all = [text, this.drafts.get(talkId)].filter(Boolean).join("\n");
    if (talkId === this.#talk) this.set(all);
    else this.drafts.set(talkId, all);
  }

  /** What one reads there before one types. @param {string} text */
  label(text) {
    this.#field.ariaLabel = this.#field.placeholder = text;
  }

  /** Puts a name in front of what is typed, or where the caret stands. @param {string} word */
  insert(word) {
    const { value, selectionStart: at } = this.#field;
    const before = value.slice(0, at).replace(/\S$/, "$& ");
    this.set(value ? `${before}${word} ${value.slice(at)}` : `${word}: `);
    this.focus();
  }

  focus() {
    this.#field.focus();
  }

  /** @param {string} text @param {number} [caret] */
  set(text, caret = text.length) {
    this.#field.value = text;
    this.#field.setSelectionRange(caret, caret);
    this.#grow();
    this.offers?.close();
  }

  #grow() {
    const { value, style } = this.#field;
    style.height = "auto";
    style.height = `${this.#field.scrollHeight + 2}px`;
    if (value) this.drafts.set(this.#talk, value);
    else this.drafts.delete(this.#talk);
  }

  #changed() {
    const { value } = this.#field;
    this.#grow();
    this.#does.typing(value.trim() !== "" && !/^\/(?!me\b|\/)/.test(value));
    this.offers?.look();
  }

  #send() {
    const text = this.#field.value.trimEnd();
    if (!text) return;
    if (!SECRET.test(text) && this.#typed.at(-1) !== text) this.#typed.push(text);
    this.#back = 0;
    this.set("");
    this.#does.say(text);
  }

  /** Up and down bring back what was typed before, where there is no other line to go to. @param {KeyboardEvent} e */
  #key(e) {
    // A key that chooses among characters is not for us.
    if (e.isComposing || e.altKey || e.ctrlKey || e.metaKey || e.shiftKey || this.offers?.key(e)) return;
    const { value, selectionStart: at } = this.#field;
    const step = { ArrowUp: 1, ArrowDown: -1 }[e.key] ?? 0;
    const to = this.#back + step;
    if (e.key === "Enter") this.#send();
    else if (!step || (step > 0 ? value.slice(0, at) : value.slice(at)).includes("\n")) return;
    else if (to < 0 || to > this.#typed.length) return;
    else {
      this.#back = to;
      this.set(to ? (this.#typed.at(-to) ?? "") : "");
    }
    e.preventDefault();
  }
}
