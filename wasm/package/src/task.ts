// A call while a worker works on it.

import {turn} from './turn.js';

/** Thrown inside a worker to leave a call that was cancelled. */
export class Cancelled extends Error {}

export class Task {
  #cancelled = false;

  cancel(): void {
    this.#cancelled = true;
  }

  check(): void {
    if (this.#cancelled) throw new Cancelled('cancelled');
  }

  /**
   * Runs a generator of the loader to its end, with a turn of the event loop
   * after each step. However it is left, the generator's own cleaning up is
   * done.
   */
  async finish<Step, Result>(
      steps: Generator<Step, Result, void>,
      onStep?: (step: Step) => void|Promise<void>): Promise<Result> {
    try {
      for (;;) {
        this.check();
        const {done, value} = steps.next();
        if (done) return value;
        await onStep?.(value);
        await turn();
      }
    } finally {
      // Does nothing to a generator that has ended.
      steps.return(undefined as Result);
    }
  }
}
