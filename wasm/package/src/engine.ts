// A worker that is called like a function: a promise for each call, which an
// AbortSignal ends, and which fails if the worker does.

import {fromMessage, makeError} from './errors.js';
import {loadModule} from './module.js';
import type {
  CallName, Calls, FromWorker, StepMessage, ToWorker,
} from './protocol.js';
import type {LoadOptions} from './types.js';
import {startWorker, type WorkerHandle} from './worker_handle.js';

/** How long a worker may take to leave a call before it is ended. */
const CANCEL_MS = 2000;

/**
 * How long it may be silent while it works: one step of it, at worst over a
 * slow network drive. Counted in checks and not by the clock, so that a
 * computer which was asleep does not count as silence.
 */
const CHECK_MS = 5000;
const MAX_SILENT_CHECKS = 12;

export interface CallOptions {
  signal?: AbortSignal;
  onStep?: (step: StepMessage) => void;
  transfer?: Transferable[];
}

interface Pending {
  resolve(result: unknown): void;
  reject(error: unknown): void;
  onStep?: (step: StepMessage) => void;
  signal?: AbortSignal;
  /** What listens to the signal. */
  cancel(): void;
}

export class Engine {
  readonly #pending = new Map<number, Pending>();
  #lastId = 0;
  /** Why it cannot be called any more. */
  #dead: unknown = null;
  #silentChecks = 0;
  #watch: ReturnType<typeof setInterval>|null = null;

  private constructor(private readonly worker: WorkerHandle) {
    worker.onMessage((message) => this.#receive(message));
    worker.onDeath((reason) => this.#die(makeError(
        'InternalError',
        'the worker stopped, perhaps for lack of memory; start again, with ' +
            'fewer workers if there were several',
        {cause: new Error(reason)})));
  }

  static async start(options: LoadOptions): Promise<Engine> {
    const module = await loadModule(options.wasm);
    const worker = await startWorker(options.worker);
    worker.send({type: 'module', module}, []);
    return new Engine(worker);
  }

  get isDead(): boolean {
    return this.#dead !== null;
  }

  call<Name extends CallName>(
      name: Name, args: Calls[Name]['args'],
      {signal, onStep, transfer = []}: CallOptions = {}):
      Promise<Calls[Name]['result']> {
    if (signal?.aborted) return Promise.reject(signal.reason);
    if (this.#dead !== null) return Promise.reject(this.#dead);
    const id = ++this.#lastId;
    const answered = new Promise<unknown>((resolve, reject) => {
      const cancel = () => this.#cancel(id);
      signal?.addEventListener('abort', cancel, {once: true});
      this.#pending.set(id, {resolve, reject, onStep, signal, cancel});
    });
    this.#setBusy();
    try {
      this.worker.send({type: 'call', id, name, args} as ToWorker, transfer);
    } catch (error) {
      this.#take(id)?.reject(error);
    }
    return answered as Promise<Calls[Name]['result']>;
  }

  /** Ends the worker, and with it whatever it is at. */
  close(): void {
    this.#die(makeError(
        'UsageError', 'this was closed already; open the checkpoint again'));
  }

  #cancel(id: number): void {
    if (!this.#pending.has(id)) return;
    this.worker.send({type: 'cancel', id}, []);
    setTimeout(() => {
      const still = this.#take(id);
      if (still === undefined) return;
      still.reject(still.signal?.reason);
      this.#die(makeError(
          'UnavailableError',
          'the worker was ended, since it did not stop when it was asked to; ' +
              'try again'));
    }, CANCEL_MS);
  }

  #receive(message: FromWorker): void {
    this.#silentChecks = 0;
    switch (message.type) {
      case 'done':
        this.#take(message.id)?.resolve(message.result);
        break;
      case 'failed':
        this.#take(message.id)?.reject(fromMessage(message.error));
        break;
      case 'cancelled': {
        const pending = this.#take(message.id);
        pending?.reject(pending.signal?.reason);
        break;
      }
      case 'progress':
        this.#pending.get(message.id)?.onStep?.(message.step);
        break;
      case 'dead':
        this.#die(fromMessage(message.error));
        break;
      case 'alive':
        break;
    }
  }

  #take(id: number): Pending|undefined {
    const pending = this.#pending.get(id);
    this.#pending.delete(id);
    pending?.signal?.removeEventListener('abort', pending.cancel);
    this.#setBusy();
    return pending;
  }

  #die(reason: unknown): void {
    if (this.#dead !== null) return;
    this.#dead = reason;
    void this.worker.terminate();
    for (const id of [...this.#pending.keys()]) this.#take(id)?.reject(reason);
  }

  // Watches the worker while it has something to do.
  #setBusy(): void {
    const busy = this.#pending.size > 0;
    if (busy === (this.#watch !== null)) return;
    if (!busy) {
      if (this.#watch !== null) clearInterval(this.#watch);
      this.#watch = null;
      this.worker.keepAlive(false);
      return;
    }
    this.worker.keepAlive(true);
    this.#silentChecks = 0;
    this.#watch = setInterval(() => {
      if (++this.#silentChecks <= MAX_SILENT_CHECKS) return;
      const seconds = CHECK_MS * MAX_SILENT_CHECKS / 1000;
      this.#die(makeError(
          'UnavailableError',
          `the worker has not answered for ${seconds} seconds; look whether ` +
              'the file can still be read, and start again'));
    }, CHECK_MS);
  }
}
