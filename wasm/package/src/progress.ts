// What the steps of all workers together say about a run.

import type {StepMessage} from './protocol.js';
import type {RunProgress} from './types.js';

/** The speed forgets what was longer ago than about this. */
const MEMORY_SECONDS = 5;
/** Before that a prediction would be a guess. */
const WARM_UP_SECONDS = 2;

/** Bytes per second, as a moving average. */
export class Speed {
  #startedAt: number|null = null;
  #last = {at: 0, bytes: 0};
  #rate = 0;

  /** Takes note that `bytes` are done at `at` seconds. */
  add(at: number, bytes: number): void {
    if (this.#startedAt === null) {
      this.#startedAt = at;
      this.#last = {at, bytes};
      return;
    }
    const seconds = at - this.#last.at;
    // Moments too close to each other say nothing.
    if (seconds < 0.05) return;
    const rate = (bytes - this.#last.bytes) / seconds;
    const known = this.#last.at - this.#startedAt;
    // A plain mean at first, which the average takes over from.
    const weight = seconds / Math.min(known + seconds, MEMORY_SECONDS);
    this.#rate += (rate - this.#rate) * Math.min(1, weight);
    this.#last = {at, bytes};
  }

  get bytesPerSecond(): number {
    return this.#rate;
  }

  secondsFor(bytes: number): number|null {
    const known =
        this.#startedAt === null ? 0 : this.#last.at - this.#startedAt;
    if (known < WARM_UP_SECONDS || this.#rate <= 0) return null;
    return bytes / this.#rate;
  }
}

/** Adds up the steps of the workers of one phase after the other. */
export class ProgressSum {
  #phase: RunProgress['phase'] = 'run';
  #latest: StepMessage[] = [];
  #speed = new Speed();
  #energies = {signal: 0, noise: 0};

  /** For `workers` that share the work on `inputBytes`, or do it twice. */
  constructor(
      private readonly inputBytes: number, private readonly workers: number) {}

  /** What is to be told after a step of a worker, `seconds` after the start. */
  add(worker: number, step: StepMessage, seconds: number): RunProgress {
    if (step.phase !== this.#phase) {
      this.#phase = step.phase;
      this.#latest = [];
      this.#speed = new Speed();
    }
    this.#latest[worker] = step;
    const bytesDone = this.#sum('bytesDone');
    const bytesTotal =
        step.phase === 'run' ? this.#runTotal() : step.bytesTotal;
    this.#speed.add(seconds, bytesDone);
    if (step.phase === 'run') {
      this.#energies = {signal: this.#sum('signal'), noise: this.#sum('noise')};
    }
    const {signal, noise} = this.#energies;
    return {
      phase: step.phase,
      bytesDone,
      bytesTotal,
      seconds,
      bytesPerSecond: this.#speed.bytesPerSecond,
      secondsLeft: this.#speed.secondsFor(bytesTotal - bytesDone),
      tensor: step.tensor,
      sqnrDb: signal > 0 && noise > 0 ? 10 * Math.log10(signal / noise) : null,
    };
  }

  /** Who has not told anything yet is taken to have an equal share. */
  #runTotal(): number {
    const told = this.#latest.filter((step) => step !== undefined).length;
    return this.#sum('bytesTotal') +
        (this.workers - told) * Math.ceil(this.inputBytes / this.workers);
  }

  #sum(member: 'bytesDone'|'bytesTotal'|'signal'|'noise'): number {
    // Holes in the array are passed over.
    return this.#latest.reduce((sum, step) => sum + step[member], 0);
  }
}
