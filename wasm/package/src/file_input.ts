// The Files of a checkpoint, in a browser's worker.

import {makeError} from './errors.js';
import {FileSource} from './file_source.js';
import type {OpenedInput} from './output.js';

/** Where a File lay: "model/config.json", or its bare name. */
function pathOf(file: File): string[] {
  const where = file.webkitRelativePath || file.name || 'checkpoint';
  return where.split('/').filter((part) => part !== '');
}

/** How many directories all of the paths share, their own names left out. */
function commonDepth(paths: string[][]): number {
  let depth = Math.min(...paths.map((path) => path.length - 1));
  for (let i = 0; i < depth; ++i) {
    if (paths.some((path) => path[i] !== paths[0]?.[i])) depth = i;
  }
  return depth;
}

export interface NamedFiles {
  /** By bare names. */
  files: Map<string, File>;
  /** Of one File alone. */
  main?: string;
  /** What to call the whole. */
  path: string;
}

/** The files of the topmost directory, under the names that they have there. */
export function nameFiles(input: unknown): NamedFiles {
  const list = Array.isArray(input) ? input as File[] : [input as File];
  if (list.length === 0 || list.some((file) => !(file instanceof Blob))) {
    throw makeError(
        'UsageError',
        'in a browser a checkpoint is opened by its File, or by all Files ' +
            'of its directory; pass those');
  }
  const paths = list.map(pathOf);
  const depth = commonDepth(paths);
  const files = new Map<string, File>();
  paths.forEach((path, i) => {
    const name = path[depth];
    const file = list[i];
    // Of a subdirectory.
    if (path.length !== depth + 1 || name === undefined || !file) return;
    if (files.has(name)) {
      throw makeError(
          'UsageError', `there are two files '${name}'; choose one of them`);
    }
    files.set(name, file);
  });
  const [first = 'checkpoint'] = files.keys();
  const isOne = files.size === 1 && list.length === 1 && depth === 0;
  const directory = paths[0]?.[depth - 1];
  return {
    files,
    main: isOne ? first : undefined,
    path: directory ?? (isOne ? first : 'checkpoint'),
  };
}

export function openFileInput(
    input: unknown, options: {main?: string; path?: string}): OpenedInput {
  const {files, main, path} = nameFiles(input);
  return {
    files: [...files].map(([name, file]) => new FileSource(file, name)),
    main: options.main ?? main,
    path: options.path ?? options.main ?? path,
    fileOf: (name) => files.get(name),
    // A browser refuses to read a File that has changed.
    check: () => {},
    close: () => {},
  };
}
