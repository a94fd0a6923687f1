// What the package is used by: a checkpoint, a plan of it, a run of that.

import {Engine} from './engine.js';
import {makeError} from './errors.js';
import {Feed} from './feed.js';
import {removeRunDirectory} from './opfs_paths.js';
import type {OpenArgs} from './protocol.js';
import {execute, type Finished} from './run.js';
import type {
  CheckpointInfo, Input, LoadOptions, OpenOptions, OutputFileResult, PlanInfo,
  PlanRequest, Results, RunOptions, RunProgress, Survey, TensorInfo,
} from './types.js';

/** What a checkpoint was opened with: enough to open it once more. */
export interface Origin {
  input: Input;
  openArgs: OpenArgs;
  load: LoadOptions;
}

/** A tensor of the same shape, of any open checkpoint or finished run. */
export interface Against {
  checkpoint: Checkpoint|RunResult;
  tensor: string;
}

export interface SurveyOptions {
  /** Of each histogram; 64 by default. */
  bins?: number;
  against?: Against;
  signal?: AbortSignal;
}

/**
 * An open checkpoint: its index has been read. It has a worker of its own,
 * which is started again if it had to be ended.
 */
export class Checkpoint {
  readonly info: CheckpointInfo;
  readonly #origin: Origin;
  #engine: Engine;
  #handle: number;
  /** What else was opened in its worker, to be surveyed against. */
  #others = new Map<Checkpoint|RunResult, number>();
  #reopening: Promise<void>|null = null;
  #closed = false;

  /** Use open(). */
  private constructor(
      origin: Origin, engine: Engine, handle: number, info: CheckpointInfo) {
    this.#origin = origin;
    this.#engine = engine;
    this.#handle = handle;
    this.info = info;
  }

  /** @internal */
  static async open(origin: Origin, signal?: AbortSignal): Promise<Checkpoint> {
    const engine = await Engine.start(origin.load);
    try {
      const {checkpoint, info} = await engine.call(
          'open', {input: origin.input, options: origin.openArgs}, {signal});
      return new Checkpoint(origin, engine, checkpoint, info);
    } catch (error) {
      engine.close();
      throw error;
    }
  }

  /** In the order of the file. */
  get tensors(): TensorInfo[] {
    return this.info.tensors;
  }

  /** @internal */
  get origin(): Origin {
    return this.#origin;
  }

  /**
   * Plans an output. Only a recipe with "nonfinite": "keep" reads weights for
   * that.
   */
  async plan(request: PlanRequest = {}, {signal}: {signal?: AbortSignal} = {}):
      Promise<Plan> {
    const engine = await this.#ready();
    const {plan, info} = await engine.call(
        'plan', {checkpoint: this.#handle, request}, {signal});
    return new Plan(this.#origin, structuredClone(request), info, () => {
      // With its worker it is gone in any case.
      engine.call('close', {handle: plan}).catch(() => {});
    });
  }

  /**
   * Reads all values of a tensor for a histogram and figures, and with
   * `against` also those of another one and of the differences.
   */
  async survey(
      tensor: string,
      {bins, against, signal}: SurveyOptions = {}): Promise<Survey> {
    const engine = await this.#ready();
    const other = against && {
      checkpoint: await this.#handleOf(engine, against.checkpoint, signal),
      tensor: against.tensor,
    };
    return engine.call(
        'survey', {checkpoint: this.#handle, tensor, bins, against: other},
        {signal});
  }

  /** Ends its worker. Plans and runs of it go on. */
  close(): void {
    this.#closed = true;
    this.#others.clear();
    this.#engine.close();
  }

  async #ready(): Promise<Engine> {
    if (this.#closed) {
      throw makeError(
          'UsageError',
          `${this.info.path}: was closed already; open it again`);
    }
    if (this.#engine.isDead) {
      this.#reopening ??= this.#reopen();
      await this.#reopening;
    }
    return this.#engine;
  }

  async #reopen(): Promise<void> {
    try {
      const again = await Checkpoint.open(this.#origin);
      this.#engine = again.#engine;
      this.#handle = again.#handle;
      this.#others.clear();
      if (this.#closed) this.#engine.close();
    } finally {
      this.#reopening = null;
    }
  }

  async #handleOf(
      engine: Engine, other: Checkpoint|RunResult,
      signal: AbortSignal|undefined): Promise<number> {
    if (other === this) return this.#handle;
    const known = this.#others.get(other);
    if (known !== undefined) return known;
    const {input, openArgs} = other.origin;
    const {checkpoint} =
        await engine.call('open', {input, options: openArgs}, {signal});
    this.#others.set(other, checkpoint);
    return checkpoint;
  }
}

/** A planned output: sizes and decisions, before any weight is read. */
export class Plan {
  readonly info: PlanInfo;
  readonly #origin: Origin;
  readonly #request: PlanRequest;
  #release: (() => void)|null;

