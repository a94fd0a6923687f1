// Types of monoquant.mjs.

/** Bytes of a known size, read where the caller keeps them. Synchronous. */
export interface Source {
  /** Bare file name. */
  readonly name: string;
  readonly size: number;
  /**
   * Fills `target` with the bytes from `offset` on and returns how many there
   * were: fewer than asked for only where the file has become shorter. Throws
   * on any other failure. `target` is memory of the module: not to be kept.
   */
  readAt(offset: number, target: Uint8Array): number;
}

/** Where a file of an output goes. Synchronous. */
export interface Sink {
  /** Writes bytes that are valid only during the call, in no given order. */
  writeAt(offset: number, bytes: Uint8Array): void;
  /**
   * Puts the complete file in its place. Called when all files of the output
   * are complete, in the order of PlanInfo.outputs: the last one is what
   * programs take a directory for a model by.
   */
  commit(): void;
  /** Removes whatever was written. Called once, instead of commit. */
  abort(): void;
}

/** What Plan.runPart needs of a sink. */
export type PartSink = Pick<Sink, 'writeAt'>;

/** One file, or all files of a directory. */
export interface CheckpointFiles {
  files: Source[];
  /** Name of the file that is meant; left out for a directory. */
  main?: string;
  /** What messages call the checkpoint; the name of the file by default. */
  path?: string;
  /** Which dict of a training checkpoint holds the weights: "model". */
  root?: string;
  /**
   * Reads it even if a pickle calls something dangerous. Nothing is executed,
   * with or without this.
   */
  allowOpaque?: boolean;
  /**
   * Lists the tensors of an already quantized checkpoint as they are stored,
   * codes and scales, not as the floats that they stand for.
   */
  asStored?: boolean;
}

export interface PlanRequest {
  /** "quantize" by default. */
  mode?: 'quantize' | 'convert' | 'dequantize';
  /** docs/recipe.md; only to quantize; the format's default by default. */
  recipe?: object;
  /** Only to dequantize; the type before quantization by default. */
  dtype?: 'F32' | 'F16' | 'BF16' | 'F64';
  /** A name from Monoquant.about.formats; may be left out with `for`. */
  format?: string;
  /**
   * The program that is to load the output: it chooses the format where there
   * is none, and what it has no use for stays as it is. Not to dequantize.
   */
  for?: 'vllm' | 'sglang' | 'transformers' | 'torch';
  /**
   * Makes a directory of any format that can have several files, each of at
   * most so many bytes of tensors.
   */
  max_shard_bytes?: number;
}

export interface Progress {
  bytesDone: number;
  bytesTotal: number;
  /** Of the last piece, if there was one of a tensor. */
  tensor: string|null;
  /**
   * Sums of squares so far: of the weights that are quantized, and of their
   * errors. The SQNR is 10 log10(signal / noise) dB.
   */
  signal: number;
  noise: number;
}

export interface RunOptions {
  /** Input bytes of one step, 65,536 to 2^30; 8 MiB by default. */
  chunkBytes?: number;
}

export interface PartOptions extends RunOptions {
  /** Which of the parts: 0 to parts - 1. */
  part: number;
  parts: number;
}

export interface SurveyRequest {
  tensor: string;
  /** Of each histogram; 64 by default. */
  bins?: number;
  /** A tensor of the same shape, of a checkpoint of the same instance. */
  against?: {checkpoint: Checkpoint; tensor: string};
}

/** What all values of a tensor are like. */
export interface ValueFigures {
  /** Of finite values; all else is of these. */
  count: number;
  /** NaN and infinities. */
  nonfinite: number;
  zeros: number;
  min: number;
  max: number;
  mean: number;
  std: number;
  /**
   * How many values lie in each of the equal parts of min to max of the
   * tensor that is surveyed.
   */
  bins: number[];
}

export interface Survey extends ValueFigures {
  tensor: string;
  dtype: string;
  shape: number[];
  /** What lies beyond the range of the first one is in the bins at its ends. */
  against?: ValueFigures;
  /**
   * Of the differences, the other tensor minus the first; bins are of
   * -max_abs_error to max_abs_error.
   */
  error?: {
    min: number;
    max: number;
    bins: number[];
    /** null where it is infinite. */
    sqnr_db: number|null;
    mse: number;
    cosine: number;
    max_abs_error: number;
  };
}

