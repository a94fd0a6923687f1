// Files of the local file system, in a worker of Node.

import * as fs from 'node:fs';
import * as path from 'node:path';
import {
  parentPort, type Transferable as NodeTransferable,
} from 'node:worker_threads';

import {makeError} from './errors.js';
import type {PartSink, PlanInfo, Source} from './monoquant.mjs';
import {FileSink, openFiles, OutputDirectory} from './node_files.mjs';
import type {
  OpenedInput, OutgoingFile, Output, SharedWriters, WorkerPlatform,
} from './output.js';
import type {SharedFiles} from './protocol.js';
import type {Port} from './worker_server.js';

/** What tells whether a file is still the one that was opened. */
function stampOf(where: string): string {
  const stat = fs.statSync(where, {bigint: true, throwIfNoEntry: false});
  return stat === undefined ?
      'gone' :
      [stat.dev, stat.ino, stat.size, stat.mtimeNs].join(' ');
}

/** A source that remembers what its file was when it was read first. */
class StampedSource implements Source {
  readonly name: string;
  readonly size: number;
  readonly #source: Source;
  readonly #path: string;
  #stamp: string|null = null;

  constructor(source: Source, where: string) {
    this.#source = source;
    this.#path = where;
    this.name = source.name;
    this.size = source.size;
  }

  readAt(offset: number, target: Uint8Array): number {
    this.#stamp ??= stampOf(this.#path);
    return this.#source.readAt(offset, target);
  }

  check(): void {
    if (this.#stamp === null || this.#stamp === stampOf(this.#path)) return;
    throw makeError(
        'MalformedInputError',
        `${this.#path}: was changed while it was read, so the output would ` +
            'be of two versions; run again when nothing writes to it');
  }
}

function openInput(
    input: unknown, options: {main?: string; path?: string}): OpenedInput {
  if (typeof input !== 'string') {
    throw makeError(
        'UsageError',
        'under Node a checkpoint is opened by its path; pass a string');
  }
  const opened = openFiles(input);
  const directory =
      opened.main === undefined ? input : path.dirname(input);
  const files = opened.files.map(
      (file) => new StampedSource(file, path.join(directory, file.name)));
  return {
    files,
    main: options.main ?? opened.main,
    path: options.path ?? input,
    check: () => {
      for (const file of files) file.check();
    },
    close: () => opened.close(),
  };
}

class PathSource implements Source {
  readonly name: string;
  readonly size: number;
  readonly #descriptor: number;

  constructor(where: string) {
    this.name = path.basename(where);
    this.#descriptor = fs.openSync(where, 'r');
    this.size = fs.fstatSync(this.#descriptor).size;
  }

  readAt(offset: number, target: Uint8Array): number {
    let count = 0;
    while (count < target.length) {
      const got = fs.readSync(
          this.#descriptor, target, count, target.length - count,
          offset + count);
      if (got === 0) break;
      count += got;
    }
    return count;
  }

  close(): void {
    fs.closeSync(this.#descriptor);
  }
}

class NodeOutput implements Output {
  readonly files: OutgoingFile[] = [];
  readonly temporary: string[] = [];
  readonly #path: string;
  readonly #directory: OutputDirectory|null = null;
  readonly #sinks = new Set<FileSink>();

  constructor(where: string, info: PlanInfo) {
    this.#path = path.resolve(where);
    if (info.output.directory) {
      this.#directory = new OutputDirectory(this.#path);
      this.temporary.push(this.#directory.temporaryPath);
    }
    try {
      for (const {name, bytes, copied} of info.outputs) {
        const sink = this.#directory === null ?
            new FileSink(this.#path, bytes) :
            this.#directory.createSink(bytes, name);
        if (this.#directory === null) this.temporary.push(sink.temporaryPath);
        this.#sinks.add(sink);
        this.files.push({
          name: this.#directory === null ? path.basename(this.#path) : name,
          bytes,
          copied,
          writeAt: (offset, data) => sink.writeAt(offset, data),
          source: () => new PathSource(sink.temporaryPath),
        });
      }
    } catch (error) {
      this.#abort();
      throw error;
    }
  }

  get shared(): SharedFiles {
    return {
      kind: 'paths',
      paths: [...this.#sinks].map((sink) => sink.temporaryPath),
    };
  }

  async commit(): Promise<Array<{path: string}>> {
    for (const sink of this.#sinks) {
      sink.commit();
      this.#sinks.delete(sink);
    }
    this.#directory?.commit();
    return this.files.map(({name}) => ({
      path: this.#directory === null ? this.#path :
                                       path.join(this.#path, name),
    }));
  }

  async abort(): Promise<void> {
    this.#abort();
  }

  #abort(): void {
    for (const sink of this.#sinks) {
      this.#sinks.delete(sink);
      sink.abort();
    }
    this.#directory?.abort();
  }
}

async function createOutput(
    info: PlanInfo, _input: OpenedInput,
    sink: string|undefined): Promise<Output> {
  if (sink === undefined) {
    throw makeError(
        'UsageError',
        'the output has no place to go to; name its path as the sink');
  }
  if (fs.lstatSync(sink, {throwIfNoEntry: false}) !== undefined) {
    throw makeError(
        'AlreadyExistsError',
        `${sink}: the output exists already; choose another name, or delete ` +
            'it first');
  }
  return new NodeOutput(sink, info);
}

async function openShared(shared: SharedFiles): Promise<SharedWriters> {
  if (shared.kind !== 'paths') throw new Error(`no ${shared.kind} under Node`);
  const descriptors: number[] = [];
  const close = () => {
    for (const descriptor of descriptors.splice(0)) fs.closeSync(descriptor);
  };
  try {
    const sinks = shared.paths.map((where): PartSink => {
      const descriptor = fs.openSync(where, 'r+');
      descriptors.push(descriptor);
      return {
        writeAt: (offset, bytes) => {
          let count = 0;
          while (count < bytes.length) {
            count += fs.writeSync(
                descriptor, bytes, count, bytes.length - count,
                offset + count);
          }
        },
      };
    });
    return {sinks, close};
  } catch (error) {
    close();
    throw error;
  }
}

export const nodePlatform: WorkerPlatform =
    {openInput, createOutput, openShared};

/** The end of a worker of Node. */
export function nodePort(): Port {
  const port = parentPort;
  if (port === null) throw new Error('this is the script of a worker');
  return {
    send: (message, transfer = []) =>
        port.postMessage(message, transfer as NodeTransferable[]),
    onMessage: (handle) => {
      port.on('message', handle);
    },
  };
}
