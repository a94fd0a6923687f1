// The latest of a series of values, for anyone who asks: who is slow misses
// some, and nothing piles up.

export class Feed<Value> implements AsyncIterable<Value> {
  #latest: Value|undefined;
  #version = 0;
  #ended = false;
  #error: unknown = undefined;
  #failed = false;
  #waiting: Array<() => void> = [];

  push(value: Value): void {
    this.#latest = value;
    ++this.#version;
    this.#wake();
  }

  end(): void {
    this.#ended = true;
    this.#wake();
  }

  fail(error: unknown): void {
    this.#failed = true;
    this.#error = error;
    this.end();
  }

  #wake(): void {
    for (const resolve of this.#waiting.splice(0)) resolve();
  }

  async * [Symbol.asyncIterator](): AsyncGenerator<Value, void, void> {
    let seen = 0;
    for (;;) {
      if (seen < this.#version) {
        seen = this.#version;
        yield this.#latest as Value;
      } else if (this.#failed) {
        throw this.#error;
      } else if (this.#ended) {
        return;
      } else {
        await new Promise<void>((resolve) => this.#waiting.push(resolve));
      }
    }
  }
}
