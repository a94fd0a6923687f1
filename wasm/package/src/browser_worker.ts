// Files that were picked or dropped, and the origin's private file system, in a
// browser's worker.

import {makeError} from './errors.js';
import {openFileInput} from './file_input.js';
import {MemoryOutput} from './memory_output.js';
import type {PlanInfo} from './monoquant.mjs';
import {OpfsOutput, openOpfsFiles} from './opfs_output.js';
import {hasOpfs, isRefusal} from './opfs_paths.js';
import type {
  OpenedInput, Output, SharedWriters, WorkerPlatform,
} from './output.js';
import type {SharedFiles} from './protocol.js';

function canWriteOpfs(): boolean {
  return hasOpfs() && typeof FileSystemFileHandle !== 'undefined' &&
      'createSyncAccessHandle' in FileSystemFileHandle.prototype;
}

async function createOutput(
    info: PlanInfo, input: OpenedInput, sink: string|undefined,
    directory: string, shareable: boolean): Promise<Output> {
  if (sink === 'memory') return new MemoryOutput(info, input);
  if (sink !== undefined && sink !== 'opfs') {
    throw makeError(
        'UsageError',
        `'${sink}' is no place for an output in a browser; use 'opfs' or ` +
            '\'memory\'');
  }
  if (!canWriteOpfs()) {
    if (sink === undefined) return new MemoryOutput(info, input);
    throw makeError(
        'UnavailableError',
        'this browser has no private file system; update it, or use ' +
            '\'memory\' for outputs of up to 1 GiB');
  }
  try {
    return await OpfsOutput.create(info, input, directory, shareable);
  } catch (error) {
    if (!isRefusal(error)) throw error;
    if (sink === undefined) return new MemoryOutput(info, input);
    throw makeError(
        'UnavailableError',
        'the browser keeps no data of this site; allow it to, or use ' +
            '\'memory\' for outputs of up to 1 GiB',
        {cause: error});
  }
}

async function openShared(shared: SharedFiles): Promise<SharedWriters> {
  if (shared.kind !== 'opfs') throw new Error(`no ${shared.kind} in a browser`);
  return openOpfsFiles(shared.directory, shared.names);
}

export const browserPlatform: WorkerPlatform =
    {openInput: openFileInput, createOutput, openShared};
