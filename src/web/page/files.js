import { ask, tick } from "./dialogs.js";
import { $, bdi, button, h, parts, refusal, T, unseen } from "./dom.js";
import { Blobs, gather, isFetchedUnasked, isHeavy, redraw, save, sourceOf } from "./media.js";

/** @import { Session } from "./session.js" */
/** @import { Talk } from "./talks.js" */
/** @import { FileInfo, Row, Transfer } from "./types" */
/** @import { Fetched } from "./media.js" */
/**
 * @typedef {{ file: FileInfo, el: HTMLElement, transfer: Transfer | null, isAsked: boolean, got: Fetched | null, url: string, isBroken: boolean, problem: string }} Card
 *   `url` while it is shown; `isBroken`: the browser cannot show it
 */

/** Cards beyond which those go whose rows have gone. */
const CARDS = 64;
const SHOWN = /\.(png|jpe?g|gif|webp|avif|mp4|m4v|mov|webm|mp3|m4a|ogg|oga|opus|wav|flac)$/i;

/** Whether it is redrawn before it is sent. @param {File} file */
const isPhoto = ({ type }) => /jpeg|hei|webp/.test(type);

/** Why it does not go on. @param {Transfer} transfer */
const of = ({ way, why }) => refusal({ ...why, command: way === "up" ? "send" : "get" });

