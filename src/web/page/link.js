/** Opens a WebSocket to the server that this page came from. What comes is told as whole lines. */
export function open({ opened, heard, closed }) {
  const url = new URL("ws", document.baseURI);
  url.protocol = url.protocol.replace("http", "ws");
  const socket = new WebSocket(url);
  socket.onopen = opened;
  socket.onmessage = (event) => heard(event.data.split("\n").slice(0, -1));
  socket.onclose = closed;
  return (line) => socket.send(line);
}
