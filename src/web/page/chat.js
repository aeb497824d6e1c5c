import { Composer } from "./composer.js";
import { $, announce, bdi, h, parts, T } from "./dom.js";
import { late } from "./late.js";
import { Lists } from "./lists.js";
import { Log, linked } from "./log.js";

/** @import { Shell } from "./main.js" */
/** @import { Talk } from "./talks.js" */
/** @import { Change } from "./types" */

// Nothing of it is shown before it looks as it shall.
await new Promise((done) => {
  const href = new URL("./chat.css", import.meta.url).href;
  document.head.append(h("link", { rel: "stylesheet", href, onload: done, onerror: done }));
});

/** So often it is asked how those in the room are, in ms. */
const ASKED = 60_000;
/** How long it stands in the bar that the connection is back, in ms. */
const BACK = 5_000;

/** What stands in a room where nothing does. @param {Talk | undefined} talk */
const emptiness = (talk) =>
  T.t(talk?.rules.get("past") === "off" ? "noPast" : "emptyRoom") + (talk?.isOpen ? ` ${T.t("comeHere")}` : "");

/** What one sees once one is in: talks, what is said there, who is here. */
export class Chat {
  /** The talk that is shown, and that of which a screen reader was told. @type {string | null} */
  #shown = null;
  #told = /** @type {string | null} */ (null);
  /** Whether somebody wrote while nobody looked, and notifications may be offered. */
  #isOffered = false;
  /** A name is being made somebody's own. */
  isRegistering = false;
  /** What is drawn besides, when something has changed. */
  drawn = () => {};
  /** Whether the page was loaded anew by the settings. */
  #isSetting = history.state?.settings;
  /** Whether it was read that the name has no password. */
  #isWarned = false;
  /** Until when it is told that the connection is back; null: it is lost. */
  #back = /** @type {number | null} */ (0);
  /** Trouble that was read. @type {unknown} */
  #known = null;
  /** @type {ReturnType<Chat["load"]> | null} */
  #loading = null;
  #shell;
  #lists;
  #log;

