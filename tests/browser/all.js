/** All tests, several at once in one process: much of their time they wait. Each has a browser to itself meanwhile. */
import { describe } from "node:test";

describe("the page", { concurrency: 3 }, async () => {
  for (const name of ["talk", "use", "answers", "states", "files", "safety", "parts"])
    await import(`./${name}.test.js`);
});