export interface TensorInfo {
  name: string;
  dtype: string;
  shape: number[];
  bytes: number;
  /** The tensor whose elements this one shares. */
  tie?: string;
  /** The layer in torch's terms, where it can be told. */
  layer_type?: string;
}

/** docs/schemas/inspect.json */
export interface CheckpointInfo {
  schema: 'monoquant/inspect/1';
  path: string;
  container: string;
  metadata: Record<string, string>;
  tensors: TensorInfo[];
  root: string;
  quantization: object | null;
  /** Classes and functions that pickles name; none was looked up or called. */
  globals: string[];
  notes: string[];
}

/** A file of an output. */
export interface OutputFile {
  /**
   * Bare file name: the one that it must have in a directory, and a suggestion
   * for a single file.
   */
  name: string;
  bytes: number;
  /**
   * True for a file of the input, by the same name, that belongs beside the new
   * weights unchanged. Whoever has it at hand may discard what is written.
   */
  copied: boolean;
}

export interface PlanInfo {
  /** False until settle() has ended. */
  settled: boolean;
  output: {
    format: string;
    /** Whether the files belong into a directory of their own. */
    directory: boolean;
    /** Of all files. */
    bytes: number;
    /**
     * A line of Python that loads it, with PATH for the quoted path: of the
     * directory, or of the only file where it is none; empty where there is
     * no such line.
     */
    python: string;
  };
  /** The files, in the order of their sinks. One, if it is no directory. */
  outputs: OutputFile[];
  /** What of the input is not carried over. */
  notes: string[];
  /** docs/schemas/plan.json */
  plan: any;
}

export interface TensorResult {
  name: string;
  scheme: object;
  /** null where it is infinite. */
  sqnr_db: number | null;
  mse: number;
  cosine: number;
  max_abs_error: number;
  nonfinite: number;
}

export interface Results {
  tensors: TensorResult[];
}

export interface About {
  version: string;
  containers: string[];
  formats: {
    name: string;
    /** True for a format that is always a directory of files. */
    directory: boolean;
    extensions: string[];
    python: string;
    description: string;
  }[];
}

export class MonoquantError extends Error {
  /** "MalformedInputError", ...: docs/errors.md. */
  readonly code: string;
  /** What the command line would exit with. */
  readonly exitCode: number;
  /** What a source or sink threw, if that was the reason. */
  readonly cause?: unknown;
}

export class Plan {
  private constructor();
  readonly info: PlanInfo;
  settle(): Generator<void, void, void>;
  run(sinks: Sink|Sink[], options?: RunOptions):
      Generator<Progress, Results, void>;
  runPart(sinks: PartSink|PartSink[], options: PartOptions):
      Generator<Progress, Uint8Array, void>;
  join(sinks: Sink|Sink[], records: Uint8Array, options?: RunOptions):
      Generator<Progress, Results, void>;
  close(): void;
}

export class Checkpoint {
  private constructor();
  readonly info: CheckpointInfo;
  plan(request: PlanRequest): Plan;
  survey(request: SurveyRequest): Generator<void, Survey, void>;
  close(): void;
}

export class Sha256 {
  private constructor();
  add(bytes: Uint8Array): void;
  /** Of all bytes, in hexadecimal digits; it takes no more then. */
  digest(): string;
  close(): void;
}

export class Monoquant {
  private constructor();
  readonly about: About;
  readonly memoryBytes: number;
  sha256(): Sha256;
  open(files: CheckpointFiles): Checkpoint;
  inspect(files: CheckpointFiles): CheckpointInfo;
  quantize(
      files: CheckpointFiles, request: PlanRequest,
      createSink: (bytes: number, output: OutputFile, info: PlanInfo) => Sink,
      options?: RunOptions):
      Generator<Progress, {plan: PlanInfo, results: Results}, void>;
}

export function loadMonoquant(wasm: BufferSource|
                              WebAssembly.Module): Promise<Monoquant>;
