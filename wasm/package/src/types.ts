// What the package's functions take and return. docs/wasm.md is the tour.

import type {
  About, CheckpointInfo, OutputFile, PlanInfo, PlanRequest, Results, Survey,
  TensorInfo, TensorResult,
} from './monoquant.mjs';

export type {
  About, CheckpointInfo, OutputFile, PlanInfo, PlanRequest, Results, Survey,
  TensorInfo, TensorResult,
};

/**
 * A checkpoint. In a browser a File, or all Files of a directory or of a set of
 * shards: what lies in subdirectories, by webkitRelativePath, is left out.
 * Under Node the path of a file or of a directory.
 */
export type Input = string|File|readonly File[];

/** Where the module and the worker are; beside this file by default. */
export interface LoadOptions {
  /** The module: its address, its bytes, or compiled. */
  wasm?: URL|string|BufferSource|WebAssembly.Module;
  /** The script of the worker, from the page's own origin. */
  worker?: URL|string;
}

export interface OpenOptions extends LoadOptions {
  /** Of several Files: the name of the one that is meant. */
  main?: string;
  /** What messages call the checkpoint; its name by default. */
  path?: string;
  /** Which dict of a training checkpoint holds the weights: "model". */
  root?: string;
  /** Reads it though a pickle calls what is dangerous. Nothing is executed. */
  allowOpaque?: boolean;
  /** Codes and scales of an already quantized checkpoint, not its floats. */
  asStored?: boolean;
  signal?: AbortSignal;
}

/**
 * Where an output goes. Under Node the path of a file, or of a directory where
 * PlanInfo.output.directory is true; nothing may be there yet. In a browser
 * "opfs", the origin's private file system, which is the default where there
 * is one; or "memory", for at most 1 GiB.
 */
export type SinkTarget = string;

export interface RunOptions {
  sink?: SinkTarget;
  /**
   * Workers that share the work; the output is the same for any number. By
   * default one less than there are processors, at most 4, and one for little
   * work.
   */
  workers?: number;
  /** Input bytes of one step, 65,536 to 2^30; 8 MiB by default. */
  chunkBytes?: number;
  signal?: AbortSignal;
  /** Whether each file is read back for its SHA-256; true by default. */
  hash?: boolean;
}

export interface RunProgress {
  /**
   * settle: looks for NaN, if the recipe says "keep"; run: quantizes; finish:
   * writes indexes and puts the parts together; hash: reads the output back.
   */
  phase: 'settle'|'run'|'finish'|'hash';
  /** Of this phase. */
  bytesDone: number;
  bytesTotal: number;
  /** Since the run began. */
  seconds: number;
  /** Over the last seconds; 0 until it is known. */
  bytesPerSecond: number;
  /** Of this phase; null until it is known. */
  secondsLeft: number|null;
  /** The last one that was worked on. */
  tensor: string|null;
  /** Of everything that is quantized so far; null where there is no error. */
  sqnrDb: number|null;
}

/** A file of a finished output. */
export interface OutputFileResult {
  name: string;
  bytes: number;
  /** True for a file of the input that goes along unchanged. */
  copied: boolean;
  /** In hexadecimal digits; empty if RunOptions.hash was false. */
  sha256: string;
  /** In a browser. In the OPFS it lasts until RunResult.dispose(). */
  file?: File;
  /** Under Node. */
  path?: string;
}
