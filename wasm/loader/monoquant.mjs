// Loads monoquant.wasm and speaks its C ABI (wasm/monoquant_c.h).
//
// The same file runs under Node and in a browser's worker: it needs nothing but
// WebAssembly, TextEncoder and TextDecoder. Where bytes come from and go to is
// the caller's: see Source and Sink in monoquant.d.mts. docs/wasm.md is the
// tour.

/** An error of monoquant, with the code that docs/errors.md lists. */
export class MonoquantError extends Error {
  constructor({code, exit_code: exitCode, message}, options) {
    super(message, options);
    this.name = 'MonoquantError';
    this.code = code;
    this.exitCode = exitCode;
  }
}

function usageError(message) {
  return new MonoquantError({code: 'UsageError', exit_code: 2, message});
}

// MqHostResult
const HOST_OK = 0;
const HOST_FAILED = 1;
const HOST_TRUNCATED = 2;
const HOST_NO_SPACE = 3;

function isNoSpace(error) {
  return error?.code === 'ENOSPC' || error?.code === 'EDQUOT' ||
      error?.name === 'QuotaExceededError';
}

// Aborts all of them, whatever one throws.
function abortAll(sinks) {
  const failures = [];
  for (const sink of sinks) {
    try {
      sink.abort();
    } catch (error) {
      failures.push(error);
    }
  }
  if (failures.length > 0) throw failures[0];
}

// A sink for each output of a plan, or none.
function createSinks(info, createSink) {
  const sinks = [];
  try {
    for (const output of info.outputs) {
      sinks.push(createSink(output.bytes, output, info));
    }
  } catch (error) {
    abortAll(sinks);
    throw error;
  }
  return sinks;
}

// One instance of the module: its memory, what it may ask for, and its state.
class Instance {
  #exports;
  #sources = new Map();
  #sinks = new Map();
  #nextNumber = 0;
  // What a source or sink threw during the current call: the module only
  // learns that it failed.
  #failure = null;
  // Why the module cannot be used any more.
  #dead = null;
  #stderr = '';

