import { $, field, h, parts, refusal, T } from "./dom.js";

/** @import { Session } from "./session.js" */

/** What is typed there, and no secret. @returns {Record<string, string>} */
export const typed = () =>
  Object.fromEntries(
    /** @type {HTMLInputElement[]} */ ([...$("gate").querySelectorAll("input:not([type=password])")]).map((input) => [
      input.name,
      input.value,
    ]),
  );

/** What stands before the talks: who one is, and how one comes in. Drawn anew only when it has something else to say. */
/** @param {Session} session @param {string} room @param {Record<string, string>} before what was typed there */
export function gate(session, room, before) {
  const { state, trouble, server } = session;
  const box = $("gate");
  const why = trouble && refusal(trouble);
  // Words of the page that come behind the first view take the place of the server's.
  const sign = JSON.stringify([state, trouble?.code, why?.textContent, trouble?.tries, trouble?.free, server?.motd]);
  if (box.dataset.sign === sign) return;
  box.dataset.sign = sign;
  const now = typed();
  const code = trouble?.code ?? "";
  // So it says what lets one in, if anything does.
  if (code === "locked") box.dataset.way = /\/(pass|login)/.exec(trouble?.text ?? "")?.[1] ?? "none";
  const locked = state === "locked";
  const closed = locked && box.dataset.way === "login";
  const isLogin = closed || (trouble?.name && /^(refused|insecure)$/.test(code));
  const isMine = isLogin || code === "owned";
  const tries = trouble?.tries == null ? "" : ` ${T.n("tries", trouble.tries)}`;
  const problem = code && code !== "locked" && h("p", { id: "problem", class: "problem", role: "alert" }, why, tries);
  const wrong = { "aria-describedby": problem && "problem", "aria-invalid": problem && "true" };
  const secret = {
    type: "password",
    autocomplete: "current-password",
    required: true,
    pattern: "\\s*\\S+\\s*",
    title: T.t("oneWord"),
  };
  const name = field("askName", {
    name: "name",
    autocomplete: "nickname",
    required: true,
    value: now.name || trouble?.name || before.name || session.name.replace(/^guest\d+$/, ""),
    ...(isLogin || locked ? {} : wrong),
  });
  const pass = field("password", { name: "pass", ...secret, pattern: null, title: null, ...(isLogin ? {} : wrong) });
  const own = field("ownName", {
    name: "own",
    autocomplete: "username",
    required: true,
    value: now.own || (isMine && trouble?.name) || before.own,
  });
  const word = field("word", { name: "word", ...secret, ...(isLogin ? wrong : {}) });
  /** @param {() => void} then @param {...(Node | string | false | null | undefined)} kids */
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
  session.motdShown = server.motd;
  if (locked && box.dataset.way === "none") return box.append(h("p", {}, T.t("bye.blocked")));
  if (locked) box.append(h("p", {}, T.t(closed ? "guests" : "locked")));
  if (closed) box.append(login);
  else {
    const more = h(
      "details",
      { open: isMine || !!before.own },
      h("summary", {}, h("span", {}, T.t("haveName"))),
      login,
    );
    box.append(first, h("p", { class: "quiet" }, ...parts("comeTo", room)), more);
  }
  const { input } = isLogin
    ? problem
      ? word
      : own
    : locked && problem
      ? pass
      : isMine && trouble?.name === session.had
        ? word
        : name;
  input.focus();
  input.setSelectionRange(-1, -1);
}
