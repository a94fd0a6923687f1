// An output in the worker that makes its files, wherever they are.

import type {PartSink, PlanInfo, Sink, Source} from './monoquant.mjs';
import type {FinishedFile, SharedFiles} from './protocol.js';

/** A file of an output that is being written. */
export interface OutgoingFile {
  name: string;
  bytes: number;
  copied: boolean;
  writeAt(offset: number, bytes: Uint8Array): void;
  /** The complete file, to read it back. */
  source(): Source&{close?(): void};
}

export interface Output {
  readonly files: OutgoingFile[];
  /** For the other workers of a run. */
  readonly shared: SharedFiles;
  /** What a worker that dies leaves behind, under Node. */
  readonly temporary: string[];
  /** Puts all files in their place, whole. */
  commit(): Promise<Array<Pick<FinishedFile, 'file'|'path'>>>;
  /** Removes all of them. Can be called at any time, also twice. */
  abort(): Promise<void>;
}

/** Where a worker takes inputs from and puts outputs to. */
export interface WorkerPlatform {
  openInput(input: unknown, options: {main?: string; path?: string}):
      OpenedInput;
  createOutput(
      info: PlanInfo, input: OpenedInput, sink: string|undefined,
      directory: string, shareable: boolean): Promise<Output>;
  /** Files that another worker owns; not those of kind "port". */
  openShared(shared: SharedFiles): Promise<SharedWriters>;
}

export interface SharedWriters {
  sinks: PartSink[];
  close(): void;
}

export interface OpenedInput {
  files: Source[];
  main?: string;
  path?: string;
  /** The File behind a source's name, in a browser. */
  fileOf?(name: string): File|undefined;
  /** Throws if a file has changed meanwhile, where that can be told. */
  check(): void;
  close(): void;
}

/**
 * Sinks for the loader: they only take bytes. What becomes of the files is
 * decided when they are read back.
 */
export function sinksOf(output: Output): Sink[] {
  return output.files.map((file) => ({
    writeAt: (offset, bytes) => file.writeAt(offset, bytes),
    commit: () => {},
    abort: () => {},
  }));
}