  static async create(wasm) {
    const self = new Instance();
    const module = wasm instanceof WebAssembly.Module ?
        wasm :
        await WebAssembly.compile(wasm);
    const instance = await WebAssembly.instantiate(module, self.#imports());
    self.#exports = instance.exports;
    self.#exports._initialize();
    return self;
  }

  #imports() {
    // Numbers above 2^31 arrive as negative: hence all the >>> 0.
    const bytes = (pointer, size) => new Uint8Array(
        this.#exports.memory.buffer, pointer >>> 0, size >>> 0);
    const attempt = (act) => {
      try {
        return act();
      } catch (error) {
        this.#failure = error;
        return isNoSpace(error) ? HOST_NO_SPACE : HOST_FAILED;
      }
    };
    return {
      monoquant: {
        read: (source, offset, pointer, size) => attempt(() => {
          const target = bytes(pointer, size);
          const count = this.#sources.get(source).readAt(offset, target);
          return count === target.length ? HOST_OK : HOST_TRUNCATED;
        }),
        write: (sink, offset, pointer, size) => attempt(() => {
          this.#sinks.get(sink).writeAt(offset, bytes(pointer, size));
          return HOST_OK;
        }),
        commit: (sink) => attempt(() => {
          this.#sinks.get(sink).commit();
          return HOST_OK;
        }),
      },
      // What Abseil and the C++ library link although monoquant does not use
      // it: text before an abort, clocks, stack traces.
      wasi_snapshot_preview1: {
        fd_write: (fd, vectors, count, written) => {
          const view = new DataView(this.#exports.memory.buffer);
          let total = 0;
          for (let i = 0; i < count; ++i) {
            const at = (vectors >>> 0) + 8 * i;
            const size = view.getUint32(at + 4, true);
            this.#stderr +=
                new TextDecoder().decode(bytes(view.getUint32(at, true), size));
            total += size;
          }
          view.setUint32(written >>> 0, total, true);
          return 0;
        },
        proc_exit: (status) => {
          throw new Error(`exit ${status}`);
        },
      },
      env: {
        emscripten_notify_memory_growth: () => {},
      },
    };
  }

  // Calls an exported function. A trap leaves the module in no state to go on.
  call(name, ...args) {
    if (this.#dead !== null) throw this.#dead;
    this.#failure = null;
    try {
      return this.#exports[name](...args);
    } catch (error) {
      const detail = this.#stderr.trim() || error.message;
      this.#dead = new MonoquantError(
          {
            code: 'InternalError',
            exit_code: 1,
            message: `the module stopped, perhaps for lack of memory ` +
                `(${detail}); load it again`,
          },
          {cause: error});
      throw this.#dead;
    }
  }

  // Calls a function that takes bytes after its other arguments.
  callWithBytes(name, args, bytes) {
    // At least one byte: no memory and nothing at all look alike otherwise.
    const pointer = this.call('mq_alloc', bytes.length + 1) >>> 0;
    if (pointer === 0) {
      throw new MonoquantError({
        code: 'ResourceExhaustedError',
        exit_code: 5,
        message: `no memory for a request of ${bytes.length} bytes`,
      });
    }
    new Uint8Array(this.#exports.memory.buffer, pointer, bytes.length)
        .set(bytes);
    try {
      return this.call(name, ...args, pointer, bytes.length);
    } finally {
      if (this.#dead === null) this.#exports.mq_free(pointer);
    }
  }

  callWithText(name, args, text) {
    return this.callWithBytes(name, args, new TextEncoder().encode(text));
  }

  // The bytes that the last call left: memory of the module.
  #left() {
    const pointer = this.call('mq_text') >>> 0;
    const size = this.call('mq_text_size') >>> 0;
    return new Uint8Array(this.#exports.memory.buffer, pointer, size);
  }

  bytes() {
    return this.#left().slice();
  }

  json() {
    return JSON.parse(new TextDecoder().decode(this.#left()));
  }

  // The error that the last call left.
  error() {
    const failure = this.#failure;
    return new MonoquantError(
        this.json(), failure === null ? undefined : {cause: failure});
  }

  describe(handle) {
    if (this.call('mq_describe', handle) !== 0) throw this.error();
    return this.json();
  }

  close(handle) {
    if (this.#dead === null) this.call('mq_close', handle);
  }

  addSource(source) {
    this.#sources.set(this.#nextNumber, source);
    return this.#nextNumber++;
  }
  removeSource(number) {
    this.#sources.delete(number);
  }
  addSink(sink) {
    this.#sinks.set(this.#nextNumber, sink);
    return this.#nextNumber++;
  }
  removeSink(number) {
    this.#sinks.delete(number);
  }

  get memoryBytes() {
    return this.#exports.memory.buffer.byteLength;
  }
}

// Removes the sources of a checkpoint when nothing uses them any more.
class SourceLease {
  #instance;
  #numbers;
  #users = 0;

  constructor(instance, numbers) {
    this.#instance = instance;
    this.#numbers = numbers;
  }
  acquire() {
    ++this.#users;
  }
  release() {
    if (--this.#users > 0) return;
    for (const number of this.#numbers) this.#instance.removeSource(number);
  }
}

// A handle of the module, closed once.
class Handle {
  #lease;

  constructor(instance, handle, lease) {
    this.instance = instance;
    this.handle = handle;
    this.#lease = lease;
    lease.acquire();
  }
  get lease() {
    return this.#lease;
  }
  close() {
    if (this.handle === 0) return;
    this.instance.close(this.handle);
    this.handle = 0;
    this.#lease.release();
  }
}

/** A planned output: nothing is written yet. */
export class Plan {
  #handle;
  #info = null;

  constructor(handle) {
    this.#handle = handle;
  }

  /** What mq_describe says of a plan: PlanInfo in monoquant.d.mts. */
  get info() {
    this.#info ??= this.#handle.instance.describe(this.#handle.handle);
    return this.#info;
  }

  /** Does what is left of planning; yields after each tensor. */
  * settle() {
    const {instance, handle} = this.#handle;
    for (;;) {
      const more = instance.call('mq_settle', handle);
      this.#info = null;
      if (more < 0) throw instance.error();
      if (more === 0) return;
      yield;
    }
  }

  /**
   * Runs the plan into a sink for each of info.outputs, in their order, or into
   * the one sink of a single file; a piece at a time. Yields Progress after
   * each and returns the results. The sinks are committed at the end, in their
   * order; if the generator is left early, by return() or by an error, those
   * that are not committed are aborted.
   */
  * run(sinks, {chunkBytes = 0} = {}) {
    const {instance, handle} = this.#handle;
    return yield* this.#runWhole(
        sinks,
        (first) => instance.call('mq_start', handle, first, chunkBytes));
  }

  /**
   * Does share `part` of `parts` of the work, and returns the records of what
   * it did, for join(). The other shares are done by other instances, which
   * have planned the same, into sinks for the same files. The sinks are only
   * written to, neither committed nor aborted.
   */
  * runPart(sinks, {part, parts, chunkBytes = 0}) {
    const {instance, handle} = this.#handle;
    const list = Array.isArray(sinks) ? sinks : [sinks];
    return yield* this.#steps(
        list.map((sink) => ({
          writeAt: (offset, bytes) => sink.writeAt(offset, bytes),
          commit: () => {},
        })),
        (first) => instance.call(
            'mq_start_part', handle, first, chunkBytes, part, parts),
        (job) => {
          if (instance.call('mq_records', job) !== 0) throw instance.error();
          return instance.bytes();
        });
  }

  /**
   * Completes an output whose parts have been run: takes over what `records`,
   * those of all parts one after the other, say is done, does what is missing,
   * and ends as run() does.
   */
  * join(sinks, records, {chunkBytes = 0} = {}) {
    const {instance, handle} = this.#handle;
    return yield* this.#runWhole(
        sinks,
        (first) => instance.callWithBytes(
            'mq_join', [handle, first, chunkBytes], records));
  }

  // Runs a job that commits its sinks; aborts those that it has not committed.
  * #runWhole(sinks, start) {
    const pending = new Set(Array.isArray(sinks) ? sinks : [sinks]);
    try {
      return yield* this.#steps(
          [...pending].map((sink) => ({
            writeAt: (offset, bytes) => sink.writeAt(offset, bytes),
            commit: () => {
              sink.commit();
              pending.delete(sink);
            },
          })),
          start, (job) => this.#handle.instance.describe(job));
    } finally {
      abortAll(pending);
    }
  }

  // The steps of a job that `start` makes for the sinks from number `first` on,
  // and what `end` says of the complete job.
  * #steps(sinks, start, end) {
    const {instance} = this.#handle;
    const numbers = [];
    let job = null;
    try {
      const {outputs} = this.info;
      if (sinks.length !== outputs.length) {
        throw usageError(
            `the plan has ${outputs.length} outputs, so it runs into as many ` +
            `sinks, not ${sinks.length}`);
      }
      // The numbers of one output follow each other.
      for (const sink of sinks) numbers.push(instance.addSink(sink));
      const started = start(numbers[0]);
      if (started === 0) throw instance.error();
      job = new Handle(instance, started, this.#handle.lease);
      for (;;) {
        const more = instance.call('mq_step', started);
        if (more < 0) throw instance.error();
        if (more === 0) return end(started);
        const {tensor, signal, noise} = instance.describe(started);
        yield {
          bytesDone: instance.call('mq_bytes_done', started),
          bytesTotal: instance.call('mq_bytes_total', started),
          tensor,
          signal,
          noise,
        };
      }
    } finally {
      job?.close();
      for (const number of numbers) instance.removeSink(number);
    }
  }

  close() {
    this.#handle.close();
  }
}

/** An open checkpoint: its index is read, nothing else. */
export class Checkpoint {
  #handle;
  #info = null;

  constructor(handle) {
    this.#handle = handle;
  }

  /** The document of docs/schemas/inspect.json. */
  get info() {
    this.#info ??= this.#handle.instance.describe(this.#handle.handle);
    return this.#info;
  }

  /** Plans an output. `request` is that of mq_plan. */
  plan(request) {
    const {instance, handle, lease} = this.#handle;
    const plan =
        instance.callWithText('mq_plan', [handle], JSON.stringify(request));
    if (plan === 0) throw instance.error();
    return new Plan(new Handle(instance, plan, lease));
  }

  /**
   * Reads all values of one tensor and returns a histogram of them and figures;
   * with `against`, which has to be of the same instance, also those of another
   * tensor of that shape and of the differences. Yields after each piece.
   */
  * survey({tensor, bins, against}) {
    const {instance, handle, lease} = this.#handle;
    const request = {tensor};
    if (bins !== undefined) request.bins = bins;
    if (against !== undefined) {
      const other = against.checkpoint.#handle;
      if (other.instance !== instance) {
        throw usageError(
            'a tensor is surveyed against one of the same instance; open ' +
            'both checkpoints there');
      }
      request.against = {checkpoint: other.handle, tensor: against.tensor};
    }
    const started =
        instance.callWithText('mq_survey', [handle], JSON.stringify(request));
    if (started === 0) throw instance.error();
    const survey = new Handle(instance, started, lease);
    try {
      for (;;) {
        const more = instance.call('mq_step', started);
        if (more < 0) throw instance.error();
        if (more === 0) return instance.describe(started);
        yield;
      }
    } finally {
      survey.close();
    }
  }

  close() {
    this.#handle.close();
  }
}

/** The SHA-256 of bytes that come one after the other. */
export class Sha256 {
  #instance;
  #handle;

  constructor(instance) {
    this.#instance = instance;
    this.#handle = instance.call('mq_hash');
    if (this.#handle === 0) throw instance.error();
  }

  add(bytes) {
    const done =
        this.#instance.callWithBytes('mq_hash_add', [this.#handle], bytes);
    if (done !== 0) throw this.#instance.error();
  }

  /** Of all bytes, in hexadecimal digits; it takes no more then. */
  digest() {
    return this.#instance.describe(this.#handle).sha256;
  }

  close() {
    this.#instance.close(this.#handle);
    this.#handle = 0;
  }
}

/** A loaded module. */
export class Monoquant {
  #instance;

  constructor(instance) {
    this.#instance = instance;
    instance.call('mq_about');
    /** {version, containers, formats} */
    this.about = instance.json();
  }

  /** Size of the module's memory. It grows when needed and never shrinks. */
  get memoryBytes() {
    return this.#instance.memoryBytes;
  }

  /** Opens a checkpoint; see CheckpointFiles in monoquant.d.mts. */
  open({path, main, files, root, allowOpaque, asStored}) {
    const instance = this.#instance;
    const numbers = [];
    const lease = new SourceLease(instance, numbers);
    lease.acquire();
    try {
      const list = files.map((source) => {
        if (!Number.isSafeInteger(source.size) || source.size < 0) {
          throw usageError(`${source.name}: ${source.size} is no file size`);
        }
        numbers.push(instance.addSource(source));
        return {
          name: source.name,
          size: source.size,
          source: numbers[numbers.length - 1],
        };
      });
      const request = {path: path ?? main ?? 'checkpoint', main, files: list};
      if (root !== undefined) request.root = root;
      if (allowOpaque !== undefined) request.allow_opaque = allowOpaque;
      if (asStored !== undefined) request.as_stored = asStored;
      const checkpoint =
          instance.callWithText('mq_open', [], JSON.stringify(request));
      if (checkpoint === 0) throw instance.error();
      return new Checkpoint(new Handle(instance, checkpoint, lease));
    } finally {
      lease.release();
    }
  }

  /** Begins a SHA-256: {add(bytes), digest(), close()}. */
  sha256() {
    return new Sha256(this.#instance);
  }

  /** What is in a checkpoint: the document of docs/schemas/inspect.json. */
  inspect(files) {
    const checkpoint = this.open(files);
    try {
      return checkpoint.info;
    } finally {
      checkpoint.close();
    }
  }

  /**
   * Opens, plans and runs in one go. `createSink(bytes, output, info)` is
   * called for each of the plan's outputs, when their sizes are known. Yields
   * and ends like Plan.run; returns {plan, results}.
   */
  * quantize(files, request, createSink, options) {
    const checkpoint = this.open(files);
    let plan = null;
    try {
      plan = checkpoint.plan(request);
      for (const _ of plan.settle()) {
        yield {
          bytesDone: 0,
          bytesTotal: plan.info.plan.input_bytes,
          tensor: null,
          signal: 0,
          noise: 0,
        };
      }
      const {info} = plan;
      const results =
          yield* plan.run(createSinks(info, createSink), options);
      return {plan: info, results};
    } finally {
      plan?.close();
      checkpoint.close();
    }
  }
}

/**
 * Loads the module from its bytes, a Response's ArrayBuffer or a compiled
 * WebAssembly.Module. Compile once and post the module to workers: instances
 * share nothing, so several work side by side.
 */
export async function loadMonoquant(wasm) {
  return new Monoquant(await Instance.create(wasm));
}
