// @monoquant/core: quantizes PyTorch checkpoints in Node and in the browser.

import {Checkpoint, originOf} from './checkpoint.js';
import {Engine} from './engine.js';
import {isNode} from './environment.js';
import {sweepRunDirectories} from './opfs_paths.js';
import type {About, Input, LoadOptions, OpenOptions} from './types.js';

export {
  type Against, type Checkpoint, type Plan, type Run, type RunResult,
  type SurveyOptions,
} from './checkpoint.js';
export {cliCommand, type CliNames, type CliOptions} from './cli_command.js';
export {MonoquantError} from './errors.js';
export {readScheme, type Scheme} from './scheme.js';
export type * from './types.js';

/** Opens a checkpoint: reads its index, and nothing else. */
export async function open(
    input: Input, options: OpenOptions = {}): Promise<Checkpoint> {
  return Checkpoint.open(originOf(input, options), options.signal);
}

/** The version, and what can be read and written. */
export async function about(options: LoadOptions = {}): Promise<About> {
  const engine = await Engine.start(options);
  try {
    return await engine.call('about', {});
  } finally {
    engine.close();
  }
}

/**
 * In a browser: removes outputs that tabs which are gone have left in the
 * origin's private file system. Under Node there is nothing to do.
 */
export async function cleanUp(): Promise<void> {
  if (!isNode) await sweepRunDirectories();
}
