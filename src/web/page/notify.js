/** Notifications while the page is hidden, and how many messages wait in title and icon. */

/** The one policy for scripts, which may be made once. @type {any} */
let policy;

export class Notifier {
  #isOn;
  #keep;
  // Over https with a certificate that was only waved through there is no service worker.
  #isBarred = false;
  #count = 0;
  #plain = "";
  #dotted = "";

  /**
   * @param {{ isOn: boolean, keep: (isOn: boolean) => void, open: (talkId: string) => void }} o `isOn`: what was chosen before;
   * `keep`: what is chosen now; `open`: somebody has pressed a notification
   */
  constructor({ isOn, keep, open }) {
    this.#isOn = isOn;
    this.#keep = keep;
    if (this.state() === "on") this.#register();
    if (navigator.serviceWorker) navigator.serviceWorker.onmessage = ({ data }) => open(data.talkId);
  }

  /** `insecure`: only over https with a certificate that is trusted; `none`: this browser has none; `denied`: forbidden in its settings. */
  state() {
    if (!isSecureContext || this.#isBarred) return "insecure";
    if (!navigator.serviceWorker || !("Notification" in window)) return "none";
    if (Notification.permission === "denied") return "denied";
    return this.#isOn && Notification.permission === "granted" ? "on" : "off";
  }

  /** After a click only, as browsers ask nobody else. */
  async ask() {
    if (this.state() !== "off") return this.state();
    await this.#set((await Notification.requestPermission()) === "granted");
    return this.state();
  }

  off() {
    return this.#set(false);
  }

  /** Shows it if the page is hidden; one for each talk. @param {{ talkId: string, title: string, body: string }} o */
  async show({ talkId, title, body }) {
    if (this.state() !== "on" || !document.hidden) return;
    const registration = await navigator.serviceWorker.ready;
    await registration.showNotification(title, { body, tag: talkId, icon: "icon-180.png", data: { talkId } });
  }

  /** Takes away what was shown of a talk that is read now. @param {string} talkId */
  async clear(talkId) {
    if (this.state() !== "on") return;
    const registration = await navigator.serviceWorker.ready;
    for (const one of await registration.getNotifications({ tag: talkId })) one.close();
  }

  /** So many messages wait: `(3)` before the title, a dot on the icon. @param {number} count */
  async dot(count) {
    this.#count = count;
    document.title = (count ? `(${count}) ` : "") + document.title.replace(/^\(\d+\) /, "");
    /** @type {any} */ (navigator).setAppBadge?.(count).catch(() => {});
    const link = /** @type {HTMLLinkElement | null} */ (document.querySelector("link[rel=icon]"));
    if (!link) return;
    this.#plain ||= link.href;
    if (count) this.#dotted ||= await dotted(this.#plain).catch(() => this.#plain);
    link.href = this.#count ? this.#dotted : this.#plain;
  }

  /** @param {boolean} isOn */
  async #set(isOn) {
    this.#isOn = isOn;
    if (isOn) await this.#register();
    this.#keep(isOn && !this.#isBarred);
  }

  async #register() {
    const policies = /** @type {any} */ (window).trustedTypes;
    policy ??= policies?.createPolicy("sw", { createScriptURL: () => "sw.js" });
    try {
      await navigator.serviceWorker.register(policy?.createScriptURL("") ?? "sw.js");
    } catch {
      this.#isBarred = true;
    }
  }
}

/** An icon with a dot on it; no other URL than one of a blob passes as one that we make. @param {string} icon */
async function dotted(icon) {
  const image = new Image();
  image.src = icon;
  await image.decode();
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = 64;
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  context.drawImage(image, 0, 0, 64, 64);
  context.fillStyle = "#d00";
  context.arc(48, 16, 16, 0, 7);
  context.fill();
  /** @type {Blob | null} */
  const blob = await new Promise((resolve) => canvas.toBlob(resolve));
  return blob ? URL.createObjectURL(blob) : icon;
}
