// Types of node_files.mjs.

import type {CheckpointFiles, Sink} from './monoquant.mjs';

export function openFiles(where: string): CheckpointFiles&{close(): void};

export class FileSink implements Sink {
  constructor(where: string, bytes: number, options?: {overwrite?: boolean});
  readonly temporaryPath: string;
  writeAt(offset: number, bytes: Uint8Array): void;
  commit(): void;
  abort(): void;
}

export class OutputDirectory {
  constructor(where: string);
  readonly temporaryPath: string;
  createSink(bytes: number, name: string): FileSink;
  commit(): void;
  abort(): void;
}
