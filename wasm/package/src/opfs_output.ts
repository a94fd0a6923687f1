// An output in the origin's private file system.

import type {SyncAccessHandle, SyncFileHandle} from './browser_types.js';
import {makeError} from './errors.js';
import {FileSource} from './file_source.js';
import type {PartSink, PlanInfo, Source} from './monoquant.mjs';
import {removeRunDirectory, runDirectory} from './opfs_paths.js';
import type {
  OpenedInput, OutgoingFile, Output, SharedWriters,
} from './output.js';
import type {SharedFiles} from './protocol.js';
import {sizeText} from './sizes.js';

/** Several handles of one file at once, where the browser knows the mode. */
const SHARED_MODE = {mode: 'readwrite-unsafe'};

function writeAll(
    handle: SyncAccessHandle, offset: number, bytes: Uint8Array): void {
  let count = 0;
  while (count < bytes.length) {
    const written =
        handle.write(bytes.subarray(count), {at: offset + count});
    if (written <= 0) throw new Error('the browser wrote nothing');
    count += written;
  }
}

class HandleSource implements Source {
  constructor(
      readonly name: string, readonly size: number,
      private readonly handle: SyncAccessHandle) {}

  readAt(offset: number, target: Uint8Array): number {
    return this.handle.read(target, {at: offset});
  }
}

/** Whether a second handle can be had while a first one is open. */
async function canShare(file: SyncFileHandle): Promise<boolean> {
  try {
    (await file.createSyncAccessHandle(SHARED_MODE)).close();
    return true;
  } catch {
    return false;
  }
}

async function openHandle(
    directory: FileSystemDirectoryHandle, name: string,
    create: boolean): Promise<SyncFileHandle> {
  return await directory.getFileHandle(name, {create}) as SyncFileHandle;
}

interface OpfsFile extends OutgoingFile {
  /** Null for a file of the input, which stays where it is. */
  entry: {file: SyncFileHandle; access: SyncAccessHandle}|null;
  input?: File;
}

export class OpfsOutput implements Output {
  readonly files: OpfsFile[] = [];
  readonly temporary: string[] = [];
  #shareable = false;

  private constructor(private readonly directory: string) {}

  static async create(
      info: PlanInfo, input: OpenedInput, directory: string,
      shareable: boolean): Promise<OpfsOutput> {
    const output = new OpfsOutput(directory);
    try {
      const where = await runDirectory(directory, {create: true});
      for (const planned of info.outputs) {
        const copy =
            planned.copied ? input.fileOf?.(planned.name) : undefined;
        await (copy === undefined ? output.#add(where, planned, shareable) :
                                    output.#addCopy(planned, copy));
      }
      return output;
    } catch (error) {
      await output.abort().catch(() => {});
      throw await withQuota(error, info.output.bytes);
    }
  }

  async #add(
      where: FileSystemDirectoryHandle,
      {name, bytes, copied}: PlanInfo['outputs'][number],
      shareable: boolean): Promise<void> {
    const file = await openHandle(where, name, true);
    const access = await file.createSyncAccessHandle(
        shareable ? SHARED_MODE : undefined);
    const first = this.files.every(({entry}) => entry === null);
    this.files.push({
      name,
      bytes,
      copied,
      entry: {file, access},
      writeAt: (offset, data) => writeAll(access, offset, data),
      source: () => new HandleSource(name, bytes, access),
    });
    // What is never written reads as zero; and a quota may speak up now.
    access.truncate(bytes);
    if (first && shareable) this.#shareable = await canShare(file);
  }

  async #addCopy(
      {name, bytes, copied}: PlanInfo['outputs'][number],
      input: File): Promise<void> {
    this.files.push({
      name,
      bytes,
      copied,
      entry: null,
      input,
      writeAt: () => {},
      source: () => new FileSource(input, name),
    });
  }

  get shared(): SharedFiles {
    if (!this.#shareable) return {kind: 'port', files: this.files.length};
    return {
      kind: 'opfs',
      directory: this.directory,
      names: this.files.map(({entry, name}) => entry === null ? null : name),
    };
  }

  async commit(): Promise<Array<{file: File}>> {
    const done: Array<{file: File}> = [];
    for (const {entry, input} of this.files) {
      if (entry === null) {
        if (input !== undefined) done.push({file: input});
        continue;
      }
      entry.access.flush();
      entry.access.close();
      done.push({file: await entry.file.getFile()});
    }
    return done;
  }

  async abort(): Promise<void> {
    for (const {entry} of this.files.splice(0)) entry?.access.close();
    await removeRunDirectory(this.directory);
  }
}

/** The files of another worker's output. */
export async function openOpfsFiles(
    directory: string, names: Array<string|null>): Promise<SharedWriters> {
  const handles: SyncAccessHandle[] = [];
  const close = () => {
    for (const handle of handles.splice(0)) handle.close();
  };
  try {
    const where = await runDirectory(directory);
    const sinks: PartSink[] = [];
    for (const name of names) {
      if (name === null) {
        sinks.push({writeAt: () => {}});
        continue;
      }
      const file = await openHandle(where, name, false);
      const handle = await file.createSyncAccessHandle(SHARED_MODE);
      handles.push(handle);
      sinks.push({
        writeAt: (offset, bytes) => writeAll(handle, offset, bytes),
      });
    }
    return {sinks, close};
  } catch (error) {
    close();
    throw error;
  }
}

/** Where there is no space: how much is needed, and what there is. */
export async function withQuota(
    error: unknown, needed: number): Promise<unknown> {
  const root = rootCause(error);
  if (!(root instanceof Error) || root.name !== 'QuotaExceededError') {
    return error;
  }
  let offer = '';
  try {
    const {quota, usage} = await navigator.storage.estimate();
    if (quota !== undefined) {
      const left = Math.max(0, quota - (usage ?? 0));
      offer = ` and the browser offers about ${sizeText(left)}`;
    }
  } catch {
    // Then without.
  }
  return makeError(
      'ResourceExhaustedError',
      `the output needs ${sizeText(needed)}${offer}; free space on the ` +
          'disk, delete data of other sites, or use the command line',
      {cause: root});
}

function rootCause(error: unknown): unknown {
  let root = error;
  while (root instanceof Error && root.cause instanceof Error) {
    root = root.cause;
  }
  return root;
}
