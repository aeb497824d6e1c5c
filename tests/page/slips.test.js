/** What looks like a command without its slash: the rule of the client, and the same table. */
import assert from "node:assert";
import { readFileSync } from "node:fs";
import test from "node:test";
import { slip } from "../../src/web/page/slips.js";

test("what has just the shape of a command looks like it", () => {
  const table = readFileSync(new URL("slips.txt", import.meta.url), "utf8");
  const lines = table.split("\n").filter((line) => line && !line.startsWith("#"));
  assert.ok(lines.length > 100);
  for (const line of lines) {
    const [, name, text] = /^(\S+)\t(.*)$/.exec(line) ?? [];
    const found = slip(text, (nick) => nick.toLowerCase() === "bert");
    assert.equal(found?.name ?? "-", name, text);
  }
});

test("what may have a password in it is told from all else", () => {
  for (const text of ["passwd correct-horse", "login bert correct-horse", "\\login bert x", "?drop x", " /pass x"])
    assert.ok(slip(text, () => false)?.isSecret, text);
  for (const text of ["passwd", "help", "token", "drop it", " /who"])
    assert.equal(slip(text, () => false)?.isSecret, false, text);
});
