/** The socket: one WebSocket at a time, beside the page. Knows nothing of what is said over it. */
export class Link {
  /** @type {WebSocket | null} */ #socket = null;
  #on;

  /** @param {{ opened(): void, heard(text: string): void, closed(how: { clean: boolean, code: number, opened: boolean }): void }} on */
  constructor(on) {
    this.#on = on;
  }

  /** Makes a new socket; the one before is forgotten, and not heard any more. */
  connect() {
    this.close();
    const socket = new WebSocket(new URL("ws", document.baseURI.replace(/^http/, "ws")));
    this.#socket = socket;
    let opened = false;
    socket.onopen = () => {
      opened = true;
      this.#on.opened();
    };
    socket.onmessage = ({ data }) => this.#on.heard(String(data));
    socket.onclose = ({ wasClean, code }) => {
      this.#socket = null;
      this.#on.closed({ clean: wasClean, code, opened });
    };
  }

  /** Whole lines; what no socket takes is the session's to say again. @param {string} text */
  send(text) {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(text);
  }

  close() {
    const socket = this.#socket;
    if (!socket) return;
    this.#socket = socket.onopen = socket.onmessage = socket.onclose = null;
    socket.close(1000);
  }
}
