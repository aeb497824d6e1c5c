/** SHA-256 (FIPS 180-4) of our own, as `crypto.subtle` is missing on plain http and takes no piece after piece. */

// The first 32 bits of the fractional parts of the cube roots of the first 64 primes, and of the square roots of 8.
const K = new Int32Array(64);
const START = new Int32Array(8);
for (let number = 2, found = 0; found < 64; number++) {
  let divisor = 2;
  while (divisor * divisor <= number && number % divisor) divisor++;
  if (divisor * divisor <= number) continue;
  if (found < 8) START[found] = (number ** 0.5 % 1) * 2 ** 32;
  K[found++] = (Math.cbrt(number) % 1) * 2 ** 32;
}

export class Sha256 {
  #state = START.slice();
  #words = new Int32Array(64);
  #rest = new Uint8Array(64);
  #length = 0;

  /** Takes the next bytes. @param {Uint8Array} bytes */
  update(bytes) {
    const held = this.#length % 64;
    const at = held && Math.min(64 - held, bytes.length);
    this.#length += bytes.length;
    this.#rest.set(bytes.subarray(0, at), held);
    if (held && held + at < 64) return this;
    if (held) this.#blocks(this.#rest, 0, 64);
    const end = bytes.length - ((bytes.length - at) % 64);
    this.#blocks(bytes, at, end);
    this.#rest.set(bytes.subarray(end));
    return this;
  }

  /** The digest in small hexadecimal letters. Nothing may be added after that. */
  hex() {
    const bits = this.#length * 8;
    const tail = new DataView(new ArrayBuffer(72 - ((this.#length + 8) % 64)));
    tail.setUint8(0, 0x80);
    tail.setBigUint64(tail.byteLength - 8, BigInt(bits));
    this.update(new Uint8Array(tail.buffer));
    return Array.from(this.#state, (word) => (word >>> 0).toString(16).padStart(8, "0")).join("");
  }

  /** @param {Uint8Array} bytes @param {number} at @param {number} end */
  #blocks(bytes, at, end) {
    const state = this.#state;
    const words = this.#words;
    for (; at < end; at += 64) {
      for (let i = 0, p = at; i < 16; i++, p += 4) {
        words[i] = (bytes[p] << 24) | (bytes[p + 1] << 16) | (bytes[p + 2] << 8) | bytes[p + 3];
      }
      for (let i = 16; i < 64; i++) {
        const x = words[i - 15];
        const y = words[i - 2];
        const s0 = ((x >>> 7) | (x << 25)) ^ ((x >>> 18) | (x << 14)) ^ (x >>> 3);
        const s1 = ((y >>> 17) | (y << 15)) ^ ((y >>> 19) | (y << 13)) ^ (y >>> 10);
        words[i] = words[i - 16] + s0 + words[i - 7] + s1;
      }
      let a = state[0];
      let b = state[1];
      let c = state[2];
      let d = state[3];
      let e = state[4];
      let f = state[5];
      let g = state[6];
      let h = state[7];
      for (let i = 0; i < 64; i++) {
        const s1 = ((e >>> 6) | (e << 26)) ^ ((e >>> 11) | (e << 21)) ^ ((e >>> 25) | (e << 7));
        const one = (h + s1 + (g ^ (e & (f ^ g))) + K[i] + words[i]) | 0;
        const s0 = ((a >>> 2) | (a << 30)) ^ ((a >>> 13) | (a << 19)) ^ ((a >>> 22) | (a << 10));
        const two = s0 + ((a & b) | (c & (a | b)));
        h = g;
        g = f;
        f = e;
        e = (d + one) | 0;
        d = c;
        c = b;
        b = a;
        a = (one + two) | 0;
      }
      state[0] += a;
      state[1] += b;
      state[2] += c;
      state[3] += d;
      state[4] += e;
      state[5] += f;
      state[6] += g;
      state[7] += h;
    }
  }
}
