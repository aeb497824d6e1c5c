#!/usr/bin/env node
// Greets whoever enters a room, in private, and hands out a file: everybody may fetch it with /get and the ID that the
// greeting names. "!file" in the room, or said to the bot alone, tells it again.
//
//   greeter.js HOST PORT ROOM FILE [NICK]
//
// It connects again when it is cut off. A server password is taken from CHINWAG_PASSWORD.
const { createHash } = require("crypto"), { readFileSync } = require("fs"), { basename } = require("path");
const [host, port, room, path, nick = "greeter"] = process.argv.slice(2);
if (!path) { console.error("usage: greeter.js HOST PORT ROOM FILE [NICK]"); process.exit(2); }
let file; // what the server knows of our file: {id, row}

function connect() {
  const socket = require("net").connect({ host, port, keepAlive: true }).setEncoding("utf8").setTimeout(60000);
  const asked = []; // what to do with each reply to come: every command gets one + or !, in order
  let details = [], rest = "", sharing = false, waiting = [];
  const send = line => socket.write(line + "\n");
  const ask = (command, then = () => {}) => { send(command); asked.push(then); };

  function share() {
    const bytes = readFileSync(path), digest = createHash("sha256").update(bytes).digest("hex");
  }
}
connect();
