// Firefox asks for no module twice, and no browser for a style. So when something has not come, the page is loaded anew, once the server
// gives it. This is no module itself.

(() => {
  const KEY = "chinwag.again";
  /** In ms, as all here. */
  const WAIT = 10_000;
  const MOST = 1_800_000;
  /** Nobody is interrupted who types. */
  const CALM = 1500;
  let isMissing = false;
  let typedAt = 0;

  async function again() {
    setTimeout(again, 2000);
    const now = Date.now();
    // When that was done, and how long not again: ever longer, as something may never come.
    const { at = 0, wait = 0 } = JSON.parse(sessionStorage.getItem(KEY) ?? "{}");
    const since = Math.abs(now - at);
    // What else is typed is kept; a password is not.
    if (since < wait || now - typedAt < CALM || document.querySelector("dialog[open], [type=password]:valid")) return;
    const answer = await fetch(location.href, { method: "HEAD", cache: "no-store" }).catch(() => null);
    if (!answer?.ok) return;
    const next = since > 2 * MOST ? WAIT : Math.min(Math.max(WAIT, 1.5 * wait), MOST);
    sessionStorage.setItem(KEY, JSON.stringify({ at: now, wait: next }));
    location.reload();
  }
  function miss() {
    if (!isMissing) setTimeout(again, 500);
    isMissing = true;
  }
  addEventListener("missed", miss);
  addEventListener(
    "error",
    ({ target }) => target instanceof Element && target.matches("script, [rel=stylesheet]") && miss(),
    true,
  );
  addEventListener("input", () => {
    typedAt = Date.now();
  });
})();
