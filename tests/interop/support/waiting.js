// Waiting for what happens, never for time to pass. Every wait has a deadline and says what it waited for.

export const DEADLINE_MS = 20_000;

export function within(ms, what, promise) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not within ${ms} ms: ${what}`)), ms);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

/** Everything of one sort that was seen so far, in order, and a way to wait for more. */
export class Seen {
  items = [];
  #waiting = new Set();

  push(item) {
    this.items.push(item);
    for (const wake of this.#waiting) wake();
  }

  /** The first item that `matches`, past or future. */
  first(what, matches = () => true, ms = DEADLINE_MS) {
    return this.until(what, (items) => items.find(matches), ms);
  }

  /** What `answer` makes of the items, as soon as that is anything at all. */
  until(what, answer, ms = DEADLINE_MS) {
    let wake;
    const found = new Promise((resolve) => {
      wake = () => {
        const value = answer(this.items);
        if (value) resolve(value);
      };
      this.#waiting.add(wake);
      wake();
    });
    return within(ms, what, found)
      .catch((error) => {
        error.message += `; seen: ${JSON.stringify(this.items).slice(0, 2_000)}`;
        throw error;
      })
      .finally(() => this.#waiting.delete(wake));
  }
}
