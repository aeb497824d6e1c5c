#!/usr/bin/env node
// Greets whoever enters a room, in private, and hands out a file: the greeting tells the ID to fetch it by. "!file",
// said in the room or to the bot alone, tells it again. The bot connects again when it is cut off.
// Run it as:  greeter.js HOST PORT ROOM FILE [NICK]  (CHINWAG_PASSWORD: the server's; CHINWAG_TOKEN: one of NICK)
const { createHash } = require("crypto"), { readFileSync } = require("fs"), { basename } = require("path");
const [host, port, room, path, nick = "greeter"] = process.argv.slice(2);
if (!path) { console.error("usage: greeter.js HOST PORT ROOM FILE [NICK]"); process.exit(2); }
const name = basename(path);
let id = ""; // of the file; none until the server has all of it

function connect() {
  const socket = require("net").connect({ host, port, timeout: 60000 }).setEncoding("utf8");
  const asked = []; // what to do with the replies to come: every command gets one + or !, in order
  let details = [], waiting = [], sharing = false, rest = "";

  const ask = (command, then = () => {}) => { socket.write(command + "\n"); asked.push(then); };
  const must = reply => { if (reply.startsWith("!")) { console.error(reply); process.exit(1); } };
  const logIn = token => ask(`/login ${nick} token:${token}`, must);
  const beCalled = me => ask(`/nick ${me}`, reply =>
    reply.startsWith("! nick taken") && beCalled(nick + Math.ceil(Math.random() * 99)));

  function greet(...people) {
    waiting.push(...people);
    if (!id) return sharing || share();
    for (const who of waiting.splice(0)) ask(`/msg ${who} welcome to ${room}, ${who}! ${name} is for you: /get ${id}`);
  }
  function share() {
    const bytes = readFileSync(path), digest = createHash("sha256").update(bytes).digest("hex");
    id = "", sharing = true;
    ask(`/send ${room} ${bytes.length} sha256:${digest} ${name}`, reply => {
      if (reply.startsWith("!")) return console.error(reply), sharing = false; // the server's disk is full, say
      let at = Number(reply.split(" ")[3]); // more than 0 where an upload that broke off goes on
      for (; at < bytes.length; at += 49152) socket.write(`=${bytes.toString("base64", at, at + 49152)}\n`);
    });
  }
  function take(line) {
    const [first, second, third, fourth, fifth] = line.split(" ");
    if (first === "-") details.push(line.slice(2));
    else if (first === "+" || first === "!") asked.shift()?.(line, details.splice(0));
    else if (first === "*" && second === "locked") ask(`/pass ${process.env.CHINWAG_PASSWORD}`, must);
    else if (first === "*" && second === "bye") console.error(line);
    else if (first === "*" && second === "hello") {
      process.env.CHINWAG_TOKEN ? logIn(process.env.CHINWAG_TOKEN) : beCalled(nick);
      ask("/set presence off"), ask(`/join ${room}`, must);
      ask(`/files ${room}`, (reply, rows) => // it may still be there from before the connection was cut
        rows.some(row => row.startsWith(id + " ") && row.endsWith(" ready " + name)) || share());
    } else if (first[0] === "=" && second === ".") id = first.slice(1), sharing = false, greet();
    else if (first[0] === "=" && second === "!") console.error(line), sharing = false;
    else if (second === "*" && fourth === "joined") greet(third);
    else if (second === "*" && fourth === "unfile" && fifth === id) id = ""; // whoever comes next has it shared again
    else if (/^[#@]\S+ <\S+> !file$/.test(line)) greet(second.slice(1, -1));
  }
  socket.on("data", data => { const lines = (rest + data).split("\n"); rest = lines.pop(); lines.forEach(take); });
  socket.on("timeout", () => asked.length ? socket.destroy() : (ask("/ping"), waiting.length && greet())); // a minute of silence
  socket.on("error", error => console.error(error.code));
  socket.on("close", () => setTimeout(connect, 2000));
}
connect();