  /** @param {Shell} shell @param {[string, string][]} drafts */
  constructor(shell, drafts) {
    const { session } = shell;
    this.#shell = shell;
    this.session = session;
    this.choices = shell.choices;
    this.changed = shell.changed;
    this.composer = new Composer(
      { say: (text) => this.#say(text), typing: (on) => session.typing(session.current, on && !this.choices().quiet) },
      drafts,
    );
    this.#lists = new Lists(session, {
      look: (id) => this.look(id),
      person: async (nick, by) => (await this.rest())?.dialogs.person(this, nick, by),
    });
    this.#log = new Log($("log"), $("down"), {
      menu: async (row, by) => (await this.rest())?.dialogs.message(this, row, by),
      again: (row) => session.again(row),
      drop: (row) => session.drop(row),
      older: () => session.older(session.current),
      join: (name) => session.join(name),
      file: (row) => {
        const card = h("div", { class: "card" }, bdi(row.file?.name ?? ""));
        this.rest().then((all) => all?.files.fill(card, row));
        return card;
      },
      fold: () => Boolean(this.choices().fold),
      read: () => this.#read(),
    });
    const opens = /** @type {const} */ (["open-left", "open-right", "room", "find", "me"]);
    for (const id of opens) $(id).addEventListener("click", async () => (await this.rest())?.dialogs.open[id](this));
    $("topic").addEventListener("click", () => $("topic").classList.toggle("whole"));
    // Who points at an icon reads its name; for all others a title with the same words would say it twice.
    for (const on of ["pointerover", "pointerout"])
      document.addEventListener(on, ({ target }) => {
        const el = /** @type {HTMLElement} */ (target).closest(".icon");
        if (el && on === "pointerover") el.setAttribute("title", el.ariaLabel ?? "");
        else el?.removeAttribute("title");
      });
    $("log").addEventListener("flood", (e) => announce(T.n("flood", /** @type {CustomEvent} */ (e).detail)));
    document.addEventListener("visibilitychange", () => {
      if (document.hidden) return this.#log.leave();
      this.#log.read();
      this.#ask();
    });
    setInterval(() => this.#ask(), ASKED);
  }

  /** What the first look at a room can do without. @private */
  async load() {
    const [dialogs, { Files }, { Notifier }, { Offers }] = await late(
      Promise.all([import("./dialogs.js"), import("./files.js"), import("./notify.js"), import("./offers.js")]),
    );
    const { session } = this;
    new Offers(this.composer, {
      rooms: () => [...session.talks.values()].filter(({ kind }) => kind === "room").map(({ name }) => name),
      nicks: () => [...(this.here()?.members.keys() ?? [])].filter((nick) => nick !== session.me.nick),
    });
    dialogs.keys(this);
    const keep = (/** @type {boolean} */ on) => {
      this.choices().notify = on;
      this.changed();
    };
    const notifier = new Notifier({ isOn: Boolean(this.choices().notify), keep, open: (id) => this.look(id) });
    return { dialogs, files: new Files(session), notifier };
  }

  /** It comes before it is asked for, as there may be no connection then; null: it cannot come now. */
  async rest() {
    try {
      this.#loading ??= this.load();
      return await this.#loading;
    } catch {
      this.#loading = null;
      return null;
    }
  }

  here() {
    return this.session.talks.get(this.session.current);
  }

  /** Who has gone away or come back is seen where somebody looks. */
  #ask() {
    if (!document.hidden && this.session.state === "in") this.session.askPeople(this.session.current);
  }

  /** Whether we own our name, and it has no password yet. */
  get lacksPassword() {
    return this.session.me.owned && !!this.session.rest?.lacksPassword;
  }

  /** The settings, where one's name becomes one's own. */
  async #settings() {
    (await this.rest())?.dialogs.password(this);
  }

  /** Closes the drawer that is open, if one is. */
  shut() {
    document.querySelector("dialog")?.close();
  }

  /** To where one goes on. A keyboard that comes up over half of a telephone is only wanted by who writes. */
  focus() {
    (matchMedia("(pointer: coarse)").matches ? $("name") : this.composer).focus();
  }

  /** @param {string} id */
  look(id) {
    this.shut();
    this.session.look(id);
    this.draw();
  }

  /** @param {string} text */
  async #say(text) {
    const id = this.session.current;
    const [, asks, nick] = /^\/(register|passwd|login)(?: +(\S+))? *$/i.exec(text) ?? [];
    if (asks && (!nick || /login/i.test(asks))) return this.#askPassword(asks.toLowerCase(), nick, text);
    if (/^\/logout\s*$/i.test(text) && this.lacksPassword) (await this.rest())?.dialogs.logout(this);
    else if (text.split("\n").length <= 20) this.session.say(id, text);
    else if (!(await (await this.rest())?.files.long(id, text))) this.composer.set(text);
  }

  /** A command lacks its password, which is asked for where nobody reads it. @param {string} command @param {string | undefined} nick @param {string} text */
  async #askPassword(command, nick, text) {
    const all = await this.rest();
    if (!all) return this.composer.set(text);
    // Whoever closes that may still type it.
    this.session.with((rest) => {
      rest.wary = `/${command}`;
    });
    if (command === "login") all.dialogs.login(this, nick);
    else all.dialogs.password(this);
  }

  #read() {
    if (this.here()?.unread && !document.hidden) this.session.read(this.session.current);
  }

  /** What the bar says, and its buttons. @returns {import("./main.js").Bar} */
  bar() {
    const { session } = this;
    const { state, trouble } = session;
    const talk = this.here();
    if (state === "lost" || state === "ended") this.#back = null;
    if (state === "in") this.#back ??= Date.now() + BACK;
    if (state === "in" && trouble?.retryAt) return [T.t("regain")];
    if (state === "in" && trouble && trouble !== this.#known && trouble.code !== "bad-key") {
      const isOwned = trouble.code === "owned";
      const login = async () => {
        this.#dismiss();
        (await this.rest())?.dialogs.login(this, trouble.name ?? "");
      };
      /** @type {[string, () => void][]} */
      const acts =
        isOwned || (trouble.code === "refused" && trouble.command === "login") ? [[T.t("login"), login]] : [];
      return [isOwned ? T.t("ownedHere") : trouble, ...acts, [T.t("ok"), () => this.#dismiss()]];
    }
    if (state === "in" && Date.now() < (this.#back ?? 0)) return [T.t("back")];
    const warned = () => {
      this.#isWarned = true;
      this.#shell.draw();
    };
    const choose = () => {
      warned();
      this.#settings();
    };
    if (state === "in" && this.lacksPassword && !this.#isWarned)
      return [T.t("noPassword", session.me.nick), [T.t("choose"), choose], [T.t("ok"), warned]];
    if (state === "in" && talk?.kind === "room" && !talk.joined && !talk.isWanted)
      return [T.t("mayNot.outside"), [T.t("join"), () => session.join(talk.name)]];
    if (state === "in" && talk?.isGone && session.rest?.isOnline(talk.name))
      return [T.t("mayNot.gone", talk.name), [T.t("writeTo", talk.name), () => session.open(talk.name)]];
    if (state === "in" && !this.#isOffered && talk?.maySay === "mayNot.guests")
      return [T.t("mayNot.guests"), [T.t("register"), () => this.#settings()]];
    if (!this.#isOffered) return null;
    const tell = async () => {
      await (await this.rest())?.notifier.ask();
      notNow();
    };
    const notNow = () => {
      this.#isOffered = false;
      this.choices().offered = true;
      this.changed();
    };
    return [T.t("offer"), [T.t("tell"), tell], [T.t("no"), notNow]];
  }

  /** What went wrong with a name or a room has been read. */
  #dismiss() {
    this.#known = this.session.trouble;
    this.#shell.draw();
  }

  /** The address is that of the room, so that it invites. An open drawer has an entry of its own, which Back takes. */
  address() {
    const name = this.here()?.name ?? "";
    if (name[0] === "#" && !history.state?.drawer) history.replaceState(null, "", name);
  }

  /** Draws what has a place of its own; rows go to the log by themselves. */
  async draw() {
    const { session, composer } = this;
    const { state, me, trouble } = session;
    const talk = this.here();
    const isRoom = talk?.kind === "room";
    this.#lists.talks();
    this.#lists.members();
    $("me").querySelector("bdi")?.replaceChildren(me.nick);
    $("write").hidden = $("room").hidden = !talk;
    $("open-right").hidden = $("members-head").hidden = !isRoom;
    $("name").replaceChildren(bdi(talk?.name ?? T.t("noRoom")));
    const about = (isRoom || !talk ? talk?.topic : session.people.get(talk.name)?.text) ?? "";
    $("topic").replaceChildren(...linked(about));
    $("topic").title = about;
    const typing = talk?.typing ?? [];
    const count = typing.length;
    $("typing").replaceChildren(...(count ? parts(count > 3 ? "manyType" : `type${count}`, ...typing) : []));
    composer.label(talk && talk.maySay !== true ? T.t(talk.maySay, talk.name) : T.t("write", talk?.name ?? ""));
    const isOut = isRoom && !talk.joined;
    const emptied = isOut ? (talk.isWanted ? "" : T.t("mayNot.outside")) : emptiness(talk);
    this.#log.empty(isRoom ? emptied : "");
    if (!talk && this.#shown) {
      this.#shown = null;
      this.#log.show(null);
      document.title = session.server.name || "chinwag";
    }
    if (talk && talk.id !== this.#shown) {
      // Of the first talk all is asked anyway.
      if (this.#shown) this.#ask();
      this.#shown = talk.id;
      this.#log.show(talk);
      composer.show(talk);
      this.address();
      document.title = `${talk.name} – ${session.server.name || "chinwag"}`;
      this.#read();
      this.focus();
      this.#dot();
    }
    // Who enters a room is not in it before it lets them in.
    if ((talk?.id ?? "") !== this.#told && !(isOut && talk.isWanted && state === "in")) {
      this.#told = talk?.id ?? "";
      announce(talk ? T.t(isOut && !talk.isWanted ? "notIn" : "inTalk", talk.name) : T.t("noRoom"));
    }
    // Whoever logs in so once more is told once more.
    if (!session.rest?.lacksPassword) this.#isWarned = false;
    if (this.isRegistering && (me.owned || trouble)) {
      this.isRegistering = false;
      if (me.owned) this.rest().then((all) => all?.dialogs.owned(me.nick));
    }
    this.drawn();
    if (this.#isSetting) {
      this.#isSetting = false;
      this.rest().then((all) => all?.dialogs.language(this));
    }
    if (!this.#loading) setTimeout(() => this.rest(), 500);
    if (state === "in" && trouble?.code === "bad-key" && trouble !== this.#known) {
      this.#known = trouble;
      (await this.rest())?.dialogs.askKey(session, trouble);
    }
  }

  /** What waits to be read goes before the title, and a dot on the icon. */
  async #dot() {
    let count = 0;
    for (const { kind, unread, mentions } of this.session.talks.values())
      count += kind === "person" ? unread : mentions;
    if (count || this.#loading) (await this.rest())?.notifier.dot(count);
  }

  /** @param {Change} change */
  change({ rows, transfers, say, notify, talks, unsaid }) {
    const shown = rows?.get(this.#shown ?? "");
    if (shown) this.#log.change(shown);
    if (transfers) this.rest().then((all) => all?.files.changed(/** @type {Set<any>} */ (transfers)));
    for (const text of say ?? []) announce(text);
    for (const { talkId, text } of unsaid ?? []) this.composer.back(talkId, text);
    if (notify) {
      if (document.hidden) this.#notify(notify);
      else this.#call(notify);
    }
    if (talks) this.#dot();
  }

  /** The log is read out as it comes; whoever calls elsewhere is seen there by a number alone. @param {{ talkId: string, nick: string, text: string }[]} all */
  #call(all) {
    const calls = all.filter(({ talkId }) => talkId !== this.#shown);
    const told = calls.map(
      ({ talkId, nick, text }) => `${T.t(talkId[0] === "#" ? "namesYou" : "writesYou", nick, talkId)}: ${text}`,
    );
    if (told.length) announce(told.join("\n"));
  }

  /** @param {{ talkId: string, nick: string, text: string }[]} all */
  async #notify(all) {
    const notifier = (await this.rest())?.notifier;
    const state = notifier?.state();
    const { offered, hideText } = this.choices();
    this.#isOffered ||= state === "off" && !offered;
    for (const { talkId, nick, text } of state === "on" ? all : []) {
      const title = talkId[0] === "#" ? `${nick}, ${talkId}` : nick;
      notifier?.show({ talkId, title, body: hideText ? T.t("wrote") : text });
    }
  }
}
