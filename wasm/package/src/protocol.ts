// What a page and its workers say to each other.
//
// The page sends calls, each with a number. The worker answers each with one
// reply, and before it with any number of progress messages. A call can be
// cancelled by its number. While it works, a worker sends a sign of life each
// second.

import type {ErrorMessage} from './errors.js';
import type {
  About, CheckpointInfo, Input, PlanInfo, PlanRequest, Results, RunProgress,
  SinkTarget, Survey,
} from './types.js';

/** What of OpenOptions a worker needs. */
export interface OpenArgs {
  main?: string;
  path?: string;
  root?: string;
  allowOpaque?: boolean;
  asStored?: boolean;
}

/** How a worker that has not made the files of an output writes to them. */
export type SharedFiles =
    /** Under Node: the temporary path of each file. */
    {kind: 'paths'; paths: string[]}|
    /** Names in a directory of the OPFS; null for what is not written. */
    {kind: 'opfs'; directory: string; names: Array<string|null>}|
    /** The owner writes what it is sent through a port. */
    {kind: 'port'; files: number};

/** Where a run is: what the progress of a call carries. */
export interface StepMessage {
  phase: RunProgress['phase'];
  bytesDone: number;
  bytesTotal: number;
  tensor: string|null;
  signal: number;
  noise: number;
}

/** A file that is in its place. */
export interface FinishedFile {
  name: string;
  bytes: number;
  copied: boolean;
  sha256: string;
  file?: File;
  path?: string;
}

/** The calls, by name. Numbers are handles of the worker. */
export interface Calls {
  about: {args: {}; result: About};
  open: {
    args: {input: Input; options: OpenArgs};
    result: {checkpoint: number; info: CheckpointInfo};
  };
  /** The plan is settled when it is returned. */
  plan: {
    args: {checkpoint: number; request: PlanRequest};
    result: {plan: number; info: PlanInfo};
  };
  survey: {
    args: {
      checkpoint: number;
      tensor: string;
      bins?: number;
      against?: {checkpoint: number; tensor: string};
    };
    result: Survey;
  };
  /** Makes the files of an output. */
  createOutput: {
    args: {
      plan: number;
      sink: SinkTarget|undefined;
      /** The directory of the OPFS that the run may use. */
      directory: string;
      /** Ports of other workers, if there are any. */
      ports: MessagePort[];
    };
    result: {
      output: number;
      shared: SharedFiles;
      /** Under Node: what remains if the worker dies. */
      temporary: string[];
    };
  };
  /** The whole run: the files are complete then, but not in their place. */
  run: {
    args: {plan: number; output: number; chunkBytes: number};
    result: Results;
  };
  /** A share of it, into files of this worker or of another one. */
  part: {
    args: {
      plan: number;
      /** Of the owner. */
      output?: number;
      /** Of the others; with `port` for the kind of that name. */
      shared?: SharedFiles;
      port?: MessagePort;
      chunkBytes: number;
      part: number;
      parts: number;
    };
    result: Uint8Array<ArrayBuffer>;
  };
  /** What the parts left over. */
  join: {
    args: {
      plan: number;
      output: number;
      records: Uint8Array<ArrayBuffer>;
      chunkBytes: number;
    };
    result: Results;
  };
  /** Reads the files back, if wanted, and puts them in their place. */
  finish: {
    args: {output: number; hash: boolean};
    result: FinishedFile[];
  };
  /** Removes an output that was not finished. */
  drop: {args: {output: number}; result: null};
  /** Forgets a checkpoint or a plan. */
  close: {args: {handle: number}; result: null};
}

export type CallName = keyof Calls;

type CallMessage = {
  [Name in CallName]:
      {type: 'call'; id: number; name: Name; args: Calls[Name]['args']}
};

export type ToWorker =
    {type: 'module'; module: WebAssembly.Module}|
    CallMessage[CallName]|
    {type: 'cancel'; id: number};

export type FromWorker =
    {type: 'done'; id: number; result: unknown}|
    {type: 'failed'; id: number; error: ErrorMessage}|
    {type: 'cancelled'; id: number}|
    {type: 'progress'; id: number; step: StepMessage}|
    /** A sign of life. */
    {type: 'alive'}|
    /** The module stopped: this worker can do nothing any more. */
    {type: 'dead'; error: ErrorMessage};

/** How often a worker that works gives a sign of life. */
export const ALIVE_MS = 1000;