  /** Use Checkpoint.plan(). @internal */
  constructor(
      origin: Origin, request: PlanRequest, info: PlanInfo,
      release: () => void) {
    this.#origin = origin;
    this.#request = request;
    this.info = info;
    this.#release = release;
  }

  /** Starts at once. */
  run(options: RunOptions = {}): Run {
    const {info} = this;
    return new Run(
        {...this.#origin, request: this.#request, info}, options);
  }

  close(): void {
    this.#release?.();
    this.#release = null;
  }
}

type RunArgs = Parameters<typeof execute>[0];

/**
 * A run under way. To iterate over it is to watch it; to leave the loop, or to
 * be slow in it, does not hold it up. RunOptions.signal cancels it.
 */
export class Run implements AsyncIterable<RunProgress> {
  readonly result: Promise<RunResult>;
  readonly #feed = new Feed<RunProgress>();

  /** Use Plan.run(). @internal */
  constructor(source: RunArgs, options: RunOptions) {
    this.result = execute(source, options, this.#feed)
                      .then((finished) => new RunResult(source, finished));
    // Who iterates is told there.
    this.result.catch(() => {});
  }

  [Symbol.asyncIterator](): AsyncIterator<RunProgress> {
    return this.#feed[Symbol.asyncIterator]();
  }
}

/** A finished output. */
export class RunResult {
  readonly files: OutputFileResult[];
  /** How far each quantized tensor is from what it was. */
  readonly results: Results;
  readonly plan: PlanInfo;
  readonly seconds: number;
  /** Of the tensors of the input. */
  readonly bytesIn: number;
  /** Of all files. */
  readonly bytesOut: number;
  readonly #load: LoadOptions;
  readonly #lease: Finished['lease'];
  #checkpoint: Promise<Checkpoint>|null = null;

  /** @internal */
  constructor({load}: RunArgs, finished: Finished) {
    this.files = finished.files;
    this.results = finished.results;
    this.plan = finished.plan;
    this.seconds = finished.seconds;
    this.bytesIn = finished.plan.plan.input_bytes;
    this.bytesOut = finished.files.reduce((sum, {bytes}) => sum + bytes, 0);
    this.#load = load;
    this.#lease = finished.lease;
  }

  /** The output as a checkpoint, opened once. */
  open(): Promise<Checkpoint> {
    this.#checkpoint ??= Checkpoint.open(this.origin);
    return this.#checkpoint;
  }

  /** @internal */
  get origin(): Origin {
    return {input: this.#input(), openArgs: {}, load: this.#load};
  }

  #input(): Input {
    const [first] = this.files;
    if (first?.path !== undefined) {
      return this.plan.output.directory ?
          first.path.slice(0, -first.name.length - 1) :
          first.path;
    }
    return this.files.flatMap(({file}) => file === undefined ? [] : [file]);
  }

  /** Closes open() and, in a browser, removes what is kept in the OPFS. */
  async dispose(): Promise<void> {
    await this.#checkpoint?.then((one) => one.close(), () => {});
    if (this.#lease === null) return;
    await removeRunDirectory(this.#lease.directory);
    this.#lease.release();
  }
}

/** Splits the options of open() into what goes where. */
export function originOf(input: Input, options: OpenOptions): Origin {
  const {main, path, root, allowOpaque, asStored, wasm, worker} = options;
  return {
    input: typeof input === 'string' || input instanceof Blob ? input :
                                                                [...input],
    openArgs: {main, path, root, allowOpaque, asStored},
    load: {wasm, worker},
  };
}
