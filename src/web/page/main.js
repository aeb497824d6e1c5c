import { open } from "./link.js";

const [enter, say] = document.forms;
const log = document.querySelector("#log ol");

function show(line) {
  const row = document.createElement("li");
  row.textContent = line;
  log.append(row);
  row.scrollIntoView();
}

enter.onsubmit = (event) => {
  event.preventDefault();
  const room = decodeURIComponent(location.hash) || "#lobby";
  const send = open({
    opened: () => {
      send(`/nick ${enter.elements.name.value}\n/set echo on\n/join ${room}`);
      enter.hidden = true;
      document.querySelector("main").hidden = false;
      say.elements.text.focus();
    },
    heard: (lines) => lines.forEach(show),
    closed: () => show("No connection. Load the page again to come back."),
  });
  say.onsubmit = (event) => {
    event.preventDefault();
    send(say.elements.text.value);
    say.reset();
  };
};
