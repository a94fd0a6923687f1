// Everything that the page knows, and which of its states follow each other.

import type {
  About, Checkpoint, CheckpointInfo, OutputFileResult, PlanInfo, PlanRequest,
  RunProgress, RunResult, Survey,
} from '@monoquant/core';

import type {Failure} from './failure';
import type {Offers} from './offers';
import type {RecipeForm} from './recipe_form';
import type {Row} from './rows';

export type Phase = 'empty'|'reading'|'inspect'|'running'|'result'|'error';

const NEXT: Record<Phase, readonly Phase[]> = {
  empty: ['reading'],
  reading: ['inspect', 'empty', 'error', 'result'],
  inspect: ['running', 'reading', 'empty', 'result'],
  running: ['result', 'inspect', 'error'],
  result: ['inspect', 'reading', 'running', 'empty'],
  error: ['reading', 'inspect', 'running', 'empty'],
};

export function mayFollow(from: Phase, to: Phase): boolean {
  return from === to || NEXT[from].includes(to);
}

export interface OpenInput {
  /** Of the file, or of the directory. */
  name: string;
  files: readonly File[];
  bytes: number;
  checkpoint: Checkpoint;
  info: CheckpointInfo;
  /** How it was opened. */
  opened: OpenChoices;
}

/** What can be asked for when a file is opened. */
export interface OpenChoices {
  root: string;
  allowOpaque: boolean;
}

export interface Planning {
  busy: boolean;
  /** Of the recipe as it is; null where there is none, or not yet. */
  info: PlanInfo|null;
  /** What info is the plan of. */
  request: PlanRequest|null;
  failure: Failure|null;
}

export interface Drawer {
  tensor: string;
  busy: boolean;
  survey: Survey|null;
  failure: Failure|null;
}

export interface Running {
  progress: RunProgress|null;
  /** Bytes and decibels so far, for the plot. */
  history: {bytes: number, sqnrDb: number}[];
  cancelling: boolean;
}

export interface Finished {
  run: RunResult;
  request: PlanRequest;
  plan: PlanInfo;
  inputName: string;
  /** Of the files of the input. */
  bytesIn: number;
  outputName: string;
  files: NamedFile[];
  /** How many layers of the table of results are shown. */
  shown: number;
}

export interface NamedFile extends OutputFileResult {
  /** Under which it is saved. */
  saveAs: string;
  url: string;
}

export interface State {
  phase: Phase;
  about: About|null;
  reading: {name: string, bytes: number}|null;
  input: OpenInput|null;
  openChoices: OpenChoices;
  form: RecipeForm;
  planning: Planning;
  offers: Offers;
  rows: Row[];
  drawer: Drawer|null;
  running: Running|null;
  finished: Finished|null;
  failure: Failure|null;
  /** A sentence about what has just happened. */
  notice: string;
  /**
   * Bytes that the browser would let the page store; null if it does not say.
   */
  storageFree: number|null;
  theme: ''|'light'|'dark';
  /** Whether a newer version of the page waits to be loaded. */
  updateReady: boolean;
  offlineReady: boolean;
  /** Whether the plots have a logarithmic axis of counts. */
  logCounts: boolean;
}
