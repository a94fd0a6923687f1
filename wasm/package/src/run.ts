// A run: workers of its own, which are gone at its end.
//
// Each worker opens the checkpoint and makes the plan again, does its share and
// returns records of it. The first one owns the output: it makes the files,
// joins the parts, reads the files back, and puts them in their place.

import {Engine} from './engine.js';
import {isNode} from './environment.js';
import {makeError} from './errors.js';
import {Feed} from './feed.js';
import {
  leaseRunDirectory, removeRunDirectory, type RunLease,
} from './opfs_paths.js';
import {ProgressSum} from './progress.js';
import type {
  Calls, FinishedFile, OpenArgs, SharedFiles, StepMessage,
} from './protocol.js';
import type {
  Input, LoadOptions, PlanInfo, PlanRequest, Results, RunOptions, RunProgress,
} from './types.js';

/** What is run. */
export interface RunSource {
  input: Input;
  openArgs: OpenArgs;
  load: LoadOptions;
  request: PlanRequest;
  info: PlanInfo;
}

/** What a run leaves. */
export interface Finished {
  files: FinishedFile[];
  results: Results;
  plan: PlanInfo;
  seconds: number;
  /** In a browser: the right to the files in the OPFS. */
  lease: RunLease|null;
}

const MAX_WORKERS = 4;
/** Less work than this for each is not worth the start of one more. */
const BYTES_PER_WORKER = 32 * 2 ** 20;

async function processors(): Promise<number> {
  if (!isNode) return navigator.hardwareConcurrency || 1;
  return (await import('./node_client.js')).nodeProcessors();
}

async function numWorkers(
    source: RunSource, workers: number|undefined): Promise<number> {
  if (workers !== undefined && (!Number.isInteger(workers) || workers < 1)) {
    throw makeError(
        'UsageError', `${workers} workers: use a whole number from 1 up`);
  }
  // Each worker would have to look for NaN in the whole checkpoint by itself.
  if ((source.request.recipe as {nonfinite?: unknown}|undefined)?.nonfinite ===
      'keep') {
    return 1;
  }
  if (workers !== undefined) return workers;
  const bytes: number = source.info.plan.input_bytes;
  return Math.max(1, Math.min(
      MAX_WORKERS, await processors() - 1,
      Math.ceil(bytes / BYTES_PER_WORKER)));
}

interface Crew {
  engine: Engine;
  plan: number;
}

