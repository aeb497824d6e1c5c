import { texts } from "./strings.js";

/** The texts of the language that is shown. @type {Awaited<ReturnType<typeof texts>>} */
export let T;

/** Chooses the language: the first of these tags that there is, or English where that does not come. @param {readonly string[]} tags */
export async function speak(tags) {
  T = await texts(tags).catch(() => texts([]));
  Object.assign(document.documentElement, { lang: T.lang, dir: T.dir });
}

/** @param {string} id */
export const $ = (id) => /** @type {HTMLElement} */ (document.getElementById(id));

/**
 * An element with its children. What is a string is only ever set as text; `on…` are listeners, all else attributes, left out where
 * they are null, undefined or false.
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} tag
 * @param {Record<string, any>} [props]
 * @param {...(Node | string | null | undefined | false)} kids
 * @returns {HTMLElementTagNameMap[K]}
 */
export function h(tag, props = {}, ...kids) {
  const el = document.createElement(tag);
  for (const [key, value] of Object.entries(props)) {
    if (key.startsWith("on")) el.addEventListener(key.slice(2), value);
    else if (value != null && value !== false) el.setAttribute(key, value === true ? "" : String(value));
  }
  el.append(...kids.filter((kid) => kid != null && kid !== false).map((kid) => /** @type {Node | string} */ (kid)));
  return el;
}

/** A picture of index.html. @param {string} name */
export function icon(name) {
  const [svg, use] = ["svg", "use"].map((tag) => document.createElementNS("http://www.w3.org/2000/svg", tag));
  use.setAttribute("href", `#i-${name}`);
  svg.setAttribute("aria-hidden", "true");
  svg.append(use);
  return svg;
}

/** A button, with a label or an icon that has the label for its name. */
/** @param {string} label @param {(e: MouseEvent) => void} onclick @param {string} [look] @param {string} [picture] */
export const button = (label, onclick, look = "", picture = "") =>
  picture
    ? h("button", { type: "button", class: `icon ${look}`, "aria-label": label, onclick }, icon(picture))
    : h("button", { type: "button", class: look, onclick }, label);

/** A name, set apart from the direction of the text around it. @param {string} name */
export const bdi = (name) => h("bdi", {}, name);

/** The text of `key` as nodes, each of `args` in a `<bdi>`. @param {string} key @param {...(string | Node)} args */
export const parts = (key, ...args) =>
  T.t(key)
    .split(/(\{\d\})/)
    .map((part) => (/^\{\d\}$/.test(part) ? h("bdi", {}, args[Number(part[1])]) : part));

/** Who can help, as a refusal names them. @param {string} text */
export const helpers = (text) => /; ask (.+?), (?:an op|ops) of it/.exec(text)?.[1].replaceAll(" or ", ", ");

/** Why something was refused: in the words of the page, or else in those of the server, which are English. @param {{ command?: string, code?: string | null, text?: string }} why */
export function refusal({ command, code, text = "" }) {
  const key = [`refusal.${code}.${command}`, `refusal.${code}`].find(T.has);
  const own = h("span", { lang: "en" }, text || code);
  if (!key) return own;
  const ms = Date.parse(/\d{4}-\d\d-\d\dT[\d:]+Z/.exec(text)?.[0] ?? "");
  const wait = Number(/wait (\d+) more second/.exec(text)?.[1]);
  const more = ms ? T.t("refusal.until", T.day(ms), T.time(ms)) : wait ? T.n("refusal.wait", wait) : "";
  const who = helpers(text);
  return h("span", {}, ...parts(key, own), more && ` ${more}`, ...(who ? [" ", ...parts("refusal.ask", who)] : []));
}

/** What only a screen reader says. @param {string} text */
export const unseen = (text) => h("span", { class: "vh" }, text);

/** Has it said by a screen reader. @param {string} text */
export const announce = (text) => {
  $("say").textContent = text;
};

/** A field with its label. @param {string} key @param {Record<string, any>} [props] */
export function field(key, props = {}) {
  const input = h("input", { autocapitalize: "off", spellcheck: "false", ...props });
  return { input, label: h("label", {}, h("span", {}, T.t(key)), input) };
}