/** Files: their cards in the log, and those under way from here. */
export class Files {
  /** @type {Map<string, Card>} */ #cards = new Map();
  /** @type {Map<Transfer, HTMLElement>} */ #ups = new Map();
  #most = CARDS;
  #session;
  #blobs = new Blobs((key) => {
    const card = this.#cards.get(key);
    if (!card) return;
    card.got = null;
    card.url = "";
    card.isBroken = false;
    this.#draw(card);
  });

  /** @param {Session} session */
  constructor(session) {
    this.#session = session;
    for (const id of ["pick", "shoot"]) {
      const input = /** @type {HTMLInputElement} */ ($(`${id}-file`));
      $(id).addEventListener("click", () => input.click());
      const take = () => {
        this.#offer(input.files);
        input.value = "";
      };
      input.addEventListener("change", take);
      take();
    }
    $("text").addEventListener("paste", (e) => this.#take(e, e.clipboardData));
    const main = $("main");
    for (const on of /** @type {const} */ (["dragenter", "dragover", "dragleave", "drop"]))
      main.addEventListener(on, (e) => {
        if (!e.dataTransfer?.types.includes("Files")) return;
        e.preventDefault();
        main.classList.toggle("drop", on === "dragenter" || on === "dragover");
        if (on === "drop") this.#take(e, e.dataTransfer);
      });
  }

  /** @param {Event} e @param {DataTransfer | null} data */
  #take(e, data) {
    if (!data?.files.length) return;
    e.preventDefault();
    this.#offer(data.files);
  }

  /** What the log shows of a file goes into `el`. @param {HTMLElement} el @param {Row} row */
  fill(el, row) {
    const file = /** @type {FileInfo} */ (row.file);
    const key = String(file.id);
    const card = this.#cards.get(key) ?? {
      file,
      el,
      transfer: null,
      isAsked: false,
      got: null,
      url: "",
      isBroken: false,
      problem: "",
    };
    card.el = el;
    if (!this.#cards.has(key) && !file.gone && isFetchedUnasked(file)) this.#show(card, true);
    this.#cards.set(key, card);
    this.#draw(card);
    if (this.#cards.size > this.#most) this.#trim();
  }

  /** Lets go of cards that no talk has a row of any more, unless they are being fetched. */
  #trim() {
    const rows = [...this.#session.talks.values()].flatMap((talk) => talk.rows);
    const there = new Set(rows.map(({ file }) => String(file?.id)));
    for (const [key, { isAsked }] of this.#cards) {
      if (isAsked || there.has(key)) continue;
      this.#blobs.forget(key);
      this.#cards.delete(key);
    }
    this.#most = 2 * this.#cards.size + CARDS;
  }

  /** @param {Card} card @param {(got: Fetched) => void} then */
  async #fetch(card, then) {
    const { file } = card;
    if (card.got) return then(card.got);
    if (card.isAsked) return;
    if (isHeavy(file.size) && !(await ask(T.t("heavy", T.size(file.size)), [], [[T.t("save"), "yes"]]))) return;
    card.isAsked = true;
    card.problem = "";
    const came = (/** @type {Fetched} */ got) => {
      card.got = got;
      card.isAsked = false;
      then(got);
    };
    const failed = (/** @type {string} */ text) => {
      card.problem = text;
      card.isAsked = false;
      this.#draw(card);
    };
    card.transfer = await this.#session.fetch(file.id, gather(came, failed));
    this.#draw(card);
  }

  /** @param {Card} card @param {boolean} unasked */
  #show(card, unasked) {
    this.#fetch(card, (got) => {
      const isShown = got.kind.show && !(unasked && got.isHuge);
      // Its name alone says that it is a picture.
      card.isBroken = unasked && !isShown && !got.size;
      if (isShown) card.url = this.#blobs.put(String(card.file.id), got.blob);
      else {
        if (!unasked) save(got.blob, card.file.name);
        card.got = null;
      }
      this.#draw(card);
    });
  }

  /** @param {Card} card */
  #draw(card) {
    const { file, el, transfer, got, url, isBroken, problem } = card;
    const keep = () =>
      this.#fetch(card, (now) => {
        save(now.blob, file.name);
        // What is not shown is not held.
        if (!card.url) card.got = null;
        this.#draw(card);
      });
    const under = card.isAsked && transfer && (transfer.state === "waiting" || transfer.state === "running");
    const place = !isBroken && (url || (isFetchedUnasked(file) && !file.gone && !problem));
    const name = h("p", {}, bdi(file.name), " ", h("small", { class: "quiet" }, T.size(file.size)));
    el.replaceChildren();
    if (place)
      el.append(h("div", { class: `show ${got?.kind.show ?? ""}` }, url && got ? this.#media(card, url, got) : ""));
    const line = h("div", { class: "line" }, name);
    if (isBroken) line.append(h("small", { class: "quiet" }, T.t(`unshown.${got?.kind.show ?? "image"}`)));
    if (file.gone && !got && !under) line.append(h("small", { class: "quiet" }, T.t("gone")));
    else if (!under) {
      if (!url && !isBroken && SHOWN.test(file.name)) line.append(button(T.t("show"), () => this.#show(card, false)));
      line.append(button(T.t("save"), keep));
    }
    el.append(line);
    if (problem) el.append(h("p", { class: "problem" }, transfer ? of(transfer) : problem));
    if (under) el.append(this.#progress(transfer, file.nick));
    for (const one of el.querySelectorAll("button")) if (!one.ariaLabel) one.append(unseen(` ${file.name}`));
  }

  /** @param {Card} card @param {string} url @param {Fetched} got */
  #media(card, url, got) {
    const { name } = card.file;
    const { show } = got.kind;
    const broken = () => {
      // What was let go meanwhile is not broken.
      if (card.url !== url || card.isBroken) return;
      card.isBroken = true;
      this.#draw(card);
    };
    if (show !== "image")
      return h(show === "audio" ? "audio" : "video", {
        src: url,
        controls: true,
        preload: "metadata",
        "aria-label": name,
        onerror: broken,
      });
    const img = () => h("img", { src: url, alt: name, width: got.size?.width, height: got.size?.height });
    const small = img();
    small.addEventListener("error", broken);
    return h(
      "button",
      {
        type: "button",
        class: "show",
        "aria-label": T.t("enlarge", name),
        onclick: () =>
          ask([bdi(name)], [h("div", { class: "picture" }, img())], [[T.t("save"), "save"]], "close").then(
            (word) => word && save(got.blob, name),
          ),
      },
      small,
    );
  }

  /** @param {Transfer} transfer @param {string} [nick] its sender */
  #progress(transfer, nick = "") {
    const { total, done, name, state, why, later } = transfer;
    const bar = h("progress", { max: Math.max(total, 1), value: done, "aria-label": name });
    const told = later === Number.POSITIVE_INFINITY ? parts("awaited", nick) : why && [of(transfer)];
    const text = state === "waiting" && told ? h("small", {}, ...told) : "";
    return h(
      "div",
      { class: "line" },
      bar,
      text,
      button(T.t("cancel"), () => this.#session.cancel(transfer)),
    );
  }

  /** Files were chosen, dropped or pasted: asks, and sends them. @param {FileList | null} chosen */
  async #offer(chosen) {
    const files = [...(chosen ?? [])];
    const talk = this.#session.talks.get(this.#session.current);
    if (!talk || !files.length) return;
    let original = false;
    const size = (/** @type {File} */ file) => h("small", { class: "quiet" }, T.size(file.size));
    const largest = this.#session.server.limits.get("file") ?? Number.POSITIVE_INFINITY;
    // A photo may get smaller before it is sent.
    const heavy = files.find((file) => file.size > largest && !isPhoto(file));
    if (heavy) return void ask(parts("tooBig", heavy.name, T.size(largest)), [], []);
    const list = h("ul", {}, ...files.map((file) => h("li", {}, bdi(file.name), " ", size(file))));
    const hasPhotos = files.some(isPhoto);
    const smaller = hasPhotos && h("p", { class: "quiet" }, T.t("smaller"));
    const photos =
      hasPhotos &&
      tick("original", false, (on) => {
        original = on;
      });
    const ttl = this.#session.server.limits.get("file-ttl");
    const end = Date.now() + (ttl ?? 0) * 1000;
    const until = ttl ? h("p", { class: "quiet" }, T.t("fetchable", T.day(end), T.time(end))) : null;
    if (!(await ask(parts("sendTo", talk.name), [list, smaller, photos, until], [[T.t("send"), "send"]]))) return;
    for (const file of files) await this.#send(talk.id, file, original);
  }

  /** A long text had better be a file. Whether it is settled what becomes of it. @param {string} talkId @param {string} text */
  async long(talkId, text) {
    /** @type {[string, string][]} */
    const ways = [
      [T.t("asFile"), "file"],
      [T.t("asText"), "text"],
    ];
    const way = await ask(T.n("long", text.split("\n").length), [], ways);
    if (way === "text") this.#session.say(talkId, text);
    if (way === "file") this.#send(talkId, new File([text], `${T.t("textName")}.txt`, { type: "text/plain" }), true);
    return way !== null;
  }

  /** @param {string} talkId @param {File} file @param {boolean} original */
  async #send(talkId, file, original) {
    let sent = file;
    try {
      if (!original) sent = await redraw(file);
    } catch {
      if (!(await ask(T.t("unreadable", file.name), [], [[T.t("send"), "send", "danger"]]))) return;
    }
    const transfer = await this.#session.upload(talkId, sourceOf(sent));
    if (transfer) this.changed(new Set([transfer]));
  }

  /** @param {Set<Transfer>} transfers */
  changed(transfers) {
    for (const transfer of transfers) {
      const card = [...this.#cards.values()].find((one) => one.transfer === transfer);
      if (card) {
        if (transfer.state === "cancelled") card.isAsked = false;
        const bar = card.el.querySelector("progress");
        if (bar && transfer.state === "running" && transfer.done) bar.value = transfer.done;
        else this.#draw(card);
      } else if (transfer.way === "up") this.#up(transfer);
    }
  }

  /** @param {Transfer} transfer */
  #up(transfer) {
    const { state, name } = transfer;
    const li = this.#ups.get(transfer) ?? h("li");
    const bar = li.querySelector("progress");
    if (!this.#ups.has(transfer)) $("transfers").append(li);
    this.#ups.set(transfer, li);
    if (state === "done" || state === "cancelled") {
      li.remove();
      this.#ups.delete(transfer);
    } else if (state === "failed") {
      li.replaceChildren(
        bdi(name),
        h("span", { class: "problem" }, ...parts("unsent", of(transfer))),
        button(T.t("close"), () => li.remove()),
      );
    } else if (bar && state === "running" && transfer.done) bar.value = transfer.done;
    else li.replaceChildren(bdi(name), this.#progress(transfer));
  }
}
