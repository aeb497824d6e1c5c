import assert from "node:assert";
import { randomBytes } from "node:crypto";
import test from "node:test";
import { chance, Cutter, Person, serve } from "./shell.js";

/** One turn of the loop, in which sockets are read. */
const turn = () => new Promise((resolve) => setImmediate(resolve));

const seeds = process.env.CHINWAG_SEED ? [Number(process.env.CHINWAG_SEED)] : [1, 2, 3, 4, 5];
for (const seed of seeds) {
  test(`a file goes up and down through the sessions of two people who are cut off (${seed})`, async (t) => {
    const random = chance(seed);
    const cutter = await Cutter.start(t, await serve(t), random);
    const [anna, bob] = ["anna", "bob"].map((name) => {
      const person = new Person(t, cutter.port).connect();
      person.session.enter(name);
      return person;
    });
    const all = [anna, bob];
    let [isOver, isCutting, cuts, moves] = [false, false, 0, 0];
    t.after(() => {
      isOver = true;
    });
    const moving = (async () => {
      while (!isOver) {
        cutter.move(20_000 + random() * 200_000);
        await turn();
        const areIn = all.every(({ session }) => session.state === "in");
        if (!isCutting || !areIn || ++moves % 35 || cuts === 25) continue;
        cuts++;
        cutter.cut();
        // Until both have noticed.
        while (all.some(({ session }) => session.state === "in")) await turn();
        for (const { session } of all) session.now(Date.now());
      }
    })();
    for (const one of all)
      await one.until("the place is kept", ({ rest, talks }) => rest?.place.ticket && talks.get("#lobby")?.joined);
    isCutting = true;
    const bytes = randomBytes(3_000_000);
    const source = { name: "a b.bin", size: bytes.length, read: async (at, length) => bytes.subarray(at, at + length) };
    const up = await anna.session.upload("#lobby", source);
    await anna.until("it is up", () => up.state === "done" || up.why);
    assert.equal(up.state, "done", up.why?.text);
    const isIt = ({ file }) => file?.name === "a b.bin";
    const { file } = await bob.until("bob knows of it", ({ talks }) => talks.get("#lobby").rows.find(isIt));
    const parts = [];
    const down = await bob.session.fetch(file.id, {
      write: (part) => parts.push(part),
      end: () => parts.push(Buffer.from("end")),
      failed: assert.fail,
    });
    await bob.until("it is down", () => down.state === "done");
    assert.ok(Buffer.concat(parts).equals(Buffer.concat([bytes, Buffer.from("end")])));
    assert.ok(cuts > 2, "they were cut off");
    isOver = true;
    await moving;
  });
}