function concatenate(
    parts: Array<Uint8Array<ArrayBuffer>>): Uint8Array<ArrayBuffer> {
  const all =
      new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

/** Rejects with whatever fails first, after everything has ended. */
async function allOrFirst<T>(
    promises: Array<Promise<T>>, stop: (reason: unknown) => void):
    Promise<T[]> {
  let failed = false;
  let first: unknown;
  for (const promise of promises) {
    promise.catch((error: unknown) => {
      if (failed) return;
      failed = true;
      first = error;
      stop(error);
    });
  }
  const settled = await Promise.allSettled(promises);
  if (failed) throw first;
  return settled.map((one) => (one as PromiseFulfilledResult<T>).value);
}

class RunningRun {
  readonly #started = performance.now();
  readonly #engines: Engine[] = [];
  /** Aborted by the user or by the first failure. */
  readonly #stop = new AbortController();
  #progress: ProgressSum;
  #owner: {engine: Engine; output: number}|null = null;
  #temporary: string[] = [];
  #lease: RunLease|null = null;

  constructor(
      private readonly source: RunSource,
      private readonly options: RunOptions,
      private readonly feed: Feed<RunProgress>) {
    this.#progress = this.#progressOf(1);
  }

  async execute(): Promise<Finished> {
    const {signal} = this.options;
    if (signal?.aborted) throw signal.reason;
    const abort = () => this.#stop.abort(signal?.reason);
    signal?.addEventListener('abort', abort, {once: true});
    try {
      return await this.#execute();
    } catch (error) {
      await this.#dropOutput();
      throw error;
    } finally {
      signal?.removeEventListener('abort', abort);
      for (const engine of this.#engines) engine.close();
    }
  }

  async #execute(): Promise<Finished> {
    const count = await numWorkers(this.source, this.options.workers);
    this.#progress = this.#progressOf(count);
    if (!isNode && this.options.sink !== 'memory') {
      this.#lease = await leaseRunDirectory();
    }
    const crew = await allOrFirst(
        Array.from({length: count}, (_, worker) => this.#prepare(worker)),
        (reason) => this.#stop.abort(reason));
    const results = await this.#write(crew);
    const owner = this.#ownerOf(crew);
    const files = await owner.engine.call(
        'finish',
        {output: owner.output, hash: this.options.hash ?? true},
        {signal: this.#stop.signal, onStep: (step) => this.#tell(0, step)});
    return {
      files,
      results,
      plan: this.source.info,
      seconds: this.#seconds(),
      lease: this.#lease,
    };
  }

  #progressOf(workers: number): ProgressSum {
    return new ProgressSum(this.source.info.plan.input_bytes, workers);
  }

  #seconds(): number {
    return (performance.now() - this.#started) / 1000;
  }

  #tell(worker: number, step: StepMessage): void {
    this.feed.push(this.#progress.add(worker, step, this.#seconds()));
  }

  /** A worker that has planned what is to be run. */
  async #prepare(worker: number): Promise<Crew> {
    const {input, openArgs, load, request, info} = this.source;
    const engine = await Engine.start(load);
    this.#engines.push(engine);
    const {signal} = this.#stop;
    const opened =
        await engine.call('open', {input, options: openArgs}, {signal});
    const planned = await engine.call(
        'plan', {checkpoint: opened.checkpoint, request},
        {signal, onStep: (step) => this.#tell(worker, step)});
    const same = JSON.stringify(planned.info.outputs) ===
        JSON.stringify(info.outputs);
    if (!same) {
      throw makeError(
          'MalformedInputError',
          `${opened.info.path}: was changed after it was opened, so that the ` +
              'plan is another now; open it again');
    }
    return {engine, plan: planned.plan};
  }

  #ownerOf(crew: Crew[]): {engine: Engine; output: number} {
    if (this.#owner === null || crew[0]?.engine !== this.#owner.engine) {
      throw new Error('no output');
    }
    return this.#owner;
  }

  async #write(crew: Crew[]): Promise<Results> {
    const [first] = crew;
    if (first === undefined) throw new Error('no worker');
    const channels = crew.slice(1).map(() => new MessageChannel());
    const ports = channels.map(({port1}) => port1);
    const created = await first.engine.call(
        'createOutput',
        {
          plan: first.plan,
          sink: this.options.sink,
          directory: this.#lease?.directory ?? '',
          ports,
        },
        {signal: this.#stop.signal, transfer: ports});
    const {output} = created;
    this.#owner = {engine: first.engine, output};
    this.#temporary = created.temporary;
    const chunkBytes = this.options.chunkBytes ?? 0;
    const options = {
      signal: this.#stop.signal,
      onStep: (step: StepMessage) => this.#tell(0, step),
    };
    if (crew.length === 1) {
      return first.engine.call(
          'run', {plan: first.plan, output, chunkBytes}, options);
    }
    const parts = await allOrFirst(
        crew.map(({engine, plan}, part) => {
          const files = part === 0 ?
              {output} :
              this.#shared(created.shared, channels[part - 1]?.port2);
          const args: Calls['part']['args'] =
              {plan, ...files, chunkBytes, part, parts: crew.length};
          return engine.call('part', args, {
            signal: this.#stop.signal,
            onStep: (step) => this.#tell(part, step),
            transfer: args.port === undefined ? [] : [args.port],
          });
        }),
        (reason) => this.#stop.abort(reason));
    // They have nothing to do any more, and their memory is wanted elsewhere.
    for (const {engine} of crew.slice(1)) engine.close();
    return first.engine.call(
        'join',
        {plan: first.plan, output, records: concatenate(parts), chunkBytes},
        options);
  }

  #shared(shared: SharedFiles, port: MessagePort|undefined):
      {shared: SharedFiles; port?: MessagePort} {
    return shared.kind === 'port' ? {shared, port} : {shared};
  }

  /** After a failure: nothing of the output stays. */
  async #dropOutput(): Promise<void> {
    try {
      if (this.#owner !== null && !this.#owner.engine.isDead) {
        await this.#owner.engine.call('drop', {output: this.#owner.output});
      }
    } catch {
      // What a worker cannot remove is removed from here.
    }
    for (const engine of this.#engines) engine.close();
    try {
      if (isNode && this.#temporary.length > 0) {
        const {removeNodeFiles} = await import('./node_client.js');
        removeNodeFiles(this.#temporary);
      }
      if (this.#lease !== null) {
        await removeRunDirectory(this.#lease.directory);
      }
    } catch {
      // The first failure is what is told; the next cleanUp() tries again.
    }
    this.#lease?.release();
  }
}

/** Starts a run; its progress goes to `feed`, which ends with it. */
export async function execute(
    source: RunSource, options: RunOptions,
    feed: Feed<RunProgress>): Promise<Finished> {
  try {
    const finished = await new RunningRun(source, options, feed).execute();
    feed.end();
    return finished;
  } catch (error) {
    feed.fail(error);
    throw error;
  }
}
